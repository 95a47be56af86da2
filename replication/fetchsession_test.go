package replication

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// pair is a leader, node 1, and a follower of all its partitions, node 2, with one metadata store.
type pair struct {
	*node
	follower *Manager
	logs2    *log.Manager // the follower's
	fs2      *fsys.Mem
	wire     *wire
	back     *wire // by which the leader would follow the follower
}

// wire is how a node reaches the others. It notes what passes.
type wire struct {
	id     int32 // of the node
	meta   *metadata.Store
	epoch  uint64
	leader *Manager

	mu     sync.Mutex
	passed []passed
	cond   *sync.Cond
	lose   bool // answers are lost
}

// passed is one fetch: how many partitions were in the request and in the answer.
type passed struct{ asked, answered, forgotten int }

func (w *wire) Epoch() uint64             { return w.epoch }
func (w *wire) NewBatch() *metadata.Batch { return w.meta.NewBatch() }
func (w *wire) Apply(ctx context.Context, b *metadata.Batch) (metadata.Result, error) {
	return w.meta.Apply(ctx, b)
}

func (w *wire) Fetch(ctx context.Context, _ int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	var p passed
	for _, t := range req.Topics {
		p.asked += len(t.Partitions)
	}
	p.forgotten = len(req.ForgottenTopics)
	resp := w.leader.ServeFetch(ctx, w.id, req)
	p.answered = len(resp.Topics)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passed = append(w.passed, p)
	w.cond.Broadcast()
	if w.lose {
		return nil, context.DeadlineExceeded
	}
	return resp, ctx.Err()
}

func startPair(t testing.TB, topics ...metadata.TopicSpec) *pair {
	n := startNode(t, fsys.NewMem())
	n.apply(func(b *metadata.Batch) { b.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, 0) })
	k, _ := n.meta.Image().Broker(2)
	w := &wire{id: 2, meta: n.meta, epoch: k.Epoch, leader: n.Manager}
	w.cond = sync.NewCond(&w.mu)
	back := &wire{id: 1, meta: n.meta, epoch: brokerEpoch(n.meta, 1)}
	back.cond = sync.NewCond(&back.mu)
	// The leader proposes too.
	require.NoError(t, n.Close())
	var err error
	n.Manager, err = Open(Options{Logs: n.logs, Metadata: n.meta, NodeID: 1, Clock: clock.Real, Logger: silent, Peers: back})
	require.NoError(t, err)
	w.leader = n.Manager
	for _, spec := range topics {
		n.apply(func(b *metadata.Batch) {
			b.SetQueryNode(1)
			spec.Owner.Kind = metadata.OwnerInternal // all led by node 1
			b.CreateTopic(spec)
		})
	}
	p := &pair{node: n, wire: w, back: back, fs2: fsys.NewMem()}
	require.NoError(t, fsys.MkdirAllSync(p.fs2, "follower"))
	p.startFollower()
	t.Cleanup(func() {
		p.stopFollower()
		n.stop()
	})
	return p
}

func (p *pair) startFollower() {
	var err error
	p.logs2, err = log.OpenManager(log.ManagerOptions{Dir: "follower", FS: p.fs2, Clock: clock.Real, Logger: silent, DiskFreeMin: -1, OnOffline: func(error) {}})
	require.NoError(p.t, err)
	p.follower, err = Open(Options{Logs: p.logs2, Metadata: p.meta, NodeID: 2, Clock: clock.Real, Logger: silent, Peers: p.wire})
	require.NoError(p.t, err)
}

func (p *pair) stopFollower() {
	require.NoError(p.t, p.follower.Close())
	require.NoError(p.t, p.logs2.Close())
}

func brokerEpoch(meta *metadata.Store, id int32) uint64 {
	k, _ := meta.Image().Broker(id)
	return k.Epoch
}

// quiet waits until some fetches one after the other were about nothing, and forgets what has passed.
func (w *wire) quiet() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for idle := 0; idle < 3; {
		w.passed = w.passed[:0]
		for len(w.passed) == 0 {
			w.cond.Wait()
		}
		if idle++; w.passed[0] != (passed{}) {
			idle = 0
		}
	}
	w.passed = w.passed[:0]
}

func TestOnlyWhatHasChangedIsOnTheWire(t *testing.T) {
	const partitions = 300
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: partitions})
	p.wire.quiet()
	one := p.partition("t", 7)
	for i := range 5 {
		_, err := one.Append(t.Context(), batch(t, record.BatchOptions{}, fmt.Sprint(i)), AppendOptions{Acks: AcksAll})
		require.NoError(t, err)
	}
	p.wire.settled(t, func(x passed) { require.LessOrEqual(t, max(x.asked, x.answered), 1) })
	copied, err := p.follower.Partition("t", 7)
	require.NoError(t, err)
	require.EqualValues(t, 5, copied.LogEnd())
	require.Eventually(t, func() bool { return copied.HighWatermark() == 5 }, time.Minute, time.Millisecond, "it hears what is committed though nothing follows")
}

