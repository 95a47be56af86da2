package node

import (
	"context"
	"sync"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/replication/metadata"
)

// The coordinators of Kafka's groups and transactions are the leaders of the partitions that keep them, as in Kafka, and in a cluster any node may lead those: each partition is followed by a goroutine
// that loads it when this node comes to lead it. The coordinators of queries go with the duty, and on a node alone all do.

// term is one leadership of a partition of coordinators.
type term struct {
	epoch  int32
	groups *coordinator.Groups // nil for one of transactions
}

// coordinatorPartitions are the partitions of the coordinators' topics that are followed one by one, or those that go with the duty.
func (n *Node) coordinatorPartitions(img *metadata.Image, followed bool) (tps []coordinator.TopicPartition) {
	for _, spec := range coordinatorTopics {
		if t, ok := img.Topic(spec.Name); ok && (t.Spread() && n.port != nil) == followed {
			for _, p := range t.Partitions {
				tps = append(tps, coordinator.TopicPartition{Topic: t.Name, Partition: p.ID})
			}
		}
	}
	return tps
}

// countPartitions is the number of partitions of a topic, by the metadata.
func (n *Node) countPartitions(topic string) int32 {
	if t, ok := n.meta.Image().Topic(topic); ok {
		return int32(len(t.Partitions))
	}
	return 0
}

// openFollowers starts to follow who leads the partitions of coordinators.
func (n *Node) openFollowers(context.Context) error {
	if n.port == nil {
		return nil
	}
	n.followersDone = make(chan struct{})
	go func() {
		defer close(n.followersDone)
		n.followCoordinators()
	}()
	return nil
}

// followCoordinators follows each partition, from when the topics are there.
func (n *Node) followCoordinators() {
	var wg sync.WaitGroup
	defer wg.Wait()
	followed := map[coordinator.TopicPartition]bool{}
	for {
		img, acted := n.repl.Watch()
		for _, tp := range n.coordinatorPartitions(img, true) {
			if !followed[tp] {
				followed[tp] = true
				wg.Go(func() { n.followCoordinator(tp) })
			}
		}
		if !n.awaitNews(acted, nil, false) {
			return
		}
	}
}

// followCoordinator leads one partition of coordinators whenever it is this node's.
func (n *Node) followCoordinator(tp coordinator.TopicPartition) {
	var t *term
	defer func() { n.endTerm(tp, t) }()
	for {
		img, acted := n.repl.Watch()
		epoch, mine := n.leads(img, tp)
		if t != nil && (!mine || epoch != t.epoch) {
			n.endTerm(tp, t)
			t = nil
		}
		retry := false
		if t == nil && mine {
			var err error
			if t, err = n.beginTerm(tp, epoch); err != nil {
				n.cfg.Logger.Debug("a coordinator cannot be loaded yet", "topic", tp.Topic, "partition", tp.Partition, "err", err)
				retry = true
			}
		}
		if !n.awaitNews(acted, nil, retry) {
			return
		}
	}
}

// leads reports whether this node is to lead a partition, and in which epoch.
func (n *Node) leads(img *metadata.Image, tp coordinator.TopicPartition) (epoch int32, ok bool) {
	t, ok := img.Topic(tp.Topic)
	if !ok {
		return 0, false
	}
	p, ok := t.Partition(tp.Partition)
	return p.LeaderEpoch, ok && p.Leader == n.identity.NodeID
}

// beginTerm loads a partition that this node has come to lead, and serves what it keeps.
func (n *Node) beginTerm(tp coordinator.TopicPartition, epoch int32) (*term, error) {
	ctx, stop := n.aslongas(func() bool {
		img, _ := n.repl.Watch()
		now, mine := n.leads(img, tp)
		return mine && now == epoch
	})
	defer stop()
	t, tps := &term{epoch: epoch}, []coordinator.TopicPartition{tp}
	keepsGroups := tp.Topic == coordinator.OffsetsTopic
	if keepsGroups {
		n.groups.set(tps, n.groups.loading)
	}
	if err := n.coord.Lead(ctx, tps); err != nil {
		n.endTerm(tp, t)
		return nil, err
	}
	if keepsGroups {
		t.groups = n.newGroups(tps, nil)
		n.groups.set(tps, t.groups)
	}
	return t, nil
}

// endTerm gives a partition up; t may be nil.
func (n *Node) endTerm(tp coordinator.TopicPartition, t *term) {
	if t == nil {
		return
	}
	tps := []coordinator.TopicPartition{tp}
	n.groups.set(tps, nil)
	if t.groups != nil { // first: members wait for answers, and look for the next coordinator when they have them
		t.groups.Close()
	}
	n.coord.Resign(tps)
}
