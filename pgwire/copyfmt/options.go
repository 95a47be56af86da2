// Package copyfmt reads and writes the three data formats of COPY: text, CSV and binary (PostgreSQL docs, "COPY", File
// Formats). It moves fields as bytes and knows nothing of types.
//
// A Decoder takes the input in pieces cut anywhere (Write) and gives rows whose fields alias its buffer (Next). An Encoder
// appends rows to a buffer of the caller's. Errors are *sqlerr.Error, those of the data 22P04 with the line in the detail.
//
// Where releases of PostgreSQL differ this is the newer rule: \. ends the data only on a line of its own.
package copyfmt

import (
	"bytes"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Kind is one of the formats.
type Kind uint8

// The formats.
const (
	Text Kind = iota
	CSV
	Binary
)

// Header says what the first line of text or CSV is.
type Header uint8

// The header modes.
const (
	HeaderOff   Header = iota
	HeaderOn           // a line of column names: written, and skipped when read
	HeaderMatch        // read only: the names must be those of the columns, in order
)

// Options are the options of a COPY statement. Make them with Defaults, which sets what the format implies.
type Options struct {
	Kind      Kind
	Delimiter byte
	Null      string // how NULL is spelt
	Header    Header
	Quote     byte // CSV only
	Escape    byte // CSV only
	// ForceQuote, ForceNotNull and ForceNull have an element for each column, or are nil. CSV only.
	ForceQuote   []bool // quote each value that is not NULL
	ForceNotNull []bool // an unquoted value is never NULL
	ForceNull    []bool // a quoted value may be NULL too
}

// Defaults returns PostgreSQL's options of a format.
func Defaults(kind Kind) Options {
	switch kind {
	case CSV:
		return Options{Kind: CSV, Delimiter: ',', Quote: '"', Escape: '"'}
	case Binary:
		return Options{Kind: Binary}
	}
	return Options{Kind: Text, Delimiter: '\t', Null: `\N`}
}

// lineBreaks cannot be part of what separates fields.
const lineBreaks = "\r\n"

// Validate reports options that contradict each other or the format.
func (o *Options) Validate() error {
	if o.Kind == Binary {
		if o.Header != HeaderOff || o.Delimiter != 0 || o.Null != "" {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot specify DELIMITER, NULL or HEADER in BINARY mode")
		}
		return nil
	}
	delimiter := string(rune(o.Delimiter))
	switch {
	case o.Delimiter == 0 || o.Delimiter >= 0x80:
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY delimiter must be a single one-byte character")
	case strings.Contains(lineBreaks, delimiter):
		return invalid("COPY delimiter cannot be newline or carriage return")
	case strings.ContainsAny(o.Null, lineBreaks):
		return invalid("COPY null representation cannot use newline or carriage return")
	case strings.Contains(o.Null, delimiter):
		return invalid("COPY delimiter must not appear in the NULL specification")
	}
	if o.Kind == CSV {
		return o.validateCSV()
	}
	if strings.Contains(`\.abcdefghijklmnopqrstuvwxyz0123456789`, delimiter) {
		return invalid("COPY delimiter cannot be %q", delimiter)
	}
	return nil
}

func (o *Options) validateCSV() error {
	switch {
	case o.Quote == 0 || o.Quote >= 0x80:
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY quote must be a single one-byte character")
	case o.Escape == 0 || o.Escape >= 0x80:
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY escape must be a single one-byte character")
	case o.Quote == o.Delimiter:
		return invalid("COPY delimiter and quote must be different")
	case bytes.IndexByte([]byte(lineBreaks), o.Quote) >= 0, bytes.IndexByte([]byte(lineBreaks), o.Escape) >= 0:
		return invalid("COPY quote and escape cannot be newline or carriage return")
	case strings.IndexByte(o.Null, o.Quote) >= 0:
		return invalid("CSV quote character must not appear in the NULL specification")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, format, args...)
}

func flagged(flags []bool, column int) bool { return column < len(flags) && flags[column] }
