package types

import "strconv"

// The modifier of an interval has PostgreSQL's form, for clients see it: the fields that were named, one bit each, in the upper half, and the
// digits after the second in the lower. All bits of a half are set where it says nothing.
const (
	intervalAllFields    = 0x7FFF
	intervalAllPrecision = 0xFFFF

	intervalMonth, intervalYear, intervalDay     = 1 << 1, 1 << 2, 1 << 3
	intervalHour, intervalMinute, intervalSecond = 1 << 10, 1 << 11, 1 << 12
)

// intervalFields are the fields that a type may name.
var intervalFields = map[string]int32{
	"year": intervalYear, "month": intervalMonth, "day": intervalDay, "hour": intervalHour, "minute": intervalMinute, "second": intervalSecond,
	"year to month":    intervalYear | intervalMonth,
	"day to hour":      intervalDay | intervalHour,
	"day to minute":    intervalDay | intervalHour | intervalMinute,
	"day to second":    intervalDay | intervalHour | intervalMinute | intervalSecond,
	"hour to minute":   intervalHour | intervalMinute,
	"hour to second":   intervalHour | intervalMinute | intervalSecond,
	"minute to second": intervalMinute | intervalSecond,
}

// IntervalTypeOf is the type interval of some fields, "" for all, with precision digits after the second, -1 for all.
func IntervalTypeOf(fields string, precision int) Type {
	t := Type{Kind: Interval, Mod: -1}
	if fields == "" && precision < 0 {
		return t
	}
	bits, p := int32(intervalAllFields), int32(intervalAllPrecision)
	if fields != "" {
		bits = intervalFields[fields]
	}
	if precision >= 0 {
		p = int32(min(precision, 6))
	}
	t.Mod = bits<<16 | p
	return t
}

// intervalName is the type's name with its modifier.
func (t Type) intervalName(name string) string {
	for fields, bits := range intervalFields {
		if bits == t.Mod>>16 {
			name += " " + fields
		}
	}
	if p := t.Mod & intervalAllPrecision; p != intervalAllPrecision {
		name += "(" + strconv.Itoa(int(p)) + ")"
	}
	return name
}

// cutInterval cuts off what is finer than the least field of the type (PostgreSQL docs, 8.5.4).
func (t Type) cutInterval(iv *IntervalValue) {
	cut := func(unit int64) { iv.Micros -= iv.Micros % unit }
	switch bits := t.Mod >> 16; {
	case bits == 0 || bits&intervalSecond != 0: // all fields, which have the bit of seconds too
	case bits&intervalMinute != 0:
		cut(60 * MicrosPerSecond)
	case bits&intervalHour != 0:
		cut(3600 * MicrosPerSecond)
	case bits&intervalDay != 0:
		iv.Micros = 0
	case bits&intervalMonth != 0:
		iv.Days, iv.Micros = 0, 0
	default:
		iv.Months -= iv.Months % 12
		iv.Days, iv.Micros = 0, 0
	}
}
