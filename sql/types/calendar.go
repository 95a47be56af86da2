package types

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Units of the date and time types.
const (
	MicrosPerSecond int64 = 1_000_000
	MicrosPerMinute       = 60 * MicrosPerSecond
	MicrosPerHour         = 60 * MicrosPerMinute
	MicrosPerDay          = 24 * MicrosPerHour
	monthsPerYear         = 12
	daysPerMonth          = 30 // where PostgreSQL has to guess, as in comparing intervals
)

// The infinities of Date, Timestamp and TimestampTZ.
const (
	DateInfinity         int64 = math.MaxInt32
	DateNegInfinity      int64 = math.MinInt32
	TimestampInfinity    int64 = math.MaxInt64
	TimestampNegInfinity int64 = math.MinInt64
)

// The range: from 4714-11-24 BC, the first Julian day, as in PostgreSQL. Dates reach 5874897-12-31; timestamps end
// where int64 microseconds since 1970 do, in January 294247, 30 years before PostgreSQL's, which count from 2000.
const (
	minDate      int64 = -2440588
	maxDate      int64 = 2147483493 - 2440588
	minTimestamp       = minDate * MicrosPerDay
	maxTimestamp int64 = math.MaxInt64 - 1
)

// postgresEpochDays is 2000-01-01, from which PostgreSQL's binary formats count.
const postgresEpochDays = 10957

// IsInfinite reports whether a Timestamp or TimestampTZ is one of the infinities.
func IsInfinite(us int64) bool { return us == TimestampInfinity || us == TimestampNegInfinity }

