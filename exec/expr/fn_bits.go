package expr

import (
	"math/bits"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Bits and ends of byte strings (PostgreSQL docs, 9.5).

func init() {
	row("get_bit(bytea,int8)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		at, err := bitIndex(a)
		if err != nil {
			return types.NullDatum, err
		}
		return types.IntDatum(int64(a[0].S[at/8] >> (at % 8) & 1)), nil
	})
	row("set_bit(bytea,int8,int4)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		at, err := bitIndex(a)
		if err != nil {
			return types.NullDatum, err
		}
		out := []byte(a[0].S)
		switch a[2].I {
		case 0:
			out[at/8] &^= 1 << (at % 8)
		case 1:
			out[at/8] |= 1 << (at % 8)
		default:
			return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "new bit must be 0 or 1")
		}
		return types.BytesDatum(string(out)), nil
	})
	row("bit_count(bytea)", integer(func(a []types.Datum) int64 {
		n := 0
		for i := range len(a[0].S) {
			n += bits.OnesCount8(a[0].S[i])
		}
		return int64(n)
	}))
	for name, ends := range map[string]struct{ left, right bool }{"btrim": {true, true}, "ltrim": {left: true}, "rtrim": {right: true}} {
		row(name+"(bytea,bytea)", text(func(a []types.Datum) string { return trimBytes(a[0].S, a[1].S, ends.left, ends.right) }))
	}
	overlay := func(_ *Call, a []types.Datum) (types.Datum, error) {
		s, by, from := a[0].S, a[1].S, a[2].I
		count := int64(len(by))
		if len(a) > 3 {
			count = a[3].I
		}
		if from <= 0 {
			return types.NullDatum, sqlerr.New("22011", "negative substring length not allowed")
		}
		n := int64(len(s))
		return types.BytesDatum(s[:min(from-1, n)] + by + s[min(max(from-1+count, 0), n):]), nil
	}
	row("overlay(bytea,bytea,int4)", overlay)
	row("overlay(bytea,bytea,int4,int4)", overlay)
}

func bitIndex(a []types.Datum) (int64, error) {
	if n := int64(len(a[0].S)) * 8; a[1].I < 0 || a[1].I >= n {
		return 0, sqlerr.New(sqlerr.ArraySubscriptError, "index %d out of valid range, 0..%d", a[1].I, n-1)
	}
	return a[1].I, nil
}

// trimBytes removes bytes of set from the ends of s.
func trimBytes(s, set string, left, right bool) string {
	var in [256]bool
	for i := range len(set) {
		in[set[i]] = true
	}
	for left && s != "" && in[s[0]] {
		s = s[1:]
	}
	for right && s != "" && in[s[len(s)-1]] {
		s = s[:len(s)-1]
	}
	return s
}
