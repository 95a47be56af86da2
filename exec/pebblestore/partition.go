package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/millracedb/millrace/exec"
)

// reader reads one partition from the database or from a snapshot of it.
type reader struct {
	from   pebble.Reader
	prefix []byte
	key    []byte // scratch of the one goroutine that uses the reader
}

func newReader(from pebble.Reader, id exec.StateID) reader {
	return reader{from: from, prefix: appendPartition(nil, id)}
}

// Get appends the value of key in op's space to dst.
func (r *reader) Get(dst []byte, op uint32, key []byte) ([]byte, bool, error) {
	r.key = append(appendSpace(r.key[:0], r.prefix, op), key...)
	val, closer, err := r.from.Get(r.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, fmt.Errorf("read state: %w", err)
	}
	dst = append(dst, val...)
	return dst, true, closer.Close()
}

// Iter iterates over [lower, upper) of op's space.
func (r *reader) Iter(op uint32, lower, upper []byte) (exec.StateIter, error) {
	space := appendSpace(nil, r.prefix, op)
	from := append(append([]byte(nil), space...), lower...)
	to := prefixEnd(space)
	if upper != nil {
		to = append(append([]byte(nil), space...), upper...)
	}
	it, err := r.from.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return &iter{it: it, space: space}, nil
}

func (r *reader) mark() (exec.Mark, bool, error) {
	val, ok, err := r.Get(nil, markSpace, nil)
	if err != nil || !ok {
		return exec.Mark{}, false, err
	}
	m, err := decodeMark(val)
	return m, err == nil, err
}

type iter struct {
	it      *pebble.Iterator
	space   []byte
	key     []byte
	started bool
}

func (i *iter) Next() bool {
	if !i.started {
		i.started = true
		return i.it.First()
	}
	return i.it.Next()
}

// SeekGE goes to the first row at or after key.
func (i *iter) SeekGE(key []byte) bool {
	i.started = true
	i.key = append(append(i.key[:0], i.space...), key...)
	return i.it.SeekGE(i.key)
}

// SeekLT goes to the last row before key.
func (i *iter) SeekLT(key []byte) bool {
	i.key = append(append(i.key[:0], i.space...), key...)
	i.started = i.it.SeekLT(i.key)
	return i.started
}

func (i *iter) Key() []byte   { return i.it.Key()[spaceLen:] }
func (i *iter) Value() []byte { return i.it.Value() }
func (i *iter) Err() error    { return i.it.Error() }
func (i *iter) Close() error  { return i.it.Close() }

// partition is the one writer's view of a partition.
type partition struct {
	reader
	store  *Store
	id     exec.StateID
	closed bool
}

// Mark returns the last committed mark. A mark that does not decode is an error; Clear and rebuild.
func (p *partition) Mark() (exec.Mark, bool, error) { return p.mark() }

// What a batch takes beside keys and values: for each row the prefix of the key, its kind and two lengths; once the mark.
const (
	batchRowBytes  = spaceLen + 8
	batchMarkBytes = 4 << 10
)

// NewBatch starts a set of changes.
func (p *partition) NewBatch(rows, bytes int) exec.StateBatch {
	if rows == 0 {
		return &batch{b: p.store.db.NewBatch(), prefix: p.prefix}
	}
	return &batch{b: p.store.db.NewBatchWithSize(bytes + rows*batchRowBytes + batchMarkBytes), prefix: p.prefix}
}

// Clear forgets all rows and the mark. Where there is nothing it writes nothing, which a load that follows would else meet.
func (p *partition) Clear() error {
	it, err := p.store.db.NewIter(&pebble.IterOptions{LowerBound: p.prefix, UpperBound: prefixEnd(p.prefix)})
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	some := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if !some {
		return nil
	}
	return p.store.db.DeleteRange(p.prefix, prefixEnd(p.prefix), pebble.NoSync)
}

// Close lets the next opener in.
func (p *partition) Close() error {
	if p.closed {
		return errors.New("state partition is closed already")
	}
	p.closed = true
	p.store.release(p.id)
	return nil
}
