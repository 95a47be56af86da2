package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// DefaultPushMemory bounds what one push query keeps, in bytes.
const DefaultPushMemory = 64 << 20

// pushFlushRows is how many input rows a push query takes before it shows what became of them.
const pushFlushRows = 16 << 10

// PushConfig is what a push query runs on.
type PushConfig struct {
	Log   Log
	State StateStore // snapshots of the tables it reads
	Clock clock.Clock
	Env   *expr.Env // the session's
	// Memory bounds the query's state, in bytes; IdleTimeout says when a silent partition is idle. Zero: the defaults.
	Memory      int64
	IdleTimeout time.Duration
	// Since is the offset from which a stream is read that would be read from its beginning.
	Since int64
}

// PushQuery is a push query of one session: the operators of a persistent query without commits, over all partitions in one
// goroutine, so that exchanges fall away. It reads only as fast as it is asked. One goroutine uses it.
type PushQuery struct {
	cfg    PushConfig
	query  *planner.Query
	pipe   *pipeline
	cx     *opContext
	out    pushCollector
	wake   chan struct{}
	snaps  []pushSnapshot
	cut    StateSnapshot
	rows   int64 // given out
	taken  int64 // input rows since the last flush
	until  time.Time
	err    error
	counts ErrorCounts
	begun  bool // the first flush is done
}

// pushSnapshot feeds a table's rows as of a snapshot to a source's operators, before the source goes on from there.
type pushSnapshot struct {
	src  *source
	scan *TableScan
}

