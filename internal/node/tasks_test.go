package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// placed is where each task runs, and how often it has committed there since it started, by query, fragment and partition.
type placed struct {
	node    map[string]string
	commits map[string]string
}

func tasks(t *testing.T, conn *pgx.Conn) placed {
	t.Helper()
	p := placed{map[string]string{}, map[string]string{}}
	for _, row := range texts(t, conn, "SELECT query || '/' || fragment || '/' || partition, node, commits FROM millrace.tasks") {
		f := strings.Fields(row)
		p.node[f[0]], p.commits[f[0]] = f[1], f[2]
	}
	return p
}

// load counts tasks by node.
func (p placed) load() map[string]int {
	n := map[string]int{}
	for _, node := range p.node {
		n[node]++
	}
	return n
}

// spread waits until each node has as many tasks as are wanted, and all have told so.
func spread(t *testing.T, conn *pgx.Conn, want map[string]int) placed {
	t.Helper()
	ctx := within(t)
	for {
		p := tasks(t, conn)
		if maps.Equal(p.load(), want) {
			return p
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("tasks by node: %v, want %v", p.load(), want)
		}
	}
}

// TestANodeThatJoinsTakesItsShareOfTheTasksAndNoOthersStop has two nodes run queries, and a third join them. If heartbeats were missed meanwhile, on a machine that is too slow for them, what was stopped says
// nothing, and it is done again.
func TestANodeThatJoinsTakesItsShareOfTheTasksAndNoOthersStop(t *testing.T) {
	t.Parallel() // it waits more than it works
	const tries = 5
	for try := 1; ; try++ {
		told := make(lines, 10_000)
		stopped := joinThird(t, slog.New(slog.NewTextHandler(told, nil)))
		if stopped == "" {
			return
		}
		if try == tries || !told.missedHeartbeats() {
			t.Fatal(stopped)
		}
		t.Logf("heartbeats were missed, and %s; again", stopped)
	}
}

// missedHeartbeats reports whether what the nodes have logged says so.
func (l lines) missedHeartbeats() bool {
	for len(l) > 0 {
		if line := <-l; strings.Contains(line, "serving nothing as leader") || strings.Contains(line, "fenced=true") {
			return true
		}
	}
	return false
}

// joinThird forms a cluster of two nodes with queries, has a third join them, and says which task was stopped though it stayed where it was, if one was.
func joinThird(t *testing.T, logger *slog.Logger) (stopped string) {
	t.Helper()
	c := nodetest.StartCluster(t, 2, func(m *nodetest.Member) { m.Logger = logger })
	defer func() {
		for _, m := range c {
			m.Stop()
		}
	}()
	conn := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, conn, "CREATE STREAM s (k INT, v INT) WITH (partitions = 4)")
	const views = 6
	for i := range views {
		exec(t, conn, fmt.Sprintf("CREATE MATERIALIZED VIEW v%d AS SELECT k, count(*) AS n FROM s WHERE v >= %d GROUP BY k", i, i))
	}
	exec(t, conn, "INSERT INTO s SELECT n % 50, n FROM generate_series(1, 1000) n")
	sums := func(from int) {
		t.Helper()
		for i := range views {
			eventually(t, c, []string{fmt.Sprintf("[%d]", from-max(0, i-1)*from/1000)}, fmt.Sprintf("SELECT sum(n) FROM v%d", i))
		}
	}
	sums(1000)
	const all = views * 2 * 4 // each view reads, and counts behind an exchange, in four partitions
	before := spread(t, conn, map[string]int{"1": all / 2, "2": all / 2})
	committed := func(n string) bool { return n != "0" }
	require.True(t, slices.ContainsFunc(slices.Collect(maps.Values(before.commits)), committed), "or one that is started again could not be told from one that is not")

	third := nodetest.NewMember(t, 3, c[0].Addr)
	third.Logger = logger
	third.Start()
	require.NotNil(t, third.Node)
	c = append(c, third)
	after := spread(t, conn, map[string]int{"1": all / 3, "2": all / 3, "3": all / 3})
	for task, node := range after.node {
		if node == "3" {
			continue
		}
		if before.node[task] != node {
			return fmt.Sprintf("task %s moved between the nodes that were there", task)
		}
		if before.commits[task] != after.commits[task] {
			return fmt.Sprintf("task %s was stopped though it stays", task)
		}
	}
	exec(t, conn, "INSERT INTO s SELECT n % 50, n FROM generate_series(1, 1000) n")
	sums(2000)
	return ""
}

