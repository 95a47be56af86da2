package exec

import (
	"errors"
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// tableSession is the state of a partition while it is open, with the source that reads its topic.
type tableSession struct {
	p     *tablePart
	state StatePartition
	src   *source
	rows  *tableRows
	wake  chan struct{}
	// indexes keep the entries of the table's indexes; nil without.
	indexes *rowIndexes
	rel     *planner.Relation // as the source decodes
	shape   uint64            // of rel
	whole   int64             // the topic's end when it was opened
	epoch   int32             // of the leader that the last of them came from
	counted int64             // of the rows that the source has read
	inTurn  bool              // the place of a standby among those that read and write
	errs    tableErrors
}

// session opens the rows, catches up with the topic, and then follows it, or serves writers.
func (p *tablePart) session() (err error) {
	s := &tableSession{p: p, wake: make(chan struct{}, 1)}
	id := TableStateID(p.relation(), p.key.partition)
	if err := p.clearEarlier(id); err != nil {
		return err
	}
	if s.state, err = p.t.cfg.State.Partition(id); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.state.Close()) }()
	if err := s.open(); err != nil {
		return err
	}
	defer s.src.close()
	if err := s.reindex(); err != nil {
		return err
	}
	if err := s.catchUp(); err != nil {
		return err
	}
	if p.owner != nil {
		if err := s.settle(); err != nil {
			return err
		}
		p.setServing(true)
		defer p.setServing(false)
		return s.serve()
	}
	timer := p.t.cfg.Clock.NewTimer(markEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.wake:
		case <-p.altered:
			if err := s.alter(); err != nil {
				return err
			}
		case <-timer.C():
			if err := s.commit(s.newBatch(0, 0)); err != nil {
				return err
			}
			timer.Reset(markEvery)
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
		if err := s.catchUp(); err != nil {
			return err
		}
	}
}

// clearEarlier forgets the rows of the generations before the one that id names. This node may have missed some of them.
func (p *tablePart) clearEarlier(id StateID) error {
	for id.Fragment < tableFragment {
		id.Fragment++
		old, err := p.t.cfg.State.Partition(id)
		if err != nil {
			return err
		}
		if _, ok, markErr := old.Mark(); ok || markErr != nil {
			err = old.Clear()
		}
		if err := errors.Join(err, old.Close()); err != nil {
			return err
		}
	}
	return nil
}

// open builds the source and puts it behind the mark, or at the beginning if the mark does not fit the topic.
func (s *tableSession) open() error {
	cx := &opContext{env: newEnv(s.p.t.cfg.Clock), errors: &errorRows{clock: s.p.t.cfg.Clock}}
	s.rows = &tableRows{}
	s.rel = s.p.relation()
	rel := s.rel
	scan := &planner.Scan{Rel: rel, P: planner.Props{Mode: planner.ModeUpsert}}
	for i, c := range rel.Columns {
		scan.Cols = append(scan.Cols, i)
		scan.P.Cols = append(scan.P.Cols, planner.Col{Name: c.Name, Type: c.Type})
	}
	s.src = &source{log: s.p.t.cfg.Log, timer: s.p.t.cfg.Clock, tp: s.p.tp, to: edge{next: s.rows}, times: newTimeTracker(1)}
	s.rows.key, s.errs.found = rel.Key, cx.errors
	if err := newScanSource(s.src, scan, cx, s.p.t.cfg.Clock); err != nil {
		return err
	}
	s.src.before = s.takeTurn
	mark, ok, err := s.state.Mark()
	if err != nil {
		ok = false // damaged: rebuild
	}
	bounds, err := s.p.t.cfg.Log.Offsets(s.p.ctx, s.p.tp)
	if err != nil {
		return err
	}
	s.shape = tableShape(rel)
	at := mark.Changelog
	s.epoch = mark.ChangelogEpoch
	_, skipped, _ := marked(mark)
	s.p.setSkipped(skipped)
	if !ok || !s.trusts(mark, bounds) {
		if err := s.clear(); err != nil {
			return err
		}
		at, s.epoch = bounds.LogStart, bounds.LeaderEpoch
	}
	if err := s.loadErrors(); err != nil {
		return err
	}
	s.src.offset, s.src.next, s.whole = at, at, bounds.LastStable
	s.src.begun = math.MaxInt64 // rows that leave by RETENTION leave here
	s.src.cancel, err = s.p.t.cfg.Log.Subscribe(s.p.tp, s.wake)
	return err
}

