package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// bindQuery binds a query with everything around it. Hidden columns of the result serve sorting only; they come last.
func (b *binder) bindQuery(q *sql.Query) (Node, error) {
	if err := b.st.enter(); err != nil {
		return nil, err
	}
	defer b.st.leave()
	b = &binder{st: b.st, env: b.env, ctes: b.ctes, limited: q.Limit != nil || q.Skip != nil}
	if q.With != nil {
		if err := b.addCTEs(q.With); err != nil {
			return nil, err
		}
	}
	n, err := b.bindBody(q)
	if err != nil {
		return nil, err
	}
	return b.bindLimit(n, q)
}

func (b *binder) bindBody(q *sql.Query) (Node, error) {
	if sel, ok := q.Body.(*sql.Select); ok {
		return b.bindSelect(sel, q.OrderBy)
	}
	n, err := b.bindPlainBody(q.Body)
	if err != nil || len(q.OrderBy) == 0 {
		return n, err
	}
	n = visibleOnly(n)
	inner := *b
	inner.scope, inner.clause = scopeOf(n, ""), "ORDER BY"
	var by []SortKey
	for _, it := range q.OrderBy {
		i, isOrdinal, err := ordinal(it.Expr, visibleCount(n), "ORDER BY")
		if err != nil {
			return nil, err
		}
		x := Expr(nil)
		if isOrdinal {
			c := n.Props().Cols[i]
			x = &ColumnRef{Ord: i, Typ: c.Type, Name: c.Name}
		} else if x, err = inner.bindExpr(it.Expr); err != nil {
			return nil, err
		} else if _, column := x.(*ColumnRef); !column {
			if _, set := q.Body.(*sql.SetOp); set {
				return nil, sqlerr.New(sqlerr.FeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause").
					WithDetail("Only result column names can be used, not expressions or functions.").
					WithHint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.").At(it.Expr.Offset())
			}
		}
		k, err := sortKey(inner.settle(x), it)
		if err != nil {
			return nil, err
		}
		by = append(by, k)
	}
	return b.newSort(n, by, q.OrderBy[0].Pos)
}

// newSort sorts; a continuous query has no end to sort at, but its first rows are known at any time.
func (b *binder) newSort(n Node, by []SortKey, pos sql.Pos) (Node, error) {
	if b.st.unbounded && !b.limited {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "ORDER BY has no incremental form in a continuous query").
			WithDetail("Reason: the result never ends, so there is nothing to sort.").
			WithHint("What works: ORDER BY ... LIMIT n, or sort when you read it, SELECT ... FROM the view ORDER BY ....").At(pos.Offset())
	}
	return &Sort{P: Props{Cols: n.Props().Cols}, In: n, By: by}, nil
}

func (b *binder) bindPlainBody(body sql.QueryBody) (Node, error) {
	switch body := body.(type) {
	case *sql.Select:
		return b.bindSelect(body, nil)
	case *sql.Values:
		return b.bindValues(body)
	case *sql.SetOp:
		return b.bindSetOp(body)
	case *sql.Query:
		if body.Emit != nil {
			return nil, sqlerr.New(sqlerr.SyntaxError, "EMIT is not allowed in a subquery").At(body.Emit.Offset())
		}
		return b.bindQuery(body)
	}
	return nil, sqlerr.New(sqlerr.InternalError, "the planner does not know query body %T", body).At(body.Offset())
}

func (b *binder) bindLimit(n Node, q *sql.Query) (Node, error) {
	if q.Limit == nil && q.Skip == nil {
		return n, nil
	}
	l := &Limit{P: Props{Cols: n.Props().Cols}, In: n, WithTies: q.WithTies}
	inner := *b
	inner.scope = nil
	for _, part := range []struct {
		e    sql.Expr
		name string
		to   *Expr
	}{{q.Limit, "LIMIT", &l.Limit}, {q.Skip, "OFFSET", &l.Offset}} {
		if part.e == nil {
			continue
		}
		inner.clause = part.name
		x, err := inner.bindExpr(part.e)
		if err != nil {
			return nil, err
		}
		*part.to, err = b.coerce(x, types.Of(types.Int8), CastAssignment, posOf(part.e))
		if err != nil && sqlerr.CodeOf(err) != sqlerr.CannotCoerce {
			return nil, err
		}
		if err != nil {
			return nil, sqlerr.New(sqlerr.DatatypeMismatch, "argument of %s must be type bigint, not type %s", part.name, x.Type()).At(part.e.Offset())
		}
	}
	if q.WithTies && len(q.OrderBy) == 0 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "WITH TIES cannot be specified without ORDER BY clause").At(q.Offset())
	}
	return l, nil
}

