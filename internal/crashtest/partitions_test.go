//go:build scale && linux

package crashtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/testenv"
)

const (
	// perTopic is how many partitions a topic has of those without traffic.
	perTopic = 100
	// busyTopic has those with traffic.
	busyTopic = "busy"
	// idleFor is how long the cluster is watched while nobody uses it, busyFor how long there is traffic before the kill and after it.
	idleFor = 20 * time.Second
	busyFor = 10 * time.Second
	// lookEvery is how often a condition is looked at.
	lookEvery = 100 * time.Millisecond
	// scaleLimit bounds every wait: longer means that somebody would have to help.
	scaleLimit = 5 * time.Minute
)

// bigCluster is three nodes in processes of their own, whose processor time, memory and traffic are read from the system.
type bigCluster struct {
	t     *testing.T
	bin   string
	dir   string
	peers string
	kafka [3]string
	raft  [3]string
	pg    [3]string
	first int // nodes that form the cluster; the others join
	nodes [3]*nodetest.Process
	table [][2]string
}

// startBigCluster starts the first nodes, which form a cluster.
func startBigCluster(t *testing.T, first int) *bigCluster {
	c := &bigCluster{t: t, bin: nodetest.Build(t), dir: t.TempDir(), first: first}
	var peers []string
	for i := range c.nodes {
		c.kafka[i], c.raft[i], c.pg[i] = nodetest.FreeAddr(t), nodetest.FreeAddr(t), nodetest.FreeAddr(t)
		if i < first {
			peers = append(peers, fmt.Sprintf("%d@%s", i+1, c.raft[i]))
		}
	}
	c.peers = strings.Join(peers, ",")
	var wg sync.WaitGroup
	for i := range first {
		wg.Go(func() { c.start(i) })
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, p := range c.nodes {
			if p != nil {
				p.Kill()
			}
		}
	})
	require.False(t, t.Failed(), "the cluster does not form")
	return c
}

func (c *bigCluster) start(i int) {
	how, where := "--bootstrap-nodes", c.peers
	if i >= c.first {
		how, where = "--join", c.raft[0]
	}
	c.nodes[i] = nodetest.StartProcess(c.t, c.bin, "--data", filepath.Join(c.dir, fmt.Sprint(i+1)), "--node-id", fmt.Sprint(i+1), how, where,
		"--raft", c.raft[i], "--kafka", c.kafka[i], "--pg", c.pg[i], "--http", c.http(i))
}

// http is where a node shows its profiles, if MILLRACE_PROFILE_PORT says so.
func (c *bigCluster) http(i int) string {
	if port := testenv.Int(c.t, "MILLRACE_PROFILE_PORT", 0); port > 0 {
		return fmt.Sprintf("127.0.0.1:%d", port+i)
	}
	return "off"
}

// note adds a line to the table of results.
func (c *bigCluster) note(what, format string, args ...any) {
	row := [2]string{what, fmt.Sprintf(format, args...)}
	c.t.Logf("%s: %s", row[0], row[1])
	c.table = append(c.table, row)
}

// print writes the table for docs/performance.md.
func (c *bigCluster) print() {
	var b strings.Builder
	b.WriteString("| what | |\n|---|---|\n")
	for _, r := range c.table {
		fmt.Fprintf(&b, "| %s | %s |\n", r[0], r[1])
	}
	fmt.Print(b.String())
}

// each formats what f tells of every node that is not left out.
func (c *bigCluster) each(leaveOut int, f func(i int) string) string {
	var out []string
	for i := range c.nodes {
		if i != leaveOut {
			out = append(out, f(i))
		}
	}
	return strings.Join(out, ", ")
}

func (c *bigCluster) client(ctx context.Context, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.kafka[:]...), kgo.WithContext(ctx)}, opts...)...)
	require.NoError(c.t, err)
	c.t.Cleanup(cl.Close)
	return cl
}

// create makes the topics, several at a time as tools do.
func (c *bigCluster) create(ctx context.Context, cl *kgo.Client, partitions, busy int) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(scaleLimit.Milliseconds())
	add := func(name string, n int) {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(n), 3
		req.Topics = append(req.Topics, t)
	}
	flush := func() {
		resp, err := req.RequestWith(ctx, cl)
		require.NoError(c.t, err)
		for _, t := range resp.Topics {
			require.NoError(c.t, kerr.ErrorForCode(t.ErrorCode), t.Topic)
		}
		req.Topics = nil
	}
	add(busyTopic, busy)
	for left, i := partitions-busy, 0; left > 0; left, i = left-perTopic, i+1 {
		if add(fmt.Sprintf("idle-%03d", i), min(left, perTopic)); len(req.Topics) == 10 {
			flush()
		}
	}
	if len(req.Topics) > 0 {
		flush()
	}
}

// health is what one node knows of the partitions.
type health struct {
	all, leaderless, shrunk int // partitions; without a leader; with fewer than three in sync
	leads                   [3]int
	busyLeader              []int32 // of busyTopic, by partition
	controller              int32
}

