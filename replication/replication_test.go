package replication

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var silent = slog.New(slog.DiscardHandler)

// node is a metadata store and a manager on one file system.
type node struct {
	*Manager
	t    testing.TB
	fs   *fsys.Mem
	meta *metadata.Store
	// broken says that the test broke the disk, so that the logs cannot close in order.
	broken bool
	logs   *log.Manager
}

func startNode(t testing.TB, fs *fsys.Mem) *node {
	n := &node{t: t, fs: fs}
	require.NoError(t, fsys.MkdirAllSync(fs, "data"))
	id, _, err := metadata.FormatOrCheck(fs, "data", metadata.Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	n.meta, err = metadata.Open(t.Context(), metadata.Options{
		FS: fs, Dir: "data/meta", Identity: id, Release: "0.1.0", Clock: clock.Real, Rand: crand.Reader, Logger: silent, OnFatal: func(error) {},
	})
	require.NoError(t, err)
	_, err = n.meta.Register(t.Context(), metadata.Broker{})
	require.NoError(t, err)
	n.logs, err = log.OpenManager(log.ManagerOptions{
		Dir: "data", FS: fs, Clock: clock.Real, Logger: silent, DiskFreeMin: -1, OnOffline: func(err error) { n.GoOffline(err) },
	})
	require.NoError(t, err)
	n.Manager, err = Open(Options{Logs: n.logs, Metadata: n.meta, NodeID: 1, Clock: clock.Real, Logger: silent})
	require.NoError(t, err)
	return n
}

func (n *node) stop() {
	require.NoError(n.t, n.Close())
	if err := n.logs.Close(); !n.broken {
		require.NoError(n.t, err)
	}
	require.NoError(n.t, n.meta.Close())
}

func start(t testing.TB) *node {
	n := startNode(t, fsys.NewMem())
	t.Cleanup(n.stop)
	return n
}

// apply changes the metadata and waits until the manager has acted on it.
func (n *node) apply(build func(b *metadata.Batch)) {
	b := n.meta.NewBatch()
	build(b)
	r, err := n.meta.Apply(n.t.Context(), b)
	require.NoError(n.t, err)
	require.NoError(n.t, n.WaitIndex(n.t.Context(), r.Index))
}

func (n *node) topic(name string, partitions int32, configs map[string]string) *Partition {
	n.apply(func(b *metadata.Batch) {
		b.CreateTopic(metadata.TopicSpec{Name: name, Partitions: partitions, Configs: configs})
	})
	return n.partition(name, 0)
}

func (n *node) partition(name string, id int32) *Partition {
	p, err := n.Partition(name, id)
	require.NoError(n.t, err)
	return p
}

// batch makes a batch of one record for each value.
func batch(t testing.TB, o record.BatchOptions, values ...string) []byte {
	var b record.Builder
	b.Reset(o)
	for _, v := range values {
		require.NoError(t, b.Append(1000, []byte("k"), []byte(v)))
	}
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return frame
}

// read returns the values of the records that a reader of the given isolation sees.
func read(t testing.TB, p *Partition, iso Isolation) (out []string) {
	f, err := p.Fetch(p.LogStart(), 1<<20, iso, -1)
	require.NoError(t, err)
	defer f.Chunk.Release()
	data, err := f.Chunk.AppendTo(nil)
	require.NoError(t, err)
	for rest := data; len(rest) > 0; {
		var frame []byte
		_, frame, rest, err = record.Next(rest)
		require.NoError(t, err)
		var it record.Iterator
		require.NoError(t, it.Reset(frame))
		for it.Next() {
			out = append(out, string(it.Record.Value))
		}
	}
	return out
}

// hold makes syncs of partition files wait until the returned function is called.
func (n *node) hold() (release func()) {
	gate := make(chan struct{})
	n.fs.Inject(func(op fsys.Op, p string) error {
		if op == fsys.OpSync && path.Ext(p) == ".log" && path.Dir(p) != "data/meta" {
			<-gate
		}
		return nil
	})
	return func() { n.fs.Inject(nil); close(gate) }
}

func TestAppendIsReadableOnlyWhenItIsDurable(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	wake := make(chan struct{}, 1)
	defer p.Subscribe(wake)()
	release := n.hold()
	r, err := p.AppendAsync(batch(t, record.BatchOptions{}, "x", "y"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	require.EqualValues(t, 2, p.LogEnd())
	require.EqualValues(t, 0, p.HighWatermark())
	require.Empty(t, read(t, p, ReadUncommitted))
	require.Equal(t, []string{"x", "y"}, read(t, p, ReadLogEnd))
	release()
	require.NoError(t, p.WaitCommitted(t.Context(), r))
	<-wake
	require.EqualValues(t, 2, p.HighWatermark())
	require.Equal(t, []string{"x", "y"}, read(t, p, ReadUncommitted))
}

func TestAppendGivesUpWaitingWhenTheContextEnds(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	release := n.hold()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := p.Append(ctx, batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.ErrorIs(t, err, kerr.RequestTimedOut)
	release()
	require.NoError(t, p.WaitHighWatermark(t.Context(), 1), "the record is written all the same")
}

func TestManyAppendersWaitOnceForManyPartitions(t *testing.T) {
	n := start(t)
	n.topic("a", 8, nil)
	var results []AppendResult
	for i := range int32(8) {
		r, err := n.partition("a", i).AppendAsync(batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll, NoSync: true})
		require.NoError(t, err)
		require.EqualValues(t, 0, n.partition("a", i).DurableEnd())
		results = append(results, r)
	}
	for i, r := range results {
		n.partition("a", int32(i)).Flush(r.LastOffset + 1)
	}
	for i, r := range results {
		require.NoError(t, n.partition("a", int32(i)).WaitCommitted(t.Context(), r))
	}
}

func TestLeadershipIsCheckedByEpoch(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	epoch := p.LeaderEpoch()
	_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Fence: true, Epoch: epoch + 1})
	require.ErrorIs(t, err, kerr.UnknownLeaderEpoch)
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Fence: true, Epoch: epoch - 1})
	require.ErrorIs(t, err, kerr.FencedLeaderEpoch)
	_, err = p.Fetch(0, 1, ReadUncommitted, epoch+1)
	require.ErrorIs(t, err, kerr.UnknownLeaderEpoch)
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Fence: true, Epoch: epoch, Acks: AcksAll})
	require.NoError(t, err)
}

