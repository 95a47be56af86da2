package types

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Arrays, structs and records are held as one byte string:
//
//	uvarint  number of elements (fields)
//	per element: uvarint 0 for NULL, else 1 + the length of its payload, then the payload: integers as zig-zag
//	varint, floats as 8 bytes big endian of their IEEE 754 bits, everything else as its bytes
//
// Arrays have one dimension, with subscripts from 1 (int2vector and oidvector: from 0). The equal values have equal bytes
// only if their elements do, so compare with Compare.

// MaxArrayElements bounds an array.
const MaxArrayElements = 1 << 26

var errCorruptValue = errors.New("corrupt array or struct encoding")

// appendElement appends one element of type t.
func appendElement(dst []byte, t Type, d Datum) []byte {
	if d.Null {
		return append(dst, 0)
	}
	switch t.Kind.Storage() {
	case StoreInt:
		var buf [binary.MaxVarintLen64]byte
		n := binary.PutVarint(buf[:], d.I)
		return append(append(dst, byte(n+1)), buf[:n]...)
	case StoreFloat:
		return binary.BigEndian.AppendUint64(append(dst, 9), math.Float64bits(d.F))
	default:
		dst = binary.AppendUvarint(dst, uint64(len(d.S))+1)
		return append(dst, d.S...)
	}
}

// AppendArray appends the encoding of an array.
func AppendArray(dst []byte, elem Type, elems []Datum) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(elems)))
	for _, d := range elems {
		dst = appendElement(dst, elem, d)
	}
	return dst
}

// ArrayDatum boxes an array.
func ArrayDatum(elem Type, elems []Datum) Datum {
	return BytesDatum(string(AppendArray(nil, elem, elems)))
}

// AppendStruct appends the encoding of a struct or record of the fields.
func AppendStruct(dst []byte, fields []Field, values []Datum) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	for i, d := range values {
		dst = appendElement(dst, fields[i].Type, d)
	}
	return dst
}

// StructDatum boxes a struct or record.
func StructDatum(fields []Field, values []Datum) Datum {
	return BytesDatum(string(AppendStruct(nil, fields, values)))
}

// Elements walks over the elements of an array, or the fields of a struct. Datums that Next gives alias the encoding.
//
//	for it := types.NewElements(s); it.Next(elem); { use(it.Value) }
type Elements struct {
	// Value is the element that Next came to.
	Value Datum
	rest  string
	left  int
}

// NewElements returns a walk over an encoded array or struct.
func NewElements(s string) Elements {
	n, rest := stringUvarint(s)
	if n > uint64(len(rest)) { // each element takes a byte
		n, rest = 0, ""
	}
	return Elements{rest: rest, left: int(n)}
}

// Left returns how many elements Next has not come to.
func (e *Elements) Left() int { return e.left }

// Next goes to the next element, of type t, and reports whether there is one.
func (e *Elements) Next(t Type) bool {
	if e.left == 0 {
		return false
	}
	e.left--
	size, rest := stringUvarint(e.rest)
	if size == 0 || size-1 > uint64(len(rest)) {
		e.Value, e.rest = NullDatum, rest
		return true
	}
	payload := rest[:size-1]
	e.rest = rest[size-1:]
	switch t.Kind.Storage() {
	case StoreInt:
		u, _ := stringUvarint(payload)
		e.Value = IntDatum(int64(u>>1) ^ -int64(u&1))
	case StoreFloat:
		var bits uint64
		for i := range len(payload) {
			bits = bits<<8 | uint64(payload[i])
		}
		e.Value = FloatDatum(math.Float64frombits(bits))
	default:
		e.Value = BytesDatum(payload)
	}
	return true
}

// stringUvarint is binary.Uvarint over a string; 0 and "" for a bad one.
func stringUvarint(s string) (uint64, string) {
	var x uint64
	for i := range min(len(s), binary.MaxVarintLen64) {
		x |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return x, s[i+1:]
		}
	}
	return 0, ""
}

// ArrayLen returns the number of elements of an encoded array or fields of a struct.
func ArrayLen(s string) int {
	e := NewElements(s)
	return e.left
}

// ArrayElements returns the elements of an encoded array; they alias s.
func ArrayElements(elem Type, s string) []Datum {
	it := NewElements(s)
	out := make([]Datum, 0, it.left)
	for it.Next(elem) {
		out = append(out, it.Value)
	}
	return out
}

// ArrayAt returns element i, from 0, of an encoded array; NULL outside it, as a subscript gives.
func ArrayAt(elem Type, s string, i int64) Datum {
	it := NewElements(s)
	if i < 0 || i >= int64(it.left) {
		return NullDatum
	}
	for range i + 1 {
		it.Next(elem)
	}
	return it.Value
}

// StructField returns field i, from 0, of an encoded struct; NULL if it was written before the field was added.
func StructField(fields []Field, s string, i int) Datum {
	it := NewElements(s)
	for k := range i + 1 {
		if !it.Next(fields[k].Type) {
			return NullDatum
		}
	}
	return it.Value
}

// elemType returns the type of an array kind's elements.
func (t Type) elemType() Type {
	switch t.Kind {
	case Int2Vector:
		return Of(Int2)
	case OIDVector:
		return Of(OID)
	}
	return *t.Elem
}

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
