package exec

import (
	"encoding/binary"
	"math"

	"github.com/millracedb/millrace/exec/vec"
)

// floatSum sums floats exactly, as a list of doubles that do not overlap (Shewchuk, "Adaptive Precision Floating-Point
// Arithmetic", 1997), so that what is retracted leaves nothing behind and order does not matter. NaN and infinities are
// counted apart, for nothing could be subtracted from them.
type floatSum struct {
	avg, single bool
	sums        []floatState
}

type floatState struct {
	n                int64
	nan, plus, minus int64
	parts            []float64 // increasing magnitude
}

func (a *floatSum) grow(n int) { a.sums = growTo(a.sums, n) }

func (a *floatSum) update(in *aggInput) error {
	arg := in.args[0]
	for _, i := range in.sel {
		if !arg.IsNull(int(i)) {
			a.sums[in.slots[i]].add(arg.F64[i], in.sign(i))
		}
	}
	return nil
}

// add takes in x, or with a negative sign takes it out. A sum beyond the range of a double is not recovered from.
func (s *floatState) add(x float64, sign int64) {
	s.n += sign
	switch {
	case x != x:
		s.nan += sign
		return
	case math.IsInf(x, 1):
		s.plus += sign
		return
	case math.IsInf(x, -1):
		s.minus += sign
		return
	}
	x *= float64(sign)
	kept := s.parts[:0]
	for _, y := range s.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		hi := x + y
		if lo := y - (hi - x); lo != 0 {
			kept = append(kept, lo)
		}
		x = hi
	}
	if x != 0 {
		kept = append(kept, x)
	}
	s.parts = kept
}

// value is the sum, rounded once.
func (s *floatState) value() float64 {
	n := len(s.parts)
	if n == 0 {
		return 0
	}
	sum, rest := s.parts[n-1], 0.0
	n--
	for n > 0 && rest == 0 {
		x, y := sum, s.parts[n-1]
		n--
		sum = x + y
		rest = y - (sum - x)
	}
	// Half an ulp is left: round to even unless the parts below push it over.
	if n > 0 && (rest < 0 && s.parts[n-1] < 0 || rest > 0 && s.parts[n-1] > 0) {
		twice := rest * 2
		if x := sum + twice; x-sum == twice {
			sum = x
		}
	}
	return sum
}

func (a *floatSum) result(slot int32, out *vec.Vector) error {
	s := &a.sums[slot]
	if s.n == 0 {
		out.AppendNull()
		return nil
	}
	x := s.sum()
	switch {
	case a.avg:
		x /= float64(s.n)
	case a.single:
		x = float64(float32(x))
	}
	out.AppendFloat(x)
	return nil
}

// sum is the value, or what NaN and infinities among the rows make of it.
func (s *floatState) sum() float64 {
	switch {
	case s.nan > 0, s.plus > 0 && s.minus > 0:
		return math.NaN()
	case s.plus > 0:
		return math.Inf(1)
	case s.minus > 0:
		return math.Inf(-1)
	default:
		return s.value()
	}
}

func (a *floatSum) encode(dst []byte, slot int32) []byte { return a.sums[slot].encode(dst) }

func (s *floatState) encode(dst []byte) []byte {
	for _, x := range []int64{s.n, s.nan, s.plus, s.minus, int64(len(s.parts))} {
		dst = binary.AppendVarint(dst, x)
	}
	for _, x := range s.parts {
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(x))
	}
	return dst
}

// maxFloatParts is how many doubles that do not overlap there can be.
const maxFloatParts = 64

func (a *floatSum) decode(slot int32, src []byte) (rest []byte, err error) {
	return a.sums[slot].decode(src)
}

func (s *floatState) decode(src []byte) (rest []byte, err error) {
	*s = floatState{}
	rest = src
	var count int64
	for _, p := range []*int64{&s.n, &s.nan, &s.plus, &s.minus, &count} {
		if *p, rest, err = takeVarint(rest); err != nil {
			return nil, err
		}
	}
	if count < 0 || count > maxFloatParts || int64(len(rest)) < 8*count {
		return nil, errCorruptAccumulator
	}
	for range count {
		s.parts = append(s.parts, math.Float64frombits(binary.BigEndian.Uint64(rest)))
		rest = rest[8:]
	}
	return rest, nil
}

// floatStateBytes is what one float sum takes, about.
const floatStateBytes = 80

func (a *floatSum) memSize() int64 { return int64(floatStateBytes * cap(a.sums)) }
