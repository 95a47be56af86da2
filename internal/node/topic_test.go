package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestATopicIsMadeWhileANodeIsAway: as in Kafka, a node that is being restarted does not keep clients from making topics with as many replicas as there are nodes.
func TestATopicIsMadeWhileANodeIsAway(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[0])
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c[2].Kill()
	eventually(t, c[:2], []string{"[fenced]"}, "SELECT state FROM millrace.nodes WHERE id = 3")

	cl := kafkaClient(t, c[:2])
	admin := kadm.NewClient(cl)
	_, err := admin.CreateTopic(ctx, 4, 4, nil, "more")
	require.ErrorIs(t, err, kerr.InvalidReplicationFactor)
	_, err = admin.CreateTopic(ctx, 4, 3, nil, "k")
	require.NoError(t, err)
	require.NoError(t, cl.ProduceSync(ctx, &kgo.Record{Topic: "k", Value: []byte("v")}).FirstErr())

	c[2].Start()
	require.Eventually(t, func() bool {
		topics, err := admin.ListTopics(ctx, "k")
		if err != nil || len(topics["k"].Partitions) != 4 {
			return false
		}
		for _, p := range topics["k"].Partitions {
			if len(p.Replicas) != 3 || len(p.ISR) != 3 {
				return false
			}
		}
		return true
	}, 4*time.Minute, 100*time.Millisecond, "the node that is back has its replicas")
}
