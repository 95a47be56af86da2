package replication

import (
	crand "crypto/rand"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// trio is three nodes that hold one partition, of the topic t, with real logs. Nothing happens by itself: a node acts on the metadata when it is told of it, and a follower fetches when the test says so.
// So a test can play what a race would have to bring about.
type trio struct {
	t     *testing.T
	meta  *metadata.Store
	boxes map[int32]*box
}

// box is one of the nodes.
type box struct {
	*Manager
	id    int32
	fs    *fsys.Mem
	logs  *log.Manager
	heard *heard
}

// heard is the metadata as far as a node has heard of it.
type heard struct {
	mu      sync.Mutex
	img     *metadata.Image
	changed chan struct{}
}

func (h *heard) Watch() (*metadata.Image, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.img, h.changed
}

func (h *heard) tell(img *metadata.Image) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.img = img
	close(h.changed)
	h.changed = make(chan struct{})
}

// newTrio starts three nodes, of which the first leads and all are in sync.
func newTrio(t *testing.T) *trio {
	fs := fsys.NewMem()
	require.NoError(t, fsys.MkdirAllSync(fs, "data"))
	id, _, err := metadata.FormatOrCheck(fs, "data", metadata.Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	c := &trio{t: t, boxes: map[int32]*box{}}
	c.meta, err = metadata.Open(t.Context(), metadata.Options{
		FS: fs, Dir: "data/meta", Identity: id, Release: "0.1.0", Clock: clock.Real, Rand: crand.Reader, Logger: silent, OnFatal: func(error) {},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.meta.Close()) })
	_, err = c.meta.Register(t.Context(), metadata.Broker{})
	require.NoError(t, err)
	for id := int32(2); id <= 3; id++ {
		c.apply(func(b *metadata.Batch) {
			b.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}}, 0)
		})
	}
	c.makeTopic()
	for id := int32(1); id <= 3; id++ {
		c.boxes[id] = &box{id: id, fs: fsys.NewMem()}
		c.open(c.boxes[id])
	}
	t.Cleanup(func() {
		for _, b := range c.boxes {
			c.close(b)
		}
	})
	return c
}

func (c *trio) makeTopic() {
	c.apply(func(b *metadata.Batch) { b.CreateTopic(metadata.TopicSpec{Name: "t", Partitions: 1, Replicas: 3}) })
	c.change(true, func(p *metadata.Partition) { p.Replicas, p.Leader = []int32{1, 2, 3}, 1 })
}

func (c *trio) open(b *box) {
	require.NoError(c.t, fsys.MkdirAllSync(b.fs, "data"))
	b.heard = &heard{img: c.meta.Image(), changed: make(chan struct{})}
	var err error
	b.logs, err = log.OpenManager(log.ManagerOptions{Dir: "data", FS: b.fs, Clock: clock.Real, Logger: silent, DiskFreeMin: -1})
	require.NoError(c.t, err)
	b.Manager, err = Open(Options{Logs: b.logs, Metadata: b.heard, NodeID: b.id, Clock: clock.Real, Logger: silent})
	require.NoError(c.t, err)
}

func (c *trio) close(b *box) {
	require.NoError(c.t, b.Close())
	require.NoError(c.t, b.logs.Close())
}

// crash cuts the node's power, and starts it again with what was synced and the newest metadata.
func (c *trio) crash(id int32) {
	b := c.boxes[id]
	fs := b.fs.CrashClone(vfs.CrashCloneCfg{})
	c.close(b)
	b.fs = fs
	c.open(b)
}

// apply changes the metadata; no node hears of it.
func (c *trio) apply(build func(b *metadata.Batch)) {
	b := c.meta.NewBatch()
	build(b)
	_, err := c.meta.Apply(c.t.Context(), b)
	require.NoError(c.t, err)
}

// change changes the partition's record, beginning another leader epoch or not; no node hears of it.
func (c *trio) change(newEpoch bool, to func(*metadata.Partition)) {
	c.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("t")
		next := topic.Partitions[0]
		to(&next)
		var epochs []uint64
		for _, id := range next.ISR {
			k, _ := b.Image().Broker(id)
			epochs = append(epochs, k.Epoch)
		}
		b.ChangePartition(topic.ID, topic.Partitions[0], next, newEpoch, epochs)
	})
}

