package exec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/memlog"
	"github.com/millracedb/millrace/exec/pebblestore"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errorsTopic is where the harness wants error rows.
const errorsTopic = "_errors"

// harness is a little database: a catalog, a log in memory, and workers that run tasks, driven by SQL.
type harness struct {
	t       testing.TB
	log     *memlog.Log
	rels    map[string]*planner.Relation
	queries map[string]*query
	nextOID uint32
	parts   int32
	memory  int64 // of a task, as of the next start; 0 for the default
	idle    time.Duration
	commit  time.Duration // how often tasks commit
	clock   shiftedClock
	w       *worker
	workers []*worker
}

type query struct {
	oid  uint64
	name string
	plan *planner.Persistent
}

// worker is one node's share: state, a runner and table rows.
type worker struct {
	h      *harness
	name   string
	fs     *fsys.Mem
	state  *pebblestore.Store
	runner *exec.Runner
	tables *exec.Tables
	gen    int32
}

func newHarness(t testing.TB, partitions int32) *harness {
	h := &harness{
		t: t, log: memlog.New(), rels: map[string]*planner.Relation{}, queries: map[string]*query{}, nextOID: 16384, parts: partitions,
		idle: 50 * time.Millisecond, commit: 5 * time.Millisecond, clock: shiftedClock{Clock: clock.Real},
	}
	h.log.Create(errorsTopic, 1)
	h.w = h.newWorker("w", fsys.NewMem())
	t.Cleanup(func() {
		for _, w := range h.workers {
			w.close()
		}
	})
	return h
}

func (h *harness) newWorker(name string, fs *fsys.Mem) *worker {
	w := &worker{h: h, name: name, fs: fs}
	w.open()
	h.workers = append(h.workers, w)
	return w
}

func (w *worker) open() {
	var err error
	w.state, err = pebblestore.Open(pebblestore.Options{FS: w.fs, Dir: "state"})
	require.NoError(w.h.t, err)
	w.gen++
	w.tables = exec.NewTables(exec.TablesConfig{Log: w.h.log, State: w.state, Clock: &w.h.clock, LanePrefix: w.name, ErrorsTopic: errorsTopic})
	w.runner = exec.NewRunner(exec.RunnerConfig{
		Log: w.h.log, State: w.state, Clock: &w.h.clock, LanePrefix: w.name, Lanes: 2, ErrorsTopic: errorsTopic, Tables: w.tables,
		TaskMemory: w.h.memory,
	})
}

func (w *worker) close() {
	if w.runner == nil {
		return
	}
	require.NoError(w.h.t, w.runner.Close())
	require.NoError(w.h.t, w.tables.Close())
	require.NoError(w.h.t, w.state.Close())
	w.runner = nil
}

// restart stops the worker and starts it again, with its state or without, and all queries and tables with it.
func (h *harness) restart(keepState bool) {
	h.w.close()
	if !keepState {
		h.w.fs = fsys.NewMem()
	}
	h.w.open()
	for _, rel := range h.rels {
		h.keep(rel)
	}
	for _, q := range h.queries {
		h.start(h.w, q, func(int32) bool { return true })
	}
}

// Relation implements planner.Catalog.
func (h *harness) Relation(_ context.Context, _, name string) (*planner.Relation, error) {
	if r := h.rels[name]; r != nil {
		return r, nil
	}
	return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", name)
}

// Type implements planner.Catalog.
func (h *harness) Type(context.Context, string, string) (types.Type, bool) {
	return types.Type{}, false
}

// Inside implements planner.Catalog.
func (h *harness) Inside(*planner.Relation) planner.Catalog { return h }

func (h *harness) planner() *planner.Planner {
	return &planner.Planner{Catalog: h, Settings: planner.Settings{Partitions: h.parts}}
}

func (h *harness) parse(text string) sql.Statement {
	p, err := sql.ParseOne(text, sql.Options{})
	require.NoError(h.t, err, text)
	return p.Statement
}

