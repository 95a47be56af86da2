package exec

import "sync"

// rowArena keeps the encoded rows of a transaction in chunks, so that none is copied as there come more. The largest chunks are used again by
// later transactions.
type rowArena struct {
	chunks [][]byte
	pool   *chunkPool
}

// rowPlace is where a row lies in an arena.
type rowPlace struct{ chunk, off, len uint32 }

const (
	// minRowChunk and maxRowChunk are the sizes of the first chunk of an arena and of most of a large one; a row that is larger has a chunk of its own.
	minRowChunk = 1 << 10
	maxRowChunk = 1 << 20
	// rowChunkGrowth is how much larger than the one before it a chunk is, up to maxRowChunk.
	rowChunkGrowth = 4
)

// add keeps the row that encode appends to its argument.
func (a *rowArena) add(encode func(dst []byte) []byte) rowPlace {
	last := len(a.chunks) - 1
	if last < 0 {
		a.chunks, last = append(a.chunks, make([]byte, 0, minRowChunk)), 0
	}
	chunk := a.chunks[last]
	row := encode(chunk[len(chunk):])
	if len(row) > cap(chunk)-len(chunk) { // append has made room elsewhere
		last++
		chunk = a.nextChunk(len(row))
		a.chunks = append(a.chunks, chunk)
		copy(chunk[:len(row)], row)
	}
	at := rowPlace{chunk: uint32(last), off: uint32(len(chunk)), len: uint32(len(row))}
	a.chunks[last] = chunk[:len(chunk)+len(row)]
	return at
}

// nextChunk makes an empty chunk that a row of size bytes fits into.
func (a *rowArena) nextChunk(size int) []byte {
	room := min(rowChunkGrowth*cap(a.chunks[len(a.chunks)-1]), maxRowChunk)
	switch {
	case size > room:
		return make([]byte, 0, size)
	case room == maxRowChunk:
		return a.pool.get()
	}
	return make([]byte, 0, room)
}

// row returns the row at a place. It aliases the arena.
func (a *rowArena) row(at rowPlace) []byte {
	return a.chunks[at.chunk][at.off : at.off+at.len : at.off+at.len]
}

// truncate forgets the row at a place and all that were added after it.
func (a *rowArena) truncate(at rowPlace) {
	a.chunks = a.chunks[:at.chunk+1]
	a.chunks[at.chunk] = a.chunks[at.chunk][:at.off]
}

// size returns the bytes of all rows.
func (a *rowArena) size() int64 {
	var n int64
	for _, c := range a.chunks {
		n += int64(len(c))
	}
	return n
}

// release forgets all rows and lets others have the chunks: nobody may look at a row any more.
func (a *rowArena) release() {
	for _, c := range a.chunks {
		a.pool.put(c)
	}
	a.chunks = nil
}

// chunkPool keeps chunks of maxRowChunk bytes until the next garbage collection but one.
type chunkPool struct{ free sync.Pool }

func (p *chunkPool) get() []byte {
	if c, ok := p.free.Get().(*[maxRowChunk]byte); ok {
		return c[:0]
	}
	return make([]byte, 0, maxRowChunk)
}

func (p *chunkPool) put(chunk []byte) {
	if cap(chunk) == maxRowChunk {
		p.free.Put((*[maxRowChunk]byte)(chunk[:maxRowChunk]))
	}
}
