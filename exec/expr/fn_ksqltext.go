package expr

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// ksqlDB's functions of text and bytes (ksqlDB reference, "Scalar functions").

func init() {
	row("elt(int4,text...)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null || a[0].I < 1 || a[0].I >= int64(len(a)) {
			return types.NullDatum, nil
		}
		return a[a[0].I], nil
	})
	row("field(text,text...)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		for i := 1; i < len(a) && !a[0].Null; i++ {
			if !a[i].Null && a[i].S == a[0].S {
				return types.IntDatum(int64(i)), nil
			}
		}
		return types.IntDatum(0), nil
	})
	row("from_bytes(bytea,text)", textOrError(func(a []types.Datum) (string, error) { return bytesToText(a[0].S, a[1].S) }))
	row("to_bytes(text,text)", textOrError(func(a []types.Datum) (string, error) { return textToBytes(a[0].S, a[1].S) }))
	row("encode(text,text,text)", textOrError(func(a []types.Datum) (string, error) {
		raw, err := textToBytes(a[0].S, a[1].S)
		if err != nil {
			return "", err
		}
		return bytesToText(raw, a[2].S)
	}))
	row("instr(text,text,int4)", integer(instr))
	row("instr(text,text,int4,int4)", integer(instr))
	row("split(text,text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		return textArray(strings.Split(a[0].S, a[1].S)), nil
	})
	row("split_to_map(text,text,text)", splitToMap)
	row("regexp_extract_all(text,text)", regexpExtractAll)
	row("regexp_extract_all(text,text,int4)", regexpExtractAll)
	row("as_value(anyelement)", func(_ *Call, a []types.Datum) (types.Datum, error) { return a[0], nil })
	registerMasks()
	registerFromBytes()
}

// bytesToText spells bytes out in ksqlDB's encodings: hex, utf8, ascii and base64.
func bytesToText(s, encoding string) (string, error) {
	switch strings.ToLower(encoding) {
	case "hex":
		return hex.EncodeToString([]byte(s)), nil
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(s)), nil
	case "utf8":
		if !utf8.ValidString(s) {
			return "", sqlerr.New(sqlerr.CharacterNotInRepertoire, "the bytes are no UTF-8")
		}
		return s, nil
	case "ascii":
		return s, checkASCII(s)
	}
	return "", unknownKsqlEncoding(encoding)
}

// textToBytes reads what bytesToText writes.
func textToBytes(s, encoding string) (string, error) {
	var raw []byte
	var err error
	switch strings.ToLower(encoding) {
	case "hex":
		raw, err = hex.DecodeString(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "X'"), "x'"), "'"))
	case "base64":
		raw, err = base64.StdEncoding.DecodeString(s)
	case "utf8":
		return s, nil
	case "ascii":
		return s, checkASCII(s)
	default:
		return "", unknownKsqlEncoding(encoding)
	}
	if err != nil {
		return "", sqlerr.New(sqlerr.InvalidParameterValue, "the text is not encoded as %s: %w", encoding, err)
	}
	return string(raw), nil
}

func checkASCII(s string) error {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, "byte %d is not ASCII", i+1)
		}
	}
	return nil
}

func unknownKsqlEncoding(name string) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized encoding: %q", name).WithHint("Use hex, utf8, ascii or base64.")
}

// instr is the position of the n-th occurrence of a text, from a position on; from one before the end, backwards, if that is negative.
func instr(a []types.Datum) int64 {
	s, sub := []rune(a[0].S), []rune(a[1].S)
	from, n := a[2].I, int64(1)
	if len(a) > 3 {
		n = a[3].I
	}
	step, at := int64(1), from-1
	if from < 0 {
		step, at = -1, int64(len(s))+from
	}
	if from == 0 || n < 1 {
		return 0
	}
	for ; at >= 0 && at+int64(len(sub)) <= int64(len(s)) || step < 0 && at >= 0; at += step {
		if at+int64(len(sub)) > int64(len(s)) || string(s[at:at+int64(len(sub))]) != string(sub) {
			continue
		}
		if n--; n == 0 {
			return at + 1
		}
	}
	return 0
}

func splitToMap(_ *Call, a []types.Datum) (types.Datum, error) {
	if a[1].S == "" || a[2].S == "" {
		return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "split_to_map needs delimiters that are not empty")
	}
	var entries []types.MapEntry
	for _, part := range strings.Split(a[0].S, a[1].S) {
		if key, value, ok := strings.Cut(part, a[2].S); ok {
			entries = append(entries, types.MapEntry{Key: key, Value: types.BytesDatum(value)})
		}
	}
	return types.MapDatum(types.Of(types.Text), entries)
}

