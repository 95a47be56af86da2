package record

import (
	"cmp"
	"slices"
)

// AbortedTxn is an aborted transaction of a partition as a fetch answers it: everything transactional of that producer from
// FirstOffset up to its abort marker is void.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// AbortedFilter tells, batch by batch in offset order, which belong to aborted transactions. The zero value is ready.
type AbortedFilter struct {
	aborted []AbortedTxn // by FirstOffset
	void    map[int64]struct{}
}

// Reset starts anew with these aborted transactions. The slice is kept until the next Reset, and gets sorted.
func (f *AbortedFilter) Reset(aborted []AbortedTxn) {
	slices.SortFunc(aborted, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	f.aborted = aborted
	clear(f.void)
}

// Committed reports whether the next batch is data, and not of an aborted transaction. Errors are those of ParseControl.
func (f *AbortedFilter) Committed(h *Header, frame []byte) (bool, error) {
	for len(f.aborted) > 0 && f.aborted[0].FirstOffset <= h.LastOffset() {
		if f.void == nil {
			f.void = make(map[int64]struct{})
		}
		f.void[f.aborted[0].ProducerID] = struct{}{}
		f.aborted = f.aborted[1:]
	}
	if h.IsControl() {
		return false, f.end(h, frame)
	}
	if !h.IsTransactional() {
		return true, nil
	}
	_, void := f.void[h.ProducerID]
	return !void, nil
}

// end closes an aborted transaction at its marker.
func (f *AbortedFilter) end(h *Header, frame []byte) error {
	if _, open := f.void[h.ProducerID]; !open {
		return nil
	}
	m, ok, err := ParseControl(frame)
	if ok && !m.Commit {
		delete(f.void, h.ProducerID)
	}
	return err
}

// CommittedReader goes through fetched batches and leaves out what a read_committed consumer must not see: control batches
// and batches of aborted transactions. It is the client's half of KIP-98; the server's half never returns anything at or
// above the last stable offset. The zero value is ready.
type CommittedReader struct {
	rest   []byte
	filter AbortedFilter
}

// Reset starts on frames, the bytes of one fetch, and on the aborted transactions that came with it. Frames may end within a
// batch, which is then left for the next fetch. Both slices are kept until the next Reset; aborted gets sorted.
func (c *CommittedReader) Reset(frames []byte, aborted []AbortedTxn) {
	c.rest = frames
	c.filter.Reset(aborted)
}

// Next returns the next committed data batch, as a header and the bytes within frames; ok is false at the end. A partial
// batch at the end is not an error; one that cannot be a batch is, and wraps kerr.CorruptMessage.
func (c *CommittedReader) Next() (h Header, frame []byte, ok bool, err error) {
	for len(c.rest) >= HeaderSize {
		if h, err = ParseHeader(c.rest); err != nil {
			return h, nil, false, err
		}
		if h.Size() > len(c.rest) {
			break
		}
		frame, c.rest = c.rest[:h.Size():h.Size()], c.rest[h.Size():]
		visible, err := c.filter.Committed(&h, frame)
		if err != nil {
			return h, nil, false, err
		}
		if visible {
			return h, frame, true, nil
		}
	}
	return Header{}, nil, false, nil
}
