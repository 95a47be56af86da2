package expr

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// Functions of text (PostgreSQL docs, 9.4). Positions and lengths count characters, which are Unicode code points.

func init() {
	vector("||(text,text)", concatBytes)
	vector("||(bytea,bytea)", concatBytes)
	row("||(text,any)", func(c *Call, a []types.Datum) (types.Datum, error) {
		s, err := castText(c, 1, a[1])
		return types.BytesDatum(a[0].S + s), err
	})
	row("||(any,text)", func(c *Call, a []types.Datum) (types.Datum, error) {
		s, err := castText(c, 0, a[0])
		return types.BytesDatum(s + a[1].S), err
	})
	for _, name := range []string{"lower", "lcase"} {
		vector(name+"(text)", mapBytes(appendLower))
	}
	for _, name := range []string{"upper", "ucase"} {
		vector(name+"(text)", mapBytes(appendUpper))
	}
	vector("initcap(text)", mapBytes(appendInitcap))
	for _, name := range []string{"length", "char_length", "character_length", "len"} {
		vector(name+"(text)", bytesToInt(func(s []byte) int64 { return int64(utf8.RuneCount(s)) }))
	}
	vector("length(bytea)", bytesToInt(func(s []byte) int64 { return int64(len(s)) }))
	for _, k := range []string{"text", "bytea"} {
		vector("octet_length("+k+")", bytesToInt(func(s []byte) int64 { return int64(len(s)) }))
		vector("bit_length("+k+")", bytesToInt(func(s []byte) int64 { return 8 * int64(len(s)) }))
	}
	row("^@(text,text)", startsWith)
	row("starts_with(text,text)", startsWith)
	registerSubstrings()
	registerTrims()
	registerTextParts()
}

func text(f func(a []types.Datum) string) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) { return types.BytesDatum(f(a)), nil }
}

func textOrError(f func(a []types.Datum) (string, error)) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) {
		s, err := f(a)
		return types.BytesDatum(s), err
	}
}

func integer(f func(a []types.Datum) int64) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) { return types.IntDatum(f(a)), nil }
}

// castText is argument i of the call cast to text, as || does.
func castText(c *Call, i int, d types.Datum) (string, error) {
	conv := castFor(c.Args[i], types.Of(types.Text))
	if conv == nil {
		return types.FormatText(c.Args[i], d, c.Env.Text), nil
	}
	d, err := conv(c.Env, c.Args[i], types.Of(types.Text), d)
	return d.S, err
}

func concatBytes(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
	for _, i := range sel {
		mark := len(out.Data)
		a, b := args[0].Bytes(int(i)), args[1].Bytes(int(i))
		if mark+len(a)+len(b) > maxColumnBytes {
			errs.Add(i, errTextTooLarge)
			continue
		}
		out.Data = append(append(out.Data, a...), b...)
		out.SetSince(int(i), mark)
	}
}

// mapBytes appends f of each value.
func mapBytes(f func(dst, src []byte) []byte) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		for _, i := range sel {
			mark := len(out.Data)
			if mark > maxColumnBytes {
				errs.Add(i, errTextTooLarge)
				continue
			}
			out.Data = f(out.Data, args[0].Bytes(int(i)))
			out.SetSince(int(i), mark)
		}
	}
}

func bytesToInt(f func([]byte) int64) vecFunc {
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
		for _, i := range sel {
			out.I64[i] = f(args[0].Bytes(int(i)))
		}
	}
}

func appendLower(dst, src []byte) []byte { return appendMapped(dst, src, 'A', 'Z', unicode.ToLower) }

func appendUpper(dst, src []byte) []byte { return appendMapped(dst, src, 'a', 'z', unicode.ToUpper) }

