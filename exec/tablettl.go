package exec

import (
	"errors"
	"time"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
)

// ttl of an ordinary table: its owner deletes rows whose rowtime plus ttl has been reached by the clock, as any client would: it locks them, looks at them
// again, and appends deletes. So an UPDATE, which gives a row another rowtime, keeps it, readers of the topic see a delete, and who
// owns the partition next goes on where the last one stood. Which rows are due is read from entries by rowtime, which are kept like those of an index.

const (
	tableExpiryOp = 3 // the operator number of the entries: rowtime, then the row's key
	expireEvery   = time.Second
	expireSoonest = 10 * time.Millisecond // between two looks, where ttl is shorter than expireEvery
	maxExpireRows = 1000                  // deleted in one transaction
)

// keepTTLLocked starts the goroutine that deletes rows, once the table has a ttl. The caller holds t.mu, and Tables is not closed.
func (p *tablePart) keepTTLLocked(rel *planner.Relation) {
	if p.owner == nil || rel.TTLMs == 0 || p.expires {
		return
	}
	p.expires = true
	p.t.wg.Go(p.expireRows)
}

// expireRows deletes rows whose time has come until the partition is stopped.
func (p *tablePart) expireRows() {
	for {
		more, err := p.expireSome()
		if err != nil && p.ctx.Err() == nil { // what passes: an alteration, a partition that is moved
			p.t.cfg.Logger.Info("rows whose ttl is over are still there", "table", p.name, "partition", p.key.partition, "err", err)
		}
		if more && err == nil && p.ctx.Err() == nil {
			continue
		}
		pause := expireEvery
		if ttl := p.relation().TTLMs; ttl > 0 {
			pause = max(min(pause, time.Duration(ttl)*time.Millisecond), expireSoonest)
		}
		if !clock.Wait(p.ctx, p.t.cfg.Clock, pause) {
			return
		}
	}
}

// canExpire reports whether the partition's rows are served with their entries by rowtime, under the definition rel.
func (p *tablePart) canExpire(rel *planner.Relation) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.rel == rel && p.mu.serving && p.mu.indexed[tableExpiryOp]
}

// expireSome deletes the oldest rows that are due, and reports whether there may be more. Rows that a transaction holds are left for later.
func (p *tablePart) expireSome() (more bool, err error) {
	rel := p.relation()
	if rel.TTLMs == 0 || !p.canExpire(rel) {
		return false, nil
	}
	last := p.t.cfg.Clock.Now().UnixMilli() - rel.TTLMs // the latest rowtime that is due
	rows := NewRowBatch(rel, 0)
	err = p.withReader(rel, func(r *TableReader) error {
		it, err := r.rows.Iter(tableExpiryOp, nil, appendTime(nil, last+1))
		if err != nil {
			return err
		}
		due := &IndexScan{r: r, it: it}
		_, err = due.Next(rows, maxExpireRows)
		return errors.Join(err, due.Close())
	})
	if err != nil || rows.Len() == 0 {
		return false, err
	}
	tx := p.t.Begin(maxTransactionBuffer)
	defer tx.Rollback()
	n, err := p.deleteDue(tx, rel, rows, last)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Commit(p.ctx)
	return rows.Len() == maxExpireRows, err
}

// deleteDue locks those of rows that nobody holds and writes deletes of those that are still due, as of their end. It returns how many.
func (p *tablePart) deleteDue(tx *WriteTx, rel *planner.Relation, rows *vec.Batch, last int64) (int, error) {
	x, err := tx.table(rel)
	if err != nil {
		return 0, err
	}
	keys := pick(nil, rows.Cols, rel.Key)
	var locked [][]byte
	for i := range rows.Len() {
		ok, err := tx.lockFree(x, keys, i)
		if err != nil {
			return 0, err
		}
		if ok {
			locked = append(locked, x.index.key(x.places[0]))
		}
	}
	if !p.canExpire(rel) { // the outcome of a write may be unknown: its locks are free, and its rows are not in the state
		return 0, nil
	}
	gone, now := NewRowBatch(rel, len(locked)), NewRowBatch(rel, 1)
	err = p.withReader(rel, func(r *TableReader) error {
		for _, key := range locked {
			now.Reset()
			found, err := r.get(now, key)
			if err != nil {
				return err
			}
			if !found || now.Rowtime[0] > last {
				continue
			}
			for c, col := range gone.Cols {
				col.AppendRow(now.Cols[c], 0)
			}
			finishRow(gone, vec.Delete, now.Rowtime[0]+rel.TTLMs)
		}
		return nil
	})
	if err != nil || gone.Len() == 0 {
		return 0, err
	}
	return gone.Len(), tx.Write(rel, gone)
}

// withReader calls f with the partition's rows as of now.
func (p *tablePart) withReader(rel *planner.Relation, f func(*TableReader) error) (err error) {
	snap := p.t.cfg.State.Snapshot()
	defer func() { err = errors.Join(err, snap.Close()) }()
	r, ok, err := NewTableReader(snap, rel, p.key.partition)
	if err != nil || !ok {
		return err
	}
	return f(r)
}

// lockFree locks the key of row i of cols, the key columns in key order, unless another transaction holds it. x.places has its number then.
func (tx *WriteTx) lockFree(x *txTable, cols []*vec.Vector, i int) (bool, error) {
	x.places = x.places[:0]
	if err := x.meetSome(cols, i, i+1); err != nil {
		x.forgetUnlocked()
		return false, err
	}
	if !tx.t.locks.takeFree(x) {
		x.forgetUnlocked()
		return false, nil
	}
	return true, nil
}
