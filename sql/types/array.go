package types

import (
	"encoding/binary"
	"math"
)

// Arrays, structs and records are held as one byte string:
//
//	uvarint  number of elements (fields)
//	per element: uvarint 0 for NULL, else 1 + the length of its payload, then the payload: integers as zig-zag
//	varint, floats as 8 bytes big endian of their IEEE 754 bits, everything else as its bytes
//
// Arrays have one dimension, with subscripts from 1 (int2vector and oidvector: from 0). The equal values have equal bytes
// only if their elements do, so compare with Compare.

// MaxArrayElements bounds an array.
const MaxArrayElements = 1 << 26

// appendElement appends one element of type t.
func appendElement(dst []byte, t Type, d Datum) []byte {
	if d.Null {
		return append(dst, 0)
	}
	switch t.Kind.Storage() {
	case StoreInt:
		var buf [binary.MaxVarintLen64]byte
		n := binary.PutVarint(buf[:], d.I)
		return append(append(dst, byte(n+1)), buf[:n]...)
	case StoreFloat:
		return binary.BigEndian.AppendUint64(append(dst, 9), math.Float64bits(d.F))
	default:
		dst = binary.AppendUvarint(dst, uint64(len(d.S))+1)
		return append(dst, d.S...)
	}
}

// AppendArray appends the encoding of an array.
func AppendArray(dst []byte, elem Type, elems []Datum) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(elems)))
	for _, d := range elems {
		dst = appendElement(dst, elem, d)
	}
	return dst
}

// ArrayDatum boxes an array.
func ArrayDatum(elem Type, elems []Datum) Datum {
	return BytesDatum(string(AppendArray(nil, elem, elems)))
}

// AppendStruct appends the encoding of a struct or record of the fields.
func AppendStruct(dst []byte, fields []Field, values []Datum) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	for i, d := range values {
		dst = appendElement(dst, fields[i].Type, d)
	}
	return dst
}

// StructDatum boxes a struct or record.
func StructDatum(fields []Field, values []Datum) Datum {
	return BytesDatum(string(AppendStruct(nil, fields, values)))
}

// Elements walks over the elements of an array, or the fields of a struct. Datums that Next gives alias the encoding.
//
//	for it := types.NewElements(s); it.Next(elem); { use(it.Value) }
type Elements struct {
	// Value is the element that Next came to.
	Value Datum
	rest  string
	left  int
}

// NewElements returns a walk over an encoded array or struct.
func NewElements(s string) Elements {
	n, rest := stringUvarint(s)
	if n > uint64(len(rest)) { // each element takes a byte
		n, rest = 0, ""
	}
	return Elements{rest: rest, left: int(n)}
}

// Left returns how many elements Next has not come to.
func (e *Elements) Left() int { return e.left }

// Next goes to the next element, of type t, and reports whether there is one.
func (e *Elements) Next(t Type) bool {
	if e.left == 0 {
		return false
	}
	e.left--
	size, rest := stringUvarint(e.rest)
	if size == 0 || size-1 > uint64(len(rest)) {
		e.Value, e.rest = NullDatum, rest
		return true
	}
	payload := rest[:size-1]
	e.rest = rest[size-1:]
	switch t.Kind.Storage() {
	case StoreInt:
		u, _ := stringUvarint(payload)
		e.Value = IntDatum(int64(u>>1) ^ -int64(u&1))
	case StoreFloat:
		var bits uint64
		for i := range len(payload) {
			bits = bits<<8 | uint64(payload[i])
		}
		e.Value = FloatDatum(math.Float64frombits(bits))
	default:
		e.Value = BytesDatum(payload)
	}
	return true
}

// stringUvarint is binary.Uvarint over a string; 0 and "" for a bad one.
func stringUvarint(s string) (uint64, string) {
	var x uint64
	for i := range min(len(s), binary.MaxVarintLen64) {
		x |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return x, s[i+1:]
		}
	}
	return 0, ""
}

// ArrayLen returns the number of elements of an encoded array or fields of a struct.
func ArrayLen(s string) int {
	e := NewElements(s)
	return e.left
}

// ArrayElements returns the elements of an encoded array; they alias s.
func ArrayElements(elem Type, s string) []Datum {
	it := NewElements(s)
	out := make([]Datum, 0, it.left)
	for it.Next(elem) {
		out = append(out, it.Value)
	}
	return out
}

// ArrayAt returns element i, from 0, of an encoded array; NULL outside it, as a subscript gives.
func ArrayAt(elem Type, s string, i int64) Datum {
	it := NewElements(s)
	if i < 0 || i >= int64(it.left) {
		return NullDatum
	}
	for range i + 1 {
		it.Next(elem)
	}
	return it.Value
}

// StructField returns field i, from 0, of an encoded struct; NULL if it was written before the field was added.
func StructField(fields []Field, s string, i int) Datum {
	it := NewElements(s)
	for k := range i + 1 {
		if !it.Next(fields[k].Type) {
			return NullDatum
		}
	}
	return it.Value
}

// elemType returns the type of an array kind's elements.
func (t Type) elemType() Type {
	switch t.Kind {
	case Int2Vector:
		return Of(Int2)
	case OIDVector:
		return Of(OID)
	}
	return *t.Elem
}