func TestANodeServesAsLeaderOnlyForItsTime(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	n.ServeUntil(time.Now().Add(-time.Minute)) // it was frozen meanwhile: nobody has called CutOff
	require.False(t, p.Leads())
	require.True(t, n.IsCutOff())
	_, err := p.Fetch(0, 1, ReadUncommitted, -1)
	require.ErrorIs(t, err, kerr.NotLeaderForPartition)
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.ErrorIs(t, err, kerr.NotLeaderForPartition)
	n.ServeUntil(time.Now().Add(time.Hour))
	require.True(t, p.Leads())
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
}

func TestWhoWaitsIsToldWhenTheLeadershipEnds(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	release := n.hold()
	r, err := p.AppendAsync(batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	told := make(chan error, 1)
	go func() { told <- p.WaitCommitted(t.Context(), r) }()
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("a")
		next := topic.Partitions[0]
		next.Leader = metadata.NoLeader
		b.ChangePartition(topic.ID, topic.Partitions[0], next, true, nil)
	})
	require.ErrorIs(t, <-told, kerr.NotLeaderForPartition)
	_, err = p.AppendAsync(batch(t, record.BatchOptions{}, "y"), AppendOptions{})
	require.ErrorIs(t, err, kerr.NotLeaderForPartition)
	require.False(t, p.Leads())
	release()
	// It leads again, in a later epoch: the old wait is not answered by it.
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("a")
		next := topic.Partitions[0]
		next.Leader = 1
		b.ChangePartition(topic.ID, topic.Partitions[0], next, true, nil)
	})
	require.ErrorIs(t, p.WaitCommitted(t.Context(), r), kerr.NotLeaderForPartition)
	require.NoError(t, p.WaitHighWatermark(t.Context(), 1))
	e, end, err := p.OffsetForLeaderEpoch(-1, r.LeaderEpoch)
	require.NoError(t, err)
	require.Equal(t, r.LeaderEpoch, e)
	require.EqualValues(t, 1, end)
}