// look asks node i for the metadata. gone is a node that does not count as a leader; -1 for none.
func (c *bigCluster) look(ctx context.Context, i, gone int) (h health, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.kafka[i]))
	if err != nil {
		return h, err
	}
	defer cl.Close()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil {
		return h, err
	}
	h.controller = resp.ControllerID
	for _, t := range resp.Topics {
		name := *t.Topic
		if name == busyTopic {
			h.busyLeader = make([]int32, len(t.Partitions))
		}
		if name != busyTopic && !strings.HasPrefix(name, "idle-") {
			continue
		}
		for _, p := range t.Partitions {
			h.all++
			if name == busyTopic {
				h.busyLeader[p.Partition] = p.Leader
			}
			if p.Leader < 1 || int(p.Leader) == gone+1 {
				h.leaderless++
			} else {
				h.leads[p.Leader-1]++
			}
			if len(p.ISR) < 3 {
				h.shrunk++
			}
		}
	}
	return h, nil
}

// until looks at node i until it tells what is wanted, and returns how long that took.
func (c *bigCluster) until(ctx context.Context, what string, i, gone int, wanted func(health) bool) (health, time.Duration) {
	begin := time.Now()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		h, err := c.look(ctx, i, gone)
		if err == nil && wanted(h) {
			return h, time.Since(begin)
		}
		require.Less(c.t, time.Since(begin), scaleLimit, "%s: %+v, %v", what, h, err)
		<-ticker.C
	}
}

func TestThousandsOfPartitionsGetNewLeadersWhenTheirNodeIsKilled(t *testing.T) {
	partitions, busy := testenv.Int(t, "MILLRACE_PARTITIONS", 10_000), testenv.Int(t, "MILLRACE_BUSY_PARTITIONS", 300)
	ctx := t.Context()
	c := startBigCluster(t, 3)
	admin := c.client(ctx)
	whole := func(h health) bool { return h.all == partitions && h.leaderless == 0 && h.shrunk == 0 }

	begin := time.Now()
	c.create(ctx, admin, partitions, busy)
	c.note(fmt.Sprintf("%d partitions with 3 replicas made", partitions), "%.1f s", time.Since(begin).Seconds())
	h, _ := c.until(ctx, "whole", 0, -1, whole)
	c.note("leaders a node", "%d, %d, %d", h.leads[0], h.leads[1], h.leads[2])
	c.idle()

	tr := c.startTraffic(ctx, busy)
	tr.flows(busyFor)
	c.note("processor time a node under traffic", "%s", c.cpu(busyFor, -1, func() { tr.flows(busyFor) }))
	c.note("records acknowledged a second", "%.0f", tr.rate())

	victim := int(h.controller) - 1
	before, _ := c.until(ctx, "whole", victim, -1, whole)
	killed := time.Now()
	c.nodes[victim].Kill()
	other := (victim + 1) % 3
	c.until(ctx, "leaders of all", other, victim, func(h health) bool { return h.all == partitions && h.leaderless == 0 })
	c.note(fmt.Sprintf("kill -9 of the node that leads %d and controls: until all partitions have leaders", before.leads[victim]), "%.1f s", time.Since(killed).Seconds())
	moved, others := tr.failover(killed, func(p int) bool { return int(before.busyLeader[p]) == victim+1 })
	c.note("until the last of those with traffic that it led takes records", "%.1f s (%d partitions, median %.1f s)", slices.Max(moved).Seconds(), len(moved), median(moved).Seconds())
	c.note("longest pause of those that others led", "%.1f s (%d partitions, median %.1f s)", slices.Max(others).Seconds(), len(others), median(others).Seconds())

	begin = time.Now()
	c.start(victim)
	c.note("it starts again: ready", "%.1f s", time.Since(begin).Seconds())
	c.until(ctx, "whole again", other, -1, whole)
	c.note("all replicas in sync", "%.1f s", time.Since(begin).Seconds())
	c.until(ctx, "balanced again", other, -1, func(h health) bool { return whole(h) && h.leads[victim] >= before.leads[victim] })
	c.note("it leads its third again", "%.1f s", time.Since(begin).Seconds())
	tr.flows(busyFor)
	acked := tr.stop()
	c.note("records acknowledged, of which missing, twice or elsewhere", "%d, %d", acked, tr.lost(ctx))
	c.print()
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// idle notes what the nodes cost while nobody uses them.
func (c *bigCluster) idle() {
	bytes := c.peerBytes()
	c.note("processor time a node, idle", "%s", c.cpu(idleFor, -1, func() { <-time.After(idleFor) }))
	c.note("between the nodes, idle", "%.1f KB a second", float64(c.peerBytes()-bytes)/1000/idleFor.Seconds())
	c.note("resident memory a node", "%s", c.each(-1, func(i int) string { return fmt.Sprintf("%d MB", c.resident(i)/1_000_000) }))
	c.note("open files a node", "%s", c.each(-1, func(i int) string {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.nodes[i].PID()))
		require.NoError(c.t, err)
		return fmt.Sprint(len(fds))
	}))
}
