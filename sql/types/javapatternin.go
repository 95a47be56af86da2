package types

import (
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// javaTime is what has been read of a text. What a pattern does not name is that of 1970-01-01 00:00.
type javaTime struct {
	year, month, day, yearDay  int64
	hour, minute, second, nano int64
	hour12, nanoOfDay          int64 // -1: not named
	yearOfEra, bc, pm          bool
	zone                       *time.Location
	text                       string
	at                         int
}

// Parse reads a text and returns the instant in microseconds since 1970 UTC. zone is for patterns that name none. Digits beyond microseconds are cut
// off. Errors: 22007 where the text does not fit the pattern, 22008 where a field is out of range.
func (p *JavaPattern) Parse(text string, zone *time.Location) (int64, error) {
	t := &javaTime{year: 1970, month: 1, day: 1, yearDay: -1, hour12: -1, nanoOfDay: -1, text: text}
	ok, err := t.items(p.items)
	if err != nil {
		return 0, err
	}
	if !ok || t.at != len(text) {
		return 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "%q does not fit the pattern %q at position %d", clip(text), p.source, t.at+1)
	}
	if t.zone != nil {
		zone = t.zone
	}
	return t.resolve(zone)
}

func (t *javaTime) resolve(zone *time.Location) (int64, error) {
	bad := func(what string, v int64) error {
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "%s %d of %q is out of range", what, v, clip(t.text))
	}
	if t.yearOfEra && t.bc {
		t.year = 1 - t.year
	}
	if t.hour12 >= 0 {
		if t.hour = t.hour12 % 12; t.pm {
			t.hour += 12
		}
	}
	for _, f := range []struct {
		what      string
		v, lo, hi int64
	}{
		{"year", t.year, -4712, 294275},
		{"month", t.month, 1, 12},
		{"hour", t.hour, 0, 23},
		{"minute", t.minute, 0, 59},
		{"second", t.second, 0, 59},
		{"nanosecond", t.nano, 0, 999_999_999},
	} {
		if f.v < f.lo || f.v > f.hi {
			return 0, bad(f.what, f.v)
		}
	}
	d := time.Date(int(t.year), time.Month(t.month), int(t.day), 0, 0, 0, 0, time.UTC)
	if t.yearDay >= 0 {
		d = time.Date(int(t.year), 1, int(t.yearDay), 0, 0, 0, 0, time.UTC)
		if int64(d.YearDay()) != t.yearDay || int64(d.Year()) != t.year {
			return 0, bad("day of the year", t.yearDay)
		}
	} else if int64(d.Day()) != t.day || int64(d.Month()) != t.month {
		return 0, bad("day", t.day)
	}
	us := (t.hour*3600+t.minute*60+t.second)*1e6 + t.nano/1e3
	if t.nanoOfDay >= 0 {
		if us = t.nanoOfDay / 1e3; us >= MicrosPerDay {
			return 0, bad("time of day", t.nanoOfDay)
		}
	}
	return LocalToUTC(d.UnixMicro()+us, zone), nil
}

