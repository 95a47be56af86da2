package types

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
)

func timestampOutOfRange() error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")
}

func checkTimestamp(us int64, ok bool) (int64, error) {
	if !ok || us < minTimestamp || us > maxTimestamp {
		return 0, timestampOutOfRange()
	}
	return us, nil
}

// addMonths moves a day by months; a day past the end of the month becomes its last.
func addMonths(days int64, months int32) int64 {
	year, month, day := CivilOf(days)
	total := int64(year)*monthsPerYear + int64(month-1) + int64(months)
	year = int(floorDiv64(total, monthsPerYear))
	month = int(total-int64(year)*monthsPerYear) + 1
	return DaysOf(year, month, min(day, daysInMonth(year, month)))
}

// AddInterval returns a Timestamp plus an interval: months first, then days, then time. 22008 out of range.
func AddInterval(us int64, iv IntervalValue) (int64, error) {
	if IsInfinite(us) {
		return us, nil
	}
	if iv.Months != 0 || iv.Days != 0 {
		days, rest := splitDay(us)
		if iv.Months != 0 {
			days = addMonths(days, iv.Months)
		}
		days += int64(iv.Days)
		if days < minDate || days > maxTimestamp/MicrosPerDay-1 {
			return 0, timestampOutOfRange()
		}
		us = days*MicrosPerDay + rest
	}
	return checkTimestamp(addInt64(us, iv.Micros))
}

// AddIntervalTZ is AddInterval for a TimestampTZ: months and days move the clock of loc, time moves the instant.
func AddIntervalTZ(us int64, iv IntervalValue, loc *time.Location) (int64, error) {
	if IsInfinite(us) {
		return us, nil
	}
	if iv.Months != 0 || iv.Days != 0 {
		local, err := AddInterval(UTCToLocal(us, loc), IntervalValue{Days: iv.Days, Months: iv.Months})
		if err != nil {
			return 0, err
		}
		us = LocalToUTC(local, loc)
	}
	return checkTimestamp(addInt64(us, iv.Micros))
}

// SubTimestamps returns a - b as days and time, as PostgreSQL's timestamp - timestamp does.
func SubTimestamps(a, b int64) (IntervalValue, error) {
	if IsInfinite(a) || IsInfinite(b) {
		return IntervalValue{}, sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite timestamps")
	}
	us := a - b
	if (us < a) != (b > 0) && b != 0 {
		return IntervalValue{}, intervalOutOfRange()
	}
	return IntervalValue{Micros: us}.JustifyHours()
}

// Age returns a - b in years, months and days as a calendar counts them, as age() does.
func Age(a, b int64) (IntervalValue, error) {
	if IsInfinite(a) || IsInfinite(b) {
		return IntervalValue{}, sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite timestamps")
	}
	if a < b {
		iv, err := Age(b, a)
		if err != nil {
			return iv, err
		}
		return iv.Neg()
	}
	da, ta := splitDay(a)
	db, tb := splitDay(b)
	y1, m1, d1 := CivilOf(da)
	y2, m2, d2 := CivilOf(db)
	us, days, months := ta-tb, d1-d2, m1-m2
	if us < 0 {
		us += MicrosPerDay
		days--
	}
	if days < 0 { // borrow the month of the earlier date
		days += daysInMonth(y2, m2)
		months--
	}
	return IntervalValue{Micros: us, Days: int32(days), Months: int32((y1-y2)*monthsPerYear + months)}, nil
}

// AddTime returns a Time plus an interval's time part, going round at midnight.
func AddTime(us int64, iv IntervalValue) int64 {
	_, rest := splitDay(us + iv.Micros%MicrosPerDay)
	return rest
}

// DateToTimestamp returns midnight of a Date, infinities included.
func DateToTimestamp(days int64) (int64, error) {
	switch {
	case days == DateInfinity:
		return TimestampInfinity, nil
	case days == DateNegInfinity:
		return TimestampNegInfinity, nil
	case days > maxTimestamp/MicrosPerDay-1:
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range for timestamp")
	}
	return days * MicrosPerDay, nil
}

// TimestampToDate returns the day of a Timestamp, infinities included.
func TimestampToDate(us int64) int64 {
	switch us {
	case TimestampInfinity:
		return DateInfinity
	case TimestampNegInfinity:
		return DateNegInfinity
	}
	days, _ := splitDay(us)
	return days
}

// TimestampToTime returns the time of day of a Timestamp.
func TimestampToTime(us int64) int64 {
	_, rest := splitDay(us)
	return rest
}

