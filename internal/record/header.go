package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// HeaderSize is the number of bytes before the records of a batch.
	HeaderSize = 61
	// frameOverhead is what the length field of a batch does not count: base offset and the length itself.
	frameOverhead = 12
	// BatchSizeMax bounds a batch, in bytes. No topic setting allows larger ones, so a length beyond it is garbage.
	BatchSizeMax = 128 << 20

	// NoProducerID, NoProducerEpoch and NoSequence stand in batches of producers that are not idempotent.
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
	// NoTimestamp is the maximum timestamp of a batch none of whose records has one.
	NoTimestamp int64 = -1
	// NoLeaderEpoch is the leader epoch a producer writes.
	NoLeaderEpoch int32 = -1
)

// Positions of the fields within a batch.
const (
	posBaseOffset    = 0
	posLength        = 8
	posLeaderEpoch   = 12
	posMagic         = 16
	posCRC           = 17
	posAttributes    = 21
	posLastDelta     = 23
	posBaseTimestamp = 27
	posMaxTimestamp  = 35
	posProducerID    = 43
	posProducerEpoch = 51
	posBaseSequence  = 53
	posCount         = 57
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Attributes are the flags of a batch.
type Attributes int16

// The bits of Attributes.
const (
	codecMask     Attributes = 0x07
	LogAppendTime Attributes = 1 << 3 // timestamps are the broker's, all equal to the maximum
	Transactional Attributes = 1 << 4
	Control       Attributes = 1 << 5 // transaction markers
	DeleteHorizon Attributes = 1 << 6 // BaseTimestamp is the time from which tombstones and markers may go
	knownBits                = codecMask | LogAppendTime | Transactional | Control | DeleteHorizon
)

// Codec returns the compression of the records.
func (a Attributes) Codec() Codec { return Codec(a & codecMask) }

// Has reports whether all bits of flag are set.
func (a Attributes) Has(flag Attributes) bool { return a&flag == flag }

// Header is what stands before the records of a batch.
type Header struct {
	BaseOffset      int64
	Length          int32 // bytes after this field
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32 // CRC-32C from Attributes to the end of the batch
	Attributes      Attributes
	LastOffsetDelta int32 // kept by compaction, so it may be more than Count-1
	BaseTimestamp   int64 // ms
	MaxTimestamp    int64 // ms
	ProducerID      int64
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32 // records
}

// Size returns the size of the whole batch in bytes.
func (h *Header) Size() int { return frameOverhead + int(h.Length) }

// LastOffset returns the offset of the last record the batch was written with.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// LastSequence returns the sequence number of that record, or NoSequence. Sequence numbers wrap from 2^31-1 to 0.
func (h *Header) LastSequence() int32 {
	if h.BaseSequence == NoSequence {
		return NoSequence
	}
	return AddSequence(h.BaseSequence, h.LastOffsetDelta)
}

// HasProducer reports whether an idempotent producer or a transaction marker wrote the batch.
func (h *Header) HasProducer() bool { return h.ProducerID != NoProducerID }

// IsTransactional reports whether the batch belongs to a transaction. Markers do too.
func (h *Header) IsTransactional() bool { return h.Attributes.Has(Transactional) }

// IsControl reports whether the batch holds a transaction marker and no data.
func (h *Header) IsControl() bool { return h.Attributes.Has(Control) }

// AddSequence returns the sequence number delta records after seq.
func AddSequence(seq, delta int32) int32 { return int32((int64(seq) + int64(delta)) & 0x7fffffff) }

// ParseHeader decodes the header at the start of b and checks that its fields can be true: magic 2, a possible length, no
// negative counts. It does not look at the records; b may end after the header. The error wraps kerr.CorruptMessage, or
// kerr.InvalidRecord for a batch of another format.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("batch header cut off after %d bytes: %w", len(b), kerr.CorruptMessage)
	}
	be := binary.BigEndian
	h := Header{
		BaseOffset:      int64(be.Uint64(b[posBaseOffset:])),
		Length:          int32(be.Uint32(b[posLength:])),
		LeaderEpoch:     int32(be.Uint32(b[posLeaderEpoch:])),
		Magic:           int8(b[posMagic]),
		CRC:             be.Uint32(b[posCRC:]),
		Attributes:      Attributes(be.Uint16(b[posAttributes:])),
		LastOffsetDelta: int32(be.Uint32(b[posLastDelta:])),
		BaseTimestamp:   int64(be.Uint64(b[posBaseTimestamp:])),
		MaxTimestamp:    int64(be.Uint64(b[posMaxTimestamp:])),
		ProducerID:      int64(be.Uint64(b[posProducerID:])),
		ProducerEpoch:   int16(be.Uint16(b[posProducerEpoch:])),
		BaseSequence:    int32(be.Uint32(b[posBaseSequence:])),
		Count:           int32(be.Uint32(b[posCount:])),
	}
	return h, h.validate()
}

func (h *Header) validate() error {
	switch {
	case h.Magic != 2:
		return fmt.Errorf("record batch of format %d, only 2 is supported: %w", h.Magic, kerr.InvalidRecord)
	case h.Length < HeaderSize-frameOverhead || int64(h.Length) > BatchSizeMax-frameOverhead:
		return fmt.Errorf("batch length %d is impossible: %w", h.Length, kerr.CorruptMessage)
	case h.BaseOffset < 0:
		return fmt.Errorf("base offset %d is negative: %w", h.BaseOffset, kerr.CorruptMessage)
	case h.LastOffsetDelta < 0 || h.Count < 0 || int64(h.Count) > int64(h.LastOffsetDelta)+1:
		return fmt.Errorf("batch of %d records spans %d offsets: %w", h.Count, int64(h.LastOffsetDelta)+1, kerr.CorruptMessage)
	case h.BaseOffset > maxOffset-int64(h.LastOffsetDelta):
		return fmt.Errorf("offsets overflow after %d: %w", h.BaseOffset, kerr.CorruptMessage)
	}
	return nil
}

