package locallog

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

const (
	owners      = 3
	ownedTasks  = 6
	ownedGroup  = "millrace-query-7" // claims are of groups of queries
	ownersSteps = 120
)

// moving is a group of a query whose partitions go from owner to owner while they work: each copies the numbers of its input partitions, of which it knows the committed offset, into a partition of their own and
// into one that all share. Owners are not told what they have lost: a commit that is refused tells them.
type moving struct {
	t      *testing.T
	n      *node
	log    *Log
	rng    *rand.Rand
	owners [owners]*owner
	giveUp context.CancelFunc // ends the round that is under way

	refused, unknown int // tasks, rounds
}

// owner is one node of those that have tasks: a lane, and for each task the generation of its claim.
type owner struct {
	name  string
	lane  exec.Lane
	wire  *badWire
	tasks [ownedTasks]*ownedTask
}

type ownedTask struct {
	generation int32
	started    bool  // next is what is committed
	next       int64 // number to be copied
}

// badWire loses requests and answers, answers that somebody else coordinates or leads though it has carried a request out, sends one twice, or much later once more. Before any of that, partitions may be claimed.
type badWire struct {
	lane.Transport
	mu   sync.Mutex // requests of one transaction are sent side by side
	m    *moving
	bad  bool
	kept []kmsg.Request // that come once more
}

func (w *badWire) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.bad {
		return w.Transport.Request(ctx, req)
	}
	m := w.m
	if m.rng.Intn(8) == 0 {
		m.claim()
	}
	if m.rng.Intn(40) == 0 {
		m.giveUp()
	}
	w.late(ctx)
	if m.rng.Intn(20) == 0 {
		w.keep(req)
	}
	fate := m.rng.Intn(24)
	switch fate {
	case 0:
		return nil, errLost
	case 1:
		return refusal(req), nil
	case 2:
		if _, err := w.Transport.Request(ctx, req); err != nil {
			return nil, err
		}
	}
	resp, err := w.Transport.Request(ctx, req)
	if fate == 3 || fate == 4 {
		m.claim()
		resp, err = refusal(req), nil
		if fate == 4 {
			resp, err = nil, errLost
		}
	}
	return resp, err
}

// keep notes a request as it is now.
func (w *badWire) keep(req kmsg.Request) {
	again := kmsg.RequestForKey(req.Key())
	again.SetVersion(req.GetVersion())
	if assert.NoError(w.m.t, again.ReadFrom(req.AppendTo(nil))) {
		w.kept = append(w.kept, again)
	}
}

// late sends a request once more that may be long over.
func (w *badWire) late(ctx context.Context) {
	if len(w.kept) == 0 || w.m.rng.Intn(10) > 0 {
		return
	}
	i := w.m.rng.Intn(len(w.kept))
	_, _ = w.Transport.Request(ctx, w.kept[i])
	w.kept = slices.Delete(w.kept, i, i+1)
}

// refusal says that the node which was asked neither coordinates nor leads.
func refusal(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind()
	switch r := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		r.ErrorCode = kerr.NotCoordinator.Code
	case *kmsg.EndTxnResponse:
		r.ErrorCode = kerr.NotCoordinator.Code
	case *kmsg.TxnOffsetCommitResponse:
		for _, rt := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			topic := kmsg.TxnOffsetCommitResponseTopic{Topic: rt.Topic}
			for _, rp := range rt.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.TxnOffsetCommitResponseTopicPartition{Partition: rp.Partition, ErrorCode: kerr.NotCoordinator.Code})
			}
			r.Topics = append(r.Topics, topic)
		}
	case *kmsg.ProduceResponse:
		for _, rt := range req.(*kmsg.ProduceRequest).Topics {
			topic := kmsg.ProduceResponseTopic{Topic: rt.Topic}
			for _, rp := range rt.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.ProduceResponseTopicPartition{Partition: rp.Partition, ErrorCode: kerr.NotLeaderForPartition.Code, BaseOffset: -1})
			}
			r.Topics = append(r.Topics, topic)
		}
	}
	return resp
}

// claim makes some owner that of some partitions.
func (m *moving) claim() {
	o := m.owners[m.rng.Intn(owners)]
	c := coordinator.GroupClaim{Group: ownedGroup, Member: o.name}
	for p := range int32(ownedTasks) {
		if m.rng.Intn(3) == 0 {
			c.Partitions = append(c.Partitions, coordinator.TopicPartition{Topic: "in", Partition: p})
		}
	}
	if len(c.Partitions) == 0 {
		return
	}
	got := m.n.broker.Claim(context.WithoutCancel(m.t.Context()), []coordinator.GroupClaim{c})[0]
	if !assert.NoError(m.t, got.Err) {
		return
	}
	for _, tp := range c.Partitions {
		o.tasks[tp.Partition] = &ownedTask{generation: got.Generation}
	}
}

func (m *moving) open(o *owner) {
	for o.lane == nil {
		ctx, cancel := context.WithCancel(m.t.Context())
		m.giveUp = cancel
		l, err := lane.Open(ctx, lane.Options{Transport: o.wire, Clock: clock.Real, TransactionalID: "lane-" + o.name})
		cancel()
		if err == nil {
			o.lane = l
		}
		require.NoError(m.t, m.t.Context().Err())
	}
}

// reopen gives up a lane whose transaction is in doubt. What its tasks have read is forgotten.
func (m *moving) reopen(o *owner) {
	require.NoError(m.t, o.lane.Close())
	o.lane = nil
	m.open(o)
	for _, task := range o.tasks {
		if task != nil {
			task.started = false
		}
	}
}

// offered is what a round has of a task.
type offered struct {
	partition int32
	task      *ownedTask // a claim that comes meanwhile makes another one
	numbers   int64
}