// clear forgets the rows, after a word to those who ask how far they are.
func (s *tableSession) clear() error {
	s.p.caughtUp(nil)
	s.p.publish(-1)
	s.p.setSkipped(0)
	return s.state.Clear()
}

// catchUp takes in everything readable. Rows become visible batch by batch, each with its mark.
func (s *tableSession) catchUp() error {
	defer s.endTurn()
	for {
		if err := s.p.ctx.Err(); err != nil {
			return err
		}
		if s.p.owner == nil && len(s.p.altered) > 0 {
			return nil // that first: what is written may never rest
		}
		ok, err := s.src.fetch(s.p.ctx)
		if errors.Is(err, errSourceGone) {
			return errors.Join(errReload, s.clear())
		}
		if err != nil {
			return err
		}
		if !ok {
			if at, known := s.p.t.Position(s.p.key.oid, s.p.key.partition); !known || at != s.src.position() {
				if err := s.commit(s.newBatch(0, 0)); err != nil {
					return err
				}
			}
			s.noteWhole()
			return nil
		}
		b := s.newBatch(0, 0)
		if err := s.take(b); err != nil {
			return errors.Join(err, b.Close())
		}
		if err := s.commit(b); err != nil {
			return err
		}
	}
}

// followRows is about how many rows are written to the state at once: the more they are, the less does a row cost there.
const followRows = 16 << 10

// take adds what is left of the batch of records at hand to b, but no more than followRows.
func (s *tableSession) take(b StateBatch) error {
	s.rows.batch = b
	for first, last := s.src.rows, int64(-1); s.src.rows != last && s.src.rows-first < followRows; {
		last = s.src.rows
		if err := s.src.step(s.p.ctx, s.p.t.cfg.Clock.Now()); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until no transaction of an earlier life is open, and takes in what came of them: from then on the owner does not read the topic
// but writes it.
func (s *tableSession) settle() error {
	for {
		bounds, err := s.p.t.cfg.Log.Offsets(s.p.ctx, s.p.tp)
		if err != nil {
			return err
		}
		if err := s.catchUp(); err != nil {
			return err
		}
		if bounds.LastStable >= bounds.HighWatermark && s.src.end >= bounds.LastStable {
			return nil
		}
		select {
		case <-s.wake:
		case <-s.p.ctx.Done():
			return s.p.ctx.Err()
		}
	}
}

// commit writes b with a mark at the source's position and makes that known, after the records that it has gone past without were put by.
func (s *tableSession) commit(b StateBatch) error {
	at := s.src.position()
	s.epoch = max(s.epoch, s.src.fetched.LeaderEpoch)
	if err := s.addErrors(b); err != nil {
		return errors.Join(err, b.Close())
	}
	b.SetMark(s.mark(at))
	if err := b.Commit(); err != nil {
		return err
	}
	read := s.src.rows - s.counted
	s.counted = s.src.rows
	s.p.t.read.Add(read)
	s.p.mu.Lock()
	s.p.mu.read += read
	s.p.mu.Unlock()
	if err := s.writeErrors(); err != nil {
		return err
	}
	s.p.publish(at)
	s.noteWhole()
	return nil
}

// tableRows writes the changes of a table's topic into a state batch.
type tableRows struct {
	key   []int
	batch StateBatch
	cols  []*vec.Vector
	kbuf  []byte
	vbuf  []byte
}

func (r *tableRows) push(in chunk, _ int) error {
	r.cols = pick(r.cols, in.Cols, r.key)
	for i := range in.Len() {
		r.kbuf = appendKeyCols(r.kbuf[:0], r.cols, i)
		if !in.Op(i).Adds() {
			r.batch.Delete(tableRowsOp, r.kbuf)
			continue
		}
		r.vbuf = appendRowValue(r.vbuf[:0], in.Batch, i)
		r.batch.Set(tableRowsOp, r.kbuf, r.vbuf)
	}
	return nil
}

func (r *tableRows) flush(int64) error { return nil }