func TestAcksAllNeedsEnoughReplicasInSync(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, map[string]string{"min.insync.replicas": "2"})
	_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.ErrorIs(t, err, kerr.NotEnoughReplicas)
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksLeader})
	require.NoError(t, err)
	wake := make(chan struct{}, 1)
	defer p.Subscribe(wake)()
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("a")
		b.SetTopicConfigs(topic.ID, nil, "min.insync.replicas")
	})
	require.NoError(t, p.WaitHighWatermark(t.Context(), 1))
	<-wake
}

func TestOpenTransactionsHoldBackCommittedReaders(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	txn := record.BatchOptions{Idempotent: true, Transactional: true, ProducerID: 7}
	_, err := p.Append(t.Context(), batch(t, txn, "open"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "after"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	require.EqualValues(t, 2, p.HighWatermark())
	require.EqualValues(t, 0, p.LastStableOffset())
	require.Empty(t, read(t, p, ReadCommitted))
	require.Equal(t, []string{"open", "after"}, read(t, p, ReadUncommitted))

	marker := record.AppendControl(nil, record.Marker{ProducerID: 7, Commit: false}, 1000)
	_, err = p.Append(t.Context(), marker, AppendOptions{Acks: AcksAll, Origin: log.Coordinator})
	require.NoError(t, err)
	require.EqualValues(t, 3, p.LastStableOffset())
	f, err := p.Fetch(0, 1<<20, ReadCommitted, -1)
	require.NoError(t, err)
	defer f.Chunk.Release()
	require.Equal(t, []record.AbortedTxn{{ProducerID: 7, FirstOffset: 0}}, f.Aborted)
}

func TestDeleteRecordsStopsAtTheHighWatermark(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	for range 3 {
		_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
		require.NoError(t, err)
	}
	_, err := p.DeleteRecords(4)
	require.ErrorIs(t, err, kerr.OffsetOutOfRange)
	at, err := p.DeleteRecords(2)
	require.NoError(t, err)
	require.EqualValues(t, 2, at)
	_, err = p.Fetch(1, 1, ReadUncommitted, -1)
	require.ErrorIs(t, err, kerr.OffsetOutOfRange)
	o, ok, err := p.ListOffsets(EarliestOffset, ReadUncommitted, -1)
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 2, o.Offset)
	at, err = p.DeleteRecords(-1)
	require.NoError(t, err)
	require.EqualValues(t, 3, at)
}

func TestListOffsetsFindsRecordsByTime(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x", "y"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	for _, c := range []struct{ at, want int64 }{{EarliestOffset, 0}, {LatestOffset, 2}, {MaxTimestamp, 0}, {1000, 0}} {
		o, ok, err := p.ListOffsets(c.at, ReadUncommitted, -1)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, c.want, o.Offset, "at %d", c.at)
	}
	_, ok, err := p.ListOffsets(1001, ReadUncommitted, -1)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestARestartBeginsANewLeaderEpoch(t *testing.T) {
	fs := fsys.NewMem()
	n := startNode(t, fs)
	p := n.topic("a", 1, nil)
	_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	first := p.LeaderEpoch()
	n.stop()

	n = startNode(t, fs)
	defer n.stop()
	p = n.partition("a", 0)
	require.Equal(t, first+1, p.LeaderEpoch())
	require.EqualValues(t, 1, p.HighWatermark(), "alone in the ISR, it knows the high watermark from its disk")
	require.Equal(t, []string{"x"}, read(t, p, ReadCommitted))
	e, end, err := p.OffsetForLeaderEpoch(-1, first)
	require.NoError(t, err)
	require.Equal(t, first, e)
	require.EqualValues(t, 1, end)
}

func TestATopicMadeAgainUnderItsNameIsEmpty(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("a")
		b.DeleteTopic(topic.ID)
		b.CreateTopic(metadata.TopicSpec{Name: "a", Partitions: 2})
	})
	_, err = p.AppendAsync(batch(t, record.BatchOptions{}, "y"), AppendOptions{})
	require.ErrorIs(t, err, kerr.UnknownTopicOrPartition)
	now := n.partition("a", 0)
	require.NotEqual(t, p.TopicID(), now.TopicID())
	require.Empty(t, read(t, now, ReadLogEnd))
	require.EqualValues(t, 2, n.PartitionCount("a"))
	_, err = n.Partition("a", 2)
	require.ErrorIs(t, err, kerr.UnknownTopicOrPartition)
}

