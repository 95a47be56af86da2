package sql

import "strings"

// wordClass says where an unquoted word may stand as a name: PostgreSQL 15 appendix C.
type wordClass uint8

const (
	// wordReserved may not be a name of a column, table or function.
	wordReserved wordClass = 1 << iota
	// wordColumn may not be a function or type name: between, coalesce, int.
	wordColumn
	// wordFunction may be a function or type name only: left, join.
	wordFunction
	// wordNeedsAs may be a column label only after AS.
	wordNeedsAs
)

var wordClasses = buildWordClasses()

func buildWordClasses() map[string]wordClass {
	m := make(map[string]wordClass, 256)
	add := func(c wordClass, words string) {
		for w := range strings.FieldsSeq(words) {
			m[w] |= c
		}
	}
	add(wordReserved, `all analyse analyze and any array as asc asymmetric both case cast check collate column constraint
		create current_catalog current_date current_role current_time current_timestamp current_user default deferrable
		desc distinct do else end except false fetch for foreign from grant group having in initially intersect into
		lateral leading limit localtime localtimestamp not null offset on only or order placing primary references
		returning select session_user some symmetric table then to trailing true union unique user using variadic when
		where window with`)
	add(wordColumn, `between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping
		inout int integer interval least national nchar none normalize nullif numeric out overlay position precision real
		row setof smallint substring time timestamp treat trim values varchar`)
	add(wordFunction, `authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull
		join left like natural notnull outer overlaps right similar tablesample verbose`)
	add(wordNeedsAs, `array as char character create day except fetch filter for from grant group having hour intersect
		into isnull limit minute month notnull offset on order over overlaps precision returning second to union varying
		where window with within without year`)
	return m
}

// specialValues are the words that are values without parentheses; those marked true take a precision.
var specialValues = map[string]bool{
	"current_date": false, "current_time": true, "current_timestamp": true, "localtime": true, "localtimestamp": true,
	"current_user": false, "session_user": false, "user": false, "current_role": false, "current_catalog": false,
	"current_schema": false,
}
