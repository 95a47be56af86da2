package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// barred is the query under its own name where that may not stand; an empty where is anywhere in a query that is no UNION.
func (c *cte) barred(where string) *cte {
	self := *c
	if where == "" {
		where = notRecursive
	}
	self.work = &workTable{barred: where}
	return &self
}

const notRecursive = "without UNION"

// wrongRecursion is PostgreSQL's error for a recursive query that names itself where it may not.
func wrongRecursion(name, where string, pos sql.Pos) error {
	if where == notRecursive {
		return sqlerr.New(sqlerr.InvalidRecursion, "recursive query %q does not have the form non-recursive-term UNION [ALL] recursive-term", name).At(pos.Offset())
	}
	return sqlerr.New(sqlerr.InvalidRecursion, "recursive reference to query %q must not appear %s", name, where).At(pos.Offset())
}

// checkRecursion refuses recursive terms that have no meaning, as PostgreSQL does: the rows of the last round may be read once, not where a row's
// absence counts, and not by an aggregate.
func checkRecursion(name string, id int, rec Node, at sql.QueryBody) error {
	pos := sql.Pos(at.Offset())
	reads, where := 0, ""
	var visit func(n Node, context string)
	visit = func(n Node, context string) {
		if w, ok := n.(*WorkScan); ok && w.ID == id {
			if reads++; context != "" && where == "" {
				where = context
			} else if reads > 1 && where == "" {
				where = "more than once"
			}
		}
		for _, s := range subplans(n) {
			visit(s.Plan, "within a subquery")
		}
		for i, in := range n.Inputs() {
			inner := context
			switch x := n.(type) {
			case *Join:
				if inner == "" && (x.Kind == FullJoin || x.Kind == LeftJoin && i == 1 || x.Kind == RightJoin && i == 0) {
					inner = "within an outer join"
				}
			case *SetOp:
				if inner == "" && x.Kind == Except && (i == 1 || x.All) {
					inner = "within EXCEPT"
				} else if inner == "" && x.Kind == Intersect && x.All {
					inner = "within INTERSECT"
				}
			}
			visit(in, inner)
		}
	}
	visit(rec, "")
	if where != "" {
		return wrongRecursion(name, where, pos)
	}
	var err error
	visitNodes(rec, func(n Node) {
		if a, ok := n.(*Aggregate); ok && len(a.Aggs) > 0 && readsDirectly(a.In, id) {
			err = sqlerr.New(sqlerr.InvalidRecursion, "aggregate functions are not allowed in a recursive query's recursive term").At(pos.Offset())
		}
	})
	return err
}

// readsDirectly tells whether the FROM that n is made of names the last round itself.
func readsDirectly(n Node, id int) bool {
	switch x := n.(type) {
	case *WorkScan:
		return x.ID == id
	case *Filter:
		return readsDirectly(x.In, id)
	case *Join:
		return readsDirectly(x.L, id) || readsDirectly(x.R, id)
	}
	return false
}