func TestPartitionsOfATopicDeletedWhileTheNodeWasDownGo(t *testing.T) {
	fs := fsys.NewMem()
	n := startNode(t, fs)
	n.topic("kept", 1, nil)
	n.topic("gone", 2, nil)
	require.NoError(t, n.Close()) // it acts on nothing more
	b := n.meta.NewBatch()
	topic, _ := b.Image().Topic("gone")
	b.DeleteTopic(topic.ID)
	_, err := n.meta.Apply(t.Context(), b)
	require.NoError(t, err)
	n.stop()

	n = startNode(t, fs)
	n.stop()
	_, err = fs.Stat("data/gone-0")
	require.True(t, fsys.IsNotExist(err))
	_, err = fs.Stat("data/kept-0")
	require.NoError(t, err)
}

func TestAReplicaThatMovedAwayIsDeleted(t *testing.T) {
	n := start(t)
	p := n.topic("a", 2, nil)
	n.apply(func(b *metadata.Batch) {
		b.RegisterBroker(metadata.Broker{ID: 2}, 0)
		topic, _ := b.Image().Topic("a")
		next := topic.Partitions[0]
		next.Replicas, next.ISR, next.Leader = []int32{2}, []int32{2}, 2
		b.ChangePartition(topic.ID, topic.Partitions[0], next, true, nil)
	})
	_, err := p.AppendAsync(batch(t, record.BatchOptions{}, "x"), AppendOptions{})
	require.ErrorIs(t, err, kerr.NotLeaderForPartition)
	_, err = n.Partition("a", 0)
	require.ErrorIs(t, err, kerr.NotLeaderForPartition)
	_, err = n.fs.Stat("data/a-0")
	require.True(t, fsys.IsNotExist(err))
	require.True(t, n.partition("a", 1).Leads())
}

func TestADirectoryWhoseMetadataWasLostIsRefused(t *testing.T) {
	fs := fsys.NewMem()
	n := startNode(t, fs)
	n.topic("a", 1, nil)
	n.stop()
	logs, err := log.OpenManager(log.ManagerOptions{Dir: "data", FS: fs, Logger: silent, DiskFreeMin: -1})
	require.NoError(t, err)
	defer func() { require.NoError(t, logs.Close()) }()
	other := startNode(t, fsys.NewMem())
	defer other.stop()
	_, err = Open(Options{Logs: logs, Metadata: other.meta, NodeID: 1, Clock: clock.Real, Logger: silent})
	require.ErrorContains(t, err, "the metadata knows no topic")
}

func TestPartitionsAreAddedToAServingTopic(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("a")
		b.AddPartitions(topic, 3)
	})
	require.Same(t, p, n.partition("a", 0))
	require.True(t, n.partition("a", 2).Leads())
}

func TestADiskThatFailsToSyncEndsAllService(t *testing.T) {
	n := start(t)
	n.broken = true
	p, other := n.topic("a", 2, nil), n.partition("a", 1)
	n.fs.Inject(func(op fsys.Op, p string) error {
		if op == fsys.OpSync && path.Ext(p) == ".log" {
			return syscall.EIO
		}
		return nil
	})
	_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	require.ErrorIs(t, other.WaitHighWatermark(t.Context(), 1), kerr.KafkaStorageError)
	_, err = other.AppendAsync(batch(t, record.BatchOptions{}, "x"), AppendOptions{})
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	n.fs.Inject(nil)
}

func TestAcknowledgedRecordsSurviveACrash(t *testing.T) {
	for seed := range 10 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			fs := fsys.NewMem()
			n := startNode(t, fs)
			p := n.topic("a", 1, nil)
			var want []string
			for i := range 20 {
				want = append(want, fmt.Sprint(i))
				_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, want[i]), AppendOptions{Acks: AcksAll})
				require.NoError(t, err)
			}
			_, err := p.AppendAsync(batch(t, record.BatchOptions{}, "unacknowledged"), AppendOptions{NoSync: true})
			require.NoError(t, err)
			crashed := fs.CrashClone(vfs.CrashCloneCfg{})
			n.stop()

			n = startNode(t, crashed)
			defer n.stop()
			require.Equal(t, want, read(t, n.partition("a", 0), ReadCommitted))
		})
	}
}

