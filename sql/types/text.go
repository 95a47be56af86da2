package types

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// ParseText reads a value of t from text as PostgreSQL's input function of the type does, modifier included. The errors
// have PostgreSQL's SQLSTATEs and wording: 22P02 or 22007 for bad syntax, 22003 or 22008 out of range.
func ParseText(t Type, s string, set *Settings) (Datum, error) {
	d, err := parseText(t, s, set.orDefault())
	if err != nil || t.Mod < 0 {
		return d, err
	}
	return ApplyMod(t, d, false)
}

func parseText(t Type, s string, set *Settings) (Datum, error) {
	switch t.Kind {
	case Bool:
		return parseBool(s)
	case Int2, Int4, Int8:
		i, err := parseInt(t.Kind, s)
		return IntDatum(i), err
	case Float4, Float8:
		f, err := parseFloat(t.Kind, s)
		return FloatDatum(f), err
	case Numeric:
		text, err := ParseNumeric(s)
		return BytesDatum(text), err
	case Text, Varchar, Unknown:
		return BytesDatum(s), checkText(s)
	case Name:
		return BytesDatum(clipName(s)), checkText(s)
	case Char:
		return parseChar(s)
	case Bytea:
		b, err := parseBytea(s)
		return BytesDatum(b), err
	case Date, Time, Timestamp, TimestampTZ:
		return parseDateTimeKind(t.Kind, s, set)
	case Interval:
		iv, err := parseStyledInterval(s, set.IntervalStyle)
		return iv.Datum(), err
	case UUID:
		return parseUUID(s)
	case JSONPath:
		x, err := ParseJSONPath(s)
		if err != nil {
			return NullDatum, err
		}
		return BytesDatum(x.String()), nil
	case EnumKind:
		return parseEnum(t, s)
	case JSON:
		return BytesDatum(s), ValidateJSON(s)
	case JSONB:
		text, err := CanonicalJSON(s)
		return BytesDatum(text), err
	case Map, Struct:
		return DatumFromJSON(t, []byte(s))
	case Array, Int2Vector, OIDVector:
		return parseArray(t, s, set)
	case OID:
		return parseOID("oid", s)
	case Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator:
		return parseReg(t.Kind, s, set)
	default:
		return NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "cannot accept a value of type %s", t)
	}
}

// AppendText appends a value of t that is not NULL as PostgreSQL's output function of the type prints it.
func AppendText(dst []byte, t Type, d Datum, set *Settings) []byte {
	set = set.orDefault()
	switch t.Kind {
	case Bool:
		if d.I != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case Int2, Int4, Int8, OID:
		return strconv.AppendInt(dst, d.I, 10)
	case Float4:
		return appendFloat(dst, d.F, 32)
	case Float8:
		return appendFloat(dst, d.F, 64)
	case Bytea:
		return appendBytea(dst, d.S, set.ByteaEscape)
	case Date:
		return appendDate(dst, d.I)
	case Time:
		return appendTime(dst, d.I)
	case Timestamp:
		return appendTimestamp(dst, d.I)
	case TimestampTZ:
		return appendTimestampTZ(dst, d.I, set.zone())
	case Interval:
		return IntervalOf(d).appendStyle(dst, set.IntervalStyle)
	case UUID:
		return appendUUID(dst, d.S)
	case Array:
		return appendArray(dst, *t.Elem, d.S, set)
	case Int2Vector, OIDVector:
		return appendVectorType(dst, d.S)
	case Struct:
		return AppendJSON(dst, t, d)
	case Record:
		return appendRecord(dst, t, d.S, set)
	case EnumKind:
		return append(dst, EnumLabelOf(t, d)...)
	case Char:
		return appendChar(dst, d.S)
	case Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator:
		return appendReg(dst, t.Kind, d.I, set)
	default: // numeric, text, JSON, jsonb, maps: the representation is the text
		return append(dst, d.S...)
	}
}

// FormatText returns what AppendText appends; "" for NULL.
func FormatText(t Type, d Datum, set *Settings) string {
	if d.Null {
		return ""
	}
	return string(AppendText(nil, t, d, set))
}

func badSyntax(k Kind, s string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type %s: \"%s\"", k, clip(s))
}

// maxQuoted bounds how much of a bad value an error message repeats.
const maxQuoted = 1024

