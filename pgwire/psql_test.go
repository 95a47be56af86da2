//go:build psql

package pgwire

import (
	"bufio"
	"context"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// psql makes a command of the psql in PATH, connected to addr. These tests fail where there is none.
func psql(t *testing.T, addr string, args ...string) *exec.Cmd {
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "psql", append([]string{"-X", "-h", host, "-p", port, "-U", "alice", "-d", "db"}, args...)...)
	return cmd
}

func TestPsqlRunsStatementsErrorsAndCopies(t *testing.T) {
	_, addr := serveFake(t)
	cmd := psql(t, addr, "-At")
	cmd.Stdin = strings.NewReader(`select 1 \; select generate_series(1,2);
select x;
select null::text;
notice hello;
create temp table t (a text);
copy t from stdin;
one
two
\.
copy t to stdout;
\echo done
`)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, want := range []string{
		"1\n1\n2\n", "ERROR:  column \"x\" does not exist\nLINE 1: select x;\n               ^", "NOTICE:  hello\nHINT:  a hint\n",
		"CREATE TABLE\nCOPY 2\none\ntwo\ndone\n",
	} {
		require.Contains(t, string(out), want)
	}
}

func TestPsqlInterruptCancelsAPushQuery(t *testing.T) {
	b, addr := serveFake(t)
	cmd := psql(t, addr, "-c", "select emit changes")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	receive(t, b.started)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	lines := bufio.NewScanner(stderr)
	var errors []string
	for lines.Scan() {
		errors = append(errors, lines.Text())
	}
	require.Error(t, cmd.Wait())
	require.Contains(t, errors, "ERROR:  canceling statement due to user request")
	receive(t, b.closed)
}

func TestKilledPsqlEndsItsPushQuery(t *testing.T) {
	b, addr := serveFake(t)
	cmd := psql(t, addr, "-c", "copy push to stdout")
	require.NoError(t, cmd.Start())
	receive(t, b.started)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	receive(t, b.closed)
}

func TestPsqlLogsInWithTLSAndPassword(t *testing.T) {
	b, addr, _ := serveTLS(t)
	requireSCRAM(t, b, "secret")
	cmd := psql(t, addr, "-At", "-c", "select 1")
	cmd.Env = append(cmd.Environ(), "PGPASSWORD=secret", "PGSSLMODE=require")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "1\n", string(out))
}
