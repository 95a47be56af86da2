package pebblestore

import (
	"encoding/binary"
	"math"

	"github.com/millracedb/millrace/exec"
)

// A key in Pebble is: object (8 bytes), fragment (4), partition (4), operator (4), all big endian, then the operator's own
// key. So an object, a partition or an operator's space is one range.
const (
	objectLen    = 8
	partitionLen = objectLen + 4 + 4
	spaceLen     = partitionLen + 4
)

// markSpace is the operator number under which a partition's mark lies; no operator has it.
const markSpace = math.MaxUint32

func appendPartition(dst []byte, id exec.StateID) []byte {
	dst = binary.BigEndian.AppendUint64(dst, id.Object)
	dst = binary.BigEndian.AppendUint32(dst, id.Fragment)
	return binary.BigEndian.AppendUint32(dst, uint32(id.Partition))
}

func appendSpace(dst []byte, partition []byte, op uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, partition...), op)
}

// prefixEnd returns the first key after all keys that begin with prefix, nil if there is none.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
