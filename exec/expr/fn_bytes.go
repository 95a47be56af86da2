package expr

import (
	"crypto/md5" //nolint:gosec // SQL's md5() is what it is
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Functions of byte strings, digests and encodings (PostgreSQL docs, 9.5).

func init() {
	for _, k := range []string{"text", "bytea"} {
		row("md5("+k+")", text(func(a []types.Datum) string {
			sum := md5.Sum([]byte(a[0].S)) //nolint:gosec // as above
			return hex.EncodeToString(sum[:])
		}))
	}
	row("sha224(bytea)", text(func(a []types.Datum) string { s := sha256.Sum224([]byte(a[0].S)); return string(s[:]) }))
	row("sha256(bytea)", text(func(a []types.Datum) string { s := sha256.Sum256([]byte(a[0].S)); return string(s[:]) }))
	row("sha384(bytea)", text(func(a []types.Datum) string { s := sha512.Sum384([]byte(a[0].S)); return string(s[:]) }))
	row("sha512(bytea)", text(func(a []types.Datum) string { s := sha512.Sum512([]byte(a[0].S)); return string(s[:]) }))
	row("encode(bytea,text)", textOrError(encode))
	row("decode(text,text)", textOrError(decode))
	row("convert_from(bytea,text)", textOrError(convertFrom))
	row("convert_to(text,text)", textOrError(func(a []types.Datum) (string, error) {
		if !isUTF8Name(a[1].S) {
			return "", unknownEncoding(a[1].S)
		}
		return a[0].S, nil
	}))
	row("get_byte(bytea,int4)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if err := checkIndex(a); err != nil {
			return types.NullDatum, err
		}
		return types.IntDatum(int64(a[0].S[a[1].I])), nil
	})
	row("set_byte(bytea,int4,int4)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		if err := checkIndex(a); err != nil {
			return types.NullDatum, err
		}
		out := []byte(a[0].S)
		out[a[1].I] = byte(a[2].I)
		return types.BytesDatum(string(out)), nil
	})
}

func checkIndex(a []types.Datum) error {
	if n := len(a[0].S); a[1].I < 0 || a[1].I >= int64(n) {
		return sqlerr.New(sqlerr.ArraySubscriptError, "index %d out of valid range, 0..%d", a[1].I, n-1)
	}
	return nil
}

// base64Line is the length of the lines that encode() makes (RFC 2045).
const base64Line = 76

func encode(a []types.Datum) (string, error) {
	switch strings.ToLower(a[1].S) {
	case "hex":
		return hex.EncodeToString([]byte(a[0].S)), nil
	case "base64":
		s := base64.StdEncoding.EncodeToString([]byte(a[0].S))
		var b strings.Builder
		for len(s) > base64Line {
			b.WriteString(s[:base64Line] + "\n")
			s = s[base64Line:]
		}
		return b.String() + s, nil
	case "escape":
		var b strings.Builder
		for _, c := range []byte(a[0].S) {
			switch {
			case c == 0 || c >= utf8.RuneSelf:
				fmt.Fprintf(&b, `\%03o`, c)
			case c == '\\':
				b.WriteString(`\\`)
			default:
				b.WriteByte(c)
			}
		}
		return b.String(), nil
	}
	return "", unknownByteEncoding(a[1].S)
}

func unknownByteEncoding(name string) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized encoding: \"%s\"", name)
}

func decode(a []types.Datum) (string, error) {
	switch strings.ToLower(a[1].S) {
	case "hex":
		s := strings.Map(dropBlanks, a[0].S)
		for _, r := range s {
			if !isDigit(r) && (r|0x20 < 'a' || r|0x20 > 'f') {
				return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal digit: \"%c\"", r)
			}
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal data: odd number of digits")
		}
		return string(b), nil
	case "base64":
		s := strings.Map(dropBlanks, a[0].S)
		for _, r := range s {
			if !isDigit(r) && !isASCIILetter(r) && !strings.ContainsRune("+/=", r) {
				return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid symbol \"%c\" found while decoding base64 sequence", r)
			}
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid base64 end sequence").
				WithHint("Input data is missing padding, is truncated, or is otherwise corrupted.")
		}
		return string(b), nil
	case "escape":
		d, err := types.ParseText(types.Of(types.Bytea), strings.TrimPrefix(a[0].S, `\x`), nil)
		return d.S, err
	}
	return "", unknownByteEncoding(a[1].S)
}

func dropBlanks(r rune) rune {
	if r == ' ' || r == '\n' || r == '\t' || r == '\r' {
		return -1
	}
	return r
}

func isUTF8Name(name string) bool {
	return strings.EqualFold(strings.ReplaceAll(name, "-", ""), "utf8") || strings.EqualFold(name, "unicode")
}

func unknownEncoding(name string) error {
	return sqlerr.New(sqlerr.FeatureNotSupported, "encoding \"%s\" is not supported", name).WithHint("UTF8 is.")
}

func convertFrom(a []types.Datum) (string, error) {
	if !isUTF8Name(a[1].S) {
		return "", unknownEncoding(a[1].S)
	}
	d, err := types.ParseBinary(types.Of(types.Text), []byte(a[0].S))
	return d.S, err
}
