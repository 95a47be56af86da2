package types

import (
	"math"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// intervalParser collects the parts of an interval (PostgreSQL 15 docs, 8.5.4).
type intervalParser struct {
	text         string
	months, days float64 // whole numbers; checked against the range at the end
	us           float64 // of the fractions
	wholeUs      int64
	overflow     bool
	seen         map[string]bool // units that had their number; each may come once
}

func (p *intervalParser) syntax() error {
	return sqlerr.New(sqlerr.InvalidDatetimeFormat, "invalid input syntax for type interval: \"%s\"", clip(p.text))
}

func (p *intervalParser) fieldRange() error {
	return sqlerr.New(intervalFieldOverflow, "interval field value out of range: \"%s\"", clip(p.text))
}

// ParseInterval reads an interval in PostgreSQL's forms ("1 year 2 mons -3 days 04:05:06.7", "1-2", "@ 1 minute ago") or as an
// ISO 8601 duration with designators ("P1Y2M3DT4H5M6.7S").
func ParseInterval(s string) (IntervalValue, error) {
	p := &intervalParser{text: s}
	body := strings.ToLower(trimSpace(s))
	if body == "" || len(s) > maxDateTimeText {
		return IntervalValue{}, p.syntax()
	}
	iso := body[0] == 'p'
	var err error
	if iso {
		err = p.scanISO(body[1:])
	} else {
		err = p.scan(body)
	}
	if err != nil {
		return IntervalValue{}, err
	}
	return p.finish()
}

func (p *intervalParser) negate() {
	p.months, p.days, p.us, p.wholeUs = -p.months, -p.days, -p.us, -p.wholeUs
}

func (p *intervalParser) finish() (IntervalValue, error) {
	frac := math.RoundToEven(p.us)
	us, ok := addInt64(p.wholeUs, int64(frac))
	if p.overflow || !fitsInt32(p.days) {
		return IntervalValue{}, p.fieldRange()
	}
	if !ok || math.Abs(frac) >= math.MaxInt64 || !fitsInt32(p.months) {
		return IntervalValue{}, intervalOutOfRange()
	}
	return IntervalValue{Micros: us, Days: int32(p.days), Months: int32(p.months)}, nil
}

func fitsInt32(x float64) bool { return x >= math.MinInt32 && x <= math.MaxInt32 }

// quantity is a signed number with its fraction apart, as PostgreSQL treats them.
type quantity struct {
	whole    int64
	frac     float64
	negative bool
}

// scanQuantity reads [+-]digits[.digits] at the start of s.
func (p *intervalParser) scanQuantity(s string) (q quantity, rest string, err error) {
	rest = s
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		q.negative = rest[0] == '-'
		rest = rest[1:]
	}
	n := countDigits(rest)
	digits := rest[:n]
	rest = rest[n:]
	fraction := ""
	if rest != "" && rest[0] == '.' {
		m := countDigits(rest[1:])
		fraction, rest = rest[:1+m], rest[1+m:]
	}
	if digits == "" && (len(fraction) < 2 || rest != s && (s[0] == '-' || s[0] == '+')) {
		return q, "", p.syntax()
	}
	if digits != "" {
		if q.whole, err = strconv.ParseInt(digits, 10, 64); err != nil {
			return q, "", p.fieldRange()
		}
	}
	if len(fraction) > 1 {
		q.frac, _ = strconv.ParseFloat("0"+fraction, 64) // digits alone always parse
	}
	if q.negative {
		q.whole, q.frac = -q.whole, -q.frac
	}
	return q, rest, nil
}

