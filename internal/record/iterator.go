package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Record is one record of a batch. Its slices alias the batch, or the iterator's buffer when the batch is compressed: they
// are valid until the iterator is reset. A nil Key or Value is null, an empty one is not.
type Record struct {
	Offset      int64
	Timestamp   int64 // ms
	Key         []byte
	Value       []byte
	HeaderCount int
	headers     []byte
}

// Pair is a header of a record.
type Pair struct {
	Key   string
	Value []byte // nil is null
}

// Headers appends the record's headers to dst and returns it. The values alias the batch like Key and Value.
func (r *Record) Headers(dst []Pair) []Pair {
	c := cursor{b: r.headers}
	for range r.HeaderCount {
		key, value := c.bytes(), c.bytes()
		dst = append(dst, Pair{Key: string(key), Value: value})
	}
	return dst
}

// AppendHeaders appends to dst those of the record's headers whose keys keep keeps, as they lie in the batch: see ParseHeaders.
func (r *Record) AppendHeaders(dst []byte, keep func(key []byte) bool) []byte {
	c := cursor{b: r.headers}
	for range r.HeaderCount {
		before := c.b
		key := c.bytes()
		if c.bytes(); keep(key) {
			dst = append(dst, before[:len(before)-len(c.b)]...)
		}
	}
	return dst
}

// ParseHeaders appends to dst the headers that AppendHeaders has made src of. The values alias src. It stops where src is not well formed.
func ParseHeaders(dst []Pair, src []byte) []Pair {
	c := cursor{b: src}
	for len(c.b) > 0 {
		key, value := c.bytes(), c.bytes()
		if c.bad {
			break
		}
		dst = append(dst, Pair{Key: string(key), Value: value})
	}
	return dst
}

// Iterator walks the records of batches:
//
//	for _ = it.Reset(frame); it.Next(); { use(it.Record) } // Err has what Reset returns
//	if it.Err() != nil { ... }
//
// It owns the buffer into which it uncompresses and keeps it from batch to batch. The zero value is ready. Not safe for
// concurrent use.
type Iterator struct {
	// Record is the current record; it is overwritten by Next.
	Record Record

	header Header
	c      cursor
	left   int32
	last   int64 // offset of the record before
	buf    []byte
	err    error
}

// Reset starts on frame, one whole batch, and returns the error that Err gives too. The checksum is not looked at.
func (it *Iterator) Reset(frame []byte) error {
	it.Record, it.left, it.c = Record{}, 0, cursor{}
	var body []byte
	it.header, body, _, it.err = Next(frame)
	if it.err != nil {
		return it.err
	}
	body = body[HeaderSize:]
	if codec := it.header.Attributes.Codec(); codec != None && it.header.Count > 0 {
		if body, it.err = uncompress(it.buf, body, codec); it.err != nil {
			return it.err
		}
		it.buf = body
	}
	it.c = cursor{b: body}
	it.left = it.header.Count
	it.last = it.header.BaseOffset - 1
	return nil
}

// Header returns the header of the current batch.
func (it *Iterator) Header() *Header { return &it.header }

// Err returns what stopped the iteration: nil at the end of the batch, else an error that wraps kerr.CorruptMessage,
// kerr.InvalidRecord or kerr.UnsupportedCompressionType.
func (it *Iterator) Err() error { return it.err }

// Next goes to the next record and reports whether there is one.
func (it *Iterator) Next() bool {
	if it.err != nil {
		return false
	}
	if it.left == 0 {
		if len(it.c.b) > 0 && it.header.Count > 0 {
			it.err = fmt.Errorf("batch at offset %d has %d bytes after its last record: %w",
				it.header.BaseOffset, len(it.c.b), kerr.CorruptMessage)
		}
		return false
	}
	it.left--
	if !it.parse() {
		it.err = fmt.Errorf("record %d of the batch at offset %d is malformed: %w",
			it.header.Count-it.left, it.header.BaseOffset, kerr.CorruptMessage)
		return false
	}
	return true
}

// parse decodes one record and reports whether it holds together.
func (it *Iterator) parse() bool {
	size := it.c.varint()
	if it.c.bad || size < 0 || size > int64(len(it.c.b)) {
		return false
	}
	c := cursor{b: it.c.b[:size]}
	it.c.b = it.c.b[size:]
	c.skip(1) // attributes: none are defined
	timeDelta, offsetDelta := c.varint(), c.varint()
	r := &it.Record
	r.Offset = it.header.BaseOffset + offsetDelta
	r.Timestamp = it.header.BaseTimestamp + timeDelta
	if it.header.Attributes.Has(LogAppendTime) {
		r.Timestamp = it.header.MaxTimestamp
	}
	r.Key, r.Value = c.bytes(), c.bytes()
	n := c.varint()
	r.headers = c.b
	// A header takes two bytes at least, which bounds the count by the input.
	if c.bad || n < 0 || n > int64(len(c.b)/2) {
		return false
	}
	r.HeaderCount = int(n)
	for range r.HeaderCount {
		key := c.bytes()
		c.bytes()
		if key == nil {
			return false
		}
	}
	if c.bad || len(c.b) != 0 || offsetDelta < 0 || offsetDelta > int64(it.header.LastOffsetDelta) || r.Offset <= it.last {
		return false
	}
	it.last = r.Offset
	return true
}

// cursor takes fields off a buffer and remembers when one did not fit.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) skip(n int) {
	if n > len(c.b) {
		c.bad, c.b = true, nil
		return
	}
	c.b = c.b[n:]
}

// varint takes a zigzag varint.
func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes takes a length and as many bytes; length -1 is nil.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n == -1 || c.bad {
		return nil
	}
	if n < 0 || n > math.MaxInt32 || n > int64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}
