package exec

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// maxOwnerQueue bounds the writes that wait for one partition.
const maxOwnerQueue = 1024

// ownerQueue is what transactions hand to the goroutine that owns a partition.
type ownerQueue struct {
	writes chan *ownerWrite
}

func newOwnerQueue() *ownerQueue { return &ownerQueue{writes: make(chan *ownerWrite, maxOwnerQueue)} }

// ownerWrite is one transaction's part for one partition. With batch set the owner appends it, together with what others have
// handed in; without, the partition belongs to the transaction from granted until it sends its outcome to done.
type ownerWrite struct {
	batch []byte
	rows  int // that apply sets or deletes, with keys and values of so many bytes
	bytes int
	// apply writes the rows, if asked to in the order of their keys.
	apply   func(b StateBatch, inOrder bool)
	end     int64 // out: the offset after the last record
	err     error
	taken   atomic.Bool // by the owner, who will answer; or by the writer, when the owner is gone
	granted chan struct{}
	outcome chan ownerOutcome // of a transaction over several partitions
	done    chan struct{}
}

// ownerOutcome tells the owner how a transaction over several partitions ended.
type ownerOutcome struct {
	end int64
	err error
}

// handIn gives w to the owner of p.
func (p *tablePart) handIn(ctx context.Context, w *ownerWrite) error {
	select {
	case p.owner.writes <- w:
		return nil
	case <-p.done:
		return p.lost()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *tablePart) lost() error {
	return sqlerr.New(sqlerr.SerializationFailure, "partition %d of table %q is not kept here any more: the table was dropped, or the partition moved to another node",
		p.key.partition, p.name).WithHint("Run the transaction again.")
}

// serve appends what transactions hand in until the partition is stopped. What they have handed in by then is still done, for they could only be
// told that its outcome is unknown. An append whose outcome is unknown ends the session: the next one reads what the topic has.
func (s *tableSession) serve() error {
	timer := s.p.t.cfg.Clock.NewTimer(markEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.p.ctx.Done():
			return errors.Join(s.p.ctx.Err(), s.drain())
		case <-s.p.altered:
			if err := s.alter(); err != nil {
				return err
			}
		case <-timer.C():
			if err := s.commit(s.newBatch(0, 0)); err != nil {
				return err
			}
			timer.Reset(markEvery)
		case w := <-s.p.owner.writes:
			if err := s.do(w); err != nil {
				return err
			}
		}
	}
}

