package types

import (
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// dateTime collects the fields of one date/time text (PostgreSQL 15 docs, appendix B.1).
type dateTime struct {
	kind Kind
	text string
	set  *Settings

	year, month, day int
	hasDate, hasTime bool
	bc               bool
	us               int64 // of the day; 24:00:00 and 23:59:60 are a whole day
	meridiem         byte  // 'a', 'p' or 0
	zone             *time.Location
	special          string // infinity, -infinity, epoch, now, today, tomorrow, yesterday
	loose            []looseNumber
	textMonth        bool
}

// looseNumber is a number of a date whose place is not yet known.
type looseNumber struct {
	n      int
	digits int
}

func (p *dateTime) syntax() error {
	name := strings.TrimSuffix(p.kind.String(), " without time zone")
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input syntax for type %s: \"%s\"", name, clip(p.text))
}

func (p *dateTime) fieldRange() error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", clip(p.text))
}

func (p *dateTime) dateOrderRange() error {
	return sqlerr.From(p.fieldRange()).WithHint("Perhaps you need a different \"datestyle\" setting.")
}

func (p *dateTime) outOfRange() error {
	what := "timestamp"
	if p.kind == Date {
		what = "date"
	}
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "%s out of range: \"%s\"", what, clip(p.text))
}

// SQLSTATEs that only date and time input gives.
const (
	invalidTimeZoneDisplacement sqlerr.Code = "22009"
	intervalFieldOverflow       sqlerr.Code = "22015"
)

// maxDateTimeText bounds date/time text, as PostgreSQL's MAXDATELEN does.
const maxDateTimeText = 128

func parseDateTimeKind(k Kind, s string, set *Settings) (Datum, error) {
	if k == Timestamp || k == TimestampTZ {
		if us, ok := parseISOTimestamp(k, s, set); ok {
			return IntDatum(us), nil
		}
	}
	p := &dateTime{kind: k, text: s, set: set}
	if len(s) > maxDateTimeText {
		return NullDatum, p.syntax()
	}
	if err := p.scan(strings.ToLower(trimSpace(s))); err != nil {
		return NullDatum, err
	}
	return p.finish()
}

// scan goes over the lower-case text token by token.
func (p *dateTime) scan(s string) error {
	if s == "" {
		return p.syntax()
	}
	for s != "" {
		var err error
		switch c := s[0]; {
		case isSpace(c) || c == ',':
			s = s[1:]
			continue
		case c >= '0' && c <= '9':
			s, err = p.scanNumber(s)
		case c >= 'a' && c <= 'z':
			s, err = p.scanWord(s)
		case c == '+' || c == '-':
			s, err = p.scanSigned(s)
		default:
			return p.syntax()
		}
		if err != nil {
			return err
		}
	}
	return p.placeNumbers()
}

func (p *dateTime) scanSigned(s string) (string, error) {
	if rest, ok := strings.CutPrefix(s, "-infinity"); ok {
		return rest, p.setSpecial("-infinity")
	}
	if rest, ok := strings.CutPrefix(s, "+infinity"); ok {
		return rest, p.setSpecial("infinity")
	}
	if !p.hasTime && !p.hasDate && len(p.loose) == 0 || p.zone != nil {
		return "", p.syntax()
	}
	off, rest, ok := parseOffset(s)
	if !ok {
		return "", p.zoneRange(s)
	}
	p.zone = fixedZone(off)
	return rest, nil
}

func (p *dateTime) zoneRange(s string) error {
	if len(s) > 1 && countDigits(s[1:]) > 0 {
		return sqlerr.New(invalidTimeZoneDisplacement, "time zone displacement out of range: \"%s\"", clip(p.text))
	}
	return p.syntax()
}

func (p *dateTime) setSpecial(word string) error {
	if p.special != "" {
		return p.syntax()
	}
	p.special = word
	return nil
}

