package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// Limits of reading.
const (
	fetchBytes      = 1 << 20 // asked for at once
	sourceBatchRows = 2048    // decoded before they go on
	trimEvery       = 1000    // records of an exchange that are deleted at once, behind the committed position
)

// source reads one partition of one leaf of a fragment: it fetches, decodes, and keeps stream time. One goroutine uses it.
type source struct {
	log     Log
	timer   clock.Clock
	tp      TopicPartition
	to      edge
	at      *opCount // the counters of the leaf
	decode  recordDecoder
	scan    *planner.Scan // what it reads, nil for an exchange
	times   *timeTracker
	drives  bool // its time counts for the task's
	isTable bool // a table that must be read before the stream rows that look it up
	exact   bool // rows carry the stream time they were read at

	offset  int64 // next to be fetched
	next    int64 // next whose effects are in the round
	end     int64 // last stable offset as of the last fetch
	fetched Fetched
	frames  record.CommittedReader
	iter    record.Iterator
	open    bool   // iter is within a batch
	peeked  bool   // iter.Record waits to be decoded
	quiet   bool   // drained, and nothing has told of more
	fresh   bool   // fetched since tables were last caught up
	more    []bool // by writer of an exchange: it has said in this round that it goes on
	cancel  func()
	// before, where set, is called when something is to be fetched: nothing that was fetched is held then.
	before func(context.Context) error

	batch   *vec.Batch
	clock   []int64
	heardAt time.Time
	rows    int64
	begun   int64 // a table's end when a query began to read it: rows that left by RETENTION before are not in it
	trimmed int64 // an exchange's records below were deleted
}

// settleEvery is the time between two looks whether a partition has settled.
const settleEvery = 10 * time.Millisecond

// awaitLeader pauses before another read of a partition whose leader knew less than the one before it: it has just been elected, and learns in a moment how far that had come (KIP-207).
func awaitLeader(ctx context.Context, c clock.Clock) error {
	if !clock.Wait(ctx, c, settleEvery) {
		return ctx.Err()
	}
	return nil
}

// recordDecoder turns records into rows of a batch.
type recordDecoder interface {
	// record appends the rows of a record to the source's batch, or keeps it as an error row.
	record(s *source, r *record.Record) error
	// finish is called before a batch that record left in s leaves.
	finish(s *source)
}

var errSourceGone = errors.New("the offset to be read next is gone")

// fetch makes sure that there is something decodable at hand. It reports false at the end of what is readable.
func (s *source) fetch(ctx context.Context) (bool, error) {
	for {
		if s.peeked {
			return true, nil
		}
		if s.open && s.iter.Next() {
			if s.iter.Record.Offset < s.next {
				continue // a batch may begin before the offset asked for
			}
			s.peeked = true
			return true, nil
		}
		if s.open && s.iter.Err() != nil {
			return false, fmt.Errorf("read %s-%d: %w", s.tp.Topic, s.tp.Partition, s.iter.Err())
		}
		s.open = false
		more, err := s.nextFrame(ctx)
		if err != nil || !more {
			return false, err
		}
	}
}

// nextFrame opens the next committed batch, fetching when what was fetched is used up.
func (s *source) nextFrame(ctx context.Context) (bool, error) {
	if s.fetched.Release != nil {
		_, frame, ok, err := s.frames.Next()
		if err != nil {
			return false, fmt.Errorf("read %s-%d: %w", s.tp.Topic, s.tp.Partition, err)
		}
		if ok {
			s.open = true
			return true, s.iter.Reset(frame)
		}
		s.offset = max(s.offset, lastOffset(s.fetched.Batches)+1)
		s.next = s.offset
		s.release()
	}
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return false, err
		}
	}
	f, err := fetchFrom(ctx, s.log, s.timer, s.tp, s.offset)
	if errors.Is(err, ErrOffsetOutOfRange) {
		return false, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "records of topic %q, partition %d, that were to be read next are gone: %w",
			s.tp.Topic, s.tp.Partition, errSourceGone).
			WithDetail("The next offset is %d.", s.offset).
			WithHint("The topic's retention was shorter than the query was behind, or the topic was made anew. Make the query anew.")
	}
	if err != nil {
		return false, err
	}
	s.end = f.LastStable
	if len(f.Batches) == 0 {
		f.Release()
		return false, nil
	}
	aborted := make([]record.AbortedTxn, len(f.Aborted))
	for i, a := range f.Aborted {
		aborted[i] = record.AbortedTxn(a)
	}
	s.fetched, s.fresh = f, true
	s.frames.Reset(f.Batches, aborted)
	return s.nextFrame(ctx)
}

