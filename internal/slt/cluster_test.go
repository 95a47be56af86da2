package slt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/sqllogictest"
)

const (
	// clusterShare is the share of the scripts that run on three nodes when not all do: one of so many, chosen by hash.
	clusterShare = 8
	// clusterKills is how many of those of each folder lose a node.
	clusterKills = 1
	// clusterTries is how often a script begins of which a statement was under way that cannot be sent again when its session was lost: sessions also move when a machine is too slow for the
	// heartbeats, so that it says nothing of the node.
	clusterTries = 10
)

// TestMillraceGivesWhatTheScriptsSayOnThreeNodes runs a share of the scripts one after the other on a cluster they share, their sessions spread over its nodes, and with MILLRACE_SLT=cluster all of
// them, once as they are and once with a node killed before a statement chosen by seed.
func TestMillraceGivesWhatTheScriptsSayOnThreeNodes(t *testing.T) {
	all := os.Getenv("MILLRACE_SLT") == "cluster"
	names := scripts(t, "scalar", "snapshot", "stream")
	if !all {
		names = slices.DeleteFunc(names, func(name string) bool { return choice(t, name, "cluster")%clusterShare != 0 })
	}
	c := &cluster{t: t}
	kills := map[string]int{}
	for _, name := range names {
		s := parse(t, name)
		t.Run(name, func(t *testing.T) { c.run(t, s, 0) })
		folder := path.Dir(name)
		if s.NoRestart || !all && (kills[folder] == clusterKills || choice(t, name, "killed")%4 != 0) {
			continue
		}
		kills[folder]++
		t.Run(name+"/kill", func(t *testing.T) { c.run(t, s, 1+int(choice(t, name, "kill")%uint64(s.Statements()))) })
	}
}

// cluster is the one that the scripts share.
type cluster struct {
	t       *testing.T // of all scripts
	members []*nodetest.Member
	victim  *nodetest.Member // it has been killed and is being started again
	back    chan struct{}    // closed when it is there
}

func (c *cluster) run(t *testing.T, s *sqllogictest.Script, killAt int) {
	opts := sqllogictest.Options{
		Engine: "millrace", Vars: map[string]string{"partitions": "4"}, KillAt: killAt,
		Fresh: func(ctx context.Context) (sqllogictest.Target, error) {
			return c.fresh(ctx, int(choice(t, s.Path, "victim")))
		},
	}
	failures, err := s.Run(t.Context(), opts)
	for try := 1; errors.Is(err, sqllogictest.ErrBrokenOff) && try < clusterTries; try++ {
		t.Logf("%v; again", err)
		failures, err = s.Run(t.Context(), opts)
	}
	for _, f := range failures {
		t.Errorf("%v", f)
	}
	if err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("a node is killed at statement %d (0: none); to repeat: MILLRACE_SLT=cluster MILLRACE_SEED=%s go test ./internal/slt -run '%s$' -count=1", killAt, os.Getenv("MILLRACE_SEED"), t.Name())
	}
}

// fresh makes the cluster empty, or a new one where that cannot be: nobody can take rows out of millrace.errors.
func (c *cluster) fresh(ctx context.Context, victim int) (sqllogictest.Target, error) {
	if c.members != nil {
		if clean, err := c.clean(ctx); err != nil {
			return sqllogictest.Target{}, err
		} else if !clean {
			for _, m := range c.members {
				m.Stop()
			}
			c.members = nil
		}
	}
	if c.members == nil {
		c.members = nodetest.StartCluster(c.t, 3)
	}
	if err := c.whole(ctx); err != nil {
		return sqllogictest.Target{}, err
	}
	return sqllogictest.Target{
		ConnStrings: connStrings(c.members),
		Kill: func(context.Context) ([]string, error) {
			c.kill(c.members[victim%len(c.members)])
			return connStrings(slices.DeleteFunc(slices.Clone(c.members), func(m *nodetest.Member) bool { return m == c.victim })), nil
		},
		Close: func() error {
			if c.back != nil {
				<-c.back
				c.victim, c.back = nil, nil
			}
			return nil
		},
	}, nil
}

// kill takes a node away and brings it back.
func (c *cluster) kill(m *nodetest.Member) {
	c.victim, c.back = m, make(chan struct{})
	m.CutOff()
	go func() {
		defer close(c.back)
		m.Kill()
		m.Start()
	}()
}

// whole waits until every partition has all its replicas in sync, so that the cluster survives the loss of a node.
func (c *cluster) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for c.members[0].ClusterHealth() != (node.ClusterHealth{Voters: 3}) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the cluster is not whole: %+v", c.members[0].ClusterHealth())
		}
	}
	return nil
}

func connStrings(members []*nodetest.Member) []string {
	var out []string
	for _, m := range members {
		out = append(out, nodetest.ConnString(m.Node)+"&read_wait=20s") // a task that moves on a busy machine takes its time
	}
	return out
}

// leftovers are what a script may leave behind, as statements that take it away.
const leftovers = `
SELECT 'DROP ' || replace(upper(kind), 'MATVIEW', 'MATERIALIZED VIEW') || ' IF EXISTS ' || quote_ident(schema) || '.' || quote_ident(name) || ' CASCADE' || CASE kind WHEN 'view' THEN '' ELSE ' DELETE TOPIC' END
FROM millrace.relations WHERE schema <> 'millrace'
UNION ALL SELECT 'DROP SEQUENCE IF EXISTS ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname) || ' CASCADE' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'
UNION ALL SELECT 'DROP SCHEMA IF EXISTS ' || quote_ident(nspname) || ' CASCADE' FROM pg_namespace WHERE nspname NOT IN ('public', 'millrace', 'information_schema') AND nspname NOT LIKE 'pg%'
UNION ALL SELECT 'TERMINATE ' || id FROM millrace.queries
UNION ALL SELECT 'DROP TYPE IF EXISTS ' || quote_ident(name) FROM millrace.types WHERE oid >= 16384
UNION ALL SELECT 'DROP ROLE ' || quote_ident(rolname) FROM pg_roles WHERE rolname NOT LIKE 'pg%' AND rolname <> 'millrace'
UNION ALL SELECT 'rows of millrace.errors' FROM millrace.errors
UNION ALL SELECT 'topic ' || name FROM millrace.topics WHERE name NOT LIKE '!_%' ESCAPE '!'`

// clean takes away what a script has left behind, beginning again when the sessions move meanwhile; it reports whether nothing remains.
func (c *cluster) clean(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		clean, err := c.cleanOnce(ctx)
		if err == nil || ctx.Err() != nil {
			return clean, err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (c *cluster) cleanOnce(ctx context.Context) (bool, error) {
	conn, err := pgx.Connect(ctx, nodetest.ConnString(c.members[0].Node))
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var refused error
	before := -1
	for {
		drops, err := nodetest.Texts(ctx, conn, leftovers)
		if err != nil || len(drops) == 0 {
			return err == nil, err
		}
		if len(drops) == before {
			c.t.Logf("a new cluster, for there is no way to %s: %v", drops[0][0], refused)
			return false, nil
		}
		before, refused = len(drops), nil
		for _, d := range drops {
			if _, err := conn.Exec(ctx, d[0]); refused == nil {
				refused = err // another may have taken it along, or keep it until it is gone itself
			}
		}
	}
}
