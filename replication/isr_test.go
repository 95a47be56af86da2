package replication

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

// proposer is a leader of partitions whose only other replica is out of sync, that makes proposals only when the test says so.
func proposer(t *testing.T, partitions int32) *node {
	n := start(t)
	n.apply(func(b *metadata.Batch) { b.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, 0) })
	n.apply(func(b *metadata.Batch) {
		b.SetQueryNode(1)
		b.CreateTopic(metadata.TopicSpec{Name: "t", Partitions: partitions, Owner: metadata.Owner{Kind: metadata.OwnerInternal}})
	})
	n.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("t")
		for _, p := range topic.Partitions {
			next := p
			next.ISR = []int32{1}
			b.ChangePartition(topic.ID, p, next, false, nil)
		}
	})
	n.opts.Peers = &wire{meta: n.meta, epoch: brokerEpoch(n.meta, 1)}
	return n
}

// back is the proposal that node 2 joins, heard of with the given broker epoch.
func (n *node) back(id int32, epoch uint64) ask {
	topic, _ := n.meta.Image().Topic("t")
	p := topic.Partitions[id]
	return ask{n.partition("t", id), core.Proposal{ISR: []int32{1, 2}, BrokerEpochs: []uint64{0, epoch}, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}}
}

func (n *node) inSync() (ids []int32) {
	topic, _ := n.meta.Image().Topic("t")
	for _, p := range topic.Partitions {
		if len(p.ISR) == 2 {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func TestProposalsThatWaitAreMadeAsOneChange(t *testing.T) {
	n := proposer(t, 50)
	epoch := brokerEpoch(n.meta, 2)
	for id := range int32(50) {
		n.asks <- n.back(id, epoch)
	}
	before := n.meta.Image().Index()
	n.proposeAll(n.waiting(<-n.asks))
	require.Len(t, n.inSync(), 50)
	require.Equal(t, before+1, n.meta.Image().Index())
}

func TestAProposalThatIsRefusedDoesNotSpoilTheOthers(t *testing.T) {
	n := proposer(t, 7)
	epoch := brokerEpoch(n.meta, 2)
	asks := []ask{n.back(0, epoch), n.back(1, epoch), n.back(2, epoch-1), n.back(3, epoch), n.back(4, epoch), n.back(5, epoch), n.back(6, epoch)}
	stale := n.back(5, epoch)
	stale.proposal.PartitionEpoch--
	n.proposeAll(append(asks, stale))
	require.Equal(t, []int32{0, 1, 3, 4, 5, 6}, n.inSync())
}
