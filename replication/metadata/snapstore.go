package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

// keptSnapshots is how many snapshots stay: the newest, and one more in case it cannot be read.
const keptSnapshots = 2

func snapMetaKey(id string) []byte { return append([]byte{prefixSnapMeta}, id...) }

// snapDataKey is the key of a chunk. Ids have one length, so none is another's prefix.
func snapDataKey(id string, chunk uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefixSnapData}, id...), chunk)
}

// Create begins a snapshot. Its id sorts by term and index.
func (s *store) Create(version raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	meta := raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%020d-%020d", term, index), Index: index, Term: term,
		Configuration: conf, ConfigurationIndex: confIndex,
	}
	sink := &snapSink{s: s, meta: meta}
	return sink, sink.clear() // what an unfinished one of the same id left
}

// List returns the snapshots, newest first.
func (s *store) List() ([]*raft.SnapshotMeta, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixSnapMeta}, UpperBound: []byte{prefixSnapMeta + 1}})
	if err != nil {
		return nil, err
	}
	var out []*raft.SnapshotMeta
	for ok := it.Last(); ok; ok = it.Prev() {
		m, err := decodeSnapMeta(string(it.Key()[1:]), it.Value())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		out = append(out, m)
	}
	return out, errors.Join(it.Error(), it.Close())
}

// Open returns a snapshot for reading.
func (s *store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	v, closer, err := s.db.Get(snapMetaKey(id))
	if err != nil {
		return nil, nil, fmt.Errorf("metadata: snapshot %s: %w", id, err)
	}
	meta, err := decodeSnapMeta(id, v)
	if err = errors.Join(err, closer.Close()); err != nil {
		return nil, nil, err
	}
	return meta, &snapReader{s: s, meta: meta}, nil
}

// snapSink writes a snapshot in chunks; the meta record makes it be there.
type snapSink struct {
	s     *store
	meta  raft.SnapshotMeta
	buf   []byte
	chunk uint32
	done  bool
}

func (k *snapSink) ID() string { return k.meta.ID }

func (k *snapSink) Write(p []byte) (int, error) {
	k.buf = append(k.buf, p...)
	for len(k.buf) >= snapshotChunk {
		if err := k.flush(k.buf[:snapshotChunk]); err != nil {
			return 0, err
		}
		k.buf = k.buf[:copy(k.buf, k.buf[snapshotChunk:])]
	}
	k.meta.Size += int64(len(p))
	return len(p), nil
}

func (k *snapSink) flush(chunk []byte) error {
	b := k.s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds memory only
	if err := b.Set(snapDataKey(k.meta.ID, k.chunk), chunk, nil); err != nil {
		return err
	}
	k.chunk++
	return k.s.write(b, pebble.NoSync)
}

// Close finishes the snapshot and forgets those older than the newest keptSnapshots. One sync covers chunks and meta record, for Pebble's
// write-ahead log is in order.
func (k *snapSink) Close() error {
	if k.done {
		return nil
	}
	k.done = true
	if err := k.flush(k.buf); err != nil {
		return err
	}
	b := k.s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds memory only
	if err := b.Set(snapMetaKey(k.meta.ID), encodeSnapMeta(&k.meta), nil); err != nil {
		return err
	}
	all, err := k.s.List()
	if err != nil {
		return err
	}
	ids := []string{k.meta.ID}
	for _, m := range all {
		if m.ID != k.meta.ID {
			ids = append(ids, m.ID)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	for _, id := range ids[min(keptSnapshots, len(ids)):] {
		if err := deleteSnapshot(b, id); err != nil {
			return err
		}
	}
	return k.s.write(b, pebble.Sync)
}

// Cancel drops the snapshot.
func (k *snapSink) Cancel() error {
	if k.done {
		return nil
	}
	k.done = true
	return k.clear()
}

func (k *snapSink) clear() error {
	b := k.s.db.NewBatch()
	defer func() { _ = b.Close() }() // it holds memory only
	if err := deleteSnapshot(b, k.meta.ID); err != nil {
		return err
	}
	return k.s.write(b, pebble.NoSync)
}

func deleteSnapshot(b *pebble.Batch, id string) error {
	return errors.Join(b.Delete(snapMetaKey(id), nil), b.DeleteRange(snapDataKey(id, 0), snapDataKey(id, 1<<32-1), nil))
}

// snapReader reads the chunks of a snapshot one after the other.
type snapReader struct {
	s     *store
	meta  *raft.SnapshotMeta
	chunk uint32
	rest  []byte
	read  int64
}

func (r *snapReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.read == r.meta.Size {
			return 0, io.EOF
		}
		v, closer, err := r.s.db.Get(snapDataKey(r.meta.ID, r.chunk))
		if errors.Is(err, pebble.ErrNotFound) {
			return 0, fmt.Errorf("metadata: snapshot %s: chunk %d is missing", r.meta.ID, r.chunk)
		}
		if err != nil {
			return 0, err
		}
		r.rest = append(r.rest[:0], v...)
		if err := closer.Close(); err != nil {
			return 0, err
		}
		r.chunk++
		r.read += int64(len(r.rest))
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *snapReader) Close() error { return nil }

func encodeSnapMeta(m *raft.SnapshotMeta) []byte {
	b := appendUint(nil, 1, uint64(m.Version))
	b = appendUint(b, 2, m.Index)
	b = appendUint(b, 3, m.Term)
	for _, v := range m.Configuration.Servers {
		b = appendElement(b, 4, encodeServer(v))
	}
	b = appendUint(b, 5, m.ConfigurationIndex)
	return appendUint(b, 6, uint64(m.Size))
}

func decodeSnapMeta(id string, b []byte) (*raft.SnapshotMeta, error) {
	m, r := &raft.SnapshotMeta{ID: id}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			m.Version = raft.SnapshotVersion(r.uint())
		case 2:
			m.Index = r.uint()
		case 3:
			m.Term = r.uint()
		case 4:
			m.Configuration.Servers = append(m.Configuration.Servers, nested(r, decodeServer))
		case 5:
			m.ConfigurationIndex = r.uint()
		case 6:
			m.Size = int64(r.uint())
		}
	}
	return m, r.done("snapshot meta")
}

func encodeServer(v raft.Server) []byte {
	b := appendUint(nil, 1, uint64(v.Suffrage))
	b = appendString(b, 2, string(v.ID))
	return appendString(b, 3, string(v.Address))
}

func decodeServer(b []byte) (v raft.Server, err error) {
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			v.Suffrage = raft.ServerSuffrage(r.uint())
		case 2:
			v.ID = raft.ServerID(r.string())
		case 3:
			v.Address = raft.ServerAddress(r.string())
		}
	}
	return v, r.done("server")
}
