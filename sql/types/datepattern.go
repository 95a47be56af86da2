package types

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// The template patterns of to_char() and to_timestamp() for dates and times (PostgreSQL 15 docs, 9.8).

// patternFields are the fields by length, longest first, so that the first that matches is the one meant.
var patternFields = [][]string{
	{"Y,YYY", "MONTH", "SSSSS"},
	{"A.D.", "A.M.", "B.C.", "P.M.", "HH12", "HH24", "IDDD", "IYYY", "SSSS", "YYYY"},
	{"DAY", "DDD", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "IYY", "MON", "TZH", "TZM", "YYY"},
	{"AD", "AM", "BC", "CC", "DD", "DY", "HH", "ID", "IW", "IY", "MI", "MM", "MS", "OF", "PM", "RM", "SS", "TZ", "US", "WW", "YY"},
	{"D", "I", "J", "Q", "W", "Y"},
}

// namedFields also have a capitalized form.
var namedFields = map[string]bool{"MONTH": true, "MON": true, "DAY": true, "DY": true}

// letterCase is how a field that prints letters was written.
type letterCase uint8

const (
	upperCase letterCase = iota
	lowerCase
	capitalCase
)

// patternNode is a field with its modifiers, or literal text.
type patternNode struct {
	field   string // upper case; "" for text
	spelled string // as the template has it, for messages
	text    string
	quoted  bool
	letters letterCase
	fill    bool // FM: no padding
	ordinal string
}

// DatePattern is a template compiled once and used for many values. It is immutable.
type DatePattern struct {
	nodes []patternNode
	exact bool // FX
}

// patternCache holds compiled templates: queries use few, and a bound keeps hostile ones out.
var patternCache struct {
	sync.Mutex
	byText map[string]*DatePattern
}

const (
	maxCachedPatterns   = 256
	maxCachedPatternLen = 128
)

// ParseDatePattern compiles a template; every text is one.
func ParseDatePattern(s string) *DatePattern {
	patternCache.Lock()
	defer patternCache.Unlock()
	if p, ok := patternCache.byText[s]; ok {
		return p
	}
	p := compileDatePattern(s)
	if len(s) > maxCachedPatternLen {
		return p
	}
	if patternCache.byText == nil || len(patternCache.byText) >= maxCachedPatterns {
		patternCache.byText = map[string]*DatePattern{}
	}
	patternCache.byText[strings.Clone(s)] = p
	return p
}

func compileDatePattern(s string) *DatePattern {
	p := &DatePattern{}
	for s != "" {
		var node patternNode
		rest := s
	prefixes:
		for {
			switch {
			case hasEither(rest, "FX"):
				p.exact = true
			case hasEither(rest, "FM"):
				node.fill = true
			case hasEither(rest, "TM"):
			default:
				break prefixes
			}
			rest = rest[2:]
		}
		field, letters, ok := fieldAt(rest)
		if !ok {
			if len(rest) < len(s) {
				s = rest
				continue
			}
			s = p.literal(s)
			continue
		}
		node.field, node.spelled, node.letters = field, rest[:len(field)], letters
		rest = rest[len(field):]
		if hasEither(rest, "TH") {
			node.ordinal, rest = rest[:2], rest[2:]
		}
		p.nodes = append(p.nodes, node)
		s = rest
	}
	return p
}

func hasEither(s, upper string) bool {
	return strings.HasPrefix(s, upper) || strings.HasPrefix(s, strings.ToLower(upper))
}

func fieldAt(s string) (field string, letters letterCase, ok bool) {
	for _, group := range patternFields {
		for _, f := range group {
			switch {
			case strings.HasPrefix(s, f):
				return f, upperCase, true
			case strings.HasPrefix(s, strings.ToLower(f)):
				return f, lowerCase, true
			case namedFields[f] && strings.HasPrefix(s, f[:1]+strings.ToLower(f[1:])):
				return f, capitalCase, true
			}
		}
	}
	return "", 0, false
}

