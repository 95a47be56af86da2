package vec

import (
	"sync"

	"github.com/millracedb/millrace/sql/types"
)

// MaxPooledBatchBytes is the largest batch that a Pool keeps; a larger one, which held unusual rows, is left to the
// collector.
const MaxPooledBatchBytes = 4 << 20

// Pool keeps a bounded number of empty batches of one schema for reuse. It is safe for concurrent use.
type Pool struct {
	schema []types.Type
	rows   int
	limit  int
	mu     struct {
		sync.Mutex
		free []*Batch
	}
}

// NewPool returns a pool of batches with room for rows rows at first, which keeps at most limit of them.
func NewPool(schema []types.Type, rows, limit int) *Pool {
	return &Pool{schema: schema, rows: rows, limit: limit}
}

// Get returns an empty batch, which the caller then owns.
func (p *Pool) Get() *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.mu.free); n > 0 {
		b := p.mu.free[n-1]
		p.mu.free = p.mu.free[:n-1]
		return b
	}
	return NewBatch(p.schema, p.rows)
}

// Put takes back a batch that Get returned. The caller must not use it, nor anything that aliases it, again.
func (p *Pool) Put(b *Batch) {
	if b.MemSize() > MaxPooledBatchBytes {
		return
	}
	b.Reset()
	b.Rowtime, b.Source = nil, nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.free) < p.limit {
		p.mu.free = append(p.mu.free, b)
	}
}
