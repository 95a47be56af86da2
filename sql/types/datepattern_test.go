package types_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/sql/types"
)

func TestDatePatternsPrintAsToChar(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	patterns := []string{
		"YYYY-MM-DD HH24:MI:SS", "YYYY/MM/DD HH12:MI:SS.MS AM", "yyyy-mm-dd hh:mi:ss.us p.m.", "DD Mon YYYY", "Day, DD Month YYYY", "FMDay, FMDD FMMonth YYYY", "DDTH of MONTH",
		"IYYY-IW-ID", "IYY IY I", "YYY YY Y", "Y,YYY", "DDD WW W D Q CC J", "SSSS", "FF1 FF2 FF3 FF4 FF5 FF6", "RM rm FMRM", "BC ad b.c.", `"quoted YYYY" YYYY`,
		"HH24\"h\"MI\"m\"", "DY dy Dy MON mon", "FMHH:FMMI", "Week IW", "IDDD", "x YYYY-MM-DDTHH24:MI:SS", `\"YYYY\"`, "day month",
	}
	var cases []opCase
	for _, ts := range timestampOperands {
		us := parse(t, types.Timestamp, ts).I
		if types.IsInfinite(us) {
			continue
		}
		for _, p := range patterns {
			cases = append(cases, opCase{"'[' || to_char(" + quote(ts) + "::timestamp, " + quote(p) + ") || ']'", func() string {
				return string(types.ParseDatePattern(p).Append([]byte{'['}, us, nil)) + "]"
			}})
		}
		if ts[0] == '0' {
			continue // before zones had names
		}
		for _, p := range []string{"HH24:MI TZ tz TZH:TZM OF"} {
			cases = append(cases, opCase{"to_char(" + quote(ts) + "::timestamp at time zone 'UTC', " + quote(p) + "), set_config('timezone', 'America/New_York', false) <> ''", func() string {
				return string(types.ParseDatePattern(p).Append(nil, us, newYork)) + "|t"
			}})
		}
	}
	// The first answer must know the zone, too.
	cases = append([]opCase{{"set_config('timezone', 'America/New_York', false)", func() string { return "America/New_York" }}}, cases...)
	checkGolden(t, "testdata/tochar.golden", cases)
}

func TestDatePatternsReadAsToTimestamp(t *testing.T) {
	var cases []opCase
	for _, c := range [][2]string{
		{"2026-11-21 20:39:34", "YYYY-MM-DD HH24:MI:SS"},
		{"2026/11/21 20:39", "YYYY/MM/DD HH24:MI"},
		{"20261121", "YYYYMMDD"},
		{"20261121203934", "YYYYMMDDHH24MISS"},
		{"2026-11-21T20:39:34.967", `YYYY-MM-DD"T"HH24:MI:SS.MS`},
		{"2026-11-21 20:39:34.967123", "YYYY-MM-DD HH24:MI:SS.US"},
		{"21 Nov 2026", "DD Mon YYYY"},
		{"21 november 2026", "DD Month YYYY"},
		{"11/21/26", "MM/DD/YY"},
		{"11/21/99", "MM/DD/YY"},
		{"8:39 PM", "HH:MI PM"},
		{"12:05 am", "HH12:MI AM"},
		{"13:05 am", "HH12:MI AM"},
		{"2026 325", "YYYY DDD"},
		{"2026-47-6", "IYYY-IW-ID"},
		{"2461366", "J"},
		{"2026-13-01", "YYYY-MM-DD"},
		{"2026-02-30", "YYYY-MM-DD"},
		{"2026-11-21 25:00", "YYYY-MM-DD HH24:MI"},
		{"nonsense", "YYYY"},
		{"2026", "YYYY-MM"},
		{"2026 JUN", "YYYY///MON"},
		{"2000//JUN", "YYYY/MON"},
		{"2000JUN", "YYYY///MON"},
		{"  2026 11", "YYYY MM"},
		{"", "YYYY"},
		{"44-03-15 BC", "YYYY-MM-DD BC"},
		{"2026-11-21 20:39 +02", "YYYY-MM-DD HH24:MI TZH"},
		{"2026-11-21 20:39 -05:30", "YYYY-MM-DD HH24:MI TZH:TZM"},
		{"5", "MS"},
		{"50", "MS"},
		{"1,234", "Y,YYY"},
		{"21st", "DDth"},
		{"Sat 21 Nov 2026", "Dy DD Mon YYYY"},
		{"3600", "SSSS"},
		{"12.5", "SS.MS"},
		{"2026-1-2", "YYYY-MM-DD"},
		{"26", "YYYY"},
		{"12345-01-01", "YYYY-MM-DD"},
		{"XI 2026", "RM YYYY"},
		{"2026Foo", "YYYYMon"},
		{"202611", "YYYYMMDD"},
		{"99999999999", "YYYY"},
		{"2026-11-21 12:00:00 xx", "YYYY-MM-DD HH24:MI:SS"},
		{"20", "CC"},
	} {
		cases = append(cases, opCase{"to_timestamp(" + quote(c[0]) + ", " + quote(c[1]) + ") at time zone 'UTC'", func() string {
			return timestampText(types.ParseDatePattern(c[1]).Parse(c[0], time.UTC))
		}})
	}
	cases = append([]opCase{{"set_config('timezone', 'UTC', false)", func() string { return "UTC" }}}, cases...)
	checkGolden(t, "testdata/totimestamp.golden", cases)
}

func FuzzDatePatternNeverPanics(f *testing.F) {
	f.Add(`"`, "0", int64(0))
	f.Add("YYYY-MM-DD HH24:MI:SS.US TZH", "2026-11-21 20:39:34.967 +02", int64(0))
	f.Add(`FXY,YYY "q" FMDDth J IYYY-IW`, "1,234 q 21st", int64(-62135596800000000))
	f.Fuzz(func(t *testing.T, pattern, text string, us int64) {
		p := types.ParseDatePattern(pattern)
		_, _ = p.Parse(text, time.UTC)
		if us < -200_000_000_000_000_000 || us > 9_000_000_000_000_000_000 {
			return
		}
		p.Append(nil, us, time.UTC)
	})
}
