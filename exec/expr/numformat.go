package expr

import (
	"strings"
)

// romanWidth is the width of RN: the longest numeral, MMMDCCCLXXXVIII.
const romanWidth = 15

// numberWriter prints one number by a template. digits is the number without sign, with as many digits after the point as the template has
// places. The positions of the template and of the digits are counted together, which decides where blanks, zeros and the sign go.
type numberWriter struct {
	*numberPattern
	out      []byte
	digits   string
	negative bool

	next       int  // next of digits
	pos        int  // position among the template's digit places
	lead       int  // places ahead of the first digit
	places     int  // position at which a sign behind the digits goes
	keep       int  // with FM and a point: index of the last digit to print, else -1
	signed     bool // the sign is written, or needs no writing
	inNumber   bool
	noBrackets bool
}

// format prints a number. digits has no sign; it is "#" for every place when it does not fit.
func (p *numberPattern) format(negative bool, digits string) string {
	w := &numberWriter{numberPattern: p, negative: negative, digits: digits, keep: -1}
	whole, _, _ := strings.Cut(digits, ".")
	width := p.pre + p.multi
	switch {
	case len(whole) < width:
		w.lead = width - len(whole)
	case len(whole) > width:
		w.digits = strings.Repeat("#", width)
		if p.post > 0 || p.point {
			w.digits += "." + strings.Repeat("#", p.post)
		}
	}
	w.prepare()
	for _, n := range p.nodes {
		w.node(n)
	}
	return string(w.out)
}

func (w *numberWriter) prepare() {
	switch {
	case w.plus || w.minus:
		w.signed = w.minus
	default:
		w.noBrackets = !w.negative && w.fill
		w.signed = !w.negative && w.fill && w.sign != signBefore && w.sign != signAfter
	}
	w.places = w.post + w.pre + w.multi - 1
	if w.fill && w.point {
		w.keep = w.lastRelevant()
	}
	if !w.signed && w.lead == 0 {
		w.places++
	}
	if w.lead > 0 {
		w.places++
	}
	if w.point {
		w.places++
	}
}

// lastRelevant is the index of the last digit that FM leaves: zeros at the end go unless the template has a 0 there.
func (w *numberWriter) lastRelevant() int {
	dot := strings.IndexByte(w.digits, '.')
	if dot < 0 {
		return -1
	}
	last := dot
	for i := dot + 1; i < len(w.digits); i++ {
		if w.digits[i] != '0' {
			last = i
		}
	}
	if w.zeroTo > w.lead {
		last = max(last, min(len(w.digits)-1, w.zeroTo-w.lead))
	}
	return last
}

func (w *numberWriter) write(s string) { w.out = append(w.out, s...) }

// pad writes s, which without FM is a blank where it is nothing.
func (w *numberWriter) pad() {
	if !w.fill {
		w.write(" ")
	}
}

func (w *numberWriter) node(n numberNode) {
	switch n.field {
	case "":
		w.write(n.text)
	case "9", "0", ".", "D":
		w.place(n.field)
	case ",", "G":
		if w.inNumber {
			w.write(",")
		} else {
			w.pad()
		}
	case "L":
		w.write(" ")
	case "MI":
		if w.negative {
			w.write("-")
		} else {
			w.pad()
		}
	case "PL":
		if w.negative {
			w.pad()
		} else {
			w.write("+")
		}
	case "SG":
		w.write(w.signText())
	case "TH":
		if !w.negative && !w.point && w.digits != "" && w.digits[0] != '#' {
			w.write(ordinalSuffix(w.digits, n.lower))
		}
	}
}

func (w *numberWriter) signText() string {
	if w.negative {
		return "-"
	}
	return "+"
}

func ordinalSuffix(digits string, lower bool) string {
	suffix := "TH"
	last := digits[len(digits)-1]
	if len(digits) < 2 || digits[len(digits)-2] != '1' {
		switch last {
		case '1':
			suffix = "ST"
		case '2':
			suffix = "ND"
		case '3':
			suffix = "RD"
		}
	}
	if lower {
		return strings.ToLower(suffix)
	}
	return suffix
}

// blankZero: the only digit before the point is a 0 that no 0 of the template asks for: 0.1 under 9.9 is " .1".
func (w *numberWriter) blankZero() bool {
	return w.zeroFrom < 0 && w.next == 0 && strings.HasPrefix(w.digits, "0") && w.post != 0
}

func (w *numberWriter) keepsPointOnly() bool { return w.keep >= 0 && w.digits[w.keep] == '.' }

// place writes what belongs at a digit or the point of the template.
func (w *numberWriter) place(field string) {
	zeroHere := w.zeroFrom >= 0 && w.zeroFrom <= w.pos
	if !w.signed && (w.pos >= w.lead || w.zeroFrom == w.pos) && (!w.blankZero() || w.keepsPointOnly()) {
		w.leadingSign()
	}
	switch {
	case w.pos < w.lead && !zeroHere:
		w.pad()
	case w.pos < w.lead:
		w.write("0")
		w.inNumber = true
	default:
		w.digit(field)
	}
	end := w.places
	if w.keep >= 0 && w.keep == w.next {
		end = w.pos
	}
	if w.pos+1 == end {
		w.trailingSign()
	}
	w.pos++
}

func (w *numberWriter) leadingSign() {
	switch {
	case w.sign == signAfter:
		return
	case w.sign == signBefore:
		w.write(w.signText())
	case w.sign == signBracket && !w.noBrackets:
		w.write(map[bool]string{true: "<", false: " "}[w.negative])
	case w.negative:
		w.write("-")
	default:
		w.pad()
	}
	w.signed = true
}

func (w *numberWriter) trailingSign() {
	switch {
	case w.sign == signBracket && !w.noBrackets && w.signed:
		w.write(map[bool]string{true: ">", false: " "}[w.negative])
	case w.sign == signAfter:
		w.write(w.signText())
	}
}

// digit writes the next of the digits, or the point.
func (w *numberWriter) digit(field string) {
	if w.next >= len(w.digits) {
		return
	}
	switch c := w.digits[w.next]; {
	case c == '.':
		if !w.keepsPointOnly() || w.fill {
			w.write(".")
		}
	case w.keep >= 0 && w.next > w.keep && field != "0":
	case w.blankZero():
		if w.fill && w.keepsPointOnly() {
			w.write("0")
		} else {
			w.pad()
		}
	default:
		w.out = append(w.out, c)
		w.inNumber = true
	}
	w.next++
}

// romanNumeral is n in Roman numerals, "" unless it is between 1 and 3999.
func romanNumeral(n int64) string {
	if n < 1 || n > 3999 {
		return ""
	}
	var b strings.Builder
	for _, d := range []struct {
		value int64
		text  string
	}{
		{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"},
	} {
		for ; n >= d.value; n -= d.value {
			b.WriteString(d.text)
		}
	}
	return b.String()
}

// formatRoman is the template with RN: the other fields print nothing.
func (p *numberPattern) formatRoman(n int64, ok bool) string {
	numeral := romanNumeral(n)
	if !ok || numeral == "" {
		numeral = strings.Repeat("#", romanWidth)
	}
	var b strings.Builder
	for _, node := range p.nodes {
		switch node.field {
		case "":
			b.WriteString(node.text)
		case "RN":
			text := numeral
			if node.lower {
				text = strings.ToLower(text)
			}
			if !p.fill {
				text = strings.Repeat(" ", romanWidth-len(text)) + text
			}
			b.WriteString(text)
		}
	}
	return b.String()
}
