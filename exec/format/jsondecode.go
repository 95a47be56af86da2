package format

import (
	"strconv"
	"strings"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// jsonDecoder reads rows as docs/formats/json.md says. Members usually come in the same order in every record, so it
// remembers what stood at each place of the record before and looks a name up only when that has changed.
type jsonDecoder struct {
	columns  []Column // the wanted ones, in the order of the vectors
	declared []declaredColumn
	wrapped  bool

	seen    []seenMember
	exact   []bool // per column: this row's value came under the exact name
	marks   []vec.Mark
	scratch []byte
}

// declaredColumn is a column of the record and its place among the wanted ones, -1 for none. The others count, too, when a
// member's case does not tell which column it is.
type declaredColumn struct {
	name   string
	wanted int
}

// seenMember is a member's name at one place of the record before, and its column: -1 for one that nobody wants.
type seenMember struct {
	name   []byte
	column int
	exact  bool
}

// Bounds of what a decoder remembers of a record's shape.
const (
	maxSeenMembers = 256
	maxSeenName    = 128
)

func newJSONDecoder(s Schema, wanted []int) *jsonDecoder {
	d := &jsonDecoder{wrapped: s.wrapped(), exact: make([]bool, len(wanted)), marks: make([]vec.Mark, len(wanted))}
	for _, c := range s.Columns {
		d.declared = append(d.declared, declaredColumn{c.Name, -1})
	}
	for i, c := range wanted {
		d.columns = append(d.columns, s.Columns[c])
		d.declared[c].wanted = i
	}
	return d
}

// Append implements Decoder.
func (d *jsonDecoder) Append(cols []*vec.Vector, src []byte) error {
	if src == nil {
		for _, v := range cols {
			v.AppendNull()
		}
		return nil
	}
	for c, v := range cols {
		d.marks[c] = v.Mark()
		d.exact[c] = false
	}
	s := scanner{src: src}
	var err error
	if d.wrapped {
		err = d.object(&s, cols)
	} else {
		err = d.bare(&s, cols)
	}
	if err == nil && (s.peek() != 0 || s.pos < len(src)) {
		err = s.unexpected("the end")
	}
	if err != nil {
		for c, v := range cols {
			v.Rollback(d.marks[c])
		}
	}
	return err
}

// bare reads a record that is one value.
func (d *jsonDecoder) bare(s *scanner, cols []*vec.Vector) error {
	if len(d.columns) == 0 {
		_, err := s.skip()
		return err
	}
	if err := d.value(s, cols[0], &d.columns[0]); err != nil {
		return inColumn(d.columns[0].Name, err)
	}
	return nil
}

func (d *jsonDecoder) object(s *scanner, cols []*vec.Vector) error {
	if s.peek() != '{' {
		return s.unexpected("an object")
	}
	s.pos++
	s.depth = 1
	if s.peek() == '}' {
		s.pos++
		d.fill(cols, 0)
		return nil
	}
	set := 0
	for place := 0; ; place++ {
		raw, escaped, err := s.name()
		if err != nil {
			return err
		}
		member, err := d.member(place, raw, escaped)
		if err != nil {
			return err
		}
		c := member.column
		if c < 0 || d.exact[c] && !member.exact {
			_, err = s.skip()
		} else {
			v := cols[c]
			if v.Mark() != d.marks[c] { // an equal name before: the last one wins
				v.Rollback(d.marks[c])
				set--
			}
			set++
			d.exact[c] = member.exact
			if err = d.value(s, v, &d.columns[c]); err != nil {
				err = inColumn(d.columns[c].Name, err)
			}
		}
		if err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
			continue
		case '}':
			s.pos++
			d.fill(cols, set)
			return nil
		}
		return s.unexpected("\",\" or \"}\"")
	}
}

// fill gives a NULL, or what Missing says, to the columns that the record did not have; set is how many it had.
func (d *jsonDecoder) fill(cols []*vec.Vector, set int) {
	if set == len(cols) {
		return
	}
	for c, v := range cols {
		if v.Mark() != d.marks[c] {
			continue
		}
		if m := d.columns[c].Missing; m != nil {
			v.AppendDatum(*m)
		} else {
			v.AppendNull()
		}
	}
}

// member returns what the name at a place of the record stands for.
func (d *jsonDecoder) member(place int, raw []byte, escaped bool) (seenMember, error) {
	if place < len(d.seen) && !escaped && string(d.seen[place].name) == string(raw) {
		return d.seen[place], nil
	}
	name := raw
	if escaped {
		var err error
		if d.scratch, err = types.AppendUnescapedJSON(d.scratch[:0], view(raw)); err != nil {
			return seenMember{}, err
		}
		name = d.scratch
	}
	found := d.find(view(name))
	if !escaped && len(name) <= maxSeenName && place <= len(d.seen) && place < maxSeenMembers {
		if place == len(d.seen) {
			d.seen = append(d.seen, seenMember{})
		}
		d.seen[place] = seenMember{append(d.seen[place].name[:0], name...), found.column, found.exact}
	}
	return found, nil
}

