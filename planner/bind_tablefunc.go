package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// bindTableFunc binds a function in FROM, or several whose rows stand side by side: ROWS FROM (...) and unnest of several arrays.
func (b *binder) bindTableFunc(f *sql.TableFunc) (Node, *scope, error) {
	if defs := definitionList(f); defs != nil {
		return b.bindRecords(f, defs)
	}
	calls := f.Calls
	if kind := recordKind(calls[0].Name); kind != "" {
		return nil, nil, sqlerr.New(sqlerr.SyntaxError, "a column definition list is required for functions returning \"record\"").
			WithHint("For example, %s(...) AS t (a int, b text).", calls[0].Name).At(calls[0].Offset())
	}
	if len(calls) == 1 && isWindowTable(calls[0]) {
		return b.bindWindowTable(f, calls[0])
	}
	if len(calls) == 1 && calls[0].Name == "unnest" && len(calls[0].Args) > 1 {
		calls = unnestEach(calls[0])
	}
	name := calls[0].Name
	if f.Alias != nil && f.Alias.Name != "" {
		name = f.Alias.Name
	}
	var n Node
	var err error
	if len(calls) == 1 {
		n, err = b.bindFuncScan(calls[0], name, f.Ordinality)
	} else {
		n, err = b.zipFuncs(calls, f.Ordinality, f.Pos)
	}
	if err != nil {
		return nil, nil, err
	}
	sc := scopeOf(n, name)
	if scan, ok := n.(*FuncScan); ok && !f.Ordinality && scan.Func.Ret.Kind != types.Record {
		sc.tabs[0].value = true
	}
	if f.Alias != nil {
		err = renameScope(sc, f.Alias, name, f.Pos)
	}
	return n, sc, err
}

// unnestEach spells unnest(a, b) as unnest(a), unnest(b).
func unnestEach(call *sql.FuncCall) []*sql.FuncCall {
	out := make([]*sql.FuncCall, len(call.Args))
	for i, a := range call.Args {
		one := *call
		one.Args = []*sql.Arg{a}
		out[i] = &one
	}
	return out
}

// bindFuncScan binds one call. A column without a name of its own is called name; ordinality adds the row's number.
func (b *binder) bindFuncScan(e *sql.FuncCall, name string, ordinality bool) (Node, error) {
	inner := *b
	inner.scope, inner.srf, inner.clause = nil, true, "functions in FROM"
	inner.aggs, inner.windows = nil, nil
	x, err := inner.bindExpr(e)
	if err != nil {
		return nil, err
	}
	call, ok := x.(*Call)
	if !ok || call.Func.Kind != SetFunc { // a scalar function gives one row
		x = b.settle(x)
		row, cols := []Expr{x}, []Col{{Name: name, Type: x.Type()}}
		if ordinality {
			row = append(row, &Const{types.Of(types.Int8), types.IntDatum(1)})
			cols = append(cols, ordinalityCol)
		}
		return newValues([][]Expr{row}, cols), nil
	}
	n := &FuncScan{Func: call.Func, Args: call.Args, Ordinality: ordinality}
	for _, c := range setColumns(call) {
		n.P.Cols = append(n.P.Cols, Col{Name: c.Name, Type: c.Type})
	}
	if len(call.Func.Columns) == 0 {
		n.P.Cols[0].Name = name
	}
	for _, a := range n.Args {
		n.Lateral = n.Lateral || anyExpr(a, func(y Expr) bool { o, ok := y.(*OuterRef); return ok && o.Level == 1 })
	}
	if ordinality {
		n.P.Cols = append(n.P.Cols, ordinalityCol)
	}
	return n, nil
}

var ordinalityCol = Col{Name: "ordinality", Type: types.Of(types.Int8)}

// zipFuncs puts the rows of several functions side by side, the shorter ones filled up with NULL (PostgreSQL docs, 7.2.1.4): full joins on
// the rows' numbers, in their order.
func (b *binder) zipFuncs(calls []*sql.FuncCall, ordinality bool, pos sql.Pos) (Node, error) {
	var n Node
	for _, c := range calls {
		r, err := b.bindFuncScan(c, c.Name, true)
		if err != nil {
			return nil, err
		}
		if n == nil {
			n = r
			continue
		}
		n = zip(n, r)
	}
	last := len(n.Props().Cols) - 1
	if b.st.unbounded && !ordinality { // whose rows have no order
		return newProject(n, identity(n)[:last], n.Props().Cols[:last]), nil
	} else if b.st.unbounded {
		return n, nil
	}
	sorted, err := b.newSort(n, []SortKey{{Expr: &ColumnRef{Ord: last, Typ: ordinalityCol.Type, Name: "ordinality"}}}, pos)
	if err != nil || ordinality {
		return sorted, err
	}
	return newProject(sorted, identity(sorted)[:last], sorted.Props().Cols[:last]), nil
}

// zip joins two inputs whose last columns number their rows; so does the last column of the result.
func zip(l, r Node) Node {
	nl, nr := len(l.Props().Cols), len(r.Props().Cols)
	j := newJoin(&Join{L: l, R: r, Kind: FullJoin, LKeys: identity(l)[nl-1:], RKeys: identity(r)[nr-1:]})
	all := identity(j)
	exprs := append(append(append([]Expr(nil), all[:nl-1]...), all[nl:nl+nr-1]...), &Coalesce{[]Expr{all[nl-1], all[nl+nr-1]}, ordinalityCol.Type})
	cols := append(append(append([]Col(nil), j.P.Cols[:nl-1]...), j.P.Cols[nl:nl+nr-1]...), ordinalityCol)
	return newProject(j, exprs, cols)
}
