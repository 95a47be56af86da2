package types

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"strings"
)

// Keys are bytes whose memcmp order is Compare's order, with NULL after every value as in an ascending index:
//
//	value  0x01, then by kind; NULL  0x02
//	integers    big endian with the sign bit flipped: 1 byte bool, 2 int2, 4 int4 and date, 8 others
//	floats      8 bytes: sign bit flipped, or all bits for negatives; -0 as 0; one NaN, above infinity
//	bytes       each 0x00 as 0x00 0xFF, at the end 0x00 0x01
//	numeric     a class byte (-inf 0x08, negative 0x10, zero 0x18, positive 0x20, inf 0x28, NaN 0x30); then the decimal
//	            exponent, 4 bytes, sign flipped; then digits 1 to 10 for 0 to 9 without trailing zeros, end 0x00; all but the class
//	            byte is inverted for negatives
//	interval    the 128 bits of its length in microseconds, sign flipped
//	arrays      0x01 and a value or 0x02 for NULL per element, end 0x00; structs the same
//	jsonb       see jsonb.go
//
// A descending key has all its bytes inverted. Values that compare equal have the same key, so what tells them apart is lost:
// a numeric's trailing zeros (put back for numeric(p,s)), an interval's split into months, days and time, -0.
const (
	keyEnd   = 0x00
	keyValue = 0x01
	keyNull  = 0x02
)

var errCorruptKey = errors.New("corrupt key encoding")

// AppendKey appends the key of d, a value of t or NULL.
func AppendKey(dst []byte, t Type, d Datum) []byte {
	if d.Null {
		return append(dst, keyNull)
	}
	return appendKeyValue(append(dst, keyValue), t, d)
}

// AppendKeyDesc appends the key of d for a descending order.
func AppendKeyDesc(dst []byte, t Type, d Datum) []byte {
	mark := len(dst)
	dst = AppendKey(dst, t, d)
	for i := mark; i < len(dst); i++ {
		dst[i] = ^dst[i]
	}
	return dst
}

func appendKeyValue(dst []byte, t Type, d Datum) []byte {
	switch t.Kind {
	case Bool:
		return append(dst, byte(d.I))
	case Int2:
		return binary.BigEndian.AppendUint16(dst, uint16(d.I)^1<<15)
	case Int4, Date:
		return binary.BigEndian.AppendUint32(dst, uint32(d.I)^1<<31)
	case Float4, Float8:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(d.F))
	case Numeric:
		return appendNumericKey(dst, d.S)
	case Interval:
		hi, lo := IntervalOf(d).span()
		dst = binary.BigEndian.AppendUint64(dst, uint64(hi)^1<<63)
		return binary.BigEndian.AppendUint64(dst, lo)
	case JSONB, Map:
		return appendJSONKey(dst, d.S)
	case Array, Int2Vector, OIDVector:
		elem := t.elemType()
		it := NewElements(d.S)
		for it.Next(elem) {
			dst = AppendKey(dst, elem, it.Value)
		}
		return append(dst, keyEnd)
	case Struct, Record:
		it := NewElements(d.S)
		for _, f := range t.Fields {
			if !it.Next(f.Type) {
				it.Value = NullDatum
			}
			dst = AppendKey(dst, f.Type, it.Value)
		}
		return append(dst, keyEnd)
	}
	if t.Kind.Storage() == StoreInt {
		return binary.BigEndian.AppendUint64(dst, uint64(d.I)^1<<63)
	}
	return appendBytesKey(dst, d.S)
}

// orderedFloat maps floats to integers in the same order.
func orderedFloat(f float64) uint64 {
	if math.IsNaN(f) {
		return math.MaxUint64
	}
	u := math.Float64bits(f + 0) // -0 + 0 is 0
	if u>>63 != 0 {
		return ^u
	}
	return u | 1<<63
}

func floatOfOrdered(u uint64) float64 {
	switch {
	case u == math.MaxUint64:
		return math.NaN()
	case u>>63 != 0:
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

func appendBytesKey(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			dst = append(dst, s...)
			return append(dst, 0, 1)
		}
		dst = append(append(dst, s[:i]...), 0, 0xFF)
		s = s[i+1:]
	}
}

