package engine

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// A sequence is a catalog object. A node takes blocks of values by compare-and-swap of the object and hands them out from memory, so a
// value is given once, whatever dies; what a node had left of a block when it died is a gap.

// The sizes of blocks: the first one, and the most that a block grows to while they are used up fast.
const (
	firstBlock = 32
	largeBlock = 8192
	fastBlock  = time.Second
)

// sequenceBlock are values that this node may hand out: next, next+step, ... Guarded by sequences.mu, or a session's own.
type sequenceBlock struct {
	next, step int64
	left       int64
	size       int64
	taken      time.Time
}

func (b *sequenceBlock) take() (int64, bool) {
	if b == nil || b.left == 0 {
		return 0, false
	}
	v := b.next
	b.left--
	if b.left > 0 {
		b.next += b.step
	}
	return v, true
}

// blockSize is how many values the next block should have.
func (d *sequenceDefinition) blockSize(last *sequenceBlock, now time.Time) int64 {
	size := int64(firstBlock)
	if last != nil {
		if size = last.size; now.Sub(last.taken) < fastBlock {
			size = min(2*size, largeBlock)
		}
	}
	return max(size, d.Cache)
}

// nextBlock takes the next block off a sequence, of which the last one was last.
func (d *sequenceDefinition) nextBlock(name string, last *sequenceBlock, now time.Time) (*sequenceBlock, error) {
	size := d.blockSize(last, now)
	block, ok := d.cut(size)
	if !ok {
		return nil, d.ended(name)
	}
	block.size, block.taken = size, now
	return &block, nil
}

// sequences are the blocks of this node.
type sequences struct {
	mu struct {
		sync.Mutex
		blocks map[metadata.OID]*sequenceBlock
		// taking are the sequences of which somebody is taking the next block. That is a change of the metadata, which nobody is to wait for who needs another sequence. Closed when it is over.
		taking map[metadata.OID]chan struct{}
	}
}

func (q *sequences) init() {
	q.mu.blocks, q.mu.taking = map[metadata.OID]*sequenceBlock{}, map[metadata.OID]chan struct{}{}
}

// next hands out a value of a sequence's block. If the block is used up, last, it is for the caller to take the next one and to call taken then; while somebody does, next waits, as long as ctx lasts.
func (q *sequences) next(ctx context.Context, oid metadata.OID) (v int64, ok bool, last *sequenceBlock, err error) {
	for {
		q.mu.Lock()
		last = q.mu.blocks[oid]
		v, ok = last.take()
		taking := q.mu.taking[oid]
		if !ok && taking == nil {
			q.mu.taking[oid] = make(chan struct{})
		}
		q.mu.Unlock()
		if ok || taking == nil {
			return v, ok, last, nil
		}
		select {
		case <-taking:
		case <-ctx.Done():
			return 0, false, nil, cause(ctx, ctx.Err())
		}
	}
}

// taken ends the taking of a block.
func (q *sequences) taken(oid metadata.OID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.mu.taking[oid])
	delete(q.mu.taking, oid)
}

// keep makes a block the one to hand out from, if it fits: not if the sequence was changed since. Who changes it calls forget afterwards.
func (q *sequences) keep(oid metadata.OID, block *sequenceBlock, fits func() bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !fits() {
		return false
	}
	q.mu.blocks[oid] = block
	return true
}

// forget makes the next value of a sequence come from a new block.
func (q *sequences) forget(oid metadata.OID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.mu.blocks, oid)
}

// giveUp returns the blocks, which are handed out from no more.
func (q *sequences) giveUp() map[metadata.OID]*sequenceBlock {
	q.mu.Lock()
	defer q.mu.Unlock()
	blocks := q.mu.blocks
	q.mu.blocks = map[metadata.OID]*sequenceBlock{}
	return blocks
}

// nextValue hands out a value, from this node's block or a new one.
func (e *Engine) nextValue(ctx context.Context, oid metadata.OID) (int64, error) {
	v, ok, last, err := e.sequences.next(ctx, oid)
	if ok || err != nil {
		return v, err
	}
	defer e.sequences.taken(oid)
	return e.takeBlock(ctx, oid, last)
}

// takeBlock takes the next block of a sequence, and hands out its first value.
func (e *Engine) takeBlock(ctx context.Context, oid metadata.OID, last *sequenceBlock) (int64, error) {
	for {
		o, ok := e.meta.Image().Object(oid)
		if !ok {
			return 0, sqlerr.New(sqlerr.UndefinedTable, "sequence %d was dropped", oid)
		}
		def, err := sequenceDef(o)
		if err != nil {
			return 0, err
		}
		block, err := def.nextBlock(o.Name, last, e.clock.Now())
		if err != nil {
			return 0, err
		}
		if err := e.putSequence(ctx, o, def); errors.Is(err, metadata.ErrVersionConflict) {
			continue
		} else if err != nil {
			return 0, ddlError(err)
		}
		v, _ := block.take()
		if e.sequences.keep(oid, block, func() bool {
			now, ok := e.meta.Image().Object(oid)
			return ok && now.Version == o.Version+1
		}) {
			return v, nil
		}
	}
}

// putSequence makes a sequence's new state durable.
func (e *Engine) putSequence(ctx context.Context, o *metadata.Object, def sequenceDefinition) error {
	next := *o
	var err error
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	b := e.meta.NewBatch()
	b.PutObject(next)
	_, err = e.meta.Apply(ctx, b)
	return err
}

// setValue is setval: the next value is v, or with called the one after it. What this node had left of its block is forgotten.
func (e *Engine) setValue(ctx context.Context, oid metadata.OID, v int64, called bool) error {
	for {
		o, ok := e.meta.Image().Object(oid)
		if !ok {
			return sqlerr.New(sqlerr.UndefinedTable, "sequence %d was dropped", oid)
		}
		def, err := sequenceDef(o)
		if err != nil {
			return err
		}
		if err := def.set(o.Name, v, called); err != nil {
			return err
		}
		if err := e.putSequence(ctx, o, def); errors.Is(err, metadata.ErrVersionConflict) {
			continue
		} else if err != nil {
			return ddlError(err)
		}
		e.sequences.forget(oid)
		return nil
	}
}

// giveBack returns what is left of this node's blocks, so that an orderly stop leaves no gaps. A sequence that another node has taken from
// meanwhile keeps its gap.
func (e *Engine) giveBack(ctx context.Context) {
	for oid, b := range e.sequences.giveUp() {
		o, ok := e.meta.Image().Object(oid)
		if !ok || b.left == 0 {
			continue
		}
		def, err := sequenceDef(o)
		if err != nil {
			continue
		}
		last := b.next + b.step*(b.left-1)
		if after, more := def.after(last); def.Cycle || more == def.Ended || more && after != def.Next {
			continue
		}
		def.Next, def.Ended = b.next, false
		if err := e.putSequence(ctx, o, def); err != nil {
			e.logger.Warn("values of a sequence are not given back", "sequence", o.Name, "err", err)
		}
	}
}

// lastValue is the last value that a sequence gave, as far as this node knows; if it gave none, its first.
func (e *Engine) lastValue(oid metadata.OID, def sequenceDefinition) int64 {
	e.sequences.mu.Lock()
	defer e.sequences.mu.Unlock()
	switch b := e.sequences.mu.blocks[oid]; {
	case !def.Called || def.Ended:
		return def.Next
	case b == nil || b.left == 0:
		return def.Next - def.Increment
	default:
		return b.next - b.step
	}
}
