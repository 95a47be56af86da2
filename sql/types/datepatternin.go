package types

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// patternReader reads a text by a template.
type patternReader struct {
	text, rest string
	spelled    string // the field being read

	year, month, day, doy int
	isoYear, isoWeek, dow int
	century, julian       int
	hour, minute, sec     int
	us                    int
	secOfDay              int
	has                   map[string]bool
	bc, twelve            bool
	meridiem              byte
	zoneHours, zoneMins   int
	zoneNegative          bool
}

// Parse reads a text by the template as to_timestamp() does. Without a zone in the text, the time is one of loc (nil is UTC). The
// errors are 22007 for text that does not match and 22008 for fields out of range.
func (p *DatePattern) Parse(text string, loc *time.Location) (int64, error) {
	r := &patternReader{text: text, rest: text, has: map[string]bool{}}
	for i := range p.nodes {
		if r.rest == "" {
			break // what the text does not have is as if it were not in the template
		}
		if err := r.node(p, i); err != nil {
			return 0, err
		}
	}
	return r.finish(loc)
}

func isSeparator(c byte) bool {
	return c > ' ' && c < 0x7f && !isDatePart(c|0x20) && (c < '0' || c > '9')
}

func (r *patternReader) node(p *DatePattern, i int) error {
	n := &p.nodes[i]
	if n.field == "" {
		r.literal(n, p.exact)
		return nil
	}
	if !p.exact {
		r.rest = strings.TrimLeft(r.rest, " \t\n\r\v\f")
	}
	r.spelled = n.spelled
	greedy := n.fill || p.nextIsNotDigits(i)
	if err := r.field(n, greedy && !p.exact || n.fill); err != nil {
		return err
	}
	if n.ordinal != "" && len(r.rest) >= 2 {
		r.rest = r.rest[2:]
	}
	return nil
}

// literal passes text of the template: a separator stands for any separator or none, other text for as many characters.
func (r *patternReader) literal(n *patternNode, exact bool) {
	if n.text == "" {
		return // a quote that nothing follows
	}
	c := n.text[0]
	switch {
	case exact || n.quoted || !isSeparator(c) && !isSpace(c):
		if !exact && n.quoted {
			r.rest = strings.TrimLeft(r.rest, " ")
		}
		r.rest = r.rest[min(len(n.text), len(r.rest)):]
	case r.rest != "" && (isSeparator(r.rest[0]) || isSpace(r.rest[0])):
		r.rest = r.rest[1:]
	}
}

// nextIsNotDigits reports whether a number may be as long as it is, for what follows cannot be taken for a part of it.
func (p *DatePattern) nextIsNotDigits(i int) bool {
	if p.nodes[i].ordinal != "" || i+1 == len(p.nodes) {
		return true
	}
	next := &p.nodes[i+1]
	if next.field == "" {
		return next.text == "" || next.text[0] < '0' || next.text[0] > '9'
	}
	switch next.field {
	case "AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.", "MONTH", "MON", "DAY", "DY", "RM", "TZ", "OF", "TZH":
		return true
	}
	return false
}

func (r *patternReader) invalid(value, detail string) error {
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid value \"%s\" for \"%s\"", clip(value), r.spelled).WithDetail("%s", detail)
}

// number reads an integer of width digits, or as many as there are.
func (r *patternReader) number(width int, greedy bool) (n, used int, err error) {
	s := r.rest
	sign := 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign = 1
	}
	used = sign + countDigits(s[sign:])
	if !greedy {
		if len(s) < width {
			return 0, 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "source string too short for \"%s\" formatting field", r.spelled).
				WithDetail("Field requires %d characters, but only %d remain.", width, len(s))
		}
		used = min(used, width)
	}
	if used == sign {
		return 0, 0, r.invalid(s[:min(width, len(s))], "Value must be an integer.")
	}
	if !greedy && used < width {
		return 0, 0, r.invalid(s[:width], "Field requires more digits.")
	}
	wide, err := strconv.ParseInt(s[:used], 10, 64)
	if err != nil || wide > math.MaxInt32 || wide < math.MinInt32 {
		return 0, 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "value for \"%s\" in source string is out of range", r.spelled)
	}
	r.rest = s[used:]
	return int(wide), used, nil
}

// set reads a number into a field that has one value.
func (r *patternReader) set(into *int, field string, width int, greedy bool) (used int, err error) {
	n, used, err := r.number(width, greedy)
	if err != nil {
		return 0, err
	}
	if r.has[field] && *into != n {
		return 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "conflicting values for \"%s\" field in formatting string", r.spelled)
	}
	*into, r.has[field] = n, true
	return used, nil
}