// run runs a definition.
func (h *harness) run(text string) {
	h.t.Helper()
	ctx := context.Background()
	if insert, ok := h.parse(text).(*sql.Insert); ok {
		name := fmt.Sprintf("%s_%d", insert.Table.Object(), h.oid())
		plan, err := h.planner().PlanInsertPersistent(ctx, insert, name)
		require.NoError(h.t, err, text)
		for _, t := range plan.Topics {
			h.log.Create(t.Name, t.Partitions)
		}
		h.queries[name] = &query{oid: uint64(h.oid()), name: name, plan: plan}
		h.start(h.w, h.queries[name], func(int32) bool { return true })
		return
	}
	stmt, ok := h.parse(text).(*sql.CreateRelation)
	require.True(h.t, ok, text)
	if stmt.Query == nil {
		rel, topics, err := h.planner().BindDefinition(ctx, stmt)
		require.NoError(h.t, err, text)
		h.add(rel, topics)
		return
	}
	plan, rel, err := h.planner().PlanPersistent(ctx, planner.PersistentSpec{Create: stmt})
	require.NoError(h.t, err, text)
	q := &query{oid: uint64(h.oid()), name: rel.Name, plan: plan}
	rel.Query = uint32(q.oid) // before its rows are kept, which looks at it
	h.add(rel, append(slices.Clone(plan.Topics), *plan.SinkTopic))
	h.queries[rel.Name] = q
	h.start(h.w, q, func(int32) bool { return true })
}

func (h *harness) oid() uint32 {
	h.nextOID++
	return h.nextOID
}

func (h *harness) add(rel *planner.Relation, topics []planner.TopicSpec) {
	rel.OID = h.oid()
	h.rels[rel.Name] = rel
	for _, t := range topics {
		h.log.Create(t.Name, t.Partitions)
	}
	h.keep(rel)
}

// keep keeps the rows of a table.
func (h *harness) keep(rel *planner.Relation) {
	if rel.Kind != planner.Table {
		return
	}
	for p := range rel.Partitions {
		if rel.Ordinary {
			require.NoError(h.t, h.w.tables.Own(rel, p))
		} else {
			require.NoError(h.t, h.w.tables.Follow(rel, p))
		}
	}
}

func (h *harness) start(w *worker, q *query, which func(int32) bool) {
	for _, f := range q.plan.Fragments {
		for p := range f.Partitions {
			if which(p) {
				require.NoError(h.t, w.runner.Start(h.spec(w, q, f, p)))
			}
		}
	}
}

func (h *harness) spec(w *worker, q *query, f *planner.Fragment, p int32) exec.TaskSpec {
	return exec.TaskSpec{
		Query: q.oid, Name: q.name, Plan: q.plan, Fragment: f, Partition: p, Group: exec.FragmentGroup("query-"+q.name, q.plan, f), Member: w.name,
		Generation: w.gen, CommitInterval: h.commit, IdleTimeout: h.idle,
	}
}

// put writes one record per JSON object to a relation's topic, as a foreign producer that places as Java does would. A null after
// "key:" deletes that key.
func (h *harness) put(name string, rows ...string) {
	h.t.Helper()
	rel := h.rels[name]
	for _, row := range rows {
		deleted := strings.HasPrefix(row, "-")
		row = strings.TrimPrefix(row, "-")
		key, value := h.encode(rel, row)
		if deleted {
			value = nil
		}
		h.append(rel, key, value, rowTimestamp(row))
	}
}

// rowTimestamp is the member _t of a row, in ms.
func rowTimestamp(row string) int64 {
	var m map[string]any
	if json.Unmarshal([]byte(row), &m) == nil {
		if t, ok := m["_t"].(float64); ok {
			return int64(t)
		}
	}
	return time.Now().UnixMilli()
}

func (h *harness) append(rel *planner.Relation, key, value []byte, timestamp int64) {
	h.t.Helper()
	var b record.Builder
	b.Reset(record.BatchOptions{})
	require.NoError(h.t, b.Append(timestamp, key, value))
	batch, err := b.Finish(nil)
	require.NoError(h.t, err)
	partition := int32(0)
	if key != nil {
		partition = record.PartitionForKey(key, rel.Partitions)
	} else if timestamp > 0 {
		partition = int32(timestamp % int64(rel.Partitions))
	}
	_, err = h.log.Append(context.Background(), []exec.PartitionBatch{{
		TopicPartition: exec.TopicPartition{Topic: rel.Topic, Partition: partition}, Batch: batch,
	}})
	require.NoError(h.t, err)
}

// encode splits a JSON row into key and value bytes of the relation's formats.
func (h *harness) encode(rel *planner.Relation, row string) (key, value []byte) {
	var keySchema, all format.Schema
	keySchema.Format, keySchema.Key, all.Format = rel.KeyFormat, true, "json"
	b := exec.NewRowBatch(rel, 1)
	wanted := make([]int, len(rel.Columns))
	for i, c := range rel.Columns {
		all.Columns = append(all.Columns, format.Column{Name: c.Name, Type: c.Type})
		wanted[i] = i
	}
	dec, err := format.NewDecoder(all, wanted)
	require.NoError(h.t, err)
	require.NoError(h.t, dec.Append(b.Cols, []byte(row)), row)
	var cols []*vec.Vector
	for _, k := range rel.Key {
		keySchema.Columns = append(keySchema.Columns, format.Column{Name: rel.Columns[k].Name, Type: rel.Columns[k].Type})
		cols = append(cols, b.Cols[k])
	}
	if len(rel.Key) > 0 {
		enc, err := format.NewEncoder(keySchema)
		require.NoError(h.t, err)
		key, err = enc.AppendRow(nil, cols, 0)
		require.NoError(h.t, err)
	}
	return key, []byte(row)
}