// literal takes text in quotes, an escaped character or one character, and returns what follows.
func (p *DatePattern) literal(s string) string {
	switch {
	case s[0] == '"':
		var text []byte
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			text = append(text, s[i])
		}
		p.nodes = append(p.nodes, patternNode{text: string(text), quoted: true})
		return s[min(i+1, len(s)):]
	case s[0] == '\\' && len(s) > 1 && s[1] == '"':
		p.nodes = append(p.nodes, patternNode{text: `"`, quoted: true})
		return s[2:]
	}
	size := len(firstRune(s))
	if size > len(s) || size == 0 {
		size = 1
	}
	p.nodes = append(p.nodes, patternNode{text: s[:size]})
	return s[size:]
}

// fieldTime is a moment taken apart for printing.
type fieldTime struct {
	days, us         int64
	year, month, day int
	offset           int64
	zone             string
}

// Append appends a Timestamp, or with a zone a TimestampTZ as the clocks there show it. An infinity and
// an empty template append nothing; to_char() makes NULL of them.
func (p *DatePattern) Append(dst []byte, us int64, loc *time.Location) []byte {
	if IsInfinite(us) {
		return dst
	}
	var t fieldTime
	if loc != nil {
		sec := floorDiv64(us, MicrosPerSecond)
		name, off := time.Unix(sec, 0).In(loc).Zone()
		t.offset, t.zone = int64(off), name
		us += t.offset * MicrosPerSecond
	}
	t.days, t.us = splitDay(us)
	t.year, t.month, t.day = CivilOf(t.days)
	for i := range p.nodes {
		n := &p.nodes[i]
		if n.field == "" {
			dst = append(dst, n.text...)
			continue
		}
		dst = n.append(dst, &t)
	}
	return dst
}

// shownYear is the year as it is written, with AD or BC beside it.
func (t *fieldTime) shownYear() int64 {
	if t.year <= 0 {
		return int64(1 - t.year)
	}
	return int64(t.year)
}

func (n *patternNode) append(dst []byte, t *fieldTime) []byte {
	if text, ok := n.letterField(t); ok {
		return n.appendLetters(dst, text)
	}
	switch n.field {
	case "TZH":
		sign := byte('+')
		if t.offset < 0 {
			sign = '-'
		}
		return append2(append(dst, sign), abs64(t.offset)/3600)
	case "TZM":
		return append2(dst, abs64(t.offset)/60%60)
	case "OF":
		return appendOffset(dst, t.offset)
	case "Y,YYY":
		year := t.shownYear()
		dst = append(strconv.AppendInt(dst, year/1000, 10), ',')
		return n.appendOrdinal(appendPadded(dst, year%1000, 3), year)
	}
	value, width := n.number(t)
	if n.fill {
		width = 1
	}
	if value < 0 {
		dst = append(dst, '-')
		value = -value
	}
	return n.appendOrdinal(appendPadded(dst, value, width), value)
}

