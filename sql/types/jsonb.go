package types

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// maxJSONNumberDigits bounds what the number "1e130000" may grow to when a jsonb keeps it with all its digits:
// a million of those in one document would take more memory than there is.
const maxJSONNumberDigits = 1100

// CanonicalJSON returns JSON text as PostgreSQL prints jsonb: a blank after colons and commas, members sorted by length
// of name, then bytes, the last of equal names alone, numbers without exponent, strings with the fewest escapes.
func CanonicalJSON(s string) (string, error) {
	out, err := AppendCanonicalJSON(make([]byte, 0, len(s)+8), s)
	return string(out), err
}

// AppendCanonicalJSON is CanonicalJSON into a buffer.
func AppendCanonicalJSON(dst []byte, s string) ([]byte, error) {
	c := canonicalizer{jsonScanner: jsonScanner{s: s}, out: dst}
	if err := c.write(); err != nil {
		return dst, err
	}
	return c.out, c.end()
}

type canonicalizer struct {
	jsonScanner
	out     []byte
	members []jsonMember // of the objects being written, the innermost last
	scratch []byte
}

// jsonMember is one member of an object being written: out[from:to] is its name and value.
type jsonMember struct {
	name     string
	from, to int
}

func compareMembers(a, b jsonMember) int { return compareJSONNames(a.name, b.name) }