// plainFields are numeric fields with their widths that only need storing.
func (r *patternReader) plainField(field string) (into *int, width int) {
	switch field {
	case "HH", "HH12", "HH24":
		return &r.hour, 2
	case "MI":
		return &r.minute, 2
	case "SS":
		return &r.sec, 2
	case "SSSS", "SSSSS":
		return &r.secOfDay, 5
	case "YYYY":
		return &r.year, 4
	case "MM":
		return &r.month, 2
	case "DD":
		return &r.day, 2
	case "DDD", "IDDD":
		return &r.doy, 3
	case "IYYY":
		return &r.isoYear, 4
	case "IW", "WW":
		return &r.isoWeek, 2
	case "ID", "D":
		return &r.dow, 1
	case "CC":
		return &r.century, 2
	case "J":
		return &r.julian, 9
	case "TZM":
		return &r.zoneMins, 2
	}
	return nil, 0
}

func (r *patternReader) field(n *patternNode, greedy bool) error {
	if into, width := r.plainField(n.field); into != nil {
		if n.field == "HH" || n.field == "HH12" {
			r.twelve = true
		}
		_, err := r.set(into, n.field, width, greedy)
		return err
	}
	switch n.field {
	case "YYY", "YY", "Y":
		used, err := r.set(&r.year, n.field, len(n.field), greedy)
		if err == nil && used < 4 {
			r.year = fullYear(r.year)
		}
		r.has["YYYY"] = true
		return err
	case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		return r.fraction(n.field, greedy)
	case "AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.":
		return r.era(n.field)
	case "MONTH", "MON", "DAY", "DY", "RM":
		return r.name(n.field)
	case "Y,YYY":
		return r.commaYear()
	case "TZH":
		return r.zone(greedy)
	case "Q":
		_, _, err := r.number(1, greedy)
		return err
	case "W", "IYY", "IY", "I":
		_, _, err := r.number(len(n.field), greedy)
		return err
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "formatting field \"%s\" is only supported in to_char", n.spelled)
}

// fullYear completes a year of less than four digits to the one nearest 2020.
func fullYear(y int) int {
	switch {
	case y < 0 || y >= 1000:
		return y
	case y < 70:
		return y + 2000
	case y < 100:
		return y + 1900
	case y < 520:
		return y + 2000
	}
	return y + 1000
}

// fraction reads digits after the second's point: "5" as MS is half a second.
func (r *patternReader) fraction(field string, greedy bool) error {
	width := 6
	switch {
	case field == "MS":
		width = 3
	case field[0] == 'F':
		width = int(field[2] - '0')
	}
	n, used, err := r.number(width, greedy)
	if err != nil {
		return err
	}
	for range 6 - used {
		n *= 10
	}
	for range used - 6 {
		n /= 10
	}
	r.us += n
	return nil
}

func (r *patternReader) era(field string) error {
	words := map[string]byte{"am": 'a', "pm": 'p', "ad": 'd', "bc": 'c'}
	if strings.Contains(field, ".") {
		words = map[string]byte{"a.m.": 'a', "p.m.": 'p', "a.d.": 'd', "b.c.": 'c'}
	}
	n := min(len(field), len(r.rest))
	mark := words[strings.ToLower(r.rest[:n])]
	isClock := strings.Contains("AMPMA.M.P.M.", field)
	if mark == 0 || isClock != (mark == 'a' || mark == 'p') {
		return r.invalid(r.rest[:n], "The given value did not match any of the allowed values for this field.")
	}
	if isClock {
		r.meridiem, r.twelve = mark, true
	} else {
		r.bc = mark == 'c'
	}
	r.rest = r.rest[n:]
	return nil
}

func (r *patternReader) name(field string) error {
	lower := strings.ToLower(r.rest)
	longest, value := 0, 0
	try := func(name string, n int) {
		if strings.HasPrefix(lower, name) && len(name) > longest {
			longest, value = len(name), n
		}
	}
	for m := time.January; m <= time.December; m++ {
		switch field {
		case "MONTH":
			try(strings.ToLower(m.String()), int(m))
		case "MON":
			try(strings.ToLower(m.String()[:3]), int(m))
		case "RM":
			try(strings.ToLower(romanMonths[m-1]), int(m))
		}
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		switch field {
		case "DAY":
			try(strings.ToLower(d.String()), 0)
		case "DY":
			try(strings.ToLower(d.String()[:3]), 0)
		}
	}
	if longest == 0 {
		word, _, _ := strings.Cut(r.rest, " ")
		return r.invalid(word, "The given value did not match any of the allowed values for this field.")
	}
	if value > 0 {
		r.month, r.has["MM"] = value, true
	}
	r.rest = r.rest[longest:]
	return nil
}

func (r *patternReader) commaYear() error {
	thousands, _, err := r.number(3, true)
	if err != nil || r.rest == "" || r.rest[0] != ',' {
		return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input string for \"Y,YYY\"")
	}
	r.rest = r.rest[1:]
	n, _, err := r.number(3, false)
	r.year, r.has["YYYY"] = thousands*1000+n, true
	return err
}