func clip(s string) string {
	if len(s) <= maxQuoted {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:maxQuoted], "?") + "..."
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func trimSpace(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func parseBool(s string) (Datum, error) {
	word := strings.ToLower(trimSpace(s))
	if word != "" {
		switch {
		case strings.HasPrefix("true", word), strings.HasPrefix("yes", word), word == "on", word == "1":
			return BoolDatum(true), nil
		case strings.HasPrefix("false", word), strings.HasPrefix("no", word), word == "off", word == "of", word == "0":
			return BoolDatum(false), nil
		}
	}
	return NullDatum, badSyntax(Bool, s)
}

func intRange(k Kind) (lo, hi int64) {
	switch k {
	case Int2:
		return math.MinInt16, math.MaxInt16
	case Int4:
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

func parseInt(k Kind, s string) (int64, error) {
	digits := trimSpace(s)
	if digits == "" || strings.IndexByte(digits, '_') >= 0 {
		return 0, badSyntax(k, s)
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	lo, hi := intRange(k)
	switch {
	case err == nil && i >= lo && i <= hi:
		return i, nil
	case errors.Is(err, strconv.ErrSyntax):
		return 0, badSyntax(k, s)
	default:
		return 0, sqlerr.New(sqlerr.NumericValueOutOfRange, "value \"%s\" is out of range for type %s", clip(s), k)
	}
}

func parseFloat(k Kind, s string) (float64, error) {
	word := trimSpace(s)
	if word == "" || strings.ContainsAny(word, "_xX") {
		return 0, badSyntax(k, s)
	}
	bits := 64
	if k == Float4 {
		bits = 32
	}
	f, err := strconv.ParseFloat(word, bits)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, badSyntax(k, s)
	}
	if err != nil || f == 0 && hasNonZeroMantissa(word) {
		return 0, sqlerr.New(sqlerr.NumericValueOutOfRange, "\"%s\" is out of range for type %s", clip(word), k)
	}
	return f, nil
}

// hasNonZeroMantissa tells a number that underflowed to zero from a zero.
func hasNonZeroMantissa(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c == 'e' || c == 'E':
			return false
		case c >= '1' && c <= '9':
			return true
		}
	}
	return false
}

// appendFloat prints the shortest text that reads back to the same value, in the form that PostgreSQL 12 and later
// choose: plain digits while the exponent is at least -4 and below 15 (6 for float4).
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0:
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return append(dst, '0')
	}
	least, limit, abs := 1e-4, 1e15, math.Abs(f)
	if bits == 32 {
		least, limit = float64(float32(1e-4)), 1e6
	}
	if abs >= least && abs < limit {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, bits)
}

// checkText refuses what a text value cannot hold: a zero byte, or bytes that are not UTF-8.
func checkText(s string) error {
	for i := range len(s) {
		if s[i] == 0 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x00")
		}
		if s[i] >= utf8.RuneSelf {
			return checkUTF8(s[i:])
		}
	}
	return nil
}

func checkUTF8(s string) error {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || s[i] == 0 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": 0x%02x", s[i])
		}
		i += size
	}
	return nil
}

// maxNameBytes is NAMEDATALEN - 1.
const maxNameBytes = 63

func clipName(s string) string {
	if len(s) <= maxNameBytes {
		return s
	}
	n := maxNameBytes
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// parseChar reads "char": one byte; the empty text is the zero byte, and \ooo an octal code.
func parseChar(s string) (Datum, error) {
	if len(s) == 4 && s[0] == '\\' {
		if v, err := strconv.ParseUint(s[1:], 8, 8); err == nil {
			return BytesDatum(string([]byte{byte(v)})), nil
		}
	}
	if s == "" {
		return BytesDatum("\x00"), nil
	}
	return BytesDatum(s[:1]), nil
}

func appendChar(dst []byte, s string) []byte {
	switch {
	case s == "\x00":
		return dst
	case len(s) == 1 && s[0] >= utf8.RuneSelf: // not text by itself
		return append(dst, '\\', '0'+s[0]>>6, '0'+s[0]>>3&7, '0'+s[0]&7)
	}
	return append(dst, s...)
}

func parseOID(typeName, s string) (Datum, error) {
	digits := trimSpace(s)
	i, err := strconv.ParseInt(digits, 10, 64)
	if err != nil && (digits == "" || errors.Is(err, strconv.ErrSyntax)) {
		return NullDatum, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type %s: \"%s\"", typeName, clip(s))
	}
	if err != nil || i < math.MinInt32 || i > math.MaxUint32 {
		return NullDatum, sqlerr.New(sqlerr.NumericValueOutOfRange, "value \"%s\" is out of range for type %s", clip(s), typeName)
	}
	return IntDatum(int64(uint32(i))), nil
}

func parseReg(k Kind, s string, set *Settings) (Datum, error) {
	if s == "-" {
		return IntDatum(0), nil
	}
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		return parseOID("oid", s)
	}
	if set.RegOID == nil {
		return NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "names of type %s cannot be resolved here", k)
	}
	oid, err := set.RegOID(k, s)
	return IntDatum(int64(oid)), err
}

func appendReg(dst []byte, k Kind, oid int64, set *Settings) []byte {
	if oid == 0 {
		return append(dst, '-')
	}
	if set.RegName != nil {
		if name, ok := set.RegName(k, uint32(oid)); ok {
			return append(dst, name...)
		}
	}
	return strconv.AppendInt(dst, oid, 10)
}
