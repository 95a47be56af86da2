package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestAClientThatAsksTheWrongNodeIsToldWhoLeadsAndWhere is KIP-951: without it a client waits until it may ask for metadata again.
func TestAClientThatAsksTheWrongNodeIsToldWhoLeadsAndWhere(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl := kafkaClient(t, c)
	admin := kadm.NewClient(cl)
	_, err := admin.CreateTopic(ctx, 1, 3, nil, "k")
	require.NoError(t, err)

	ask := func(node int32) (produced, fetched string) {
		topics, err := admin.ListTopics(ctx, "k")
		require.NoError(t, err)
		pr := kmsg.NewPtrProduceRequest()
		pr.Acks, pr.TimeoutMillis = -1, 1000
		pr.Topics = []kmsg.ProduceRequestTopic{{Topic: "k", TopicID: topics["k"].ID, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: []byte("nothing is looked at")}}}}
		resp, err := cl.Broker(int(node)).Request(ctx, pr)
		require.NoError(t, err)
		made := resp.(*kmsg.ProduceResponse)
		mp := made.Topics[0].Partitions[0]
		produced = fmt.Sprint(kerr.ErrorForCode(mp.ErrorCode), mp.CurrentLeader.LeaderID, mp.CurrentLeader.LeaderEpoch)
		for _, b := range made.Brokers {
			produced += fmt.Sprintf(" %d at %s:%d", b.NodeID, b.Host, b.Port)
		}
		fr := kmsg.NewPtrFetchRequest()
		part := kmsg.NewFetchRequestTopicPartition()
		part.PartitionMaxBytes = 1
		fr.MaxBytes, fr.Topics = 1, []kmsg.FetchRequestTopic{{Topic: "k", TopicID: topics["k"].ID, Partitions: []kmsg.FetchRequestTopicPartition{part}}}
		resp, err = cl.Broker(int(node)).Request(ctx, fr)
		require.NoError(t, err)
		got := resp.(*kmsg.FetchResponse)
		gp := got.Topics[0].Partitions[0]
		fetched = fmt.Sprint(kerr.ErrorForCode(gp.ErrorCode), gp.CurrentLeader.LeaderID, gp.CurrentLeader.LeaderEpoch)
		for _, b := range got.Brokers {
			fetched += fmt.Sprintf(" %d at %s:%d", b.NodeID, b.Host, b.Port)
		}
		return produced, fetched
	}

	var leader, epoch int32
	require.Eventually(t, func() bool { // any node may be asked, and it may hear of the new topic a moment later
		topics, err := admin.ListTopics(ctx, "k")
		p, ok := topics["k"].Partitions[0]
		leader, epoch = p.Leader, p.LeaderEpoch
		return err == nil && ok && leader > 0
	}, time.Minute, 50*time.Millisecond)
	want := fmt.Sprintf("%v %d %d %d at %v", kerr.NotLeaderForPartition, leader, epoch, leader, c[leader-1].KafkaAddr())
	for _, m := range c {
		if m.ID == leader {
			continue
		}
		produced, fetched := ask(m.ID)
		for produced != want || fetched != want { // so it may here
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("node %d says %q and %q, want %q", m.ID, produced, fetched, want)
			}
			produced, fetched = ask(m.ID)
		}
	}
}
