package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestAnOpenTransactionIsShownWithItsProducerAndItsPartitions(t *testing.T) {
	n := startNode(t)
	cl := client(t, n, kgo.TransactionalID("tx"))
	createTopic(t, cl, "a", 2, nil)
	adm := kadm.NewClient(client(t, n))
	require.NoError(t, cl.BeginTransaction())
	produce(t, cl, "a", []string{"open"})
	listed, err := adm.ListTransactions(t.Context(), nil, []string{"Ongoing"})
	require.NoError(t, err)
	require.Equal(t, []string{"tx"}, listed.TransactionalIDs())
	none, err := adm.ListTransactions(t.Context(), []int64{1 << 60}, nil)
	require.NoError(t, err)
	require.Empty(t, none)

	described, err := adm.DescribeTransactions(t.Context(), "tx", "nobody")
	require.NoError(t, err)
	require.ErrorIs(t, described["nobody"].Err, kerr.TransactionalIDNotFound)
	tx := described["tx"]
	require.Equal(t, "Ongoing", tx.State)
	require.Positive(t, tx.StartTimestamp)
	part := tx.Topics["a"]
	require.Len(t, part, 1)

	all, err := adm.DescribeProducers(t.Context(), described["tx"].Topics)
	require.NoError(t, err)
	for id := range part {
		p := all["a"].Partitions[id].ActiveProducers[tx.ProducerID]
		require.EqualValues(t, 0, p.CurrentTxnStartOffset)
	}
	require.NoError(t, cl.EndTransaction(t.Context(), kgo.TryCommit))
	described, err = adm.DescribeTransactions(t.Context(), "tx")
	require.NoError(t, err)
	require.Equal(t, "CompleteCommit", described["tx"].State)
}

func TestWhatAPartitionTakesOnTheDiskIsShown(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 2, nil)
	produce(t, cl, "a", values("v", 100))
	dirs, err := kadm.NewClient(cl).DescribeAllLogDirs(t.Context(), nil)
	require.NoError(t, err)
	dir := dirs[1][nodetest.Dir]
	require.NoError(t, dir.Err)
	require.Greater(t, dir.Topics["a"][0].Size+dir.Topics["a"][1].Size, int64(100))
	require.Contains(t, dir.Topics, "__consumer_offsets")
}

func TestTopicsAreDescribedAPageAtATime(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 3, nil)
	createTopic(t, cl, "b", 2, nil)
	w := dial(t, n)
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	for _, name := range []string{"b", "a", "none"} {
		rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
		rt.Topic = name
		req.Topics = append(req.Topics, rt)
	}
	req.ResponsePartitionLimit = 2
	type page struct {
		topic      string
		partitions []int32
	}
	var pages [][]page
	for {
		resp := w.ask(req).(*kmsg.DescribeTopicPartitionsResponse)
		var p []page
		for _, topic := range resp.Topics {
			var ids []int32
			for _, part := range topic.Partitions {
				require.NotNil(t, part.EligibleLeaderReplicas)
				ids = append(ids, part.Partition)
			}
			if *topic.Topic == "none" {
				require.Equal(t, kerr.UnknownTopicOrPartition.Code, topic.ErrorCode)
			}
			p = append(p, page{*topic.Topic, ids})
		}
		pages = append(pages, p)
		if resp.NextCursor == nil {
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	require.Equal(t, [][]page{{{"a", []int32{0, 1}}}, {{"a", []int32{2}}, {"b", []int32{0}}}, {{"b", []int32{1}}, {"none", nil}}}, pages)
}

func TestTheOnlyNodeKeepsItsReplicasAndLeads(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	adm := kadm.NewClient(cl)
	elected, err := adm.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, kadm.TopicsSet{"a": {0: {}}, "none": {0: {}}})
	require.NoError(t, err)
	require.ErrorIs(t, elected["a"][0].Err, kerr.ElectionNotNeeded)
	require.ErrorIs(t, elected["none"][0].Err, kerr.UnknownTopicOrPartition)
	var move kadm.AlterPartitionAssignmentsReq
	move.Assign("a", 0, []int32{2})
	moved, err := adm.AlterPartitionAssignments(t.Context(), move)
	require.NoError(t, err)
	require.ErrorIs(t, moved["a"][0].Err, kerr.InvalidReplicaAssignment)
	move.Assign("a", 0, []int32{1})
	moved, err = adm.AlterPartitionAssignments(t.Context(), move)
	require.NoError(t, err)
	require.NoError(t, moved["a"][0].Err)
	move.CancelAssign("a", 0)
	moved, err = adm.AlterPartitionAssignments(t.Context(), move)
	require.NoError(t, err)
	require.ErrorIs(t, moved["a"][0].Err, kerr.NoReassignmentInProgress)
	moving, err := adm.ListPartitionReassignments(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, moving)
}
