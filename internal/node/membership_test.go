package node_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/replication/metadata"
)

func TestANodeAloneGrowsIntoACluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	one := nodetest.NewMember(t, 1, "")
	one.Start()
	conn := nodetest.Connect(t, nodetest.ConnString(one.Node))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t",
		"INSERT INTO t SELECT n FROM generate_series(1, 100) n")
	two, three := nodetest.NewMember(t, 2, one.Addr), nodetest.NewMember(t, 3, one.Addr)
	two.Start()
	three.Start()
	require.Equal(t, []string{"100"}, texts(t, conn, "SELECT n FROM n"), "the session on the first node goes on")
	replicated(t, two)
	eventually(t, []*nodetest.Member{one, two, three}, []string{"[3 1]"}, "SELECT count(*) FILTER (WHERE votes), count(*) FILTER (WHERE controller) FROM millrace.nodes")
	one.Kill()
	rest := []*nodetest.Member{two, three}
	eventually(t, rest, []string{"[100]"}, "SELECT n FROM n")
	eventually(t, rest, nil, "INSERT INTO t VALUES (101) ON CONFLICT DO NOTHING")
	one.Start()
	eventually(t, []*nodetest.Member{one}, []string{"[101]"}, "SELECT n FROM n")
}

// replicated waits until every partition has all its replicas in sync, and three nodes vote.
func replicated(t *testing.T, m *nodetest.Member) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for m.ClusterHealth() != (node.ClusterHealth{Voters: 3}) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the cluster is not whole: %+v", m.ClusterHealth())
		}
	}
}

func TestAClusterRestartsAsAWhole(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	conn := nodetest.Connect(t, nodetest.ConnString(c[2].Node))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t",
		"INSERT INTO t SELECT n FROM generate_series(1, 50) n")
	all := func(do func(*nodetest.Member)) {
		var wg sync.WaitGroup
		for _, m := range c {
			wg.Go(func() { do(m) })
		}
		wg.Wait()
	}
	all((*nodetest.Member).Kill)
	all((*nodetest.Member).Start)
	eventually(t, c, []string{"[50]"}, "SELECT n FROM n")
}

func TestANodeThatIsCutOffServesNothingUntilItIsBack(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	lone, err := pgx.Connect(t.Context(), nodetest.ConnString(c[0].Node)) // the first node runs the queries
	require.NoError(t, err)
	replicated(t, c[1]) // a partition whose only replica in sync is cut off has no leader meanwhile, and rightly so
	c[0].CutOff()
	rest := c[1:]
	eventually(t, rest, []string{"[1]"}, "SELECT id FROM t")
	_, err = lone.Exec(t.Context(), "INSERT INTO t VALUES (2)")
	require.Error(t, err, "it has been deposed and knows it")
	eventually(t, rest, nil, "INSERT INTO t VALUES (3) ON CONFLICT DO NOTHING")
	c[0].Reconnect()
	eventually(t, c[:1], []string{"[1]", "[3]"}, "SELECT id FROM t ORDER BY id")
}

func TestANodeWhoseDiskIsFullLeavesWritingToTheOthers(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	replicated(t, c[1])
	room, err := c[0].FS.GetDiskUsage("/")
	require.NoError(t, err)
	c[0].FS.SetDiskUsage(fsys.DiskUsage{AvailBytes: 1, TotalBytes: room.TotalBytes}) // the first node runs the queries
	eventually(t, c[1:], []string{"[full]"}, "SELECT state FROM millrace.nodes WHERE id = 1 AND NOT queries")
	eventually(t, c, nil, "INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING")
	eventually(t, c, []string{"[1]", "[2]"}, "SELECT id FROM t ORDER BY id")
	c[0].FS.SetDiskUsage(room)
	eventually(t, c, []string{"[online]"}, "SELECT state FROM millrace.nodes WHERE id = 1")
}

func TestNodesThatDoNotBelongAreRefused(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	taken := nodetest.NewMember(t, 2, c[0].Addr)
	require.ErrorContains(t, taken.TryStart(), "never used", "the id of a node that runs")
	same := nodetest.NewMember(t, 1, c[0].Addr)
	require.ErrorContains(t, same.TryStart(), "two nodes have the id 1")
	alike := nodetest.NewMember(t, 1+metadata.IDClasses, c[0].Addr)
	require.ErrorContains(t, alike.TryStart(), "give the new node another id", "its clients' process ids would be those of another's")

	other := nodetest.NewMember(t, 4, "")
	other.Start()
	require.NoError(t, other.Close())
	foreign := nodetest.NewMember(t, 4, c[0].Addr)
	foreign.FS, other.Node = other.FS, nil
	require.ErrorContains(t, foreign.TryStart(), "cluster", "a directory of another cluster")

	c[2].Stop()
	c[2].Wipe()
	require.ErrorContains(t, c[2].TryStart(), "never used", "a wiped directory")
}

