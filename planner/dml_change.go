package planner

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// PlanUpdate plans an UPDATE.
func (p *Planner) PlanUpdate(ctx context.Context, stmt *sql.Update, hints []types.Type) (*DML, error) {
	st := p.begin(ctx, hints)
	st.with = stmt.With
	out, src, err := st.binder().bindUpdate(stmt)
	if err != nil {
		return nil, err
	}
	return st.finishDML(out, src)
}

func (b *binder) bindUpdate(stmt *sql.Update) (*DML, Node, error) {
	c := &changer{b: b, out: &DML{Kind: DMLUpdate, Rowtime: -1}}
	if stmt.CurrentOf != "" {
		return nil, nil, notYet("WHERE CURRENT OF", "cursors hold no place in a table", "a condition on the key", stmt.Pos)
	}
	if err := c.open("update", stmt.With, stmt.Table, stmt.From, stmt.Where); err != nil {
		return nil, nil, err
	}
	set, err := c.b.bindAssignments(c.out.Rel, stmt.Set)
	if err != nil {
		return nil, nil, err
	}
	for i, x := range set {
		if ref, plain := x.(*ColumnRef); !plain || ref.Ord != i {
			c.out.Targets = append(c.out.Targets, i)
		}
		if hasSubquery(x) { // computed once, by the source
			x = c.computed(x)
		} else {
			x = remapCols(x, c.use)
		}
		c.out.New = append(c.out.New, x)
	}
	if err := c.b.bindReturning(c.out, stmt.Returning, c.b.scope, c.use); err != nil {
		return nil, nil, err
	}
	return c.close()
}

// PlanDelete plans a DELETE.
func (p *Planner) PlanDelete(ctx context.Context, stmt *sql.Delete, hints []types.Type) (*DML, error) {
	st := p.begin(ctx, hints)
	st.with = stmt.With
	out, src, err := st.binder().bindDelete(stmt)
	if err != nil {
		return nil, err
	}
	return st.finishDML(out, src)
}

func (b *binder) bindDelete(stmt *sql.Delete) (*DML, Node, error) {
	c := &changer{b: b, out: &DML{Kind: DMLDelete, Rowtime: -1}}
	if stmt.CurrentOf != "" {
		return nil, nil, notYet("WHERE CURRENT OF", "cursors hold no place in a table", "a condition on the key", stmt.Pos)
	}
	if err := c.open("delete from", stmt.With, stmt.Table, stmt.Using, stmt.Where); err != nil {
		return nil, nil, err
	}
	if err := c.b.bindReturning(c.out, stmt.Returning, c.b.scope, c.use); err != nil {
		return nil, nil, err
	}
	return c.close()
}

// changer builds UPDATE and DELETE: a source of matched rows, and expressions over its output.
type changer struct {
	b    *binder
	out  *DML
	node Node
	// exprs are the source's columns so far: those of the relation, then what else is used.
	exprs []Expr
	cols  []Col
}

func (c *changer) open(verb string, with *sql.With, table *sql.Table, from []sql.FromItem, where sql.Expr) error {
	if with != nil {
		if err := c.b.addCTEs(with); err != nil {
			return err
		}
	}
	rel, err := c.b.st.relation(table.Name)
	if err != nil {
		return err
	}
	if err := checkWritable(rel, verb, table.Offset()); err != nil {
		return err
	}
	if !rel.Ordinary {
		kind := "a stream"
		if rel.Kind == Table {
			kind = "a table over a topic"
		}
		return sqlerr.New(sqlerr.WrongObjectType, "cannot %s %q: it is %s", verb, rel.Name, kind).
			WithHint("UPDATE and DELETE are for ordinary tables; in a table over a topic, INSERT writes a key again.").At(table.Offset())
	}
	c.out.Rel = rel
	scan, sc := newScan(rel)
	if table.Alias != nil {
		if err := renameScope(sc, table.Alias, rel.Name, table.Pos); err != nil {
			return err
		}
	}
	c.b.st.noteRead(rel)
	c.node = scan
	for _, it := range from {
		r, rs, lateral, err := c.b.bindRight(it, sc)
		if err != nil {
			return err
		}
		if sc, err = joinScopes(sc, rs); err != nil {
			return sqlerr.From(err).At(it.Offset())
		}
		c.node = newJoin(&Join{L: c.node, R: r, Kind: CrossJoin, Lateral: lateral})
	}
	c.b.scope = sc
	for i, col := range rel.Columns {
		c.exprs = append(c.exprs, &ColumnRef{Ord: i, Typ: col.Type, Name: col.Name})
		c.cols = append(c.cols, Col{Name: col.Name, Type: col.Type})
	}
	if where == nil {
		return nil
	}
	c.b.clause = "WHERE"
	cond, err := c.b.bindCondition(where, "WHERE")
	if err != nil {
		return err
	}
	var again []Expr
	for _, x := range conjuncts(cond) {
		if !hasSubquery(x) {
			again = append(again, remapCols(x, c.use))
		}
	}
	c.out.Where = conjunction(again)
	c.node = newFilter(c.node, cond)
	c.b.clause = "UPDATE"
	return nil
}

// use returns where column ord of the bound row is in the source's output, which it joins on first use.
func (c *changer) use(ord int) int {
	n := len(c.out.Rel.Columns)
	if ord < n {
		return ord
	}
	for i := n; i < len(c.exprs); i++ {
		if ref, ok := c.exprs[i].(*ColumnRef); ok && ref.Ord == ord {
			return i
		}
	}
	col := c.node.Props().Cols[ord]
	return c.compute(&ColumnRef{Ord: ord, Typ: col.Type, Name: col.Name})
}

// compute adds an expression over the bound row to the source's output.
func (c *changer) compute(x Expr) int {
	c.exprs = append(c.exprs, x)
	c.cols = append(c.cols, Col{Name: "extra" + itoa(len(c.exprs)-len(c.out.Rel.Columns)), Type: x.Type()})
	return len(c.exprs) - 1
}

// computed has the source compute x, or, of several columns that are set from one subquery's row, the row.
func (c *changer) computed(x Expr) Expr {
	field, ok := x.(*FieldRef)
	if cast, isCast := x.(*Cast); isCast {
		field, ok = cast.Arg.(*FieldRef)
	}
	if !ok {
		return &ColumnRef{Ord: c.compute(x), Typ: x.Type()}
	}
	ord := slices.Index(c.exprs, field.Arg)
	if ord < 0 {
		ord = c.compute(field.Arg)
	}
	return replaceTop(x, func(e Expr) (Expr, bool) {
		return &ColumnRef{Ord: ord, Typ: field.Arg.Type()}, e == field.Arg
	})
}

func (c *changer) close() (*DML, Node, error) {
	c.out.Extra = len(c.exprs) - len(c.out.Rel.Columns)
	return c.out, newProject(c.node, c.exprs, c.cols), nil
}
