package types

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// The limits of numeric (PostgreSQL 15 docs, 8.1.2): digits before and after the point.
const (
	MaxNumericIntDigits = 131072
	MaxNumericScale     = 16383
)

// ParseNumeric reads a numeric in any form that PostgreSQL takes and returns its canonical text: no exponent, no
// needless zeros before the point, the scale as written, no negative zero.
func ParseNumeric(s string) (string, error) {
	if isCanonicalNumeric(s) {
		return s, nil
	}
	word := trimSpace(s)
	sign, body := "", word
	if body != "" && (body[0] == '+' || body[0] == '-') {
		if body[0] == '-' {
			sign = "-"
		}
		body = body[1:]
	}
	switch strings.ToLower(body) {
	case "nan":
		if len(body) == len(word) {
			return "NaN", nil
		}
		return "", badSyntax(Numeric, s)
	case "inf", "infinity":
		return sign + "Infinity", nil
	}
	ip, fp, exp, ok := splitNumber(body)
	if !ok {
		return "", badSyntax(Numeric, s)
	}
	text, ok := placePoint(sign, ip, fp, exp)
	if !ok {
		return "", numericFormatOverflow()
	}
	return text, nil
}

func numericFormatOverflow() error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "value overflows numeric format")
}

// isCanonicalNumeric is the fast path: most numbers arrive as they are kept.
func isCanonicalNumeric(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 64 || digits[0] < '0' || digits[0] > '9' {
		return false
	}
	if digits[0] == '0' && len(digits) > 1 && digits[1] != '.' {
		return false
	}
	point, nonZero := -1, false
	for i := range len(digits) {
		switch c := digits[i]; {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9':
			return false
		case c != '0':
			nonZero = true
		}
	}
	return point != len(digits)-1 && (nonZero || len(digits) == len(s))
}

// splitNumber takes an unsigned number apart: digits before and after the point, and the exponent, which is clipped to
// a range far beyond numeric's.
func splitNumber(s string) (ip, fp string, exp int, ok bool) {
	n := countDigits(s)
	ip, s = s[:n], s[n:]
	if s != "" && s[0] == '.' {
		n = countDigits(s[1:])
		fp, s = s[1:n+1], s[n+1:]
	}
	if ip == "" && fp == "" {
		return "", "", 0, false
	}
	if s == "" {
		return ip, fp, 0, true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return "", "", 0, false
	}
	s = s[1:]
	negative := false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		negative, s = s[0] == '-', s[1:]
	}
	if n = countDigits(s); n == 0 || n != len(s) {
		return "", "", 0, false
	}
	const clipped = 10_000_000
	for i := range n {
		exp = min(exp*10+int(s[i]-'0'), clipped)
	}
	if negative {
		exp = -exp
	}
	return ip, fp, exp, true
}

func countDigits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// placePoint writes the number ip.fp * 10^exp without an exponent. It returns false if it is outside numeric's limits.
func placePoint(sign, ip, fp string, exp int) (string, bool) {
	digits := ip + fp
	point := len(ip) + exp // where the point falls in digits
	scale := max(len(fp)-exp, 0)
	zeros := len(digits) - len(strings.TrimLeft(digits, "0"))
	if zeros == len(digits) { // zero keeps its scale alone
		sign, digits, point = "", "", 0
	} else {
		digits, point = digits[zeros:], point-zeros
	}
	if point > MaxNumericIntDigits || scale > MaxNumericScale {
		return "", false
	}
	var out strings.Builder
	out.WriteString(sign)
	writeDigits := func(from, to int) { // digits from..to, with zeros where there are none
		for i := from; i < to; i++ {
			if i >= 0 && i < len(digits) {
				out.WriteByte(digits[i])
			} else {
				out.WriteByte('0')
			}
		}
	}
	if point > 0 {
		writeDigits(0, point)
	} else {
		out.WriteByte('0')
	}
	if scale > 0 {
		out.WriteByte('.')
		writeDigits(point, point+scale)
	}
	return out.String(), true
}

// Decimal is a numeric taken apart for arithmetic. The zero value is 0. Its scale, the digits shown after the point, is
// part of the value's text but not of its order. A Decimal must not be copied by assignment; use Set.
type Decimal struct {
	d apd.Decimal // finite: coefficient and exponent -scale; else Form says NaN or Infinite
}

// NewDecimal returns coeff * 10^-scale.
func NewDecimal(coeff int64, scale int) *Decimal {
	z := new(Decimal)
	z.SetInt(coeff)
	z.d.Exponent = int32(-scale)
	return z
}

// DecimalOf returns the value of a Numeric datum's S or a numeric vector's bytes as text. It is for canonical text, and
// takes anything else as NaN.
func DecimalOf(text string) *Decimal {
	z := new(Decimal)
	z.SetText(text)
	return z
}

// SetText sets z to canonical numeric text, without allocating for numbers of up to 18 digits. Other text gives NaN.
func (z *Decimal) SetText(s string) {
	digits, negative := s, false
	if digits != "" && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		z.setSpecial(s)
		return
	}
	scale := 0
	if point := strings.IndexByte(digits, '.'); point >= 0 {
		scale = len(digits) - point - 1
	}
	z.d.Form, z.d.Negative, z.d.Exponent = apd.Finite, negative, int32(-scale)
	if len(digits) <= 19 {
		var coeff int64
		count := 0
		for i := range len(digits) {
			if c := digits[i]; c != '.' {
				coeff = coeff*10 + int64(c-'0')
				count++
			}
		}
		if count <= 18 {
			z.d.Coeff.SetInt64(coeff)
			return
		}
	}
	if _, ok := z.d.Coeff.SetString(strings.Replace(digits, ".", "", 1), 10); !ok {
		z.setSpecial("NaN")
	}
}

