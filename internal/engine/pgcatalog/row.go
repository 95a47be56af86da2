package pgcatalog

import (
	"sync"

	"github.com/millracedb/millrace/sql/types"
)

// table collects the rows of a virtual table.
type table struct {
	v    *virtual
	rows [][]types.Datum
}

// row is a row by column name. What it leaves out is NULL, or in a column that is NOT NULL zero, false or empty.
type row map[string]types.Datum

// add appends a row.
func (t *table) add(r row) {
	cols := t.v.rel.Columns
	values := make([]types.Datum, len(cols))
	for i := range cols {
		switch {
		case !cols[i].NotNull:
			values[i] = types.NullDatum
		case cols[i].Type.Kind == types.Char:
			values[i] = text("\x00") // the empty "char"
		}
	}
	for name, d := range r {
		i, ok := t.v.ordinal[name]
		if !ok {
			panic("pgcatalog: " + t.v.rel.Name + " has no column " + name)
		}
		values[i] = d
	}
	t.rows = append(t.rows, values)
}

// constant makes rows of a table that are the same for every world: they are computed once and shared.
func constant(schema, name string, fill func(t *table)) func() [][]types.Datum {
	return sync.OnceValue(func() [][]types.Datum {
		t := &table{v: shapes.byName[qname{schema, name}]}
		fill(t)
		return t.rows
	})
}

// Boxes for values.

func oid(o uint32) types.Datum  { return types.IntDatum(int64(o)) }
func num(n int64) types.Datum   { return types.IntDatum(n) }
func text(s string) types.Datum { return types.BytesDatum(s) }
func flag(b bool) types.Datum   { return types.BoolDatum(b) }

// optional is NULL for an empty text.
func optional(s string) types.Datum {
	if s == "" {
		return types.NullDatum
	}
	return text(s)
}

// yesNo is information_schema's boolean.
func yesNo(b bool) types.Datum {
	if b {
		return text("YES")
	}
	return text("NO")
}

func int2s(values ...int64) types.Datum { return list(types.Int2, values) }
func oids(values ...int64) types.Datum  { return list(types.OID, values) }

func list(k types.Kind, values []int64) types.Datum {
	elems := make([]types.Datum, len(values))
	for i, v := range values {
		elems[i] = num(v)
	}
	return types.ArrayDatum(types.Of(k), elems)
}

// texts is an array of a StoreBytes kind.
func texts(k types.Kind, values []string) types.Datum {
	elems := make([]types.Datum, len(values))
	for i, v := range values {
		elems[i] = text(v)
	}
	return types.ArrayDatum(types.Of(k), elems)
}
