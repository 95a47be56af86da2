package types

import (
	"encoding/hex"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// parseBytea reads bytea's hex ("\x0aff", blanks between bytes allowed) and escape forms (PostgreSQL 15 docs, 8.4).
func parseBytea(s string) (string, error) {
	if len(s) >= 2 && s[0] == '\\' && s[1] == 'x' {
		return parseByteaHex(s[2:])
	}
	return parseByteaEscape(s)
}

func parseByteaHex(s string) (string, error) {
	out := make([]byte, 0, len(s)/2)
	for i := 0; i < len(s); {
		if isSpace(s[i]) {
			i++
			continue
		}
		hi, ok := hexValue(s[i])
		if !ok {
			return "", badHexDigit(s[i:])
		}
		if i+1 == len(s) {
			return "", sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal data: odd number of digits")
		}
		lo, ok := hexValue(s[i+1])
		if !ok {
			return "", badHexDigit(s[i+1:])
		}
		out = append(out, hi<<4|lo)
		i += 2
	}
	return string(out), nil
}

func badHexDigit(rest string) error {
	for _, r := range rest {
		return sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal digit: \"%c\"", r)
	}
	return nil
}

func hexValue(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func parseByteaEscape(s string) (string, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		rest := s[i+1:]
		switch {
		case len(rest) >= 1 && rest[0] == '\\':
			out = append(out, '\\')
			i += 2
		case len(rest) >= 3 && rest[0] >= '0' && rest[0] <= '3' && isOctal(rest[1]) && isOctal(rest[2]):
			out = append(out, (rest[0]-'0')<<6|(rest[1]-'0')<<3|(rest[2]-'0'))
			i += 4
		default:
			return "", sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type bytea")
		}
	}
	return string(out), nil
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func appendBytea(dst []byte, s string, escape bool) []byte {
	if !escape {
		const digits = "0123456789abcdef"
		dst = append(dst, '\\', 'x')
		for i := range len(s) {
			dst = append(dst, digits[s[i]>>4], digits[s[i]&15])
		}
		return dst
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// parseUUID reads 32 hex digits, in braces or not, with hyphens allowed after each group of four.
func parseUUID(s string) (Datum, error) {
	body := s
	if len(body) >= 2 && body[0] == '{' && body[len(body)-1] == '}' {
		body = body[1 : len(body)-1]
	}
	var raw [16]byte
	n := 0
	for i := 0; i < len(body); i++ {
		if body[i] == '-' && n > 0 && n%4 == 0 && n < 32 && body[i-1] != '-' {
			continue
		}
		v, ok := hexValue(body[i])
		if !ok || n == 32 {
			return NullDatum, badSyntax(UUID, s)
		}
		raw[n/2] = raw[n/2]<<4 | v
		n++
	}
	if n != 32 {
		return NullDatum, badSyntax(UUID, s)
	}
	return BytesDatum(string(raw[:])), nil
}

func appendUUID(dst []byte, s string) []byte {
	var out [36]byte
	raw := []byte(s)
	if len(raw) != 16 {
		return append(dst, s...)
	}
	hex.Encode(out[0:8], raw[0:4])
	out[8] = '-'
	hex.Encode(out[9:13], raw[4:6])
	out[13] = '-'
	hex.Encode(out[14:18], raw[6:8])
	out[18] = '-'
	hex.Encode(out[19:23], raw[8:10])
	out[23] = '-'
	hex.Encode(out[24:36], raw[10:16])
	return append(dst, out[:]...)
}