// appendMapped appends src with its ASCII letters between lo and hi in the other case, and what is not ASCII mapped by f.
func appendMapped(dst, src []byte, lo, hi byte, f func(rune) rune) []byte {
	for i := 0; i < len(src); {
		c := src[i]
		if c < utf8.RuneSelf {
			if c >= lo && c <= hi {
				c ^= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(src[i:])
		dst = utf8.AppendRune(dst, f(r))
		i += n
	}
	return dst
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func appendInitcap(dst, src []byte) []byte {
	inWord := false
	for len(src) > 0 {
		r, n := utf8.DecodeRune(src)
		src = src[n:]
		if inWord {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		} else {
			dst = utf8.AppendRune(dst, unicode.ToUpper(r))
		}
		inWord = isWordRune(r)
	}
	return dst
}

func startsWith(_ *Call, a []types.Datum) (types.Datum, error) {
	return types.BoolDatum(strings.HasPrefix(a[0].S, a[1].S)), nil
}

// cut returns the text from its character number from on, at most n characters, all if n < 0.
func cut(s string, from, n int64) string {
	i := 0
	for ; from > 0 && i < len(s); from-- {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	if s = s[i:]; n < 0 {
		return s
	}
	i = 0
	for ; n > 0 && i < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return s[:i]
}

var errNegativeSubstring = sqlerr.New("22011", "negative substring length not allowed")

// window turns SQL's 1-based start and length into a 0-based start and a length that lies within int64.
func window(start, n int64) (from, length int64, err error) {
	if n < 0 {
		return 0, 0, errNegativeSubstring
	}
	from = max(start-1, 0)
	return from, max(start-1+n-from, 0), nil
}

func substring(a []types.Datum) (string, error) {
	if len(a) == 2 {
		return cut(a[0].S, a[1].I-1, -1), nil
	}
	from, n, err := window(a[1].I, a[2].I)
	if err != nil {
		return "", err
	}
	return cut(a[0].S, from, n), nil
}

func substringBytes(a []types.Datum) (string, error) {
	s, n := a[0].S, int64(len(a[0].S))
	from := max(a[1].I-1, 0)
	if len(a) == 3 {
		var err error
		if from, n, err = window(a[1].I, a[2].I); err != nil {
			return "", err
		}
	}
	from = min(from, int64(len(s)))
	return s[from:min(from+n, int64(len(s)))], nil
}

func registerSubstrings() {
	for _, name := range []string{"substring", "substr"} {
		row(name+"(text,int4)", textOrError(substring))
		row(name+"(text,int4,int4)", textOrError(substring))
	}
	row("substring(bytea,int4)", textOrError(substringBytes))
	row("substring(bytea,int4,int4)", textOrError(substringBytes))
	row("left(text,int4)", text(func(a []types.Datum) string {
		n := a[1].I
		if n < 0 {
			n = max(int64(utf8.RuneCountInString(a[0].S))+n, 0)
		}
		return cut(a[0].S, 0, n)
	}))
	row("right(text,int4)", text(func(a []types.Datum) string {
		if n := a[1].I; n < 0 {
			return cut(a[0].S, -n, -1)
		}
		return cut(a[0].S, int64(utf8.RuneCountInString(a[0].S))-a[1].I, -1)
	}))
	for _, name := range []string{"position(text,text)", "strpos(text,text)", "instr(text,text)"} {
		row(name, integer(func(a []types.Datum) int64 { return strpos(a[0].S, a[1].S) }))
	}
	row("position(bytea,bytea)", integer(func(a []types.Datum) int64 { return int64(strings.Index(a[0].S, a[1].S)) + 1 }))
	row("overlay(text,text,int4)", textOrError(overlay))
	row("overlay(text,text,int4,int4)", textOrError(overlay))
}

// strpos returns the 1-based character position of sub in s, 0 if it is not there.
func strpos(s, sub string) int64 {
	at := strings.Index(s, sub)
	if at < 0 {
		return 0
	}
	return int64(utf8.RuneCountInString(s[:at])) + 1
}

func overlay(a []types.Datum) (string, error) {
	s, with, start := a[0].S, a[1].S, a[2].I
	n := int64(utf8.RuneCountInString(with))
	if len(a) == 4 {
		n = a[3].I
	}
	if start <= 0 {
		return "", errNegativeSubstring
	}
	return cut(s, 0, start-1) + with + cut(s, max(start-1+n, 0), -1), nil
}

func registerTrims() {
	blank := " "
	trim := func(left, right bool) rowFunc {
		return text(func(a []types.Datum) string {
			set, s := blank, a[0].S
			if len(a) > 1 {
				set = a[1].S
			}
			if left {
				s = strings.TrimLeft(s, set)
			}
			if right {
				s = strings.TrimRight(s, set)
			}
			return s
		})
	}
	for _, t := range []struct {
		name        string
		left, right bool
	}{{"btrim", true, true}, {"ltrim", true, false}, {"rtrim", false, true}} {
		row(t.name+"(text)", trim(t.left, t.right))
		row(t.name+"(text,text)", trim(t.left, t.right))
	}
	for _, left := range []bool{true, false} {
		name := "rpad"
		if left {
			name = "lpad"
		}
		row(name+"(text,int4)", textOrError(pad(left)))
		row(name+"(text,int4,text)", textOrError(pad(left)))
	}
}

// maxTextBytes bounds what a function may make: PostgreSQL's own limit is 1 GB a value, a batch here holds many.
const maxTextBytes = 64 << 20

// maxColumnBytes bounds the bytes of one function's results over a batch.
const maxColumnBytes = 1 << 30

var errTextTooLarge = sqlerr.New(sqlerr.ProgramLimitExceeded, "requested length too large")

func pad(left bool) func(a []types.Datum) (string, error) {
	return func(a []types.Datum) (string, error) {
		s, want, fill := a[0].S, max(a[1].I, 0), " "
		if len(a) == 3 {
			fill = a[2].S
		}
		have := int64(utf8.RuneCountInString(s))
		if have >= want || fill == "" {
			return cut(s, 0, want), nil
		}
		if want*utf8.UTFMax > maxTextBytes {
			return "", errTextTooLarge
		}
		missing, width := want-have, int64(utf8.RuneCountInString(fill))
		padding := strings.Repeat(fill, int(missing/width)) + cut(fill, 0, missing%width)
		if left {
			return padding + s, nil
		}
		return s + padding, nil
	}
}

func registerTextParts() {
	row("replace(text,text,text)", textOrError(func(a []types.Datum) (string, error) {
		if a[1].S == "" {
			return a[0].S, nil
		}
		if grows := len(a[2].S) - len(a[1].S); grows > 0 && strings.Count(a[0].S, a[1].S) > maxTextBytes/grows {
			return "", errTextTooLarge
		}
		return strings.ReplaceAll(a[0].S, a[1].S, a[2].S), nil
	}))
	row("translate(text,text,text)", text(translate))
	row("reverse(text)", text(func(a []types.Datum) string {
		r := []rune(a[0].S)
		for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
			r[i], r[j] = r[j], r[i]
		}
		return string(r)
	}))
	row("repeat(text,int4)", textOrError(func(a []types.Datum) (string, error) {
		n := max(a[1].I, 0)
		if n*int64(len(a[0].S)) > maxTextBytes {
			return "", errTextTooLarge
		}
		return strings.Repeat(a[0].S, int(n)), nil
	}))
	row("split_part(text,text,int4)", textOrError(splitPart))
	row("ascii(text)", integer(func(a []types.Datum) int64 {
		if a[0].S == "" {
			return 0
		}
		r, _ := utf8.DecodeRuneInString(a[0].S)
		return int64(r)
	}))
	row("chr(int4)", textOrError(chr))
	row("to_hex(int4)", text(func(a []types.Datum) string { return strconv.FormatUint(uint64(uint32(a[0].I)), 16) }))
	row("to_hex(int8)", text(func(a []types.Datum) string { return strconv.FormatUint(uint64(a[0].I), 16) }))
	row("quote_ident(text)", text(func(a []types.Datum) string { return sql.QuoteIdent(a[0].S) }))
	row("quote_literal(text)", text(func(a []types.Datum) string { return quoteLiteral(a[0].S) }))
	row("quote_literal(any)", func(c *Call, a []types.Datum) (types.Datum, error) {
		return types.BytesDatum(quoteLiteral(concatWS(c, "", a, 0))), nil
	})
	row("quote_nullable(any)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.BytesDatum("NULL"), nil
		}
		return types.BytesDatum(quoteLiteral(concatWS(c, "", a, 0))), nil
	})
	row("quote_nullable(text)", text(func(a []types.Datum) string {
		if a[0].Null {
			return "NULL"
		}
		return quoteLiteral(a[0].S)
	}))
	row("concat(any...)", func(c *Call, a []types.Datum) (types.Datum, error) {
		return types.BytesDatum(concatWS(c, "", a, 0)), nil
	})
	row("concat_ws(text,any...)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.NullDatum, nil
		}
		return types.BytesDatum(concatWS(c, a[0].S, a, 1)), nil
	})
}

