package node_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestGroupsAndTransactionsAreCoordinatedByAllNodes: what a coordinator that dies has known is known to those that take its partitions over, and to itself when it has them again.
func TestGroupsAndTransactionsAreCoordinatedByAllNodes(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[0])
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	topics := []string{coordinator.OffsetsTopic, coordinator.TransactionTopic}
	ledByAll(t, c, topics...)
	_, err := kadm.NewClient(kafkaClient(t, c)).CreateTopic(ctx, 3, 3, nil, "k")
	require.NoError(t, err)

	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("name-%d", i))
	}
	// Each round a new producer of each name commits a transaction with a record, and each group an offset. What is done is known to those of the members that run.
	round := int64(0)
	work := func(running []*nodetest.Member) {
		t.Helper()
		round++
		admin := kadm.NewClient(kafkaClient(t, running))
		for _, name := range names {
			p := kafkaClient(t, running, kgo.TransactionalID(name), kgo.DefaultProduceTopic("k"))
			require.NoError(t, p.BeginTransaction())
			require.NoError(t, p.ProduceSync(ctx, kgo.StringRecord(name)).FirstErr())
			require.NoError(t, p.EndTransaction(ctx, kgo.TryCommit))
			offsets := kadm.Offsets{}
			offsets.AddOffset("k", 0, round, -1)
			require.NoError(t, retried(ctx, func() error {
				r, err := admin.CommitOffsets(ctx, name, offsets)
				if err != nil {
					return err
				}
				return r.Error()
			}))
		}
	}
	known := func(running []*nodetest.Member) {
		t.Helper()
		admin := kadm.NewClient(kafkaClient(t, running))
		for _, name := range names {
			var at int64
			require.NoError(t, retried(ctx, func() error {
				r, err := admin.FetchOffsets(ctx, name)
				if o, ok := r.Lookup("k", 0); ok {
					at = o.At
				}
				return err
			}))
			require.Equal(t, round, at, "group %s", name)
		}
		var listed []string
		require.NoError(t, retried(ctx, func() error {
			groups, err := admin.ListGroups(ctx) // asks every node
			listed = slices.Sorted(maps.Keys(groups))
			return err
		}))
		require.Equal(t, slices.Sorted(slices.Values(names)), listed)
	}
	work(c)
	known(c)
	require.Len(t, coordinatorsOf(ctx, t, c, names), 3)

	for _, i := range []int{0, 2} { // the node with the queries, and another one
		running := slices.Delete(slices.Clone(c), i, i+1)
		c[i].Kill()
		ledByAll(t, running, topics...)
		known(running)
		work(running)
		require.NotContains(t, coordinatorsOf(ctx, t, running, names), int32(i+1))
		c[i].Start()
		require.NotNil(t, c[i].Node)
		ledByAll(t, c, topics...)
		known(c)
		work(c)
	}
	require.Len(t, coordinatorsOf(ctx, t, c, names), 3)

	// Every record is there once.
	consumer := kafkaClient(t, c, kgo.ConsumeTopics("k"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	seen := map[string]int64{}
	for total := int64(0); total < round*int64(len(names)); {
		f := consumer.PollFetches(ctx)
		require.NoError(t, ctx.Err())
		f.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; total++ })
	}
	for _, name := range names {
		require.Equal(t, round, seen[name], name)
	}
}

// ledByAll waits until each of the members leads partitions of each of the topics, and nobody else does, as each of them knows.
func ledByAll(t *testing.T, c []*nodetest.Member, topics ...string) {
	t.Helper()
	cl := kafkaClient(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for _, m := range c {
		var err error
		for !knowsLeaders(ctx, cl, m.ID, c, topics, &err) {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				t.Fatalf("node %d does not know that topics %v are led by all nodes (%v)", m.ID, topics, err)
			}
		}
	}
}

func knowsLeaders(ctx context.Context, cl *kgo.Client, node int32, c []*nodetest.Member, topics []string, err *error) bool {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, rt)
	}
	var resp kmsg.Response
	if resp, *err = cl.Broker(int(node)).RetriableRequest(ctx, req); *err != nil {
		return false
	}
	for _, topic := range resp.(*kmsg.MetadataResponse).Topics {
		leaders := map[int32]bool{}
		for _, p := range topic.Partitions {
			leaders[p.Leader] = true
		}
		if len(leaders) != len(c) || slices.ContainsFunc(c, func(m *nodetest.Member) bool { return !leaders[m.ID] }) {
			return false
		}
	}
	return true
}

// retried calls f until it succeeds: kadm does not look for another coordinator when one says that it is none any more.
func retried(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// coordinatorsOf is the set of the nodes that coordinate the groups and transactional ids of these names.
func coordinatorsOf(ctx context.Context, t *testing.T, c []*nodetest.Member, names []string) map[int32]bool {
	t.Helper()
	admin := kadm.NewClient(kafkaClient(t, c))
	nodes := map[int32]bool{}
	for _, find := range []func(context.Context, ...string) kadm.FindCoordinatorResponses{admin.FindGroupCoordinators, admin.FindTxnCoordinators} {
		require.NoError(t, retried(ctx, func() error {
			found := find(ctx, names...)
			for _, r := range found {
				nodes[r.NodeID] = true
			}
			return found.Error()
		}))
	}
	delete(nodes, -1)
	return nodes
}
