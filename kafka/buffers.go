package kafka

import (
	"math/bits"
	"sync"
)

const (
	// minBufferBytes and maxBufferBytes bound the buffers that are kept; a larger request has one of its own.
	minBufferBytes = 4 << 10
	maxBufferBytes = 2 << 20
	// freeBufferBytes bounds what is kept while nobody uses it.
	freeBufferBytes = 8 << 20
	bufferSizes     = 10 // powers of two from minBufferBytes to maxBufferBytes
)

// buffers lends the memory that requests are read into. A request needs its bytes only until it is started, so few buffers serve many connections; without this each large Produce request
// would be garbage.
type buffers struct {
	mu struct {
		sync.Mutex
		free  [bufferSizes][][]byte // by size
		bytes int
	}
}

// bufferSize is the index of the smallest size that holds n bytes.
func bufferSize(n int) int {
	return max(bits.Len(uint(max(n, 1)-1))-bits.Len(uint(minBufferBytes-1)), 0)
}

// get returns n bytes with anything in them.
func (b *buffers) get(n int) []byte {
	if n > maxBufferBytes {
		return make([]byte, n)
	}
	size := bufferSize(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.mu.free[size]
	if len(free) == 0 {
		return make([]byte, n, minBufferBytes<<size)
	}
	last := len(free) - 1
	buf := free[last]
	free[last], b.mu.free[size] = nil, free[:last]
	b.mu.bytes -= cap(buf)
	return buf[:n]
}

// put takes back what get has returned.
func (b *buffers) put(buf []byte) {
	if cap(buf) > maxBufferBytes {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.bytes+cap(buf) > freeBufferBytes {
		return
	}
	size := bufferSize(cap(buf))
	b.mu.free[size] = append(b.mu.free[size], buf)
	b.mu.bytes += cap(buf)
}
