//go:build kafkaclients || kafkajava

package kafkaclients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// testLimit bounds one run of a client.
const testLimit = 4 * time.Minute

// installed is where the script .ci/SCRIPT has put a file of the clients.
func installed(t *testing.T, script, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../..", "bin", script, name))
	require.NoError(t, err)
	require.FileExists(t, path, "run .ci/%s first", script)
	return path
}

// startNode runs a node as a process and returns the address for Kafka clients.
func startNode(t *testing.T) string {
	t.Helper()
	addr := nodetest.FreeAddr(t)
	p := nodetest.StartProcess(t, nodetest.Build(t), "--ephemeral", "--pg", nodetest.FreeAddr(t), "--kafka", addr, "--http", "off", "--raft", "off")
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return addr
}

// run runs a client program, which must succeed, and returns what it printed.
func run(t *testing.T, env []string, stdin, name string, args ...string) string {
	t.Helper()
	out, err := runProgram(t.Context(), env, stdin, name, args...)
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
	return out
}

// runProgram runs a client program and returns what it printed.
func runProgram(ctx context.Context, env []string, stdin, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