// intervalUnits maps every spelling of a unit to its first one.
var intervalUnits = func() map[string]string {
	units := map[string]string{}
	for _, spellings := range []string{
		"microsecond us usec usecs usecond useconds microseconds microsecon", "millisecond ms msec msecs msecond mseconds milliseconds millisecon",
		"second s sec secs seconds", "minute m min mins minutes", "hour h hr hrs hours", "day d days", "week w weeks",
		"month mon mons months", "year y yr yrs years", "decade dec decs decades", "century c cent centuries",
		"millennium mil mils millennia",
	} {
		words := strings.Fields(spellings)
		for _, w := range words {
			units[w] = words[0]
		}
	}
	return units
}()

// add adds q of a unit.
func (p *intervalParser) add(q quantity, unit string) error {
	if q.whole != int64(int32(q.whole)) && !strings.HasSuffix(unit, "second") && unit != "minute" && unit != "hour" {
		return p.fieldRange()
	}
	switch unit {
	case "microsecond":
		p.addTime(q, 1)
	case "millisecond":
		p.addTime(q, 1000)
	case "second":
		p.addTime(q, MicrosPerSecond)
	case "minute":
		p.addTime(q, MicrosPerMinute)
	case "hour":
		p.addTime(q, MicrosPerHour)
	case "day":
		p.days += float64(q.whole)
		p.us += q.frac * float64(MicrosPerDay)
	case "week":
		p.days += float64(q.whole) * 7
		p.addFractionDays(q.frac, 7)
	case "month":
		p.months += float64(q.whole)
		p.addFractionDays(q.frac, daysPerMonth)
	case "year":
		p.addYears(q, 1)
	case "decade":
		p.addYears(q, 10)
	case "century":
		p.addYears(q, 100)
	case "millennium":
		p.addYears(q, 1000)
	default:
		return p.syntax()
	}
	return nil
}

func (p *intervalParser) addTime(q quantity, unit int64) {
	product := q.whole * unit
	sum, ok := addInt64(p.wholeUs, product)
	if q.whole != 0 && product/unit != q.whole || !ok {
		p.overflow = true
	}
	p.wholeUs = sum
	p.us += q.frac * float64(unit)
}

// addFractionDays adds frac of a unit of so many days: whole days, the rest as time.
func (p *intervalParser) addFractionDays(frac float64, daysPerUnit float64) {
	days := frac * daysPerUnit
	whole := math.Trunc(days)
	p.days += whole
	p.us += (days - whole) * float64(MicrosPerDay)
}

func (p *intervalParser) addYears(q quantity, years float64) {
	p.months += (float64(q.whole)*years)*monthsPerYear + math.RoundToEven(q.frac*years*monthsPerYear)
}

// scan reads the traditional forms.
func (p *intervalParser) scan(s string) error {
	fields := 0
	for s = skipBlanks(s); s != ""; s = skipBlanks(s) {
		if s[0] == '@' {
			s = s[1:]
			continue
		}
		if s == "ago" && fields > 0 {
			p.negate()
			return nil
		}
		rest, err := p.scanField(s)
		if err != nil {
			return err
		}
		s = rest
		fields++
	}
	if fields == 0 {
		return p.syntax()
	}
	return nil
}

func skipBlanks(s string) string {
	for s != "" && (isSpace(s[0]) || s[0] == ',') {
		s = s[1:]
	}
	return s
}

// scanField reads one number with its unit, or a time, or years-months.
func (p *intervalParser) scanField(s string) (string, error) {
	if c := s[0]; (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
		return "", p.syntax()
	}
	signed := s
	if s[0] == '+' || s[0] == '-' {
		signed = s[1:]
	}
	if n := countDigits(signed); n > 0 && n < len(signed) && signed[n] == ':' {
		return p.scanTime(s)
	} else if n > 0 && n+1 < len(signed) && signed[n] == '-' && signed[n+1] >= '0' && signed[n+1] <= '9' {
		return p.scanYearMonth(s, n)
	}
	q, rest, err := p.scanQuantity(s)
	if err != nil {
		return "", err
	}
	rest = skipBlanks(rest)
	n := countLetters(rest)
	if word := rest[:n]; n > 0 && word != "ago" {
		unit, ok := intervalUnits[word]
		if !ok {
			return "", p.syntax()
		}
		return rest[n:], p.addOnce(q, unit)
	}
	// Without a unit: days before a time, else seconds.
	if next := strings.TrimLeft(rest, "+-"); countDigits(next) > 0 && strings.HasPrefix(next[countDigits(next):], ":") {
		return rest, p.addOnce(q, "day")
	}
	return rest, p.addOnce(q, "second")
}