// settled checks what has passed, until nothing passes any more.
func (w *wire) settled(t *testing.T, check func(passed)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seen, idle := 0, 0; idle < 3; seen++ {
		for len(w.passed) == seen {
			w.cond.Wait()
		}
		check(w.passed[seen])
		if idle++; w.passed[seen] != (passed{}) {
			idle = 0
		}
	}
}

func TestASessionWhoseAnswersWereLostBeginsAnew(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 20})
	p.wire.quiet()
	p.wire.mu.Lock()
	p.wire.lose = true
	p.wire.mu.Unlock()
	one := p.partition("t", 3)
	r, err := one.Append(t.Context(), batch(t, record.BatchOptions{}, "lost"), AppendOptions{Acks: AcksLeader})
	require.NoError(t, err)
	p.wire.mu.Lock()
	for answered := false; !answered; {
		p.wire.cond.Wait()
		for _, x := range p.wire.passed {
			answered = answered || x.answered > 0
		}
	}
	p.wire.lose = false
	p.wire.mu.Unlock()
	one.Flush(r.LastOffset + 1)
	require.NoError(t, one.WaitCommitted(t.Context(), r))
}

func TestATopicThatIsDeletedLeavesTheSession(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 4}, metadata.TopicSpec{Name: "stays", Partitions: 1})
	p.wire.quiet()
	topic, _ := p.meta.Image().Topic("t")
	p.apply(func(b *metadata.Batch) { b.DeleteTopic(topic.ID) })
	require.NoError(t, p.follower.WaitIndex(t.Context(), p.meta.Image().Index()))
	p.wire.quiet()
	p.mu.Lock()
	s := p.mu.sessions[2]
	p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.mu.parts, 1)
}

func TestAFetchOfAnotherSessionIsRefused(t *testing.T) {
	n := start(t)
	n.topic("t", 1, nil)
	fetch := func(id, epoch int32) *kmsg.FetchResponse {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.SessionID, req.SessionEpoch = fetchVersion, id, epoch
		req.ReplicaState.ID = 2
		return n.ServeFetch(t.Context(), 2, req)
	}
	require.Equal(t, kerr.FetchSessionIDNotFound.Code, fetch(1, 1).ErrorCode, "there is none")
	first := fetch(0, 0)
	require.Zero(t, first.ErrorCode)
	require.Zero(t, fetch(first.SessionID, 1).ErrorCode)
	require.Equal(t, kerr.InvalidFetchSessionEpoch.Code, fetch(first.SessionID, 1).ErrorCode, "it was used")
	require.Zero(t, fetch(first.SessionID, 2).ErrorCode)
	second := fetch(0, 0)
	require.NotEqual(t, first.SessionID, second.SessionID)
	require.Equal(t, kerr.FetchSessionIDNotFound.Code, fetch(first.SessionID, 3).ErrorCode, "another has taken its place")
	require.Zero(t, fetch(0, -1).SessionID)
	require.Zero(t, fetch(second.SessionID, 1).ErrorCode, "a fetch of no session leaves it alone")
}

// BenchmarkIdleFetch is what a fetch costs a leader that has nothing new, in a session and outside of any, with the bytes of request and answer.
func BenchmarkIdleFetch(b *testing.B) {
	const partitions = 3000
	for _, session := range []bool{false, true} {
		b.Run(fmt.Sprintf("session=%v", session), func(b *testing.B) {
			n := start(b)
			n.apply(func(x *metadata.Batch) { x.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, 0) })
			n.apply(func(x *metadata.Batch) {
				x.SetQueryNode(1)
				x.CreateTopic(metadata.TopicSpec{Name: "t", Partitions: partitions, Owner: metadata.Owner{Kind: metadata.OwnerInternal}})
			})
			req := kmsg.NewPtrFetchRequest()
			req.Version, req.MaxBytes, req.SessionEpoch = fetchVersion, fetchBytes, -1
			req.ReplicaState.ID, req.ReplicaState.Epoch = 2, int64(brokerEpoch(n.meta, 2))
			topic := kmsg.NewFetchRequestTopic()
			for _, p := range n.Partitions() {
				pos := position{p: p, epoch: p.LeaderEpoch(), last: -1}
				topic.TopicID, topic.Partitions = p.TopicID(), append(topic.Partitions, pos.request())
			}
			req.Topics = append(req.Topics, topic)
			if session {
				req.SessionEpoch = 0
				req.SessionID = n.ServeFetch(b.Context(), 2, req).SessionID
				req.Topics = nil
			}
			sent := 0
			for i := 0; b.Loop(); i++ {
				if session {
					req.SessionEpoch = int32(i) + 1
				}
				sent += len(req.AppendTo(nil)) + len(n.ServeFetch(b.Context(), 2, req).AppendTo(nil))
			}
			b.ReportMetric(float64(sent)/float64(b.N), "wireB/op")
		})
	}
}