func decodeBytesKey(src []byte) (s string, rest []byte, err error) {
	var out []byte
	for i := 0; i+1 < len(src); i++ {
		if src[i] != 0 {
			out = append(out, src[i])
			continue
		}
		if src[i+1] == 1 {
			return string(out), src[i+2:], nil
		}
		out = append(out, 0)
		i++
	}
	return "", nil, errCorruptKey
}

// The classes of numeric keys.
const (
	numNegInf   = 0x08
	numNegative = 0x10
	numZero     = 0x18
	numPositive = 0x20
	numInf      = 0x28
	numNaN      = 0x30
)

// appendNumericKey takes canonical numeric text, or a JSON number in canonical form.
func appendNumericKey(dst []byte, s string) []byte {
	switch s {
	case "NaN":
		return append(dst, numNaN)
	case "Infinity":
		return append(dst, numInf)
	case "-Infinity":
		return append(dst, numNegInf)
	}
	n := splitMagnitude(s)
	if n.digits() == 0 {
		return append(dst, numZero)
	}
	flip := byte(0)
	if n.negative {
		dst, flip = append(dst, numNegative), 0xFF
	} else {
		dst = append(dst, numPositive)
	}
	exp := uint32(int32(n.exp)) ^ 1<<31
	for shift := 24; shift >= 0; shift -= 8 {
		dst = append(dst, byte(exp>>shift)^flip)
	}
	for i := range n.digits() {
		dst = append(dst, (n.digit(i)-'0'+1)^flip)
	}
	return append(dst, keyEnd^flip)
}

// magnitude is canonical numeric text seen as 0.d1d2d3... * 10^exp, d1 and the last digit not zero.
type magnitude struct {
	ip, fp   string // significant digits before and after the point
	exp      int
	negative bool
}

func (m magnitude) digits() int { return len(m.ip) + len(m.fp) }

func (m magnitude) digit(i int) byte {
	if i < len(m.ip) {
		return m.ip[i]
	}
	return m.fp[i-len(m.ip)]
}

func splitMagnitude(s string) magnitude {
	var m magnitude
	if m.negative = strings.HasPrefix(s, "-"); m.negative {
		s = s[1:]
	}
	m.ip, m.fp, _ = strings.Cut(s, ".")
	m.ip = strings.TrimLeft(m.ip, "0")
	m.fp = strings.TrimRight(m.fp, "0")
	m.exp = len(m.ip)
	if m.ip == "" {
		trimmed := strings.TrimLeft(m.fp, "0")
		m.exp = len(trimmed) - len(m.fp)
		m.fp = trimmed
	} else if m.fp == "" {
		m.ip = strings.TrimRight(m.ip, "0")
	}
	return m
}

func decodeNumericKey(src []byte) (s string, rest []byte, err error) {
	if len(src) == 0 {
		return "", nil, errCorruptKey
	}
	flip := byte(0)
	sign := ""
	switch src[0] {
	case numNaN:
		return "NaN", src[1:], nil
	case numInf:
		return "Infinity", src[1:], nil
	case numNegInf:
		return "-Infinity", src[1:], nil
	case numZero:
		return "0", src[1:], nil
	case numNegative:
		flip, sign = 0xFF, "-"
	case numPositive:
	default:
		return "", nil, errCorruptKey
	}
	if src = src[1:]; len(src) < 5 {
		return "", nil, errCorruptKey
	}
	var exp uint32
	for _, b := range src[:4] {
		exp = exp<<8 | uint32(b^flip)
	}
	var digits []byte
	for i, b := range src[4:] {
		b ^= flip
		if b == keyEnd {
			text, ok := placePoint(sign, "", string(digits), int(int32(exp^1<<31)))
			if !ok {
				return "", nil, errCorruptKey
			}
			return text, src[4+i+1:], nil
		}
		digits = append(digits, b-1+'0')
	}
	return "", nil, errCorruptKey
}

// DecodeKey reads the key of a value of t at the start of src and returns what follows it.
func DecodeKey(t Type, src []byte) (d Datum, rest []byte, err error) {
	if len(src) == 0 {
		return NullDatum, nil, errCorruptKey
	}
	switch src[0] {
	case keyNull:
		return NullDatum, src[1:], nil
	case keyValue:
		return decodeKeyValue(t, src[1:])
	}
	return NullDatum, nil, errCorruptKey
}