func compareJSONNames(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func (c *canonicalizer) write() error {
	switch c.peek() {
	case '{':
		return c.writeObject()
	case '[':
		c.out = append(c.out, '[')
		err := c.array(func(i int) error {
			if i > 0 {
				c.out = append(c.out, ", "...)
			}
			return c.write()
		})
		c.out = append(c.out, ']')
		return err
	case '"':
		return c.writeString()
	}
	start := c.i
	if err := c.scalar(); err != nil {
		return err
	}
	return c.writeScalar(c.s[start:c.i])
}

func (c *canonicalizer) writeString() error {
	raw, escaped, err := c.str()
	if err != nil {
		return err
	}
	if !escaped {
		c.out = append(append(append(c.out, '"'), raw...), '"')
		return nil
	}
	text, err := unescapeJSON(raw)
	if err != nil {
		return err
	}
	c.out = AppendJSONString(c.out, text)
	return nil
}

func (c *canonicalizer) writeScalar(token string) error {
	if token[0] != '-' && (token[0] < '0' || token[0] > '9') {
		c.out = append(c.out, token...)
		return nil
	}
	number, err := canonicalJSONNumber(token)
	c.out = append(c.out, number...)
	return err
}

func canonicalJSONNumber(token string) (string, error) {
	if isCanonicalNumeric(token) {
		return token, nil
	}
	ip, fp, exp, ok := splitNumber(strings.TrimPrefix(token, "-"))
	if !ok {
		return "", badSyntax(Numeric, token)
	}
	if max(len(ip)+exp, len(fp)-exp) > max(maxJSONNumberDigits, 2*len(token)) {
		return "", sqlerr.New(sqlerr.NumericValueOutOfRange, "number \"%s\" has too many digits for jsonb", clip(token))
	}
	return ParseNumeric(token)
}

// writeObject writes the members as they come. Only if their order was not canonical it puts them in order afterwards.
func (c *canonicalizer) writeObject() error {
	c.out = append(c.out, '{')
	start, base := len(c.out), len(c.members)
	ordered := true
	err := c.object(func(name string) error {
		if n := len(c.members); n > base {
			c.out = append(c.out, ", "...)
			ordered = ordered && compareJSONNames(c.members[n-1].name, name) < 0
		}
		from := len(c.out)
		c.out = append(AppendJSONString(c.out, name), ": "...)
		if err := c.write(); err != nil {
			return err
		}
		c.members = append(c.members, jsonMember{name, from, len(c.out)})
		return nil
	})
	if err != nil {
		return err
	}
	if !ordered {
		c.reorder(start, c.members[base:])
	}
	c.members = c.members[:base]
	c.out = append(c.out, '}')
	return nil
}

// reorder writes the members that are in out from start again, in canonical order, of equal names the last alone.
func (c *canonicalizer) reorder(start int, members []jsonMember) {
	slices.SortStableFunc(members, compareMembers)
	sorted := c.scratch[:0]
	for i, m := range members {
		if i+1 < len(members) && members[i+1].name == m.name {
			continue
		}
		if len(sorted) > 0 {
			sorted = append(sorted, ", "...)
		}
		sorted = append(sorted, c.out[m.from:m.to]...)
	}
	c.out = append(c.out[:start], sorted...)
	c.scratch = sorted
}

// The tags of a jsonb key, in the order in which jsonb values of different kinds sort (PostgreSQL 15 docs, 8.14.4).
const (
	jsonKeyEmptyArray = 0x08 // an empty array sorts before all else, a quirk that PostgreSQL keeps for its indexes
	jsonKeyNull       = 0x10
	jsonKeyString     = 0x18
	jsonKeyNumber     = 0x20
	jsonKeyFalse      = 0x28
	jsonKeyTrue       = 0x29
	jsonKeyArray      = 0x30
	jsonKeyObject     = 0x38
)

// appendJSONKey appends an order-preserving encoding of canonical JSON text.
func appendJSONKey(dst []byte, s string) []byte {
	k := jsonKeyWriter{jsonScanner: jsonScanner{s: s}, out: dst}
	_ = k.write(true) // canonical text always scans
	return k.out
}

type jsonKeyWriter struct {
	jsonScanner
	out []byte
}

func (k *jsonKeyWriter) write(top bool) error {
	switch k.peek() {
	case '{':
		return k.container(jsonKeyObject, func(count *uint32) error {
			return k.object(func(name string) error {
				*count++
				k.out = appendBytesKey(append(k.out, jsonKeyString), name)
				return k.write(false)
			})
		})
	case '[':
		tag := byte(jsonKeyArray)
		if top && strings.HasPrefix(k.s[k.i:], "[]") {
			tag = jsonKeyEmptyArray
		}
		return k.container(tag, func(count *uint32) error {
			return k.array(func(int) error { *count++; return k.write(false) })
		})
	case '"':
		raw, escaped, err := k.str()
		if escaped && err == nil {
			raw, err = unescapeJSON(raw)
		}
		k.out = appendBytesKey(append(k.out, jsonKeyString), raw)
		return err
	case 't':
		k.out = append(k.out, jsonKeyTrue)
	case 'f':
		k.out = append(k.out, jsonKeyFalse)
	case 'n':
		k.out = append(k.out, jsonKeyNull)
	default:
		start := k.i
		err := k.scalar()
		k.out = appendNumericKey(append(k.out, jsonKeyNumber), k.s[start:k.i])
		return err
	}
	return k.scalar()
}

// container writes tag, the number of members in four bytes, then what body writes.
func (k *jsonKeyWriter) container(tag byte, body func(count *uint32) error) error {
	k.out = append(k.out, tag, 0, 0, 0, 0)
	at := len(k.out)
	var count uint32
	err := body(&count)
	binary.BigEndian.PutUint32(k.out[at-4:], count)
	return err
}

// decodeJSONKey reads what appendJSONKey wrote at the start of src and appends its canonical text.
func decodeJSONKey(dst, src []byte) (out, rest []byte, err error) {
	if len(src) == 0 {
		return nil, nil, errCorruptKey
	}
	tag, body := src[0], src[1:]
	switch tag {
	case jsonKeyNull:
		return append(dst, "null"...), body, nil
	case jsonKeyFalse:
		return append(dst, "false"...), body, nil
	case jsonKeyTrue:
		return append(dst, "true"...), body, nil
	case jsonKeyString:
		text, rest, err := decodeBytesKey(body)
		return AppendJSONString(dst, text), rest, err
	case jsonKeyNumber:
		text, rest, err := decodeNumericKey(body)
		return append(dst, text...), rest, err
	case jsonKeyArray, jsonKeyEmptyArray, jsonKeyObject:
		return decodeJSONContainerKey(dst, tag, body)
	}
	return nil, nil, errCorruptKey
}

func decodeJSONContainerKey(dst []byte, tag byte, src []byte) (out, rest []byte, err error) {
	if len(src) < 4 {
		return nil, nil, errCorruptKey
	}
	count, rest := binary.BigEndian.Uint32(src), src[4:]
	brackets := "[]"
	if tag == jsonKeyObject {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	for i := range count {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if tag == jsonKeyObject {
			if dst, rest, err = decodeJSONKey(dst, rest); err != nil {
				return nil, nil, err
			}
			dst = append(dst, ": "...)
		}
		if dst, rest, err = decodeJSONKey(dst, rest); err != nil {
			return nil, nil, err
		}
	}
	return append(dst, brackets[1]), rest, nil
}
