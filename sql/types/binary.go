package types

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// AppendBinary appends a value of t that is not NULL in PostgreSQL's binary format of the type, without a length.
func AppendBinary(dst []byte, t Type, d Datum) []byte {
	switch t.Kind {
	case Bool:
		return append(dst, byte(d.I))
	case Int2:
		return binary.BigEndian.AppendUint16(dst, uint16(d.I))
	case Int4, OID, Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator:
		return binary.BigEndian.AppendUint32(dst, uint32(d.I))
	case Int8, Time:
		return binary.BigEndian.AppendUint64(dst, uint64(d.I))
	case Float4:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(d.F)))
	case Float8:
		return binary.BigEndian.AppendUint64(dst, float64Bits(d.F))
	case Numeric:
		return appendNumericBinary(dst, d.S)
	case Date:
		days := d.I
		if days != DateInfinity && days != DateNegInfinity {
			days -= postgresEpochDays
		}
		return binary.BigEndian.AppendUint32(dst, uint32(days))
	case Timestamp, TimestampTZ:
		us := d.I
		if !IsInfinite(us) {
			us -= postgresEpochDays * MicrosPerDay
		}
		return binary.BigEndian.AppendUint64(dst, uint64(us))
	case Interval:
		iv := IntervalOf(d)
		dst = binary.BigEndian.AppendUint64(dst, uint64(iv.Micros))
		dst = binary.BigEndian.AppendUint32(dst, uint32(iv.Days))
		return binary.BigEndian.AppendUint32(dst, uint32(iv.Months))
	case JSONB, Map, JSONPath:
		return append(append(dst, jsonbVersion), d.S...)
	case Struct:
		return AppendJSON(append(dst, jsonbVersion), t, d)
	case Array, Int2Vector, OIDVector:
		return appendArrayBinary(dst, t, d.S)
	case EnumKind:
		return append(dst, EnumLabelOf(t, d)...)
	case Record:
		return appendRecordBinary(dst, t, d.S)
	default:
		return append(dst, d.S...)
	}
}

// float64Bits has one NaN, PostgreSQL's.
func float64Bits(f float64) uint64 {
	if math.IsNaN(f) {
		return 0x7FF8000000000000
	}
	return math.Float64bits(f)
}

const jsonbVersion = 1

func appendArrayBinary(dst []byte, t Type, s string) []byte {
	elem := t.elemType()
	it := NewElements(s)
	n := it.Left()
	dims, lower := uint32(1), uint32(1)
	if n == 0 && t.Kind == Array {
		dims = 0
	}
	if t.Kind != Array {
		lower = 0
	}
	dst = binary.BigEndian.AppendUint32(dst, dims)
	flags := len(dst) + 3
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, elem.OID())
	if dims == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = binary.BigEndian.AppendUint32(dst, lower)
	for it.Next(elem) {
		if it.Value.Null {
			dst[flags] = 1
		}
		dst = appendSized(dst, elem, it.Value)
	}
	return dst
}

// appendSized appends a length and the value, as fields of arrays and records have them; NULL has length -1.
func appendSized(dst []byte, t Type, d Datum) []byte {
	if d.Null {
		return append(dst, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	dst = append(dst, 0, 0, 0, 0)
	mark := len(dst)
	dst = AppendBinary(dst, t, d)
	binary.BigEndian.PutUint32(dst[mark-4:], uint32(len(dst)-mark))
	return dst
}

func appendRecordBinary(dst []byte, t Type, s string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(t.Fields)))
	it := NewElements(s)
	for _, f := range t.Fields {
		if !it.Next(f.Type) {
			it.Value = NullDatum
		}
		dst = binary.BigEndian.AppendUint32(dst, f.Type.OID())
		dst = appendSized(dst, f.Type, it.Value)
	}
	return dst
}

func badBinary(t Type) error {
	return sqlerr.New(sqlerr.InvalidBinaryRepresentation, "incorrect binary data format for type %s", t)
}

// ParseBinary reads a value of t from PostgreSQL's binary format, modifier included. Bytes that are no such value are 22P03.
// src is not kept.
func ParseBinary(t Type, src []byte) (Datum, error) {
	d, err := parseBinary(t, src)
	if err != nil || t.Mod < 0 {
		return d, err
	}
	return ApplyMod(t, d, false)
}