// number returns the value of a numeric field and the digits it is padded to.
func (n *patternNode) number(t *fieldTime) (value int64, width int) {
	isoYear, week := isoWeek(t.days)
	shownISO := int64(isoYear)
	if isoYear <= 0 {
		shownISO = int64(1 - isoYear)
	}
	doy := t.days - DaysOf(t.year, 1, 1) + 1
	switch n.field {
	case "HH", "HH12":
		return (t.us/MicrosPerHour+11)%12 + 1, 2
	case "HH24":
		return t.us / MicrosPerHour, 2
	case "MI":
		return t.us / MicrosPerMinute % 60, 2
	case "SS":
		return t.us / MicrosPerSecond % 60, 2
	case "SSSS", "SSSSS":
		return t.us / MicrosPerSecond, 1
	case "MS", "FF3":
		return t.us % MicrosPerSecond / 1000, 3
	case "US", "FF6":
		return t.us % MicrosPerSecond, 6
	case "FF1", "FF2", "FF4", "FF5":
		digits := int(n.field[2] - '0')
		return t.us % MicrosPerSecond / [...]int64{1e5, 1e4, 1e3, 100, 10}[digits-1], digits
	case "YYYY":
		return t.shownYear(), 4
	case "YYY", "YY", "Y":
		return t.shownYear() % pow10[len(n.field)], len(n.field)
	case "IYYY":
		return shownISO, 4
	case "IYY", "IY", "I":
		return shownISO % pow10[len(n.field)], len(n.field)
	case "MM":
		return int64(t.month), 2
	case "DDD":
		return doy, 3
	case "IDDD":
		return t.days - isoYearStart(isoYear) + 1, 3
	case "DD":
		return int64(t.day), 2
	case "D":
		return isoWeekday(t.days)%7 + 1, 1
	case "ID":
		return isoWeekday(t.days), 1
	case "W":
		return int64(t.day-1)/7 + 1, 1
	case "WW":
		return (doy-1)/7 + 1, 2
	case "IW":
		return int64(week), 2
	case "CC":
		return periodOf(t.year, 100), 2
	case "J":
		return t.days - minDate, 1
	default: // Q
		return int64(t.month-1)/3 + 1, 1
	}
}

var pow10 = [...]int64{1, 10, 100, 1000}

// isoYearStart is the Monday of the first week of an ISO 8601 year.
func isoYearStart(year int) int64 {
	fourth := DaysOf(year, 1, 4)
	return fourth - isoWeekday(fourth) + 1
}

var romanMonths = [...]string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}

// letterField returns the capitalized text of a field that prints letters.
func (n *patternNode) letterField(t *fieldTime) (string, bool) {
	pick := func(second bool, a, b string) (string, bool) {
		if second {
			return b, true
		}
		return a, true
	}
	switch n.field {
	case "AM", "PM":
		return pick(t.us >= MicrosPerDay/2, "AM", "PM")
	case "A.M.", "P.M.":
		return pick(t.us >= MicrosPerDay/2, "A.M.", "P.M.")
	case "AD", "BC":
		return pick(t.year <= 0, "AD", "BC")
	case "A.D.", "B.C.":
		return pick(t.year <= 0, "A.D.", "B.C.")
	case "MONTH":
		return padName(time.Month(t.month).String(), n.fill), true
	case "MON":
		return time.Month(t.month).String()[:3], true
	case "DAY":
		return padName(time.Weekday(isoWeekday(t.days)%7).String(), n.fill), true
	case "DY":
		return time.Weekday(isoWeekday(t.days) % 7).String()[:3], true
	case "RM":
		name := romanMonths[t.month-1]
		if !n.fill {
			name += strings.Repeat(" ", 4-len(name))
		}
		return name, true
	case "TZ":
		return t.zone, true
	}
	return "", false
}

// padName pads the name of a month or day to the longest one.
func padName(name string, fill bool) string {
	if fill {
		return name
	}
	return name + strings.Repeat(" ", 9-len(name))
}

func (n *patternNode) appendLetters(dst []byte, text string) []byte {
	switch n.letters {
	case lowerCase:
		return append(dst, strings.ToLower(text)...)
	case upperCase:
		return append(dst, strings.ToUpper(text)...)
	}
	return append(dst, text...)
}

// appendOrdinal appends st, nd, rd or th when the field asks for it.
func (n *patternNode) appendOrdinal(dst []byte, value int64) []byte {
	if n.ordinal == "" {
		return dst
	}
	suffix := "th"
	if value/10%10 != 1 && value%10 >= 1 && value%10 <= 3 {
		suffix = [...]string{"st", "nd", "rd"}[value%10-1]
	}
	if n.ordinal == "TH" {
		suffix = strings.ToUpper(suffix)
	}
	return append(dst, suffix...)
}