// regexpExtractAll is regexp_extract_all(pattern, text [, group]).
func regexpExtractAll(c *Call, a []types.Datum) (types.Datum, error) {
	re, err := remember(c, a[0].S, "", compileRegexp)
	if err != nil {
		return types.NullDatum, err
	}
	n := 0
	if len(a) > 2 {
		if n = int(a[2].I); n < 0 || n > re.NumSubexp() {
			return types.NullDatum, nil
		}
	}
	var list []types.Datum
	for _, m := range re.FindAllStringSubmatchIndex(a[1].S, -1) {
		list = append(list, group(a[1].S, m, n))
	}
	return c.array(list)
}

// A mask says what upper and lower case letters, digits and all else become; -1 leaves them.
type mask struct{ upper, lower, digit, other rune }

// maskOf reads the four mask arguments from position i; a NULL leaves its class as it is.
func maskOf(a []types.Datum, i int) (mask, error) {
	m := [4]rune{'X', 'x', 'n', '-'}
	for k := range m {
		if i+k >= len(a) {
			break
		}
		m[k] = -1
		if d := a[i+k]; !d.Null {
			r, size := utf8.DecodeRuneInString(d.S)
			if size == 0 || size != len(d.S) {
				return mask{}, sqlerr.New(sqlerr.InvalidParameterValue, "a mask is one character, not %q", d.S)
			}
			m[k] = r
		}
	}
	return mask{m[0], m[1], m[2], m[3]}, nil
}

func (m mask) apply(r rune) rune {
	to := m.other
	switch {
	case unicode.IsUpper(r):
		to = m.upper
	case unicode.IsLower(r):
		to = m.lower
	case unicode.IsDigit(r):
		to = m.digit
	}
	if to < 0 {
		return r
	}
	return to
}

func registerMasks() {
	// covers tells whether character i of n is masked, when k characters were asked for.
	masks := map[string]func(i, k, n int) bool{
		"mask_left":       func(i, k, _ int) bool { return i < k },
		"mask_right":      func(i, k, n int) bool { return i >= n-k },
		"mask_keep_left":  func(i, k, _ int) bool { return i >= k },
		"mask_keep_right": func(i, k, n int) bool { return i < n-k },
	}
	for name, covers := range masks {
		f := masked(name, 2, covers)
		row(name+"(text,int4)", f)
		row(name+"(text,int4,text,text,text,text)", f)
	}
	all := masked("mask", 1, func(int, int, int) bool { return true })
	row("mask(text)", all)
	row("mask(text,text,text,text,text)", all)
}

func masked(name string, maskArg int, covers func(i, k, n int) bool) rowFunc {
	return func(_ *Call, a []types.Datum) (types.Datum, error) {
		if a[0].Null || maskArg == 2 && a[1].Null {
			return types.NullDatum, nil
		}
		k := 0
		if maskArg == 2 {
			if a[1].I < 0 {
				return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "%s needs a number that is not negative", name)
			}
			k = int(a[1].I)
		}
		m, err := maskOf(a, maskArg)
		if err != nil {
			return types.NullDatum, err
		}
		s := []rune(a[0].S)
		for i, r := range s {
			if covers(i, k, len(s)) {
				s[i] = m.apply(r)
			}
		}
		return types.BytesDatum(string(s)), nil
	}
}

func registerFromBytes() {
	number := func(name string, size int, of func(order binary.ByteOrder, b []byte) types.Datum) {
		f := func(_ *Call, a []types.Datum) (types.Datum, error) {
			if len(a[0].S) != size {
				return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "%s needs %d bytes, not %d", name, size, len(a[0].S))
			}
			order := binary.ByteOrder(binary.BigEndian)
			if len(a) > 1 {
				switch strings.ToUpper(a[1].S) {
				case "BIG_ENDIAN":
				case "LITTLE_ENDIAN":
					order = binary.LittleEndian
				default:
					return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized byte order: %q", a[1].S).WithHint("Use BIG_ENDIAN or LITTLE_ENDIAN.")
				}
			}
			return of(order, []byte(a[0].S)), nil
		}
		row(name+"(bytea)", f)
		row(name+"(bytea,text)", f)
	}
	number("int_from_bytes", 4, func(o binary.ByteOrder, b []byte) types.Datum { return types.IntDatum(int64(int32(o.Uint32(b)))) })
	number("bigint_from_bytes", 8, func(o binary.ByteOrder, b []byte) types.Datum { return types.IntDatum(int64(o.Uint64(b))) })
	number("double_from_bytes", 8, func(o binary.ByteOrder, b []byte) types.Datum {
		return types.FloatDatum(math.Float64frombits(o.Uint64(b)))
	})
}
