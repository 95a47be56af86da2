package node_test

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestADrainedNodeHandsOverWhatItDoes(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t",
		"INSERT INTO t SELECT n FROM generate_series(1, 50) n")
	replicated(t, c[1])
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "ALTER NODE 1 DRAIN")
	eventually(t, c, []string{"[1 drained f]"}, "SELECT id, state, queries FROM millrace.nodes WHERE id = 1")
	eventually(t, c, []string{"[0]"}, "SELECT count(*) FROM millrace.partitions WHERE leader = 1")
	eventually(t, c, []string{"[50]"}, "SELECT n FROM n")
	c[0].Stop()
	c[0].Start()
	eventually(t, c, []string{"[drained]"}, "SELECT state FROM millrace.nodes WHERE id = 1")
	eventually(t, c, nil, "ALTER NODE 1 UNDRAIN")
	eventually(t, c, []string{"[online]"}, "SELECT state FROM millrace.nodes WHERE id = 1")
}

func TestADeadNodeIsRemovedAndItsIDIsUsedAgain(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	conn := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	replicated(t, c[1])
	refused(t, conn, "55006", "ALTER NODE 3 REMOVE")
	refused(t, conn, "42704", "ALTER NODE 9 REMOVE")
	c[2].Kill()
	eventually(t, c[:2], []string{"[fenced]"}, "SELECT state FROM millrace.nodes WHERE id = 3")
	was := c[2].FS
	c[2].Wipe()
	require.ErrorContains(t, c[2].TryStart(), "never used", "its machine has an empty disk, and the cluster was not told")
	early := c[2].FS
	c[2].FS = was
	eventually(t, c[:2], nil, "ALTER NODE 3 REMOVE")
	eventually(t, c[:2], []string{"[1]", "[2]"}, "SELECT id FROM millrace.nodes ORDER BY id")
	eventually(t, c[:2], nil, "INSERT INTO t VALUES (2) ON CONFLICT DO NOTHING")

	removed := c[2].FS.CrashClone(vfs.CrashCloneCfg{})
	err := c[2].TryStart()
	require.ErrorContains(t, err, "node 3 was removed from the cluster", "its old directory")
	require.NotErrorIs(t, err, context.Canceled, "nobody stopped it")
	require.ErrorContains(t, err, "start the node on an empty one")
	c[2].FS = early
	c[2].Start()
	require.NotNil(t, c[2].Node)
	// Neither when its id has another directory by now.
	old := nodetest.NewMember(t, 3, c[0].Addr)
	old.FS = removed
	err = old.TryStart()
	require.ErrorContains(t, err, "node id 3 belongs to data directory")
	require.NotContains(t, err.Error(), kerr.DuplicateBrokerRegistration.Message, "the reason says it")
	replicated(t, c[0])
	eventually(t, c, []string{"[1]", "[2]", "[3]"}, "SELECT id FROM millrace.nodes WHERE state = 'online' ORDER BY id")
	eventually(t, c[2:], []string{"[1]", "[2]"}, "SELECT id FROM t ORDER BY id")
}

func TestANodeComesBackAtAnotherAddress(t *testing.T) {
	t.Parallel() // it waits more than it works
	one := nodetest.NewMember(t, 1, "")
	one.Start()
	two, three := nodetest.NewMember(t, 2, one.Addr), nodetest.NewMember(t, 3, one.Addr)
	two.Start()
	three.Start()
	replicated(t, one)
	three.Stop()
	three.Addr = nodetest.FreeAddr(t)
	three.Start()
	require.NotNil(t, three.Node)
	replicated(t, one)
	eventually(t, []*nodetest.Member{one}, []string{"[" + three.Addr + "]"}, "SELECT peer FROM millrace.nodes WHERE id = 3")
	two.Stop()
	two.Addr, two.Join = nodetest.FreeAddr(t), "" // it knows the others from when it ran
	two.Start()
	replicated(t, one)
	eventually(t, []*nodetest.Member{one}, []string{"[" + two.Addr + "]"}, "SELECT peer FROM millrace.nodes WHERE id = 2")
}
