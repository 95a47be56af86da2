package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func (b *binder) bindCast(e *sql.Cast) (Expr, error) {
	t, err := b.st.resolveType(e.Type)
	if err != nil {
		return nil, err
	}
	if arr, ok := e.X.(*sql.ArrayExpr); ok && t.Kind == types.Array {
		return b.bindArray(arr, t.Elem)
	}
	x, err := b.bindExpr(e.X)
	if err != nil {
		return nil, err
	}
	return b.coerce(x, t, CastExplicit, e.Pos)
}

func (b *binder) bindCollate(e *sql.Collate) (Expr, error) {
	x, err := b.bindExpr(e.X)
	if err != nil {
		return nil, err
	}
	switch e.Collation.Object() {
	case "default", "C", "POSIX", "ucs_basic":
	default:
		return nil, sqlerr.New(sqlerr.UndefinedObject, "collation %q does not exist", e.Collation.Object()).
			WithHint(`Text compares by bytes: the collations are "C", "POSIX" and "default".`).At(e.Offset())
	}
	x = b.settle(x)
	if k := x.Type().Kind; !isString(k) {
		return nil, sqlerr.New(sqlerr.DatatypeMismatch, "collations are not supported by type %s", x.Type()).At(e.Offset())
	}
	return x, nil
}

func (b *binder) bindRow(e *sql.Row) (Expr, error) {
	xs, err := b.bindExprs(e.Items)
	if err != nil {
		return nil, err
	}
	row := &RowExpr{Fields: xs, Typ: types.Of(types.Record)}
	for i, x := range xs {
		xs[i] = b.settle(x)
		row.Typ.Fields = append(row.Typ.Fields, types.Field{Name: fieldName(i), Type: xs[i].Type()})
	}
	return row, nil
}

// bindArray binds ARRAY[...]; elem is the element type a cast asks for, nil for none.
func (b *binder) bindArray(e *sql.ArrayExpr, elem *types.Type) (Expr, error) {
	if elem != nil {
		xs, err := b.bindExprs(e.Items)
		if err != nil {
			return nil, err
		}
		for i, x := range xs {
			if xs[i], err = b.coerce(x, *elem, CastExplicit, posOf(e.Items[i])); err != nil {
				return nil, err
			}
		}
		return &ArrayExpr{xs, types.ArrayOf(*elem)}, nil
	}
	if len(e.Items) == 0 {
		return nil, sqlerr.New(sqlerr.IndeterminateDatatype, "cannot determine type of empty array").
			WithHint("Explicitly cast to the desired type, for example ARRAY[]::integer[].").At(e.Offset())
	}
	xs, t, err := b.bindCommon(e.Items, "ARRAY")
	if err != nil {
		return nil, err
	}
	if t.Kind == types.Array {
		return nil, notYet("an array of arrays", "arrays have one dimension", "an array of STRUCT, or jsonb", e.Pos)
	}
	return &ArrayExpr{xs, types.ArrayOf(t)}, nil
}

func (b *binder) bindMap(e *sql.MapExpr) (Expr, error) {
	if len(e.Entries) == 0 {
		return nil, sqlerr.New(sqlerr.IndeterminateDatatype, "cannot determine type of empty map").
			WithHint("Cast an empty object to the desired type, for example CAST('{}' AS MAP<TEXT, INT>).").At(e.Offset())
	}
	out := &MapExpr{}
	var nodes []sql.Expr
	for _, m := range e.Entries {
		k, err := b.bindExpr(m.Key)
		if err != nil {
			return nil, err
		}
		if k, err = b.coerce(k, types.Of(types.Text), CastImplicit, posOf(m.Key)); err != nil {
			return nil, err
		}
		v, err := b.bindExpr(m.Value)
		if err != nil {
			return nil, err
		}
		out.Keys, out.Values, nodes = append(out.Keys, k), append(out.Values, v), append(nodes, m.Value)
	}
	t, err := b.common(out.Values, nodes, "MAP")
	if err != nil {
		return nil, err
	}
	out.Typ = types.MapOf(t)
	return out, nil
}

func (b *binder) bindStruct(e *sql.StructExpr) (Expr, error) {
	row := &RowExpr{Typ: types.Of(types.Struct)}
	for _, f := range e.Fields {
		x, err := b.bindExpr(f.Value)
		if err != nil {
			return nil, err
		}
		x = b.settle(x)
		row.Fields = append(row.Fields, x)
		row.Typ.Fields = append(row.Typ.Fields, types.Field{Name: f.Name, Type: x.Type()})
	}
	return row, nil
}

func (b *binder) bindSubscript(e *sql.Subscript) (Expr, error) {
	x, i, err := b.bindPair(e.X, e.Index)
	if err != nil {
		return nil, err
	}
	t := x.Type()
	want, result := types.Of(types.Int4), elemType(t)
	switch {
	case t.Kind == types.Map:
		want, result = types.Of(types.Text), *t.Elem
	case t.Kind == types.JSONB:
		if isInteger(i.Type().Kind) {
			return b.operatorExpr("->", x, i, e.Pos)
		}
		return b.operatorExpr("->", x, b.settle(i), e.Pos)
	case t.Kind == types.Name:
		return b.letterOfName(x, i, e)
	case t.Kind.Category() != 'A':
		return nil, sqlerr.New(sqlerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", t).At(e.Offset())
	}
	if i, err = b.coerce(i, want, CastAssignment, posOf(e.Index)); err != nil {
		return nil, err
	}
	return &Subscript{Arg: x, Index: i, Typ: result}, nil
}

// letterOfName is a letter of a name, counted from 0: pg_dump asks so whether the name of a type begins with an underscore.
func (b *binder) letterOfName(x, i Expr, e *sql.Subscript) (Expr, error) {
	text, err := b.coerce(x, types.Of(types.Text), CastImplicit, posOf(e.X))
	if err != nil {
		return nil, err
	}
	one := &Const{types.Of(types.Int4), types.IntDatum(1)}
	if i, err = b.operatorExpr("+", i, one, e.Pos); err != nil {
		return nil, err
	}
	letter := &Call{Func: findFunc("substr(text,int4,int4)"), Args: []Expr{text, i, one}, Typ: types.Of(types.Text)}
	return b.coerce(letter, types.Of(types.Char), CastAssignment, e.Pos)
}

func (b *binder) bindSlice(e *sql.Slice) (Expr, error) {
	x, err := b.bindExpr(e.X)
	if err != nil {
		return nil, err
	}
	if x.Type().Kind.Category() != 'A' {
		return nil, sqlerr.New(sqlerr.DatatypeMismatch, "cannot subscript type %s because it does not support subscripting", x.Type()).At(e.Offset())
	}
	out := &Subscript{Arg: x, Slice: true, Typ: types.ArrayOf(elemType(x.Type()))}
	for _, bound := range []struct {
		e  sql.Expr
		to *Expr
	}{{e.Lo, &out.Index}, {e.Hi, &out.Upper}} {
		if bound.e == nil {
			continue
		}
		y, err := b.bindExpr(bound.e)
		if err != nil {
			return nil, err
		}
		if *bound.to, err = b.coerce(y, types.Of(types.Int4), CastAssignment, posOf(bound.e)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
