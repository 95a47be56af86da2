package locallog

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec/logtest"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/metadata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformsInProcess runs the suite on this process's partitions.
func TestConformsInProcess(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Harness {
		n := startNode(t, fsys.NewMem(), "data")
		t.Cleanup(func() { n.stop(t) })
		return logtest.Harness{
			Log: n.log, Transport: n.log.Transport(), CreateTopic: n.createTopic, AddPartitions: n.addPartitions, Join: n.join,
		}
	})
}

const testPartitions = 4

// node is the durable half of a node on one file system.
type node struct {
	meta       *metadata.Store
	logs       *log.Manager
	partitions *replication.Manager
	broker     *coordinator.Broker
	log        *Log
	joined     map[string]int32
}

func startNode(t testing.TB, fs fsys.FS, dir string) *node {
	t.Helper()
	ctx := t.Context()
	n := &node{joined: map[string]int32{}}
	silent := slog.New(slog.DiscardHandler)
	require.NoError(t, fsys.MkdirAllSync(fs, dir))
	id, _, err := metadata.FormatOrCheck(fs, dir, metadata.Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	n.meta, err = metadata.Open(ctx, metadata.Options{
		FS: fs, Dir: dir + "/meta", Identity: id, Release: "0.1.0", Clock: clock.Real, Rand: crand.Reader, Logger: silent, OnFatal: func(error) {},
	})
	require.NoError(t, err)
	epoch, err := n.meta.Register(ctx, metadata.Broker{})
	require.NoError(t, err)
	n.logs, err = log.OpenManager(log.ManagerOptions{
		Dir: dir, FS: fs, Clock: clock.Real, Logger: silent, DiskFreeMin: -1, TailCacheBytes: 1 << 20,
		OnOffline: func(err error) { n.partitions.GoOffline(err) },
	})
	require.NoError(t, err)
	n.partitions, err = replication.Open(replication.Options{Logs: n.logs, Metadata: n.meta, NodeID: 1, Clock: clock.Real, Logger: silent})
	require.NoError(t, err)
	if n.partitions.PartitionCount(coordinator.OffsetsTopic) == 0 {
		n.apply(t, func(b *metadata.Batch) {
			for _, topic := range []string{coordinator.OffsetsTopic, coordinator.TransactionTopic} {
				b.CreateTopic(metadata.TopicSpec{
					Name: topic, Partitions: testPartitions, Owner: metadata.Owner{Kind: metadata.OwnerInternal},
					Configs: map[string]string{"cleanup.policy": "compact"},
				})
			}
		})
	}
	n.broker = coordinator.New(coordinator.Config{
		Partitions: coordinator.Replicated(n.partitions), AllocateIDs: n.producerIDs(epoch),
		Clock: clock.Real, InternalPartitions: testPartitions,
	})
	var all []coordinator.TopicPartition
	for i := range int32(testPartitions) {
		all = append(all, coordinator.TopicPartition{Topic: coordinator.OffsetsTopic, Partition: i}, coordinator.TopicPartition{Topic: coordinator.TransactionTopic, Partition: i})
	}
	require.NoError(t, n.broker.Lead(ctx, all))
	n.log = New(n.partitions, n.broker, clock.Real, nil)
	return n
}

func (n *node) producerIDs(epoch uint64) func(context.Context) (first, count int64, err error) {
	return func(ctx context.Context) (first, count int64, err error) {
		b := n.meta.NewBatch()
		ref := b.TakeProducerIDs(1, epoch)
		r, err := n.meta.Apply(ctx, b)
		if err != nil {
			return 0, 0, err
		}
		block := r.ProducerIDs(ref)
		return block.First, block.Len, nil
	}
}

func (n *node) stop(t testing.TB) {
	require.NoError(t, n.broker.Close())
	require.NoError(t, n.partitions.Close())
	require.NoError(t, n.logs.Close())
	require.NoError(t, n.meta.Close())
}

func (n *node) apply(t testing.TB, build func(b *metadata.Batch)) {
	ctx := context.WithoutCancel(t.Context())
	b := n.meta.NewBatch()
	build(b)
	r, err := n.meta.Apply(ctx, b)
	require.NoError(t, err)
	require.NoError(t, n.partitions.WaitIndex(ctx, r.Index))
}

func (n *node) createTopic(t *testing.T, topic string, partitions int32) {
	n.apply(t, func(b *metadata.Batch) { b.CreateTopic(metadata.TopicSpec{Name: topic, Partitions: partitions}) })
}

func (n *node) addPartitions(t *testing.T, topic string, total int32) {
	n.apply(t, func(b *metadata.Batch) {
		old, ok := b.Image().Topic(topic)
		require.True(t, ok)
		b.AddPartitions(old, total)
	})
}

// join makes a member that never was before the only one.
func (n *node) join(t *testing.T, group string) (member string, generation int32) {
	n.joined[group]++
	generation = n.joined[group]
	member = fmt.Sprintf("%s-member-%d", group, generation)
	require.NoError(t, n.broker.SetGroup(t.Context(), group, generation, []coordinator.GroupMember{{ID: member}}))
	return member, generation
}
