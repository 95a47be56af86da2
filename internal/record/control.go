package record

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Marker is a transaction marker: the end of a producer's transaction in one partition. On disk it is a control batch of one
// record (KIP-98).
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32 // epoch of the transaction coordinator that decided
	Commit           bool  // else abort
	// TransactionVersion is that of the client whose transaction ends (KIP-1228): from 2 on the marker carries an epoch above that of the transaction. It is not in the batch; 0 stands for
	// not known.
	TransactionVersion int16
}

// raisedEpochVersion is the transaction version from which every end of a transaction raises the epoch (KIP-890 part 2).
const raisedEpochVersion = 2

// Ends reports whether m can be the marker of a transaction that its producer has written with the given epoch. An abort ends whatever is open up to its own epoch; a commit ends the
// one transaction that was decided.
func (m Marker) Ends(epoch int16) bool {
	switch {
	case m.TransactionVersion >= raisedEpochVersion:
		return epoch == m.ProducerEpoch-1 || !m.Commit && epoch < m.ProducerEpoch
	case m.Commit:
		return epoch == m.ProducerEpoch || epoch == m.ProducerEpoch-1
	}
	return epoch <= m.ProducerEpoch
}

// The key of a control record is version and type, its value version and coordinator epoch.
const (
	controlVersion = 0
	controlAbort   = 0
	controlCommit  = 1
)

// AppendControl appends the control batch of m, stamped with timestamp (ms), to dst.
func AppendControl(dst []byte, m Marker, timestamp int64) []byte {
	kind := uint16(controlAbort)
	if m.Commit {
		kind = controlCommit
	}
	be := binary.BigEndian
	key := be.AppendUint16(be.AppendUint16(nil, controlVersion), kind)
	value := be.AppendUint32(be.AppendUint16(nil, controlVersion), uint32(m.CoordinatorEpoch))
	var b Builder
	b.Reset(BatchOptions{})
	if err := b.Append(timestamp, key, value); err != nil {
		panic(err) // a record of 10 bytes fits
	}
	out, err := appendBatch(dst, Header{
		LeaderEpoch:   NoLeaderEpoch,
		Attributes:    Transactional | Control,
		BaseTimestamp: timestamp,
		MaxTimestamp:  timestamp,
		ProducerID:    m.ProducerID,
		ProducerEpoch: m.ProducerEpoch,
		BaseSequence:  NoSequence,
		Count:         1,
	}, b.body)
	if err != nil {
		panic(err) // nothing is compressed
	}
	return out
}

// ParseControl returns the marker in a control batch. Errors wrap kerr.CorruptMessage or kerr.InvalidRecord. Control batches
// that compaction has emptied, or of a type that a later release writes, have ok false.
func ParseControl(frame []byte) (m Marker, ok bool, err error) {
	var it Iterator
	if err := it.Reset(frame); err != nil {
		return m, false, err
	}
	h := it.Header()
	if !h.IsControl() {
		return m, false, fmt.Errorf("batch at offset %d is not a control batch: %w", h.BaseOffset, kerr.InvalidRecord)
	}
	m = Marker{ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch}
	if !it.Next() {
		return m, false, it.Err()
	}
	key, value := it.Record.Key, it.Record.Value
	if len(key) < 4 {
		return m, false, fmt.Errorf("control record at offset %d has a key of %d bytes: %w", it.Record.Offset, len(key), kerr.InvalidRecord)
	}
	kind := binary.BigEndian.Uint16(key[2:])
	if kind != controlAbort && kind != controlCommit {
		return m, false, nil
	}
	if len(value) < 6 {
		return m, false, fmt.Errorf("transaction marker at offset %d has a value of %d bytes: %w", it.Record.Offset, len(value), kerr.InvalidRecord)
	}
	m.Commit = kind == controlCommit
	m.CoordinatorEpoch = int32(binary.BigEndian.Uint32(value[2:]))
	return m, true, nil
}
