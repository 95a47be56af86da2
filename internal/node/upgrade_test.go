package node_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/replication/metadata"
)

// TestAClusterIsUpgradedNodeByNode, and back, until its feature level is raised: from then on a node of the older release is refused with what to do.
func TestAClusterIsUpgradedNodeByNode(t *testing.T) {
	t.Parallel() // it waits more than it works
	const older = metadata.FeatureMax - 1
	become := func(m *nodetest.Member, release string, level uint32) { m.Release, m.FeatureMax = release, level }
	c := nodetest.StartCluster(t, 3, func(m *nodetest.Member) { become(m, "1.0.0", older) })
	upgrade := func(m *nodetest.Member) {
		m.Stop()
		become(m, "2.0.0", metadata.FeatureMax)
		m.Start()
		eventually(t, c, []string{"[2.0.0 online]"}, fmt.Sprint("SELECT release, state FROM millrace.nodes WHERE id = ", m.ID))
	}
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	upgrade(c[2])
	upgrade(c[0])
	eventually(t, c, nil, fmt.Sprint("ALTER SYSTEM SET feature_level = ", older))
	upgrade(c[1])
	eventually(t, c, []string{"[0]"}, "SHOW feature_level")
	c[2].Stop()
	become(c[2], "1.0.0", older)
	c[2].Start()
	require.NotNil(t, c[2].Node, "it goes back")
	eventually(t, c, nil, "ALTER SYSTEM RESET feature_level")
	upgrade(c[2])
	eventually(t, c, []string{"[2]"}, "SHOW feature_level")
	eventually(t, c, []string{"[2]"}, "SELECT setting FROM pg_settings WHERE name = 'feature_level'")
	conn := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	refused(t, conn, "55000", "ALTER SYSTEM SET feature_level = 1")
	refused(t, conn, "22023", "ALTER SYSTEM SET feature_level = 'much'")
	refused(t, conn, "0A000", "ALTER SYSTEM SET work_mem = '1MB'")

	c[1].Stop()
	become(c[1], "1.0.0", older)
	err := c[1].TryStart()
	require.ErrorContains(t, err, "2.0.0 or newer")
	become(c[1], "2.0.0", metadata.FeatureMax)
	c[1].Start()
	eventually(t, c, []string{"[1]"}, "SELECT id FROM t")
}
