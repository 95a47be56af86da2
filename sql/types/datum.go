package types

// Datum is one value of one column: a comparable, pointer-poor box for literals, parameters, keys and the slow path.
// The static Type travels beside it; which member counts follows from Kind.Storage. A Datum owns its bytes (S is a
// string), so it may be kept.
type Datum struct {
	Null bool
	I    int64
	F    float64
	S    string
}

// NullDatum is SQL NULL of any type.
var NullDatum = Datum{Null: true}

// IntDatum boxes a value of a StoreInt kind.
func IntDatum(i int64) Datum { return Datum{I: i} }

// FloatDatum boxes a value of a StoreFloat kind.
func FloatDatum(f float64) Datum { return Datum{F: f} }

// BytesDatum boxes a value of a StoreBytes kind.
func BytesDatum(s string) Datum { return Datum{S: s} }

// BoolDatum boxes a Bool.
func BoolDatum(b bool) Datum {
	if b {
		return Datum{I: 1}
	}
	return Datum{}
}
