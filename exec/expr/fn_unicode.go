package expr

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Unicode escapes and normal forms (PostgreSQL docs, 9.4).

func init() {
	row("unistr(text)", textOrError(func(a []types.Datum) (string, error) { return unistr(a[0].S) }))
	row("normalize(text)", text(func(a []types.Datum) string { return norm.NFC.String(a[0].S) }))
	row("normalize(text,text)", textOrError(func(a []types.Datum) (string, error) {
		form, ok := map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}[strings.ToUpper(a[1].S)]
		if !ok {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid normalization form: %s", a[1].S).WithHint("Forms are NFC, NFD, NFKC and NFKD.")
		}
		return form.String(a[0].S), nil
	}))
}

// unistr resolves the escapes \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX; a doubled backslash is one.
func unistr(s string) (string, error) {
	var out strings.Builder
	var high rune // the first half of a surrogate pair, which must be followed by the second
	for {
		plain, rest, more := strings.Cut(s, `\`)
		if high != 0 && (plain != "" || !more) {
			return "", errSurrogate
		}
		out.WriteString(plain)
		if !more {
			return out.String(), nil
		}
		if strings.HasPrefix(rest, `\`) {
			if high != 0 {
				return "", errSurrogate
			}
			out.WriteByte('\\')
			s = rest[1:]
			continue
		}
		r, length, err := escapedRune(rest)
		if err != nil {
			return "", err
		}
		s = rest[length:]
		switch {
		case high != 0:
			if r = utf16.DecodeRune(high, r); r == utf8.RuneError {
				return "", errSurrogate
			}
			high = 0
		case r >= 0xD800 && r < 0xDC00:
			high = r
			continue
		case r >= 0xDC00 && r < 0xE000:
			return "", errSurrogate
		case r == 0 || r > utf8.MaxRune:
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid Unicode code point: %04X", r)
		}
		out.WriteRune(r)
	}
}

var errSurrogate = sqlerr.New(sqlerr.SyntaxError, "invalid Unicode surrogate pair")

// escapedRune reads an escape behind its backslash.
func escapedRune(s string) (r rune, length int, err error) {
	skip, digits := 0, 4
	switch {
	case strings.HasPrefix(s, "+"):
		skip, digits = 1, 6
	case strings.HasPrefix(s, "u"):
		skip = 1
	case strings.HasPrefix(s, "U"):
		skip, digits = 1, 8
	}
	length = skip + digits
	bad := len(s) < length
	var code int64
	for i := skip; i < length && !bad; i++ {
		v := strings.IndexByte("0123456789abcdef", s[i]|0x20)
		bad = v < 0
		code = code<<4 | int64(v)
	}
	if bad {
		return 0, 0, sqlerr.New(sqlerr.SyntaxError, "invalid Unicode escape").
			WithHint(`Unicode escapes must be \XXXX, \+XXXXXX, \uXXXX, or \UXXXXXXXX.`)
	}
	return rune(min(code, utf8.MaxRune+1)), length, nil
}
