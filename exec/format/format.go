// Package format is the serdes: how the key and the value of a record hold columns. Each format is one file.
//
// A Decoder is made for a schema and the columns that a plan uses; it reads bytes straight into column vectors, without a
// tree and without allocating per record, and passes over what nobody asked for. A record that does not decode leaves the
// vectors as they were, so that it can be kept as an error row and the rest goes on. An Encoder writes rows of vectors. Key bytes are
// canonical: equal keys have equal bytes, for they are hashed and compared.
//
// To debug a record that does not decode, give its bytes to Decoder.Append: the error names the field and the reason.
// docs/formats/json.md has the rules of JSON.
package format

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Column is one column of a record's key or value.
type Column struct {
	Name string
	Type types.Type
	// Missing is what a JSON object without the member stands for, nil for NULL.
	Missing *types.Datum
}

// Schema is what one side of a topic's records, the keys or the values, holds.
type Schema struct {
	// Format is "json", "kafka", "delimited" or "none", as a relation's definition names it.
	Format string
	// Delimiter stands between the fields of the format delimited; 0 is DelimiterDefault.
	Delimiter byte
	// Columns are the side's columns in declared order.
	Columns []Column
	// Key tells keys from values. Keys are written canonically; a lone column of a key is not wrapped.
	Key bool
	// Epoch: JSON values have dates and times as ksqlDB writes them, numbers of days and milliseconds.
	Epoch bool
	// Unwrapped: a lone column of a value is the value itself, not a member of an object (wrap_single_value = false).
	Unwrapped bool
}

// wrapped reports whether JSON puts the columns in an object.
func (s Schema) wrapped() bool { return len(s.Columns) != 1 || !s.Key && !s.Unwrapped }

// Encoder writes rows. It is used by one goroutine at a time.
type Encoder interface {
	// AppendRow appends row i of cols, which are the schema's columns in order, to dst. An error, an *sqlerr.Error, is a value that
	// the format cannot carry; dst is then returned as it came.
	AppendRow(dst []byte, cols []*vec.Vector, i int) ([]byte, error)
}

// Decoder reads rows. It is used by one goroutine at a time.
type Decoder interface {
	// Append appends the row that src holds to cols, which are the wanted columns in order. src is not kept. A nil src, a record
	// without key or value, is a row of NULLs. On an error, an *sqlerr.Error, no column has grown.
	Append(cols []*vec.Vector, src []byte) error
}

// emptyKey is the key of the one row of a table without key columns.
const emptyKey = "\x00"

// NewEncoder returns the encoder of a schema. It is nil for the format none, which writes nothing.
func NewEncoder(s Schema) (Encoder, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	switch {
	case s.Format == "none":
		return nil, nil
	case s.Key && len(s.Columns) == 0:
		return emptyKeyEncoder{}, nil
	case s.Format == "kafka":
		return newKafkaEncoder(s), nil
	case s.Format == "delimited":
		return newDelimitedEncoder(s), nil
	default:
		return newJSONEncoder(s), nil
	}
}

// NewDecoder returns the decoder of a schema for the columns that wanted names by ordinal. It is nil for the format none.
func NewDecoder(s Schema, wanted []int) (Decoder, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	switch {
	case s.Format == "none":
		return nil, nil
	case s.Key && len(s.Columns) == 0:
		return emptyKeyDecoder{}, nil
	case s.Format == "kafka":
		return newKafkaDecoder(s, wanted), nil
	case s.Format == "delimited":
		return newDelimitedDecoder(s, wanted), nil
	default:
		return newJSONDecoder(s, wanted), nil
	}
}

// check refuses schemas that their format cannot hold.
func (s Schema) check() error {
	side := "value"
	if s.Key {
		side = "key"
	}
	switch s.Format {
	case "json":
		for _, c := range s.Columns {
			if c.Type.Kind == types.Void || c.Type.Kind == types.Record {
				return sqlerr.New(sqlerr.FeatureNotSupported, "column \"%s\" of type %s cannot be kept in the format json", c.Name, c.Type)
			}
		}
		return nil
	case "none":
		if len(s.Columns) > 0 {
			return sqlerr.New(sqlerr.InvalidTableDefinition, "the %s format none cannot hold column \"%s\"", side, s.Columns[0].Name).
				WithHint("none is for a %s without columns.", side)
		}
		return nil
	case "kafka":
		return s.checkKafka(side)
	case "delimited":
		return s.checkDelimited(side)
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "%s format \"%s\" is not supported", side, s.Format).
		WithHint("The formats are json, kafka, delimited and none.")
}

type emptyKeyEncoder struct{}

func (emptyKeyEncoder) AppendRow(dst []byte, _ []*vec.Vector, _ int) ([]byte, error) {
	return append(dst, emptyKey...), nil
}

type emptyKeyDecoder struct{}

func (emptyKeyDecoder) Append([]*vec.Vector, []byte) error { return nil }
