package types

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzJSONPathPrintsWhatItReads(f *testing.F) {
	for _, s := range []string{
		`$`, `strict $.a[*] ? (@.b > 1 && @.c == "x").d`, `$.**{1 to last}`, `-($.a + 1) * 2 % 3`, `$[0, last - 1 to last]`, `exists(@)`,
		`$ ? (!(@ like_regex "b" flag "i") || @ starts with $x)`, `$ ? ((@ == null) is unknown)`, `$.size() > 1.5e3`, `$."a\"b".keyvalue()`, `(($`, "$.\x00", `$."`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseJSONPath(s)
		if err != nil {
			return
		}
		printed := x.String()
		again, err := ParseJSONPath(printed)
		require.NoError(t, err, printed)
		require.Equal(t, printed, again.String())
	})
}

func TestDeepJSONPathsAreRefused(t *testing.T) {
	for _, deep := range []string{strings.Repeat("(", 1<<20), strings.Repeat("-", 1<<20), strings.Repeat("!", 1<<20), "$" + strings.Repeat("[$", 1<<18)} {
		_, err := ParseJSONPath(deep)
		require.Error(t, err)
	}
	x, err := ParseJSONPath("$" + strings.Repeat(".a", 100_000))
	require.NoError(t, err, "a long path is not a deep one")
	require.Len(t, x.String(), 1+4*100_000)
}
