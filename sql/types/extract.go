package types

import "github.com/millracedb/millrace/internal/sqlerr"

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
	return nil, false, unsupportedUnit(unit, Timestamp)
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
	return nil, false, unsupportedUnit(unit, Timestamp)
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
	return nil, unsupportedUnit(unit, Time)
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
	return nil, unsupportedUnit(unit, Interval)
}

func intervalEpoch(iv IntervalValue, years, months int64) (*Decimal, error) {
	const quarterDay = 21600 // a quarter of a day in seconds, of which a year has 1461
	seconds := years*1461*quarterDay + (months*daysPerMonth+int64(iv.Days))*86400
	z := NewDecimal(seconds, 0)
	return z, z.Add(z, NewDecimal(iv.Micros, 6))
}

// unsupportedUnit is the error for a field that a type does not have: 0A000 if others have it, else 22023.
func unsupportedUnit(unit string, t Kind) error {
	u := normalUnit(unit)
	switch _, isDay := extractDay(u, 0); {
	case isDay, extractClock(u, 0) != nil, u == "epoch", u == "julian", u == "timezone", u == "timezone_hour", u == "timezone_minute":
		return sqlerr.New(sqlerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", clip(unit), t)
	}
	return unknownUnit(unit, t)
}
