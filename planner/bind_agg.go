package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// settleAgg binds FILTER and does what single aggregates ask for beyond their signature.
func (b *binder) settleAgg(agg *Agg, e *sql.FuncCall) (err error) {
	if e.Filter != nil {
		if agg.Filter, err = b.bindCondition(e.Filter, "FILTER"); err != nil {
			return err
		}
	}
	switch agg.Func.Name {
	case "count_distinct":
		agg.Func, agg.Distinct = findFunc("count(any)"), true
	case "histogram":
		agg.Typ = types.MapOf(types.Of(types.Int8))
	case "latest_by_offset", "earliest_by_offset", "topk", "topkdistinct":
		for _, x := range agg.Args[1:] {
			if !constant(x) {
				return sqlerr.New(sqlerr.InvalidParameterValue, "the arguments of %s after the first must be constants", agg.Func.Name).At(e.Offset())
			}
		}
	}
	return nil
}

// constant reports whether an expression has the same value for all rows of a query.
func constant(e Expr) bool {
	return !pinned(e) && !hasSubquery(e) && !anyExpr(e, func(x Expr) bool {
		switch x.(type) {
		case *ColumnRef, *OuterRef, *aggRef, *windowRef, *windowBound:
			return true
		}
		return false
	})
}

// bindOrderedSet binds an aggregate with WITHIN GROUP (PostgreSQL docs, 4.2.7).
func (b *binder) bindOrderedSet(e *sql.FuncCall) (*Agg, error) {
	fs := overloads(e.Name, OrderedSetFunc)
	switch {
	case len(fs) == 0:
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", e.Name).At(e.Offset())
	case !e.WithinGroup:
		return nil, sqlerr.New(sqlerr.WrongObjectType, "WITHIN GROUP is required for ordered-set aggregate %s", e.Name).At(e.Offset())
	case e.Distinct:
		return nil, sqlerr.New(sqlerr.SyntaxError, "cannot use DISTINCT with WITHIN GROUP").At(e.Offset())
	case e.Over != nil:
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "OVER is not supported for ordered-set aggregate %s", e.Name).At(e.Offset())
	}
	direct, _, err := b.bindArgs(e)
	if err != nil {
		return nil, err
	}
	by, err := b.bindSortKeys(e.OrderBy)
	if err != nil {
		return nil, err
	}
	args := append([]Expr(nil), direct...)
	for _, k := range by {
		args = append(args, k.Expr)
	}
	if fs[0].Variadic {
		if len(direct) != len(by) {
			return nil, sqlerr.New(sqlerr.UndefinedFunction, "%s needs as many arguments as WITHIN GROUP has expressions: %d, not %d", e.Name, len(by), len(direct)).
				At(e.Offset())
		}
		for i := range direct {
			if args[i], err = b.coerce(direct[i], by[i].Expr.Type(), CastImplicit, e.Pos); err != nil {
				return nil, err
			}
		}
	}
	call, err := b.callOverload(e.Name, fs, args, e.Pos, false)
	if err != nil {
		return nil, err
	}
	agg := &Agg{Func: call.Func, Args: call.Args[:len(direct)], OrderBy: by, Typ: call.Typ, Name: e.Name}
	for i := range by {
		agg.OrderBy[i].Expr = call.Args[len(direct)+i]
	}
	for _, x := range agg.Args {
		if !constant(x) {
			return nil, notYet("a direct argument of "+e.Name+" that differs from row to row", "it is evaluated once for the query", "a constant", e.Pos)
		}
	}
	return agg, b.settleAgg(agg, e)
}

// checkConstants checks the constant arguments of an aggregate as far as they are folded, so that a query that lives for ever is refused at once.
func checkConstants(g Agg) error {
	for i, x := range g.Args {
		c, ok := x.(*Const)
		if !ok || c.Val.Null {
			continue
		}
		switch g.Func.Name {
		case "latest_by_offset", "earliest_by_offset", "topk", "topkdistinct":
			if i > 0 && c.Typ.Kind != types.Bool && c.Val.I < 1 {
				return sqlerr.New(sqlerr.InvalidParameterValue, "the number of values of %s must be positive", g.Func.Name)
			}
		case "percentile_cont", "percentile_disc":
			fractions := []types.Datum{c.Val}
			if c.Typ.Kind == types.Array {
				fractions = nil
				for it := types.NewElements(c.Val.S); it.Next(*c.Typ.Elem); {
					fractions = append(fractions, it.Value)
				}
			}
			for _, f := range fractions {
				if !f.Null && !(f.F >= 0 && f.F <= 1) {
					return sqlerr.New(sqlerr.NumericValueOutOfRange, "percentile value %g is not between 0 and 1", f.F)
				}
			}
		}
	}
	return nil
}
