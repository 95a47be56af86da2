package types

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"strings"
	"unsafe"
)

// Compare returns -1, 0 or 1 as a sorts before, with or after b, both of type t. The order is PostgreSQL's: NaN above all
// numbers, numerics by value, text by bytes (C collation), intervals by length, arrays element by element. NULL sorts after
// every value and equal to itself, as ORDER BY and keys need it; the = of SQL never sees NULL.
func Compare(t Type, a, b Datum) int {
	if a.Null || b.Null {
		switch {
		case a.Null && b.Null:
			return 0
		case a.Null:
			return 1
		}
		return -1
	}
	switch t.Kind {
	case Numeric:
		return compareNumeric(a.S, b.S)
	case Interval:
		return IntervalOf(a).Cmp(IntervalOf(b))
	case JSONB, Map:
		if a.S == b.S {
			return 0
		}
		return bytes.Compare(appendJSONKey(nil, a.S), appendJSONKey(nil, b.S))
	case Array, Int2Vector, OIDVector:
		return compareArrays(t.elemType(), a.S, b.S)
	case Struct, Record:
		return compareStructs(t.Fields, a.S, b.S)
	}
	switch t.Kind.Storage() {
	case StoreInt:
		return cmp.Compare(a.I, b.I)
	case StoreFloat:
		return CompareFloat(a.F, b.F)
	default:
		return strings.Compare(a.S, b.S)
	}
}

// CompareFloat orders floats as PostgreSQL does: NaN equals itself and is greatest, -0 equals 0.
func CompareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	}
	return -1
}

// numericRank puts -Infinity, numbers, Infinity and NaN in order.
func numericRank(s string) int {
	switch s {
	case "-Infinity":
		return -1
	case "Infinity":
		return 1
	case "NaN":
		return 2
	}
	return 0
}

// compareNumeric compares canonical numeric text by value without taking it apart.
func compareNumeric(a, b string) int {
	if a == b {
		return 0
	}
	ra, rb := numericRank(a), numericRank(b)
	if ra != 0 || rb != 0 {
		return cmp.Compare(ra, rb)
	}
	negative := strings.HasPrefix(a, "-")
	if negative != strings.HasPrefix(b, "-") {
		if negative {
			return -1
		}
		return 1
	}
	if negative {
		a, b = b[1:], a[1:]
	}
	ai, af, _ := strings.Cut(a, ".")
	bi, bf, _ := strings.Cut(b, ".")
	if len(ai) != len(bi) {
		return cmp.Compare(len(ai), len(bi))
	}
	if c := strings.Compare(ai, bi); c != 0 {
		return c
	}
	return strings.Compare(strings.TrimRight(af, "0"), strings.TrimRight(bf, "0"))
}

// CompareNumeric compares two numerics given as their canonical text.
func CompareNumeric(a, b string) int { return compareNumeric(a, b) }

func compareArrays(elem Type, a, b string) int {
	x, y := NewElements(a), NewElements(b)
	for {
		okX, okY := x.Next(elem), y.Next(elem)
		switch {
		case !okX && !okY:
			return 0
		case !okX:
			return -1
		case !okY:
			return 1
		}
		if c := Compare(elem, x.Value, y.Value); c != 0 {
			return c
		}
	}
}

func compareStructs(fields []Field, a, b string) int {
	x, y := NewElements(a), NewElements(b)
	for _, f := range fields {
		if !x.Next(f.Type) {
			x.Value = NullDatum
		}
		if !y.Next(f.Type) {
			y.Value = NullDatum
		}
		if c := Compare(f.Type, x.Value, y.Value); c != 0 {
			return c
		}
	}
	return 0
}

// Hash returns a 64-bit hash of d that is equal for values that compare equal, the same in every process and release. It
// is for hash tables and partial aggregates in memory; records are placed by murmur2 over their key bytes.
func Hash(t Type, d Datum) uint64 {
	if d.Null {
		return hashSeed
	}
	switch t.Kind {
	case Numeric:
		return hashNumeric(d.S)
	case Interval:
		hi, lo := IntervalOf(d).span()
		return HashInt(int64(lo) ^ hi<<1)
	case JSONB, Map, Array, Int2Vector, OIDVector, Struct, Record:
		var buf [256]byte
		return HashBytes(appendKeyValue(buf[:0], t, d))
	}
	switch t.Kind.Storage() {
	case StoreInt:
		return HashInt(d.I)
	case StoreFloat:
		return HashInt(int64(orderedFloat(d.F)))
	default:
		return HashString(d.S)
	}
}

const (
	hashSeed = 0x9E3779B97F4A7C15
	hashMul1 = 0xA0761D6478BD642F
	hashMul2 = 0xE7037ED1A0B428DB
)

// fold multiplies to 128 bits and folds the halves together.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// HashInt hashes one word.
func HashInt(i int64) uint64 { return fold(uint64(i)^hashSeed, hashMul1) }

// HashBytes hashes bytes.
func HashBytes(b []byte) uint64 {
	h := uint64(hashSeed) ^ uint64(len(b))
	for len(b) >= 8 {
		h = fold(h^le64(b), hashMul1)
		b = b[8:]
	}
	var tail uint64
	for i, c := range b {
		tail |= uint64(c) << (8 * i)
	}
	return fold(h^tail, hashMul2)
}

// HashString hashes the bytes of s, as HashBytes does.
func HashString(s string) uint64 { return HashBytes(unsafe.Slice(unsafe.StringData(s), len(s))) }

func le64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// hashNumeric leaves out trailing zeros after the point, which do not change the value.
func hashNumeric(s string) uint64 {
	if strings.IndexByte(s, '.') >= 0 {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return HashString(s)
}
