package copyfmt

import (
	"bytes"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// MaxRowBytes bounds a row of input; a longer one is refused with 54000 before it is all in memory.
const MaxRowBytes = 64 << 20

// Field is a field of a row.
type Field struct {
	Value []byte // as decoded: escapes and quotes are gone; nil for NULL
	Null  bool
}

// Decoder cuts input into rows of fields. Use: Write a piece, call Next until it returns no row, and so on; at the end
// Finish, then Next until it returns no row. After an error every call returns it again.
type Decoder struct {
	options Options
	columns []string
	buf     []byte // input not yet given out begins at pos
	pos     int
	line    int // number of the line last read, from 1; of the row for binary
	fields  []Field
	final   bool // all input is there
	ended   bool // the end marker of text or CSV was read: what follows is ignored
	started bool // the header was dealt with
	// sawTrailer is set behind the end of binary data, where nothing may follow.
	sawTrailer bool
	err        error
	scan       lineScanner
}

// NewDecoder returns a decoder of rows with the columns named.
func NewDecoder(options Options, columns []string) (*Decoder, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	d := &Decoder{options: options, columns: columns, fields: make([]Field, len(columns))}
	d.scan = lineScanner{csv: options.Kind == CSV, quote: options.Quote, escape: options.Escape}
	d.started = options.Header == HeaderOff && options.Kind != Binary
	return d, nil
}

// Line returns the number of the line that the last row ended on, from 1; for binary the number of the row.
func (d *Decoder) Line() int { return d.line }

// Write takes the next piece of input. It copies chunk, and ends the life of all rows given before. It never fails: what is
// wrong with the input Next says.
func (d *Decoder) Write(chunk []byte) {
	if d.ended {
		return
	}
	if d.pos > 0 { // else a long row that comes in small pieces would be moved for each of them
		d.buf = d.buf[:copy(d.buf, d.buf[d.pos:])]
		d.scan.at -= d.pos
		d.pos = 0
	}
	d.buf = append(d.buf, chunk...)
}

// Finish says that there is no more input.
func (d *Decoder) Finish() { d.final = true }

// Next returns the next row, or nil if it takes more input, or there is none. The slice is valid until the next call, the
// bytes of its fields until the next Write. The caller may modify them.
func (d *Decoder) Next() ([]Field, error) {
	if d.err != nil || d.ended {
		return nil, d.err
	}
	row, err := d.next()
	if err == nil && row == nil && len(d.buf)-d.pos > MaxRowBytes {
		err = sqlerr.New(sqlerr.ProgramLimitExceeded, "row of COPY data is too long: the limit is %d bytes", MaxRowBytes)
	}
	if err != nil {
		d.err = d.located(err)
		return nil, d.err
	}
	return row, nil
}

func (d *Decoder) next() ([]Field, error) {
	if d.options.Kind == Binary {
		return d.nextBinary()
	}
	for {
		line, ok, err := d.nextLine()
		if !ok || err != nil {
			return nil, err
		}
		if string(line) == `\.` {
			d.ended = true
			return nil, nil
		}
		if err := d.split(line); err != nil {
			return nil, err
		}
		if d.started {
			return d.row()
		}
		d.started = true
		if err := d.checkHeader(); err != nil {
			return nil, err
		}
	}
}

// located adds the line to an error.
func (d *Decoder) located(err error) error {
	e := sqlerr.From(err)
	if e.Detail == "" {
		what := "Line"
		if d.options.Kind == Binary {
			what = "Row"
		}
		e = e.WithDetail("%s %d of the COPY data.", what, d.line)
	}
	return e
}

func malformed(format string, args ...any) *sqlerr.Error {
	return sqlerr.New(sqlerr.BadCopyFileFormat, format, args...)
}

// nextLine returns the next line without its end; ok is false if it is not all there.
func (d *Decoder) nextLine() (line []byte, ok bool, err error) {
	start := d.pos
	end, next, err := d.scan.find(d.buf, start, d.final)
	if err != nil {
		d.line += d.scan.inner + 1
		return nil, false, err
	}
	if end < 0 {
		if !d.final || start == len(d.buf) {
			return nil, false, nil
		}
		if d.scan.inQuote {
			d.line += d.scan.inner + 1
			return nil, false, malformed("unterminated CSV quoted field")
		}
		end, next = len(d.buf), len(d.buf) // the last line may lack its end
	}
	d.line += d.scan.inner + 1
	d.scan.reset(next)
	d.pos = next
	return d.buf[start:end], true, nil
}

// split cuts a line into d.fields: all of a header, but of a row only as many as show that there are too many.
func (d *Decoder) split(line []byte) error {
	d.fields = d.fields[:0]
	if len(line) == 0 && len(d.columns) == 0 {
		return nil
	}
	limit := len(line) + 1
	if d.started {
		limit = max(len(d.columns), 1) + 1
	}
	switch {
	case d.options.Kind == CSV && bytes.IndexByte(line, d.options.Quote) >= 0:
		return d.splitQuoted(line, limit)
	case d.options.Kind == Text && bytes.IndexByte(line, '\\') >= 0:
		d.splitEscaped(line, limit)
	default:
		d.splitPlain(line, limit)
	}
	return nil
}

// row checks the number of fields.
func (d *Decoder) row() ([]Field, error) {
	if len(d.fields) > len(d.columns) {
		return nil, malformed("extra data after last expected column")
	}
	if len(d.fields) < len(d.columns) {
		return nil, malformed("missing data for column %q", d.columns[len(d.fields)])
	}
	return d.fields, nil
}

func (d *Decoder) checkHeader() error {
	if d.options.Header != HeaderMatch {
		return nil
	}
	if got, want := len(d.fields), len(d.columns); got != want {
		return malformed("wrong number of fields in header line: got %d, expected %d", got, want)
	}
	for i, f := range d.fields {
		if f.Null || string(f.Value) != d.columns[i] {
			return malformed("column name mismatch in header line field %d: got %q, expected %q", i+1, f.Value, d.columns[i])
		}
	}
	return nil
}

// splitPlain cuts a line without escapes and quotes.
func (d *Decoder) splitPlain(line []byte, limit int) {
	for len(d.fields) < limit {
		n := bytes.IndexByte(line, d.options.Delimiter)
		if n < 0 {
			d.add(line, false)
			return
		}
		d.add(line[:n:n], false)
		line = line[n+1:]
	}
}

// add adds a field, NULL if it is spelt so.
func (d *Decoder) add(value []byte, quoted bool) {
	column := len(d.fields)
	null := string(value) == d.options.Null
	if null && d.options.Kind == CSV {
		null = !quoted && !flagged(d.options.ForceNotNull, column) || quoted && flagged(d.options.ForceNull, column)
	}
	if null {
		value = nil
	}
	d.fields = append(d.fields, Field{Value: value, Null: null})
}

// splitEscaped cuts a line of text format that has backslashes. NULL is recognized before they are resolved.
func (d *Decoder) splitEscaped(line []byte, limit int) {
	for len(d.fields) < limit {
		end, escaped := 0, false
		for end < len(line) && line[end] != d.options.Delimiter {
			if line[end] == '\\' && end+1 < len(line) {
				escaped = true
				end++
			}
			end++
		}
		d.add(line[:end:end], false)
		if f := &d.fields[len(d.fields)-1]; escaped && !f.Null {
			f.Value = unescape(f.Value)
		}
		if end == len(line) {
			return
		}
		line = line[end+1:]
	}
}

// unescape resolves backslash escapes in place: what they stand for is never longer.
func unescape(p []byte) []byte {
	out := p[:0]
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c != '\\' || i+1 == len(p) {
			out = append(out, c)
			continue
		}
		i++
		switch c = p[i]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'v':
			c = '\v'
		case 'x':
			if v, n := digits(p[i+1:], 16, 2); n > 0 {
				c = v
				i += n
			}
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v, n := digits(p[i:], 8, 3)
			c = v
			i += n - 1
		}
		out = append(out, c)
	}
	return out
}

