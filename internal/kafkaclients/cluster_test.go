//go:build kafkaclients

package kafkaclients

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

const (
	// clusterNodes is how many nodes form a cluster.
	clusterNodes = 3
	// clusterRecords is how many records franz-go's test writes and passes on while a node is restarted.
	clusterRecords = 4000
	// produceLimit bounds how long they may take to be there.
	produceLimit = 2 * time.Minute
)

// startCluster runs nodes as processes that form a cluster, and returns their addresses for Kafka clients and a function that restarts one in order.
func startCluster(t *testing.T) (addrs []string, restart func(int)) {
	t.Helper()
	bin := nodetest.Build(t)
	var peers []string
	args := make([][]string, clusterNodes)
	for i := range clusterNodes {
		raft, addr := nodetest.FreeAddr(t), nodetest.FreeAddr(t)
		peers, addrs = append(peers, fmt.Sprintf("%d@%s", i+1, raft)), append(addrs, addr)
		args[i] = []string{"--data", t.TempDir(), "--node-id", fmt.Sprint(i + 1), "--raft", raft, "--kafka", addr, "--pg", nodetest.FreeAddr(t), "--http", "off"}
	}
	nodes := make([]*nodetest.Process, clusterNodes)
	start := func(i int) {
		nodes[i] = nodetest.StartProcess(t, bin, append(args[i], "--bootstrap-nodes", strings.Join(peers, ","))...)
	}
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { start(i) })
	}
	wg.Wait()
	require.False(t, t.Failed(), "the cluster does not form")
	t.Cleanup(func() {
		for _, p := range nodes {
			p.Kill()
		}
	})
	return addrs, func(i int) {
		require.NoError(t, nodes[i].Stop())
		start(i)
	}
}

// written waits until the topics of franz-go's tests hold n records.
func written(t *testing.T, addrs []string, n int64) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	require.NoError(t, err)
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), produceLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var have int64
		ends, err := kadm.NewClient(cl).ListEndOffsets(ctx) // of all topics but the internal ones
		ends.Each(func(o kadm.ListedOffset) { have += max(o.Offset, 0) })
		if have >= n {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.NoError(t, err)
			require.FailNow(t, "records are missing", "%d of %d", have, n)
		}
	}
}

func TestFranzGosTransactionsPassOnThreeNodesOfWhichOneIsRestarted(t *testing.T) {
	kgoTest := installed(t, "kafka-clients", "kgo.test")
	addrs, restart := startCluster(t)
	passed := make(chan string, 1)
	go func() {
		env := []string{"KGO_SEEDS=" + strings.Join(addrs, ","), "KGO_TEST_RF=3", fmt.Sprint("KGO_TEST_RECORDS=", clusterRecords), "KGO_LOG_LEVEL=none"}
		out, err := runProgram(t.Context(), env, "", kgoTest, "-test.run", "^TestTxnEtl$", "-test.timeout", testLimit.String())
		if err != nil {
			out = fmt.Sprintf("%v\n%s", err, out)
		}
		passed <- out
	}()
	written(t, addrs, clusterRecords*3/2) // they are all there, and the consumers at work
	restart(1)
	out := <-passed
	require.True(t, strings.HasPrefix(out, "PASS"), out)
}