func parseBinary(t Type, src []byte) (Datum, error) {
	if want := binaryWidth(t.Kind); want > 0 && len(src) != want {
		return NullDatum, badBinary(t)
	}
	switch t.Kind {
	case Bool:
		return BoolDatum(src[0] != 0), nil
	case Int2:
		return IntDatum(int64(int16(binary.BigEndian.Uint16(src)))), nil
	case Int4:
		return IntDatum(int64(int32(binary.BigEndian.Uint32(src)))), nil
	case OID, Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator:
		return IntDatum(int64(binary.BigEndian.Uint32(src))), nil
	case Int8:
		return IntDatum(int64(binary.BigEndian.Uint64(src))), nil
	case Float4:
		return FloatDatum(float64(math.Float32frombits(binary.BigEndian.Uint32(src)))), nil
	case Float8:
		return FloatDatum(math.Float64frombits(binary.BigEndian.Uint64(src))), nil
	case Date, Time, Timestamp, TimestampTZ:
		return parseTimeBinary(t, src)
	case Interval:
		return IntervalValue{
			Micros: int64(binary.BigEndian.Uint64(src)),
			Days:   int32(binary.BigEndian.Uint32(src[8:])),
			Months: int32(binary.BigEndian.Uint32(src[12:])),
		}.Datum(), nil
	case UUID, Char, Bytea:
		return BytesDatum(string(src)), nil
	case Numeric:
		return parseNumericBinary(src)
	case JSONB, Map, Struct, JSONPath:
		if len(src) == 0 || src[0] != jsonbVersion {
			return NullDatum, badBinary(t)
		}
		return parseText(t, string(src[1:]), defaultSettings)
	case Array, Int2Vector, OIDVector:
		return parseArrayBinary(t, src)
	case Text, Varchar, Name, JSON, Unknown, EnumKind:
		return parseText(t, string(src), defaultSettings)
	}
	return NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "cannot accept a value of type %s", t)
}

// binaryWidth returns the size of a fixed-size binary value; 0 for the others.
func binaryWidth(k Kind) int {
	switch k {
	case Bool, Char:
		return 1
	case Int2:
		return 2
	case Int4, OID, Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator, Float4, Date:
		return 4
	case Int8, Float8, Time, Timestamp, TimestampTZ:
		return 8
	case Interval, UUID:
		return 16
	}
	return 0
}

func parseTimeBinary(t Type, src []byte) (Datum, error) {
	if t.Kind == Date {
		days := int64(int32(binary.BigEndian.Uint32(src)))
		if days != DateInfinity && days != DateNegInfinity {
			if days += postgresEpochDays; days < minDate || days > maxDate {
				return NullDatum, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range")
			}
		}
		return IntDatum(days), nil
	}
	us := int64(binary.BigEndian.Uint64(src))
	switch {
	case t.Kind == Time && (us < 0 || us > MicrosPerDay):
		return NullDatum, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time out of range")
	case t.Kind == Time || IsInfinite(us):
		return IntDatum(us), nil
	}
	us, ok := addInt64(us, postgresEpochDays*MicrosPerDay)
	if !ok || us < minTimestamp || us > maxTimestamp {
		return NullDatum, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")
	}
	return IntDatum(us), nil
}

func parseArrayBinary(t Type, src []byte) (Datum, error) {
	if len(src) < 12 {
		return NullDatum, badBinary(t)
	}
	elem := t.elemType()
	dims := int32(binary.BigEndian.Uint32(src))
	if got := binary.BigEndian.Uint32(src[8:]); got != elem.OID() {
		return NullDatum, sqlerr.New(sqlerr.DatatypeMismatch,
			"binary data has array element type %d instead of expected %d (%s)", got, elem.OID(), elem)
	}
	if src = src[12:]; dims == 0 {
		return ArrayDatum(elem, nil), nil
	}
	if dims != 1 {
		return NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "arrays of several dimensions are not supported")
	}
	if len(src) < 8 {
		return NullDatum, badBinary(t)
	}
	n := int64(int32(binary.BigEndian.Uint32(src)))
	if src = src[8:]; n < 0 || n*4 > int64(len(src)) {
		return NullDatum, badBinary(t)
	}
	elems := make([]Datum, n)
	for i := range elems {
		d, rest, err := parseSized(elem, src)
		if err != nil {
			return NullDatum, err
		}
		elems[i], src = d, rest
	}
	if len(src) != 0 {
		return NullDatum, badBinary(t)
	}
	return ArrayDatum(elem, elems), nil
}

