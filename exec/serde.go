package exec

import (
	"slices"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// noFormat is the format of a side of a record that is always null.
const noFormat = "none"

// keySchema is what a relation's record keys hold: its key columns in key order. A stream without them has null keys, a table
// without them the key of its one row.
func keySchema(rel *planner.Relation) format.Schema {
	s := format.Schema{Format: rel.KeyFormat, Key: true, Delimiter: rel.KeyDelimiter}
	for _, ord := range rel.Key {
		s.Columns = append(s.Columns, fieldOf(rel, ord))
	}
	switch {
	case len(rel.Key) > 0:
	case rel.Kind == planner.Table:
		s.Format = "json"
	default:
		s.Format = noFormat
	}
	return s
}

func fieldOf(rel *planner.Relation, ord int) format.Column {
	c := &rel.Columns[ord]
	return format.Column{Name: c.FieldName(), Type: c.Type, Missing: c.Missing}
}

// valueOrdinals are the columns that a relation's record values hold, in declared order.
func valueOrdinals(rel *planner.Relation) []int {
	var ords []int
	for ord, c := range rel.Columns {
		if !c.Headers && !c.Dropped && !slices.Contains(rel.Key, ord) {
			ords = append(ords, ord)
		}
	}
	return ords
}

func valueSchema(rel *planner.Relation) format.Schema {
	s := format.Schema{Format: rel.ValueFormat, Unwrapped: !rel.WrapSingleValue, Delimiter: rel.ValueDelimiter, Epoch: rel.KSQL}
	for _, ord := range valueOrdinals(rel) {
		s.Columns = append(s.Columns, fieldOf(rel, ord))
	}
	return s
}

// relationEncoders returns the encoders of a relation's keys and values, nil for what is always null.
func relationEncoders(rel *planner.Relation) (key, value format.Encoder, err error) {
	if key, err = format.NewEncoder(keySchema(rel)); err != nil {
		return nil, nil, err
	}
	value, err = format.NewEncoder(valueSchema(rel))
	return key, value, err
}

// exchangeKeyEncoder encodes keys as the default key format of a relation does, so that an exchange deals rows as the
// topics of such relations are dealt.
func exchangeKeyEncoder(by []planner.Expr) (format.Encoder, error) {
	s := format.Schema{Format: "json", Key: true}
	for _, e := range by {
		s.Columns = append(s.Columns, format.Column{Type: e.Type()})
	}
	if len(by) == 1 && kafkaKey(by[0].Type()) {
		s.Format = "kafka"
	}
	return format.NewEncoder(s)
}

// kafkaKey reports whether a key of one column of this type is in the KAFKA format when nothing else is said. BYTEA is so only
// when it cannot be NULL, which an expression does not promise.
func kafkaKey(t types.Type) bool {
	switch t.Kind {
	case types.Int4, types.Int8, types.Float8, types.Text:
		return true
	}
	return false
}
