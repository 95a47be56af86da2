package expr

import "github.com/millracedb/millrace/sql/types"

func init() {
	for _, k := range []string{"int2", "int4", "int8"} {
		for name, op := range map[string]func(x, y int64) int64{
			"bit_and": func(x, y int64) int64 { return x & y },
			"bit_or":  func(x, y int64) int64 { return x | y },
			"bit_xor": func(x, y int64) int64 { return x ^ y },
		} {
			aggregate(name+"("+k+")", func(*Env, []types.Type, types.Type) Accumulator { return &bitAgg{op: op} })
		}
	}
	for _, k := range []string{"int2", "int4", "int8", "float4", "float8", "numeric"} {
		aggregate("sum_list("+k+"[])", func(env *Env, args []types.Type, ret types.Type) Accumulator {
			return &sumList{elem: *args[0].Elem, sum: aggregates["sum("+k+")"](env, []types.Type{*args[0].Elem}, ret)}
		})
	}
}

// bitAgg folds integers bit by bit.
type bitAgg struct {
	op    func(x, y int64) int64
	value int64
	some  bool
}

func (b *bitAgg) Add(a []types.Datum) error {
	if !b.some {
		b.value, b.some = a[0].I, true
		return nil
	}
	b.value = b.op(b.value, a[0].I)
	return nil
}

func (b *bitAgg) Result() (types.Datum, error) {
	if !b.some {
		return types.NullDatum, nil
	}
	return types.IntDatum(b.value), nil
}

// sumList sums the elements of arrays.
type sumList struct {
	elem types.Type
	sum  Accumulator
	one  [1]types.Datum
}

func (s *sumList) Add(a []types.Datum) error {
	it := types.NewElements(a[0].S)
	for it.Next(s.elem) {
		if it.Value.Null {
			continue
		}
		s.one[0] = it.Value
		if err := s.sum.Add(s.one[:]); err != nil {
			return err
		}
	}
	return nil
}

func (s *sumList) Result() (types.Datum, error) { return s.sum.Result() }