// find looks a name up: as it is, else ignoring case.
func (d *jsonDecoder) find(name string) seenMember {
	for _, c := range d.declared {
		if c.name == name {
			return seenMember{column: c.wanted, exact: true}
		}
	}
	for _, c := range d.declared {
		if strings.EqualFold(c.name, name) {
			return seenMember{column: c.wanted}
		}
	}
	return seenMember{column: -1}
}

// value reads one value into a column.
func (d *jsonDecoder) value(s *scanner, v *vec.Vector, col *Column) error {
	c := s.peek()
	switch {
	case c == '"' && v.Type.Kind != types.JSONB && v.Type.Kind != types.JSON && v.Type.Kind < types.Array:
		return d.stringValue(s, v, col)
	case c == 'n' && v.Type.Kind != types.JSONB && v.Type.Kind != types.JSON:
		if _, err := s.token(); err != nil {
			return err
		}
		v.AppendNull()
		return nil
	case isDigit(c) || c == '-':
		if v.Storage() == types.StoreInt && v.Type.Kind >= types.Int2 && v.Type.Kind <= types.Int8 {
			return d.intValue(s, v, col)
		}
		if v.Type.Kind == types.Float8 {
			return d.floatValue(s, v)
		}
	}
	raw, err := s.skip()
	if err != nil {
		return err
	}
	return d.slowValue(v, col, raw)
}

// slowValue reads a value whose text is known to be JSON.
func (d *jsonDecoder) slowValue(v *vec.Vector, col *Column, raw []byte) error {
	switch v.Type.Kind {
	case types.JSONB:
		mark := len(v.Data)
		out, err := types.AppendCanonicalJSON(v.Data, view(raw))
		if err != nil {
			return err
		}
		v.Data = out
		v.AppendSince(mark)
		return nil
	case types.Bool, types.Numeric, types.Text, types.Float4, types.Date, types.Time, types.Timestamp, types.TimestampTZ:
		if raw[0] == '{' || raw[0] == '[' {
			break
		}
		datum, err := types.DatumFromJSONToken(col.Type, view(raw))
		if err != nil {
			return err
		}
		v.AppendDatum(datum)
		return nil
	}
	datum, err := types.DatumFromJSON(col.Type, raw)
	if err != nil {
		return err
	}
	v.AppendDatum(datum)
	return nil
}

func (d *jsonDecoder) stringValue(s *scanner, v *vec.Vector, col *Column) error {
	raw, escaped, err := s.str()
	if err != nil {
		return err
	}
	if v.Type.Kind == types.Text {
		if !escaped {
			v.AppendBytes(raw)
			return nil
		}
		mark := len(v.Data)
		out, err := types.AppendUnescapedJSON(v.Data, view(raw))
		if err != nil {
			return err
		}
		v.Data = out
		v.AppendSince(mark)
		return nil
	}
	if escaped {
		if d.scratch, err = types.AppendUnescapedJSON(d.scratch[:0], view(raw)); err != nil {
			return err
		}
		raw = d.scratch
	}
	datum, err := types.DatumFromJSONString(col.Type, view(raw))
	if err != nil {
		return err
	}
	v.AppendDatum(datum)
	return nil
}

// intValue reads an integer of up to 18 digits in passing; others take the way of all tokens.
func (d *jsonDecoder) intValue(s *scanner, v *vec.Vector, col *Column) error {
	start := s.pos
	token, err := s.token()
	if err != nil {
		return err
	}
	if len(token) > 18 {
		return d.slowNumber(v, col, token)
	}
	digits := token
	if digits[0] == '-' {
		digits = digits[1:]
	}
	var n int64
	for _, c := range digits {
		if !isDigit(c) {
			return d.slowNumber(v, col, token)
		}
		n = n*10 + int64(c-'0')
	}
	if s.src[start] == '-' {
		n = -n
	}
	if v.Type.Kind == types.Int4 && n != int64(int32(n)) || v.Type.Kind == types.Int2 && n != int64(int16(n)) {
		return d.slowNumber(v, col, token)
	}
	v.AppendInt(n)
	return nil
}

func (d *jsonDecoder) slowNumber(v *vec.Vector, col *Column, token []byte) error {
	datum, err := types.DatumFromJSONToken(col.Type, view(token))
	if err != nil {
		return err
	}
	v.AppendDatum(datum)
	return nil
}

func (d *jsonDecoder) floatValue(s *scanner, v *vec.Vector) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(view(token), 64)
	if err != nil || f == 0 {
		datum, err := types.DatumFromJSONToken(v.Type, view(token)) // for the error, and for what underflows
		if err != nil {
			return err
		}
		f = datum.F
	}
	v.AppendFloat(f)
	return nil
}
