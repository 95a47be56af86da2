package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestCommittedReadersSeeWhatIsCommittedAndNothingElse(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	cl := client(t, n, kgo.TransactionalID("tx"))
	for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		require.NoError(t, cl.BeginTransaction())
		produce(t, cl, "a", []string{[]string{"first", "aborted", "second"}[i]})
		require.NoError(t, cl.EndTransaction(t.Context(), end))
	}
	committed := client(t, n, kgo.ConsumeTopics("a"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.Equal(t, []string{"first", "second"}, consume(t.Context(), t, committed, 2))
	all := client(t, n, kgo.ConsumeTopics("a"))
	require.Equal(t, []string{"first", "aborted", "second"}, consume(t.Context(), t, all, 3))
}

func TestANewProducerWithTheSameIDFencesTheOld(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	old := client(t, n, kgo.TransactionalID("tx"))
	require.NoError(t, old.BeginTransaction())
	produce(t, old, "a", []string{"lost"})
	next := client(t, n, kgo.TransactionalID("tx"))
	require.NoError(t, next.BeginTransaction())
	produce(t, next, "a", []string{"kept"})
	require.NoError(t, next.EndTransaction(t.Context(), kgo.TryCommit))
	require.Error(t, old.EndTransaction(t.Context(), kgo.TryCommit))
	reader := client(t, n, kgo.ConsumeTopics("a"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.Equal(t, []string{"kept"}, consume(t.Context(), t, reader, 1))
}

func TestOffsetsCommittedInATransactionMoveOnOnlyWithIt(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "in", 1, nil)
	createTopic(t, cl, "out", 1, nil)
	produce(t, cl, "in", values("v", 20))
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(n.KafkaAddr().String()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"),
		kgo.TransactionalID("etl"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(t, err)
	defer s.Close()
	aborted := false
	for done := 0; done < 20; {
		fetches := s.PollFetches(t.Context())
		require.NoError(t, fetches.Err0())
		require.NoError(t, s.Begin())
		fetches.EachRecord(func(r *kgo.Record) { s.Produce(t.Context(), &kgo.Record{Topic: "out", Value: r.Value}, nil) })
		end := kgo.TransactionEndTry(aborted)
		committed, err := s.End(t.Context(), end)
		require.NoError(t, err)
		if committed {
			done += fetches.NumRecords()
		}
		aborted = true
	}
	reader := client(t, n, kgo.ConsumeTopics("out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.Equal(t, values("v", 20), consume(t.Context(), t, reader, 20))
}