// round has an owner commit a few numbers of some of its tasks.
func (m *moving) round(o *owner) {
	var commits []exec.TaskCommit
	var of []offered
	for p, task := range o.tasks {
		if task != nil && m.rng.Intn(4) > 0 {
			x := offered{int32(p), task, int64(1 + m.rng.Intn(3))}
			commits, of = append(commits, m.offer(o, x)), append(of, x)
		}
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	m.giveUp = cancel
	results, err := o.lane.Commit(ctx, commits)
	stopped := ctx.Err() != nil
	cancel()
	switch {
	case err == nil:
		m.learn(o, of, results)
	case errors.Is(err, exec.ErrUnknownOutcome):
		m.unknown++
	case !stopped && !errors.Is(err, exec.ErrFenced):
		require.ErrorIs(m.t, err, exec.ErrUnavailable) // nothing was committed: the tasks may say the same again
	}
	if stopped || err != nil && !errors.Is(err, exec.ErrUnavailable) {
		m.reopen(o)
	}
}

// offer is the next numbers of a task.
func (m *moving) offer(o *owner, x offered) exec.TaskCommit {
	in, task := exec.TopicPartition{Topic: "in", Partition: x.partition}, x.task
	if !task.started {
		committed, err := m.log.Committed(m.t.Context(), ownedGroup, []exec.TopicPartition{in})
		require.NoError(m.t, err)
		task.started, task.next = true, max(committed[0].Offset, 0)
	}
	c := exec.TaskCommit{
		Group: ownedGroup, Member: o.name, Generation: task.generation, Offsets: []exec.PartitionOffset{{TopicPartition: in, Offset: task.next + x.numbers}},
	}
	for i := range x.numbers {
		c.Batches = append(c.Batches, valueBatch(m.t, exec.TopicPartition{Topic: "out", Partition: x.partition}, fmt.Sprint(task.next+i)))
	}
	c.Batches = append(c.Batches, valueBatch(m.t, exec.TopicPartition{Topic: "all"}, fmt.Sprintf("%d/%d+%d", x.partition, task.next, x.numbers)))
	return c
}

// learn notes the results of a round.
func (m *moving) learn(o *owner, of []offered, results []exec.TaskResult) {
	for i, x := range of {
		switch err := results[i].Err; {
		case err == nil:
			x.task.next += x.numbers
		case errors.Is(err, exec.ErrStaleGeneration):
			m.refused++
			if o.tasks[x.partition] == x.task {
				o.tasks[x.partition] = nil
			}
		default:
			x.task.started = false
		}
	}
}

// check compares what was written with what was read.
func (m *moving) check() {
	all := map[string][]string{}
	for _, v := range values(m.t, m.log, exec.TopicPartition{Topic: "all"}) {
		p, of, _ := strings.Cut(v, "/")
		var next, n int64
		_, err := fmt.Sscanf(of, "%d+%d", &next, &n)
		require.NoError(m.t, err)
		for i := range n {
			all[p] = append(all[p], fmt.Sprint(next+i))
		}
	}
	for p := range int32(ownedTasks) {
		committed, err := m.log.Committed(m.t.Context(), ownedGroup, []exec.TopicPartition{{Topic: "in", Partition: p}})
		require.NoError(m.t, err)
		var want []string
		for i := range committed[0].Offset {
			want = append(want, fmt.Sprint(i))
		}
		require.NotEmpty(m.t, want)
		out := exec.TopicPartition{Topic: "out", Partition: p}
		require.Equal(m.t, want, values(m.t, m.log, out), "%v at committed offset %d", out, committed[0].Offset)
		require.Equal(m.t, want, all[fmt.Sprint(p)], "what all write of partition %d", p)
		bounds, err := m.log.Offsets(m.t.Context(), out)
		require.NoError(m.t, err)
		require.Equal(m.t, bounds.HighWatermark, bounds.LastStable, "something stays open")
	}
}

// TestTasksThatMoveWhileAnswersAreLostCountEachRowOnce: whatever becomes of the requests of a round, and whoever claims its partitions between two of them, offsets and what was written up to them count together.
func TestTasksThatMoveWhileAnswersAreLostCountEachRowOnce(t *testing.T) {
	refused, unknown := 0, 0
	for _, worker := range []bool{false, true} {
		for seed := range int64(3) {
			t.Run(fmt.Sprintf("worker=%v/seed=%d", worker, seed), func(t *testing.T) {
				n := startNode(t, fsys.NewMem(), "data")
				defer n.stop(t)
				n.createTopic(t, "in", ownedTasks)
				n.createTopic(t, "out", ownedTasks)
				n.createTopic(t, "all", 1)
				m := &moving{t: t, n: n, log: n.log, rng: rand.New(rand.NewSource(seed))}
				if worker {
					m.log = NewWorker(n.partitions, n.broker, clock.Real, otherNode{n})
					defer m.log.Close()
				}
				for i := range m.owners {
					m.owners[i] = &owner{name: fmt.Sprint("node-", i), wire: &badWire{Transport: m.log.Transport(), m: m}}
				}
				for _, o := range m.owners {
					o.wire.bad = true
					m.open(o)
				}
				for range ownersSteps {
					if m.rng.Intn(3) == 0 {
						m.claim()
					}
					m.round(m.owners[m.rng.Intn(owners)])
				}
				for _, o := range m.owners {
					o.wire.bad = false
					m.reopen(o)
					require.NoError(t, o.lane.Close())
				}
				m.check()
				refused, unknown = refused+m.refused, unknown+m.unknown
			})
		}
	}
	require.Positive(t, refused)
	require.Positive(t, unknown)
}