func (z *Decimal) setSpecial(s string) {
	z.d.Coeff.SetInt64(0)
	z.d.Exponent = 0
	z.d.Negative = s == "-Infinity"
	z.d.Form = apd.NaN
	if s == "Infinity" || s == "-Infinity" {
		z.d.Form = apd.Infinite
	}
}

// SetInt sets z to i with scale 0.
func (z *Decimal) SetInt(i int64) {
	z.d.Form, z.d.Exponent, z.d.Negative = apd.Finite, 0, i < 0
	z.d.Coeff.SetInt64(i)
	if i < 0 {
		z.d.Coeff.Neg(&z.d.Coeff)
	}
}

// SetFloat sets z to f rounded to the digits that PostgreSQL's cast keeps: 15 for double precision, 6 for real.
func (z *Decimal) SetFloat(f float64, k Kind) error {
	switch {
	case math.IsNaN(f):
		z.setSpecial("NaN")
		return nil
	case math.IsInf(f, 0):
		z.setSpecial(string(appendFloat(nil, f, 64)))
		return nil
	}
	digits := 15
	if k == Float4 {
		digits = 6
	}
	text, err := ParseNumeric(string(formatG(f, digits)))
	if err != nil {
		return err
	}
	z.SetText(text)
	return nil
}

// formatG prints f as C's "%.*g" does: significant digits, trailing zeros dropped.
func formatG(f float64, digits int) []byte {
	out := strconv.AppendFloat(nil, f, 'e', digits-1, 64)
	mantissa, exp, _ := strings.Cut(string(out), "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	return []byte(mantissa + "e" + exp)
}

// Set makes z a copy of x.
func (z *Decimal) Set(x *Decimal) { z.d.Set(&x.d) }

// IsNaN reports whether z is NaN.
func (z *Decimal) IsNaN() bool { return z.d.Form == apd.NaN }

// IsInf reports whether z is an infinity.
func (z *Decimal) IsInf() bool { return z.d.Form == apd.Infinite }

// IsFinite reports whether z is a number.
func (z *Decimal) IsFinite() bool { return z.d.Form == apd.Finite }

// Scale returns the digits after the point; 0 for NaN and infinities.
func (z *Decimal) Scale() int { return int(-z.d.Exponent) }

// Sign returns -1, 0 or 1; NaN counts as 1, as it is greatest.
func (z *Decimal) Sign() int {
	switch {
	case z.d.Form == apd.NaN:
		return 1
	case z.d.Form == apd.Finite && z.d.Coeff.Sign() == 0:
		return 0
	case z.d.Negative:
		return -1
	}
	return 1
}

// Append appends the canonical text of z.
func (z *Decimal) Append(dst []byte) []byte {
	switch z.d.Form {
	case apd.NaN:
		return append(dst, "NaN"...)
	case apd.Infinite:
		if z.d.Negative {
			dst = append(dst, '-')
		}
		return append(dst, "Infinity"...)
	}
	if z.Sign() < 0 {
		dst = append(dst, '-')
	}
	scale := z.Scale()
	var buf [64]byte
	var digits []byte
	if z.d.Coeff.IsInt64() {
		digits = strconv.AppendInt(buf[:0], z.d.Coeff.Int64(), 10)
	} else {
		digits = z.d.Coeff.Append(buf[:0], 10)
	}
	split := len(digits) - scale
	if split <= 0 {
		dst = append(dst, "0."...)
		for range -split {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[:split]...)
	if scale > 0 {
		dst = append(dst, '.')
		dst = append(dst, digits[split:]...)
	}
	return dst
}

// String returns the canonical text.
func (z *Decimal) String() string { return string(z.Append(nil)) }

// Datum boxes the value.
func (z *Decimal) Datum() Datum { return BytesDatum(z.String()) }

// Float64 returns the nearest double; a value beyond them is 22003, as in PostgreSQL's cast.
func (z *Decimal) Float64() (float64, error) {
	switch {
	case z.IsNaN():
		return math.NaN(), nil
	case z.IsInf():
		return math.Inf(z.Sign()), nil
	}
	return parseFloat(Float8, z.String())
}

// Int returns the value rounded half away from zero as an integer of kind k, or 22003.
func (z *Decimal) Int(k Kind) (int64, error) {
	if !z.IsFinite() {
		what := "NaN"
		if z.IsInf() {
			what = "infinity"
		}
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "cannot convert %s to %s", what, k)
	}
	var r Decimal
	r.Round(z, 0)
	lo, hi := intRange(k)
	var coeff big.Int
	coeff.Set(r.d.Coeff.MathBigInt())
	if r.d.Negative {
		coeff.Neg(&coeff)
	}
	if !coeff.IsInt64() || coeff.Int64() < lo || coeff.Int64() > hi {
		return 0, sqlerr.New(sqlerr.NumericValueOutOfRange, "%s out of range", k)
	}
	return coeff.Int64(), nil
}