// settle waits until query name has taken in all that its base relations hold, through whatever queries lie between, and the rows of
// its result are kept.
func (h *harness) settle(name string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	h.ends(ctx, name)
	rel := h.rels[name]
	if rel.Kind != planner.Table {
		return
	}
	// A task that has lost its state does not know what it wrote before, so the topic says how far the rows must be.
	for p := range rel.Partitions {
		o, err := h.log.Offsets(ctx, exec.TopicPartition{Topic: rel.Topic, Partition: p})
		require.NoError(h.t, err)
		require.NoError(h.t, h.w.tables.Wait(ctx, rel, p, o.LastStable), name)
	}
}

// ends waits as settle does and returns the end of the relation's topic.
func (h *harness) ends(ctx context.Context, name string) map[exec.TopicPartition]int64 {
	h.t.Helper()
	rel, q := h.rels[name], h.queries[name]
	if q == nil {
		ends := map[exec.TopicPartition]int64{}
		for p := range rel.Partitions {
			tp := exec.TopicPartition{Topic: rel.Topic, Partition: p}
			o, err := h.log.Offsets(ctx, tp)
			require.NoError(h.t, err)
			ends[tp] = o.LastStable
		}
		return ends
	}
	base := map[exec.TopicPartition]int64{}
	for _, read := range q.plan.Reads {
		for tp, at := range h.ends(ctx, read.Name) {
			base[tp] = at
		}
	}
	ends, err := h.w.runner.WaitThrough(ctx, q.plan, q.oid, base)
	require.NoError(h.t, err, name)
	return ends
}

// table returns the rows of a table as text, sorted.
func (h *harness) table(name string) []string {
	h.t.Helper()
	h.settle(name)
	return h.rows(name)
}

func (h *harness) rows(name string) []string {
	h.t.Helper()
	var rows []string
	h.eachRow(name, func(b *vec.Batch, i int) { rows = append(rows, rowText(b, i)) })
	sort.Strings(rows)
	return rows
}

func rowText(b *vec.Batch, i int) string {
	var cells []string
	for _, c := range b.Cols {
		if c.IsNull(i) {
			cells = append(cells, "NULL")
			continue
		}
		cells = append(cells, types.FormatText(c.Type, c.Datum(i), nil))
	}
	return strings.Join(cells, "|")
}

// records returns the values of all committed records of a topic, in the order of partition and offset.
func (h *harness) records(topic string) (values []string) {
	h.t.Helper()
	h.eachRecord(topic, func(r *record.Record) { values = append(values, string(r.Value)) })
	return values
}

func (h *harness) eachRecord(topic string, f func(*record.Record)) {
	h.t.Helper()
	ctx := context.Background()
	n, err := h.log.PartitionCount(ctx, topic)
	require.NoError(h.t, err)
	for p := range n {
		got, err := h.log.Fetch(ctx, exec.TopicPartition{Topic: topic, Partition: p}, 0, 1<<30)
		require.NoError(h.t, err)
		var frames record.CommittedReader
		frames.Reset(got.Batches, nil)
		for {
			_, frame, ok, err := frames.Next()
			require.NoError(h.t, err)
			if !ok {
				break
			}
			var it record.Iterator
			for err = it.Reset(frame); err == nil && it.Next(); {
				f(&it.Record)
			}
			require.NoError(h.t, errors.Join(err, it.Err()))
		}
	}
}

// shiftedClock is the machine's clock, put forward.
type shiftedClock struct {
	clock.Clock
	ahead atomic.Int64
}

func (c *shiftedClock) Now() time.Time                  { return c.Clock.Now().Add(time.Duration(c.ahead.Load())) }
func (c *shiftedClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// forward puts the clock forward.
func (c *shiftedClock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// eventually waits for a condition that time brings about.
func (h *harness) eventually(what string, ok func() bool) {
	h.t.Helper()
	require.Eventually(h.t, ok, 2*time.Minute, 5*time.Millisecond, what)
}

func (h *harness) failure(name string) string {
	state, err := h.w.runner.Status(h.queries[name].oid)
	return fmt.Sprint(state, err)
}