func TestANodeStartsThoughAnotherIsNotOfItsCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	c[2].Stop()
	foreign, err := nodetest.Open(t.Context(), node.Config{NodeID: 3, FS: fsys.NewMem(), Raft: c[2].Addr}) // somebody has given it another directory
	require.NoError(t, err)
	defer func() { require.NoError(t, foreign.Close()) }()
	c[0].Stop()
	c[0].Start() // of the others, one takes it and one does not
	eventually(t, c[:1], []string{"[2]"}, "SELECT count(*) FROM millrace.nodes WHERE state = 'online'")
}

func TestANodeThatIsToldOfItselfAsAnotherSaysSo(t *testing.T) {
	addr := nodetest.FreeAddr(t)
	for name, cfg := range map[string]node.Config{
		"join":      {JoinAddr: addr},
		"bootstrap": {BootstrapNodes: []node.BootstrapNode{{ID: 1, Addr: "127.0.0.1:1"}, {ID: 2, Addr: addr}}},
	} {
		cfg.NodeID, cfg.FS, cfg.Raft = 1, fsys.NewMem(), addr
		_, err := nodetest.Open(t.Context(), cfg)
		require.ErrorContains(t, err, "of this node itself", name)
	}
}

func TestNodesThatAreToldOfDifferentNodesFormNoCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	listeners, all := map[int32]net.Listener{}, []node.BootstrapNode{}
	for id := int32(1); id <= 3; id++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		listeners[id], all = l, append(all, node.BootstrapNode{ID: id, Addr: l.Addr().String()})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(lines, 1000)
	var wg sync.WaitGroup
	for id, list := range map[int32][]node.BootstrapNode{1: all, 2: all[1:], 3: all} { // the lowest of each list answers and hears the others
		wg.Go(func() {
			fs := fsys.NewMem()
			_, err := nodetest.Open(ctx, node.Config{
				NodeID: id, FS: fs, Raft: listeners[id].Addr().String(), BootstrapNodes: list, Listen: func(string) (net.Listener, error) { return listeners[id], nil },
				Logger: slog.New(slog.NewTextHandler(told, nil)).With("n", id),
			})
			assert.ErrorIs(t, err, context.Canceled, "node %d", id)
			formatted, err := metadata.Formatted(fs, nodetest.Dir)
			assert.NoError(t, err)
			assert.False(t, formatted, "node %d", id)
		})
	}
	warned := map[string]bool{}
	for !warned[`n=1 here=1,2,3 there="[node 2: 2,3]"`] || !warned[`n=2 here=2,3 there="[node 3: 1,2,3]"`] {
		select {
		case line := <-told:
			if _, rest, ok := strings.Cut(line, "start all with one list\" "); ok {
				warned[strings.TrimSpace(rest)] = true
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("nobody says what is wrong: %v", warned)
		}
	}
	cancel()
	wg.Wait()
}

// lines sends what is written to it on, as long as there is room.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}

func TestBootstrapNodesAreReadWithTheirIDs(t *testing.T) {
	got, err := node.ParseBootstrapNodes("1@a:7433, 22@b:7433")
	require.NoError(t, err)
	require.Equal(t, []node.BootstrapNode{{ID: 1, Addr: "a:7433"}, {ID: 22, Addr: "b:7433"}}, got)
	for _, bad := range []string{"a:7433", "0@a:1", "x@a:1", "1@a", "1@a:1,1@b:1", "1@a:1,2@a:1", "1@a:1,1025@b:1", ","} {
		_, err := node.ParseBootstrapNodes(bad)
		require.ErrorContains(t, err, "allowed:", bad)
	}
	for name, cfg := range map[string]node.Config{
		"no id":        {JoinAddr: "a:1"},
		"both":         {NodeID: 1, JoinAddr: "a:1", BootstrapNodes: got},
		"not among":    {NodeID: 3, BootstrapNodes: got},
		"no node port": {NodeID: 1, BootstrapNodes: got, Raft: node.Off},
	} {
		cfg.Dir = "/data"
		cfg.EnsureDefaults()
		require.ErrorContains(t, cfg.Validate(), "--", name)
	}
}