func (b *binder) bindValues(v *sql.Values) (Node, error) {
	width := len(v.Rows[0])
	cols := make([][]Expr, width)
	nodes := make([][]sql.Expr, width)
	inner := *b
	inner.clause = "VALUES"
	for _, row := range v.Rows {
		if len(row) != width {
			return nil, sqlerr.New(sqlerr.SyntaxError, "VALUES lists must all be the same length").At(v.Offset())
		}
		for i, e := range row {
			x, err := inner.bindExpr(e)
			if err != nil {
				return nil, err
			}
			cols[i], nodes[i] = append(cols[i], x), append(nodes[i], e)
		}
	}
	out := newValues(make([][]Expr, len(v.Rows)), make([]Col, width))
	for i := range cols {
		t, err := types.Of(types.Unknown), error(nil)
		if !allUndecided(cols[i]) {
			if t, err = b.common(cols[i], nodes[i], "VALUES"); err != nil {
				return nil, err
			}
		}
		out.P.Cols[i] = Col{Name: "column" + itoa(i+1), Type: t}
		for r := range v.Rows {
			out.Rows[r] = append(out.Rows[r], cols[i][r])
		}
	}
	if width == 0 {
		for r := range out.Rows {
			out.Rows[r] = []Expr{}
		}
	}
	return out, nil
}

func allUndecided(xs []Expr) bool {
	for _, x := range xs {
		if x.Type().Kind != types.Unknown {
			return false
		}
	}
	return true
}

func (b *binder) bindSetOp(s *sql.SetOp) (Node, error) {
	l, err := b.bindPlainBody(s.Left)
	if err != nil {
		return nil, err
	}
	r, err := b.bindPlainBody(s.Right)
	if err != nil {
		return nil, err
	}
	word := map[sql.SetOpKind]string{sql.Union: "UNION", sql.Intersect: "INTERSECT", sql.Except: "EXCEPT"}[s.Kind]
	l, r, err = b.unify(visibleOnly(l), visibleOnly(r), word, s.Pos)
	if err != nil {
		return nil, err
	}
	kind := map[sql.SetOpKind]SetOpKind{sql.Union: Union, sql.Intersect: Intersect, sql.Except: Except}[s.Kind]
	cols := append([]Col(nil), l.Props().Cols...)
	for i := range cols {
		cols[i].TableOID, cols[i].AttNum = 0, 0
	}
	return &SetOp{P: Props{Cols: cols}, Kind: kind, All: s.All, L: l, R: r}, nil
}

// unify brings two inputs to the same column types.
func (b *binder) unify(l, r Node, word string, pos sql.Pos) (Node, Node, error) {
	lc, rc := l.Props().Cols, r.Props().Cols
	if len(lc) != len(rc) {
		return nil, nil, sqlerr.New(sqlerr.SyntaxError, "each %s query must have the same number of columns", word).At(pos.Offset())
	}
	want := make([]types.Type, len(lc))
	for i := range lc {
		if lc[i].Type.Kind == types.Unknown && rc[i].Type.Kind == types.Unknown {
			want[i] = types.Of(types.Unknown)
			continue
		}
		t, ok := commonType([]types.Type{lc[i].Type, rc[i].Type})
		if !ok {
			return nil, nil, sqlerr.New(sqlerr.DatatypeMismatch, "%s types %s and %s cannot be matched", word, lc[i].Type, rc[i].Type).At(pos.Offset())
		}
		want[i] = t
	}
	l, err := b.coerceOutput(l, want, word, pos)
	if err != nil {
		return nil, nil, err
	}
	r, err = b.coerceOutput(r, want, word, pos)
	return l, r, err
}

