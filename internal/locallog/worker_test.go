package locallog

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/logtest"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

// TestAWorkersLogConforms runs the suite on a worker's log, whose writes and coordinators are reached as on another node.
func TestAWorkersLogConforms(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Harness {
		n := startNode(t, fsys.NewMem(), "data")
		w := NewWorker(n.partitions, n.broker, clock.Real, otherNode{n})
		t.Cleanup(func() {
			w.Close()
			n.stop(t)
		})
		return logtest.Harness{Log: w, Transport: n.log.Transport(), CreateTopic: n.createTopic, AddPartitions: n.addPartitions, Join: n.join}
	})
}

// TestWhoSubscribesWhileNobodyLeadsHearsOfTheNextLeader: the replica here, if there is one, tells of itself only while it leads.
func TestWhoSubscribesWhileNobodyLeadsHearsOfTheNextLeader(t *testing.T) {
	n := startNode(t, fsys.NewMem(), "data")
	defer n.stop(t)
	n.createTopic(t, "t", 1)
	p := &leaderless{otherNode: otherNode{n}}
	w := NewWorker(n.partitions, n.broker, clock.Real, p)
	defer w.Close()
	wake := make(chan struct{}, 1)
	cancel, err := w.Subscribe(exec.TopicPartition{Topic: "t"}, wake)
	require.NoError(t, err)
	defer cancel()
	p.elected.Store(true)
	deadline := time.After(time.Minute)
	for p.polls.Load() == 0 {
		select {
		case <-wake: // also for there being no leader
		case <-deadline:
			t.Fatal("nobody asks the leader that there is now")
		}
	}
}

// leaderless is a cluster in which nobody leads before the election.
type leaderless struct {
	otherNode
	elected atomic.Bool
	polls   atomic.Int32
}

func (l *leaderless) Place(topic string, partition int32) (Place, error) {
	place, err := l.otherNode.Place(topic, partition)
	if err == nil && !l.elected.Load() {
		place.Node, err = -1, kerr.LeaderNotAvailable
	}
	return place, err
}

func (l *leaderless) Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	defer l.polls.Add(1)
	return l.otherNode.Call(ctx, node, req)
}

// otherNode is Peers with one other node, which leads and coordinates everything.
type otherNode struct{ *node }

func (o otherNode) Place(topic string, partition int32) (Place, error) {
	t, ok := o.meta.Image().Topic(topic)
	if !ok {
		return Place{}, kerr.UnknownTopicOrPartition
	}
	p, ok := t.Partition(partition)
	if !ok {
		return Place{}, kerr.UnknownTopicOrPartition
	}
	return Place{Node: 2, Epoch: p.LeaderEpoch, Topic: t.ID}, nil
}

// Call serves a request as a node does, from and into bytes.
func (o otherNode) Call(ctx context.Context, _ int32, req kmsg.Request) (kmsg.Response, error) {
	came := kmsg.RequestForKey(req.Key())
	came.SetVersion(req.GetVersion())
	if err := came.ReadFrom(req.AppendTo(nil)); err != nil {
		return nil, err
	}
	resp, err := o.serve(ctx, came)
	if err != nil {
		return nil, err
	}
	got := req.ResponseKind()
	return got, got.ReadFrom(resp.AppendTo(nil))
}

func (o otherNode) serve(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	switch r := req.(type) {
	case *kmsg.FetchRequest:
		return o.partitions.ServeRead(ctx, r), nil
	case *kmsg.ProduceRequest:
		return o.broker.Produce(ctx, r), nil
	case *kmsg.InitProducerIDRequest:
		return o.broker.InitProducerID(ctx, r), nil
	case *kmsg.TxnOffsetCommitRequest:
		return o.broker.TxnOffsetCommit(ctx, r), nil
	case *kmsg.EndTxnRequest:
		return o.broker.EndTxn(ctx, r), nil
	case *kmsg.OffsetFetchRequest:
		return o.broker.OffsetFetch(ctx, r), nil
	}
	return nil, fmt.Errorf("%s is not served", kmsg.NameForKey(req.Key()))
}