// lead makes a node the leader; no node hears of it.
func (c *trio) lead(id int32) { c.change(true, func(p *metadata.Partition) { p.Leader = id }) }

// tell tells nodes of the newest metadata, and returns when they have acted on it.
func (c *trio) tell(ids ...int32) {
	for _, id := range ids {
		c.boxes[id].heard.tell(c.meta.Image())
		require.NoError(c.t, c.boxes[id].WaitIndex(c.t.Context(), c.meta.Image().Index()))
	}
}

func (c *trio) replica(id int32) *Partition {
	p, err := c.boxes[id].Partition("t", 0)
	require.NoError(c.t, err)
	return p
}

// append writes records on a node that believes that it leads, and waits until its own disk has them, not until others do.
func (c *trio) append(id int32, values ...string) {
	p := c.replica(id)
	for _, v := range values {
		_, err := p.Append(c.t.Context(), batch(c.t, record.BatchOptions{}, v), AppendOptions{Acks: AcksLeader})
		require.NoError(c.t, err)
	}
	require.NoError(c.t, p.log.WaitDurable(c.t.Context(), p.LogEnd()))
}

// ask is a follower's fetch from a node, as the leader answers it. edit may change what it says.
func (c *trio) ask(follower, leader int32, edit func(*kmsg.FetchRequest)) (position, kmsg.FetchResponseTopicPartition) {
	p := c.replica(follower)
	pos := position{p, p.mu.followEpoch, p.log.LEO(), p.mu.record, p.log.LatestEpoch(), false} // nothing else touches it now
	k, _ := c.boxes[follower].heard.img.Broker(follower)
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes = fetchVersion, fetchBytes
	req.ReplicaState.ID, req.ReplicaState.Epoch = follower, int64(k.Epoch)
	topic := kmsg.NewFetchRequestTopic()
	topic.TopicID, topic.Partitions = p.TopicID(), append(topic.Partitions, pos.request())
	req.Topics = append(req.Topics, topic)
	if edit != nil {
		edit(req)
	}
	resp := c.boxes[leader].ServeFetch(c.t.Context(), follower, req)
	require.Zero(c.t, resp.ErrorCode)
	if len(resp.Topics) == 0 { // there is no news
		answer := kmsg.NewFetchResponseTopicPartition()
		answer.HighWatermark = p.HighWatermark()
		return pos, answer
	}
	return pos, resp.Topics[0].Partitions[0]
}

// fetch is a follower's fetch from the leader that it knows, and what it does with the answer.
func (c *trio) fetch(follower int32) {
	leader := c.replica(follower).mu.follows
	pos, answer := c.ask(follower, leader, nil)
	require.NoError(c.t, pos.take(&answer))
	require.NoError(c.t, pos.finish(c.t.Context(), &answer))
}

// catchUp is as many fetches as it takes until a follower has its leader's log, at most as many as there are records.
func (c *trio) catchUp(follower int32) {
	leader := c.replica(follower).mu.follows
	for range 20 {
		c.fetch(follower)
		if slices.Equal(c.values(follower), c.values(leader)) && c.replica(follower).HighWatermark() == c.replica(leader).HighWatermark() {
			return
		}
	}
	require.Equal(c.t, c.values(leader), c.values(follower), "the follower never gets what its leader has")
}

// values are those of all records in a node's log.
func (c *trio) values(id int32) (out []string) {
	l := c.replica(id).log
	chunk, err := l.Read(l.LogStart(), fetchBytes, l.LEO())
	require.NoError(c.t, err)
	defer chunk.Release()
	rest, err := chunk.AppendTo(nil)
	require.NoError(c.t, err)
	for len(rest) > 0 {
		var frame []byte
		_, frame, rest, err = record.Next(rest)
		require.NoError(c.t, err)
		var it record.Iterator
		require.NoError(c.t, it.Reset(frame))
		for it.Next() {
			out = append(out, string(it.Record.Value))
		}
	}
	return out
}

// errorOf is the error of an answer.
func errorOf(answer kmsg.FetchResponseTopicPartition) error {
	return kerr.ErrorForCode(answer.ErrorCode)
}