func TestNothingAcknowledgedIsLostWhileLeadershipChanges(t *testing.T) {
	n := start(t)
	p := n.topic("a", 1, nil)
	wake := make(chan struct{}, 1)
	defer p.Subscribe(wake)()
	const appenders, each = 4, 50
	acked := make([][]string, appenders)
	var wg sync.WaitGroup
	for a := range appenders {
		wg.Go(func() {
			for i := range each {
				v := fmt.Sprintf("%d-%d", a, i)
				_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, v), AppendOptions{Acks: AcksAll})
				if err == nil {
					acked[a] = append(acked[a], v)
				} else if !errors.Is(err, kerr.NotLeaderForPartition) && !errors.Is(err, kerr.FencedLeaderEpoch) {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	for i := range 10 {
		n.apply(func(b *metadata.Batch) {
			topic, _ := b.Image().Topic("a")
			next := topic.Partitions[0]
			next.Leader = 1
			if i%2 == 0 {
				next.Leader = metadata.NoLeader
			}
			b.ChangePartition(topic.ID, topic.Partitions[0], next, true, nil)
		})
	}
	wg.Wait()
	require.NoError(t, p.WaitHighWatermark(t.Context(), p.LogEnd()))
	<-wake
	require.Equal(t, p.HighWatermark(), p.LastStableOffset())
	at := map[string]int{}
	for i, v := range read(t, p, ReadCommitted) {
		at[v] = i
	}
	for _, values := range acked {
		last := -1
		for _, v := range values {
			i, ok := at[v]
			require.True(t, ok, "%s was acknowledged", v)
			require.Greater(t, i, last, "in order")
			last = i
		}
	}
}

func TestADamagedOnlyReplicaIsReadUpToTheDamageAndTakesNoWrites(t *testing.T) {
	fs := fsys.NewMem()
	n := startNode(t, fs)
	p := n.topic("a", 1, nil)
	var ends []int64
	for _, v := range []string{"good", "bad", "lost"} {
		_, err := p.Append(t.Context(), batch(t, record.BatchOptions{}, v), AppendOptions{Acks: AcksAll})
		require.NoError(t, err)
		ends = append(ends, p.Size())
	}
	require.NoError(t, n.logs.Checkpoint())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	n.stop()
	f, err := crashed.OpenReadWrite("data/a-0/00000000000000000000.log", fsys.Category)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), ends[0]+70)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	n = startNode(t, crashed)
	defer n.stop()
	p = n.partition("a", 0)
	require.Equal(t, []string{"good"}, read(t, p, ReadCommitted))
	require.ErrorIs(t, p.Failure(), log.ErrDamaged)
	_, err = p.Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	_, err = p.fetchReplica(&replicaFetch{currentEpoch: p.LeaderEpoch(), lastFetched: -1, record: -1, maxBytes: 1 << 20})
	require.ErrorIs(t, err, kerr.KafkaStorageError, "no follower is to cut to the damage what it has")
	_, err = n.topic("b", 1, nil).Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err, "other partitions serve")
}

func TestSettingsOfATopicBecomeThoseOfItsLog(t *testing.T) {
	c, err := LogConfig(map[string]string{
		"cleanup.policy": "compact, delete", "retention.ms": "-1", "segment.bytes": "2048", "fsync": "interval", "flush.ms": "9223372036854775807",
		"compression.type": "producer",
	})
	require.NoError(t, err)
	require.True(t, c.Compact && c.Delete)
	require.Negative(t, c.RetentionAge)
	require.EqualValues(t, 2048, c.SegmentBytes)
	require.Equal(t, log.FsyncInterval, c.Fsync)
	require.Positive(t, c.FlushInterval)
	for name, value := range map[string]string{
		"fsync": "maybe", "cleanup.policy": "shred", "segment.bytes": "x", "segment.ms": "-2", "min.cleanable.dirty.ratio": "NaN",
		"max.message.bytes": "0", "message.timestamp.type": "never",
	} {
		_, err := LogConfig(map[string]string{name: value})
		require.ErrorContains(t, err, name)
	}
}

func BenchmarkAppendAcksAll(b *testing.B) {
	n := start(b)
	p := n.topic("a", 1, map[string]string{"fsync": "interval"})
	frame := batch(b, record.BatchOptions{}, "x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Append(b.Context(), frame, AppendOptions{Acks: AcksAll}); err != nil {
			b.Fatal(err)
		}
	}
}
