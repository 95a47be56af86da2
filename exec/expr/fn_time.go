package expr

import (
	"math"
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Functions of dates and times (PostgreSQL docs, 9.9); package types has the arithmetic.

func init() {
	registerDateOperators()
	registerTimestampOperators()
	registerIntervalOperators()
	registerClocks()
	registerTruncation()
	registerZones()
	registerMakers()
}

func micros(f func(c *Call, a []types.Datum) (int64, error)) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		us, err := f(c, a)
		return types.IntDatum(us), err
	}
}

func interval(f func(c *Call, a []types.Datum) (types.IntervalValue, error)) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		iv, err := f(c, a)
		if err != nil {
			return types.NullDatum, err
		}
		return iv.Datum(), nil
	}
}

// flipped calls f with its two arguments the other way round.
func flipped(f rowFunc) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		return f(&Call{Env: c.Env, Args: []types.Type{c.Args[1], c.Args[0]}, Ret: c.Ret, memo: c.memo}, []types.Datum{a[1], a[0]})
	}
}

var errDateRange = sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range")

func infiniteDate(d int64) bool { return d == types.DateInfinity || d == types.DateNegInfinity }

// minDate and maxDate are the first and last days that a Date holds (PostgreSQL docs, table 8.9), in days since 1970.
var minDate, maxDate = types.DaysOf(-4713, 11, 24), types.DaysOf(5874897, 12, 31)

// addDays moves a date; an infinite one stays.
func addDays(date, days int64) (int64, error) {
	if infiniteDate(date) {
		return date, nil
	}
	if date += days; date < minDate || date > maxDate {
		return 0, errDateRange
	}
	return date, nil
}

func registerDateOperators() {
	plus := micros(func(_ *Call, a []types.Datum) (int64, error) { return addDays(a[0].I, a[1].I) })
	row("+(date,int4)", plus)
	row("+(int4,date)", flipped(plus))
	row("-(date,int4)", micros(func(_ *Call, a []types.Datum) (int64, error) { return addDays(a[0].I, -a[1].I) }))
	row("-(date,date)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		if infiniteDate(a[0].I) || infiniteDate(a[1].I) {
			return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "cannot subtract infinite dates")
		}
		return a[0].I - a[1].I, nil
	}))
	withInterval := func(minus bool) rowFunc {
		return micros(func(_ *Call, a []types.Datum) (int64, error) {
			us, err := types.DateToTimestamp(a[0].I)
			if err != nil {
				return 0, err
			}
			return addInterval(us, types.IntervalOf(a[1]), minus, nil)
		})
	}
	row("+(date,interval)", withInterval(false))
	row("+(interval,date)", flipped(withInterval(false)))
	row("-(date,interval)", withInterval(true))
	withTime := micros(func(_ *Call, a []types.Datum) (int64, error) {
		us, err := types.DateToTimestamp(a[0].I)
		if err != nil {
			return 0, err
		}
		return types.AddInterval(us, types.IntervalValue{Micros: a[1].I})
	})
	row("+(date,time)", withTime)
	row("+(time,date)", flipped(withTime))
	row("isfinite(date)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		return types.BoolDatum(!infiniteDate(a[0].I)), nil
	})
	row("unix_date(date)", micros(func(_ *Call, a []types.Datum) (int64, error) { return a[0].I, nil }))
	row("from_days(int4)", micros(func(_ *Call, a []types.Datum) (int64, error) { return addDays(0, a[0].I) }))
}

// addInterval adds or subtracts; with a zone, months and days move its clocks.
func addInterval(us int64, iv types.IntervalValue, minus bool, zone *time.Location) (int64, error) {
	if minus {
		var err error
		if iv, err = iv.Neg(); err != nil {
			return 0, err
		}
	}
	if zone == nil {
		return types.AddInterval(us, iv)
	}
	return types.AddIntervalTZ(us, iv, zone)
}