// scanNumber reads a token that begins with a digit: a time, a date with separators, or a bare number.
func (p *dateTime) scanNumber(s string) (string, error) {
	n := countDigits(s)
	rest := s[n:]
	if rest != "" {
		switch c := rest[0]; {
		case c == ':':
			return p.scanClock(s)
		case (c == '-' || c == '/' || c == '.') && !p.hasDate && len(p.loose) == 0 && len(rest) > 1 && isDatePart(rest[1]):
			return p.scanDate(s, c)
		}
	}
	digits := s[:n]
	switch {
	case (p.hasDate || p.kind == Time && !p.hasTime) && !p.textMonth && !p.hasTime && (n == 6 || n == 4):
		return p.scanCompactClock(digits, rest)
	case !p.hasDate && (n == 8 || n == 6) && len(p.loose) == 0 && !p.textMonth:
		p.year, p.month, p.day = int(atoi(digits[:n-4])), int(atoi(digits[n-4:n-2])), int(atoi(digits[n-2:]))
		if n == 6 {
			p.year = twoDigitYear(p.year)
		}
		p.hasDate = true
	case n <= 7 && len(p.loose) < 3 && !p.hasDate:
		p.loose = append(p.loose, looseNumber{int(atoi(digits)), n})
		rest = strings.TrimPrefix(rest, ".")
		if p.textMonth || len(rest) > 0 && rest[0] == '-' && len(rest) > 1 && isDatePart(rest[1]) {
			rest = strings.TrimPrefix(rest, "-")
		}
	default:
		return "", p.syntax()
	}
	return rest, nil
}

func isDatePart(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' }

func twoDigitYear(y int) int {
	if y < 70 {
		return y + 2000
	}
	return y + 1900
}

// scanDate reads a date of two or three parts divided by sep, one of which may be the name of a month.
func (p *dateTime) scanDate(s string, sep byte) (string, error) {
	for part := 0; part < 3; part++ {
		if part > 0 {
			if s == "" || s[0] != sep {
				break
			}
			s = s[1:]
		}
		if n := countDigits(s); n > 0 {
			if n > 7 {
				return "", p.fieldRange()
			}
			p.loose = append(p.loose, looseNumber{int(atoi(s[:n])), n})
			s = s[n:]
			continue
		}
		n := countLetters(s)
		month, ok := monthNames[prefix3(s[:n])]
		if !ok || p.textMonth || !isMonthName(s[:n], month) {
			return "", p.syntax()
		}
		p.month, p.textMonth = month, true
		s = s[n:]
	}
	return s, p.placeNumbers()
}

func countLetters(s string) int {
	n := 0
	for n < len(s) && s[n] >= 'a' && s[n] <= 'z' {
		n++
	}
	return n
}

func prefix3(s string) string { return s[:min(3, len(s))] }

var monthNames = map[string]int{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}

func isMonthName(word string, month int) bool {
	return len(word) == 3 || word == "sept" || word == strings.ToLower(time.Month(month).String())
}

func isWeekday(word string) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := strings.ToLower(d.String()); word == name || word == name[:3] {
			return true
		}
	}
	return word == "tues" || word == "wednes" || word == "thur" || word == "thurs"
}

// placeNumbers decides which loose number is year, month and day, once there are enough of them.
func (p *dateTime) placeNumbers() error {
	nums := p.loose
	p.loose = nil
	if len(nums) == 0 {
		if p.textMonth && !p.hasDate {
			return p.syntax()
		}
		return nil
	}
	if p.hasDate {
		return p.syntax()
	}
	if p.textMonth {
		if len(nums) != 2 {
			return p.syntax()
		}
		y, d := nums[1], nums[0]
		if nums[0].digits > 2 || p.set.DateOrder == YMD && nums[1].digits <= 2 {
			y, d = nums[0], nums[1]
		}
		return p.setDate(y, p.month, d.n)
	}
	if len(nums) == 2 && nums[0].digits > 2 && nums[1].digits == 3 {
		return p.setDayOfYear(nums[0].n, nums[1].n)
	}
	if len(nums) != 3 {
		return p.syntax()
	}
	switch {
	case nums[0].digits > 2 || p.set.DateOrder == YMD:
		return p.setDate(nums[0], nums[1].n, nums[2].n)
	case p.set.DateOrder == DMY:
		return p.setDate(nums[2], nums[1].n, nums[0].n)
	default:
		return p.setDate(nums[2], nums[0].n, nums[1].n)
	}
}

func (p *dateTime) setDate(year looseNumber, month, day int) error {
	p.year, p.month, p.day, p.hasDate = year.n, month, day, true
	if year.digits <= 2 {
		p.year = twoDigitYear(year.n)
	}
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return p.dateOrderRange()
	}
	return nil
}

// setDayOfYear takes a date like 2024-060. Day 366 of a shorter year is the first of the next.
func (p *dateTime) setDayOfYear(year, day int) error {
	if day < 1 || day > 366 {
		return p.syntax()
	}
	p.year, p.month, p.day = CivilOf(DaysOf(year, 1, 1) + int64(day) - 1)
	p.hasDate = true
	return nil
}

