package logtest

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
)

func testRound(t *testing.T, h *suite) {
	l := h.lane(t, "lane")
	for round := range int64(3) {
		results, err := l.Commit(h.ctx, []exec.TaskCommit{{
			Group:   "g",
			Offsets: []exec.PartitionOffset{offset(in0, 10*(round+1)), offset(in1, round)},
			Batches: []exec.PartitionBatch{batch(t, out0, fmt.Sprint("a", round)), batch(t, out1, fmt.Sprint("b", round))},
		}})
		require.NoError(t, err)
		require.Len(t, results, 1)
		require.NoError(t, results[0].Err)
		require.Len(t, results[0].Appended, 2)
		require.Equal(t, 2*round, results[0].Appended[0].BaseOffset, "a record and a marker a round")
		bounds, err := h.Log.Offsets(h.ctx, out0)
		require.NoError(t, err)
		require.Equal(t, 2*(round+1), bounds.LastStable, "a round that is answered is readable")
		require.Equal(t, []int64{10 * (round + 1), round}, h.committed(t, "g", in0, in1))
	}
	require.Equal(t, []string{"a0", "a1", "a2"}, h.read(t, out0))
	require.Equal(t, []string{"b0", "b1", "b2"}, h.read(t, out1))
}

func testManyTasks(t *testing.T, h *suite) {
	l := h.lane(t, "lane")
	var tasks []exec.TaskCommit
	var want []string
	for i := range 5 {
		task := exec.TaskCommit{Group: fmt.Sprint("g", i%2), Offsets: []exec.PartitionOffset{offset(in0, int64(i))}}
		for j := range 3 {
			value := fmt.Sprint(i, "-", j)
			task.Batches = append(task.Batches, batch(t, out0, value))
			want = append(want, value)
		}
		tasks = append(tasks, task)
	}
	results, err := l.Commit(h.ctx, tasks)
	require.NoError(t, err)
	require.Equal(t, want, h.read(t, out0))
	next := int64(0)
	for _, r := range results {
		for _, a := range r.Appended {
			require.Equal(t, next, a.BaseOffset)
			next++
		}
	}
	results, err = l.Commit(h.ctx, nil)
	require.NoError(t, err)
	require.Empty(t, results)
}

func testFailedRound(t *testing.T, h *suite) {
	l := h.lane(t, "lane")
	bad := exec.TaskCommit{
		Group: "bad", Offsets: []exec.PartitionOffset{offset(in0, 3)},
		Batches: []exec.PartitionBatch{batch(t, out0, "void"), batch(t, exec.TopicPartition{Topic: "nowhere"}, "void")},
	}
	results, err := l.Commit(h.ctx, []exec.TaskCommit{bad})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, exec.ErrUnknownTopic)
	require.Equal(t, []int64{-1}, h.committed(t, "bad", in0))
	require.Empty(t, h.read(t, out0))

	results, err = l.Commit(h.ctx, []exec.TaskCommit{
		bad,
		{Group: "good", Offsets: []exec.PartitionOffset{offset(in0, 3)}, Batches: []exec.PartitionBatch{batch(t, out0, "kept")}},
	})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, exec.ErrUnknownTopic)
	require.Empty(t, results[0].Appended)
	require.NoError(t, results[1].Err)
	require.Len(t, results[1].Appended, 1)
	require.Equal(t, []string{"kept"}, h.read(t, out0))
	require.Equal(t, []int64{-1}, h.committed(t, "bad", in0))
	require.Equal(t, []int64{3}, h.committed(t, "good", in0))
}

func testOffsetsAlone(t *testing.T, h *suite) {
	l := h.lane(t, "lane")
	_, err := l.Commit(h.ctx, []exec.TaskCommit{{Group: "g", Offsets: []exec.PartitionOffset{{TopicPartition: in0, Offset: 4, Metadata: "m"}}}})
	require.NoError(t, err)
	require.Equal(t, []int64{-1}, h.committed(t, "other", in0))
	got, err := h.Log.Committed(h.ctx, "g", []exec.TopicPartition{in1, in0})
	require.NoError(t, err)
	require.Equal(t, []exec.PartitionOffset{{TopicPartition: in1, Offset: -1}, {TopicPartition: in0, Offset: 4, Metadata: "m"}}, got)
}

func testFencing(t *testing.T, h *suite) {
	first := h.lane(t, "lane")
	_, err := first.Commit(h.ctx, []exec.TaskCommit{{Batches: []exec.PartitionBatch{batch(t, out0, "first")}}})
	require.NoError(t, err)
	second := h.lane(t, "lane")
	for range 2 {
		_, err = first.Commit(h.ctx, []exec.TaskCommit{{
			Group: "g", Offsets: []exec.PartitionOffset{offset(in0, 1)},
			Batches: []exec.PartitionBatch{batch(t, out0, "zombie")},
		}})
		require.ErrorIs(t, err, exec.ErrFenced)
	}
	_, err = first.Commit(h.ctx, []exec.TaskCommit{{Batches: []exec.PartitionBatch{batch(t, out1, "zombie")}}})
	require.ErrorIs(t, err, exec.ErrFenced)
	_, err = second.Commit(h.ctx, []exec.TaskCommit{{Batches: []exec.PartitionBatch{batch(t, out0, "second")}}})
	require.NoError(t, err)
	require.Equal(t, []string{"first", "second"}, h.read(t, out0))
	require.Empty(t, h.read(t, out1))
	require.Equal(t, []int64{-1}, h.committed(t, "g", in0))
}

