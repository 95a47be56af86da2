package expr

import (
	"math"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Fields of dates and times, values made of fields, and patterns.

// extractor returns a field of a value; ok is false where the answer is NULL.
type extractor func(c *Call, unit string, d types.Datum) (x *types.Decimal, ok bool, err error)

func registerExtract() {
	for k, f := range map[string]extractor{
		"date": extractDate,
		"time": func(_ *Call, unit string, d types.Datum) (*types.Decimal, bool, error) {
			x, err := types.ExtractTime(unit, d.I)
			return x, true, err
		},
		"timestamp": func(_ *Call, unit string, d types.Datum) (*types.Decimal, bool, error) {
			return types.Extract(unit, d.I)
		},
		"timestamptz": extractTZ,
		"interval": func(_ *Call, unit string, d types.Datum) (*types.Decimal, bool, error) {
			x, err := types.ExtractInterval(unit, types.IntervalOf(d))
			return x, true, err
		},
	} {
		row("extract(text,"+k+")", func(c *Call, a []types.Datum) (types.Datum, error) {
			x, ok, err := f(c, a[0].S, a[1])
			if err != nil || !ok {
				return types.NullDatum, err
			}
			return x.Datum(), nil
		})
		row("date_part(text,"+k+")", func(c *Call, a []types.Datum) (types.Datum, error) {
			x, ok, err := f(c, a[0].S, a[1])
			if err != nil || !ok {
				return types.NullDatum, err
			}
			v, err := x.Float64()
			return types.FloatDatum(v), err
		})
	}
}

// extractDate refuses the fields of the time of day.
func extractDate(c *Call, unit string, d types.Datum) (*types.Decimal, bool, error) {
	switch u := strings.ToLower(unit); strings.TrimSuffix(u, "s") {
	case "microsecond", "millisecond", "second", "minute", "hour", "timezone", "timezone_hour", "timezone_minute":
		if c.Ret.Kind == types.Numeric { // date_part reads a date as a timestamp
			return nil, false, sqlerr.New(sqlerr.FeatureNotSupported, "unit \"%s\" not supported for type %s", u, "date")
		}
	}
	us, err := types.DateToTimestamp(d.I)
	if err != nil {
		return nil, false, err
	}
	x, ok, err := types.Extract(unit, us)
	if ok && err == nil && (strings.EqualFold(unit, "epoch") || strings.EqualFold(unit, "julian")) && x.IsFinite() {
		x.Trunc(x, 0)
	}
	return x, ok, err
}

// extractTZ reads the fields from the clocks of the session's zone, but for epoch, and knows the zone's own.
func extractTZ(c *Call, unit string, d types.Datum) (*types.Decimal, bool, error) {
	us := d.I
	offset := (toLocal(c.Env, us) - us) / types.MicrosPerSecond
	switch strings.ToLower(unit) {
	case "epoch":
		return types.Extract(unit, us)
	case "timezone", "timezone_hour", "timezone_minute":
		if types.IsInfinite(us) {
			return nil, false, nil
		}
		switch strings.ToLower(unit) {
		case "timezone_hour":
			offset /= 3600
		case "timezone_minute":
			offset = offset % 3600 / 60
		}
		return types.NewDecimal(offset, 0), true, nil
	}
	return types.Extract(unit, toLocal(c.Env, us))
}

func registerMakers() {
	row("make_date(int4,int4,int4)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		return types.MakeDate(int(a[0].I), int(a[1].I), int(a[2].I))
	}))
	row("make_time(int4,int4,float8)", micros(func(_ *Call, a []types.Datum) (int64, error) { return makeTime(a[0].I, a[1].I, a[2].F) }))
	row("make_timestamp(int4,int4,int4,int4,int4,float8)", micros(func(_ *Call, a []types.Datum) (int64, error) { return makeTimestamp(a) }))
	row("make_timestamptz(int4,int4,int4,int4,int4,float8)", micros(func(c *Call, a []types.Datum) (int64, error) {
		us, err := makeTimestamp(a)
		return toUTC(c.Env, us), err
	}))
	row("make_timestamptz(int4,int4,int4,int4,int4,float8,text)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		us, err := makeTimestamp(a)
		if err != nil {
			return 0, err
		}
		zone, err := types.LookupZone(a[6].S)
		if err != nil {
			return 0, err
		}
		return types.LocalToUTC(us, zone), nil
	}))
	row("make_interval(int4,int4,int4,int4,int4,int4,float8)", interval(func(_ *Call, a []types.Datum) (types.IntervalValue, error) {
		n := func(i int) int32 { return int32(a[i].I) }
		return types.MakeInterval(n(0), n(1), n(2), n(3), n(4), n(5), a[6].F)
	}))
	row("to_timestamp(float8)", micros(func(_ *Call, a []types.Datum) (int64, error) { return types.TimestampOfEpoch(a[0].F) }))
	row("to_timestamp(text,text)", micros(func(c *Call, a []types.Datum) (int64, error) {
		return types.ParseDatePattern(a[1].S).Parse(a[0].S, zoneOf(c.Env))
	}))
	row("to_date(text,text)", micros(func(_ *Call, a []types.Datum) (int64, error) {
		us, err := types.ParseDatePattern(a[1].S).Parse(a[0].S, nil)
		return types.TimestampToDate(us), err
	}))
	row("to_char(timestamp,text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if types.IsInfinite(a[0].I) || a[1].S == "" {
			return types.NullDatum, nil
		}
		return types.BytesDatum(string(types.ParseDatePattern(a[1].S).Append(nil, a[0].I, nil))), nil
	})
	row("to_char(timestamptz,text)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if types.IsInfinite(a[0].I) || a[1].S == "" {
			return types.NullDatum, nil
		}
		return types.BytesDatum(string(types.ParseDatePattern(a[1].S).Append(nil, a[0].I, zoneOf(c.Env)))), nil
	})
}

func makeTime(hour, minute int64, sec float64) (int64, error) {
	us := math.RoundToEven(sec * 1e6)
	total := float64(hour)*float64(types.MicrosPerHour) + float64(minute)*float64(types.MicrosPerMinute) + us
	if hour < 0 || minute < 0 || minute > 59 || math.IsNaN(sec) || sec < 0 || sec > 60 || hour > 24 || total > float64(types.MicrosPerDay) {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "time field value out of range: %d:%02d:%02g", hour, minute, sec)
	}
	return int64(total), nil
}

func makeTimestamp(a []types.Datum) (int64, error) {
	days, err := types.MakeDate(int(a[0].I), int(a[1].I), int(a[2].I))
	if err != nil {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date field value out of range: %d-%02d-%02d", a[0].I, a[1].I, a[2].I)
	}
	t, err := makeTime(a[3].I, a[4].I, a[5].F)
	if err != nil {
		return 0, err
	}
	us, err := types.DateToTimestamp(days)
	if err != nil {
		return 0, err
	}
	return types.AddInterval(us, types.IntervalValue{Micros: t})
}
