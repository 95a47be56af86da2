package expr

import (
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// The template patterns of to_char() and to_number() for numbers (PostgreSQL docs, table 9.29).

// numberFields are the fields, longest first.
var numberFields = []string{"EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "0", "9", ".", ",", "B", "C", "D", "G", "L", "S", "V"}

// numberNode is a field, or literal text if field is "".
type numberNode struct {
	field string
	text  string
	lower bool // th and rn
}

type signPlace uint8

const (
	signDefault signPlace = iota
	signBefore            // S ahead of the digits
	signAfter             // S behind them
	signBracket           // PR
)

// numberPattern is a compiled template.
type numberPattern struct {
	nodes     []numberNode
	pre, post int // digits before and after the point
	multi     int // digits after V
	// zeroFrom is the first position that 0 fills, -1 without; zeroTo is behind the last 0.
	zeroFrom, zeroTo                     int
	sign                                 signPlace
	plus, minus                          bool // PL or SG, MI or SG: the sign has a place of its own
	point, fill, blank, roman, sci, hasV bool
}

func patternError(format string, args ...any) *sqlerr.Error {
	return sqlerr.New(sqlerr.SyntaxError, format, args...)
}

func compileNumberPattern(s, _ string) (*numberPattern, error) {
	p := &numberPattern{zeroFrom: -1}
	signAt := -1
	for s != "" {
		node, n := nextNumberNode(s)
		s = s[n:]
		if p.sci && node.field != "" {
			return nil, patternError("\"EEEE\" must be the last pattern used")
		}
		if err := p.add(&node, &signAt); err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, node)
	}
	if p.sign == signBefore && signAt == p.pre {
		p.sign = signAfter
	}
	if p.sci && (p.fill || p.sign != signDefault || p.plus || p.minus || p.roman || p.hasV) {
		return nil, patternError("\"EEEE\" is incompatible with other formats").
			WithDetail("\"EEEE\" may only be used together with digit and decimal point patterns.")
	}
	return p, nil
}

func nextNumberNode(s string) (numberNode, int) {
	if s[0] == '"' {
		end := 1
		var b strings.Builder
		for end < len(s) && s[end] != '"' {
			if s[end] == '\\' && end+1 < len(s) {
				end++
			}
			b.WriteByte(s[end])
			end++
		}
		return numberNode{text: b.String()}, min(end+1, len(s))
	}
	if s[0] == '\\' && len(s) > 1 && s[1] == '"' {
		return numberNode{text: `"`}, 2
	}
	for _, f := range numberFields {
		if len(s) >= len(f) && strings.EqualFold(s[:len(f)], f) {
			return numberNode{field: f, lower: s[0] >= 'a'}, len(f)
		}
	}
	_, n := utf8.DecodeRuneInString(s)
	return numberNode{text: s[:n]}, n
}

// add takes a node into the counts.
func (p *numberPattern) add(n *numberNode, signAt *int) error {
	switch n.field {
	case "9", "0":
		return p.addDigit(n.field)
	case ".", "D":
		if p.point {
			return patternError("multiple decimal points")
		}
		if p.hasV {
			return patternError("cannot use \"V\" and decimal point together")
		}
		p.point = true
	case "FM":
		p.fill = true
	case "B":
		p.blank = true
	case "RN":
		p.roman = true
	case "EEEE":
		p.sci = true
	case "V":
		if p.point {
			return patternError("cannot use \"V\" and decimal point together")
		}
		p.hasV = true
	default:
		return p.addSign(n.field, signAt)
	}
	return nil
}

func (p *numberPattern) addDigit(field string) error {
	if p.sign == signBracket {
		return patternError("\"%s\" must be ahead of \"PR\"", field)
	}
	if field == "0" {
		if p.zeroFrom < 0 && !p.point {
			p.zeroFrom = p.pre
		}
	}
	switch {
	case p.hasV && field == "9":
		p.multi++
	case p.point:
		p.post++
	default:
		p.pre++
	}
	if field == "0" {
		p.zeroTo = p.pre + p.post
	}
	return nil
}

func (p *numberPattern) addSign(field string, signAt *int) error {
	own := p.plus || p.minus
	switch field {
	case "S":
		switch {
		case p.sign == signBefore || p.sign == signAfter:
			return patternError("cannot use \"S\" twice")
		case own || p.sign == signBracket:
			return patternError("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")
		}
		p.sign = signAfter
		if !p.point {
			p.sign, *signAt = signBefore, p.pre
		}
	case "MI", "PL", "SG":
		if p.sign == signBefore || p.sign == signAfter {
			return patternError("cannot use \"S\" and \"%s\" together", field)
		}
		p.minus = p.minus || field != "PL"
		p.plus = p.plus || field != "MI"
	case "PR":
		if p.sign != signDefault || own {
			return patternError("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together")
		}
		p.sign = signBracket
	}
	return nil
}