// leaderPatience bounds how long a read waits for a leader that knows of the records before the next offset.
const leaderPatience = 30 * time.Second

// fetchFrom fetches from an offset that has been reached before. That it lies beyond the end does not say that records are gone: whoever answers may not have heard yet that another node
// leads, which has more.
func fetchFrom(ctx context.Context, l Log, c clock.Clock, tp TopicPartition, offset int64) (Fetched, error) {
	for begun := c.Now(); ; {
		f, err := l.Fetch(ctx, tp, offset, fetchBytes)
		if !errors.Is(err, ErrOffsetOutOfRange) || c.Since(begun) > leaderPatience {
			return f, err
		}
		bounds, boundsErr := l.Offsets(ctx, tp)
		if boundsErr != nil {
			return f, boundsErr
		}
		if offset < bounds.LogStart {
			return f, err
		}
		if err := awaitLeader(ctx, c); err != nil {
			return f, err
		}
	}
}

func (s *source) release() {
	if s.fetched.Release != nil {
		s.fetched.Release()
		s.fetched = Fetched{}
	}
	s.open, s.peeked = false, false
}

// lastOffset returns the offset of the last record in whole batches, -1 if there is none.
func lastOffset(frames []byte) int64 {
	last := int64(-1)
	for len(frames) > 0 {
		h, _, rest, err := record.Next(frames)
		if err != nil {
			break
		}
		last, frames = h.LastOffset(), rest
	}
	return last
}

// firstTime is the timestamp of the record that waits; call it after fetch has returned true.
func (s *source) firstTime() int64 { return s.iter.Record.Timestamp }

// step decodes what is at hand, up to one batch of rows, and sends it on. What needs another fetch is left for later.
func (s *source) step(ctx context.Context, wall time.Time) error {
	if m := s.to.m; m != nil {
		defer m.enter(m.enter(s.at))
	}
	s.batch.Reset()
	s.batch.Source = nil
	s.clock = s.clock[:0]
	for s.batch.Len() < sourceBatchRows {
		if !s.peeked {
			if !s.open || !s.iter.Next() {
				break
			}
			if s.iter.Record.Offset < s.next {
				continue
			}
		}
		s.peeked = false
		r := &s.iter.Record
		s.next = r.Offset + 1
		if err := s.decode.record(s, r); err != nil {
			return err
		}
	}
	s.heardAt = wall
	if s.iter.Err() != nil {
		return fmt.Errorf("read %s-%d: %w", s.tp.Topic, s.tp.Partition, s.iter.Err())
	}
	s.decode.finish(s)
	return s.sendBatch()
}

// sendBatch sends the rows decoded so far.
func (s *source) sendBatch() error {
	if s.batch.Len() == 0 {
		return nil
	}
	s.rows += int64(s.batch.Len())
	c := chunk{s.batch, nil}
	if s.exact {
		c.clock = s.clock
	}
	err := s.to.send(c)
	s.batch.Reset()
	s.batch.Source = nil
	s.clock = s.clock[:0]
	return err
}

// drained reports whether everything readable at the last fetch was decoded.
func (s *source) drained() bool { return !s.peeked && !s.open && s.fetched.Release == nil }

// position is the next offset to be read: what lies before it has had its effects.
func (s *source) position() int64 { return s.next }

func (s *source) close() {
	s.release()
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
}
