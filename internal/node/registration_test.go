package node_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestANodeDoesNotStartOnACopyOfItsDirectory: it would be taken for a node that has what it had acknowledged.
func TestANodeDoesNotStartOnACopyOfItsDirectory(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[2])

	twin := nodetest.NewMember(t, 2, c[0].Addr)
	twin.FS = c[1].FS.CrashClone(vfs.CrashCloneCfg{})
	require.ErrorContains(t, twin.TryStart(), "is a copy of one that node 2 runs on", "of a directory that is in use")
	twin.Join = ""
	require.ErrorContains(t, twin.TryStart(), "is a copy of one that node 2 runs on", "and is told of no other node")
	eventually(t, c[1:2], []string{"[3]"}, "SELECT count(*) FROM millrace.nodes WHERE state = 'online'")

	c[2].Stop()
	backup := c[2].FS.CrashClone(vfs.CrashCloneCfg{})
	c[2].Start()
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	replicated(t, c[0])
	c[2].Stop()
	newest := c[2].FS
	c[2].FS = backup
	for range 2 { // the first try changes nothing
		require.ErrorContains(t, c[2].TryStart(), "it was copied or restored", "while others run, who know better")
	}
	c[2].FS = newest
	c[2].Start()
	eventually(t, c[2:], []string{"[1]"}, "SELECT id FROM t")
}
