package slt

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/sqllogictest"
)

// mode is a way to run a script.
type mode struct {
	partitions int32
	restart    bool // once, at a statement chosen by seed
}

func (m mode) String() string {
	if m.restart {
		return fmt.Sprintf("%d partitions, a restart", m.partitions)
	}
	return fmt.Sprintf("%d partitions", m.partitions)
}

var modes = []mode{{partitions: 1}, {partitions: 4}, {partitions: 4, restart: true}}

// TestMillraceGivesWhatTheScriptsSay runs each script on a node of its own.
func TestMillraceGivesWhatTheScriptsSay(t *testing.T) {
	folders := []string{"scalar", "snapshot", "stream"}
	if os.Getenv("MILLRACE_SLT") == "pending" {
		folders = append(folders, "pending")
	}
	for _, name := range scripts(t, folders...) {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("MILLRACE_SLT") != "all" {
				runOnNode(t, name, modes[choice(t, name, "mode")%uint64(len(modes))])
				return
			}
			for _, m := range modes {
				t.Run(m.String(), func(t *testing.T) { runOnNode(t, name, m) })
			}
		})
	}
}

func runOnNode(t *testing.T, name string, m mode) {
	t.Helper()
	if *rewrite && m.restart {
		m.restart = false
	}
	s := parse(t, name)
	opts := sqllogictest.Options{
		Engine: "millrace", Fresh: func(ctx context.Context) (sqllogictest.Target, error) { return freshNode(ctx, m) },
		Vars: map[string]string{"partitions": strconv.Itoa(int(m.partitions))},
	}
	if m.restart && !s.NoRestart {
		opts.RestartAt = 1 + int(choice(t, name, "restart")%uint64(s.Statements()))
	}
	t.Logf("%v at %d, MILLRACE_SEED=%q", m, opts.RestartAt, os.Getenv("MILLRACE_SEED"))
	run(t, s, opts)
}

// freshNode opens a node on files in memory.
func freshNode(ctx context.Context, m mode) (sqllogictest.Target, error) {
	cfg := node.Config{Dir: "/data", FS: fsys.NewMem(), PG: "127.0.0.1:0", HTTP: node.Off, Kafka: node.Off, Raft: node.Off, Partitions: m.partitions}
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return sqllogictest.Target{}, err
	}
	connString := func() string { return fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", n.PGAddr()) }
	return sqllogictest.Target{
		ConnString: connString(),
		Restart: func(ctx context.Context) (string, error) {
			if err := n.Close(); err != nil {
				return "", fmt.Errorf("stopping the node: %w", err)
			}
			if n, err = node.Open(ctx, cfg); err != nil {
				return "", fmt.Errorf("starting the node: %w", err)
			}
			return connString(), nil
		},
		Close: func() error { return n.Close() },
	}, nil
}

func TestChoicesDependOnTheSeed(t *testing.T) {
	name := scripts(t, ".")[0]
	first := choice(t, name, "mode")
	require.Equal(t, first, choice(t, name, "mode"))
	t.Setenv("MILLRACE_SEED", "another")
	require.NotEqual(t, first, choice(t, name, "mode"))
}