// coerceOutput converts the columns of n to the wanted types, inside n's own expressions where they are untyped literals.
func (b *binder) coerceOutput(n Node, want []types.Type, word string, pos sql.Pos) (Node, error) {
	same := true
	for i, c := range n.Props().Cols {
		same = same && (i >= len(want) || c.Type.Equal(want[i]) || want[i].Kind == types.Unknown)
	}
	if same {
		return n, nil
	}
	switch x := n.(type) {
	case *Values:
		for _, row := range x.Rows {
			if err := b.coerceRowTo(row, want, pos); err != nil {
				return nil, err
			}
		}
		x.P.Cols = retype(x.P.Cols, want)
		return x, nil
	case *Project:
		if err := b.coerceRowTo(x.Exprs, want, pos); err != nil {
			return nil, err
		}
		x.P.Cols = retype(x.P.Cols, want)
		return x, nil
	case *SetOp:
		if hasUnknown(x.P.Cols) {
			var err error
			if x.L, err = b.coerceOutput(x.L, want, word, pos); err != nil {
				return nil, err
			}
			if x.R, err = b.coerceOutput(x.R, want, word, pos); err != nil {
				return nil, err
			}
			x.P.Cols = retype(x.P.Cols, want)
			return x, nil
		}
	}
	exprs := identity(n)
	if err := b.coerceRowTo(exprs, want, pos); err != nil {
		return nil, err
	}
	return newProject(n, exprs, retype(n.Props().Cols, want)), nil
}

func (b *binder) coerceRowTo(row []Expr, want []types.Type, pos sql.Pos) error {
	for i := range want {
		if want[i].Kind == types.Unknown || isSetCall(row[i]) && row[i].Type().Equal(want[i]) {
			continue
		}
		x, err := b.coerce(row[i], want[i], CastImplicit, pos)
		if err != nil {
			return err
		}
		row[i] = x
	}
	return nil
}

func retype(cols []Col, want []types.Type) []Col {
	out := append([]Col(nil), cols...)
	for i := range want {
		if want[i].Kind != types.Unknown {
			out[i].Type = want[i]
		}
	}
	return out
}

func hasUnknown(cols []Col) bool {
	for _, c := range cols {
		if c.Type.Kind == types.Unknown {
			return true
		}
	}
	return false
}

// settleUnknown gives columns that nothing has typed the type text, as PostgreSQL does at the end of a query.
func (b *binder) settleUnknown(n Node) (Node, error) {
	if !hasUnknown(n.Props().Cols) {
		return n, nil
	}
	switch x := n.(type) { // below these the columns are the same
	case *Sort:
		in, err := b.settleUnknown(x.In)
		if err != nil {
			return nil, err
		}
		for i := range x.By {
			x.By[i].Expr = retypeRefs(x.By[i].Expr, in)
		}
		x.In, x.P.Cols = in, in.Props().Cols
		return x, nil
	case *Limit:
		in, err := b.settleUnknown(x.In)
		if err != nil {
			return nil, err
		}
		x.In, x.P.Cols = in, in.Props().Cols
		return x, nil
	case *Distinct:
		in, err := b.settleUnknown(x.In)
		if err != nil {
			return nil, err
		}
		x.In, x.P.Cols = in, in.Props().Cols
		return x, nil
	}
	want := make([]types.Type, len(n.Props().Cols))
	for i, c := range n.Props().Cols {
		want[i] = c.Type
		if c.Type.Kind == types.Unknown {
			want[i] = types.Of(types.Text)
		}
	}
	return b.coerceOutput(n, want, "SELECT", -1)
}

func retypeRefs(e Expr, n Node) Expr {
	cols := n.Props().Cols
	return mapExpr(e, func(x Expr) Expr {
		if c, ok := x.(*ColumnRef); ok && c.Typ.Kind == types.Unknown {
			return &ColumnRef{c.Ord, cols[c.Ord].Type, c.Name}
		}
		return x
	})
}

// ordinal reads an integer constant in ORDER BY or GROUP BY as a position in the select list, from 0.
func ordinal(e sql.Expr, n int, clause string) (int, bool, error) {
	l, ok := e.(*sql.Literal)
	if !ok {
		return 0, false, nil
	}
	if l.Kind != sql.IntegerLiteral {
		return 0, false, sqlerr.New(sqlerr.SyntaxError, "non-integer constant in %s", clause).At(e.Offset())
	}
	i := atoi(l.Text)
	if i < 1 || i > n {
		return 0, false, sqlerr.New(sqlerr.InvalidColumnReference, "%s position %s is not in select list", clause, l.Text).At(e.Offset())
	}
	return i - 1, true, nil
}
