package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// An exchange block is the value of one record of a repartition topic; docs/formats/exchange.md draws it.
const blockVersion = 1

// Flags of a block.
const (
	blockOps    = 1 << 0 // operations follow; without it all rows are inserts
	blockClock  = 1 << 1 // the writer's stream time at each row follows
	blockSource = 1 << 2 // provenance follows
	blockIdle   = 1 << 3 // everything the writer reads is idle
	blockPassed = 1 << 4 // headers follow the provenance
	blockMore   = 1 << 5 // the writer has more at hand
)

// maxBlockRows bounds what a reader believes.
const maxBlockRows = 1 << 20

var errCorruptBlock = errors.New("corrupt exchange block")

// blockHeader says who wrote a block, and when by its own reckoning.
type blockHeader struct {
	epoch   uint64 // of the plan
	writer  int32  // partition number of the writing task
	writers int32
	time    int64 // the writer's stream time after the block, ms; noTime for none
	idle    bool
	more    bool // the writer goes on: this is not all that it can read now
}

// appendBlock encodes the rows of c.
func appendBlock(dst []byte, h blockHeader, c chunk) []byte {
	flags := byte(0)
	if h.idle {
		flags |= blockIdle
	}
	if h.more {
		flags |= blockMore
	}
	n := 0
	if c.Batch != nil {
		n = c.Len()
		if c.Ops != nil {
			flags |= blockOps
		}
		if c.clock != nil {
			flags |= blockClock
		}
		if c.Source.Has(n - 1) {
			flags |= blockSource
			if anyHeaders(c.Source, n) {
				flags |= blockPassed
			}
		}
	}
	dst = append(dst, blockVersion, flags)
	dst = binary.AppendUvarint(dst, h.epoch)
	dst = binary.AppendUvarint(dst, uint64(h.writer))
	dst = binary.AppendUvarint(dst, uint64(h.writers))
	dst = binary.AppendVarint(dst, h.time)
	dst = binary.AppendUvarint(dst, uint64(n))
	if n == 0 {
		return dst
	}
	for _, op := range c.Ops {
		dst = append(dst, byte(op))
	}
	dst = appendDeltas(dst, c.Rowtime[:n])
	if c.clock != nil {
		dst = appendDeltas(dst, c.clock[:n])
	}
	if s := c.Source; flags&blockSource != 0 {
		for i := range n {
			dst = binary.AppendVarint(dst, int64(s.Partition[i]))
			dst = binary.AppendVarint(dst, s.Offset[i])
			dst = binary.AppendVarint(dst, int64(s.Ordinal[i]))
		}
	}
	if flags&blockPassed != 0 {
		dst = appendBlockColumn(dst, c.Source.Headers, n)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Cols)))
	for _, col := range c.Cols {
		dst = appendBlockColumn(dst, col, n)
	}
	return dst
}

func anyHeaders(s *vec.Source, n int) bool {
	for i := range n {
		if s.HeadersOf(i) != nil {
			return true
		}
	}
	return false
}

func appendDeltas(dst []byte, xs []int64) []byte {
	last := int64(0)
	for _, x := range xs {
		dst = binary.AppendVarint(dst, x-last)
		last = x
	}
	return dst
}

func appendBlockColumn(dst []byte, col *vec.Vector, n int) []byte {
	if !col.HasNulls() {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		mark := len(dst)
		for range (n + 7) / 8 {
			dst = append(dst, 0)
		}
		for i := range n {
			if col.IsNull(i) {
				dst[mark+i>>3] |= 1 << (i & 7)
			}
		}
	}
	for i := range n {
		if col.IsNull(i) {
			continue
		}
		switch col.Storage() {
		case types.StoreInt:
			dst = binary.AppendVarint(dst, col.I64[i])
		case types.StoreFloat:
			dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(col.F64[i]))
		default:
			b := col.Bytes(i)
			dst = binary.AppendUvarint(dst, uint64(len(b)))
			dst = append(dst, b...)
		}
	}
	return dst
}

// blockReader decodes a block piece by piece; the first thing that does not fit stops it.
type blockReader struct {
	src []byte
	err error
}

