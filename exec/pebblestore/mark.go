package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millracedb/millrace/exec"
)

const markVersion = 1

var errCorruptMark = errors.New("corrupt state mark")

// appendMark encodes m: the version, inputs, changelog position and epoch, outputs, extra. Integers are varints, strings
// and lists have their length in front.
func appendMark(dst []byte, m exec.Mark) []byte {
	dst = append(dst, markVersion)
	dst = appendOffsets(dst, m.Inputs)
	dst = binary.AppendVarint(dst, m.Changelog)
	dst = binary.AppendVarint(dst, int64(m.ChangelogEpoch))
	dst = appendOffsets(dst, m.Outputs)
	return append(binary.AppendUvarint(dst, uint64(len(m.Extra))), m.Extra...)
}

func appendOffsets(dst []byte, list []exec.PartitionOffset) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, o := range list {
		dst = binary.AppendUvarint(dst, uint64(len(o.Topic)))
		dst = append(dst, o.Topic...)
		dst = binary.AppendVarint(dst, int64(o.Partition))
		dst = binary.AppendVarint(dst, o.Offset)
	}
	return dst
}

func decodeMark(src []byte) (exec.Mark, error) {
	if len(src) == 0 || src[0] != markVersion {
		return exec.Mark{}, fmt.Errorf("%w: unknown version", errCorruptMark)
	}
	d := decoder{src: src[1:]}
	var m exec.Mark
	m.Inputs = d.offsets()
	m.Changelog = d.varint()
	m.ChangelogEpoch = int32(d.varint())
	m.Outputs = d.offsets()
	m.Extra = d.bytes()
	if d.bad {
		return exec.Mark{}, fmt.Errorf("%w: cut short", errCorruptMark)
	}
	return m, nil
}

// decoder reads what appendMark wrote; bad is set once something does not fit, and all later reads give zero.
type decoder struct {
	src []byte
	bad bool
}

func (d *decoder) varint() int64 {
	x, n := binary.Varint(d.src)
	if n <= 0 {
		d.bad, d.src = true, nil
		return 0
	}
	d.src = d.src[n:]
	return x
}

func (d *decoder) length() int {
	x, n := binary.Uvarint(d.src)
	if n <= 0 || x > uint64(len(d.src)-n) {
		d.bad, d.src = true, nil
		return 0
	}
	d.src = d.src[n:]
	return int(x)
}

func (d *decoder) bytes() []byte {
	n := d.length()
	b := append([]byte(nil), d.src[:n]...)
	d.src = d.src[n:]
	return b
}

func (d *decoder) offsets() []exec.PartitionOffset {
	n := d.length() // each takes more than one byte, so the count is at most what is left
	var list []exec.PartitionOffset
	for range n {
		o := exec.PartitionOffset{TopicPartition: exec.TopicPartition{Topic: string(d.bytes()), Partition: int32(d.varint())}}
		o.Offset = d.varint()
		if d.bad {
			return nil
		}
		list = append(list, o)
	}
	return list
}
