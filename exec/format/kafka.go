package format

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The format kafka is that of the serializers of Kafka's Java client, for one column: integer 4 and bigint 8 bytes big endian,
// double precision its IEEE 754 bits in 8, text its UTF-8, bytea its bytes. NULL is the empty byte string for numbers and
// one zero byte for text; a NULL bytea cannot be told from a value and is refused.

func (s Schema) checkKafka(side string) error {
	if len(s.Columns) > 1 {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "the %s format kafka holds one column, not %d", side, len(s.Columns)).
			WithHint("Use %s_format = 'json'.", side)
	}
	for _, c := range s.Columns {
		switch c.Type.Kind {
		case types.Int4, types.Int8, types.Float8, types.Text, types.Varchar, types.Bytea:
		default:
			return sqlerr.New(sqlerr.InvalidTableDefinition, "the %s format kafka cannot hold column \"%s\" of type %s", side, c.Name, c.Type).
				WithHint("It holds integer, bigint, double precision, text and bytea. Use %s_format = 'json'.", side)
		}
	}
	return nil
}

// kafkaSerde reads and writes one column; none at all if there is no column.
type kafkaSerde struct {
	column Column
	some   bool
}

func newKafkaSerde(s Schema) kafkaSerde {
	if len(s.Columns) == 0 {
		return kafkaSerde{}
	}
	return kafkaSerde{column: s.Columns[0], some: true}
}

func newKafkaEncoder(s Schema) Encoder { return newKafkaSerde(s) }

func newKafkaDecoder(s Schema, wanted []int) Decoder {
	if len(wanted) == 0 {
		return kafkaSerde{}
	}
	return newKafkaSerde(s)
}

// AppendRow implements Encoder.
func (k kafkaSerde) AppendRow(dst []byte, cols []*vec.Vector, i int) ([]byte, error) {
	if !k.some {
		return dst, nil
	}
	v := cols[0]
	if v.IsNull(i) {
		switch k.column.Type.Kind {
		case types.Text, types.Varchar:
			return append(dst, 0), nil
		case types.Bytea:
			return dst, sqlerr.New(sqlerr.NotNullViolation, "null value in column \"%s\", which the format kafka cannot hold", k.column.Name)
		}
		return dst, nil
	}
	switch k.column.Type.Kind {
	case types.Int4:
		return binary.BigEndian.AppendUint32(dst, uint32(v.I64[i])), nil
	case types.Int8:
		return binary.BigEndian.AppendUint64(dst, uint64(v.I64[i])), nil
	case types.Float8:
		return binary.BigEndian.AppendUint64(dst, canonicalBits(v.F64[i])), nil
	}
	return append(dst, v.Bytes(i)...), nil
}

// canonicalBits has one zero and one NaN, those of Java's doubleToLongBits.
func canonicalBits(f float64) uint64 {
	if math.IsNaN(f) {
		return 0x7FF8000000000000
	}
	return math.Float64bits(f + 0)
}

// Append implements Decoder.
func (k kafkaSerde) Append(cols []*vec.Vector, src []byte) error {
	if !k.some {
		return nil
	}
	v := cols[0]
	if src == nil {
		v.AppendNull()
		return nil
	}
	switch k.column.Type.Kind {
	case types.Text, types.Varchar:
		return k.appendText(v, src)
	case types.Bytea:
		v.AppendBytes(src)
		return nil
	}
	width := 8
	if k.column.Type.Kind == types.Int4 {
		width = 4
	}
	switch {
	case len(src) == 0:
		v.AppendNull()
	case len(src) != width:
		return sqlerr.New(sqlerr.InvalidBinaryRepresentation, "column \"%s\": %s takes %d bytes in the format kafka, found %d",
			k.column.Name, k.column.Type, width, len(src))
	case width == 4:
		v.AppendInt(int64(int32(binary.BigEndian.Uint32(src))))
	case k.column.Type.Kind == types.Float8:
		v.AppendFloat(math.Float64frombits(binary.BigEndian.Uint64(src)))
	default:
		v.AppendInt(int64(binary.BigEndian.Uint64(src)))
	}
	return nil
}

func (k kafkaSerde) appendText(v *vec.Vector, src []byte) error {
	if len(src) == 1 && src[0] == 0 {
		v.AppendNull()
		return nil
	}
	if !utf8.Valid(src) || bytes.IndexByte(src, 0) >= 0 {
		return sqlerr.New(sqlerr.CharacterNotInRepertoire, "column \"%s\": invalid byte sequence for encoding \"UTF8\"", k.column.Name)
	}
	if k.column.Type.Mod < 0 {
		v.AppendBytes(src)
		return nil
	}
	d, err := types.ApplyMod(k.column.Type, types.BytesDatum(string(src)), false)
	if err != nil {
		return inColumn(k.column.Name, err)
	}
	v.AppendDatum(d)
	return nil
}

// inColumn puts the name of a column before an error's message.
func inColumn(name string, err error) error {
	e := sqlerr.From(err)
	out := sqlerr.New(e.Code, "column \"%s\": %s", name, e.Message)
	out.Detail, out.Hint = e.Detail, e.Hint
	return out
}