// zone reads the hours of a zone with their sign.
func (r *patternReader) zone(greedy bool) error {
	if r.rest != "" && (r.rest[0] == '+' || r.rest[0] == '-' || r.rest[0] == ' ') {
		r.zoneNegative = r.rest[0] == '-'
		r.rest = r.rest[1:]
	}
	_, err := r.set(&r.zoneHours, "TZH", 2, greedy)
	return err
}

func (r *patternReader) fieldRange() error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "date/time field value out of range: \"%s\"", clip(r.text))
}

func (r *patternReader) finish(loc *time.Location) (int64, error) {
	if r.twelve && !r.has["HH24"] {
		if r.hour < 1 && (r.has["HH"] || r.has["HH12"]) || r.hour > 12 {
			return 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "hour \"%d\" is invalid for the 12-hour clock", r.hour).
				WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
		}
		if r.meridiem == 'p' && r.hour < 12 {
			r.hour += 12
		} else if r.meridiem == 'a' && r.hour == 12 {
			r.hour = 0
		}
	}
	if r.has["SSSS"] || r.has["SSSSS"] {
		r.hour, r.minute, r.sec = r.secOfDay/3600, r.secOfDay/60%60, r.secOfDay%60
	}
	if r.hour < 0 || r.hour > 23 || r.minute < 0 || r.minute > 59 || r.sec < 0 || r.sec > 59 || r.us < 0 || r.us > 999_999 {
		return 0, r.fieldRange()
	}
	days, err := r.days()
	if err != nil {
		return 0, err
	}
	if days < minDate || days > maxTimestamp/MicrosPerDay-1 {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: \"%s\"", clip(r.text))
	}
	us := days*MicrosPerDay + int64(r.hour)*MicrosPerHour + int64(r.minute)*MicrosPerMinute + int64(r.sec)*MicrosPerSecond + int64(r.us)
	return r.toUTC(us, loc)
}

func (r *patternReader) toUTC(us int64, loc *time.Location) (int64, error) {
	if r.has["TZH"] || r.has["TZM"] {
		off := int64(r.zoneHours)*3600 + int64(r.zoneMins)*60
		if off > maxZoneSeconds || r.zoneMins > 59 || off < 0 {
			return 0, r.fieldRange()
		}
		if r.zoneNegative {
			off = -off
		}
		return checkTimestamp(us-off*MicrosPerSecond, true)
	}
	if loc == nil {
		loc = time.UTC
	}
	return checkTimestamp(LocalToUTC(us, loc), true)
}

// days makes a date of the fields; what is missing is the first: year 1 BC, January, day 1.
func (r *patternReader) days() (int64, error) {
	if r.has["J"] {
		return int64(r.julian) + minDate, nil
	}
	year := r.year
	if r.has["CC"] && !r.has["YYYY"] && !r.has["YYY"] && !r.has["YY"] && !r.has["Y"] {
		year = (r.century-1)*100 + 1
		r.has["YYYY"] = true
	}
	if r.bc && year > 0 {
		year = 1 - year
	} else if year < 0 {
		year++
	}
	if r.has["IYYY"] {
		return r.isoDays()
	}
	if r.has["DDD"] && !r.has["MM"] && !r.has["DD"] {
		if !r.has["YYYY"] {
			return 0, sqlerr.New(sqlerr.InvalidDatetimeFormat, "cannot calculate day of year without year information")
		}
		limit := 365
		if isLeap(year) {
			limit = 366
		}
		if r.doy < 1 || r.doy > limit {
			return 0, r.fieldRange()
		}
		return DaysOf(year, 1, 1) + int64(r.doy) - 1, nil
	}
	month, day := max(r.month, 1), max(r.day, 1)
	if r.has["MM"] && r.month < 1 || r.has["DD"] && r.day < 1 || month > 12 || year < -4713 || year > 5874897 || day > daysInMonth(year, month) {
		return 0, r.fieldRange()
	}
	return DaysOf(year, month, day), nil
}

func (r *patternReader) isoDays() (int64, error) {
	if r.isoYear < -4713 || r.isoYear > 5874897 {
		return 0, r.fieldRange()
	}
	start := isoYearStart(r.isoYear)
	switch {
	case r.has["IDDD"]:
		if r.doy < 1 || r.doy > 371 {
			return 0, r.fieldRange()
		}
		return start + int64(r.doy) - 1, nil
	case r.has["IW"]:
		if r.isoWeek < 1 || r.isoWeek > 53 || r.has["ID"] && (r.dow < 1 || r.dow > 7) {
			return 0, r.fieldRange()
		}
		return start + int64(r.isoWeek-1)*7 + int64(max(r.dow, 1)) - 1, nil
	}
	return start, nil
}