// OpenPush starts a push query. A stream is read from its beginning, or from its end if the scan says Latest; a table begins with
// its rows as they are, and goes on with its topic from there, without gap or repeat.
func OpenPush(ctx context.Context, cfg PushConfig, q *planner.Query) (*PushQuery, error) {
	if cfg.Memory <= 0 {
		cfg.Memory = DefaultPushMemory
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = DefaultIdleTimeout
	}
	p := &PushQuery{cfg: cfg, query: q, wake: make(chan struct{}, 1)}
	p.cx = &opContext{
		env: cfg.Env, state: &taskState{limit: cfg.Memory}, errors: &errorRows{clock: cfg.Clock}, now: noTime, first: true,
	}
	if p.cx.env == nil {
		p.cx.env = newEnv(cfg.Clock)
	}
	p.out.schema, p.out.newOnly = schemaOf(q.Root), !q.ShowOp && q.Root.Props().Mode != planner.ModeAppend
	if props := q.Root.Props(); q.ShowOp && props.Mode == planner.ModeUpsert {
		p.out.keys = &pushKeys{key: props.ChangeKey, limit: cfg.Memory}
	}
	env := &taskEnv{log: cfg.Log, clock: cfg.Clock, partitions: 1, counts: map[string]int32{}, cx: p.cx, all: true, each: q.Each, collect: &p.out}
	for _, topic := range taskTopics(q.Root) {
		n, err := cfg.Log.PartitionCount(ctx, topic)
		if errors.Is(err, ErrUnknownTopic) {
			continue // an exchange's topic, which a push query does not have
		}
		if err != nil {
			return nil, err
		}
		env.counts[topic] = n
	}
	var err error
	if p.pipe, err = buildPipeline(env, q.Root); err != nil {
		return nil, err
	}
	if q.ForInterval > 0 {
		p.until = cfg.Clock.Now().Add(time.Duration(q.ForInterval) * time.Millisecond)
	}
	if err := p.position(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// position puts the sources where they begin.
func (p *PushQuery) position(ctx context.Context) error {
	p.cut = p.cfg.State.Snapshot()
	for _, s := range p.pipe.sources {
		bounds, err := p.cfg.Log.Offsets(ctx, s.tp)
		if err != nil {
			return err
		}
		at := max(bounds.LogStart, p.cfg.Since)
		s.begun = bounds.LastStable
		switch {
		case s.isTable && s.scan.Rel.HistoryMs > 0: // from its start, for the versions that a snapshot does not have
		case s.scan.Rel.Kind == planner.Table:
			if at, err = p.snapshot(s, at); err != nil {
				return err
			}
		case s.scan.Latest:
			at = bounds.LastStable
		}
		s.offset, s.next, s.heardAt = at, at, p.cfg.Clock.Now()
		if s.cancel, err = p.cfg.Log.Subscribe(s.tp, p.wake); err != nil {
			return err
		}
	}
	if len(p.snaps) == 0 {
		return p.closeCut()
	}
	return nil
}

// closeCut lets go of the snapshot, which keeps the store from cleaning up.
func (p *PushQuery) closeCut() error {
	if p.cut == nil {
		return nil
	}
	cut := p.cut
	p.cut = nil
	return cut.Close()
}

// snapshot opens the rows of a table's partition and returns the offset where the topic goes on. Without rows kept here the
// topic is read from its start, which comes to the same.
func (p *PushQuery) snapshot(s *source, start int64) (int64, error) {
	r, ok, err := NewTableReader(p.cut, s.scan.Rel, s.tp.Partition)
	if err != nil || !ok || r.Offset() < start {
		return start, err
	}
	scan, err := r.Scan(Bound{}, Bound{})
	if err != nil {
		return 0, err
	}
	p.snaps = append(p.snaps, pushSnapshot{s, scan})
	return r.Offset(), nil
}

// Poll returns the next batch of changes, or nil when nothing is ready now: then call Wait. At the end, by LIMIT or FOR INTERVAL,
// the error is io.EOF. The batch has all columns of the query's root and is valid until the next call.
func (p *PushQuery) Poll(ctx context.Context) (*vec.Batch, error) {
	for p.err == nil {
		if b := p.out.take(); b != nil {
			return p.limit(b), nil
		}
		if p.limited() && p.rows >= p.query.LimitRows || p.over() {
			p.err = io.EOF
			break
		}
		worked, err := p.work(ctx)
		if err != nil {
			p.err = err
			break
		}
		if !worked && p.out.empty() {
			return nil, nil
		}
	}
	return nil, p.err
}

// limited reports whether the query has a LIMIT; a plan without one says -1.
func (p *PushQuery) limited() bool { return p.query.LimitRows >= 0 }

func (p *PushQuery) over() bool { return !p.until.IsZero() && !p.cfg.Clock.Now().Before(p.until) }

// limit cuts b so that LIMIT holds.
func (p *PushQuery) limit(b *vec.Batch) *vec.Batch {
	left := p.query.LimitRows - p.rows
	if p.limited() && int64(b.Len()) > left {
		cut := vec.NewBatch(p.out.schema, int(left))
		cut.AppendGather(b, vec.All(nil, int(left)))
		b = cut
	}
	p.rows += int64(b.Len())
	return b
}

// work takes one batch of input, or shows what the input so far has come to. It reports false when there is nothing to do.
func (p *PushQuery) work(ctx context.Context) (bool, error) {
	if len(p.snaps) > 0 {
		return true, p.feedSnapshot()
	}
	best, err := p.pipe.ready(ctx, p.wake)
	if err != nil {
		return false, err
	}
	if best == nil {
		return p.idle()
	}
	now := p.cfg.Clock.Now()
	before := best.rows
	if err := best.step(ctx, now); err != nil {
		return false, err
	}
	p.taken += best.rows - before
	p.advance(now)
	if p.taken >= pushFlushRows {
		return true, p.flush()
	}
	return true, p.checkMemory()
}

// idle flushes once the input is drained.
func (p *PushQuery) idle() (bool, error) {
	now := p.cfg.Clock.Now()
	p.pipe.markIdle(now, p.cfg.IdleTimeout)
	p.advance(now)
	if p.taken == 0 && p.begun && !p.pipe.hasDue(p.cx.now) {
		return false, nil
	}
	p.begun = true
	return true, p.flush()
}

func (p *PushQuery) advance(now time.Time) {
	at, _, _ := p.pipe.streamTime(now)
	p.cx.now = max(p.cx.now, at)
}

func (p *PushQuery) flush() error {
	if err := p.pipe.flush(p.cx.now, p.cx.now); err != nil {
		return err
	}
	p.taken = 0
	p.counts.add(p.cx.errors.counts)
	p.cx.errors.reset()
	p.cx.state.commit()
	return p.checkMemory()
}

func (p *PushQuery) checkMemory() error {
	if !p.cx.state.full() {
		return nil
	}
	return sqlerr.New(sqlerr.OutOfMemory, "the push query keeps more than %d MiB", p.cfg.Memory>>20).
		WithHint("Make it a materialized view, which keeps its state on disk, and query that.")
}

// feedSnapshot sends some rows of a table's snapshot, as inserts.
func (p *PushQuery) feedSnapshot() error {
	s := &p.snaps[0]
	rows := NewRowBatch(s.src.scan.Rel, outRows)
	n, err := s.scan.Next(rows, outRows)
	if err != nil {
		return err
	}
	if n == 0 {
		err := s.scan.Close()
		if p.snaps = p.snaps[1:]; len(p.snaps) == 0 {
			err = errors.Join(err, p.closeCut())
		}
		return err
	}
	p.taken += int64(n)
	return s.src.to.send(chunk{scanRows(s.src.scan, rows, s.src.tp), nil})
}

// scanRows lays the columns of a table's rows out as its scan does.
func scanRows(n *planner.Scan, rows *vec.Batch, tp TopicPartition) *vec.Batch {
	b := &vec.Batch{Rowtime: rows.Rowtime}
	for i, ord := range n.Cols {
		if ord >= 0 {
			b.Cols = append(b.Cols, rows.Cols[ord])
			continue
		}
		col := vec.NewVector(n.P.Cols[i].Type, rows.Len())
		for r := range rows.Len() {
			switch ord {
			case planner.PseudoRowtime:
				col.AppendInt(rows.Rowtime[r] * microsPerMilli)
			case planner.PseudoRowPartition:
				col.AppendInt(int64(tp.Partition))
			case planner.PseudoOp:
				col.AppendString(vec.Insert.String())
			default:
				col.AppendNull()
			}
		}
		b.Cols = append(b.Cols, col)
	}
	b.SetLen(rows.Len())
	return b
}

// Wait returns when there may be something to Poll.
func (p *PushQuery) Wait(ctx context.Context) error {
	pause := idleTick
	if !p.until.IsZero() {
		pause = min(pause, max(p.until.Sub(p.cfg.Clock.Now()), 0))
	}
	timer := p.cfg.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-p.wake:
		p.pipe.woken()
		return nil
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reached reports whether everything below an offset has been given out, of every partition, when Poll has nothing.
func (p *PushQuery) Reached(offset int64) bool {
	for _, s := range p.pipe.sources {
		if s.position() < offset {
			return false
		}
	}
	return true
}

// Errors returns how many rows took no part since the query began.
func (p *PushQuery) Errors() ErrorCounts { return p.counts }

// Close ends the query.
func (p *PushQuery) Close() error {
	p.pipe.close()
	var err error
	for _, s := range p.snaps {
		err = errors.Join(err, s.scan.Close())
	}
	p.snaps = nil
	err = errors.Join(err, p.closeCut())
	if err != nil {
		return fmt.Errorf("close push query: %w", err)
	}
	return nil
}

// pushCollector takes what the root of a push query gives.
type pushCollector struct {
	schema []types.Type
	// newOnly leaves out rows that leave the result: a query that does not show changes sends new versions only.
	newOnly bool
	keys    *pushKeys // of upserts that are shown with their operation, else nil
	ops     []vec.Op
	ready   []*vec.Batch
}

func (c *pushCollector) push(in chunk, _ int) error {
	sel := make([]int32, 0, in.Len())
	c.ops = c.ops[:0]
	for i := range in.Len() {
		op, ok := in.Op(i), true
		if c.keys != nil {
			op, ok = c.keys.change(in.Batch, i)
		}
		if ok && (!c.newOnly || op.Adds()) {
			sel, c.ops = append(sel, int32(i)), append(c.ops, op)
		}
	}
	if len(sel) == 0 {
		return nil
	}
	b := vec.NewBatch(c.schema, len(sel))
	b.AppendGather(&vec.Batch{Cols: in.Cols, Ops: in.Ops, Rowtime: in.Rowtime, Source: in.Source}, sel)
	if c.keys != nil {
		b.Ops = append(b.Ops[:0], c.ops...)
	}
	c.ready = append(c.ready, b)
	return nil
}

func (c *pushCollector) flush(int64) error { return nil }

func (c *pushCollector) empty() bool { return len(c.ready) == 0 }

func (c *pushCollector) take() *vec.Batch {
	if len(c.ready) == 0 {
		return nil
	}
	b := c.ready[0]
	c.ready = c.ready[1:]
	return b
}
