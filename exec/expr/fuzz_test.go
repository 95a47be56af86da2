package expr

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// FuzzCompileRegexp: every pattern compiles or is refused with a documented code, and matching ends.
func FuzzCompileRegexp(f *testing.F) {
	for _, s := range []string{`^(a|b)*$`, `a{2,3}?`, `[[:alpha:]_-]+\d\s`, `\mx\M`, `***=a+b`, `(?i)x`, `[^]a]`, `\x41\u0041`, `(?:a(b)c)`, `a**`, `[a`, `(`, `\`} {
		f.Add(s, "text aab", "gi")
	}
	f.Fuzz(func(t *testing.T, pattern, text, flags string) {
		if len(pattern) > 200 || !utf8.ValidString(pattern) || !utf8.ValidString(text) {
			return
		}
		re, err := compileRegexp(pattern, flags)
		if err != nil {
			code := sqlerr.CodeOf(err)
			require.Contains(t, []sqlerr.Code{sqlerr.InvalidRegularExpression, sqlerr.FeatureNotSupported, sqlerr.InvalidParameterValue}, code)
			return
		}
		for _, m := range allMatches(re, text) {
			require.LessOrEqual(t, m[0], m[1])
		}
		length := 0
		for _, part := range splits(re, text) {
			length += len(part)
		}
		require.LessOrEqual(t, length, len(text))
	})
}

func mustRegexp(t *testing.T, pattern string) *pgRegexp {
	re, err := compileRegexp(pattern, "")
	require.NoError(t, err)
	return re
}

// FuzzNumberPattern: every template prints every number and reads every text without failing in another way than by an error.
func FuzzNumberPattern(f *testing.F) {
	for _, s := range []string{"9,999.99", "FM0.00", "S999", "999PR", "RN", "9.9EEEE", "99V9", "L9G999D99", `"x"9`, "MI9", "9TH", "SG9"} {
		f.Add(s, "-1234.5")
	}
	f.Fuzz(func(t *testing.T, pattern, number string) {
		if len(pattern) > 64 || len(number) > 40 {
			return
		}
		p, err := compileNumberPattern(pattern, "")
		if err != nil {
			require.Equal(t, sqlerr.SyntaxError, sqlerr.CodeOf(err))
			return
		}
		_, _ = p.parse(number)
		n, err := types.ParseNumeric(number)
		if err != nil || len(n) > 200 {
			return
		}
		_, err = formatNumber(p, types.DecimalOf(n), types.BytesDatum(n), types.Of(types.Numeric))
		require.NoError(t, err)
	})
}

// FuzzLike: a pattern matches what it is made of, and agrees with the regular expression that says the same.
func FuzzLike(f *testing.F) {
	f.Add("a%b_c", "axxbyc")
	f.Add(`10\%`, "10%")
	f.Add("%", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 50 || len(text) > 200 || !utf8.ValidString(pattern) || !utf8.ValidString(text) || strings.Contains(pattern, `\`) {
			return
		}
		var re strings.Builder
		for _, r := range pattern {
			switch r {
			case '%':
				re.WriteString(".*")
			case '_':
				re.WriteString(".")
			default:
				re.WriteString(`[\x` + hexOf(r) + `]`)
			}
		}
		want := mustRegexp(t, "^"+re.String()+"$").MatchString(text)
		require.Equal(t, want, compileLike([]byte(pattern), true).match([]byte(text)))
	})
}

func hexOf(r rune) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 8)
	for i := range out {
		out[7-i] = digits[r>>(4*i)&15]
	}
	return string(out)
}

// FuzzJSONEdits: what the editing functions write is jsonb again.
func FuzzJSONEdits(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}]}`, "a")
	f.Add(`[1,"x",null]`, "1")
	f.Fuzz(func(t *testing.T, text, key string) {
		s, err := types.CanonicalJSON(text)
		if err != nil || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
			return
		}
		path := types.ArrayDatum(types.Of(types.Text), []types.Datum{types.BytesDatum(key)})
		args := []types.Datum{types.BytesDatum(s), path, types.BytesDatum(`{"new": [true]}`)}
		for _, id := range []string{"jsonb_set(jsonb,text[],jsonb)", "jsonb_insert(jsonb,text[],jsonb)", "#-(jsonb,text[])", "-(jsonb,text[])", "jsonb_strip_nulls(jsonb)", "jsonb_pretty(jsonb)"} {
			d, err := registry[id].row(&Call{Env: &Env{}, memo: &memo{}}, args)
			if err != nil {
				require.NotEqual(t, sqlerr.InternalError, sqlerr.CodeOf(err))
				continue
			}
			require.NoError(t, types.ValidateJSON(d.S), id)
		}
	})
}
