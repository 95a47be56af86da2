package types

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// finish makes the value of the kind out of the fields.
func (p *dateTime) finish() (Datum, error) {
	if p.meridiem != 0 {
		hour := p.us / MicrosPerHour
		if hour > 12 || hour == 0 && p.meridiem == 'a' && p.us >= MicrosPerHour {
			return NullDatum, p.fieldRange()
		}
		if hour == 12 {
			p.us -= 12 * MicrosPerHour
		}
		if p.meridiem == 'p' {
			p.us += 12 * MicrosPerHour
		}
	}
	if p.special != "" {
		return p.finishSpecial()
	}
	if p.kind == Time {
		if !p.hasTime {
			return NullDatum, p.syntax()
		}
		return IntDatum(p.us), nil
	}
	days, err := p.days()
	if err != nil {
		return NullDatum, err
	}
	if p.kind == Date {
		return IntDatum(days), nil
	}
	return p.timestamp(days, p.us)
}

// days checks the date and returns it in days since 1970.
func (p *dateTime) days() (int64, error) {
	if !p.hasDate {
		return 0, p.syntax()
	}
	year := p.year
	if year == 0 && !p.bc || p.bc && year == 0 {
		return 0, p.fieldRange()
	}
	if p.bc {
		year = 1 - year
	}
	if p.month < 1 || p.month > 12 || p.day < 1 || p.day > daysInMonth(year, p.month) {
		return 0, p.fieldRange()
	}
	days := DaysOf(year, p.month, p.day)
	if days < minDate || days > maxDate {
		return 0, p.outOfRange()
	}
	return days, nil
}

func (p *dateTime) timestamp(days, us int64) (Datum, error) {
	if days > maxTimestamp/MicrosPerDay-1 {
		return NullDatum, p.outOfRange()
	}
	local := days*MicrosPerDay + us
	if p.kind == TimestampTZ {
		zone := p.zone
		if zone == nil {
			zone = p.set.zone()
		}
		local = LocalToUTC(local, zone)
	}
	if local < minTimestamp {
		return NullDatum, p.outOfRange()
	}
	return IntDatum(local), nil
}

func (p *dateTime) finishSpecial() (Datum, error) {
	if p.hasDate || p.special != "now" && strings.HasSuffix(p.special, "infinity") && p.hasTime {
		return NullDatum, p.syntax()
	}
	switch p.special {
	case "infinity", "-infinity":
		return p.infinity(p.special[0] == '-')
	case "epoch":
		if p.kind == Time {
			return NullDatum, p.syntax()
		}
		return IntDatum(0), nil
	}
	if p.set.Now.IsZero() {
		return NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "\"%s\" has no meaning here", p.special).
			WithHint("Use now() or current_date.")
	}
	now := p.set.Now.UnixMicro()
	days, us := splitDay(UTCToLocal(now, p.set.zone()))
	switch {
	case p.special == "now" && p.kind == TimestampTZ:
		return IntDatum(now), nil
	case p.special == "tomorrow":
		days++
	case p.special == "yesterday":
		days--
	}
	if p.special != "now" {
		us = p.us
	}
	switch p.kind {
	case Date:
		return IntDatum(days), nil
	case Time:
		return IntDatum(us), nil
	}
	return p.timestamp(days, us)
}

func (p *dateTime) infinity(negative bool) (Datum, error) {
	switch {
	case p.kind == Time:
		return NullDatum, p.syntax()
	case p.kind == Date && negative:
		return IntDatum(DateNegInfinity), nil
	case p.kind == Date:
		return IntDatum(DateInfinity), nil
	case negative:
		return IntDatum(TimestampNegInfinity), nil
	}
	return IntDatum(TimestampInfinity), nil
}
