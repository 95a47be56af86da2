package expr

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// numberReader reads a number by a template as to_number() does: each digit place of the template takes one character of the text, whether
// that is a digit or not.
type numberReader struct {
	*numberPattern
	in       string
	digits   []byte
	sign     byte // 0 until one was read
	pre      int  // digits read before the point, and after it
	post     int
	hasPoint bool
}

// maxPrecision is the largest precision that a numeric can be declared with.
const maxPrecision = 1000

func (p *numberPattern) parse(s string) (types.Datum, error) {
	r := numberReader{numberPattern: p, in: s}
	for _, n := range p.nodes {
		if r.in == "" {
			break
		}
		r.node(n)
	}
	text := strings.TrimSuffix(string(r.digits), ".")
	if text == "" {
		return types.NullDatum, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type numeric: \" \"")
	}
	if r.sign == '-' {
		text = "-" + text
	}
	t := types.Of(types.Numeric)
	if precision := max(p.pre+p.multi+r.post, 1); precision <= maxPrecision {
		t = types.NumericOf(precision, r.post)
	}
	d, err := types.ParseText(t, text, nil)
	if err != nil || p.multi == 0 {
		return d, err
	}
	scale, z := new(types.Decimal), types.DecimalOf(d.S)
	if err = scale.Pow(types.NewDecimal(10, 0), types.NewDecimal(-int64(p.multi), 0)); err == nil {
		err = z.Mul(z, scale)
	}
	return z.Datum(), err
}

func (r *numberReader) skip() {
	if r.in != "" {
		r.in = cut(r.in, 1, -1)
	}
}

// skipText passes up to n characters that cannot be part of a number.
func (r *numberReader) skipText(n int) {
	for ; n > 0 && r.in != "" && !strings.ContainsRune("0123456789.,+-", rune(r.in[0])); n-- {
		r.skip()
	}
}

func (r *numberReader) takeSign(allowed string) bool {
	if r.in == "" || !strings.ContainsRune(allowed, rune(r.in[0])) {
		return false
	}
	r.sign = '-'
	if r.in[0] == '+' {
		r.sign = '+'
	}
	return true
}

func (r *numberReader) node(n numberNode) {
	switch n.field {
	case "9", "0", ".", "D":
		r.place(n.field)
		r.skip()
	case ",", "G":
		if !r.fill {
			r.in = strings.TrimPrefix(r.in, ",")
		}
	case "MI", "PL", "SG":
		if r.takeSign(map[string]string{"MI": "-", "PL": "+", "SG": "+-"}[n.field]) {
			r.skip()
		} else {
			r.skipText(1)
		}
	case "L":
		r.skipText(1)
	case "TH":
		r.skipText(2)
	case "":
		r.skipText(len([]rune(n.text)))
	}
}

// place reads a digit or the point, with the sign ahead of it or behind it; it leaves the last character that it looked at for the caller to pass.
func (r *numberReader) place(field string) {
	r.in = strings.TrimPrefix(r.in, " ")
	if r.in == "" {
		return
	}
	if r.sign == 0 && r.pre+r.post == 0 && field != "D" {
		signs := "-+"
		if r.numberPattern.sign == signBracket {
			signs = "-+<"
		}
		if r.takeSign(signs) {
			r.skip()
		}
	}
	if r.in == "" {
		return
	}
	read := false
	switch c := r.in[0]; {
	case isDigit(rune(c)):
		if r.hasPoint && r.post == r.numberPattern.post {
			return
		}
		r.digits = append(r.digits, c)
		if read = true; r.hasPoint {
			r.post++
		} else {
			r.pre++
		}
	case c == '.' && r.point && !r.hasPoint:
		r.digits = append(r.digits, c)
		r.hasPoint, read = true, true
	}
	if r.sign == 0 && r.pre+r.post > 0 {
		r.signBehind(read)
	}
}

// signBehind looks for the sign of S behind the digits, or for that of MI, PL and SG in the place of a digit.
func (r *numberReader) signBehind(read bool) {
	located := r.numberPattern.sign == signBefore || r.numberPattern.sign == signAfter
	switch {
	case located && read && len(r.in) > 1 && (r.in[1] == '-' || r.in[1] == '+'):
		r.in = r.in[1:]
		r.takeSign("-+")
	case !read && (r.plus || r.minus):
		r.takeSign("-+")
	}
}
