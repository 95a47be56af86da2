package replication

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// meeting is a file system on which a checkpoint of leader epochs is written only while others are: the first waits for one more, once the meeting is called.
type meeting struct {
	fsys.FS
	mu      sync.Mutex
	called  bool
	writing int
	met     chan struct{}
}

func (m *meeting) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	m.mu.Lock()
	wait := m.called && strings.Contains(name, "leader-epoch-checkpoint")
	if wait {
		if m.writing++; m.writing == 2 {
			close(m.met)
		}
	}
	m.mu.Unlock()
	if wait {
		<-m.met
	}
	return m.FS.Create(name, c)
}

// oneBatchEach is a leader of so many partitions that has one batch in each. It gives them all at once, and says nothing when they are copied.
type oneBatchEach struct {
	*metadata.Store
	t          testing.TB
	partitions int
}

func (oneBatchEach) Epoch() uint64 { return 0 }

func (l oneBatchEach) Fetch(ctx context.Context, _ int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	some := false
	asked := 0
	for _, rt := range req.Topics {
		asked += len(rt.Partitions)
	}
	if asked < l.partitions {
		return resp, nil
	}
	for _, rt := range req.Topics {
		topic := kmsg.NewFetchResponseTopic()
		topic.TopicID = rt.TopicID
		for _, rp := range rt.Partitions {
			part := kmsg.NewFetchResponseTopicPartition()
			part.Partition, part.HighWatermark = rp.Partition, 1
			if rp.FetchOffset == 0 {
				frame := batch(l.t, record.BatchOptions{}, "v")
				record.SetLeaderEpoch(frame, rp.CurrentLeaderEpoch)
				part.RecordBatches, some = frame, true
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if !some {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return resp, nil
}

// TestReplicasThatAreNewWriteTheirCheckpointsSideBySide: one after the other, thousands would hold up those that are in sync.
func TestReplicasThatAreNewWriteTheirCheckpointsSideBySide(t *testing.T) {
	const partitions = 8
	n := start(t)
	disk := &meeting{FS: fsys.NewMem(), met: make(chan struct{})}
	require.NoError(t, fsys.MkdirAllSync(disk, "data"))
	logs, err := log.OpenManager(log.ManagerOptions{Dir: "data", FS: disk, Clock: clock.Real, Logger: silent, DiskFreeMin: -1})
	require.NoError(t, err)
	m, err := Open(Options{Logs: logs, Metadata: n.meta, NodeID: 2, Peers: oneBatchEach{n.meta, t, partitions}, Clock: clock.Real, Logger: silent})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, m.Close())
		require.NoError(t, logs.Close())
	}()
	disk.mu.Lock()
	disk.called = true
	disk.mu.Unlock()
	n.apply(func(b *metadata.Batch) {
		b.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, 0)
		b.CreateTopic(metadata.TopicSpec{Name: "t", Partitions: partitions})
	})
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("t")
		for _, p := range topic.Partitions {
			next := p
			next.Replicas, next.Directories, next.ISR, next.Leader = []int32{1, 2}, make([]metadata.UUID, 2), []int32{1}, 1
			b.ChangePartition(topic.ID, p, next, false, nil)
		}
	})
	require.NoError(t, m.WaitIndex(t.Context(), n.meta.Image().Index()))
	for id := range int32(partitions) {
		p, err := m.Partition("t", id)
		require.NoError(t, err)
		require.NoError(t, p.log.WaitDurable(t.Context(), 1))
	}
}
