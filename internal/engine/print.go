package engine

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

const (
	// printFetchBytes is how much PRINT fetches of a partition at a time.
	printFetchBytes = 256 << 10
	// printRows is how many records PRINT gives at once.
	printRows = 1000
)

func printColumns() []column {
	return []column{
		{name: "partition", typ: types.Of(types.Int4)},
		{name: "offset", typ: types.Of(types.Int8)},
		{name: "timestamp", typ: types.Of(types.TimestampTZ)},
		{name: "key", typ: types.Of(types.Text)},
		{name: "value", typ: types.Of(types.Text)},
	}
}

// analyzePrint gives PRINT its columns. Without a LIMIT it is endless, and like a push query answers as push_output says.
func (s *session) analyzePrint(st *statement, q *sql.Print) {
	st.cols, st.verb, st.counts = printColumns(), "SELECT", true
	if q.Limit < 0 && s.set.must("push_output") == "copy" {
		st.kind = pgwire.PortalCopyOut
	}
}

// printing is PRINT in progress: the records of a topic as they are, partition by partition, those that are there and then those that come.
type printing struct {
	log    exec.Log
	parts  []printPart
	wake   chan struct{}
	every  int64 // one record of so many is shown
	passed int64
	left   int64 // records to show; negative for all
	frames record.CommittedReader
	it     record.Iterator
}

type printPart struct {
	tp     exec.TopicPartition
	offset int64 // of the next record to be read
	cancel func()
}

// print runs PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n].
func (s *session) print(ctx context.Context, p *portal, q *sql.Print) (rows, error) {
	count, err := s.e.log.PartitionCount(ctx, q.Topic)
	if errors.Is(err, exec.ErrUnknownTopic) {
		return nil, sqlerr.New(sqlerr.UndefinedObject, "topic %q does not exist", q.Topic).WithHint("SHOW TOPICS lists those that do.").At(q.Offset())
	}
	if err != nil {
		return nil, cause(ctx, err)
	}
	if q.Limit < 0 {
		s.warnPsql(p)
	}
	r := &printing{log: s.e.log, wake: make(chan struct{}, 1), every: max(1, q.Interval), left: q.Limit}
	for i := range count {
		part := printPart{tp: tpOf(q.Topic, i)}
		bounds, err := r.log.Offsets(ctx, part.tp)
		if err == nil {
			part.offset = bounds.LastStable
			if q.FromBeginning {
				part.offset = bounds.LogStart
			}
			part.cancel, err = r.log.Subscribe(part.tp, r.wake)
		}
		if err != nil {
			r.close()
			return nil, cause(ctx, err)
		}
		r.parts = append(r.parts, part)
	}
	return r, nil
}

func (r *printing) next(ctx context.Context, wait bool) (*vec.Batch, pgwire.Progress, error) {
	for {
		if r.left == 0 {
			return nil, pgwire.Done, nil
		}
		out := newColumnBatch(printColumns(), 0)
		for i := range r.parts {
			if err := r.read(ctx, &r.parts[i], out); err != nil {
				return nil, pgwire.Done, cause(ctx, err)
			}
		}
		switch {
		case out.Len() > 0:
			return out, pgwire.More, nil
		case !wait:
			return nil, pgwire.Idle, nil
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, pgwire.Done, cause(ctx, ctx.Err())
		}
	}
}

// read appends what comes next of one partition.
func (r *printing) read(ctx context.Context, p *printPart, out *vec.Batch) error {
	for r.left != 0 && out.Len() < printRows {
		from := p.offset
		f, err := r.log.Fetch(ctx, p.tp, from, printFetchBytes)
		if errors.Is(err, exec.ErrOffsetOutOfRange) { // retention has taken it
			bounds, err := r.log.Offsets(ctx, p.tp)
			if err != nil || bounds.LogStart <= from {
				return err
			}
			p.offset = bounds.LogStart
			continue
		}
		if err != nil {
			return err
		}
		err = r.records(p, f, out)
		f.Release()
		if err != nil || p.offset == from {
			return err
		}
	}
	return nil
}

// records appends the records of a fetch, up to the limit of the statement.
func (r *printing) records(p *printPart, f exec.Fetched, out *vec.Batch) error {
	aborted := make([]record.AbortedTxn, len(f.Aborted))
	for i, a := range f.Aborted {
		aborted[i] = record.AbortedTxn(a)
	}
	r.frames.Reset(f.Batches, aborted)
	for {
		_, frame, ok, err := r.frames.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := r.it.Reset(frame); err != nil {
			return err
		}
		for r.it.Next() {
			x := &r.it.Record
			if x.Offset < p.offset {
				continue
			}
			if r.left == 0 {
				return nil
			}
			p.offset = x.Offset + 1
			if r.passed++; r.passed%r.every == 0 {
				r.left--
				appendPrinted(out, p.tp.Partition, x)
			}
		}
		if err := r.it.Err(); err != nil {
			return err
		}
	}
	// What is left are markers and what was aborted.
	for rest := f.Batches; len(rest) >= record.HeaderSize; {
		h, err := record.ParseHeader(rest)
		if err != nil {
			return err
		}
		if h.Size() > len(rest) {
			break
		}
		p.offset = max(p.offset, h.LastOffset()+1)
		rest = rest[h.Size():]
	}
	return nil
}

func appendPrinted(out *vec.Batch, partition int32, x *record.Record) {
	out.Cols[0].AppendInt(int64(partition))
	out.Cols[1].AppendInt(x.Offset)
	out.Cols[2].AppendInt(x.Timestamp * 1000)
	for i, v := range [][]byte{x.Key, x.Value} {
		switch col := out.Cols[3+i]; {
		case v == nil:
			col.AppendNull()
		case utf8.Valid(v) && !bytes.Contains(v, []byte{0}):
			col.AppendString(string(v))
		default:
			col.AppendString(`\x` + hex.EncodeToString(v))
		}
	}
	out.SetLen(out.Len() + 1)
}

func (r *printing) close() {
	for _, p := range r.parts {
		p.cancel()
	}
	r.parts = nil
}
