package pgwire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// body reads the fields of a message body in order. The first field that is not there sets bad, and every later one is
// zero; end reports it.
type body struct {
	rest []byte
	bad  bool
}

// bytes returns the next n bytes, aliasing the body.
func (b *body) bytes(n int) []byte {
	if b.bad || n < 0 || n > len(b.rest) {
		b.bad = true
		return nil
	}
	out := b.rest[:n:n]
	b.rest = b.rest[n:]
	return out
}

func (b *body) byte() byte {
	if p := b.bytes(1); p != nil {
		return p[0]
	}
	return 0
}

func (b *body) int16() int16 {
	if p := b.bytes(2); p != nil {
		return int16(binary.BigEndian.Uint16(p))
	}
	return 0
}

func (b *body) int32() int32 {
	if p := b.bytes(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

// string returns the next zero-terminated string.
func (b *body) string() string {
	n := bytes.IndexByte(b.rest, 0)
	if b.bad || n < 0 {
		b.bad = true
		return ""
	}
	s := string(b.rest[:n])
	b.rest = b.rest[n+1:]
	return s
}

// count returns the length of a list whose elements take at least size bytes each, so that a lying count is found before
// anything is allocated for it. Counts are unsigned: PostgreSQL takes up to 65,535 parameters.
func (b *body) count(size int) int {
	n := int(uint16(b.int16()))
	if b.bad || n*size > len(b.rest) {
		b.bad = true
		return 0
	}
	return n
}

// end reports a body that was too short or has bytes left over.
func (b *body) end() error {
	if b.bad {
		return sqlerr.New(sqlerr.ProtocolViolation, "insufficient data left in message")
	}
	if len(b.rest) > 0 {
		return sqlerr.New(sqlerr.ProtocolViolation, "invalid message format")
	}
	return nil
}

// checkUTF8 refuses text that is not UTF-8, naming the first wrong byte.
func checkUTF8(s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return sqlerr.New(sqlerr.CharacterNotInRepertoire, `invalid byte sequence for encoding "UTF8": 0x%02x`, s[i]).At(i)
		}
		i += size
	}
	return nil
}

// parseMessage is the body of Parse.
type parseMessage struct {
	name, text string
	paramTypes []uint32
}

func decodeParse(p []byte) (m parseMessage, err error) {
	b := body{rest: p}
	m.name, m.text = b.string(), b.string()
	if n := b.count(4); n > 0 {
		m.paramTypes = make([]uint32, n)
		for i := range m.paramTypes {
			m.paramTypes[i] = uint32(b.int32())
		}
	}
	return m, b.end()
}

// decodeBind reads a Bind message into dst, whose Params slice is reused, and returns the statement's name.
func decodeBind(p []byte, dst *Bind) (statement string, err error) {
	b := body{rest: p}
	dst.Portal = b.string()
	statement = b.string()
	formats := b.formats()
	n := b.count(4)
	if err := checkFormatCount(len(formats), n, b.bad); err != nil {
		return "", err
	}
	dst.Params = dst.Params[:0]
	for i := range n {
		dst.Params = append(dst.Params, Param{Format: formatOf(formats, i), Value: b.value()})
	}
	dst.ResultFormats = b.formats()
	if err := b.end(); err != nil {
		return "", err
	}
	return statement, checkFormats(formats, dst.ResultFormats)
}

// value returns a parameter value: nil for NULL.
func (b *body) value() []byte {
	n := b.int32()
	if n == -1 {
		return nil
	}
	return b.bytes(int(n))
}

func (b *body) formats() []Format {
	n := b.count(2)
	if n == 0 {
		return nil
	}
	formats := make([]Format, n)
	for i := range formats {
		formats[i] = Format(b.int16())
	}
	return formats
}

func checkFormatCount(formats, params int, bad bool) error {
	if !bad && formats > 1 && formats != params {
		return sqlerr.New(sqlerr.ProtocolViolation, "bind message has %d parameter formats but %d parameters", formats, params)
	}
	return nil
}

func checkFormats(lists ...[]Format) error {
	for _, formats := range lists {
		for _, f := range formats {
			if f != TextFormat && f != BinaryFormat {
				return sqlerr.New(sqlerr.InvalidParameterValue, "unsupported format code: %d", f)
			}
		}
	}
	return nil
}

// formatOf returns the format of column i by the rule of Bind: none means text, one is for all.
func formatOf(formats []Format, i int) Format {
	switch len(formats) {
	case 0:
		return TextFormat
	case 1:
		return formats[0]
	}
	return formats[i]
}
