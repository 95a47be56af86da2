package expr

import (
	"encoding/json"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// test applies a comparison operator to boxed values that are not NULL.
type test func(env *Env, a, b types.Datum) (bool, error)

// compileTest makes a boxed comparison of an operator's implementation: the six comparisons directly, others through a
// program over a batch of one row.
func compileTest(f *planner.Func, left, right types.Type) (test, error) {
	if cmp, ok := compareTests[f.Name]; ok && left.Kind == right.Kind {
		return func(_ *Env, a, b types.Datum) (bool, error) { return cmp(types.Compare(left, a, b)), nil }, nil
	}
	p, err := Compile(&planner.Call{
		Func: f, Typ: boolType,
		Args: []planner.Expr{&planner.ColumnRef{Ord: 0, Typ: left}, &planner.ColumnRef{Ord: 1, Typ: right}},
	})
	if err != nil {
		return nil, err
	}
	in := vec.NewBatch([]types.Type{left, right}, 1)
	return func(env *Env, a, b types.Datum) (bool, error) {
		in.Reset()
		in.Cols[0].AppendDatum(a)
		in.Cols[1].AppendDatum(b)
		in.SetLen(1)
		d, err := p.Scalar(env, in, 0)
		return !d.Null && d.I != 0, err
	}, nil
}

// compileInList evaluates the list for every row; a list of constants is a hash look-up.
func compileInList(e *planner.InList) (node, error) {
	if n, ok, err := compileInConsts(e); ok || err != nil {
		return n, err
	}
	ns, err := compileList(append([]planner.Expr{e.Arg}, e.List...))
	if err != nil {
		return nil, err
	}
	eq, err := compileTest(e.Eq, argType(e.Arg), argType(e.List[0]))
	if err != nil {
		return nil, err
	}
	return boxed(boolType, ns, func(r *run, a []types.Datum) (types.Datum, error) {
		return anyOf(r.env, eq, a[0], a[1:], e.Negated)
	}), nil
}

// anyOf is x = ANY (list) with SQL's treatment of NULL, negated on demand.
func anyOf(env *Env, eq test, x types.Datum, list []types.Datum, negated bool) (types.Datum, error) {
	null := x.Null && len(list) > 0
	for _, y := range list {
		if x.Null || y.Null {
			null = true
			continue
		}
		hit, err := eq(env, x, y)
		if err != nil {
			return types.NullDatum, err
		}
		if hit {
			return types.BoolDatum(!negated), nil
		}
	}
	if null {
		return types.NullDatum, nil
	}
	return types.BoolDatum(negated), nil
}

func compileInConsts(e *planner.InList) (node, bool, error) {
	t := e.Arg.Type()
	set := make(map[string]struct{}, len(e.List))
	null := false
	for _, x := range e.List {
		c, ok := x.(*planner.Const)
		if !ok || !c.Typ.Equal(t) {
			return nil, false, nil
		}
		if c.Val.Null {
			null = true
			continue
		}
		set[string(types.AppendKey(nil, t, c.Val))] = struct{}{}
	}
	n, err := compile(e.Arg)
	if err != nil {
		return nil, false, err
	}
	var buf []byte
	return boxed(boolType, []node{n}, func(_ *run, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.NullDatum, nil
		}
		buf = types.AppendKey(buf[:0], t, a[0])
		if _, ok := set[string(buf)]; ok {
			return types.BoolDatum(!e.Negated), nil
		}
		if null {
			return types.NullDatum, nil
		}
		return types.BoolDatum(e.Negated), nil
	}), true, nil
}

func compileArrayCompare(e *planner.ArrayCompare) (node, error) {
	ns, err := compileList([]planner.Expr{e.Left, e.Array})
	if err != nil {
		return nil, err
	}
	elem := elemOf(e.Array.Type())
	cmp, err := compileTest(e.Op, e.Left.Type(), elem)
	if err != nil {
		return nil, err
	}
	if e.All {
		// x op ALL (a) is NOT (x not-op ANY (a)).
		pos := cmp
		cmp = func(env *Env, a, b types.Datum) (bool, error) {
			ok, err := pos(env, a, b)
			return !ok, err
		}
	}
	return boxed(boolType, ns, func(r *run, a []types.Datum) (types.Datum, error) {
		if a[1].Null {
			return types.NullDatum, nil
		}
		return anyOf(r.env, cmp, a[0], types.ArrayElements(elem, a[1].S), e.All)
	}), nil
}

