package exec

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// gatheringTask is a task with state behind an exchange, that has read rows in this round.
func gatheringTask(ctx context.Context, stateful bool, src *source) *task {
	return &task{
		r: &Runner{cfg: RunnerConfig{Clock: clock.Real}}, ctx: ctx, wake: make(chan struct{}, 1), rowsIn: 1, begun: time.Now(),
		spec: TaskSpec{Fragment: &planner.Fragment{Stateful: stateful}, CommitInterval: time.Second}, pipe: &pipeline{sources: []*source{src}},
	}
}

func TestARoundWaitsForWhatAWriterHasAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{more: []bool{false, true}}
		task := gatheringTask(t.Context(), true, src)
		left := task.gathers()
		require.Equal(t, catchUpIntervals*time.Second, left)

		task.wake <- struct{}{}
		src.quiet = true
		require.NoError(t, task.gather(left))
		require.Zero(t, time.Since(task.begun), "it goes on at once when there is something to read")
		require.False(t, src.quiet)

		require.NoError(t, task.gather(left))
		require.Equal(t, left, time.Since(task.begun), "nothing has come")
		require.LessOrEqual(t, task.gathers(), time.Duration(0), "this round ends")
		task.endRound()
		task.rowsIn, task.begun = 1, time.Now()
		require.Zero(t, task.gathers(), "a writer that is heard of no more holds up one round")
	})
}

func TestARoundWithNothingAnnouncedEndsWhenItsInputsAreDrained(t *testing.T) {
	require.Zero(t, gatheringTask(t.Context(), true, &source{more: []bool{false, false}}).gathers())
	require.Zero(t, gatheringTask(t.Context(), false, &source{more: []bool{true}}).gathers(), "without state nothing is saved by waiting")
	none := gatheringTask(t.Context(), true, &source{more: []bool{true}})
	none.rowsIn = 0
	require.Zero(t, none.gathers(), "there is nothing to commit")
}

func TestRoundsAreLongWhileATopicIsFarFromItsEnd(t *testing.T) {
	src := &source{scan: &planner.Scan{}, end: 1_000_000}
	require.Equal(t, catchUpIntervals*time.Second, gatheringTask(t.Context(), true, src).roundTime())
	src.next = src.end - 1
	require.Equal(t, time.Second, gatheringTask(t.Context(), true, src).roundTime())
}

// blocksOf are the headers of the blocks that w has written for each partition in this round.
func blocksOf(t *testing.T, w *exchangeWriter) [][]blockHeader {
	all := make([][]blockHeader, len(w.parts))
	batches, err := w.out.take()
	require.NoError(t, err)
	for _, b := range batches {
		var it record.Iterator
		require.NoError(t, it.Reset(b.Batch))
		for it.Next() {
			h, _, err := decodeBlock(it.Record.Value, vec.NewBatch(blockSchema, 0))
			require.NoError(t, err)
			all[b.Partition] = append(all[b.Partition], h)
		}
		require.NoError(t, it.Err())
	}
	return all
}

func TestWhoeverWasToldThatMoreComesHearsWhenThatIsOver(t *testing.T) {
	w := &exchangeWriter{out: &roundOutput{}, clock: clock.Real, topic: "x", header: blockHeader{writers: 1}}
	for range 3 {
		w.parts = append(w.parts, exchangePart{rows: vec.NewBatch(blockSchema, 0)})
	}
	add := func(p int) {
		w.parts[p].rows.AppendDatums([]types.Datum{types.IntDatum(7), types.BytesDatum("x"), types.NullDatum}, vec.Insert, 1000)
	}
	more := func() (said [][]bool) {
		for _, hs := range blocksOf(t, w) {
			var of []bool
			for _, h := range hs {
				of = append(of, h.more)
			}
			said = append(said, of)
		}
		return said
	}

	w.more = true
	add(0)
	add(1)
	require.NoError(t, w.flush(1000))
	require.Equal(t, [][]bool{{true}, {true}, nil}, more())

	w.more = false
	add(1)
	require.NoError(t, w.flush(1000))
	require.Equal(t, [][]bool{{false}, {false}, nil}, more(), "the first has no rows and is told all the same")

	add(2)
	require.NoError(t, w.flush(1000))
	require.Equal(t, [][]bool{nil, nil, {false}}, more())

	add(0)
	require.NoError(t, w.block(0, true)) // a block that is full ends no round
	require.NoError(t, w.flush(1000))
	require.Equal(t, [][]bool{{true, false}, nil, nil}, more())
}