// drain does what has been handed in, and does not wait for more.
func (s *tableSession) drain() error {
	for {
		select {
		case w := <-s.p.owner.writes:
			if err := s.do(w); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// do makes a transaction's turn, and those of the ones that wait behind it as far as they can be one append.
func (s *tableSession) do(first *ownerWrite) error {
	if !first.taken.CompareAndSwap(false, true) {
		return nil
	}
	if first.batch == nil {
		return s.lend(first)
	}
	held, err := s.appendAll(first)
	if err != nil || held == nil {
		return err
	}
	return s.lend(held)
}

// maxOwnerGather bounds how many transactions are appended at once.
const maxOwnerGather = 256

// appendAll appends first and what else waits, as one append, and answers all. A transaction over several partitions that it
// meets in the queue is returned for its turn.
func (s *tableSession) appendAll(first *ownerWrite) (held *ownerWrite, err error) {
	writes := []*ownerWrite{first}
gather:
	for len(writes) < maxOwnerGather {
		select {
		case w := <-s.p.owner.writes:
			switch {
			case !w.taken.CompareAndSwap(false, true):
			case w.batch == nil:
				held = w
				break gather
			default:
				writes = append(writes, w)
			}
		default:
			break gather
		}
	}
	batches := make([]PartitionBatch, len(writes))
	for i, w := range writes {
		batches[i] = PartitionBatch{TopicPartition: s.p.tp, Batch: w.batch}
	}
	placed, err := s.p.t.cfg.Log.Append(s.p.t.ctx, batches) // a partition that is stopped finishes it
	if err == nil {
		err = s.applyAll(writes, placed)
	}
	if err != nil {
		s.p.setServing(false)
	}
	for _, w := range writes {
		w.err = unknownOutcome(err)
		close(w.done)
	}
	if err == nil {
		return held, nil
	}
	if held != nil {
		held.err = s.p.lost()
		close(held.done)
	}
	return nil, errors.Join(errReload, err)
}

// turnAway answers the writes that wait when the partition is no longer owned here: nothing was done for them.
func (p *tablePart) turnAway() {
	if p.owner == nil {
		return
	}
	for {
		select {
		case w := <-p.owner.writes:
			if w.taken.CompareAndSwap(false, true) {
				w.err = p.lost()
				close(w.done)
			}
		default:
			return
		}
	}
}

// unknownOutcome is what a client is told of an append that failed: the rows may be there.
func unknownOutcome(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable):
		return sqlerr.New(sqlerr.InsufficientResources, "the table's partition takes no writes now: %w", err)
	default:
		return sqlerr.New(sqlerr.StatementCompletionUnknown, "whether the rows were written is unknown: %w", err).
			WithHint("Read the rows to see whether the change is there.")
	}
}

func (s *tableSession) applyAll(writes []*ownerWrite, placed []Appended) error {
	rows, bytes := 0, 0
	for _, w := range writes {
		rows, bytes = rows+w.rows, bytes+w.bytes
	}
	var b StateBatch
	if len(writes) == 1 && s.isLoad(writes[0]) {
		b = s.load(writes[0])
	} else {
		b = s.newBatch(rows, bytes)
		for _, w := range writes {
			w.apply(b, false)
		}
	}
	end, epoch := s.src.position(), int32(0)
	for i, w := range writes {
		h, err := record.ParseHeader(w.batch)
		if err != nil {
			return errors.Join(err, b.Close())
		}
		w.end = placed[i].BaseOffset + int64(h.Count)
		end, epoch = max(end, w.end), placed[i].LeaderEpoch
	}
	return s.moveTo(b, end, epoch)
}

// loadBytes is from how many bytes of keys and values on a transaction's rows are a load for the state.
const loadBytes = 2 << 20

// isLoad reports whether the rows of a transaction are so many that they are worth a load: without indexes, whose entries would lie between them.
func (s *tableSession) isLoad(w *ownerWrite) bool { return w.bytes >= loadBytes && s.indexes == nil }

// load makes a load of a transaction's rows.
func (s *tableSession) load(w *ownerWrite) StateBatch {
	b := s.state.NewLoad()
	w.apply(b, true)
	b.Finish()
	return b
}

// moveTo commits b with the mark at end. The owner is the topic's only writer, so nothing lies between but markers.
func (s *tableSession) moveTo(b StateBatch, end int64, epoch int32) error {
	s.src.offset, s.src.next = end, end
	s.src.fetched.LeaderEpoch = epoch
	return s.commit(b)
}

// lend leaves the partition to a transaction over several until it says how it ended. Meanwhile the rows are made ready.
func (s *tableSession) lend(w *ownerWrite) (err error) {
	close(w.granted)
	defer func() {
		if err != nil {
			s.p.setServing(false)
		}
		w.err = err
		close(w.done)
	}()
	var b StateBatch
	if s.isLoad(w) {
		b = s.load(w)
	} else {
		b = s.newBatch(w.rows, w.bytes)
		w.apply(b, false)
	}
	select {
	case out := <-w.outcome:
		switch {
		case errors.Is(out.err, errNothingWritten):
			return b.Close()
		case out.err != nil:
			return errors.Join(errReload, out.err, b.Close())
		}
		if err := s.moveTo(b, out.end, s.src.fetched.LeaderEpoch); err != nil {
			return err
		}
		return s.catchUp() // past the transaction's marker, which readers wait for
	case <-s.p.t.ctx.Done():
		return errors.Join(s.p.t.ctx.Err(), b.Close())
	}
}

// errNothingWritten is the outcome of a transaction that gave the partition back unused.
var errNothingWritten = errors.New("nothing was written")

// hiddenKey gives a pair that no row of the partition has in its hidden key: the log position at which this node became the
// owner, and a count. If two owners began at one position, the first of them wrote nothing.
func (p *tablePart) hiddenKey() (began int64, count uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.hidden == 0 {
		p.mu.began = p.mu.position
	}
	p.mu.hidden++
	return p.mu.began, p.mu.hidden
}
