package expr

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Accumulator is an aggregate over bounded rows: it only ever grows. (Over changes, package exec has accumulators that
// retract.) Strict aggregates are not given rows with a NULL argument.
type Accumulator interface {
	// Add takes one row. Texts alias the row and are copied if they are kept.
	Add(args []types.Datum) error
	// Result returns the aggregate of the rows so far.
	Result() (types.Datum, error)
}

// CountedAccumulator is an Accumulator that takes many equal rows at once.
type CountedAccumulator interface {
	AddCount(args []types.Datum, count int64) error
}

// newAccumulator makes an accumulator for arguments of the given types and a result of type ret.
type newAccumulator func(env *Env, args []types.Type, ret types.Type) Accumulator

var aggregates = map[string]newAccumulator{}

// NewAccumulator makes an accumulator of f. Texts that it makes of values follow the settings of env.
func NewAccumulator(env *Env, f *planner.Func, args []types.Type, ret types.Type) (Accumulator, error) {
	n, ok := aggregates[f.ID()]
	if !ok {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "aggregate %s is not supported yet", f.ID())
	}
	return n(env, args, ret), nil
}

// ImplementedAggregate reports whether the aggregate can run over bounded rows.
func ImplementedAggregate(f *planner.Func) bool {
	_, ok := aggregates[f.ID()]
	return ok
}
