package proctest_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/proctest"
)

// starts, in the environment, has the test's program start a process and end without waiting for it.
const starts = "MILLRACE_PROCTEST_STARTS"

func TestAProcessEndsWithTheTestThatHasStartedIt(t *testing.T) {
	if os.Getenv(starts) != "" {
		// What it says comes through the pipe of its parent's parent, which sees its end there.
		cmd := exec.Command("sleep", "1000")
		cmd.Stdout = os.Stdout
		cmd.SysProcAttr = proctest.EndWithTest(&syscall.SysProcAttr{}, syscall.SIGKILL)
		require.NoError(t, cmd.Start())
		os.Exit(0)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), starts+"=1")
	cmd.WaitDelay = time.Minute // for all that hold the pipe to end
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