func parseSized(t Type, src []byte) (d Datum, rest []byte, err error) {
	if len(src) < 4 {
		return NullDatum, nil, badBinary(t)
	}
	size := int64(int32(binary.BigEndian.Uint32(src)))
	src = src[4:]
	if size == -1 {
		return NullDatum, src, nil
	}
	if size < 0 || size > int64(len(src)) {
		return NullDatum, nil, badBinary(t)
	}
	d, err = ParseBinary(t, src[:size])
	return d, src[size:], err
}

// The signs of numeric's binary format.
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericPInf     = 0xD000
	numericNInf     = 0xF000
)

// appendNumericBinary writes groups of four digits, aligned at the point, without zero groups at either end.
func appendNumericBinary(dst []byte, s string) []byte {
	header := func(groups, weight int, sign uint16, scale int) {
		for _, v := range [...]uint16{uint16(groups), uint16(weight), sign, uint16(scale)} {
			dst = binary.BigEndian.AppendUint16(dst, v)
		}
	}
	switch s { // what PostgreSQL sends for infinities has a scale field of 32
	case "NaN":
		header(0, 0, numericNaN, 0)
		return dst
	case "Infinity":
		header(0, 0, numericPInf, 0x20)
		return dst
	case "-Infinity":
		header(0, 0, numericNInf, 0x20)
		return dst
	}
	scale := 0
	for i := range len(s) {
		if s[i] == '.' {
			scale = len(s) - i - 1
		}
	}
	m := splitMagnitude(s)
	if m.digits() == 0 {
		header(0, 0, numericPositive, scale)
		return dst
	}
	weight := floorDiv(m.exp-1, 4)
	first := (weight+1)*4 - m.exp // zeros before the first digit in its group
	groups := (first + m.digits() + 3) / 4
	sign := uint16(numericPositive)
	if m.negative {
		sign = numericNegative
	}
	header(groups, weight, sign, scale)
	for g := range groups {
		v := uint16(0)
		for k := range 4 {
			v *= 10
			if i := g*4 + k - first; i >= 0 && i < m.digits() {
				v += uint16(m.digit(i) - '0')
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, v)
	}
	return dst
}

func parseNumericBinary(src []byte) (Datum, error) {
	bad := badBinary(Of(Numeric))
	if len(src) < 8 {
		return NullDatum, bad
	}
	groups := int(binary.BigEndian.Uint16(src))
	weight := int(int16(binary.BigEndian.Uint16(src[2:])))
	sign := binary.BigEndian.Uint16(src[4:])
	scale := int(binary.BigEndian.Uint16(src[6:]))
	if len(src) != 8+2*groups || scale > MaxNumericScale {
		return NullDatum, bad
	}
	prefix := ""
	switch sign {
	case numericNaN:
		return BytesDatum("NaN"), nil
	case numericPInf:
		return BytesDatum("Infinity"), nil
	case numericNInf:
		return BytesDatum("-Infinity"), nil
	case numericNegative:
		prefix = "-"
	case numericPositive:
	default:
		return NullDatum, bad
	}
	digits := make([]byte, 0, 4*groups)
	for i := range groups {
		v := binary.BigEndian.Uint16(src[8+2*i:])
		if v > 9999 {
			return NullDatum, bad
		}
		digits = append(digits, byte('0'+v/1000), byte('0'+v/100%10), byte('0'+v/10%10), byte('0'+v%10))
	}
	text, ok := placePoint(prefix, "", strings.TrimRight(string(digits), "0"), (weight+1)*4)
	if !ok {
		return NullDatum, numericFormatOverflow()
	}
	var z Decimal // digits beyond the scale that was said are cut, as in PostgreSQL
	z.Trunc(DecimalOf(text), scale)
	return z.Datum(), nil
}
