package exec_test

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/pebblestore"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// keeper keeps the rows of tables on a node of its own, first as a standby.
type keeper struct {
	h      *harness
	state  *pebblestore.Store
	tables *exec.Tables
	// retention is its StateRetention.
	retention time.Duration
}

func (h *harness) newKeeper() *keeper {
	k := &keeper{h: h}
	var err error
	k.state, err = pebblestore.Open(pebblestore.Options{FS: fsys.NewMem(), Dir: "state"})
	require.NoError(h.t, err)
	k.open(true)
	h.t.Cleanup(func() {
		require.NoError(h.t, k.tables.Close())
		require.NoError(h.t, k.state.Close())
	})
	return k
}

// open begins to keep rows anew, with the state that is there.
func (k *keeper) open(standby bool) {
	if k.tables != nil {
		require.NoError(k.h.t, k.tables.Close())
	}
	k.tables = exec.NewTables(exec.TablesConfig{
		Log: k.h.log, State: k.state, Clock: &k.h.clock, LanePrefix: "keeper", ErrorsTopic: errorsTopic, Standby: standby, StateRetention: func() time.Duration { return k.retention },
	})
}

func (k *keeper) follow(rel *planner.Relation) {
	for p := range rel.Partitions {
		require.NoError(k.h.t, k.tables.Follow(rel, p))
	}
}

// caughtUp waits until the rows hold the whole topic.
func (k *keeper) caughtUp(rel *planner.Relation) {
	k.h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for p := range rel.Partitions {
		o, err := k.h.log.Offsets(ctx, exec.TopicPartition{Topic: rel.Topic, Partition: p})
		require.NoError(k.h.t, err)
		require.NoError(k.h.t, k.tables.Wait(ctx, rel, p, o.LastStable))
	}
}

func (k *keeper) rows(rel *planner.Relation) (rows []string) {
	k.h.t.Helper()
	k.caughtUp(rel)
	snap := k.state.Snapshot()
	defer func() { require.NoError(k.h.t, snap.Close()) }()
	for p := range rel.Partitions {
		r, ok, err := exec.NewTableReader(snap, rel, p)
		require.NoError(k.h.t, err)
		if !ok {
			continue
		}
		scan, err := r.Scan(exec.Bound{}, exec.Bound{})
		require.NoError(k.h.t, err)
		b := exec.NewRowBatch(rel, 0)
		for n := 1; n > 0; {
			n, err = scan.Next(b, 100)
			require.NoError(k.h.t, err)
		}
		require.NoError(k.h.t, scan.Close())
		for i := range b.Len() {
			rows = append(rows, rowText(b, i))
		}
	}
	sort.Strings(rows)
	return rows
}

// TestAStandbyOwnsTheTableWithoutReadingItAgain: it has the rows, their indexes and the mark of the owner that is gone.
func TestAStandbyOwnsTheTableWithoutReadingItAgain(t *testing.T) {
	h := newHarness(t, 5)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
	rel := h.rels["t"]
	indexed := *rel
	indexed.Indexes = []planner.Index{{OID: 999, Name: "by_v", Cols: []int{1}}}
	k := h.newKeeper()
	k.follow(&indexed)
	var want []string
	for i := range 200 {
		h.insert(rel, i, fmt.Sprint("v", i%10))
		want = append(want, fmt.Sprintf("%d|v%d", i, i%10))
	}
	sort.Strings(want)
	require.Equal(t, want, k.rows(rel))
	require.EqualValues(t, 200, k.tables.RowsRead())

	h.w.close() // the owner has gone
	k.open(false)
	for p := range rel.Partitions {
		require.NoError(t, k.tables.Own(&indexed, p))
	}
	require.NoError(t, k.tables.WaitIndexed(t.Context(), &indexed, 999))
	require.Equal(t, want, k.rows(rel))
	h.w.tables = k.tables
	require.Equal(t, []int32{0}, h.insert(&indexed, 7, "again"), "the key is there")
	require.Empty(t, h.insert(&indexed, 1000, "v3"))
	require.Zero(t, k.tables.RowsRead(), "rows were read again")
	found := 0
	snap := k.state.Snapshot()
	for p := range rel.Partitions {
		r, ok, err := exec.NewTableReader(snap, &indexed, p)
		require.NoError(t, err)
		require.True(t, ok)
		scan, err := r.ScanIndex(&indexed.Indexes[0], []types.Datum{types.BytesDatum("v3")})
		require.NoError(t, err)
		b := exec.NewRowBatch(&indexed, 0)
		n, err := scan.Next(b, 1000)
		require.NoError(t, err)
		found += n
		require.NoError(t, scan.Close())
	}
	require.NoError(t, snap.Close())
	require.Equal(t, 21, found)
}

