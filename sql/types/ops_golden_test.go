package types_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/sql/types"
)

// opCase is an expression of PostgreSQL and what Millrace computes for it.
type opCase struct {
	query string
	ours  func() string
}

func checkGolden(t *testing.T, file string, cases []opCase) {
	t.Helper()
	if *pg != "" {
		queries := make([]string, len(cases))
		for i, c := range cases {
			queries[i] = "select " + c.query
		}
		var out bytes.Buffer
		for i, answer := range theirs(t, queries) {
			fmt.Fprintf(&out, "%s\t%s\n", cases[i].query, shorten(answer))
		}
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o644))
	}
	golden, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(golden), "\n"), "\n")
	require.Len(t, lines, len(cases))
	for i, c := range cases {
		if got := c.query + "\t" + shorten(c.ours()); got != lines[i] {
			t.Errorf("\nPostgreSQL %s\nMillrace   %s", lines[i], got)
		}
	}
}

// sortCases puts cases that came out of a map in a fixed order.
func sortCases(cases []opCase) {
	slices.SortStableFunc(cases, func(a, b opCase) int { return strings.Compare(a.query, b.query) })
}

func orError(text string, err error) string {
	if err != nil {
		return describeError(err)
	}
	return text
}

func parse(t *testing.T, k types.Kind, s string) types.Datum {
	t.Helper()
	d, err := types.ParseText(types.Of(k), s, nil)
	require.NoError(t, err)
	return d
}

var numericOperands = []string{
	"0", "0.00", "1", "-1", "1.0", "2", "3", "7.5", "-0.333", "10", "99", "100", "9999", "10000", "12345678901234567890",
	"0.0001", "0.00000000000000000001", "-123.456", "1e30", "123456789.123456789", "NaN", "Infinity", "-Infinity", "1000000000000000000",
}

func TestDecimalArithmeticHasPostgreSQLsResultsAndScales(t *testing.T) {
	ops := []struct {
		sign string
		f    func(z, x, y *types.Decimal) error
	}{
		{"+", (*types.Decimal).Add},
		{"-", (*types.Decimal).Sub},
		{"*", (*types.Decimal).Mul},
		{"/", (*types.Decimal).Div},
		{"%", (*types.Decimal).Mod},
	}
	var cases []opCase
	for _, x := range numericOperands {
		for _, y := range numericOperands {
			for _, op := range ops {
				cases = append(cases, opCase{
					fmt.Sprintf("%s::numeric %s %s::numeric", quote(x), op.sign, quote(y)),
					func() string {
						a := types.DecimalOf(parse(t, types.Numeric, x).S)
						err := op.f(a, a, types.DecimalOf(parse(t, types.Numeric, y).S)) // the result may be an operand
						return orError(a.String(), err)
					},
				})
			}
		}
	}
	cases = append(cases, roundingCases(t)...)
	checkGolden(t, "testdata/numeric.golden", cases)
}

func roundingCases(t *testing.T) []opCase {
	var cases []opCase
	unary := func(name string, x string, f func(z, x *types.Decimal)) {
		cases = append(cases, opCase{name + "(" + quote(x) + "::numeric)", func() string {
			var z types.Decimal
			f(&z, types.DecimalOf(parse(t, types.Numeric, x).S))
			return z.String()
		}})
	}
	for _, x := range append(numericOperands, "0.5", "-0.5", "1.5", "2.5", "-2.5", "149.95", "-0.05") {
		unary("floor", x, (*types.Decimal).Floor)
		unary("ceil", x, (*types.Decimal).Ceil)
		unary("abs", x, (*types.Decimal).Abs)
		unary("-", x, (*types.Decimal).Neg)
		for _, scale := range []int{-3, -2, -1, 0, 1, 2, 5} {
			for name, f := range map[string]func(z, x *types.Decimal, n int){"round": (*types.Decimal).Round, "trunc": (*types.Decimal).Trunc} {
				cases = append(cases, opCase{fmt.Sprintf("%s(%s::numeric, %d)", name, quote(x), scale), func() string {
					var z types.Decimal
					f(&z, types.DecimalOf(parse(t, types.Numeric, x).S), scale)
					return z.String()
				}})
			}
		}
		for _, k := range []types.Kind{types.Int2, types.Int4, types.Int8} {
			cases = append(cases, opCase{fmt.Sprintf("%s::numeric::%s", quote(x), types.Of(k).Name()), func() string {
				i, err := types.DecimalOf(parse(t, types.Numeric, x).S).Int(k)
				return orError(fmt.Sprint(i), err)
			}})
		}
	}
	for _, f := range []string{"0.1", "1e20", "1.23456789012345678", "123456.789", "-1e-10", "NaN", "Infinity", "100000", "0.30000000000000004"} {
		for _, k := range []types.Kind{types.Float4, types.Float8} {
			cases = append(cases, opCase{fmt.Sprintf("%s::%s::numeric", quote(f), types.Of(k).Name()), func() string {
				var z types.Decimal
				err := z.SetFloat(parse(t, k, f).F, k)
				return orError(z.String(), err)
			}})
		}
	}
	sortCases(cases)
	return cases
}