func (r *blockReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errCorruptBlock, what)
	}
	r.src = nil
}

func (r *blockReader) byte() byte {
	if len(r.src) == 0 {
		r.fail("cut short")
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *blockReader) varint() int64 {
	x, n := binary.Varint(r.src)
	if n <= 0 {
		r.fail("bad integer")
		return 0
	}
	r.src = r.src[n:]
	return x
}

func (r *blockReader) uvarint(limit uint64) uint64 {
	x, n := binary.Uvarint(r.src)
	if n <= 0 || x > limit {
		r.fail("bad count")
		return 0
	}
	r.src = r.src[n:]
	return x
}

func (r *blockReader) bytes(n int) []byte {
	if n > len(r.src) {
		r.fail("cut short")
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

// decodeBlock reads a block into b, an empty batch of the exchange's columns, and returns the clock if there is one. On an
// error, which wraps errCorruptBlock, b holds anything.
func decodeBlock(src []byte, b *vec.Batch) (h blockHeader, clock []int64, err error) {
	r := &blockReader{src: src}
	if r.byte() != blockVersion {
		r.fail("unknown version")
	}
	flags := r.byte()
	h.idle, h.more = flags&blockIdle != 0, flags&blockMore != 0
	h.epoch = r.uvarint(math.MaxUint64)
	h.writer = int32(r.uvarint(math.MaxInt32))
	h.writers = int32(r.uvarint(math.MaxInt32))
	h.time = r.varint()
	n := int(r.uvarint(maxBlockRows))
	if n > len(r.src) { // every row has a rowtime of at least a byte
		r.fail("bad count")
	}
	if r.err != nil || n == 0 {
		return h, nil, r.err
	}
	if flags&blockOps != 0 {
		for _, op := range r.bytes(n) {
			if op > byte(vec.UpdateInsert) {
				r.fail("unknown operation")
			}
			b.Ops = append(b.Ops, vec.Op(op))
		}
	}
	b.Rowtime = r.deltas(b.Rowtime[:0], n)
	if flags&blockClock != 0 {
		clock = r.deltas(nil, n)
	}
	if flags&blockSource != 0 {
		r.source(b, n)
		if flags&blockPassed != 0 {
			b.Source.Headers = vec.NewVector(types.Of(types.Bytea), 0)
			r.column(b.Source.Headers, n)
		}
	}
	r.columns(b, n)
	b.SetLen(n)
	return h, clock, r.err
}

func (r *blockReader) deltas(dst []int64, n int) []int64 {
	last := int64(0)
	for range n {
		last += r.varint()
		dst = append(dst, last)
	}
	return dst
}

func (r *blockReader) source(b *vec.Batch, n int) {
	s := &vec.Source{}
	for range n {
		s.Partition = append(s.Partition, int32(r.varint()))
		s.Offset = append(s.Offset, r.varint())
		s.Ordinal = append(s.Ordinal, int32(r.varint()))
	}
	b.Source = s
}

func (r *blockReader) columns(b *vec.Batch, n int) {
	if int(r.uvarint(math.MaxInt32)) != len(b.Cols) {
		r.fail("the plan has other columns")
	}
	for _, col := range b.Cols {
		r.column(col, n)
	}
	if len(r.src) > 0 {
		r.fail("bytes after the end")
	}
}

func (r *blockReader) column(col *vec.Vector, n int) {
	var nulls []byte
	if r.byte() != 0 {
		nulls = r.bytes((n + 7) / 8)
	}
	for i := range n {
		if r.err != nil {
			return
		}
		if nulls != nil && nulls[i>>3]&(1<<(i&7)) != 0 {
			col.AppendNull()
			continue
		}
		switch col.Storage() {
		case types.StoreInt:
			col.AppendInt(r.varint())
		case types.StoreFloat:
			if bits := r.bytes(8); bits != nil {
				col.AppendFloat(math.Float64frombits(binary.BigEndian.Uint64(bits)))
			}
		default:
			col.AppendBytes(r.bytes(int(r.uvarint(uint64(len(r.src))))))
		}
	}
}
