package expr

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// format(), and to_char() and to_number() of numbers (PostgreSQL docs, 9.4.1 and 9.8).

func init() {
	row("format(text)", formatFunc)
	row("format(text,any...)", formatFunc)
	for _, k := range []string{"int4", "int8"} {
		row("to_char("+k+",text)", toChar(func(_ *numberPattern, d types.Datum) *types.Decimal { return types.NewDecimal(d.I, 0) }))
	}
	row("to_char(numeric,text)", toChar(func(_ *numberPattern, d types.Datum) *types.Decimal { return types.DecimalOf(d.S) }))
	row("to_char(float8,text)", toChar(floatForTemplate))
	row("to_char(interval,text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if a[1].S == "" {
			return types.NullDatum, nil
		}
		return types.BytesDatum(formatInterval(types.IntervalOf(a[0]), a[1].S)), nil
	})
	row("to_number(text,text)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[1].S == "" {
			return types.NullDatum, nil
		}
		p, err := remember(c, a[1].S, "", compileNumberPattern)
		if err != nil {
			return types.NullDatum, err
		}
		return p.parse(a[0].S)
	})
}

// floatDigits is the number of digits that a double holds for certain.
const floatDigits = 15

// floatForTemplate moves the point as V wants and rounds a float to what its 15 digits leave behind it.
func floatForTemplate(p *numberPattern, d types.Datum) *types.Decimal {
	if math.IsNaN(d.F) || math.IsInf(d.F, 0) {
		z := new(types.Decimal)
		z.SetText(types.FormatText(types.Of(types.Float8), d, nil))
		return z
	}
	f := d.F * math.Pow10(p.multi)
	whole := len(strconv.FormatFloat(math.Abs(f), 'f', 0, 64))
	return types.DecimalOf(strconv.FormatFloat(f, 'f', min(p.post, max(floatDigits-whole, 0)), 64))
}

func toChar(value func(p *numberPattern, d types.Datum) *types.Decimal) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		p, err := remember(c, a[1].S, "", compileNumberPattern)
		if err != nil {
			return types.NullDatum, err
		}
		if len(p.nodes) == 0 {
			return types.BytesDatum(""), nil
		}
		s, err := formatNumber(p, value(p, a[0]), a[0], c.Args[0])
		return types.BytesDatum(s), err
	}
}

func formatNumber(p *numberPattern, x *types.Decimal, d types.Datum, t types.Type) (string, error) {
	switch {
	case p.roman:
		n, err := x.Int(types.Int4)
		return p.formatRoman(n, err == nil), nil
	case p.sci:
		return scientific(p, x, d, t), nil
	}
	if !x.IsFinite() {
		return p.format(x.Sign() < 0, strings.TrimPrefix(x.String(), "-")), nil
	}
	if p.multi > 0 && t.Kind != types.Float8 {
		if err := x.Mul(x, types.DecimalOf("1"+strings.Repeat("0", p.multi))); err != nil {
			return "", err
		}
	}
	x.Round(x, p.post)
	s := x.String()
	digits := strings.TrimPrefix(s, "-")
	if p.post > 0 {
		whole, frac, _ := strings.Cut(digits, ".")
		digits = whole + "." + frac + strings.Repeat("0", max(p.post-len(frac), 0))
	}
	// A float keeps its sign where it is rounded to zero.
	return p.format(s != digits || t.Kind == types.Float8 && d.F < 0, digits), nil
}

// scientific is EEEE: one digit, the template's places and an exponent of two digits at least.
func scientific(p *numberPattern, x *types.Decimal, d types.Datum, t types.Type) string {
	if !x.IsFinite() {
		out := " " + strings.Repeat("#", p.pre)
		if p.point {
			out += "." + strings.Repeat("#", p.post)
		}
		return out + "####"
	}
	var s string
	if t.Kind == types.Float8 {
		s = strconv.FormatFloat(d.F, 'e', p.post, 64)
	} else {
		s = scientificDecimal(x.String(), p.post)
	}
	if s[0] != '-' {
		s = " " + s
	}
	return s
}

