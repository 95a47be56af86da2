package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// A producer snapshot is the producer table at an offset, which its name gives: version, CRC-32C of all after it, count,
// entries. Only the last batch of each producer is in it.

const (
	snapshotVersion    = 1
	snapshotHeaderSize = 2 + 4 + 4
	snapshotEntrySize  = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
	// snapshotSizeMax bounds a snapshot file, in bytes: about a million producers.
	snapshotSizeMax = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeSnapshot(producers []*producer) []byte {
	be := binary.BigEndian
	b := make([]byte, 0, snapshotHeaderSize+len(producers)*snapshotEntrySize)
	b = be.AppendUint16(b, snapshotVersion)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, uint32(len(producers)))
	for _, p := range producers {
		last := keptBatch{lastSeq: record.NoSequence, lastOffset: -1, timestamp: p.lastTime}
		if p.n > 0 {
			last = p.batches[p.n-1]
		}
		b = be.AppendUint64(b, uint64(p.id))
		b = be.AppendUint16(b, uint16(p.epoch))
		b = be.AppendUint32(b, uint32(last.lastSeq))
		b = be.AppendUint64(b, uint64(last.lastOffset))
		b = be.AppendUint32(b, uint32(last.delta))
		b = be.AppendUint64(b, uint64(p.lastTime))
		b = be.AppendUint32(b, uint32(p.coordinatorEpoch))
		b = be.AppendUint64(b, uint64(p.txnFirst))
	}
	be.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	return b
}

var errBadSnapshot = errors.New("producer snapshot is malformed")

func decodeSnapshot(b []byte) (producerTable, error) {
	t := newProducerTable()
	be := binary.BigEndian
	if len(b) < snapshotHeaderSize || be.Uint16(b) != snapshotVersion {
		return t, fmt.Errorf("%w: not of version %d", errBadSnapshot, snapshotVersion)
	}
	if crc32.Checksum(b[6:], castagnoli) != be.Uint32(b[2:]) {
		return t, fmt.Errorf("%w: checksum does not match", errBadSnapshot)
	}
	n := int64(be.Uint32(b[6:]))
	if b = b[snapshotHeaderSize:]; int64(len(b)) != n*snapshotEntrySize {
		return t, fmt.Errorf("%w: %d bytes for %d producers", errBadSnapshot, len(b), n)
	}
	for ; len(b) > 0; b = b[snapshotEntrySize:] {
		p := &producer{
			id: int64(be.Uint64(b)), epoch: int16(be.Uint16(b[8:])),
			lastTime: int64(be.Uint64(b[26:])), coordinatorEpoch: int32(be.Uint32(b[34:])), txnFirst: int64(be.Uint64(b[38:])),
		}
		last := keptBatch{lastSeq: int32(be.Uint32(b[10:])), lastOffset: int64(be.Uint64(b[14:])), delta: int32(be.Uint32(b[22:])), timestamp: p.lastTime}
		if last.lastSeq >= 0 {
			last.firstSeq = record.AddSequence(last.lastSeq, -last.delta)
			p.add(last)
		}
		t.byID[p.id] = p
		if p.txnFirst >= 0 {
			t.open[p.id] = p.txnFirst
		}
	}
	return t, nil
}

// saveSnapshot writes the snapshot without syncing: its checksum tells a torn one.
func saveSnapshot(fs fsys.FS, path string, producers []*producer) error {
	f, err := fs.Create(path, fsys.Category)
	if err != nil {
		return err
	}
	_, err = f.Write(encodeSnapshot(producers))
	return errors.Join(err, f.Close())
}

func loadSnapshot(fs fsys.FS, path string) (producerTable, error) {
	b, err := fsys.ReadFile(fs, path, snapshotSizeMax)
	if err != nil {
		return producerTable{}, err
	}
	return decodeSnapshot(b)
}

// snapshotProducers writes the producer table at the log's end. The caller holds appendMu.
func (l *Log) snapshotProducers() error {
	l.mu.Lock()
	all, leo := l.mu.producers.sorted(), l.mu.leo
	l.mu.Unlock()
	return saveSnapshot(l.opts.FS, segmentFile(l.opts.FS, l.dir, leo, snapshotSuffix), all)
}

// newestSnapshot returns the newest valid snapshot at an offset of at most limit, and that offset; without one an empty
// table and 0. Snapshots that are of no more use are removed.
func newestSnapshot(fs fsys.FS, dir string, limit int64, segments []*segment) (producerTable, int64, error) {
	names, err := fs.List(dir)
	if err != nil {
		return producerTable{}, 0, err
	}
	var offsets []int64
	for _, name := range names {
		if offset, ok := parseSegmentFile(name, snapshotSuffix); ok {
			offsets = append(offsets, offset)
		}
	}
	slices.Sort(offsets)
	slices.Reverse(offsets)
	table, from, found := newProducerTable(), int64(0), false
	for _, offset := range offsets {
		path := segmentFile(fs, dir, offset, snapshotSuffix)
		if !found && offset <= limit {
			t, err := loadSnapshot(fs, path)
			if err == nil {
				table, from, found = t, offset, true
				continue
			}
			if !errors.Is(err, errBadSnapshot) {
				return table, 0, err
			}
		} else if found && isBase(segments, offset) {
			continue
		}
		if err := fs.Remove(path); err != nil {
			return table, 0, err
		}
	}
	return table, from, nil
}

func isBase(segments []*segment, offset int64) bool {
	return slices.ContainsFunc(segments, func(s *segment) bool { return s.base == offset })
}
