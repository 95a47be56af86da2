package locallog

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

var (
	input   = exec.TopicPartition{Topic: "in"}
	outputs = []exec.TopicPartition{{Topic: "out", Partition: 0}, {Topic: "out", Partition: 1}}
)

func valueBatch(t *testing.T, tp exec.TopicPartition, value string) exec.PartitionBatch {
	var b record.Builder
	b.Reset(record.BatchOptions{})
	require.NoError(t, b.Append(1000, []byte("k"), []byte(value)))
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return exec.PartitionBatch{TopicPartition: tp, Batch: frame}
}

// values returns what a reader of tp sees.
func values(t *testing.T, l exec.Log, tp exec.TopicPartition) []string {
	var out []string
	var it record.Iterator
	for offset := int64(0); ; {
		f, err := l.Fetch(t.Context(), tp, offset, 1<<20)
		require.NoError(t, err)
		if len(f.Batches) == 0 {
			f.Release()
			return out
		}
		var aborted []record.AbortedTxn
		for _, a := range f.Aborted {
			aborted = append(aborted, record.AbortedTxn(a))
		}
		for rest := f.Batches; len(rest) > 0; {
			var h record.Header
			h, _, rest, err = record.Next(rest)
			require.NoError(t, err)
			offset = h.LastOffset() + 1
		}
		var c record.CommittedReader
		c.Reset(f.Batches, aborted)
		for {
			_, frame, ok, err := c.Next()
			require.NoError(t, err)
			if !ok {
				break
			}
			require.NoError(t, it.Reset(frame))
			for it.Next() {
				out = append(out, string(it.Record.Value))
			}
		}
		f.Release()
	}
}

// rounds commits one round after the other, from the committed offset on, until stop is set; done counts those that were answered.
func rounds(t *testing.T, n *node, stop *atomic.Bool, done *atomic.Int64, progress chan<- struct{}) {
	defer close(progress)
	ctx := context.WithoutCancel(t.Context())
	l, err := n.log.OpenLane(ctx, "lane")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	committed, err := n.log.Committed(ctx, "g", []exec.TopicPartition{input})
	require.NoError(t, err)
	next := max(committed[0].Offset, 0)
	done.Store(next)
	for ; !stop.Load(); next++ {
		task := exec.TaskCommit{Group: "g", Offsets: []exec.PartitionOffset{{TopicPartition: input, Offset: next + 1}}}
		for _, tp := range outputs {
			task.Batches = append(task.Batches, valueBatch(t, tp, fmt.Sprint(next)))
		}
		_, err := l.Commit(ctx, []exec.TaskCommit{task})
		require.NoError(t, err)
		done.Store(next + 1)
		progress <- struct{}{}
	}
}

// checkRounds says whether each round up to the committed offset is there once, and at least those that were answered.
func checkRounds(t *testing.T, n *node, answered int64) {
	committed, err := n.log.Committed(t.Context(), "g", []exec.TopicPartition{input})
	require.NoError(t, err)
	require.GreaterOrEqual(t, max(committed[0].Offset, 0), answered, "an answered round is lost")
	var want []string
	for i := range committed[0].Offset {
		want = append(want, fmt.Sprint(i))
	}
	for _, tp := range outputs {
		require.Equal(t, want, values(t, n.log, tp), "%v at committed offset %d", tp, committed[0])
		bounds, err := n.log.Offsets(t.Context(), tp)
		require.NoError(t, err)
		require.Equal(t, bounds.HighWatermark, bounds.LastStable, "something stays open")
	}
}

// TestRoundsSurvivePowerLoss takes copies of the disk at random moments of a run, without a random half of what was not synced, and starts
// from them.
func TestRoundsSurvivePowerLoss(t *testing.T) {
	for seed := range int64(10) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			fs := fsys.NewMem()
			n := startNode(t, fs, "data")
			n.createTopic(t, "in", 1)
			n.createTopic(t, "out", 2)
			for range 4 {
				var stop atomic.Bool
				var done atomic.Int64
				progress := make(chan struct{})
				go rounds(t, n, &stop, &done, progress)
				for range 1 + rng.Intn(20) {
					<-progress
				}
				answered := done.Load()
				crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: randv2.New(randv2.NewPCG(uint64(seed), rng.Uint64()))})
				stop.Store(true)
				for range progress { // until the last round of the life that the copy does not have is over
				}
				n.stop(t)
				fs, n = crashed, startNode(t, crashed, "data")
				l, err := n.log.OpenLane(t.Context(), "lane")
				require.NoError(t, err)
				require.NoError(t, l.Close())
				checkRounds(t, n, answered)
			}
			n.stop(t)
		})
	}
}

// lossy is a transport that loses requests and responses, and all of them once it is cut.
type lossy struct {
	lane.Transport
	rng    *rand.Rand
	cutEnd bool // cut at the next EndTxn, before or after it is carried out
	cut    bool
	left   int // requests until giveUp, once it is cut
	giveUp context.CancelFunc
}

// lossyPatience is how many requests are tried on a transport that is cut before their round is given up.
const lossyPatience = 3

var errLost = errors.New("connection lost")

func (l *lossy) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if _, ok := req.(*kmsg.EndTxnRequest); ok && l.cutEnd && !l.cut {
		l.cut, l.left = true, lossyPatience
		if l.rng.Intn(2) == 0 {
			_, _ = l.Transport.Request(ctx, req)
		}
	}
	if l.cut {
		if l.left--; l.left == 0 {
			l.giveUp()
		}
		return nil, errLost
	}
	if l.rng.Intn(8) == 0 {
		return nil, errLost
	}
	resp, err := l.Transport.Request(ctx, req)
	if l.rng.Intn(8) == 0 {
		return nil, errLost
	}
	return resp, err
}

// TestRoundsCountOnceOverALossyTransport commits rounds whose requests or answers get lost; where the outcome is unknown, a new lane and
// the committed offset settle it.
func TestRoundsCountOnceOverALossyTransport(t *testing.T) {
	n := startNode(t, fsys.NewMem(), "data")
	defer n.stop(t)
	n.createTopic(t, "in", 1)
	n.createTopic(t, "out", 2)
	rng := rand.New(rand.NewSource(1))
	unknown := 0
	for next := int64(0); next < 40; {
		transport := &lossy{Transport: n.log.Transport(), rng: rng}
		l, err := lane.Open(t.Context(), lane.Options{Transport: transport, Clock: clock.Real, TransactionalID: "lane"})
		require.NoError(t, err)
		committed, err := n.log.Committed(t.Context(), "g", []exec.TopicPartition{input})
		require.NoError(t, err)
		next = max(committed[0].Offset, 0)
		for ; err == nil && next < 40; next++ {
			task := exec.TaskCommit{Group: "g", Offsets: []exec.PartitionOffset{{TopicPartition: input, Offset: next + 1}}}
			for _, tp := range outputs {
				task.Batches = append(task.Batches, valueBatch(t, tp, fmt.Sprint(next)))
			}
			transport.cutEnd = rng.Intn(5) == 0
			ctx, cancel := context.WithCancel(t.Context())
			transport.giveUp = cancel
			_, err = l.Commit(ctx, []exec.TaskCommit{task})
			cancel()
		}
		if err != nil {
			require.ErrorIs(t, err, exec.ErrUnknownOutcome)
			_, again := l.Commit(t.Context(), []exec.TaskCommit{{}})
			require.ErrorIs(t, again, exec.ErrUnknownOutcome, "the lane is spent")
			unknown++
		}
		require.NoError(t, l.Close())
	}
	require.Positive(t, unknown)
	checkRounds(t, n, 40)
}
