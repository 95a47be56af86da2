package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// writeBuffer is what a transaction has written so far: rows that wait in the session and are appended at its end. marks numbers the
// states that statements and savepoints go back to.
type writeBuffer struct {
	tx    *exec.WriteTx
	marks [][]int
}

// writeTx returns the transaction's buffer, made at its first write.
func (s *session) writeTx() *exec.WriteTx {
	s.writes.Store(true)
	t := s.begin()
	if t.writes == nil {
		limit, err := parseBytes(s.set.must("transaction_buffer"))
		if err != nil {
			limit = exec.DefaultTransactionBuffer
		}
		t.writes = &writeBuffer{tx: s.e.tables.kept.Begin(limit)}
	}
	return t.writes.tx
}

// made tells the buffer which relations this transaction has made: nobody keeps their rows yet, and there are none.
func (s *session) made(rel *planner.Relation) {
	if s.created(rel.OID) {
		s.tx.writes.tx.Created(rel.OID)
	}
	for i := range rel.Indexes {
		if oid := rel.Indexes[i].OID; s.created(oid) {
			s.tx.writes.tx.Created(oid)
		}
	}
}

// len marks the present state and returns its number; 0 is the empty buffer.
func (w *writeBuffer) len() int {
	if w == nil {
		return 0
	}
	w.marks = append(w.marks, w.tx.Savepoint())
	return len(w.marks)
}

// truncate goes back to a state; 0 gives up the locks too.
func (w *writeBuffer) truncate(mark int) {
	switch {
	case w == nil:
	case mark == 0:
		w.tx.RollbackTo(nil)
	default:
		w.tx.RollbackTo(w.marks[mark-1])
		w.marks = w.marks[:mark]
	}
}

// release drops the buffer and its locks.
func (w *writeBuffer) release() { w.tx.Rollback() }

// flushWrites appends what the transaction has written.
func (s *session) flushWrites(ctx context.Context, w *writeBuffer) (positions, error) {
	if s.e.opts.DiskLow != nil && s.e.opts.DiskLow() {
		return nil, errDiskFull
	}
	ends, err := w.tx.Commit(ctx)
	if err != nil {
		if s.e.opts.DiskLow != nil && s.e.opts.DiskLow() && sqlerr.CodeOf(err) == sqlerr.InsufficientResources {
			return nil, errDiskFull
		}
		return nil, cause(ctx, ledElsewhere(err))
	}
	if s.written == nil {
		s.written = positions{}
	}
	s.written.raise(ends)
	return ends, nil
}

// ledElsewhere makes of the error of a write that was refused, since another node leads the partition by now, one after which clients repeat the transaction: this node is about to hear that the sessions run there too.
func ledElsewhere(err error) error {
	if sqlerr.CodeOf(err) == sqlerr.InsufficientResources && errors.Is(err, kerr.NotLeaderForPartition) {
		return sqlerr.New(sqlerr.SerializationFailure, "nothing was written, for another node leads the partition now: %w", err).WithHint("Run the transaction again.")
	}
	return err
}

var errDiskFull = sqlerr.New(sqlerr.DiskFull, "the disk is nearly full: the node takes no writes below disk.min_free").
	WithHint("DROP what is not needed, or give the node more room. Reading and dropping go on.")

// overlay is what a scan sees of the transaction's own writes to a relation.
type overlay struct {
	rows map[string]overlayRow
}

type overlayRow struct {
	row     []types.Datum
	deleted bool
}

// overlay copies the session's uncommitted rows of a table; nil if there are none. The copy is taken when a statement
// starts, so that it does not see what it writes itself.
func (s *session) overlay(rel *planner.Relation) *overlay {
	if s.tx == nil || s.tx.writes == nil || !rel.Ordinary || rel.Temporary {
		return nil
	}
	o := &overlay{rows: map[string]overlayRow{}}
	err := s.tx.writes.tx.Pending(rel, func(key []byte, row *vec.Batch, deleted bool) error {
		o.rows[string(key)] = overlayRow{row: row.Row(0), deleted: deleted}
		return nil
	})
	if err != nil || len(o.rows) == 0 {
		return nil
	}
	return o
}

// get returns the transaction's own version of a key.
func (o *overlay) get(rel *planner.Relation, key []types.Datum) (row []types.Datum, deleted, ok bool) {
	if o == nil {
		return nil, false, false
	}
	r, ok := o.rows[string(exec.TableKey(rel, key))]
	return r.row, r.deleted, ok
}

