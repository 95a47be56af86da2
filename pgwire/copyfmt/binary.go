package copyfmt

import (
	"bytes"
	"encoding/binary"
)

// signature begins a file in binary format; its bytes show damage by the usual text conversions.
const signature = "PGCOPY\n\xff\r\n\x00"

const (
	binaryHeaderBytes = len(signature) + 4 + 4 // signature, flags, length of the extension
	flagHasOIDs       = 1 << 16
	criticalFlags     = 0xffff0000
	trailer           = -1 // in place of a field count
	nullLength        = -1
)

// nextBinary returns the next row of binary format.
func (d *Decoder) nextBinary() ([]Field, error) {
	if !d.started {
		if ok, err := d.binaryHeader(); !ok || err != nil {
			return nil, err
		}
	}
	rest := d.buf[d.pos:]
	if d.sawTrailer {
		return nil, afterTrailer(rest)
	}
	if len(rest) < 2 {
		if d.final && len(rest) > 0 {
			return nil, malformed("unexpected EOF in COPY data")
		}
		return nil, nil
	}
	count := int(int16(binary.BigEndian.Uint16(rest)))
	if count == trailer {
		d.pos += 2
		d.sawTrailer = true
		return nil, afterTrailer(rest[2:])
	}
	d.line++
	if count != len(d.columns) {
		return nil, malformed("row field count is %d, expected %d", count, len(d.columns))
	}
	rest = rest[2:]
	d.fields = d.fields[:0]
	for range count {
		field, after, ok, err := binaryField(rest)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.shortRow()
		}
		d.fields = append(d.fields, field)
		rest = after
	}
	d.pos = len(d.buf) - len(rest)
	return d.fields, nil
}

// shortRow takes back the count of a row that is not all there, which at the end of input is an error.
func (d *Decoder) shortRow() error {
	if d.final {
		return malformed("unexpected EOF in COPY data")
	}
	d.line--
	return nil
}

// binaryField reads one field; ok is false if it is not all there.
func binaryField(p []byte) (f Field, rest []byte, ok bool, err error) {
	if len(p) < 4 {
		return Field{}, nil, false, nil
	}
	n := int(int32(binary.BigEndian.Uint32(p)))
	p = p[4:]
	switch {
	case n == nullLength:
		return Field{Null: true}, p, true, nil
	case n < 0:
		return Field{}, nil, false, malformed("invalid field size")
	case n > len(p):
		return Field{}, nil, false, nil
	}
	return Field{Value: p[:n:n]}, p[n:], true, nil
}

// binaryHeader reads the header of the file; ok is false if it is not all there.
func (d *Decoder) binaryHeader() (ok bool, err error) {
	rest := d.buf[d.pos:]
	known := min(len(rest), len(signature))
	if !bytes.Equal(rest[:known], []byte(signature[:known])) {
		return false, malformed("COPY file signature not recognized")
	}
	if len(rest) < binaryHeaderBytes {
		if d.final {
			return false, malformed("COPY file signature not recognized")
		}
		return false, nil
	}
	flags := binary.BigEndian.Uint32(rest[len(signature):])
	switch {
	case flags&flagHasOIDs != 0:
		return false, malformed("invalid COPY file header (WITH OIDS)")
	case flags&criticalFlags != 0:
		return false, malformed("unrecognized critical flags in COPY file header")
	}
	extension := int64(int32(binary.BigEndian.Uint32(rest[len(signature)+4:])))
	if extension < 0 || extension > MaxRowBytes {
		return false, malformed("invalid COPY file header (wrong length)")
	}
	if int64(len(rest)) < int64(binaryHeaderBytes)+extension {
		if d.final {
			return false, malformed("invalid COPY file header (wrong length)")
		}
		return false, nil
	}
	d.pos += binaryHeaderBytes + int(extension)
	d.started = true
	return true, nil
}

// afterTrailer refuses what follows the end of the data.
func afterTrailer(rest []byte) error {
	if len(rest) > 0 {
		return malformed("received copy data after EOF marker")
	}
	return nil
}
