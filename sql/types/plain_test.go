package types

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPlainSpellingsAgreeWithParseText holds that what the fast functions take they read as the general one does.
func TestPlainSpellingsAgreeWithParseText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.Int64().Draw(t, "int")) }),
			rapid.StringMatching(`-?[0-9]{0,20}`), rapid.StringMatching(`[-+ ]{0,2}[0-9_x]{0,3}`),
		).Draw(t, "number")
		kind := rapid.SampledFrom([]Kind{Int2, Int4, Int8}).Draw(t, "kind")
		if x, ok := ParsePlainInt(kind, []byte(number)); ok {
			d, err := ParseText(Of(kind), number, nil)
			require.NoError(t, err)
			require.Equal(t, d.I, x)
		}
		at := rapid.OneOf(
			rapid.StringMatching(`[0-2][0-9]{3}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]`), rapid.StringMatching(`[0-9:. -]{19}`),
		).Draw(t, "timestamp")
		if us, ok := ParsePlainTimestamp([]byte(at)); ok {
			d, err := ParseText(Of(Timestamp), at, nil)
			require.NoError(t, err)
			require.Equal(t, d.I, us)
		}
		text := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "text")
		plain := true
		for _, c := range text {
			plain = plain && c != 0 && c < 0x80
		}
		require.Equal(t, plain, IsPlainText(text))
	})
}

func TestPlainSpellingsAreTaken(t *testing.T) {
	x, ok := ParsePlainInt(Int4, []byte("-2147483648"))
	require.True(t, ok)
	require.EqualValues(t, -2147483648, x)
	_, ok = ParsePlainInt(Int4, []byte("2147483648"))
	require.False(t, ok)
	us, ok := ParsePlainTimestamp([]byte("1970-01-02 00:00:01"))
	require.True(t, ok)
	require.EqualValues(t, MicrosPerDay+MicrosPerSecond, us)
	require.True(t, IsPlainText([]byte("filler of a length as rows have it")))
	require.False(t, IsPlainText([]byte("a filler with an ä")))
}
