package logtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
)

func testAppend(t *testing.T, h *suite) {
	got, err := h.Log.Append(h.ctx, []exec.PartitionBatch{
		batch(t, out0, "a", "b"), batch(t, out1, "x"), batch(t, out0, "c"),
	})
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.EqualValues(t, 0, got[0].BaseOffset)
	require.EqualValues(t, 0, got[1].BaseOffset)
	require.EqualValues(t, 2, got[2].BaseOffset)
	require.Equal(t, []string{"a", "b", "c"}, h.read(t, out0))
	require.Equal(t, []string{"x"}, h.read(t, out1))

	bounds, err := h.Log.Offsets(h.ctx, out0)
	require.NoError(t, err)
	require.EqualValues(t, 0, bounds.LogStart)
	require.EqualValues(t, 3, bounds.HighWatermark, "acknowledged means below the high watermark")
	require.EqualValues(t, 3, bounds.LastStable)
	require.Equal(t, got[2].LeaderEpoch, bounds.LeaderEpoch)
}

func testFetchBounds(t *testing.T, h *suite) {
	_, err := h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, out0, "a")})
	require.NoError(t, err)
	f, err := h.Log.Fetch(h.ctx, out0, 1, 1<<20)
	require.NoError(t, err)
	require.Empty(t, f.Batches)
	require.EqualValues(t, 1, f.LastStable)
	require.EqualValues(t, 1, f.HighWatermark)
	f.Release()
	_, err = h.Log.Fetch(h.ctx, out0, 7, 1<<20)
	require.ErrorIs(t, err, exec.ErrOffsetOutOfRange)
}

func testUnknownTopic(t *testing.T, h *suite) {
	nowhere := exec.TopicPartition{Topic: "nowhere"}
	_, err := h.Log.PartitionCount(h.ctx, "nowhere")
	require.ErrorIs(t, err, exec.ErrUnknownTopic)
	_, err = h.Log.Fetch(h.ctx, nowhere, 0, 1)
	require.ErrorIs(t, err, exec.ErrUnknownTopic)
	_, err = h.Log.Offsets(h.ctx, exec.TopicPartition{Topic: "out", Partition: 99})
	require.ErrorIs(t, err, exec.ErrUnknownTopic)
	_, err = h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, nowhere, "a")})
	require.ErrorIs(t, err, exec.ErrUnknownTopic)
	require.ErrorIs(t, h.Log.DeleteRecords(h.ctx, nowhere, 0), exec.ErrUnknownTopic)
}

func testPartitionCount(t *testing.T, h *suite) {
	n, err := h.Log.PartitionCount(h.ctx, "in")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	h.AddPartitions(t, "in", 4)
	n, err = h.Log.PartitionCount(h.ctx, "in")
	require.NoError(t, err)
	require.EqualValues(t, 4, n)
	added := exec.TopicPartition{Topic: "in", Partition: 3}
	_, err = h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, added, "a")})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, h.read(t, added))
}

func testLastStable(t *testing.T, h *suite) {
	x := h.begin(t, "open")
	x.produce(t, out0, "a")
	_, err := h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, out0, "plain")})
	require.NoError(t, err)
	bounds, err := h.Log.Offsets(h.ctx, out0)
	require.NoError(t, err)
	require.EqualValues(t, 2, bounds.HighWatermark)
	require.EqualValues(t, 0, bounds.LastStable)
	require.Empty(t, h.read(t, out0), "nothing above an open transaction is readable")
	x.end(t, true)
	require.Equal(t, []string{"a", "plain"}, h.read(t, out0))
	bounds, err = h.Log.Offsets(h.ctx, out0)
	require.NoError(t, err)
	require.EqualValues(t, 3, bounds.LastStable)
}

func testAborted(t *testing.T, h *suite) {
	x, y := h.begin(t, "x"), h.begin(t, "y")
	x.produce(t, out0, "x-void")
	y.produce(t, out0, "y-kept")
	_, err := h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, out0, "plain")})
	require.NoError(t, err)
	x.end(t, false)
	y.end(t, true)
	x = h.begin(t, "x")
	x.produce(t, out0, "x-kept")
	x.end(t, true)
	require.Equal(t, []string{"y-kept", "plain", "x-kept"}, h.read(t, out0))
}

func testRequireStable(t *testing.T, h *suite) {
	require.Equal(t, []int64{-1, -1}, h.committed(t, "g", in0, in1))
	// The group exists before the transaction that is waited for: kfake answers GROUP_ID_NOT_FOUND for a group whose only offsets are pending,
	// where Kafka answers UNSTABLE_OFFSET_COMMIT.
	x := h.begin(t, "before")
	x.commitOffset(t, "g", in0, 3)
	x.end(t, true)
	require.Equal(t, []int64{3, -1}, h.committed(t, "g", in0, in1))
	x = h.begin(t, "open")
	x.commitOffset(t, "g", in0, 7)
	answer := make(chan []int64, 1)
	failed := make(chan error, 1)
	go func() {
		offsets, err := h.Log.Committed(h.ctx, "g", []exec.TopicPartition{in1, in0})
		if err != nil {
			failed <- err
			return
		}
		answer <- offsetsOf(offsets)
	}()
	select {
	case got := <-answer:
		t.Fatalf("answered %v while a transaction is open", got)
	default:
	}
	x.end(t, true)
	select {
	case got := <-answer:
		require.Equal(t, []int64{-1, 7}, got)
	case err := <-failed:
		require.NoError(t, err)
	}
}

func testDeleteRecords(t *testing.T, h *suite) {
	_, err := h.Log.Append(h.ctx, []exec.PartitionBatch{batch(t, out0, "a"), batch(t, out0, "b"), batch(t, out0, "c")})
	require.NoError(t, err)
	require.NoError(t, h.Log.DeleteRecords(h.ctx, out0, 2))
	bounds, err := h.Log.Offsets(h.ctx, out0)
	require.NoError(t, err)
	require.EqualValues(t, 2, bounds.LogStart)
	_, err = h.Log.Fetch(h.ctx, out0, 0, 1<<20)
	require.ErrorIs(t, err, exec.ErrOffsetOutOfRange)
	require.Equal(t, []string{"c"}, h.read(t, out0))
	require.ErrorIs(t, h.Log.DeleteRecords(h.ctx, out0, 9), exec.ErrOffsetOutOfRange)
}

func testSubscribe(t *testing.T, h *suite) {
	wake := make(chan struct{}, 1)
	cancel, err := h.Log.Subscribe(out0, wake)
	require.NoError(t, err)
	l := h.lane(t, "lane")
	for i := range 3 {
		_, err = l.Commit(h.ctx, []exec.TaskCommit{{Batches: []exec.PartitionBatch{batch(t, out0, "a")}}})
		require.NoError(t, err)
		for len(h.read(t, out0)) <= i { // the first wake may be of something older
			h.await(t, wake)
		}
		h.await(t, wake)
	}
	cancel()
	cancel()
}

func (h *suite) await(t *testing.T, wake <-chan struct{}) {
	t.Helper()
	select {
	case <-wake:
	case <-h.ctx.Done():
		t.Fatal("nobody woke the subscriber")
	}
}