// hide takes rows out of a batch that the transaction has replaced or deleted.
func (o *overlay) hide(rel *planner.Relation, b *vec.Batch) *vec.Batch {
	if o == nil {
		return b
	}
	var keep []int32
	for i := range b.Len() {
		key := make([]types.Datum, len(rel.Key))
		for k, ord := range rel.Key {
			key[k] = b.Cols[ord].View(i)
		}
		if _, ok := o.rows[string(exec.TableKey(rel, key))]; !ok {
			keep = append(keep, int32(i))
		}
	}
	if len(keep) == b.Len() {
		return b
	}
	out := exec.NewRowBatch(rel, len(keep))
	out.AppendGather(b, keep)
	return out
}

// appendInserted appends the transaction's own rows, after all others.
func (o *overlay) appendInserted(_ *planner.Relation, b *vec.Batch) {
	if o == nil {
		return
	}
	for _, r := range o.rows {
		if !r.deleted {
			b.AppendDatums(r.row, vec.Insert, 0)
		}
	}
}

// tables keeps the rows of all tables of the catalog on this node.
type tables struct {
	e    *Engine
	kept *exec.Tables
}

func newTables(e *Engine) *tables {
	return &tables{e: e, kept: exec.NewTables(exec.TablesConfig{
		Log: e.log, State: e.opts.State, Clock: e.clock, Logger: e.logger, LanePrefix: lanePrefix(e.opts.NodeID), ErrorsTopic: e.opts.ErrorTopic,
		Standby: e.opts.Worker, StateRetention: e.super.stateRetention, DiskLow: e.opts.DiskLow,
		OnFailed: func(oid uint32, partition int32, err error) {
			e.logger.Error("table partition failed", "oid", oid, "partition", partition, "err", err)
		},
	})}
}

// start keeps a relation's rows: as owner of an ordinary table, as follower of any other. A worker is a standby of those partitions that it is to be one of, as of img.
func (t *tables) start(img *metadata.Image, rel *planner.Relation) error {
	if t.e.opts.Worker {
		return t.standBy(img, rel)
	}
	for p := range rel.Partitions {
		keep := t.kept.Follow
		if rel.Ordinary {
			keep = t.kept.Own
		}
		if err := keep(rel, p); err != nil {
			return err
		}
	}
	return nil
}

// standBy makes this node a standby of the partitions of a table that it has replicas of, and of no others.
func (t *tables) standBy(img *metadata.Image, rel *planner.Relation) error {
	for p := range rel.Partitions {
		keep, keeps := slices.Contains(tableNodes(img, rel, p), t.e.opts.NodeID), t.kept.Keeps(rel.OID, p)
		switch {
		case keep && !keeps:
			if err := t.kept.Follow(rel, p); err != nil {
				return err
			}
		case keeps && !keep:
			t.kept.Stop(rel.OID, p)
		}
	}
	return nil
}

// tableNodes are the nodes that have a replica of a partition of a table: one of them takes the tables over next, and the records are there already.
func tableNodes(img *metadata.Image, rel *planner.Relation, partition int32) []int32 {
	t, ok := img.Topic(rel.Topic)
	if !ok {
		return nil
	}
	p, ok := t.Partition(partition)
	if !ok {
		return nil
	}
	return p.Replicas
}

func (t *tables) stop(oid uint32) { t.kept.StopTable(oid) }

func (t *tables) close() {
	if err := t.kept.Close(); err != nil {
		t.e.logger.Error("tables are not closed", "err", err)
	}
}

// skipped is how many records of a table's topic did not decode, in the partitions whose rows are kept here; ok is false if none is.
func (t *tables) skipped(rel *planner.Relation) (n int64, ok bool) {
	for p := range rel.Partitions {
		if t.kept.Keeps(rel.OID, p) {
			n, ok = n+t.kept.Skipped(rel.OID, p), true
		}
	}
	return n, ok
}

// waitApplied waits until the rows of a table hold everything below the given ends.
func (t *tables) waitApplied(ctx context.Context, rel *planner.Relation, ends positions) error {
	for _, tp := range topicPartitions(rel) {
		if err := t.kept.Wait(ctx, rel, tp.Partition, ends[tp]); err != nil {
			return err
		}
	}
	return nil
}
