package lane

import (
	"encoding/binary"

	"github.com/millracedb/millrace/internal/record"
)

// Positions of the fields of a batch that belong to its producer, and of the checksum over them (Kafka documentation,
// "Record Batch").
const (
	posCRC           = 17
	posAttributes    = 21
	posProducerID    = 43
	posProducerEpoch = 51
	posBaseSequence  = 53
)

// setProducer writes the producer's fields into frame, a whole batch, in place, and renews the checksum.
func setProducer(frame []byte, id int64, epoch int16, sequence int32, transactional bool) {
	be := binary.BigEndian
	attributes := record.Attributes(be.Uint16(frame[posAttributes:])) &^ record.Transactional
	if transactional {
		attributes |= record.Transactional
	}
	be.PutUint16(frame[posAttributes:], uint16(attributes))
	be.PutUint64(frame[posProducerID:], uint64(id))
	be.PutUint16(frame[posProducerEpoch:], uint16(epoch))
	be.PutUint32(frame[posBaseSequence:], uint32(sequence))
	be.PutUint32(frame[posCRC:], record.Checksum(frame))
}
