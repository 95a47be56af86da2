package copyfmt

import (
	"bytes"
	"encoding/binary"
)

// Encoder writes rows. All methods append to dst and return it. Order of calls: Header; for each row RowStart, Field for
// each column in order, RowEnd; then Trailer.
type Encoder struct {
	options Options
	columns []string
	special [256]bool // bytes that need an escape in text, or quotes in CSV
}

// NewEncoder returns an encoder of rows with the columns named.
func NewEncoder(options Options, columns []string) (*Encoder, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if options.Header == HeaderMatch {
		return nil, invalid("cannot use MATCH with HEADER in COPY TO")
	}
	e := &Encoder{options: options, columns: columns}
	specials := "\b\f\n\r\t\v\\"
	if options.Kind == CSV {
		specials = lineBreaks + string(rune(options.Quote))
	}
	for i := range len(specials) {
		e.special[specials[i]] = true
	}
	e.special[options.Delimiter] = options.Kind != Binary
	return e, nil
}

// Header appends what comes before the first row: the line of names, or binary's signature.
func (e *Encoder) Header(dst []byte) []byte {
	if e.options.Kind == Binary {
		return append(append(dst, signature...), make([]byte, 8)...)
	}
	if e.options.Header == HeaderOff {
		return dst
	}
	for i, name := range e.columns {
		dst = e.delimit(dst, i)
		if e.options.Kind == CSV {
			dst = e.csvField(dst, []byte(name), e.options.Null == name)
		} else {
			dst = e.textField(dst, []byte(name))
		}
	}
	return append(dst, '\n')
}

// RowStart begins a row.
func (e *Encoder) RowStart(dst []byte) []byte {
	if e.options.Kind != Binary {
		return dst
	}
	return binary.BigEndian.AppendUint16(dst, uint16(len(e.columns)))
}

// Field appends the value of a column, counted from 0: text for text and CSV, the type's binary form for binary.
func (e *Encoder) Field(dst []byte, column int, value []byte, null bool) []byte {
	if e.options.Kind == Binary {
		if null {
			return append(dst, 0xff, 0xff, 0xff, 0xff)
		}
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
	}
	dst = e.delimit(dst, column)
	switch {
	case null:
		return append(dst, e.options.Null...)
	case e.options.Kind == CSV:
		quote := flagged(e.options.ForceQuote, column) || string(value) == e.options.Null
		return e.csvField(dst, value, quote)
	}
	return e.textField(dst, value)
}

// RowEnd ends a row.
func (e *Encoder) RowEnd(dst []byte) []byte {
	if e.options.Kind == Binary {
		return dst
	}
	return append(dst, '\n')
}

// Trailer appends what comes after the last row.
func (e *Encoder) Trailer(dst []byte) []byte {
	if e.options.Kind == Binary {
		return append(dst, 0xff, 0xff)
	}
	return dst
}

func (e *Encoder) delimit(dst []byte, column int) []byte {
	if column == 0 {
		return dst
	}
	return append(dst, e.options.Delimiter)
}

// textField escapes what would end the field or the line, and other control characters that have a letter.
func (e *Encoder) textField(dst, value []byte) []byte {
	plain := 0
	for i, c := range value {
		if !e.special[c] {
			continue
		}
		dst = append(append(dst, value[plain:i]...), '\\')
		plain = i + 1
		switch c {
		case '\b':
			c = 'b'
		case '\f':
			c = 'f'
		case '\n':
			c = 'n'
		case '\r':
			c = 'r'
		case '\t':
			c = 't'
		case '\v':
			c = 'v'
		}
		dst = append(dst, c)
	}
	return append(dst, value[plain:]...)
}

// csvField quotes a value that would not be read back as it is.
func (e *Encoder) csvField(dst, value []byte, quote bool) []byte {
	if !quote {
		quote = len(e.columns) == 1 && bytes.Equal(value, []byte(`\.`))
	}
	for i := 0; i < len(value) && !quote; i++ {
		quote = e.special[value[i]]
	}
	if !quote {
		return append(dst, value...)
	}
	dst = append(dst, e.options.Quote)
	for _, c := range value {
		if c == e.options.Quote || c == e.options.Escape {
			dst = append(dst, e.options.Escape)
		}
		dst = append(dst, c)
	}
	return append(dst, e.options.Quote)
}
