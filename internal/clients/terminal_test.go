//go:build clients

package clients

import (
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// terminal is a program on a terminal of its own, which util-linux's script makes.
type terminal struct {
	t     *testing.T
	in    io.Writer
	out   io.Reader
	seen  strings.Builder // what was read and no expect has passed yet
	cmd   *exec.Cmd
	close context.CancelFunc
}

func newTerminal(t *testing.T, env environment, command ...string) *terminal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	t.Cleanup(cancel)
	quoted := make([]string, len(command))
	for i, w := range command {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	// exec, for script asks a shell, and one that waits for the program (dash) takes Ctrl-C as its own end too.
	line := "exec " + strings.Join(quoted, " ")
	x := &terminal{t: t, cmd: exec.CommandContext(ctx, "script", "-qfec", line, "/dev/null"), close: cancel}
	x.cmd.Env = append(env.list(t), "TERM=dumb")
	var err error
	x.in, err = x.cmd.StdinPipe()
	require.NoError(t, err)
	x.out, err = x.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, x.cmd.Start())
	return x
}

// enter types keys.
func (x *terminal) enter(keys string) {
	x.t.Helper()
	_, err := io.WriteString(x.in, keys)
	require.NoError(x.t, err)
}

// expect reads until the screen shows a text, and returns what came up to it.
func (x *terminal) expect(text string) string {
	x.t.Helper()
	buf := make([]byte, 4096)
	for {
		all := x.seen.String()
		if before, after, ok := strings.Cut(all, text); ok {
			x.seen.Reset()
			x.seen.WriteString(after)
			return before + text
		}
		n, err := x.out.Read(buf)
		x.seen.Write(buf[:n])
		require.NoError(x.t, err, "waiting for %q; the screen has:\n%s", text, x.seen.String())
	}
}

// end waits for the program to end by itself.
func (x *terminal) end() {
	x.t.Helper()
	_, _ = io.Copy(io.Discard, x.out)
	require.NoError(x.t, x.cmd.Wait())
	x.close()
}