func registerTimestampOperators() {
	shift := func(minus, zoned bool) rowFunc {
		return micros(func(c *Call, a []types.Datum) (int64, error) {
			var zone *time.Location
			if zoned {
				zone = zoneOf(c.Env)
			}
			return addInterval(a[0].I, types.IntervalOf(a[1]), minus, zone)
		})
	}
	for _, k := range []string{"timestamp", "timestamptz"} {
		zoned := k == "timestamptz"
		row("+("+k+",interval)", shift(false, zoned))
		row("+(interval,"+k+")", flipped(shift(false, zoned)))
		row("-("+k+",interval)", shift(true, zoned))
		row("-("+k+","+k+")", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) {
			return types.SubTimestamps(a[0].I, a[1].I)
		}))
		row("isfinite("+k+")", func(_ *Call, a []types.Datum) (types.Datum, error) {
			return types.BoolDatum(!types.IsInfinite(a[0].I)), nil
		})
	}
	addTime := micros(func(_ *Call, a []types.Datum) (int64, error) {
		return types.AddTime(a[0].I, types.IntervalOf(a[1])), nil
	})
	row("+(time,interval)", addTime)
	row("+(interval,time)", flipped(addTime))
	row("-(time,interval)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		iv := types.IntervalOf(a[1])
		iv.Micros = -(iv.Micros % types.MicrosPerDay)
		return types.AddTime(a[0].I, iv), nil
	}))
	row("-(time,time)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) {
		return types.IntervalValue{Micros: a[0].I - a[1].I}, nil
	}))
	row("age(timestamp,timestamp)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) { return types.Age(a[0].I, a[1].I) }))
	row("age(timestamptz,timestamptz)", interval(func(c *Call, a []types.Datum) (types.IntervalValue, error) {
		return types.Age(toLocal(c.Env, a[0].I), toLocal(c.Env, a[1].I))
	}))
	row("age(timestamp)", interval(func(c *Call, a []types.Datum) (types.IntervalValue, error) { return types.Age(today(c.Env), a[0].I) }))
	row("age(timestamptz)", interval(func(c *Call, a []types.Datum) (types.IntervalValue, error) {
		return types.Age(today(c.Env), toLocal(c.Env, a[0].I))
	}))
}

// today is midnight of the transaction's day in the session's zone, as a Timestamp.
func today(env *Env) int64 {
	return floorDiv(toLocal(env, env.NowMicros), microsPerDay) * microsPerDay
}

func registerIntervalOperators() {
	row("+(interval,interval)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) {
		return types.IntervalOf(a[0]).Add(types.IntervalOf(a[1]))
	}))
	row("-(interval,interval)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) {
		return types.IntervalOf(a[0]).Sub(types.IntervalOf(a[1]))
	}))
	row("-(interval)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) { return types.IntervalOf(a[0]).Neg() }))
	times := interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) { return types.IntervalOf(a[0]).Mul(a[1].F) })
	row("*(interval,float8)", times)
	row("*(float8,interval)", flipped(times))
	row("/(interval,float8)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) { return types.IntervalOf(a[0]).Div(a[1].F) }))
	row("isfinite(interval)", func(*Call, []types.Datum) (types.Datum, error) { return types.BoolDatum(true), nil })
	for name, f := range map[string]func(types.IntervalValue) (types.IntervalValue, error){
		"justify_days": types.IntervalValue.JustifyDays, "justify_hours": types.IntervalValue.JustifyHours,
		"justify_interval": types.IntervalValue.JustifyInterval,
	} {
		row(name+"(interval)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) { return f(types.IntervalOf(a[0])) }))
	}
}

func registerClocks() {
	now := micros(func(c *Call, _ []types.Datum) (int64, error) { return c.Env.NowMicros, nil })
	row("now()", now)
	row("transaction_timestamp()", now)
	row("statement_timestamp()", micros(func(c *Call, _ []types.Datum) (int64, error) { return c.Env.StatementMicros, nil }))
	row("clock_timestamp()", micros(func(c *Call, _ []types.Datum) (int64, error) { return clock(c.Env), nil }))
	row("current_date()", micros(func(c *Call, _ []types.Datum) (int64, error) { return floorDiv(today(c.Env), microsPerDay), nil }))
	timeOfDay := micros(func(c *Call, _ []types.Datum) (int64, error) {
		return toLocal(c.Env, c.Env.NowMicros) - today(c.Env), nil
	})
	row("current_time()", timeOfDay)
	row("localtime()", timeOfDay)
	row("localtimestamp()", micros(func(c *Call, _ []types.Datum) (int64, error) { return toLocal(c.Env, c.Env.NowMicros), nil }))
	row("timeofday()", func(c *Call, _ []types.Datum) (types.Datum, error) {
		return types.BytesDatum(time.UnixMicro(clock(c.Env)).In(zoneOf(c.Env)).Format("Mon Jan 02 15:04:05.000000 2006 MST")), nil
	})
	row("unix_timestamp()", micros(func(c *Call, _ []types.Datum) (int64, error) { return floorDiv(c.Env.NowMicros, 1000), nil }))
	row("unix_timestamp(timestamptz)", micros(func(_ *Call, a []types.Datum) (int64, error) { return floorDiv(a[0].I, 1000), nil }))
	row("from_unixtime(int8)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		if a[0].I > math.MaxInt64/1000 || a[0].I < math.MinInt64/1000 {
			return 0, errTimestampRange
		}
		return types.AddInterval(a[0].I*1000, types.IntervalValue{})
	}))
}

var errTimestampRange = sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range")

// clock is the time of day as it passes, or the transaction's where there is no clock.
func clock(env *Env) int64 {
	if env.ClockMicros == nil {
		return env.NowMicros
	}
	return env.ClockMicros()
}

