package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
)

// BatchOptions are the fields of a batch that do not come from its records.
type BatchOptions struct {
	BaseOffset    int64 // a producer leaves it 0: the log assigns offsets
	LeaderEpoch   int32 // a producer leaves it 0 or NoLeaderEpoch: the log fills it in
	Codec         Codec
	Transactional bool
	// Idempotent says that ProducerID, ProducerEpoch and BaseSequence count. Without it the batch has no producer.
	Idempotent    bool
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
}

// Builder makes a batch from records. Reset it, Append, then Finish; after that it can be Reset for the next batch and
// keeps its buffers. Not safe for concurrent use.
type Builder struct {
	opts      BatchOptions
	body      []byte // encoded records
	count     int32
	lastDelta int32
	baseTime  int64
	maxTime   int64
}

// ErrBatchFull is returned by Builder.Append when the record would take the batch beyond BatchSizeMax.
var ErrBatchFull = errors.New("record batch is full")

// Reset drops all records and sets the options of the next batch.
func (b *Builder) Reset(opts BatchOptions) {
	*b = Builder{opts: opts, body: b.body[:0], lastDelta: -1, maxTime: NoTimestamp}
}

// Len returns the number of records.
func (b *Builder) Len() int { return int(b.count) }

// Size returns the size the batch would have without compression, in bytes.
func (b *Builder) Size() int { return HeaderSize + len(b.body) }

// Append adds a record at the next offset. Timestamp is in ms. A nil key or value is null. Nothing is kept of the slices.
func (b *Builder) Append(timestamp int64, key, value []byte, headers ...Pair) error {
	if b.count == 0 {
		b.baseTime = timestamp
	}
	return b.appendAt(b.lastDelta+1, timestamp, key, value, headers)
}

// appendAt adds a record at an offset delta; the base timestamp is set already.
func (b *Builder) appendAt(delta int32, timestamp int64, key, value []byte, headers []Pair) error {
	timeDelta := timestamp - b.baseTime
	size := 1 + varintSize(timeDelta) + varintSize(int64(delta)) + bytesSize(key) + bytesSize(value) + varintSize(int64(len(headers)))
	for i := range headers {
		size += varintSize(int64(len(headers[i].Key))) + len(headers[i].Key) + bytesSize(headers[i].Value)
	}
	if b.Size()+size+binary.MaxVarintLen64 > BatchSizeMax || delta == math.MaxInt32 {
		return ErrBatchFull
	}
	out := binary.AppendVarint(b.body, int64(size))
	out = append(out, 0)
	out = binary.AppendVarint(out, timeDelta)
	out = binary.AppendVarint(out, int64(delta))
	out = appendBytes(out, key)
	out = appendBytes(out, value)
	out = binary.AppendVarint(out, int64(len(headers)))
	for i := range headers {
		out = binary.AppendVarint(out, int64(len(headers[i].Key)))
		out = append(out, headers[i].Key...)
		out = appendBytes(out, headers[i].Value)
	}
	b.body = out
	b.count++
	b.lastDelta = delta
	b.maxTime = max(b.maxTime, timestamp)
	return nil
}

// Finish appends the batch to dst and returns it. A batch without records is an error that wraps kerr.InvalidRecord.
func (b *Builder) Finish(dst []byte) ([]byte, error) {
	if b.count == 0 {
		return dst, fmt.Errorf("batch without records: %w", kerr.InvalidRecord)
	}
	h := Header{
		BaseOffset:      b.opts.BaseOffset,
		LeaderEpoch:     b.opts.LeaderEpoch,
		Attributes:      Attributes(b.opts.Codec),
		LastOffsetDelta: b.lastDelta,
		BaseTimestamp:   b.baseTime,
		MaxTimestamp:    b.maxTime,
		ProducerID:      NoProducerID,
		ProducerEpoch:   NoProducerEpoch,
		BaseSequence:    NoSequence,
		Count:           b.count,
	}
	if b.opts.Transactional {
		h.Attributes |= Transactional
	}
	if b.opts.Idempotent {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = b.opts.ProducerID, b.opts.ProducerEpoch, b.opts.BaseSequence
	}
	return appendBatch(dst, h, b.body)
}

// appendBatch appends a batch with the given header and uncompressed records to dst, compressed as the header says. It sets
// length and checksum.
func appendBatch(dst []byte, h Header, body []byte) ([]byte, error) {
	at := len(dst)
	out := append(dst, make([]byte, HeaderSize)...)
	out, err := compress(out, body, h.Attributes.Codec())
	if err != nil {
		return dst, err
	}
	h.Length = int32(len(out) - at - frameOverhead)
	h.put(out[at:])
	return out, nil
}

func varintSize(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func bytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // -1 in zigzag
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}
