package types

import (
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

func parseArray(t Type, s string, set *Settings) (Datum, error) {
	if t.Kind != Array {
		return parseVectorType(t, s, set)
	}
	p := arrayParser{text: s, rest: s, elem: *t.Elem, set: set}
	elems, err := p.parse()
	if err != nil {
		return NullDatum, err
	}
	return ArrayDatum(*t.Elem, elems), nil
}

func parseVectorType(t Type, s string, set *Settings) (Datum, error) {
	var elems []Datum
	for _, word := range strings.Fields(s) {
		d, err := parseText(t.elemType(), word, set)
		if err != nil {
			return NullDatum, err
		}
		elems = append(elems, d)
	}
	return ArrayDatum(t.elemType(), elems), nil
}

// arrayParser reads an array literal of one dimension (PostgreSQL 15 docs, 8.15.2).
type arrayParser struct {
	text, rest string
	elem       Type
	set        *Settings
}

func (p *arrayParser) malformed(detail string) error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "malformed array literal: \"%s\"", clip(p.text)).WithDetail("%s", detail)
}

func (p *arrayParser) space() {
	for p.rest != "" && isSpace(p.rest[0]) {
		p.rest = p.rest[1:]
	}
}

func (p *arrayParser) parse() ([]Datum, error) {
	p.space()
	if p.rest == "" || p.rest[0] == '[' {
		if p.rest != "" {
			return nil, sqlerr.New(sqlerr.FeatureNotSupported, "arrays with explicit bounds are not supported")
		}
		return nil, p.malformed("Array value must start with \"{\" or dimension information.")
	}
	if p.rest[0] != '{' {
		return nil, p.malformed("Array value must start with \"{\" or dimension information.")
	}
	p.rest = p.rest[1:]
	var elems []Datum
	for {
		p.space()
		if p.rest == "" {
			return nil, p.malformed("Unexpected end of input.")
		}
		if p.rest[0] == '}' && elems == nil {
			break
		}
		if p.rest[0] == '{' {
			return nil, sqlerr.New(sqlerr.FeatureNotSupported, "arrays of several dimensions are not supported")
		}
		d, err := p.element()
		if err != nil {
			return nil, err
		}
		if elems = append(elems, d); len(elems) > MaxArrayElements {
			return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "array size exceeds the maximum allowed (%d)", MaxArrayElements)
		}
		if p.rest == "" {
			return nil, p.malformed("Unexpected end of input.")
		}
		if p.rest[0] == '}' {
			break
		}
		p.rest = p.rest[1:] // the comma at which element stopped
	}
	p.rest = p.rest[1:]
	p.space()
	if p.rest != "" {
		return nil, p.malformed("Junk after closing right brace.")
	}
	return elems, nil
}

// element reads up to the next comma or brace, which it leaves.
func (p *arrayParser) element() (Datum, error) {
	if p.rest[0] == '"' {
		return p.quoted()
	}
	var out []byte
	escaped := false
	keep := 0 // length without trailing blanks
	i := 0
	for ; i < len(p.rest); i++ {
		c := p.rest[i]
		if c == ',' || c == '}' {
			break
		}
		if c == '"' || c == '{' {
			return NullDatum, p.malformed("Unexpected \"" + string(c) + "\" character.")
		}
		if c == '\\' && i+1 < len(p.rest) {
			i++
			c, escaped = p.rest[i], true
			out = append(out, c)
			keep = len(out)
			continue
		}
		out = append(out, c)
		if !isSpace(c) {
			keep = len(out)
		}
	}
	p.rest = p.rest[i:]
	text := string(out[:keep])
	if text == "" && !escaped {
		return NullDatum, p.malformed("Unexpected \"" + p.next() + "\" character.")
	}
	if !escaped && strings.EqualFold(text, "null") {
		return NullDatum, nil
	}
	return p.value(text)
}

func (p *arrayParser) next() string {
	if p.rest == "" {
		return ""
	}
	return p.rest[:1]
}

func (p *arrayParser) quoted() (Datum, error) {
	var out []byte
	i := 1
	for ; i < len(p.rest) && p.rest[i] != '"'; i++ {
		if p.rest[i] == '\\' && i+1 < len(p.rest) {
			i++
		}
		out = append(out, p.rest[i])
	}
	if i >= len(p.rest) {
		return NullDatum, p.malformed("Unexpected end of input.")
	}
	p.rest = p.rest[i+1:]
	p.space()
	if p.rest != "" && p.rest[0] != ',' && p.rest[0] != '}' {
		return NullDatum, p.malformed("Incorrectly quoted array element.")
	}
	return p.value(string(out))
}

func (p *arrayParser) value(text string) (Datum, error) {
	d, err := parseText(p.elem, text, p.set)
	if err != nil || p.elem.Mod < 0 {
		return d, err
	}
	return ApplyMod(p.elem, d, false)
}

func appendArray(dst []byte, elem Type, s string, set *Settings) []byte {
	dst = append(dst, '{')
	it := NewElements(s)
	for first := true; it.Next(elem); first = false {
		if !first {
			dst = append(dst, ',')
		}
		if it.Value.Null {
			dst = append(dst, "NULL"...)
			continue
		}
		mark := len(dst)
		dst = AppendText(dst, elem, it.Value, set)
		if needsArrayQuotes(dst[mark:]) {
			dst = quoteTail(dst, mark, false)
		}
	}
	return append(dst, '}')
}

func needsArrayQuotes(b []byte) bool {
	if len(b) == 0 || strings.EqualFold(string(b), "null") {
		return true
	}
	for _, c := range b {
		if isSpace(c) || strings.IndexByte("{},\"\\", c) >= 0 {
			return true
		}
	}
	return false
}

// quoteTail puts dst[mark:] in double quotes; quotes and backslashes in it are doubled (records) or escaped (arrays).
func quoteTail(dst []byte, mark int, double bool) []byte {
	text := string(dst[mark:])
	dst = append(dst[:mark], '"')
	for i := range len(text) {
		if c := text[i]; c == '"' || c == '\\' {
			if double {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\')
			}
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}

func appendVectorType(dst []byte, s string) []byte {
	it := NewElements(s)
	for first := true; it.Next(Of(Int8)); first = false {
		if !first {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendInt(dst, it.Value.I, 10)
	}
	return dst
}

// appendRecord prints a row as PostgreSQL's record_out does: (1,"two words",).
func appendRecord(dst []byte, t Type, s string, set *Settings) []byte {
	dst = append(dst, '(')
	it := NewElements(s)
	for i, f := range t.Fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !it.Next(f.Type) || it.Value.Null {
			continue
		}
		mark := len(dst)
		dst = AppendText(dst, f.Type, it.Value, set)
		if needsRecordQuotes(dst[mark:]) {
			dst = quoteTail(dst, mark, true)
		}
	}
	return append(dst, ')')
}

func needsRecordQuotes(b []byte) bool {
	for _, c := range b {
		if isSpace(c) || strings.IndexByte("(),\"\\", c) >= 0 {
			return true
		}
	}
	return len(b) == 0
}
