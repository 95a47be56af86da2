package types

import (
	"strconv"
	"time"
)

// appendPadded appends n with at least width digits; n is not negative.
func appendPadded(dst []byte, n int64, width int) []byte {
	limit := int64(10)
	for range width - 1 {
		limit *= 10
	}
	for limit /= 10; limit > 1 && n < limit; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, n, 10)
}

func append2(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// appendCivil appends yyyy-mm-dd and reports whether the year is before Christ, which the caller says at the end.
func appendCivil(dst []byte, days int64) (out []byte, bc bool) {
	year, month, day := CivilOf(days)
	if year <= 0 {
		year, bc = 1-year, true
	}
	dst = appendPadded(dst, int64(year), 4)
	dst = append2(append(dst, '-'), int64(month))
	return append2(append(dst, '-'), int64(day)), bc
}

// appendClock appends hh:mm:ss[.ffffff] without trailing zeros.
func appendClock(dst []byte, us int64) []byte {
	dst = append2(dst, us/MicrosPerHour)
	dst = append2(append(dst, ':'), us/MicrosPerMinute%60)
	return appendSeconds(append(dst, ':'), us%MicrosPerMinute)
}

// appendSeconds appends ss[.ffffff].
func appendSeconds(dst []byte, us int64) []byte {
	return appendFraction(append2(dst, us/MicrosPerSecond), us%MicrosPerSecond)
}

func appendFraction(dst []byte, us int64) []byte {
	if us == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(100_000); us > 0; unit /= 10 {
		dst = append(dst, byte('0'+us/unit))
		us %= unit
	}
	return dst
}

func appendBC(dst []byte, bc bool) []byte {
	if bc {
		return append(dst, " BC"...)
	}
	return dst
}

func appendDate(dst []byte, days int64) []byte {
	switch days {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateNegInfinity:
		return append(dst, "-infinity"...)
	}
	dst, bc := appendCivil(dst, days)
	return appendBC(dst, bc)
}

func appendTime(dst []byte, us int64) []byte { return appendClock(dst, us) }

func appendInfinity(dst []byte, us int64) []byte {
	if us < 0 {
		dst = append(dst, '-')
	}
	return append(dst, "infinity"...)
}

func appendTimestamp(dst []byte, us int64) []byte {
	if IsInfinite(us) {
		return appendInfinity(dst, us)
	}
	days, rest := splitDay(us)
	dst, bc := appendCivil(dst, days)
	return appendBC(appendClock(append(dst, ' '), rest), bc)
}

func appendTimestampTZ(dst []byte, us int64, loc *time.Location) []byte {
	if IsInfinite(us) {
		return appendInfinity(dst, us)
	}
	off := offsetAt(loc, floorDiv64(us, MicrosPerSecond))
	days, rest := splitDay(us + off*MicrosPerSecond)
	dst, bc := appendCivil(dst, days)
	dst = appendClock(append(dst, ' '), rest)
	return appendBC(appendOffset(dst, off), bc)
}

// appendOffset appends +hh[:mm[:ss]].
func appendOffset(dst []byte, seconds int64) []byte {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	dst = append2(append(dst, sign), seconds/3600)
	if seconds%3600 == 0 {
		return dst
	}
	dst = append2(append(dst, ':'), seconds/60%60)
	if seconds%60 == 0 {
		return dst
	}
	return append2(append(dst, ':'), seconds%60)
}

// appendISOTimestamp appends yyyy-mm-ddThh:mm:ss[.ffffff] and suffix ("Z" or nothing), as JSON carries it. Years
// before 1 and after 9999 have a sign and at least four digits (ISO 8601, expanded); year 0 is 1 BC.
func appendISOTimestamp(dst []byte, us int64, suffix string) []byte {
	if IsInfinite(us) {
		return appendInfinity(dst, us)
	}
	days, rest := splitDay(us)
	dst = appendISODate(dst, days)
	dst = appendClock(append(dst, 'T'), rest)
	return append(dst, suffix...)
}

func appendISODate(dst []byte, days int64) []byte {
	year, month, day := CivilOf(days)
	switch {
	case year < 0:
		dst = append(dst, '-')
		year = -year
	case year > 9999:
		dst = append(dst, '+')
	}
	dst = appendPadded(dst, int64(year), 4)
	dst = append2(append(dst, '-'), int64(month))
	return append2(append(dst, '-'), int64(day))
}