func TestCatchingUpIsThrottledAndWhatIsInSyncIsNot(t *testing.T) {
	for name, setting := range map[string]string{"by the leader": metadata.ThrottleLeader, "by the follower": metadata.ThrottleFollower} {
		t.Run(name, func(t *testing.T) {
			p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 1}, metadata.TopicSpec{Name: "moves", Partitions: 1, Replicas: 1})
			both := func(build func(b *metadata.Batch)) {
				p.apply(build)
				require.NoError(t, p.follower.WaitIndex(t.Context(), p.meta.Image().Index()))
			}
			rate := func(to string) {
				both(func(b *metadata.Batch) { b.SetSetting(metadata.BrokerSettingKey("2", setting), to) })
				both(func(b *metadata.Batch) { b.SetSetting(metadata.BrokerSettingKey("", setting), to) })
			}
			rate("0") // nothing at all
			moves, inSync := p.partition("moves", 0), p.partition("t", 0)
			r, err := moves.Append(t.Context(), batch(t, record.BatchOptions{}, "v"), AppendOptions{Acks: AcksAll})
			require.NoError(t, err)
			topic, _ := p.meta.Image().Topic("moves")
			both(func(b *metadata.Batch) {
				next := topic.Partitions[0]
				next.Replicas, next.Adding, next.Directories = []int32{1, 2}, []int32{2}, []metadata.UUID{{1}, {2}}
				b.ChangePartition(topic.ID, topic.Partitions[0], next, false, nil)
			})
			for range 10 {
				_, err = inSync.Append(t.Context(), batch(t, record.BatchOptions{}, "v"), AppendOptions{Acks: AcksAll})
				require.NoError(t, err, "who is in sync is not throttled")
			}
			copied, err := p.follower.Partition("moves", 0)
			require.NoError(t, err)
			require.Zero(t, copied.LogEnd())
			rate("1000000")
			require.Eventually(t, func() bool { return copied.LogEnd() == r.LastOffset+1 }, time.Minute, time.Millisecond)
		})
	}
}

// What a node has to catch up with is asked for while its other partitions are still being opened.
func TestANodeStartsUnderAThrottle(t *testing.T) {
	p := startPair(t, metadata.TopicSpec{Name: "t", Partitions: 300})
	p.stopFollower()
	p.apply(func(b *metadata.Batch) {
		b.SetSetting(metadata.BrokerSettingKey("", metadata.ThrottleFollower), "1000000000")
		topic, _ := p.meta.Image().Topic("t")
		for _, was := range topic.Partitions {
			next := was
			next.ISR = []int32{1}
			b.ChangePartition(topic.ID, was, next, false, nil)
		}
	})
	p.startFollower()
	require.Eventually(t, func() bool {
		topic, _ := p.meta.Image().Topic("t")
		return !slices.ContainsFunc(topic.Partitions, func(r metadata.Partition) bool { return len(r.ISR) < 2 })
	}, time.Minute, time.Millisecond, "every replica is in sync again")
}

func TestAThrottleLetsItsRatePass(t *testing.T) {
	begun := time.Unix(1000, 0)
	var x throttle
	x.setRate(-1, begun)
	require.Equal(t, math.MaxInt, x.left(begun))
	x.setRate(1000, begun)
	require.Equal(t, 1000, x.left(begun), "a second's worth at once")
	x.took(3500)
	require.Zero(t, x.left(begun.Add(2*time.Second)), "a batch is not cut, and is paid for")
	require.Equal(t, 500, x.left(begun.Add(3*time.Second)))
	require.Equal(t, 1000, x.left(begun.Add(time.Hour)))
}

func TestListsOfThrottledReplicas(t *testing.T) {
	for _, bad := range []string{"x", "1", "1:", ":1", "1:2,", "-1:2", "1:2:3"} {
		require.False(t, ThrottledReplicas(bad).Valid(), bad)
	}
	for _, all := range []ThrottledReplicas{"", "*"} {
		require.True(t, all.Valid())
		require.True(t, all.Has(5, 1))
	}
	some := ThrottledReplicas("0:1, 3:2")
	require.True(t, some.Valid())
	require.True(t, some.Has(0, 1))
	require.True(t, some.Has(3, 2))
	require.False(t, some.Has(0, 2))
}