// MakeDate returns the days of a date; 22008 if there is no such day. Negative years are BC.
func MakeDate(year, month, day int) (int64, error) {
	bad := func() (int64, error) {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", year, month, day)
	}
	y := year
	if y < 0 {
		y++
	}
	if year == 0 || y < -4713 || y > 5874897 || month < 1 || month > 12 || day < 1 || day > daysInMonth(y, month) {
		return bad()
	}
	days := DaysOf(y, month, day)
	if days < minDate || days > maxDate {
		return bad()
	}
	return days, nil
}

// truncMonths is how many months a field of DateTrunc spans.
var truncMonths = map[string]int{
	"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000,
}

var truncMicros = map[string]int64{
	"microsecond": 1, "millisecond": 1000, "second": MicrosPerSecond, "minute": MicrosPerMinute, "hour": MicrosPerHour, "day": MicrosPerDay,
}

// normalUnit returns the name of a field that date_trunc and extract take, in any of its spellings.
func normalUnit(unit string) string {
	word := strings.ToLower(trimSpace(unit))
	if u, ok := intervalUnits[word]; ok {
		return u
	}
	if word == "qtr" {
		return "quarter"
	}
	return word
}

func unknownUnit(unit string, t Kind) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "unit \"%s\" not recognized for type %s", clip(unit), t)
}

// DateTrunc cuts a Timestamp down to a field, as date_trunc does. For a TimestampTZ, cut its local time and take that back
// with LocalToUTC.
func DateTrunc(unit string, us int64) (int64, error) {
	if IsInfinite(us) {
		return us, nil
	}
	u := normalUnit(unit)
	if step, ok := truncMicros[u]; ok {
		return floorDiv64(us, step) * step, nil
	}
	months, ok := truncMonths[u]
	if !ok && u != "week" {
		return 0, unknownUnit(unit, Timestamp)
	}
	days, _ := splitDay(us)
	if u == "week" {
		return (days - isoWeekday(days) + 1) * MicrosPerDay, nil
	}
	year, month, _ := CivilOf(days)
	if months <= monthsPerYear {
		month = (month-1)/months*months + 1
		return DaysOf(year, month, 1) * MicrosPerDay, nil
	}
	span := months / monthsPerYear
	if span == 10 {
		return DaysOf(floorDiv(year, 10)*10, 1, 1) * MicrosPerDay, nil
	}
	return DaysOf(floorDiv(year-1, span)*span+1, 1, 1) * MicrosPerDay, nil // centuries begin with the year 1
}

// isoWeekday returns 1 for Monday to 7 for Sunday.
func isoWeekday(days int64) int64 {
	w := (days + 3) % 7 // 1970-01-01 was a Thursday
	if w < 0 {
		w += 7
	}
	return w + 1
}

// isoWeek returns the ISO 8601 week and the year it belongs to.
func isoWeek(days int64) (year, week int) {
	thursday := days - isoWeekday(days) + 4
	year, _, _ = CivilOf(thursday)
	return year, int(thursday-DaysOf(year, 1, 1))/7 + 1
}

// Extract returns a field of a Timestamp (or of the local time of a TimestampTZ) as extract() does, as a numeric with
// PostgreSQL's scale. Epoch counts from 1970 without a zone. ok is false where the answer is NULL: fields that do not
// grow with time, of an infinity.
func Extract(unit string, us int64) (d *Decimal, ok bool, err error) {
	u := normalUnit(unit)
	if IsInfinite(us) {
		return extractInfinity(u, unit, us)
	}
	days, rest := splitDay(us)
	switch u {
	case "epoch":
		return NewDecimal(us, 6), true, nil
	case "julian":
		return julian(days, rest), true, nil
	}
	if d := extractClock(u, rest); d != nil {
		return d, true, nil
	}
	if n, known := extractDay(u, days); known {
		return NewDecimal(n, 0), true, nil
	}
	return nil, false, unknownUnit(unit, Timestamp)
}

// julian is the day number with the time as its fraction.
func julian(days, rest int64) *Decimal {
	z := new(Decimal)
	_ = z.Div(NewDecimal(rest, 0), NewDecimal(MicrosPerDay, 0)) // the divisor is not zero
	_ = z.Add(z, NewDecimal(days-minDate, 0))
	return z
}

// extractClock returns a field of a time of day; nil if unit is none.
func extractClock(u string, us int64) *Decimal {
	switch u {
	case "microsecond":
		return NewDecimal(us%MicrosPerMinute, 0)
	case "millisecond":
		return NewDecimal(us%MicrosPerMinute, 3)
	case "second":
		return NewDecimal(us%MicrosPerMinute, 6)
	case "minute":
		return NewDecimal(us/MicrosPerMinute%60, 0)
	case "hour":
		return NewDecimal(us/MicrosPerHour, 0)
	}
	return nil
}