var (
	timestampOperands = []string{
		"2026-11-21 20:39:34.967", "2024-02-29 23:59:59.999999", "1969-12-31 23:59:59", "2000-01-01", "2001-01-01", "1999-12-31 12:00",
		"0001-01-01", "0044-03-15 12:00 BC", "2026-03-31 00:00", "2026-03-08 06:59:59", "2026-11-01 05:30", "infinity", "-infinity", "290000-06-07",
	}
	intervalOperands = []string{
		"0", "1 mon", "-1 mon", "1 day", "-25:00:00", "1 year 2 mons 3 days 04:05:06.789", "13 mons", "-1 year -1 day", "100000 years", "0.000001 sec",
		"1 mon -1 day", "45 days 30:00", "-3 days +02:00",
	}
	fields = []string{
		"microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium",
		"dow", "isodow", "doy", "isoyear", "epoch", "julian", "fortnight",
	}
)

func timestampText(us int64, err error) string {
	return orError(types.FormatText(types.Of(types.Timestamp), types.IntDatum(us), nil), err)
}

func intervalText(iv types.IntervalValue, err error) string {
	return orError(types.FormatText(types.Of(types.Interval), iv.Datum(), nil), err)
}

func TestDateTimeArithmeticHasPostgreSQLsResults(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	var cases []opCase
	add := func(query string, ours func() string) { cases = append(cases, opCase{query, ours}) }
	for _, a := range timestampOperands {
		x := parse(t, types.Timestamp, a).I
		lit := quote(a) + "::timestamp"
		for _, b := range intervalOperands {
			iv := types.IntervalOf(parse(t, types.Interval, b))
			add(lit+" + "+quote(b)+"::interval", func() string { return timestampText(types.AddInterval(x, iv)) })
			if !strings.HasPrefix(a, "0") && !strings.HasPrefix(b, "100000 ") { // local mean time is told elsewhere
				add("(("+lit+" at time zone 'UTC') + "+quote(b)+"::interval) at time zone 'UTC', set_config('timezone', 'America/New_York', false) <> ''",
					func() string { return timestampText(types.AddIntervalTZ(x, iv, newYork)) + "|t" })
			}
		}
		for _, f := range fields {
			add("date_trunc("+quote(f)+", "+lit+")", func() string { return timestampText(types.DateTrunc(f, x)) })
			add("extract("+f+" from "+lit+")", func() string {
				d, ok, err := types.Extract(f, x)
				if err != nil || !ok {
					return orError("", err)
				}
				return d.String()
			})
		}
		for _, b := range timestampOperands {
			y := parse(t, types.Timestamp, b).I
			add(lit+" - "+quote(b)+"::timestamp", func() string { return intervalText(types.SubTimestamps(x, y)) })
			if types.IsInfinite(x) || types.IsInfinite(y) {
				continue // PostgreSQL 15 takes the infinities as numbers here
			}
			add("age("+lit+", "+quote(b)+"::timestamp)", func() string { return intervalText(types.Age(x, y)) })
		}
		add("("+lit+" at time zone 'America/New_York') at time zone 'UTC'", func() string { return timestampText(types.LocalToUTC(x, newYork), nil) })
		add(lit+"::date", func() string {
			return types.FormatText(types.Of(types.Date), types.IntDatum(types.TimestampToDate(x)), nil)
		})
	}
	cases = append(cases, intervalCases(t)...)
	checkGolden(t, "testdata/datetime.golden", cases)
}

