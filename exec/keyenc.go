package exec

import (
	"encoding/binary"
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// The key encoding of state: equal values, and only they, have equal bytes, and bytes compare as values do (NULL last, NaN
// greatest, numerics by value, text by bytes), also over several columns. Each column begins with a tag.
const (
	keyValue = 0x01
	keyNull  = 0x02

	// Bytes are escaped so that no value is a prefix of another: 00 becomes 00 FF, and 00 01 ends the value.
	keyEscape = 0x00
	keyZero   = 0xff
	keyEnd    = 0x01
)

// appendKeyCols appends the key encoding of row i of cols to dst.
func appendKeyCols(dst []byte, cols []*vec.Vector, i int) []byte {
	for _, c := range cols {
		dst = appendKeyCol(dst, c, i)
	}
	return dst
}

func appendKeyCol(dst []byte, c *vec.Vector, i int) []byte {
	if c.IsNull(i) {
		return append(dst, keyNull)
	}
	dst = append(dst, keyValue)
	switch c.Storage() {
	case types.StoreInt:
		return binary.BigEndian.AppendUint64(dst, uint64(c.I64[i])^(1<<63))
	case types.StoreFloat:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(c.F64[i]))
	default:
		if c.Type.Kind == types.Numeric {
			return appendNumericKey(dst, c.Str(i))
		}
		return appendBytesKey(dst, c.Bytes(i))
	}
}

// appendKeyDatum is appendKeyCol for a boxed value of type t.
func appendKeyDatum(dst []byte, t types.Type, d types.Datum) []byte {
	if d.Null {
		return append(dst, keyNull)
	}
	dst = append(dst, keyValue)
	switch t.Kind.Storage() {
	case types.StoreInt:
		return binary.BigEndian.AppendUint64(dst, uint64(d.I)^(1<<63))
	case types.StoreFloat:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(d.F))
	default:
		if t.Kind == types.Numeric {
			return appendNumericKey(dst, d.S)
		}
		return appendBytesKey(dst, []byte(d.S))
	}
}

func orderedFloat(f float64) uint64 {
	switch {
	case f != f:
		return math.MaxUint64
	case f == 0:
		f = 0 // -0 equals 0
	}
	bits := math.Float64bits(f)
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

func appendBytesKey(dst, b []byte) []byte {
	for _, x := range b {
		dst = append(dst, x)
		if x == keyEscape {
			dst = append(dst, keyZero)
		}
	}
	return append(dst, keyEscape, keyEnd)
}

// Classes of numerics in their order.
const (
	numNegInf   = 0x01
	numNegative = 0x02
	numZero     = 0x03
	numPositive = 0x04
	numPosInf   = 0x05
	numNaN      = 0x06
)

// appendNumericKey encodes a canonical numeric text: its class, then for finite values the decimal exponent and the digits without
// trailing zeros, complemented for negative ones.
func appendNumericKey(dst []byte, s string) []byte {
	switch s {
	case "NaN":
		return append(dst, numNaN)
	case "Infinity":
		return append(dst, numPosInf)
	case "-Infinity":
		return append(dst, numNegInf)
	}
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	digits, exponent := significantDigits(s)
	if len(digits) == 0 {
		return append(dst, numZero)
	}
	class := byte(numPositive)
	if negative {
		class = numNegative
	}
	dst = append(dst, class)
	mark := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(int32(exponent))^(1<<31))
	for _, d := range digits {
		dst = append(dst, d+1)
	}
	dst = append(dst, 0)
	if negative {
		for i := mark; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
	}
	return dst
}

// significantDigits returns the digits of an unsigned decimal text as numbers, without zeros at either end, and the
// position of the decimal point from the first of them.
func significantDigits(s string) (digits []byte, exponent int) {
	point := -1
	for i := range len(s) {
		switch {
		case s[i] == '.':
			point = len(digits)
		case s[i] >= '0' && s[i] <= '9':
			digits = append(digits, s[i]-'0')
		}
	}
	if point < 0 {
		point = len(digits)
	}
	for len(digits) > 0 && digits[0] == 0 {
		digits, point = digits[1:], point-1
	}
	for len(digits) > 0 && digits[len(digits)-1] == 0 {
		digits = digits[:len(digits)-1]
	}
	return digits, point
}