// scanJulian reads the number of a day since 24 November 4714 BC, at the start of s.
func (p *dateTime) scanJulian(s string) (string, error) {
	n := countDigits(s)
	if n > 7 {
		return "", p.fieldRange()
	}
	year, month, day := CivilOf(atoi(s[:n]) + minDate)
	if p.bc = year < 1; p.bc {
		year = 1 - year
	}
	p.year, p.month, p.day, p.hasDate = year, month, day, true
	return s[n:], nil
}

// scanClock reads h:mm[:ss[.ffffff]].
func (p *dateTime) scanClock(s string) (string, error) {
	if p.hasTime {
		return "", p.syntax()
	}
	var part [3]int64
	count := 0
	for count < 3 {
		n := countDigits(s)
		if n == 0 || n > 9 {
			return "", p.syntax()
		}
		part[count], s = atoi(s[:n]), s[n:]
		if count++; count == 3 || s == "" || s[0] != ':' {
			break
		}
		s = s[1:]
	}
	var frac int64
	if count == 3 && s != "" && s[0] == '.' {
		n := countDigits(s[1:])
		frac, s = fractionMicros(s[1:1+n]), s[1+n:]
	}
	return s, p.setClock(part[0], part[1], part[2], frac)
}

// scanCompactClock reads hhmm or hhmmss[.ffffff].
func (p *dateTime) scanCompactClock(digits, rest string) (string, error) {
	var sec, frac int64
	if len(digits) == 6 {
		sec = atoi(digits[4:])
		if rest != "" && rest[0] == '.' {
			n := countDigits(rest[1:])
			frac, rest = fractionMicros(rest[1:1+n]), rest[1+n:]
		}
	}
	return rest, p.setClock(atoi(digits[:2]), atoi(digits[2:4]), sec, frac)
}

func (p *dateTime) setClock(hour, minute, sec, frac int64) error {
	us := hour*MicrosPerHour + minute*MicrosPerMinute + sec*MicrosPerSecond + frac
	if minute > 59 || sec > 60 || hour > 24 || hour == 24 && us > MicrosPerDay {
		return p.fieldRange()
	}
	p.us, p.hasTime = us, true
	return nil
}

// scanWord reads a token that begins with a letter.
func (p *dateTime) scanWord(s string) (string, error) {
	n := countLetters(s)
	word, rest := s[:n], s[n:]
	if month, ok := monthNames[prefix3(word)]; ok && isMonthName(word, month) && !p.hasDate && !p.textMonth {
		p.month, p.textMonth = month, true
		if len(rest) > 1 && rest[0] == '-' && isDatePart(rest[1]) {
			rest = rest[1:]
		}
		return rest, nil
	}
	if p.textMonth && len(p.loose) == 2 { // "Nov 21 2026 z": the date is whole
		if err := p.placeNumbers(); err != nil {
			return "", err
		}
	}
	switch word {
	case "t":
		if (p.hasDate || p.kind == Time) && !p.hasTime && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return rest, nil
		}
	case "j", "jd", "julian":
		if day := strings.TrimLeft(rest, " "); !p.hasDate && len(p.loose) == 0 && countDigits(day) > 0 {
			return p.scanJulian(day)
		}
	case "am", "pm":
		if p.hasTime && p.meridiem == 0 {
			p.meridiem = word[0]
			return rest, nil
		}
		return "", p.syntax()
	case "ad", "bc":
		p.bc = word == "bc"
		return rest, nil
	case "epoch", "now", "today", "tomorrow", "yesterday", "infinity":
		return rest, p.setSpecial(word)
	case "allballs":
		p.zone = time.UTC
		return rest, p.setClock(0, 0, 0, 0)
	case "at", "on":
		return rest, nil
	}
	if isWeekday(word) {
		return rest, nil
	}
	return p.scanZone(s)
}

// scanZone reads a zone's name or abbreviation, whose words may hold digits, slashes, underscores and signs.
func (p *dateTime) scanZone(s string) (string, error) {
	n := 0
	for n < len(s) && (isDatePart(s[n]) || strings.IndexByte("/_+-", s[n]) >= 0) {
		n++
	}
	name := s[:n]
	loc, ok := lookupZoneWord(name)
	if !ok { // "utc+2" and the like are an abbreviation and an offset
		n = countLetters(s)
		loc, ok = lookupZoneWord(s[:n])
	}
	if !ok || p.zone != nil {
		if ok || !strings.Contains(name, "/") {
			return "", p.syntax()
		}
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "time zone \"%s\" not recognized", clip(name))
	}
	p.zone = loc
	return s[n:], nil
}
