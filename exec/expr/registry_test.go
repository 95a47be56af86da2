package expr

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/planner"
)

func TestEveryFunctionOfThePlannerIsImplemented(t *testing.T) {
	var missing []string
	known := map[string]bool{}
	for _, f := range planner.Functions() {
		known[f.ID()] = true
		ok := true
		switch f.Kind {
		case planner.ScalarFunc:
			ok = Implemented(f)
		case planner.AggregateFunc:
			ok = ImplementedAggregate(f)
		case planner.SetFunc:
			ok = ImplementedSet(f)
		case planner.OrderedSetFunc:
			ok = ImplementedOrderedSet(f)
		case planner.WindowOnlyFunc: // the operator itself computes them
		}
		if !ok {
			missing = append(missing, f.ID())
		}
	}
	require.Empty(t, missing)
	var strays []string
	for id := range registry {
		if !known[id] {
			strays = append(strays, id)
		}
	}
	slices.Sort(strays)
	require.Empty(t, strays, "implemented, but not in the planner's tables")
}