// scientificDecimal writes canonical numeric text with an exponent.
func scientificDecimal(s string, places int) string {
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	whole, frac, _ := strings.Cut(s, ".")
	digits := strings.TrimLeft(whole+frac, "0")
	if digits == "" {
		digits, whole = "0", "0"
	}
	exp := len(whole) - 1 - (len(whole+frac) - len(digits))
	if digits == "0" {
		exp = 0
	}
	var m types.Decimal
	m.SetText(digits[:1] + "." + digits[1:] + "0")
	m.Round(&m, places)
	text := m.String() // 9.99 rounded to 10 stays so, as in PostgreSQL
	if w, f, ok := strings.Cut(text, "."); places > 0 {
		if !ok {
			f = ""
		}
		text = w + "." + f + strings.Repeat("0", places-len(f))
	}
	return fmt.Sprintf("%s%se%+03d", sign, text, exp)
}

// formatFunc is format() (PostgreSQL docs, 9.4.1).
func formatFunc(c *Call, a []types.Datum) (types.Datum, error) {
	if a[0].Null {
		return types.NullDatum, nil
	}
	f := formatter{c: c, args: a, spec: a[0].S}
	for f.spec != "" {
		at := strings.IndexByte(f.spec, '%')
		if at < 0 {
			f.out.WriteString(f.spec)
			break
		}
		f.out.WriteString(f.spec[:at])
		f.spec = f.spec[at+1:]
		if err := f.field(); err != nil {
			return types.NullDatum, err
		}
	}
	return types.BytesDatum(f.out.String()), nil
}

type formatter struct {
	c    *Call
	args []types.Datum
	spec string
	last int // the argument used last
	out  strings.Builder
}

var errUnterminatedFormat = sqlerr.New(sqlerr.InvalidParameterValue, "unterminated format() type specifier").
	WithHint("For a single \"%%\" use \"%%%%\".")

// number reads digits; ok is false if there are none.
func (f *formatter) number() (n int, ok bool) {
	for f.spec != "" && isDigit(rune(f.spec[0])) {
		n, ok = min(n*10+int(f.spec[0]-'0'), maxTextBytes), true
		f.spec = f.spec[1:]
	}
	return n, ok
}

func (f *formatter) argument(n int) (types.Datum, types.Type, error) {
	if n == 0 {
		return types.NullDatum, types.Type{}, sqlerr.New(sqlerr.InvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1")
	}
	if n < 0 {
		n = f.last + 1
	}
	if n >= len(f.args) {
		return types.NullDatum, types.Type{}, sqlerr.New(sqlerr.InvalidParameterValue, "too few arguments for format()")
	}
	f.last = n
	return f.args[n], f.c.Args[n], nil
}

// field is what follows a %: [position$][-][width]type.
func (f *formatter) field() error {
	if strings.HasPrefix(f.spec, "%") {
		f.out.WriteByte('%')
		f.spec = f.spec[1:]
		return nil
	}
	position, width, left := -1, 0, false
	if n, ok := f.number(); ok {
		if strings.HasPrefix(f.spec, "$") {
			position = n
			f.spec = f.spec[1:]
		} else {
			width = n
		}
	}
	if width == 0 {
		for strings.HasPrefix(f.spec, "-") {
			left = true
			f.spec = f.spec[1:]
		}
		var err error
		if width, err = f.width(&left); err != nil {
			return err
		}
	}
	if f.spec == "" {
		return errUnterminatedFormat
	}
	kind := f.spec[0]
	if !strings.ContainsRune("sIL", rune(kind)) {
		return sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized format() type specifier \"%c\"", kind).
			WithHint("For a single \"%%\" use \"%%%%\".")
	}
	f.spec = f.spec[1:]
	d, t, err := f.argument(position)
	if err != nil {
		return err
	}
	return f.value(kind, d, t, width, left)
}

