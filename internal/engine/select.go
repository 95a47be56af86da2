package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// scanRows is how many rows a scan puts into a batch.
const scanRows = 1024

// env is what expressions of a statement depend on.
func (s *session) env(ctx context.Context, args []types.Datum) *expr.Env {
	t := s.begin()
	return &expr.Env{
		Ctx: ctx, Params: args, Session: &functions{s: s, ctx: ctx}, Text: s.text(), NowMicros: t.micros, StatementMicros: t.stmtAt,
		ClockMicros: func() int64 { return s.e.clock.Now().UnixMicro() }, Random: s.e.random,
	}
}

// maxReplans bounds how often a plan is made anew for one execution.
const maxReplans = 5

// openQuery runs a SELECT. If what it reads is replaced while it waits, it begins again.
func (s *session) openQuery(ctx context.Context, p *portal) (rows, error) {
	if len(p.st.query.Changes) > 0 {
		return s.openChanging(ctx, p)
	}
	for n := 0; ; n++ {
		r, err := s.openPlan(ctx, p)
		if !errors.Is(err, errReplaced) || n == maxReplans {
			return r, err
		}
		fresh, err := s.refresh(ctx, p.st)
		if err != nil {
			return nil, err
		}
		p.st, p.visible = fresh, fresh.visible()
	}
}

