package expr

import (
	"math"
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// ksqlDB's functions of dates and times (ksqlDB reference, "Scalar functions"). A ksqlDB TIMESTAMP is an instant: TIMESTAMPTZ here. Where no zone is named,
// it is the session's.

func init() {
	row("convert_tz(timestamp,text,text)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		from, err := types.LookupZone(a[1].S)
		if err != nil {
			return 0, err
		}
		to, err := types.LookupZone(a[2].S)
		if err != nil || types.IsInfinite(a[0].I) {
			return a[0].I, err
		}
		return types.UTCToLocal(types.LocalToUTC(a[0].I, from), to), nil
	}))
	registerUnitArithmetic()
	registerJavaFormats()
	registerEpochFormats()
}

// unitIntervals are ksqlDB's units of time.
var unitIntervals = map[string]types.IntervalValue{
	"year": {Months: 12}, "month": {Months: 1}, "week": {Days: 7}, "day": {Days: 1},
	"hour": {Micros: 3_600_000_000}, "minute": {Micros: 60_000_000}, "second": {Micros: 1_000_000}, "millisecond": {Micros: 1000},
}

// unitsOf is n units; plural and singular are the same.
func unitsOf(unit string, n int64, minus bool) (types.IntervalValue, error) {
	u, ok := unitIntervals[strings.TrimSuffix(strings.ToLower(unit), "s")]
	if !ok {
		return u, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized unit of time: %q", unit).
			WithHint("Use YEARS, MONTHS, WEEKS, DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS.")
	}
	if minus {
		n = -n
	}
	if months, days := int64(u.Months)*n, int64(u.Days)*n; months != int64(int32(months)) || days != int64(int32(days)) {
		return u, sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
	}
	return types.IntervalValue{Months: u.Months * int32(n), Days: u.Days * int32(n), Micros: u.Micros * n}, nil
}

func registerUnitArithmetic() {
	for suffix, minus := range map[string]bool{"add": false, "sub": true} {
		row("date"+suffix+"(text,int4,date)", micros(func(_ *Call, a []types.Datum) (int64, error) {
			iv, err := unitsOf(a[0].S, a[1].I, minus)
			if err != nil || infiniteDate(a[2].I) {
				return a[2].I, err
			}
			us, err := types.DateToTimestamp(a[2].I)
			if err != nil {
				return 0, err
			}
			if us, err = addInterval(us, iv, false, nil); err != nil {
				return 0, err
			}
			return types.TimestampToDate(us), nil
		}))
		row("time"+suffix+"(text,int4,time)", micros(func(_ *Call, a []types.Datum) (int64, error) {
			iv, err := unitsOf(a[0].S, a[1].I, minus)
			if err != nil {
				return 0, err
			}
			us := a[2].I + iv.Micros%microsPerDay // whole days lead back to the same time of day
			return us - floorDiv(us, microsPerDay)*microsPerDay, nil
		}))
		row("timestamp"+suffix+"(text,int4,timestamp)", micros(func(_ *Call, a []types.Datum) (int64, error) {
			iv, err := unitsOf(a[0].S, a[1].I, minus)
			if err != nil {
				return 0, err
			}
			return addInterval(a[2].I, iv, false, nil)
		}))
		row("timestamp"+suffix+"(text,int4,timestamptz)", micros(func(c *Call, a []types.Datum) (int64, error) {
			iv, err := unitsOf(a[0].S, a[1].I, minus)
			if err != nil {
				return 0, err
			}
			return addInterval(a[2].I, iv, false, zoneOf(c.Env))
		}))
	}
}

// zoneArg is the zone that argument i names, the session's if there is no such argument.
func zoneArg(c *Call, a []types.Datum, i int) (*time.Location, error) {
	if i < len(a) {
		return types.LookupZone(a[i].S)
	}
	return zoneOf(c.Env), nil
}

var errInfinite = sqlerr.New(sqlerr.DatetimeFieldOverflow, "infinity cannot be formatted")

// formatJava formats the instant that us gives of argument 0, in the zone that argument 2 names.
func formatJava(us func(c *Call, d types.Datum, zone *time.Location) (int64, error)) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		p, err := types.ParseJavaPattern(a[1].S)
		if err != nil {
			return types.NullDatum, err
		}
		zone, err := zoneArg(c, a, 2)
		if err != nil {
			return types.NullDatum, err
		}
		at, err := us(c, a[0], zone)
		if err != nil {
			return types.NullDatum, err
		}
		return types.BytesDatum(string(p.Append(nil, at, zone))), nil
	}
}

// parseJava parses argument 0 and gives what of makes of the instant; the zone is that of argument 2.
func parseJava(of func(us int64, zone *time.Location) int64) rowFunc {
	return micros(func(c *Call, a []types.Datum) (int64, error) {
		p, err := types.ParseJavaPattern(a[1].S)
		if err != nil {
			return 0, err
		}
		zone, err := zoneArg(c, a, 2)
		if err != nil {
			return 0, err
		}
		us, err := p.Parse(a[0].S, zone)
		return of(us, zone), err
	})
}

func registerJavaFormats() {
	instant := formatJava(func(_ *Call, d types.Datum, _ *time.Location) (int64, error) {
		if types.IsInfinite(d.I) {
			return 0, errInfinite
		}
		return d.I, nil
	})
	row("format_timestamp(timestamptz,text)", instant)
	row("format_timestamp(timestamptz,text,text)", instant)
	row("format_timestamp(timestamp,text)", formatJava(func(_ *Call, d types.Datum, zone *time.Location) (int64, error) {
		if types.IsInfinite(d.I) {
			return 0, errInfinite
		}
		return types.LocalToUTC(d.I, zone), nil
	}))
	row("format_time(time,text)", formatJava(func(_ *Call, d types.Datum, zone *time.Location) (int64, error) {
		return types.LocalToUTC(d.I, zone), nil
	}))
	date := formatJava(func(_ *Call, d types.Datum, zone *time.Location) (int64, error) {
		if infiniteDate(d.I) {
			return 0, errInfinite
		}
		us, err := types.DateToTimestamp(d.I)
		return types.LocalToUTC(us, zone), err
	})
	row("format_date(date,text)", date)
	row("datetostring(int4,text)", date)
	row("parse_timestamp(text,text)", parseJava(func(us int64, _ *time.Location) int64 { return us }))
	row("parse_timestamp(text,text,text)", parseJava(func(us int64, _ *time.Location) int64 { return us }))
	days := parseJava(func(us int64, zone *time.Location) int64 { return types.TimestampToDate(types.UTCToLocal(us, zone)) })
	row("parse_date(text,text)", days)
	row("stringtodate(text,text)", days)
	row("parse_time(text,text)", parseJava(func(us int64, zone *time.Location) int64 {
		local := types.UTCToLocal(us, zone)
		return local - floorDiv(local, microsPerDay)*microsPerDay
	}))
}

// registerEpochFormats registers the older functions, of milliseconds since 1970.
func registerEpochFormats() {
	format := formatJava(func(_ *Call, d types.Datum, _ *time.Location) (int64, error) {
		if d.I > math.MaxInt64/1000 || d.I < math.MinInt64/1000 {
			return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range: %d ms", d.I)
		}
		return d.I * 1000, nil
	})
	parse := parseJava(func(us int64, _ *time.Location) int64 { return floorDiv(us, 1000) })
	for _, more := range []string{"", ",text"} {
		row("timestamptostring(int8,text"+more+")", format)
		row("stringtotimestamp(text,text"+more+")", parse)
	}
}