// once notes that units had their numbers and refuses those that had them before. A second with a fraction speaks for
// its parts, too.
func (p *intervalParser) once(units ...string) error {
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	for _, u := range units {
		if p.seen[u] {
			return p.syntax()
		}
		p.seen[u] = true
	}
	return nil
}

func (p *intervalParser) addOnce(q quantity, unit string) error {
	err := p.once(unit)
	if unit == "second" && q.frac != 0 && err == nil {
		err = p.once("millisecond", "microsecond")
	}
	if err != nil {
		return err
	}
	return p.add(q, unit)
}

// scanTime reads [+-]h:mm[:ss[.f]] or mm:ss.f.
func (p *intervalParser) scanTime(s string) (string, error) {
	hour, rest, err := p.scanQuantity(s)
	if err != nil {
		return "", err
	}
	minute, rest, err := p.scanQuantity(rest[1:])
	if err != nil || minute.negative || hour.frac != 0 {
		return "", p.syntax()
	}
	var sec quantity
	switch {
	case rest != "" && rest[0] == ':':
		if sec, rest, err = p.scanQuantity(rest[1:]); err != nil || sec.negative || minute.frac != 0 {
			return "", p.syntax()
		}
	case minute.frac != 0: // mm:ss.f
		hour, minute, sec = quantity{negative: hour.negative}, quantity{whole: abs64(hour.whole)}, minute
	}
	if minute.whole > 59 || sec.whole > 60 {
		return "", p.fieldRange()
	}
	if hour.negative {
		minute.whole, sec.whole, sec.frac = -minute.whole, -sec.whole, -sec.frac
	}
	p.addTime(hour, MicrosPerHour)
	p.addTime(minute, MicrosPerMinute)
	p.addTime(sec, MicrosPerSecond)
	return rest, p.once("hour", "minute", "second", "millisecond", "microsecond")
}

func abs64(i int64) int64 {
	if i < 0 {
		return -i
	}
	return i
}

// scanYearMonth reads [+-]years-months; n is the number of digits of the years.
func (p *intervalParser) scanYearMonth(s string, n int) (string, error) {
	years, rest, err := p.scanQuantity(s)
	if err != nil {
		return "", err
	}
	m := countDigits(rest[1:])
	months, rest := rest[1:1+m], rest[1+m:]
	if m > 2 || n > 9 || atoi(months) >= monthsPerYear {
		return "", p.fieldRange()
	}
	q := quantity{whole: atoi(months)}
	if years.negative {
		q.whole = -q.whole
	}
	if err := p.addOnce(years, "year"); err != nil {
		return "", err
	}
	return rest, p.addOnce(q, "month")
}

// scanISO reads what follows the P.
func (p *intervalParser) scanISO(s string) error {
	units := map[byte]string{'y': "year", 'm': "month", 'w': "week", 'd': "day"}
	fields, inTime := 0, false
	for s != "" {
		if s[0] == 't' && !inTime {
			units = map[byte]string{'h': "hour", 'm': "minute", 's': "second"}
			inTime = true
			s = s[1:]
			fields++
			continue
		}
		q, rest, err := p.scanQuantity(s)
		if err != nil {
			return err
		}
		if rest == "" || units[rest[0]] == "" {
			return p.syntax()
		}
		if err := p.add(q, units[rest[0]]); err != nil {
			return err
		}
		s = rest[1:]
		fields++
	}
	if fields == 0 {
		return p.syntax()
	}
	return nil
}
