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

// DateBin returns the start of the bin of stride, counted from origin, that holds a Timestamp, as date_bin() does.
func DateBin(stride IntervalValue, us, origin int64) (int64, error) {
	if IsInfinite(us) {
		return us, nil
	}
	if IsInfinite(origin) {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "origin out of range")
	}
	if stride.Months != 0 {
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "timestamps cannot be binned into intervals containing months or years")
	}
	step, ok := addInt64(int64(stride.Days)*MicrosPerDay, stride.Micros)
	if !ok {
		return 0, intervalOutOfRange()
	}
	if step <= 0 {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "stride must be greater than zero")
	}
	diff := us - origin
	if (us >= origin) != (diff >= 0) {
		return 0, intervalOutOfRange()
	}
	return origin + floorDiv64(diff, step)*step, nil
}