// width reads digits, or * and the argument that it takes the width from; a negative one aligns left.
func (f *formatter) width(left *bool) (int, error) {
	if !strings.HasPrefix(f.spec, "*") {
		n, _ := f.number()
		return n, nil
	}
	f.spec = f.spec[1:]
	position := -1
	if n, ok := f.number(); ok {
		if !strings.HasPrefix(f.spec, "$") {
			return 0, sqlerr.New(sqlerr.InvalidParameterValue, "width argument position must be ended by \"$\"")
		}
		f.spec = f.spec[1:]
		position = n
	}
	d, t, err := f.argument(position)
	if err != nil || d.Null {
		return 0, err
	}
	if d, err = CastDatum(f.c.Env, t, types.Of(types.Int4), d, true); err != nil {
		return 0, err
	}
	*left = *left || d.I < 0
	return int(min(max(d.I, -d.I), maxTextBytes)), nil
}

func (f *formatter) value(kind byte, d types.Datum, t types.Type, width int, left bool) error {
	s := types.FormatText(t, d, f.c.Env.Text)
	switch {
	case kind == 'I' && d.Null:
		return sqlerr.New("22004", "null values cannot be formatted as an SQL identifier")
	case kind == 'I':
		s = sql.QuoteIdent(s)
	case kind == 'L' && d.Null:
		s = "NULL"
	case kind == 'L':
		s = quoteLiteral(s)
	}
	missing := width - len([]rune(s))
	if f.out.Len()+max(missing, 0)+len(s) > maxTextBytes {
		return errTextTooLarge
	}
	padding := strings.Repeat(" ", max(missing, 0))
	if left {
		s += padding
	} else {
		s = padding + s
	}
	f.out.WriteString(s)
	return nil
}

// intervalFields are the fields of to_char(interval, text), longest first.
var intervalFields = []string{"SSSSS", "SSSS", "HH24", "HH12", "YYYY", "DDD", "YYY", "HH", "MI", "SS", "MS", "US", "DD", "MM", "YY", "FM", "Y"}

func formatInterval(iv types.IntervalValue, pattern string) string {
	hours, rest := iv.Micros/types.MicrosPerHour, iv.Micros%types.MicrosPerHour
	half := hours % 12
	if half == 0 {
		half = 12 * max(min(hours, 1), 0)
		if hours == 0 {
			half = 12
		}
	}
	seconds := rest % types.MicrosPerMinute / types.MicrosPerSecond
	micros := rest % types.MicrosPerSecond
	values := map[string]struct {
		v     int64
		width int
	}{
		"SSSSS": {iv.Micros / types.MicrosPerSecond, 1}, "SSSS": {iv.Micros / types.MicrosPerSecond, 1},
		"HH24": {hours, 2}, "HH12": {half, 2}, "HH": {half, 2}, "MI": {rest / types.MicrosPerMinute, 2}, "SS": {seconds, 2},
		"MS": {micros / 1000, 3}, "US": {micros, 6}, "DD": {int64(iv.Days), 2}, "DDD": {int64(iv.Days) + 30*int64(iv.Months), 3},
		"MM": {int64(iv.Months % 12), 2}, "YYYY": {int64(iv.Months / 12), 4}, "YYY": {int64(iv.Months / 12 % 1000), 3},
		"YY": {int64(iv.Months / 12 % 100), 2}, "Y": {int64(iv.Months / 12 % 10), 1},
	}
	var b strings.Builder
	fill := false
next:
	for pattern != "" {
		if pattern[0] == '"' {
			quoted, rest, _ := strings.Cut(pattern[1:], `"`)
			b.WriteString(quoted)
			pattern = rest
			continue
		}
		for _, f := range intervalFields {
			if len(pattern) < len(f) || !strings.EqualFold(pattern[:len(f)], f) {
				continue
			}
			pattern = pattern[len(f):]
			if f == "FM" {
				fill = true
				continue next
			}
			width := values[f].width
			if fill {
				width = 1
			}
			fill = false
			if values[f].v < 0 {
				width++
			}
			fmt.Fprintf(&b, "%0*d", width, values[f].v)
			continue next
		}
		b.WriteByte(pattern[0])
		pattern = pattern[1:]
	}
	return b.String()
}