// TestTasksOfOneQueryOnAllNodesSurviveTheDeathOfAny runs a windowed aggregate and a join whose tasks are on three nodes while a producer that loses and doubles nothing writes, and kills each node in turn.
func TestTasksOfOneQueryOnAllNodesSurviveTheDeathOfAny(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[0])
	conn := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, conn, "CREATE STREAM s (k INT, v INT, at TIMESTAMPTZ) WITH (timestamp = 'at', value_format = 'json', partitions = 4)",
		"CREATE TABLE names (id INT PRIMARY KEY, code INT, name TEXT)", "INSERT INTO names SELECT n, 100 + n, 'name' || n % 3 FROM generate_series(0, 9) n",
		"CREATE MATERIALIZED VIEW minutes AS SELECT k, windowstart AS w, count(*) AS n, sum(v) AS v FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k",
		"CREATE MATERIALIZED VIEW joined AS SELECT t.name, count(*) AS n, sum(s.v) AS v FROM s JOIN names t ON s.k + 100 = t.code GROUP BY t.name")
	eventually(t, c, []string{"[1,2,3]", "[1,2,3]"}, "SELECT nodes FROM millrace.queries ORDER BY id")

	producer := kafkaClient(t, c, kgo.DefaultProduceTopic("s"), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(3*time.Minute))
	sent := 0
	send := func(n int) {
		for range n {
			sent++
			r := kgo.StringRecord(fmt.Sprintf(`{"k":%d,"v":%d,"at":"2026-01-01T00:%02d:00Z"}`, sent%10, sent%7, sent%60))
			producer.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	check := func(members []*nodetest.Member) {
		t.Helper()
		require.NoError(t, producer.Flush(t.Context()))
		sum, groups := 0, map[int]bool{}
		for i := 1; i <= sent; i++ {
			sum += i % 7
			groups[i%10*100+i%60] = true
		}
		eventually(t, members, []string{fmt.Sprintf("[%d %d %d]", len(groups), sent, sum)}, "SELECT count(*), sum(n), sum(v) FROM minutes")
		eventually(t, members, []string{fmt.Sprintf("[3 %d %d]", sent, sum)}, "SELECT count(*), sum(n), sum(v) FROM joined")
	}
	send(500)
	check(c)
	groupHasAllNodes(t, c)
	eventually(t, c, []string{"[t t]"}, "SELECT count(*) FILTER (WHERE standbys = node::text) = 0, count(*) FILTER (WHERE standbys IN ('1', '2', '3')) >= 8 FROM millrace.tasks")
	for _, dead := range []int{2, 1, 0} { // at last the node that has the sessions
		send(500)
		c[dead].Kill()
		send(500)
		rest := append(append([]*nodetest.Member{}, c[:dead]...), c[dead+1:]...)
		check(rest)
		if dead == 0 {
			return
		}
		c[dead].Start()
		require.NotNil(t, c[dead].Node)
		require.NoError(t, producer.UpdateSeedBrokers(c[0].KafkaAddr().String(), c[1].KafkaAddr().String(), c[2].KafkaAddr().String())) // its port is another
		replicated(t, c[0])
		eventually(t, c, []string{"[1,2,3]", "[1,2,3]"}, "SELECT nodes FROM millrace.queries ORDER BY id")
		check(c)
	}
}

// groupHasAllNodes looks at the queries as Kafka's tools do: the members of each group are the nodes, every partition has one of them, and nothing is left to be read.
func groupHasAllNodes(t *testing.T, c []*nodetest.Member) {
	t.Helper()
	admin := kadm.NewClient(kafkaClient(t, c))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	groups, err := admin.ListGroups(ctx)
	require.NoError(t, err)
	names := groups.Groups()
	require.NotEmpty(t, names)
	for _, name := range names {
		lags, err := admin.Lag(ctx, name)
		require.NoError(t, err)
		g := lags[name]
		require.NoError(t, g.Error())
		owners := map[string]bool{}
		for _, topic := range g.Lag {
			for _, p := range topic {
				require.NoError(t, p.Err)
				require.NotNil(t, p.Member, "%s: %s-%d has no member", name, p.Topic, p.Partition)
				owners[p.Member.MemberID] = true
			}
		}
		require.Equal(t, map[string]bool{"node-1": true, "node-2": true, "node-3": true}, owners, name)
	}
}
