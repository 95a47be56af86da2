package expr

import (
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Grouped is an aggregate over all groups of a query at once, over vectors: the fast form of the aggregates of machine words.
type Grouped interface {
	// Grow makes room for the groups below n.
	Grow(n int)
	// Add takes the rows sel; row i belongs to group[i]. It leaves out rows whose argument is NULL.
	Add(args []*vec.Vector, sel, group []int32) error
	// Result returns the aggregate of group g.
	Result(g int) (types.Datum, error)
}

// NewGrouped makes the fast form of an aggregate; ok is false if it has none.
func NewGrouped(f *planner.Func, args []types.Type, ret types.Type) (g Grouped, ok bool) {
	switch f.Name {
	case "count":
		return &groupedCount{}, true
	case "sum", "avg":
		switch {
		case kindOfInt(args[0].Kind) > 0:
			return &groupedIntSum{small: ret.Kind == types.Int8, mean: f.Name == "avg"}, true
		case args[0].Kind.Storage() == types.StoreFloat:
			return &groupedFloatSum{single: ret.Kind == types.Float4, mean: f.Name == "avg"}, true
		}
	case "min", "max":
		sign := 1
		if f.Name == "min" {
			sign = -1
		}
		switch args[0].Kind.Storage() {
		case types.StoreInt:
			return &groupedIntExtreme{max: sign > 0}, true
		case types.StoreFloat:
			return &groupedFloatExtreme{sign: sign}, true
		}
	}
	return nil, false
}

// grown returns s with room for n zero elements.
func grown[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return append(s, make([]T, n-len(s))...)
}

type groupedCount struct{ n []int64 }

func (g *groupedCount) Grow(n int) { g.n = grown(g.n, n) }

func (g *groupedCount) Add(args []*vec.Vector, sel, group []int32) error {
	if len(args) == 0 || !args[0].HasNulls() {
		for _, i := range sel {
			g.n[group[i]]++
		}
		return nil
	}
	for _, i := range sel {
		g.n[group[i]] += b2i(!args[0].IsNull(int(i)))
	}
	return nil
}

func (g *groupedCount) Result(i int) (types.Datum, error) { return types.IntDatum(g.n[i]), nil }

type groupedIntSum struct {
	sums        []intSum
	small, mean bool
}

func (g *groupedIntSum) Grow(n int) { g.sums = grown(g.sums, n) }

func (g *groupedIntSum) Add(args []*vec.Vector, sel, group []int32) error {
	v := args[0]
	nulls := v.HasNulls()
	for _, i := range sel {
		if nulls && v.IsNull(int(i)) {
			continue
		}
		g.sums[group[i]].add(v.I64[i])
	}
	return nil
}

func (g *groupedIntSum) Result(i int) (types.Datum, error) {
	s := g.sums[i]
	s.small, s.mean = g.small, g.mean
	return s.Result()
}

type groupedFloatSum struct {
	sums         []floatSum
	single, mean bool
}

func (g *groupedFloatSum) Grow(n int) {
	from := len(g.sums)
	g.sums = grown(g.sums, n)
	for i := from; i < len(g.sums); i++ {
		g.sums[i].single, g.sums[i].mean = g.single, g.mean
	}
}

func (g *groupedFloatSum) Add(args []*vec.Vector, sel, group []int32) error {
	v := args[0]
	nulls := v.HasNulls()
	for _, i := range sel {
		if nulls && v.IsNull(int(i)) {
			continue
		}
		if err := g.sums[group[i]].add(v.F64[i]); err != nil {
			return err
		}
	}
	return nil
}

func (g *groupedFloatSum) Result(i int) (types.Datum, error) { return g.sums[i].Result() }

type groupedIntExtreme struct {
	best []int64
	some []bool
	max  bool
}

func (g *groupedIntExtreme) Grow(n int) { g.best, g.some = grown(g.best, n), grown(g.some, n) }

func (g *groupedIntExtreme) Add(args []*vec.Vector, sel, group []int32) error {
	v := args[0]
	nulls := v.HasNulls()
	for _, i := range sel {
		if nulls && v.IsNull(int(i)) {
			continue
		}
		k, x := group[i], v.I64[i]
		if !g.some[k] || g.max && x > g.best[k] || !g.max && x < g.best[k] {
			g.best[k], g.some[k] = x, true
		}
	}
	return nil
}

func (g *groupedIntExtreme) Result(i int) (types.Datum, error) {
	if !g.some[i] {
		return types.NullDatum, nil
	}
	return types.IntDatum(g.best[i]), nil
}

type groupedFloatExtreme struct {
	best []float64
	some []bool
	sign int
}

func (g *groupedFloatExtreme) Grow(n int) { g.best, g.some = grown(g.best, n), grown(g.some, n) }

func (g *groupedFloatExtreme) Add(args []*vec.Vector, sel, group []int32) error {
	v := args[0]
	nulls := v.HasNulls()
	for _, i := range sel {
		if nulls && v.IsNull(int(i)) {
			continue
		}
		k, x := group[i], v.F64[i]
		if !g.some[k] || g.better(x, g.best[k]) {
			g.best[k], g.some[k] = x, true
		}
	}
	return nil
}

// better orders NaN above all else, as PostgreSQL does.
func (g *groupedFloatExtreme) better(x, y float64) bool {
	if math.IsNaN(x) || math.IsNaN(y) {
		return types.CompareFloat(x, y)*g.sign > 0
	}
	return g.sign > 0 && x > y || g.sign < 0 && x < y
}

func (g *groupedFloatExtreme) Result(i int) (types.Datum, error) {
	if !g.some[i] {
		return types.NullDatum, nil
	}
	return types.FloatDatum(g.best[i]), nil
}