// DaysOf returns the days since 1970-01-01 of a date of the proleptic Gregorian calendar. Year 0 is 1 BC.
func DaysOf(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
	}
	era := floorDiv64(y, 400)
	yoe := y - era*400
	m := int64(month+9) % 12 // March is 0
	doy := (153*m+2)/5 + int64(day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// CivilOf is the inverse of DaysOf.
func CivilOf(days int64) (year, month, day int) {
	z := days + 719468
	era := floorDiv64(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp) + 3
	if month > 12 {
		month -= 12
	}
	year = int(yoe + era*400)
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv64(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// splitDay splits microseconds since 1970 into days and microseconds of the day.
func splitDay(us int64) (days, rest int64) {
	days = floorDiv64(us, MicrosPerDay)
	return days, us - days*MicrosPerDay
}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysInMonth(year, month int) int {
	switch month {
	case 2:
		if isLeap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// offsetAt returns a zone's offset in seconds east of UTC at an instant in seconds since 1970.
func offsetAt(loc *time.Location, unix int64) int64 {
	if loc == time.UTC {
		return 0
	}
	_, off := time.Unix(unix, 0).In(loc).Zone()
	return int64(off)
}

// LocalToUTC returns the instant at which the clocks of loc show local, both in microseconds since 1970. A time skipped
// by a jump of the clocks is read with the offset before it, one that comes twice with the offset after it, as in PostgreSQL.
func LocalToUTC(local int64, loc *time.Location) int64 {
	if loc == time.UTC || IsInfinite(local) {
		return local
	}
	const day = 86400
	sec := floorDiv64(local, MicrosPerSecond)
	before, after := offsetAt(loc, sec-day), offsetAt(loc, sec+day)
	if before == after {
		return local - before*MicrosPerSecond
	}
	if offsetAt(loc, sec-after) == after {
		return local - after*MicrosPerSecond
	}
	return local - before*MicrosPerSecond
}

// UTCToLocal returns what the clocks of loc show at an instant, both in microseconds since 1970.
func UTCToLocal(us int64, loc *time.Location) int64 {
	if loc == time.UTC || IsInfinite(us) {
		return us
	}
	return us + offsetAt(loc, floorDiv64(us, MicrosPerSecond))*MicrosPerSecond
}

// zoneCache holds the zones that LookupZone found; their number is bounded by the zone database.
var zoneCache sync.Map // lower-case name -> *time.Location

// LookupZone returns the zone of a name of the zone database (any case), an abbreviation or an offset such as "+02" or
// "-03:30" (ISO: positive is east). Unknown names are 22023.
func LookupZone(name string) (*time.Location, error) {
	key := strings.ToLower(trimSpace(name))
	if loc, ok := lookupZoneWord(key); ok {
		return loc, nil
	}
	if off, rest, ok := parseOffset(key); ok && rest == "" {
		return fixedZone(off), nil
	}
	return nil, sqlerr.New(sqlerr.InvalidParameterValue, "time zone \"%s\" not recognized", clip(name))
}

// maxZoneName bounds what is looked up; the longest name of the zone database has 32 characters.
const maxZoneName = 64

func lookupZoneWord(key string) (*time.Location, bool) {
	if hours, ok := zoneAbbreviations[key]; ok {
		if hours == 0 {
			return time.UTC, true
		}
		return fixedZone(int64(hours * 3600)), true
	}
	if loc, ok := zoneCache.Load(key); ok {
		return loc.(*time.Location), true
	}
	if key == "" || key == "local" || key == "localtime" || len(key) > maxZoneName {
		return nil, false
	}
	for _, spelling := range []string{capitalizeZone(key), strings.ToUpper(key)} {
		if loc, err := time.LoadLocation(spelling); err == nil {
			zoneCache.Store(key, loc)
			return loc, true
		}
	}
	return nil, false
}

// capitalizeZone spells a lower-case name as the zone database does: "america/port_of_spain", "America/Port_of_Spain".
func capitalizeZone(key string) string {
	out := []byte(key)
	start := 0
	for i := 0; i <= len(out); i++ {
		if i < len(out) && out[i] != '/' && out[i] != '_' && out[i] != '-' && out[i] != '+' {
			continue
		}
		word := string(out[start:i])
		small := start > 0 && (word == "of" || word == "es" || word == "au")
		switch {
		case small || word == "":
		case oddZoneWords[word] != "":
			copy(out[start:], oddZoneWords[word])
		case word[0] >= 'a' && word[0] <= 'z':
			out[start] -= 'a' - 'A'
		}
		start = i + 1
	}
	return string(out)
}

// oddZoneWords are the parts of names with capitals elsewhere than at the beginning.
var oddZoneWords = map[string]string{
	"gmt": "GMT", "utc": "UTC", "us": "US", "uct": "UCT", "gmt0": "GMT0", "gb": "GB", "act": "ACT", "lhi": "LHI", "nsw": "NSW", "in": "IN",
	"dumontdurville": "DumontDUrville", "comodrivadavia": "ComodRivadavia", "mcmurdo": "McMurdo", "denoronha": "DeNoronha",
	"easterisland": "EasterIsland", "bajanorte": "BajaNorte", "bajasur": "BajaSur",
}

// zoneAbbreviations are the abbreviations of PostgreSQL's default set that mean one thing, in hours east of UTC.
var zoneAbbreviations = map[string]float64{
	"z": 0, "zulu": 0, "utc": 0, "gmt": 0, "ut": 0, "uct": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "met": 1, "mez": 1, "cest": 2,
	"cetdst": 2, "mest": 2, "mesz": 2, "eet": 2, "sast": 2, "eest": 3, "msk": 3, "eat": 3, "pkt": 5, "ist": 2, "idt": 3,
	"jst": 9, "kst": 9, "awst": 8, "acst": 9.5, "acdt": 10.5, "aest": 10, "aedt": 11, "nzst": 12, "nzt": 12, "nzdt": 13,
	"hkt": 8, "sgt": 8, "phst": 8, "ict": 7, "npt": 5.75, "brt": -3, "art": -3, "nst": -3.5, "ndt": -2.5, "ast": -4, "adt": -3,
	"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10,
}

// maxZoneSeconds is the largest offset that PostgreSQL takes: below 15:59:59.
const maxZoneSeconds = 15*3600 + 59*60 + 59

// parseOffset reads "+hh", "+hhmm", "+hh:mm" or "+hh:mm:ss" at the start of s, in seconds east of UTC.
func parseOffset(s string) (seconds int64, rest string, ok bool) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, s, false
	}
	var part [3]int64
	n := countDigits(s[1:])
	digits, rest := s[1:1+n], s[1+n:]
	switch {
	case n == 0 || n > 6:
		return 0, s, false
	case n <= 2:
		part[0] = atoi(digits)
	default: // hhmm, hmm, hhmmss
		if n > 4 {
			part[2], digits = atoi(digits[n-2:]), digits[:n-2]
		}
		part[0], part[1] = atoi(digits[:len(digits)-2]), atoi(digits[len(digits)-2:])
	}
	for k := 1; k < 3 && n <= 2 && strings.HasPrefix(rest, ":"); k++ {
		w := countDigits(rest[1:])
		if w == 0 || w > 2 {
			return 0, s, false
		}
		part[k], rest = atoi(rest[1:1+w]), rest[1+w:]
	}
	seconds = part[0]*3600 + part[1]*60 + part[2]
	if part[1] > 59 || part[2] > 59 || seconds > maxZoneSeconds {
		return 0, s, false
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, rest, true
}

// atoi reads a short run of digits.
func atoi(s string) int64 {
	var n int64
	for i := range len(s) {
		n = n*10 + int64(s[i]-'0')
	}
	return n
}

func fixedZone(seconds int64) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone(string(appendOffset(nil, seconds)), int(seconds))
}
