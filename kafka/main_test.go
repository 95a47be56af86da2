package kafka_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func startNode(t testing.TB) *node.Node {
	return nodetest.Start(t, node.Config{Kafka: "127.0.0.1:0"})
}

// client connects to n; it is closed when the test ends.
func client(t testing.TB, n *node.Node, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(n.KafkaAddr().String())}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t testing.TB, cl *kgo.Client, name string, partitions int32, configs map[string]*string) {
	_, err := kadm.NewClient(cl).CreateTopic(t.Context(), partitions, 1, configs, name)
	require.NoError(t, err)
}

// consume polls until it has n records.
func consume(ctx context.Context, t testing.TB, cl *kgo.Client, n int) []string {
	var got []string
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		require.NoError(t, fetches.Err0())
		for _, err := range fetches.Errors() {
			require.NoError(t, err.Err, "%s-%d", err.Topic, err.Partition)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return got
}

func values(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s%d", prefix, i))
	}
	return all
}

func produce(t testing.TB, cl *kgo.Client, topic string, all []string) {
	records := make([]*kgo.Record, len(all))
	for i, v := range all {
		records[i] = &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(v)}
	}
	require.NoError(t, cl.ProduceSync(t.Context(), records...).FirstErr())
}