func intervalCases(t *testing.T) []opCase {
	var cases []opCase
	add := func(query string, ours func() string) { cases = append(cases, opCase{query, ours}) }
	for _, a := range intervalOperands {
		iv := types.IntervalOf(parse(t, types.Interval, a))
		lit := quote(a) + "::interval"
		for _, f := range []float64{2, 0.5, -1.5, 3, 0, 1e-6, 1e9} {
			add(fmt.Sprintf("%s * %g", lit, f), func() string { return intervalText(iv.Mul(f)) })
			add(fmt.Sprintf("%s / %g", lit, f), func() string { return intervalText(iv.Div(f)) })
		}
		for _, b := range intervalOperands {
			o := types.IntervalOf(parse(t, types.Interval, b))
			add(lit+" + "+quote(b)+"::interval", func() string { return intervalText(iv.Add(o)) })
			add(lit+" - "+quote(b)+"::interval", func() string { return intervalText(iv.Sub(o)) })
			add(lit+" < "+quote(b)+"::interval", func() string { return fmt.Sprintf("%.1s", fmt.Sprint(iv.Cmp(o) < 0)) })
		}
		add("justify_hours("+lit+")", func() string { return intervalText(iv.JustifyHours()) })
		add("justify_interval("+lit+")", func() string { return intervalText(iv.JustifyInterval()) })
		for _, ts := range []string{"2026-11-21 20:39:34.967", "1969-12-31 23:59:59", "infinity"} {
			us, origin := parse(t, types.Timestamp, ts).I, parse(t, types.Timestamp, "2001-01-01 00:07").I
			add("date_bin("+lit+", "+quote(ts)+"::timestamp, '2001-01-01 00:07')", func() string { return timestampText(types.DateBin(iv, us, origin)) })
		}
		add("justify_days("+lit+")", func() string { return intervalText(iv.JustifyDays()) })
		for _, f := range fields[:13] {
			if f == "week" {
				continue
			}
			add("extract("+f+" from "+lit+")", func() string {
				d, err := types.ExtractInterval(f, iv)
				return orError(fmt.Sprint(d), err)
			})
		}
		add("extract(epoch from "+lit+")", func() string {
			d, err := types.ExtractInterval("epoch", iv)
			return orError(fmt.Sprint(d), err)
		})
	}
	add("make_interval(1, 2, 3, 4, 5, 6, 7.5)", func() string { return intervalText(types.MakeInterval(1, 2, 3, 4, 5, 6, 7.5)) })
	return cases
}

func TestNumericFunctionsHavePostgreSQLsResults(t *testing.T) {
	var cases []opCase
	unary := func(name string, f func(z, x *types.Decimal) error) {
		for _, x := range append(numericOperands, "0.5", "1.05", "0.999", "-0.5", "1e-10", "2.718281828", "1e100", "5000", "-5000", "7000", "-7000") {
			cases = append(cases, opCase{name + "(" + quote(x) + "::numeric)", func() string {
				var z types.Decimal
				err := f(&z, types.DecimalOf(parse(t, types.Numeric, x).S))
				return orError(z.String(), err)
			}})
		}
	}
	unary("sqrt", (*types.Decimal).Sqrt)
	unary("exp", (*types.Decimal).Exp)
	unary("ln", (*types.Decimal).Ln)
	unary("log", func(z, x *types.Decimal) error { return z.Log(types.NewDecimal(10, 0), x) })
	unary("trim_scale", func(z, x *types.Decimal) error { z.TrimScale(x); return nil })
	operands := []string{"0", "1", "-1", "2", "-2", "0.5", "-0.5", "1.5", "10", "-3", "100.25", "0.001", "1000", "NaN", "Infinity", "-Infinity", "12345678.9"}
	for _, x := range operands {
		for _, y := range operands {
			for name, f := range map[string]func(z, x, y *types.Decimal) error{
				"power": (*types.Decimal).Pow, "log": (*types.Decimal).Log, "div": (*types.Decimal).Quo,
			} {
				cases = append(cases, opCase{fmt.Sprintf("%s(%s::numeric, %s::numeric)", name, quote(x), quote(y)), func() string {
					var z types.Decimal
					err := f(&z, types.DecimalOf(parse(t, types.Numeric, x).S), types.DecimalOf(parse(t, types.Numeric, y).S))
					return orError(z.String(), err)
				}})
			}
		}
	}
	sortCases(cases)
	checkGolden(t, "testdata/numericfuncs.golden", cases)
}

func TestPowersOfHugeExponentsAnswerAtOnce(t *testing.T) {
	for _, c := range [][2]string{{"1.0000001", "2147483647"}, {"0.9999999", "-2147483647"}, {"10", "2147483647"}, {"2", "-2147483648"}, {"99999999999999999999", "100000"}} {
		start := time.Now()
		var z types.Decimal
		err := z.Pow(types.DecimalOf(c[0]), types.DecimalOf(c[1]))
		require.True(t, err == nil || strings.Contains(err.Error(), "overflows"), "%v: %v", c, err)
		require.Less(t, time.Since(start), time.Minute, "%v", c) // else it takes hours
	}
}