func extractDay(u string, days int64) (n int64, known bool) {
	year, month, day := CivilOf(days)
	shown := year // there is no year 0 to show
	if year <= 0 {
		shown--
	}
	switch u {
	case "day":
		return int64(day), true
	case "month":
		return int64(month), true
	case "quarter":
		return int64(month-1)/3 + 1, true
	case "year":
		return int64(shown), true
	case "decade":
		return int64(floorDiv(year, 10)), true
	case "century":
		return periodOf(year, 100), true
	case "millennium":
		return periodOf(year, 1000), true
	case "dow":
		return isoWeekday(days) % 7, true
	case "isodow":
		return isoWeekday(days), true
	case "doy":
		return days - DaysOf(year, 1, 1) + 1, true
	case "week":
		_, week := isoWeek(days)
		return int64(week), true
	case "isoyear":
		y, _ := isoWeek(days)
		if y <= 0 {
			y--
		}
		return int64(y), true
	}
	return 0, false
}

// periodOf numbers centuries and millennia: the first has the years 1 to span, the one before it is -1.
func periodOf(year, span int) int64 {
	if year > 0 {
		return int64((year + span - 1) / span)
	}
	return -int64((span - year) / span)
}

func extractInfinity(u, unit string, us int64) (*Decimal, bool, error) {
	switch u {
	case "epoch", "julian", "year", "decade", "century", "millennium", "isoyear":
		if us < 0 {
			return DecimalOf("-Infinity"), true, nil
		}
		return DecimalOf("Infinity"), true, nil
	}
	if extractClock(u, 0) != nil {
		return nil, false, nil
	}
	if _, known := extractDay(u, 0); known {
		return nil, false, nil
	}
	return nil, false, unknownUnit(unit, Timestamp)
}

// ExtractTime returns a field of a Time.
func ExtractTime(unit string, us int64) (*Decimal, error) {
	u := normalUnit(unit)
	if u == "epoch" {
		return NewDecimal(us, 6), nil
	}
	if d := extractClock(u, us); d != nil {
		return d, nil
	}
	return nil, unknownUnit(unit, Time)
}

// ExtractInterval returns a field of an interval. Its epoch has years of 365.25 days and months of 30.
func ExtractInterval(unit string, iv IntervalValue) (*Decimal, error) {
	u := normalUnit(unit)
	years, months := int64(iv.Months/monthsPerYear), int64(iv.Months%monthsPerYear)
	switch u {
	case "year":
		return NewDecimal(years, 0), nil
	case "month":
		return NewDecimal(months, 0), nil
	case "day":
		return NewDecimal(int64(iv.Days), 0), nil
	case "quarter":
		return NewDecimal(months/3+1, 0), nil
	case "decade":
		return NewDecimal(years/10, 0), nil
	case "century":
		return NewDecimal(years/100, 0), nil
	case "millennium":
		return NewDecimal(years/1000, 0), nil
	case "epoch":
		return intervalEpoch(iv, years, months)
	}
	if d := extractClock(u, iv.Micros); d != nil {
		return d, nil
	}
	return nil, unknownUnit(unit, Interval)
}

func intervalEpoch(iv IntervalValue, years, months int64) (*Decimal, error) {
	const quarterDay = 21600 // a quarter of a day in seconds, of which a year has 1461
	seconds := years*1461*quarterDay + (months*daysPerMonth+int64(iv.Days))*86400
	z := NewDecimal(seconds, 0)
	return z, z.Add(z, NewDecimal(iv.Micros, 6))
}

// TimestampOfEpoch returns the TimestampTZ of seconds since 1970, as to_timestamp(double precision) does.
func TimestampOfEpoch(seconds float64) (int64, error) {
	switch {
	case math.IsNaN(seconds):
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp cannot be NaN")
	case math.IsInf(seconds, 1):
		return TimestampInfinity, nil
	case math.IsInf(seconds, -1):
		return TimestampNegInfinity, nil
	case math.Abs(seconds) > float64(maxTimestamp/MicrosPerSecond):
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: \"%s\"", strconv.FormatFloat(seconds, 'g', -1, 64))
	}
	whole := math.Floor(seconds)
	return checkTimestamp(int64(whole)*MicrosPerSecond+int64(math.RoundToEven((seconds-whole)*1e6)), true)
}