// openPlan opens the plan of a portal: a pull query here, a push query in push.go.
func (s *session) openPlan(ctx context.Context, p *portal) (rows, error) {
	q := p.st.query
	if q.Unbounded {
		return s.openPush(ctx, p)
	}
	if p.st.point != nil {
		if r, ok, err := s.openPoint(ctx, p.st.point, p.args); ok || err != nil {
			return r, err
		}
	}
	r, err := s.openPull(ctx, q, p.args, p.cursor)
	if err != nil {
		return nil, err
	}
	if err := s.replacedSince(ctx, p.st.image, q.Reads); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// openPull waits until what the query reads is fresh enough, takes a snapshot and opens the plan over it. A pinned one sees this moment
// however late it reads.
func (s *session) openPull(ctx context.Context, q *planner.Query, args []types.Datum, pinned bool) (*pullRows, error) {
	snap, err := s.takeSnapshot(ctx, q.Reads, pinned)
	if err != nil {
		return nil, err
	}
	return s.openAt(snap, q, args, nil)
}

// takeSnapshot waits until relations are fresh enough and takes a snapshot of them.
func (s *session) takeSnapshot(ctx context.Context, reads []*planner.Relation, pinned bool) (*snapshot, error) {
	sctx, cancel := s.statementContext(ctx)
	snap := &snapshot{s: s, ctx: sctx, cancel: cancel, temp: s.temp.mark().tables, users: 1}
	if err := s.freeze(sctx, snap, reads); err != nil {
		cancel()
		return nil, s.dropped(err, reads)
	}
	if snap.state == nil && slices.ContainsFunc(reads, func(r *planner.Relation) bool { return r.Query != 0 }) {
		snap.state = s.e.opts.State.Snapshot() // not later, when the relation may have been replaced
	}
	if pinned {
		if err := snap.pin(sctx, reads); err != nil {
			return nil, errors.Join(cause(sctx, err), snap.close())
		}
	}
	return snap, nil
}

// openAt opens a plan over a snapshot, of which it takes one use over. at is nil unless it is part of a larger statement.
func (s *session) openAt(snap *snapshot, q *planner.Query, args []types.Datum, at *changes) (*pullRows, error) {
	// The plan outlives this call, and each call has a context of its own: the plan looks at the one in progress.
	live := &liveContext{Context: snap.ctx, whole: snap.ctx}
	it, err := openOver(s.boundedQuery(live, snap, args, at), q.Root, snap)
	if err != nil {
		return nil, s.dropped(cause(snap.ctx, err), q.Reads)
	}
	return &pullRows{it: it, snap: snap, live: live, reads: q.Reads}, nil
}

// boundedQuery is what a plan runs with.
func (s *session) boundedQuery(ctx context.Context, snap *snapshot, args []types.Datum, at *changes) *bounded.Query {
	q := &bounded.Query{Env: s.env(ctx, args), Source: snap, Memory: &bounded.Memory{Limit: s.e.queryMemory()}}
	if at != nil {
		q.Actual = at.actual
		for id, rows := range at.kept {
			q.Keep(id, rows)
		}
	}
	return q
}

// openOver opens a plan over its snapshot, which is closed if that fails, also by a panic.
func openOver(q *bounded.Query, root planner.Node, snap *snapshot) (it bounded.Iter, err error) {
	defer func() {
		if it == nil {
			err = errors.Join(err, snap.close())
		}
	}()
	return bounded.Open(q, root)
}

// liveContext is the context of the call in progress. whole bounds the statement, by statement_timeout.
type liveContext struct {
	context.Context
	whole context.Context
}

// call makes ctx, bounded as the statement is, the one in progress.
func (l *liveContext) call(ctx context.Context) context.CancelFunc {
	cancel := func() {}
	l.Context = ctx
	if deadline, ok := l.whole.Deadline(); ok {
		l.Context, cancel = context.WithDeadlineCause(ctx, deadline, errStatementTimeout)
	}
	return cancel
}

// queryMemory is what one query may hold.
func (e *Engine) queryMemory() int64 { return max(e.opts.SessionBytes/2, 16<<20) }

// pullRows is a running pull query.
type pullRows struct {
	it    bounded.Iter
	snap  *snapshot
	live  *liveContext
	reads []*planner.Relation
}

func (r *pullRows) next(ctx context.Context, _ bool) (*vec.Batch, pgwire.Progress, error) {
	defer r.live.call(ctx)()
	b, err := r.it.Next()
	if err != nil {
		return nil, pgwire.Done, r.snap.s.dropped(cause(r.live.Context, err), r.reads)
	}
	if b == nil {
		return nil, pgwire.Done, nil
	}
	return b, pgwire.More, nil
}

func (r *pullRows) close() {
	r.it.Close()
	if err := r.snap.close(); err != nil {
		r.snap.s.e.logger.Error("snapshot is not closed", "err", err)
	}
}

// snapshot is the source of a pull plan: one cut of the tables on this node, streams up to their ends as of now, virtual tables.
type snapshot struct {
	s      *session
	state  exec.StateSnapshot
	frozen *frozen // the block's, under REPEATABLE READ
	// ends, where not nil, are those of the streams; overlays, where not nil, the block's own rows by table.
	ends     positions
	overlays map[uint32]*overlay
	// temp are the rows of the temporary tables when the statement began.
	temp   map[metadata.OID]*tempTable
	ctx    context.Context // of the statement
	cancel context.CancelFunc
	users  int // plans that read it, and the statement while it opens more
}

// close gives up one use.
func (n *snapshot) close() error {
	if n.users--; n.users > 0 {
		return nil
	}
	if n.cancel != nil {
		n.cancel()
	}
	switch {
	case n.frozen != nil:
		return n.frozen.release()
	case n.state == nil:
		return nil
	}
	return n.state.Close()
}

// pin takes now what the plan would take when it first reads a relation, for a cursor that may do so late.
func (n *snapshot) pin(ctx context.Context, reads []*planner.Relation) error {
	if n.state == nil {
		n.state = n.s.e.opts.State.Snapshot()
	}
	n.overlays = map[uint32]*overlay{}
	for _, r := range reads {
		if r.Kind == planner.Table {
			n.overlays[r.OID] = n.s.overlay(r)
		}
		if r.Kind != planner.Stream || n.frozen != nil || n.s.created(r.OID) {
			continue
		}
		if n.ends == nil {
			n.ends = positions{}
		}
		for _, tp := range topicPartitions(r) {
			o, err := n.s.e.log.Offsets(ctx, tp)
			if err != nil {
				return err
			}
			n.ends[tp] = o.LastStable
		}
	}
	return nil
}

// Scan implements bounded.Source.
func (n *snapshot) Scan(ctx context.Context, sc *planner.Scan, keys [][]types.Datum) (bounded.Iter, error) {
	switch sc.Rel.Kind {
	case planner.Virtual:
		return n.scanVirtual(ctx, sc)
	case planner.Sequence:
		return n.scanSequence(sc)
	case planner.Stream:
		return n.scanStream(ctx, sc)
	default:
		return n.scanTable(sc, keys)
	}
}

func (n *snapshot) scanVirtual(ctx context.Context, sc *planner.Scan) (bounded.Iter, error) {
	values, err := pgcatalog.Rows(ctx, n.s.world(), n.s.catalogSession(), sc.Rel)
	if err != nil {
		return nil, err
	}
	ts := make([]types.Type, len(sc.Cols))
	for i, ord := range sc.Cols {
		ts[i] = sc.Rel.Columns[ord].Type
	}
	b := vec.NewBatch(ts, len(values))
	for _, row := range values {
		for i, ord := range sc.Cols {
			b.Cols[i].AppendDatum(row[ord])
		}
	}
	b.SetLen(len(values))
	return &onceIter{b: b}, nil
}

// onceIter yields one batch.
type onceIter struct{ b *vec.Batch }

func (it *onceIter) Next() (*vec.Batch, error) {
	b := it.b
	it.b = nil
	if b == nil || b.Len() == 0 {
		return nil, nil
	}
	return b, nil
}

func (it *onceIter) Close() {}

// scanTable reads rows by key, or all of them, with the session's own uncommitted changes on top.
func (n *snapshot) scanTable(sc *planner.Scan, keys [][]types.Datum) (bounded.Iter, error) {
	if sc.Rel.Temporary {
		return n.scanTemp(sc, keys)
	}
	if n.state == nil {
		n.state = n.s.e.opts.State.Snapshot()
	}
	it := &tableIter{n: n, sc: sc, rel: sc.Rel, keys: keys, byKey: keys != nil}
	if pinned := n.overlays; pinned != nil {
		it.overlay = pinned[sc.Rel.OID]
	} else {
		it.overlay = n.s.overlay(sc.Rel)
	}
	room := scanRows
	if it.byKey {
		room = min(room, len(keys)) // a look-up of one key makes room for one row
	}
	it.full = exec.NewRowBatch(sc.Rel, room)
	if sc.Index != nil {
		return it.openIndex(keys)
	}
	if it.byKey {
		enc, err := format.NewEncoder(exec.KeySchema(sc.Rel))
		if err != nil {
			return nil, err
		}
		it.encoder = enc
		return it, nil
	}
	return &aheadIter{in: it}, nil
}

// tableIter walks the partitions of a table.
type tableIter struct {
	n       *snapshot
	sc      *planner.Scan
	rel     *planner.Relation
	full    *vec.Batch // all columns
	out     vec.Batch  // those of the scan
	keys    [][]types.Datum
	byKey   bool
	encoder format.Encoder
	part    int32
	scan    *exec.TableScan
	overlay *overlay
	done    bool
}

// Next implements bounded.Iter.
func (it *tableIter) Next() (*vec.Batch, error) {
	for !it.done {
		resetRows(it.full)
		var err error
		if it.byKey {
			err = it.lookUp()
		} else {
			err = it.more()
		}
		if err != nil {
			return nil, err
		}
		if it.full.Len() > 0 {
			return it.project(), nil
		}
	}
	return nil, nil
}

func resetRows(b *vec.Batch) { b.Reset() }

// lookUp reads the rows of all keys. A key lives in one partition if Millrace alone dealt the rows; else every partition is asked.
func (it *tableIter) lookUp() error {
	it.done = true
	for _, key := range it.keys {
		if hasNull(key) && len(it.rel.Key) > 0 && it.rel.Ordinary {
			continue
		}
		if row, deleted, ok := it.overlay.get(it.rel, key); ok {
			if !deleted {
				appendDatums(it.full, row)
			}
			continue
		}
		first, last := int32(0), it.rel.Partitions
		if it.rel.Placement {
			p, err := partitionOf(it.encoder, it.rel, key)
			if err != nil {
				return err
			}
			first, last = p, p+1
		}
		for p := first; p < last; p++ {
			r, ok, err := exec.NewTableReader(it.n.state, it.rel, p)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if found, err := r.Get(it.full, key); err != nil || found {
				if err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

func hasNull(key []types.Datum) bool {
	for _, d := range key {
		if d.Null {
			return true
		}
	}
	return false
}

func appendDatums(b *vec.Batch, row []types.Datum) { b.AppendDatums(row, vec.Insert, 0) }

// partitionOf returns the partition that a key's rows are in.
func partitionOf(enc format.Encoder, rel *planner.Relation, key []types.Datum) (int32, error) {
	ts := make([]types.Type, len(key))
	for i, ord := range rel.Key {
		ts[i] = rel.Columns[ord].Type
	}
	b := vec.NewBatch(ts, 1)
	b.AppendDatums(key, vec.Insert, 0)
	bytes, err := enc.AppendRow(nil, b.Cols, 0)
	if err != nil {
		return 0, err
	}
	return record.PartitionForKey(bytes, rel.Partitions), nil
}

// more reads on in the current partition, or goes to the next one.
func (it *tableIter) more() error {
	for {
		if it.scan == nil {
			if it.part == it.rel.Partitions {
				it.done = true
				it.overlay.appendInserted(it.rel, it.full)
				return nil
			}
			r, ok, err := exec.NewTableReader(it.n.state, it.rel, it.part)
			it.part++
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if it.scan, err = r.Scan(exec.Bound{}, exec.Bound{}); err != nil {
				return err
			}
			if it.overlay == nil { // which is asked for by key
				it.scan.Columns(it.sc.Cols)
			}
		}
		n, err := it.scan.Next(it.full, scanRows)
		if err != nil {
			return err
		}
		if n > 0 {
			it.full = it.overlay.hide(it.rel, it.full)
			return nil
		}
		err = it.scan.Close()
		it.scan = nil
		if err != nil {
			return err
		}
	}
}

// project shows the columns of the scan.
func (it *tableIter) project() *vec.Batch {
	it.out.Cols = it.out.Cols[:0]
	for _, ord := range it.sc.Cols {
		if ord >= 0 {
			it.out.Cols = append(it.out.Cols, it.full.Cols[ord])
			continue
		}
		it.out.Cols = append(it.out.Cols, it.pseudo(ord))
	}
	it.out.Rowtime = it.full.Rowtime
	it.out.SetLen(it.full.Len())
	return &it.out
}

// pseudo makes a pseudo column: rowtime, and NULL for what a table's row does not have.
func (it *tableIter) pseudo(ord int) *vec.Vector {
	t := pseudoType(ord)
	v := vec.NewVector(t, it.full.Len())
	for i := range it.full.Len() {
		if ord == planner.PseudoRowtime && i < len(it.full.Rowtime) {
			v.AppendInt(it.full.Rowtime[i] * 1000)
		} else {
			v.AppendNull()
		}
	}
	return v
}

func pseudoType(ord int) types.Type {
	switch ord {
	case planner.PseudoRowtime:
		return types.Of(types.TimestampTZ)
	case planner.PseudoRowPartition:
		return types.Of(types.Int4)
	case planner.PseudoRowOffset:
		return types.Of(types.Int8)
	default:
		return types.Of(types.Text)
	}
}

// Close implements bounded.Iter.
func (it *tableIter) Close() {
	if it.scan != nil {
		if err := it.scan.Close(); err != nil {
			it.n.s.e.logger.Error("table scan is not closed", "err", err)
		}
	}
}

// streamIter reads a stream to its end as of now.
type streamIter struct {
	ctx  context.Context
	scan *exec.StreamScan
}

func (n *snapshot) scanStream(ctx context.Context, sc *planner.Scan) (bounded.Iter, error) {
	if n.s.created(sc.Rel.OID) {
		return &onceIter{}, nil // its topic is made at COMMIT
	}
	ends := n.ends
	if n.frozen != nil {
		ends = n.frozen.ends
	}
	scan, err := exec.OpenStreamScan(ctx, n.s.e.log, n.s.e.clock, sc, ends)
	if err != nil {
		return nil, err
	}
	return &streamIter{ctx: ctx, scan: scan}, nil
}

// Next implements bounded.Iter.
func (it *streamIter) Next() (*vec.Batch, error) { return it.scan.Next(it.ctx) }

// Close implements bounded.Iter.
func (it *streamIter) Close() { it.scan.Close() }
