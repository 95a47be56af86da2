package types

import (
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// JavaPattern is a pattern of java.time.format.DateTimeFormatter, as ksqlDB's functions of dates and times take it. Texts are
// English; week-based fields are refused, for their meaning depends on a locale. It is safe for concurrent use.
type JavaPattern struct {
	source string
	items  []javaItem
}

// javaItem is a field of width n, a literal, or an optional section.
type javaItem struct {
	letter  byte // 0: a literal, '[': a section
	n       int
	literal string
	section []javaItem
}

// maxJavaPatterns bounds the patterns that are kept parsed.
const maxJavaPatterns = 256

var javaPatterns struct {
	sync.Mutex
	parsed map[string]*JavaPattern
}

// ParseJavaPattern parses a pattern, or finds it parsed. A pattern that Java would refuse, or that is not supported, is 22023.
func ParseJavaPattern(s string) (*JavaPattern, error) {
	javaPatterns.Lock()
	defer javaPatterns.Unlock()
	if p, ok := javaPatterns.parsed[s]; ok {
		return p, nil
	}
	items, rest, err := parseJavaItems(s, false)
	if err == nil && rest != "" {
		err = badJavaPattern(s, "it has ] without [")
	}
	if err != nil {
		return nil, err
	}
	if len(javaPatterns.parsed) >= maxJavaPatterns || javaPatterns.parsed == nil {
		javaPatterns.parsed = map[string]*JavaPattern{}
	}
	p := &JavaPattern{source: strings.Clone(s), items: items}
	javaPatterns.parsed[p.source] = p
	return p, nil
}

func badJavaPattern(s, why string, args ...any) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "the pattern %q cannot be used: "+why, append([]any{clip(s)}, args...)...).
		WithHint("Patterns are those of Java's DateTimeFormatter, as in yyyy-MM-dd'T'HH:mm:ss.SSSX.")
}

// javaWidths are the most letters that a field may have; fields that are not here are refused.
var javaWidths = map[byte]int{
	'G': 5, 'u': 18, 'y': 18, 'D': 3, 'M': 5, 'L': 5, 'd': 2, 'Q': 4, 'q': 4, 'E': 5, 'a': 1, 'h': 2, 'K': 2, 'k': 2, 'H': 2, 'm': 2, 's': 2,
	'S': 9, 'A': 18, 'n': 18, 'N': 18, 'V': 2, 'z': 4, 'O': 4, 'X': 5, 'x': 5, 'Z': 5,
}

// maxJavaPattern bounds a pattern, and with it the nesting of its sections.
const maxJavaPattern = 1000

func parseJavaItems(s string, nested bool) (items []javaItem, rest string, err error) {
	if len(s) > maxJavaPattern {
		return nil, "", badJavaPattern(s, "it is longer than %d bytes", maxJavaPattern)
	}
	whole := s
	for s != "" {
		c := s[0]
		switch {
		case c == '\'':
			text, after, ok := javaQuoted(s)
			if !ok {
				return nil, "", badJavaPattern(whole, "a quote is not closed")
			}
			items, s = append(items, javaItem{literal: text}), after
		case c == '[':
			section, after, err := parseJavaItems(s[1:], true)
			if err != nil {
				return nil, "", err
			}
			items, s = append(items, javaItem{letter: '[', section: section}), after
		case c == ']':
			if nested {
				return items, s[1:], nil
			}
			return items, s, nil
		case c == '{' || c == '}' || c == '#':
			return nil, "", badJavaPattern(whole, "%q is reserved", c)
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := len(s) - len(strings.TrimLeft(s, s[:1]))
			if widest, ok := javaWidths[c]; !ok || n > widest || c == 'V' && n != 2 || c == 'O' && n != 1 && n != 4 {
				return nil, "", badJavaPattern(whole, "%s is not supported", s[:n])
			}
			items, s = append(items, javaItem{letter: c, n: n}), s[n:]
		default:
			_, size := utf8.DecodeRuneInString(s)
			items, s = append(items, javaItem{literal: s[:size]}), s[size:]
		}
	}
	return items, "", nil // a section that is not closed ends with the pattern, as in Java
}

// javaQuoted reads 'text', in which two quotes are one; an empty text is a quote as well.
func javaQuoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for s = s[1:]; ; {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			return "", "", false
		}
		b.WriteString(s[:i])
		if s = s[i+1:]; strings.HasPrefix(s, "'") {
			b.WriteByte('\'')
			s = s[1:]
			continue
		}
		if b.Len() == 0 {
			return "'", s, true
		}
		return b.String(), s, true
	}
}

// Append appends the instant us, in microseconds since 1970 UTC, as the pattern shows it in a zone.
func (p *JavaPattern) Append(dst []byte, us int64, zone *time.Location) []byte {
	return appendJavaItems(dst, p.items, time.UnixMicro(us).In(zone))
}

