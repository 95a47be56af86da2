package engine

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// pointRead is a plan that shows columns of at most one row of a table, found by its key: SELECT a, b FROM t WHERE key = $1. What can be worked out
// once is kept with the statement, so that an execution opens no plan, takes no snapshot and waits for one partition only.
type pointRead struct {
	rel    *planner.Relation
	keys   []planner.Expr // constants and parameters, in key order
	cols   []int          // ordinals of the relation's columns, by output column
	reader *exec.PointReader
	key    []types.Datum
	row    *vec.Batch // all columns
	out    vec.Batch  // those that are shown
}

// maxPointRow is up to what size, in bytes, the row that was read last stays in memory with its statement.
const maxPointRow = 16 << 10

// newPointRead returns q as a point read, nil if it is more than that.
func newPointRead(q *planner.Query) *pointRead {
	root, shown := q.Root, []planner.Expr(nil)
	if p, ok := root.(*planner.Project); ok {
		root, shown = p.In, p.Exprs
	}
	scan, ok := root.(*planner.Scan)
	if !ok || q.Unbounded || len(q.Changes) > 0 || scan.Rel.Kind != planner.Table || !scan.Rel.Placement || len(scan.Keys) != 1 || scan.Index != nil || !decides(scan) {
		return nil
	}
	pr := &pointRead{rel: scan.Rel, keys: scan.Keys[0], cols: scan.Cols}
	if shown != nil {
		pr.cols = nil
		for _, e := range shown {
			ref, ok := e.(*planner.ColumnRef)
			if !ok {
				return nil
			}
			pr.cols = append(pr.cols, scan.Cols[ref.Ord])
		}
	}
	if slices.ContainsFunc(pr.cols, func(ord int) bool { return ord < 0 || scan.Rel.Columns[ord].Headers }) {
		return nil
	}
	return pr
}

// decides tells whether the scan's filter asks for no more than that each key column equals its constant or parameter.
func decides(scan *planner.Scan) bool {
	conds := []planner.Expr{scan.Filter}
	if and, ok := scan.Filter.(*planner.And); ok {
		conds = and.Args
	}
	if len(conds) != len(scan.Rel.Key) {
		return false
	}
	for k, ord := range scan.Rel.Key {
		value := scan.Keys[0][k]
		switch value.(type) {
		case *planner.Const, *planner.Param:
		default:
			return false
		}
		if !slices.ContainsFunc(conds, func(c planner.Expr) bool { return equates(c, scan, ord, value) }) {
			return false
		}
	}
	return true
}

// equates tells whether cond is column = value or value = column.
func equates(cond planner.Expr, scan *planner.Scan, ord int, value planner.Expr) bool {
	call, ok := cond.(*planner.Call)
	if !ok || call.Func.Name != "=" || len(call.Args) != 2 {
		return false
	}
	for i, arg := range call.Args {
		if ref, ok := arg.(*planner.ColumnRef); ok && scan.Cols[ref.Ord] == ord && call.Args[1-i] == value {
			return true
		}
	}
	return false
}

// openPoint runs a point read; ok is false if this execution has to go the general way: it reads its own writes or an older cut, or has to wait.
func (s *session) openPoint(ctx context.Context, pr *pointRead, args []types.Datum) (_ rows, ok bool, err error) {
	level := s.set.must("consistency")
	if s.tx.freezes() || s.tx.writes != nil || s.created(pr.rel.OID) || level == "session" {
		return nil, false, nil
	}
	if level == "latest" && len(s.e.feedersOf(s.e.meta.Image(), pr.rel.OID)) > 0 {
		return nil, false, nil
	}
	if pr.reader == nil {
		if pr.reader, err = exec.NewPointReader(s.e.opts.State, pr.rel); err != nil {
			return nil, false, err
		}
		pr.row = exec.NewRowBatch(pr.rel, 1)
	}
	pr.row.Reset()
	pr.key = pr.key[:0]
	for _, e := range pr.keys {
		d := types.Datum{}
		switch e := e.(type) {
		case *planner.Const:
			d = e.Val
		case *planner.Param:
			d = args[e.Index]
		}
		if d.Null {
			return &pointRows{}, true, nil
		}
		pr.key = append(pr.key, d)
	}
	p, err := pr.reader.Partition(pr.key)
	if err != nil {
		return nil, false, nil //nolint:nilerr // the general way says what is wrong with the value
	}
	if level == "latest" && !s.e.tables.applied(ctx, pr.rel, p) {
		return nil, false, nil
	}
	found, err := pr.reader.Get(pr.row, p, pr.key)
	if err != nil || !found {
		return &pointRows{}, err == nil, err
	}
	return &pointRows{batch: pr.show()}, true, nil
}

// show picks the columns that are shown.
func (pr *pointRead) show() *vec.Batch {
	pr.out.Cols = pr.out.Cols[:0]
	for _, ord := range pr.cols {
		pr.out.Cols = append(pr.out.Cols, pr.row.Cols[ord])
	}
	pr.out.SetLen(1)
	if pr.row.MemSize() > maxPointRow {
		pr.reader, pr.row = nil, nil // the next execution makes them anew
	}
	return &pr.out
}

// pointRows is the row that was found, or none. It is sent before the statement is executed again, which reads the next row into the same batch.
type pointRows struct{ batch *vec.Batch }

func (r *pointRows) next(context.Context, bool) (*vec.Batch, pgwire.Progress, error) {
	b := r.batch
	if r.batch = nil; b == nil {
		return nil, pgwire.Done, nil
	}
	return b, pgwire.More, nil
}

func (r *pointRows) close() {}

// applied tells whether the rows of a partition that is kept here hold all that is acknowledged.
func (t *tables) applied(ctx context.Context, rel *planner.Relation, p int32) bool {
	o, err := t.e.log.Offsets(ctx, exec.TopicPartition{Topic: rel.Topic, Partition: p})
	if err != nil {
		return false
	}
	return t.kept.Reads(rel, p, o.LastStable)
}