// TestAStandbyDecodesWhatCameBeforeItHeardOfAnAlteration: the records of the new column were there before the definition.
func TestAStandbyDecodesWhatCameBeforeItHeardOfAnAlteration(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (topic = 'ours', key_format = 'kafka', value_format = 'json')`)
	rel := h.rels["t"]
	k := h.newKeeper()
	k.follow(rel)
	h.put("t", `{"id":1,"v":"a"}`, `{"id":2,"v":"b","w":20}`)
	require.Equal(t, []string{"1|a", "2|b"}, k.rows(rel))
	wider := *rel
	wider.Columns = append(slices.Clip(rel.Columns), planner.Column{Name: "w", Type: types.Of(types.Int4)})
	k.tables.Alter(&wider)
	h.put("t", `{"id":3,"v":"c","w":30}`)
	h.eventually("rows of the new shape", func() bool {
		return slices.Equal([]string{"1|a|NULL", "2|b|20", "3|c|30"}, k.rows(&wider))
	})
	require.EqualValues(t, 5, k.tables.RowsRead(), "two of them twice")

	k.open(true) // who has made them anew says so in the mark
	k.follow(&wider)
	require.Equal(t, []string{"1|a|NULL", "2|b|20", "3|c|30"}, k.rows(&wider))
	require.Zero(t, k.tables.RowsRead())
	k.open(true) // who was not there when it was altered makes them anew too
	k.follow(rel)
	require.Equal(t, []string{"1|a", "2|b", "3|c"}, k.rows(rel))
	require.EqualValues(t, 3, k.tables.RowsRead())
}

// TestRowsThatMayHaveMissedDeletesAreMadeAnew: a node that was away for longer than tombstones are kept.
func TestRowsThatMayHaveMissedDeletesAreMadeAnew(t *testing.T) {
	for _, c := range []struct {
		what   string
		away   time.Duration
		behind bool
		read   int64
	}{
		{"a short while", time.Hour, true, 1},
		{"long, but nothing was written", 24 * time.Hour, false, 0},
		{"long", 24 * time.Hour, true, 4},
	} {
		t.Run(c.what, func(t *testing.T) {
			h := newHarness(t, 1)
			h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT)`)
			rel := h.rels["t"]
			k := h.newKeeper()
			k.retention = 12 * time.Hour
			k.follow(rel)
			h.insert(rel, 1, "a", 2, "b", 3, "c")
			require.Len(t, k.rows(rel), 3)
			require.NoError(t, k.tables.Close())
			if c.behind {
				h.insert(rel, 4, "d")
			}
			h.clock.forward(c.away)
			k.open(true)
			k.follow(rel)
			k.caughtUp(rel)
			require.Equal(t, c.read, k.tables.RowsRead())
		})
	}
}

// TestRowsOfAnotherTopicAreNotGoneOnFrom: the table was given a topic of its own anew, whose offsets mean something else.
func TestRowsOfAnotherTopicAreNotGoneOnFrom(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (topic = 'ours', key_format = 'kafka', value_format = 'json')`)
	rel := h.rels["t"]
	k := h.newKeeper()
	k.follow(rel)
	h.put("t", `{"id":1,"v":"a"}`)
	require.Equal(t, []string{"1|a"}, k.rows(rel))
	moved := *rel
	moved.Topic = "theirs"
	h.log.Create("theirs", 1)
	h.rels["t"] = &moved
	h.put("t", `{"id":5,"v":"x"}`, `{"id":6,"v":"y"}`)
	k.open(true)
	k.follow(&moved)
	require.Equal(t, []string{"5|x", "6|y"}, k.rows(&moved))
}