// maxOffset is the highest offset a record can have: one more must still be an int64.
const maxOffset = 1<<63 - 2

// Next takes one whole batch off the front of b. The frame is the batch's bytes within b, rest what follows. A b that ends
// within the batch gives an error that wraps kerr.CorruptMessage. The checksum is not looked at: see Check.
func Next(b []byte) (h Header, frame, rest []byte, err error) {
	h, err = ParseHeader(b)
	if err != nil {
		return h, nil, b, err
	}
	if n := h.Size(); n <= len(b) {
		return h, b[:n:n], b[n:], nil
	}
	return h, nil, b, fmt.Errorf("batch of %d bytes cut off after %d: %w", h.Size(), len(b), kerr.CorruptMessage)
}

// Checksum returns the CRC-32C that frame, a whole batch, should carry.
func Checksum(frame []byte) uint32 { return crc32.Checksum(frame[posAttributes:], castagnoli) }

// Check verifies the checksum of frame, whose header is h. The error wraps kerr.CorruptMessage.
func Check(h *Header, frame []byte) error {
	if sum := Checksum(frame); sum != h.CRC {
		return fmt.Errorf("batch at offset %d has checksum %08x and not %08x: %w", h.BaseOffset, sum, h.CRC, kerr.CorruptMessage)
	}
	return nil
}

// CheckProduced applies the rules for a batch that comes from a client and not from a replica: known attributes, a known
// codec, as many offsets as records and at least one, and a producer's fields all there or all absent. It does not look
// into the records.
func CheckProduced(h *Header) error {
	switch {
	case h.Attributes&^knownBits != 0, h.Attributes.Has(DeleteHorizon):
		return fmt.Errorf("batch attributes %#x are not a producer's: %w", uint16(h.Attributes), kerr.InvalidRecord)
	case h.Attributes.Codec() > Zstd:
		return fmt.Errorf("compression codec %d: %w", h.Attributes.Codec(), kerr.UnsupportedCompressionType)
	case h.Count < 1:
		return fmt.Errorf("batch without records: %w", kerr.InvalidRecord)
	case h.Count != h.LastOffsetDelta+1:
		return fmt.Errorf("batch of %d records spans %d offsets: %w", h.Count, h.LastOffsetDelta+1, kerr.InvalidRecord)
	case h.ProducerID < NoProducerID,
		!h.HasProducer() && h.IsTransactional(),
		h.HasProducer() && h.ProducerEpoch < 0,
		h.HasProducer() && !h.IsControl() && h.BaseSequence < 0:
		return fmt.Errorf("producer id %d, epoch %d, sequence %d do not go together: %w",
			h.ProducerID, h.ProducerEpoch, h.BaseSequence, kerr.InvalidRecord)
	}
	return nil
}

// SetBaseOffset writes the base offset into frame, in place. The checksum does not cover it.
func SetBaseOffset(frame []byte, offset int64) {
	binary.BigEndian.PutUint64(frame[posBaseOffset:], uint64(offset))
}

// SetLeaderEpoch writes the leader epoch into frame, in place. The checksum does not cover it.
func SetLeaderEpoch(frame []byte, epoch int32) {
	binary.BigEndian.PutUint32(frame[posLeaderEpoch:], uint32(epoch))
}

// SetLogAppendTime marks frame as stamped by the broker at ms and renews the checksum: the records keep their own
// timestamps in the bytes, and readers take the maximum for all of them.
func SetLogAppendTime(frame []byte, ms int64) {
	be := binary.BigEndian
	be.PutUint16(frame[posAttributes:], be.Uint16(frame[posAttributes:])|uint16(LogAppendTime))
	be.PutUint64(frame[posMaxTimestamp:], uint64(ms))
	be.PutUint32(frame[posCRC:], Checksum(frame))
}

// put writes h, whose Length is set, to the start of frame, a whole batch, and computes the checksum.
func (h *Header) put(frame []byte) {
	be := binary.BigEndian
	be.PutUint64(frame[posBaseOffset:], uint64(h.BaseOffset))
	be.PutUint32(frame[posLength:], uint32(h.Length))
	be.PutUint32(frame[posLeaderEpoch:], uint32(h.LeaderEpoch))
	frame[posMagic] = 2
	be.PutUint16(frame[posAttributes:], uint16(h.Attributes))
	be.PutUint32(frame[posLastDelta:], uint32(h.LastOffsetDelta))
	be.PutUint64(frame[posBaseTimestamp:], uint64(h.BaseTimestamp))
	be.PutUint64(frame[posMaxTimestamp:], uint64(h.MaxTimestamp))
	be.PutUint64(frame[posProducerID:], uint64(h.ProducerID))
	be.PutUint16(frame[posProducerEpoch:], uint16(h.ProducerEpoch))
	be.PutUint32(frame[posBaseSequence:], uint32(h.BaseSequence))
	be.PutUint32(frame[posCount:], uint32(h.Count))
	h.CRC = Checksum(frame)
	be.PutUint32(frame[posCRC:], h.CRC)
}
