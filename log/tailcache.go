package log

import (
	"sort"
	"sync"
	"sync/atomic"
)

// Sizes of the tail cache's chunks, in bytes: a partition begins with small ones and doubles them while it is written.
const (
	tailChunkMin = 8 << 10
	tailChunkMax = 256 << 10
	// tailUnreadMax is how much of a log is taken in while nobody reads at its end.
	tailUnreadMax = 1 << 20
)

// TailCache holds the newest bytes of a node's logs, so that readers who keep up are served from memory. It takes in the logs that
// somebody reads at the end. It is bounded in bytes for all logs together; the oldest chunk goes first. Chunks are plain garbage-collected memory: a reader that holds
// bytes of an evicted chunk keeps them alive, and nothing else.
type TailCache struct {
	bytesMax int64
	mu       struct {
		sync.Mutex
		fifo  []*tailChunk // oldest first
		bytes int64
	}
}

// NewTailCache returns a cache of at most bytesMax bytes.
func NewTailCache(bytesMax int64) *TailCache { return &TailCache{bytesMax: bytesMax} }

// Bytes returns the memory the cache holds.
func (c *TailCache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.bytes
}

// tailChunk holds consecutive batches of one log. buf never moves: it grows into its capacity, so bytes once published stay.
type tailChunk struct {
	owner   *tail
	next    int64 // offset after the last batch
	buf     []byte
	batches []tailBatch
}

type tailBatch struct {
	base, last int64
	end        int // position after the batch in buf
}

// tail is one log's part of the cache.
type tail struct {
	cache  *TailCache
	unread atomic.Int64 // bytes since somebody read at the end
	mu     struct {
		sync.RWMutex
		chunks []*tailChunk // by offset
	}
}

// append copies a batch that has just been written to the end of the log.
func (t *tail) append(frame []byte, base, last int64) {
	if t.cache == nil || int64(len(frame)) > t.cache.bytesMax/4 || t.unread.Load() > tailUnreadMax {
		return
	}
	t.unread.Add(int64(len(frame)))
	if t.extend(frame, base, last) {
		return
	}
	c := &tailChunk{owner: t, next: last + 1}
	size := tailChunkMin
	t.mu.Lock()
	if n := len(t.mu.chunks); n > 0 {
		size = min(2*cap(t.mu.chunks[n-1].buf), tailChunkMax)
	}
	c.buf = append(make([]byte, 0, max(size, len(frame))), frame...)
	c.batches = append(c.batches, tailBatch{base, last, len(frame)})
	t.mu.chunks = append(t.mu.chunks, c)
	t.mu.Unlock()
	t.cache.admit(c)
}

// wanted says that somebody reads at the end of the log.
func (t *tail) wanted() {
	if t.unread.Load() != 0 {
		t.unread.Store(0)
	}
}

// extend puts the batch into the last chunk if it follows it and there is room.
func (t *tail) extend(frame []byte, base, last int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.mu.chunks)
	if n == 0 {
		return false
	}
	c := t.mu.chunks[n-1]
	if c.next != base || len(c.buf)+len(frame) > cap(c.buf) {
		return false
	}
	c.buf = append(c.buf, frame...)
	c.batches = append(c.batches, tailBatch{base, last, len(c.buf)})
	c.next = last + 1
	return true
}

// admit counts c in and evicts the oldest chunks beyond the bound.
func (c *TailCache) admit(chunk *tailChunk) {
	c.mu.Lock()
	c.mu.fifo = append(c.mu.fifo, chunk)
	c.mu.bytes += int64(cap(chunk.buf))
	var out []*tailChunk
	for c.mu.bytes > c.bytesMax && len(c.mu.fifo) > 1 {
		oldest := c.mu.fifo[0]
		c.mu.fifo[0] = nil
		c.mu.fifo = c.mu.fifo[1:]
		c.mu.bytes -= int64(cap(oldest.buf))
		out = append(out, oldest)
	}
	c.mu.Unlock()
	for _, chunk := range out {
		chunk.owner.drop(chunk)
	}
}

func (t *tail) drop(chunk *tailChunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.mu.chunks {
		if c == chunk {
			t.mu.chunks = append(t.mu.chunks[:i:i], t.mu.chunks[i+1:]...)
			return
		}
	}
}

// clear forgets everything: the log has been cut or closed.
func (t *tail) clear() {
	if t.cache == nil {
		return
	}
	t.mu.Lock()
	mine := make(map[*tailChunk]struct{}, len(t.mu.chunks))
	for _, c := range t.mu.chunks {
		mine[c] = struct{}{}
	}
	t.mu.chunks = nil
	t.mu.Unlock()
	if len(mine) == 0 {
		return
	}
	t.cache.mu.Lock()
	defer t.cache.mu.Unlock()
	kept := t.cache.mu.fifo[:0]
	for _, c := range t.cache.mu.fifo {
		if _, ok := mine[c]; ok {
			t.cache.mu.bytes -= int64(cap(c.buf))
		} else {
			kept = append(kept, c)
		}
	}
	clear(t.cache.mu.fifo[len(kept):])
	t.cache.mu.fifo = kept
}

// read returns cached batches from the one that holds offset: whole ones, at most maxBytes but at least one, none that
// reaches limit. It returns nil if offset is not cached.
func (t *tail) read(offset int64, maxBytes int, limit int64) []byte {
	if t.cache == nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	chunks := t.mu.chunks
	i := sort.Search(len(chunks), func(i int) bool { return chunks[i].next > offset })
	if i == len(chunks) || chunks[i].batches[0].base > offset {
		return nil
	}
	c := chunks[i]
	first := sort.Search(len(c.batches), func(i int) bool { return c.batches[i].last >= offset })
	start := 0
	if first > 0 {
		start = c.batches[first-1].end
	}
	end := start
	for _, b := range c.batches[first:] {
		if b.last >= limit || (end > start && b.end-start > maxBytes) {
			break
		}
		end = b.end
	}
	if end == start {
		return nil
	}
	t.wanted()
	return c.buf[start:end:end]
}