func registerTruncation() {
	row("date_trunc(text,timestamp)", micros(func(_ *Call, a []types.Datum) (int64, error) { return types.DateTrunc(a[0].S, a[1].I) }))
	row("date_trunc(text,timestamptz)", micros(func(c *Call, a []types.Datum) (int64, error) { return truncIn(a[0].S, a[1].I, zoneOf(c.Env)) }))
	row("date_trunc(text,timestamptz,text)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		zone, err := namedZone(a[2].S)
		if err != nil {
			return 0, err
		}
		return truncIn(a[0].S, a[1].I, zone)
	}))
	row("date_trunc(text,interval)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) {
		return truncInterval(a[0].S, types.IntervalOf(a[1]))
	}))
	for _, k := range []string{"timestamp", "timestamptz"} {
		row("date_bin(interval,"+k+","+k+")", micros(func(_ *Call, a []types.Datum) (int64, error) {
			return types.DateBin(types.IntervalOf(a[0]), a[1].I, a[2].I)
		}))
	}
	registerExtract()
}

// truncIn cuts an instant down to a field of the clocks of a zone. Parts of a day are cut on the instant's own offset, so that an hour that comes
// twice stays where it is.
func truncIn(unit string, us int64, zone *time.Location) (int64, error) {
	if types.IsInfinite(us) {
		return types.DateTrunc(unit, us)
	}
	local := types.UTCToLocal(us, zone)
	cut, err := types.DateTrunc(unit, local)
	if err != nil {
		return 0, err
	}
	switch strings.TrimSuffix(strings.ToLower(unit), "s") {
	case "hour", "minute", "second", "millisecond", "microsecond":
		return us - (local - cut), nil
	}
	return types.LocalToUTC(cut, zone), nil
}

// truncInterval cuts an interval down to a field (PostgreSQL docs, 9.9.2).
func truncInterval(unit string, iv types.IntervalValue) (types.IntervalValue, error) {
	months := func(n int32) (types.IntervalValue, error) {
		return types.IntervalValue{Months: iv.Months - iv.Months%n}, nil
	}
	part := func(us int64) (types.IntervalValue, error) {
		iv.Micros -= iv.Micros % us
		return iv, nil
	}
	switch strings.TrimSuffix(strings.ToLower(unit), "s") {
	case "millennium", "millennia":
		return months(12_000)
	case "century", "centurie":
		return months(1200)
	case "decade":
		return months(120)
	case "year":
		return months(12)
	case "quarter":
		return months(3)
	case "month":
		return months(1)
	case "day":
		return types.IntervalValue{Months: iv.Months, Days: iv.Days}, nil
	case "hour":
		return part(types.MicrosPerHour)
	case "minute":
		return part(types.MicrosPerMinute)
	case "second":
		return part(types.MicrosPerSecond)
	case "millisecond":
		return part(1000)
	case "microsecond":
		return iv, nil
	case "week":
		return iv, sqlerr.New(sqlerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", strings.ToLower(unit), "interval").
			WithDetail("Months usually have fractional weeks.")
	}
	return iv, sqlerr.New(sqlerr.InvalidParameterValue, "unit \"%s\" not recognized for type %s", strings.ToLower(unit), "interval")
}

// namedZone finds a zone by name. An offset alone is read as POSIX has it: positive is west of Greenwich (PostgreSQL docs, 8.5.3).
func namedZone(name string) (*time.Location, error) {
	switch {
	case strings.HasPrefix(name, "+"):
		name = "-" + name[1:]
	case strings.HasPrefix(name, "-"):
		name = "+" + name[1:]
	}
	return types.LookupZone(name)
}

func registerZones() {
	toLocalIn := func(zone *time.Location, us int64) int64 {
		if types.IsInfinite(us) {
			return us
		}
		return types.UTCToLocal(us, zone)
	}
	toUTCIn := func(zone *time.Location, us int64) int64 {
		if types.IsInfinite(us) {
			return us
		}
		return types.LocalToUTC(us, zone)
	}
	for k, f := range map[string]func(*time.Location, int64) int64{"timestamptz": toLocalIn, "timestamp": toUTCIn} {
		row("timezone(text,"+k+")", micros(func(_ *Call, a []types.Datum) (int64, error) {
			zone, err := namedZone(a[0].S)
			if err != nil {
				return 0, err
			}
			return f(zone, a[1].I), nil
		}))
		row("timezone(interval,"+k+")", micros(func(_ *Call, a []types.Datum) (int64, error) {
			iv := types.IntervalOf(a[0])
			if iv.Months != 0 || iv.Days != 0 {
				return 0, sqlerr.New(sqlerr.InvalidParameterValue, "interval time zone \"%s\" must not include months or days", types.FormatText(types.Of(types.Interval), a[0], nil))
			}
			return f(time.FixedZone("", int(iv.Micros/types.MicrosPerSecond)), a[1].I), nil
		}))
	}
}