func appendJavaItems(dst []byte, items []javaItem, t time.Time) []byte {
	for _, it := range items {
		switch it.letter {
		case 0:
			dst = append(dst, it.literal...)
		case '[':
			dst = appendJavaItems(dst, it.section, t)
		default:
			dst = appendJavaField(dst, it, t)
		}
	}
	return dst
}

func appendJavaField(dst []byte, it javaItem, t time.Time) []byte {
	switch it.letter {
	case 'G', 'E', 'a':
		return append(dst, javaText(it, t)...)
	case 'M', 'L', 'Q', 'q':
		if it.n > 2 {
			return append(dst, javaText(it, t)...)
		}
	case 'S':
		return append(dst, padded(int64(t.Nanosecond()), 9)[:it.n]...)
	case 'V':
		return append(dst, t.Location().String()...)
	case 'z':
		name, _ := t.Zone()
		return append(dst, name...)
	case 'O', 'X', 'x', 'Z':
		_, offset := t.Zone()
		return appendJavaOffset(dst, it, offset)
	}
	v := javaNumber(it.letter, t)
	if (it.letter == 'y' || it.letter == 'u') && it.n == 2 {
		return append(dst, padded(((v%100)+100)%100, 2)...)
	}
	if v < 0 {
		dst, v = append(dst, '-'), -v
	} else if (it.letter == 'y' || it.letter == 'u') && it.n >= 4 && len(padded(v, 1)) > it.n {
		dst = append(dst, '+')
	}
	return append(dst, padded(v, it.n)...)
}

// padded is a number that is not negative, with zeros before it up to n digits.
func padded(v int64, n int) string {
	s := strconv.FormatInt(v, 10)
	return strings.Repeat("0", max(0, n-len(s))) + s
}

func javaNumber(letter byte, t time.Time) int64 {
	hour := int64(t.Hour())
	switch letter {
	case 'u':
		return int64(t.Year())
	case 'y':
		if t.Year() <= 0 {
			return 1 - int64(t.Year())
		}
		return int64(t.Year())
	case 'D':
		return int64(t.YearDay())
	case 'M', 'L':
		return int64(t.Month())
	case 'd':
		return int64(t.Day())
	case 'Q', 'q':
		return int64(t.Month()+2) / 3
	case 'h':
		return (hour+11)%12 + 1
	case 'K':
		return hour % 12
	case 'k':
		return (hour+23)%24 + 1
	case 'H':
		return hour
	case 'm':
		return int64(t.Minute())
	case 's':
		return int64(t.Second())
	case 'n':
		return int64(t.Nanosecond())
	}
	ns := (hour*3600+int64(t.Minute())*60+int64(t.Second()))*1e9 + int64(t.Nanosecond())
	if letter == 'A' {
		return ns / 1e6
	}
	return ns // 'N'
}

func javaText(it javaItem, t time.Time) string {
	short := it.n <= 3
	var s string
	switch it.letter {
	case 'a':
		return map[bool]string{false: "AM", true: "PM"}[t.Hour() >= 12]
	case 'G':
		s = map[bool]string{false: "Anno Domini", true: "Before Christ"}[t.Year() <= 0]
		if short {
			return map[bool]string{false: "AD", true: "BC"}[t.Year() <= 0]
		}
	case 'E':
		s = t.Weekday().String()
	case 'M', 'L':
		s = t.Month().String()
	default: // a quarter
		n := (int(t.Month()) + 2) / 3
		if short {
			return "Q" + padded(int64(n), 1)
		}
		return [...]string{"1st", "2nd", "3rd", "4th"}[n-1] + " quarter"
	}
	switch {
	case short:
		return s[:3]
	case it.n == 5:
		return s[:1]
	}
	return s
}

// appendJavaOffset spells an offset, in seconds east of UTC.
func appendJavaOffset(dst []byte, it javaItem, offset int) []byte {
	gmt := it.letter == 'O' || it.letter == 'Z' && it.n == 4
	if gmt {
		if dst = append(dst, "GMT"...); offset == 0 {
			return dst
		}
	} else if offset == 0 && (it.letter == 'X' || it.letter == 'Z' && it.n == 5) {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	h, m, s := int64(offset/3600), int64(offset/60%60), int64(offset%60)
	dst = append(dst, sign)
	if it.letter == 'O' && it.n == 1 {
		dst = append(dst, padded(h, 1)...)
		if m != 0 {
			dst = append(append(dst, ':'), padded(m, 2)...)
		}
		return dst
	}
	dst = append(dst, padded(h, 2)...)
	if it.n == 1 && it.letter != 'Z' && m == 0 {
		return dst
	}
	colon := gmt || it.letter == 'Z' && it.n == 5 || it.letter != 'Z' && (it.n == 3 || it.n == 5)
	put := func(v int64) {
		if colon {
			dst = append(dst, ':')
		}
		dst = append(dst, padded(v, 2)...)
	}
	put(m)
	if s != 0 && it.letter != 'Z' && it.n >= 4 {
		put(s)
	}
	return dst
}