// DecodeKeyDesc reads a key that AppendKeyDesc wrote.
func DecodeKeyDesc(t Type, src []byte) (d Datum, rest []byte, err error) {
	flipped := make([]byte, len(src))
	for i, b := range src {
		flipped[i] = ^b
	}
	d, rest, err = DecodeKey(t, flipped)
	return d, src[len(src)-len(rest):], err
}

func decodeKeyValue(t Type, src []byte) (d Datum, rest []byte, err error) {
	switch t.Kind {
	case Numeric:
		s, rest, err := decodeNumericKey(src)
		if err == nil {
			s = padScale(t, s)
		}
		return BytesDatum(s), rest, err
	case JSONB, Map:
		out, rest, err := decodeJSONKey(nil, src)
		return BytesDatum(string(out)), rest, err
	case Array, Int2Vector, OIDVector:
		return decodeArrayKey(t.elemType(), src)
	case Struct, Record:
		return decodeStructKey(t.Fields, src)
	}
	width := keyWidth(t.Kind)
	if width == 0 {
		s, rest, err := decodeBytesKey(src)
		return BytesDatum(s), rest, err
	}
	if len(src) < width {
		return NullDatum, nil, errCorruptKey
	}
	return decodeFixedKey(t.Kind, src[:width]), src[width:], nil
}

// keyWidth returns the size of a fixed-width key; 0 for the others.
func keyWidth(k Kind) int {
	switch {
	case k == Bool:
		return 1
	case k == Int2:
		return 2
	case k == Int4 || k == Date:
		return 4
	case k == Interval:
		return 16
	case k.Storage() != StoreBytes:
		return 8
	}
	return 0
}

func decodeFixedKey(k Kind, b []byte) Datum {
	switch k {
	case Bool:
		return IntDatum(int64(b[0]))
	case Int2:
		return IntDatum(int64(int16(binary.BigEndian.Uint16(b) ^ 1<<15)))
	case Int4, Date:
		return IntDatum(int64(int32(binary.BigEndian.Uint32(b) ^ 1<<31)))
	case Float4, Float8:
		return FloatDatum(floatOfOrdered(binary.BigEndian.Uint64(b)))
	case Interval:
		return intervalOfSpan(int64(binary.BigEndian.Uint64(b)^1<<63), binary.BigEndian.Uint64(b[8:])).Datum()
	}
	return IntDatum(int64(binary.BigEndian.Uint64(b) ^ 1<<63))
}

// intervalOfSpan returns an interval of a length: days and time while days fit, the rest as months.
func intervalOfSpan(hi int64, lo uint64) IntervalValue {
	total := new(big.Int).Lsh(big.NewInt(hi), 64)
	total.Add(total, new(big.Int).SetUint64(lo))
	days, us := new(big.Int).QuoRem(total, big.NewInt(MicrosPerDay), new(big.Int))
	months := new(big.Int)
	if d := days.Int64(); d != int64(int32(d)) {
		months.QuoRem(days, big.NewInt(daysPerMonth), days)
	}
	return IntervalValue{Micros: us.Int64(), Days: int32(days.Int64()), Months: int32(months.Int64())}
}

// padScale gives a numeric of numeric(p,s) the zeros that its key left out.
func padScale(t Type, s string) string {
	_, scale, ok := t.NumericMod()
	if !ok || scale <= 0 || s == "NaN" {
		return s
	}
	var z Decimal
	z.Round(DecimalOf(s), scale)
	return z.String()
}

func decodeArrayKey(elem Type, src []byte) (Datum, []byte, error) {
	var elems []Datum
	for len(src) > 0 {
		if src[0] == keyEnd {
			return ArrayDatum(elem, elems), src[1:], nil
		}
		d, rest, err := DecodeKey(elem, src)
		if err != nil {
			return NullDatum, nil, err
		}
		elems, src = append(elems, d), rest
	}
	return NullDatum, nil, errCorruptKey
}

func decodeStructKey(fields []Field, src []byte) (Datum, []byte, error) {
	values := make([]Datum, len(fields))
	for i, f := range fields {
		d, rest, err := DecodeKey(f.Type, src)
		if err != nil {
			return NullDatum, nil, err
		}
		values[i], src = d, rest
	}
	if len(src) == 0 || src[0] != keyEnd {
		return NullDatum, nil, errCorruptKey
	}
	return StructDatum(fields, values), src[1:], nil
}
