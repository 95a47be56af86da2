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

// CommittedReader goes through fetched batches and leaves out what a read_committed consumer must not see: control batches
// and batches of aborted transactions. It is the client's half of KIP-98; the server's half never returns anything at or
// above the last stable offset. The zero value is ready.
type CommittedReader struct {
	rest    []byte
	aborted []AbortedTxn // by FirstOffset
	void    map[int64]struct{}
}

// Reset starts on frames, the bytes of one fetch, and on the aborted transactions that came with it. Frames may end within a
// batch, which is then left for the next fetch. Both slices are kept until the next Reset; aborted gets sorted.
func (c *CommittedReader) Reset(frames []byte, aborted []AbortedTxn) {
	slices.SortFunc(aborted, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	c.rest, c.aborted = frames, aborted
	clear(c.void)
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
		visible, err := c.visible(&h, frame)
		if err != nil {
			return h, nil, false, err
		}
		if visible {
			return h, frame, true, nil
		}
	}
	return Header{}, nil, false, nil
}

// visible opens the aborted transactions that begin in or before the batch, and closes one at its marker.
func (c *CommittedReader) visible(h *Header, frame []byte) (bool, error) {
	for len(c.aborted) > 0 && c.aborted[0].FirstOffset <= h.LastOffset() {
		if c.void == nil {
			c.void = make(map[int64]struct{})
		}
		c.void[c.aborted[0].ProducerID] = struct{}{}
		c.aborted = c.aborted[1:]
	}
	if h.IsControl() {
		if _, open := c.void[h.ProducerID]; open {
			m, ok, err := ParseControl(frame)
			if err != nil {
				return false, err
			}
			if ok && !m.Commit {
				delete(c.void, h.ProducerID)
			}
		}
		return false, nil
	}
	if !h.IsTransactional() {
		return true, nil
	}
	_, void := c.void[h.ProducerID]
	return !void, nil
}