// digits reads up to most digits of base from p and returns their value, of which a byte is kept, and their number.
func digits(p []byte, base, most int) (value byte, n int) {
	v := 0
	for n < min(most, len(p)) {
		digit := hexDigit(p[n])
		if digit >= base {
			break
		}
		v = v*base + digit
		n++
	}
	return byte(v), n
}

// hexDigit returns the value of a hexadecimal digit, 16 for another character.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 16
}

// splitQuoted cuts a line of CSV that has quotes, which may begin and end anywhere in a field, and resolves them in place.
func (d *Decoder) splitQuoted(line []byte, limit int) error {
	for len(d.fields) < limit {
		value, rest, quoted, err := d.quotedField(line)
		if err != nil {
			return err
		}
		d.add(value, quoted)
		if rest == nil {
			return nil
		}
		line = rest
	}
	return nil
}

// quotedField reads one field; rest is what follows its delimiter, nil at the end of the line.
func (d *Decoder) quotedField(line []byte) (value, rest []byte, quoted bool, err error) {
	o := &d.options
	out := line[:0]
	inQuote := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case inQuote && c == o.Escape && i+1 < len(line) && (line[i+1] == o.Escape || line[i+1] == o.Quote):
			i++
			out = append(out, line[i])
		case c == o.Quote:
			inQuote = !inQuote
			quoted = true
		case !inQuote && c == o.Delimiter:
			return out, line[i+1:], quoted, nil
		default:
			out = append(out, c)
		}
	}
	if inQuote {
		return nil, nil, false, malformed("unterminated CSV quoted field")
	}
	return out, nil, quoted, nil
}