// concatWS joins the arguments from number first on that are not NULL.
func concatWS(c *Call, sep string, a []types.Datum, first int) string {
	var out []byte
	some := false
	for i := first; i < len(a); i++ {
		if a[i].Null {
			continue
		}
		if some {
			out = append(out, sep...)
		}
		out = types.AppendText(out, c.Args[i], a[i], c.Env.Text)
		some = true
	}
	return string(out)
}

func translate(a []types.Datum) string {
	from, to := []rune(a[1].S), []rune(a[2].S)
	return strings.Map(func(r rune) rune {
		for i, f := range from {
			if f != r {
				continue
			}
			if i < len(to) {
				return to[i]
			}
			return -1
		}
		return r
	}, a[0].S)
}

func splitPart(a []types.Datum) (string, error) {
	s, sep, n := a[0].S, a[1].S, a[2].I
	if n == 0 {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "field position must not be zero")
	}
	if s == "" {
		return "", nil
	}
	if sep == "" {
		if n == 1 || n == -1 {
			return s, nil
		}
		return "", nil
	}
	if n < 0 {
		if n += int64(strings.Count(s, sep)) + 2; n <= 0 {
			return "", nil
		}
	}
	for ; n > 1; n-- {
		at := strings.Index(s, sep)
		if at < 0 {
			return "", nil
		}
		s = s[at+len(sep):]
	}
	s, _, _ = strings.Cut(s, sep)
	return s, nil
}

func chr(a []types.Datum) (string, error) {
	n := a[0].I
	switch {
	case n == 0:
		return "", sqlerr.New(sqlerr.ProgramLimitExceeded, "null character not permitted")
	case n < 0:
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "character number must be positive")
	case n > unicode.MaxRune || !utf8.ValidRune(rune(n)):
		return "", sqlerr.New(sqlerr.ProgramLimitExceeded, "requested character too large for encoding: %d", n)
	}
	return string(rune(n)), nil
}

func quoteLiteral(s string) string {
	prefix := ""
	if strings.Contains(s, `\`) {
		prefix = "E"
		s = strings.ReplaceAll(s, `\`, `\\`)
	}
	return prefix + "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
