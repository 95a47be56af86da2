package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

func kafkaClient(t *testing.T, c []*nodetest.Member, opts ...kgo.Opt) *kgo.Client {
	var seeds []string
	for _, m := range c {
		seeds = append(seeds, m.KafkaAddr().String())
	}
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryTimeout(time.Minute))...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func TestKafkaClientsLoseNothingWhenTheLeaderDies(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	producer := kafkaClient(t, c, kgo.DefaultProduceTopic("k"))
	admin := kadm.NewClient(producer)
	_, err := admin.CreateTopic(ctx, 4, 3, nil, "k")
	require.NoError(t, err)
	brokers, err := admin.ListBrokers(ctx)
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2, 3}, brokers.NodeIDs())

	consumer := kafkaClient(t, c, kgo.ConsumeTopics("k"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]int{}
	read := func(want int) {
		for len(seen) < want {
			f := consumer.PollFetches(ctx)
			require.NoError(t, ctx.Err(), "read %d of %d", len(seen), want)
			f.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
		}
	}
	next := 0
	write := func(n int) {
		for range n {
			next++
			require.NoError(t, producer.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(next))).FirstErr())
		}
	}
	write(200)
	read(200)
	require.NoError(t, consumer.CommitUncommittedOffsets(ctx))

	topics, err := admin.ListTopics(ctx, "k")
	require.NoError(t, err)
	leader := topics["k"].Partitions[0].Leader
	require.Len(t, topics["k"].Partitions[0].Replicas, 3)
	replicated(t, c[0])
	done := make(chan struct{})
	go func() {
		defer close(done)
		c[leader-1].Kill()
	}()
	write(200) // through the failover
	<-done
	read(next)
	for v, n := range seen {
		require.Equal(t, 1, n, "record %s", v)
	}
}

func TestANodeThatStopsInOrderHandsOverFirst(t *testing.T) {
	t.Parallel() // it waits more than it works
	told := make(lines, 10_000)
	c := nodetest.StartCluster(t, 3, func(m *nodetest.Member) { m.Logger = slog.New(slog.NewTextHandler(told, nil)) })
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[1].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	replicated(t, c[1])
	for len(told) > 0 {
		<-told
	}
	c[0].Stop() // it runs the queries and controls the cluster
	admin := kadm.NewClient(kafkaClient(t, c[1:]))
	// The node has gone when the controller has written that it is out; who is asked may hear of it a moment later.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		topics, err := admin.ListTopicsWithInternal(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, topics)
		if !mentions(topics, 1) {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("node 1 holds acknowledgements up: %v", topics)
		}
	}
	for leaves := regexp.MustCompile(`controller: broker.* node=1 .*draining=true`); ; {
		select {
		case line := <-told:
			require.NotRegexp(t, `controller: broker.* node=1 .*fenced=true draining=false`, line, "acknowledgements waited until it was missed")
			if !leaves.MatchString(line) {
				continue
			}
		case <-ctx.Done():
			t.Fatal("nobody says that node 1 leaves")
		}
		break
	}
	eventually(t, c[1:], []string{"[1]"}, "SELECT id FROM t")
}

// mentions reports whether a node leads a partition or is in an in-sync set.
func mentions(topics kadm.TopicDetails, id int32) bool {
	for _, topic := range topics {
		for _, p := range topic.Partitions {
			if p.Leader == id || slices.Contains(p.ISR, id) {
				return true
			}
		}
	}
	return false
}
