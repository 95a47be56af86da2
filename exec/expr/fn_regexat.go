package expr

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The regular expression functions that begin at a character, look for the nth match, or tell of one group (PostgreSQL docs, 9.7.3).

func init() {
	row("regexp_count(text,text,int4)", regexpAt("regexp_count", regexAt{start: 2}, countMatches))
	row("regexp_count(text,text,int4,text)", regexpAt("regexp_count", regexAt{start: 2, flags: 3}, countMatches))
	row("regexp_substr(text,text,int4)", regexpAt("regexp_substr", regexAt{start: 2}, nthText))
	row("regexp_substr(text,text,int4,int4)", regexpAt("regexp_substr", regexAt{start: 2, nth: 3}, nthText))
	row("regexp_substr(text,text,int4,int4,text)", regexpAt("regexp_substr", regexAt{start: 2, nth: 3, flags: 4}, nthText))
	row("regexp_substr(text,text,int4,int4,text,int4)", regexpAt("regexp_substr", regexAt{start: 2, nth: 3, flags: 4, group: 5}, nthText))
	row("regexp_instr(text,text)", regexpAt("regexp_instr", regexAt{}, nthPlace))
	row("regexp_instr(text,text,int4)", regexpAt("regexp_instr", regexAt{start: 2}, nthPlace))
	row("regexp_instr(text,text,int4,int4)", regexpAt("regexp_instr", regexAt{start: 2, nth: 3}, nthPlace))
	row("regexp_instr(text,text,int4,int4,int4)", regexpAt("regexp_instr", regexAt{start: 2, nth: 3, end: 4}, nthPlace))
	row("regexp_instr(text,text,int4,int4,int4,text)", regexpAt("regexp_instr", regexAt{start: 2, nth: 3, end: 4, flags: 5}, nthPlace))
	row("regexp_instr(text,text,int4,int4,int4,text,int4)", regexpAt("regexp_instr", regexAt{start: 2, nth: 3, end: 4, flags: 5, group: 6}, nthPlace))
	row("regexp_replace(text,text,text,int4)", regexpAt("regexp_replace", regexAt{start: 3}, replaceNth))
	row("regexp_replace(text,text,text,int4,int4)", regexpAt("regexp_replace", regexAt{start: 3, nth: 4, all: true}, replaceNth))
	row("regexp_replace(text,text,text,int4,int4,text)", regexpAt("regexp_replace", regexAt{start: 3, nth: 4, flags: 5, all: true}, replaceNth))
}

// regexAt says which arguments are what; 0 is none. all: the nth match may be 0, for all.
type regexAt struct {
	start, nth, end, flags, group int
	all                           bool
}

// regexFound are the matches of a call from the start it gave on.
type regexFound struct {
	s       string
	matches [][]int
	nth     int // 1 is the first; 0 is all
	end     bool
	group   int
}

func regexpAt(name string, at regexAt, f func(found regexFound, a []types.Datum) (types.Datum, error)) rowFunc {
	number := func(a []types.Datum, i int, what string, otherwise, least, most int64) (int64, error) {
		if i == 0 {
			return otherwise, nil
		}
		if n := a[i].I; n >= least && n <= most {
			return n, nil
		}
		return 0, sqlerr.New(sqlerr.InvalidParameterValue, "invalid value for parameter %q: %d", what, a[i].I)
	}
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		start, err := number(a, at.start, "start", 1, 1, maxTextBytes)
		if err != nil {
			return types.NullDatum, err
		}
		least := int64(1)
		if at.all {
			least = 0
		}
		nth, err := number(a, at.nth, "n", 1, least, maxTextBytes)
		if err != nil {
			return types.NullDatum, err
		}
		end, err := number(a, at.end, "endoption", 0, 0, 1)
		if err != nil {
			return types.NullDatum, err
		}
		group, err := number(a, at.group, "subexpr", 0, 0, maxTextBytes)
		if err != nil {
			return types.NullDatum, err
		}
		flags := ""
		if at.flags > 0 {
			flags = a[at.flags].S
		}
		re, err := remember(c, a[1].S, flags, compileRegexp)
		if err != nil {
			return types.NullDatum, err
		}
		if err := noGlobal(re, name+"()", ""); err != nil && name != "regexp_replace" {
			return types.NullDatum, err
		}
		return f(regexFound{s: a[0].S, matches: matchesFrom(re, a[0].S, start), nth: int(nth), end: end == 1, group: int(group)}, a)
	}
}

// matchesFrom returns the matches that begin at character start, the first being 1, or after it.
func matchesFrom(re *pgRegexp, s string, start int64) [][]int {
	from := 0
	for ; start > 1 && from < len(s); start-- {
		_, n := utf8.DecodeRuneInString(s[from:])
		from += n
	}
	if start > 1 {
		return nil
	}
	if re.context { // anchors and word boundaries look at what is before
		all := allMatches(re, s)
		if at := slices.IndexFunc(all, func(m []int) bool { return m[0] >= from }); at >= 0 {
			return all[at:]
		}
		return nil
	}
	all := allMatches(re, s[from:])
	for _, m := range all {
		for i := range m {
			if m[i] >= 0 {
				m[i] += from
			}
		}
	}
	return all
}

func countMatches(found regexFound, _ []types.Datum) (types.Datum, error) {
	return types.IntDatum(int64(len(found.matches))), nil
}

// match is the nth match's group; nil if there is none.
func (r regexFound) match() []int {
	if r.nth > len(r.matches) {
		return nil
	}
	m := r.matches[r.nth-1]
	if 2*r.group >= len(m) || m[2*r.group] < 0 {
		return nil
	}
	return m[2*r.group : 2*r.group+2]
}

func nthText(found regexFound, _ []types.Datum) (types.Datum, error) {
	m := found.match()
	if m == nil {
		return types.NullDatum, nil
	}
	return types.BytesDatum(found.s[m[0]:m[1]]), nil
}

// nthPlace is the character at which the match begins, or after which it ends; 0 if there is none.
func nthPlace(found regexFound, _ []types.Datum) (types.Datum, error) {
	m := found.match()
	if m == nil {
		return types.IntDatum(0), nil
	}
	at := m[0]
	if found.end {
		at = m[1]
	}
	return types.IntDatum(int64(utf8.RuneCountInString(found.s[:at])) + 1), nil
}

func replaceNth(found regexFound, a []types.Datum) (types.Datum, error) {
	chosen := found.matches
	switch {
	case found.nth > len(chosen):
		chosen = nil
	case found.nth > 0:
		chosen = chosen[found.nth-1 : found.nth]
	}
	return replaceMatches(found.s, a[2].S, chosen)
}

// replaceMatches replaces what was matched by a template.
func replaceMatches(s, template string, matches [][]int) (types.Datum, error) {
	var b strings.Builder
	end := 0
	for _, m := range matches {
		b.WriteString(s[end:m[0]])
		if b.Len()+len(template)*(m[1]-m[0]+1) > maxColumnBytes || b.Len() > maxTextBytes {
			return types.NullDatum, errTextTooLarge
		}
		expand(&b, template, s, m)
		end = m[1]
	}
	b.WriteString(s[end:])
	return types.BytesDatum(b.String()), nil
}