func testTakeOver(t *testing.T, h *suite) {
	x := h.begin(t, "lane")
	x.produce(t, out0, "void")
	x.commitOffset(t, "g", in0, 5)
	l := h.lane(t, "lane")
	require.Equal(t, []int64{-1}, h.committed(t, "g", in0), "nothing is unstable any more")
	bounds, err := h.Log.Offsets(h.ctx, out0)
	require.NoError(t, err)
	require.Equal(t, bounds.HighWatermark, bounds.LastStable)
	_, err = l.Commit(h.ctx, []exec.TaskCommit{{Batches: []exec.PartitionBatch{batch(t, out0, "kept")}}})
	require.NoError(t, err)
	require.Equal(t, []string{"kept"}, h.read(t, out0))
}

func testStaleGeneration(t *testing.T, h *suite) {
	const mine, theirs = "millrace-query-1", "millrace-query-2"
	member, generation := h.Join(t, mine)
	other, otherGeneration := h.Join(t, theirs)
	l := h.lane(t, "lane")
	round := func(n int64) []exec.TaskResult {
		results, err := l.Commit(h.ctx, []exec.TaskCommit{
			{
				Group: mine, Member: member, Generation: generation, Offsets: []exec.PartitionOffset{offset(in0, n)},
				Batches: []exec.PartitionBatch{batch(t, out0, fmt.Sprint("mine", n))},
			},
			{
				Group: theirs, Member: other, Generation: otherGeneration, Offsets: []exec.PartitionOffset{offset(in0, n)},
				Batches: []exec.PartitionBatch{batch(t, out0, fmt.Sprint("theirs", n))},
			},
		})
		require.NoError(t, err)
		require.NoError(t, results[1].Err)
		return results
	}
	require.NoError(t, round(1)[0].Err)
	next, nextGeneration := h.Join(t, mine)
	results := round(2)
	require.ErrorIs(t, results[0].Err, exec.ErrStaleGeneration)
	require.Empty(t, results[0].Appended)
	require.Len(t, results[1].Appended, 1)
	require.Equal(t, []string{"mine1", "theirs1", "theirs2"}, h.read(t, out0))
	require.Equal(t, []int64{1}, h.committed(t, mine, in0))
	require.Equal(t, []int64{2}, h.committed(t, theirs, in0))
	member, generation = next, nextGeneration
	require.NoError(t, round(3)[0].Err)
	require.Equal(t, []int64{3}, h.committed(t, mine, in0))
}

func testAllStale(t *testing.T, h *suite) {
	member, generation := h.Join(t, "g")
	h.Join(t, "g")
	l := h.lane(t, "lane")
	results, err := l.Commit(h.ctx, []exec.TaskCommit{{
		Group: "g", Member: member, Generation: generation, Offsets: []exec.PartitionOffset{offset(in0, 1)},
		Batches: []exec.PartitionBatch{batch(t, out0, "void")},
	}})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, exec.ErrStaleGeneration)
	_, err = l.Commit(h.ctx, []exec.TaskCommit{{Batches: []exec.PartitionBatch{batch(t, out0, "kept")}}})
	require.NoError(t, err)
	require.Equal(t, []string{"kept"}, h.read(t, out0))
	require.Equal(t, []int64{-1}, h.committed(t, "g", in0))
}

// testExactlyOnce copies in to out in rounds that begin at the committed offset, while other lanes take over at random.
func testExactlyOnce(t *testing.T, h *suite) {
	const records = 30
	rng := rand.New(rand.NewSource(1))
	var want []string
	for i := range records {
		want = append(want, fmt.Sprint("v", i))
		_, err := h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, in0, want[i])})
		require.NoError(t, err)
	}
	lanes := []exec.Lane{h.lane(t, "lane")}
	position := int64(0)
	for position < records {
		if rng.Intn(4) == 0 {
			lanes = append(lanes, h.lane(t, "lane"))
			position = max(h.committed(t, "g", in0)[0], 0)
		}
		l := lanes[len(lanes)-1]
		if rng.Intn(4) == 0 {
			l = lanes[rng.Intn(len(lanes))] // perhaps a zombie
		}
		n := min(int64(1+rng.Intn(4)), records-position)
		_, err := l.Commit(h.ctx, []exec.TaskCommit{{
			Group: "g", Offsets: []exec.PartitionOffset{offset(in0, position+n)},
			Batches: []exec.PartitionBatch{batch(t, out0, want[position:position+n]...)},
		}})
		if l != lanes[len(lanes)-1] {
			require.ErrorIs(t, err, exec.ErrFenced)
			continue
		}
		require.NoError(t, err)
		position += n
	}
	require.Equal(t, want, h.read(t, out0))
	require.Equal(t, []int64{records}, h.committed(t, "g", in0))
}