// items reads items one after the other; ok is false where the text does not go on as they do.
func (t *javaTime) items(items []javaItem) (ok bool, err error) {
	for i, it := range items {
		switch it.letter {
		case 0:
			if !strings.HasPrefix(t.text[t.at:], it.literal) {
				return false, nil
			}
			t.at += len(it.literal)
		case '[':
			before := *t
			if ok, err = t.items(it.section); err != nil {
				return false, err
			}
			if !ok {
				*t = before
			}
		default:
			if ok, err = t.field(it, items[i+1:]); !ok || err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func (t *javaTime) field(it javaItem, next []javaItem) (bool, error) {
	switch it.letter {
	case 'G':
		n, ok := t.word([]string{"Anno Domini", "Before Christ", "AD", "BC", "A", "B"})
		t.bc = n%2 == 1
		return ok, nil
	case 'a':
		n, ok := t.word([]string{"AM", "PM"})
		t.pm = n == 1
		return ok, nil
	case 'E':
		_, ok := t.word(javaNames(it.n, 7, func(i int) string { return time.Weekday(i).String() }))
		return ok, nil
	case 'M', 'L':
		if it.n > 2 {
			n, ok := t.word(javaNames(it.n, 12, func(i int) string { return time.Month(i + 1).String() }))
			t.month = int64(n) + 1
			return ok, nil
		}
	case 'Q', 'q':
		return false, badJavaPattern("Q", "a quarter cannot be read")
	case 'V', 'z':
		return t.zoneName()
	case 'O', 'X', 'x', 'Z':
		return t.offset()
	}
	return t.number(it, next), nil
}

func javaNames(width, n int, name func(int) string) []string {
	out := make([]string, n)
	for i := range out {
		if out[i] = name(i); width <= 3 {
			out[i] = out[i][:3]
		}
	}
	return out
}

// word reads one of the words, in any case, and returns its number.
func (t *javaTime) word(words []string) (int, bool) {
	for i, w := range words {
		if rest := t.text[t.at:]; len(rest) >= len(w) && strings.EqualFold(rest[:len(w)], w) {
			t.at += len(w)
			return i, true
		}
	}
	return 0, false
}

// number reads digits: as many as the field is wide, or, for a year and a field of one letter, as many as there are but those that the
// fields after it need.
func (t *javaTime) number(it javaItem, next []javaItem) bool {
	year := it.letter == 'y' || it.letter == 'u'
	sign := int64(1)
	if rest := t.text[t.at:]; rest != "" && year && (rest[0] == '-' || rest[0] == '+') {
		if rest[0] == '-' {
			sign = -1
		}
		t.at++
	}
	have := countDigits(t.text[t.at:])
	width := it.n
	if it.letter != 'S' && (it.n == 1 || year && it.n != 2) {
		for _, f := range next {
			if f.letter == 0 || f.letter == '[' || javaTextField(f) {
				break
			}
			have -= f.n
		}
		width = min(max(have, it.n), 18)
	}
	if have < width || width == 0 {
		return false
	}
	v := atoi(t.text[t.at : t.at+width])
	t.at += width
	if year && it.n == 2 {
		v += 2000
	}
	t.set(it, sign*v)
	return true
}

func javaTextField(it javaItem) bool {
	switch it.letter {
	case 'G', 'E', 'a', 'V', 'z', 'O', 'X', 'x', 'Z':
		return true
	case 'M', 'L':
		return it.n > 2
	}
	return false
}

func (t *javaTime) set(it javaItem, v int64) {
	switch it.letter {
	case 'u':
		t.year = v
	case 'y':
		t.year, t.yearOfEra = v, true
	case 'D':
		t.yearDay = v
	case 'M', 'L':
		t.month = v
	case 'd':
		t.day = v
	case 'h', 'K':
		t.hour12 = v
	case 'k':
		t.hour = v % 24
	case 'H':
		t.hour = v
	case 'm':
		t.minute = v
	case 's':
		t.second = v
	case 'S':
		for range 9 - it.n {
			v *= 10
		}
		t.nano = v
	case 'n':
		t.nano = v
	case 'A':
		t.nanoOfDay = min(v, MicrosPerDay) * 1e6
	case 'N':
		t.nanoOfDay = v
	}
}

// zoneName reads a zone: letters, digits and what stands in their names.
func (t *javaTime) zoneName() (bool, error) {
	rest := t.text[t.at:]
	n := strings.IndexFunc(rest, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/_+-:", r))
	})
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		return false, nil
	}
	zone, err := LookupZone(rest[:n])
	t.zone, t.at = zone, t.at+n
	return err == nil, err
}

// offset reads Z, GMT, or an offset with or without colons, also behind GMT.
func (t *javaTime) offset() (bool, error) {
	rest := t.text[t.at:]
	if strings.HasPrefix(rest, "Z") {
		t.at, t.zone = t.at+1, time.UTC
		return true, nil
	}
	if after, ok := strings.CutPrefix(rest, "GMT"); ok {
		t.at += len("GMT")
		if rest = after; rest == "" || rest[0] != '+' && rest[0] != '-' {
			t.zone = time.UTC
			return true, nil
		}
	}
	if rest == "" || rest[0] != '+' && rest[0] != '-' {
		return false, nil
	}
	n := 1 + len(rest[1:]) - len(strings.TrimLeft(rest[1:], "0123456789:"))
	zone, err := LookupZone(rest[:n])
	t.zone, t.at = zone, t.at+n
	return err == nil && n > 1, err
}
