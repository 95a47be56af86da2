package format

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The format delimited is one line of CSV (RFC 4180) without header: the columns in declared order, between them the delimiter. A field is quoted
// if it holds the delimiter, a quote or a line break, begins or ends with a blank, or is an empty text; an empty field without quotes is NULL. Values are
// written as JSON writes them, texts without its quotes. A record must have as many fields as the schema has columns.

// DelimiterDefault stands between fields if nothing else is said.
const DelimiterDefault = ','

func (s Schema) checkDelimited(side string) error {
	for _, c := range s.Columns {
		switch c.Type.Kind {
		case types.Array, types.Map, types.Struct, types.Record, types.Void:
			return sqlerr.New(sqlerr.InvalidTableDefinition, "the %s format delimited cannot hold column \"%s\" of type %s", side, c.Name, c.Type).
				WithHint("It holds scalar types. Use %s_format = 'json'.", side)
		}
	}
	return nil
}

// delimiter is the schema's, or the default.
func (s Schema) delimiter() byte {
	if s.Delimiter == 0 {
		return DelimiterDefault
	}
	return s.Delimiter
}

// delimitedEncoder writes rows; field is its scratch space.
type delimitedEncoder struct {
	s     Schema
	field []byte
}

func newDelimitedEncoder(s Schema) Encoder { return &delimitedEncoder{s: s} }

// AppendRow implements Encoder.
func (e *delimitedEncoder) AppendRow(dst []byte, cols []*vec.Vector, i int) ([]byte, error) {
	for n, c := range e.s.Columns {
		if n > 0 {
			dst = append(dst, e.s.delimiter())
		}
		if cols[n].IsNull(i) {
			continue
		}
		e.field = e.appendText(e.field[:0], c.Type, cols[n].View(i))
		dst = e.appendField(dst)
	}
	return dst, nil
}

// appendText appends the text of a value that is not NULL.
func (e *delimitedEncoder) appendText(dst []byte, t types.Type, d types.Datum) []byte {
	switch t.Kind {
	case types.Text, types.Varchar, types.Name, types.Char:
		return append(dst, d.S...)
	case types.EnumKind:
		return append(dst, types.EnumLabelOf(t, d)...)
	case types.JSON, types.JSONB:
		if e.s.Key {
			return types.AppendKeyJSON(dst, t, d)
		}
		return append(dst, d.S...)
	}
	from := len(dst)
	if e.s.Key {
		dst = types.AppendKeyJSON(dst, t, d)
	} else {
		dst = types.AppendJSON(dst, t, d)
	}
	if dst[from] == '"' { // nothing in it is escaped: a time, bytes in base64, a float that is no number
		dst = append(dst[:from], dst[from+1:len(dst)-1]...)
	}
	return dst
}

// appendField appends e.field, quoted if need be.
func (e *delimitedEncoder) appendField(dst []byte) []byte {
	f := e.field
	if len(f) > 0 && f[0] != ' ' && f[len(f)-1] != ' ' && bytes.IndexByte(f, e.s.delimiter()) < 0 && !bytes.ContainsAny(f, "\"\r\n") {
		return append(dst, f...)
	}
	dst = append(dst, '"')
	for {
		q := bytes.IndexByte(f, '"')
		if q < 0 {
			return append(append(dst, f...), '"')
		}
		dst = append(append(dst, f[:q+1]...), '"')
		f = f[q+1:]
	}
}

// delimitedDecoder reads the wanted columns; target has for each column of the schema its place among them, -1 for none.
type delimitedDecoder struct {
	s       Schema
	target  []int
	unquote []byte
	marks   []vec.Mark
}

func newDelimitedDecoder(s Schema, wanted []int) Decoder {
	d := &delimitedDecoder{s: s, target: make([]int, len(s.Columns)), marks: make([]vec.Mark, len(wanted))}
	for i := range d.target {
		d.target[i] = -1
	}
	for i, ord := range wanted {
		d.target[ord] = i
	}
	return d
}

// Append implements Decoder.
func (d *delimitedDecoder) Append(cols []*vec.Vector, src []byte) error {
	if src == nil {
		for _, v := range cols {
			v.AppendNull()
		}
		return nil
	}
	for i, v := range cols {
		d.marks[i] = v.Mark()
	}
	err := d.row(cols, src)
	if err != nil {
		for i, v := range cols {
			v.Rollback(d.marks[i])
		}
	}
	return err
}

func (d *delimitedDecoder) row(cols []*vec.Vector, src []byte) error {
	src = bytes.TrimSuffix(bytes.TrimSuffix(src, []byte{'\n'}), []byte{'\r'})
	n := 0
	for more := true; more; n++ {
		var field []byte
		var quoted bool
		var err error
		if field, quoted, src, more, err = d.next(src); err != nil {
			return err
		}
		if n >= len(d.s.Columns) || d.target[n] < 0 {
			continue
		}
		v := cols[d.target[n]]
		if len(field) == 0 && !quoted {
			v.AppendNull()
			continue
		}
		if err := appendDelimited(v, field); err != nil {
			e := sqlerr.From(err)
			return sqlerr.New(e.Code, "column \"%s\": %s", d.s.Columns[n].Name, e.Message)
		}
	}
	if n != len(d.s.Columns) {
		return sqlerr.New(sqlerr.BadCopyFileFormat, "the record has %d fields, not %d", n, len(d.s.Columns))
	}
	return nil
}

// next takes the next field off src; more tells whether a delimiter was behind it. The field is valid until the next call.
func (d *delimitedDecoder) next(src []byte) (field []byte, quoted bool, rest []byte, more bool, err error) {
	delim := d.s.delimiter()
	if len(src) == 0 || src[0] != '"' {
		end := bytes.IndexByte(src, delim)
		if end < 0 {
			return src, false, nil, false, nil
		}
		return src[:end], false, src[end+1:], true, nil
	}
	src = src[1:]
	d.unquote = d.unquote[:0]
	for {
		q := bytes.IndexByte(src, '"')
		if q < 0 {
			return nil, false, nil, false, sqlerr.New(sqlerr.BadCopyFileFormat, "a quoted field is not closed")
		}
		d.unquote = append(d.unquote, src[:q]...)
		src = src[q+1:]
		switch {
		case len(src) == 0:
			return d.unquote, true, nil, false, nil
		case src[0] == delim:
			return d.unquote, true, src[1:], true, nil
		case src[0] == '"':
			d.unquote = append(d.unquote, '"')
			src = src[1:]
		default:
			return nil, false, nil, false, sqlerr.New(sqlerr.BadCopyFileFormat, "text follows the quote that closes a field")
		}
	}
}

// appendDelimited reads a field into a vector. Texts are taken as they are, the others without blanks around them.
func appendDelimited(v *vec.Vector, field []byte) error {
	if v.Type.Kind == types.Text {
		if !utf8.Valid(field) || bytes.IndexByte(field, 0) >= 0 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, "the text is no valid UTF-8, or holds a zero byte")
		}
		v.AppendBytes(field)
		return nil
	}
	text := string(field)
	if v.Type.Kind != types.Varchar {
		text = strings.Trim(text, " \t")
	}
	d, err := types.DatumFromJSONString(v.Type, text)
	if err != nil {
		return err
	}
	v.AppendDatum(d)
	return nil
}