// elemOf is the element type of arrays and of the catalog's vectors.
func elemOf(t types.Type) types.Type {
	switch t.Kind {
	case types.Int2Vector:
		return types.Of(types.Int2)
	case types.OIDVector:
		return types.Of(types.OID)
	}
	if t.Elem != nil {
		return *t.Elem
	}
	return types.Of(types.Text)
}

func castArray(from, to types.Type) castFunc {
	conv := castFor(from, to)
	if conv == nil {
		return nil
	}
	return func(env *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		list := types.ArrayElements(from, d.S)
		for i, x := range list {
			if x.Null {
				continue
			}
			var err error
			if list[i], err = conv(env, from, to, x); err != nil {
				return d, err
			}
			if to.Mod >= 0 {
				if list[i], err = types.ApplyMod(to, list[i], true); err != nil {
					return d, err
				}
			}
		}
		return types.ArrayDatum(to, list), nil
	}
}

func compileArray(e *planner.ArrayExpr) (node, error) {
	ns, err := compileList(e.Elems)
	if err != nil {
		return nil, err
	}
	elem := elemOf(e.Typ)
	return boxed(e.Typ, ns, func(_ *run, a []types.Datum) (types.Datum, error) {
		return types.ArrayDatum(elem, a), nil
	}), nil
}

func compileRow(e *planner.RowExpr) (node, error) {
	ns, err := compileList(e.Fields)
	if err != nil {
		return nil, err
	}
	return boxed(e.Typ, ns, func(_ *run, a []types.Datum) (types.Datum, error) {
		return types.StructDatum(e.Typ.Fields, a), nil
	}), nil
}

func compileField(e *planner.FieldRef) (node, error) {
	n, err := compile(e.Arg)
	if err != nil {
		return nil, err
	}
	fields := e.Arg.Type().Fields
	return boxed(e.Typ, []node{n}, func(_ *run, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.NullDatum, nil
		}
		return types.StructField(fields, a[0].S, e.Field), nil
	}), nil
}

func compileSubscript(e *planner.Subscript) (node, error) {
	parts := []planner.Expr{e.Arg}
	for _, x := range []planner.Expr{e.Index, e.Upper} {
		if x == nil {
			x = &planner.Const{Typ: types.Of(types.Int4), Val: types.NullDatum}
		}
		parts = append(parts, x)
	}
	ns, err := compileList(parts)
	if err != nil {
		return nil, err
	}
	t := e.Arg.Type()
	elem := elemOf(t)
	base := int64(1)
	if t.Kind == types.Int2Vector || t.Kind == types.OIDVector {
		base = 0
	}
	return boxed(e.Typ, ns, func(_ *run, a []types.Datum) (types.Datum, error) {
		if a[0].Null || !e.Slice && a[1].Null {
			return types.NullDatum, nil
		}
		if t.Kind == types.Map {
			return mapGet(elem, a[0].S, a[1].S)
		}
		if e.Slice {
			return slice(elem, types.ArrayElements(elem, a[0].S), e, a[1], a[2]), nil
		}
		return types.ArrayAt(elem, a[0].S, a[1].I-base), nil
	}), nil
}

// slice is a[lo:hi]; a missing bound is the array's own, a NULL one makes the result NULL.
func slice(elem types.Type, list []types.Datum, e *planner.Subscript, lo, hi types.Datum) types.Datum {
	from, to := int64(1), int64(len(list))
	if e.Index != nil {
		if lo.Null {
			return types.NullDatum
		}
		from = max(from, lo.I)
	}
	if e.Upper != nil {
		if hi.Null {
			return types.NullDatum
		}
		to = min(to, hi.I)
	}
	if from > to {
		return types.ArrayDatum(elem, nil)
	}
	return types.ArrayDatum(elem, list[from-1:to])
}

// mapGet is m['key']: NULL where there is no such key.
func mapGet(elem types.Type, m, key string) (types.Datum, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(m), &members); err != nil {
		return types.NullDatum, sqlerr.New(sqlerr.DataCorrupted, "a map value is no JSON object: %w", err)
	}
	raw, ok := members[key]
	if !ok {
		return types.NullDatum, nil
	}
	return types.MapValue(elem, string(raw))
}
