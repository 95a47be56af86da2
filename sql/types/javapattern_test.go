package types_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

func TestJavaPatternsPrintAsDateTimeFormatter(t *testing.T) {
	paris, err := types.LookupZone("Europe/Paris")
	require.NoError(t, err)
	us := time.Date(2026, 7, 4, 15, 6, 7, 89_123_000, paris).UnixMicro()
	for pattern, want := range map[string]string{
		"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX": "2026-07-04T15:06:07.089123+02:00",
		"yy M d h:m:s a":                  "26 7 4 3:6:7 PM",
		"EEEE, d MMMM uuuu G":             "Saturday, 4 July 2026 AD",
		"EEEEE MMMMM QQQ QQQQ D":          "S J Q3 3rd quarter 185",
		"''yyyy'' 'at' ''''":              "'2026' at '",
		"X XX x Z ZZZZ ZZZZZ O OOOO":      "+02 +0200 +02 +0200 GMT+02:00 +02:00 GMT+2 GMT+02:00",
		"VV A n":                          "Europe/Paris 54367089 89123000",
		"[yyyy][-MM]":                     "2026-07",
	} {
		p, err := types.ParseJavaPattern(pattern)
		require.NoError(t, err, pattern)
		require.Equal(t, want, string(p.Append(nil, us, paris)), pattern)
	}
}

func TestJavaPatternsReadWhatTheyPrint(t *testing.T) {
	instants := []int64{0, 1, -1, 1_783_170_367_089_123, -62_135_596_800_000_000, 253_402_300_799_999_999}
	for _, pattern := range []string{
		"uuuu-MM-dd HH:mm:ss.SSSSSSX", "G y D HH:mm:ss.SSSSSS xxx", "MMM d uuuu, KK:mm:ss.SSSSSS a Z", "uuuuMMddHHmmssSSSSSS", "d.M.uuuu kk:mm:ss n",
	} {
		p, err := types.ParseJavaPattern(pattern)
		require.NoError(t, err, pattern)
		for _, us := range instants {
			text := string(p.Append(nil, us, time.UTC))
			back, err := p.Parse(text, time.UTC)
			require.NoError(t, err, "%s: %s", pattern, text)
			require.Equal(t, us, back, "%s: %s", pattern, text)
		}
	}
}

func FuzzJavaPatternNeverPanics(f *testing.F) {
	f.Add("yyyy-MM-dd'T'HH:mm:ss[.SSS]XXX", "2026-07-04T15:06:07+02:00", int64(1_783_170_367_089_123))
	f.Add("[[[", "", int64(0))
	f.Fuzz(func(t *testing.T, pattern, text string, us int64) {
		p, err := types.ParseJavaPattern(pattern)
		if err != nil {
			require.NotEqual(t, sqlerr.InternalError, sqlerr.CodeOf(err))
			return
		}
		p.Append(nil, us%(1<<58), time.UTC)
		if _, err := p.Parse(text, time.UTC); err != nil {
			require.NotEqual(t, sqlerr.InternalError, sqlerr.CodeOf(err))
		}
	})
}
