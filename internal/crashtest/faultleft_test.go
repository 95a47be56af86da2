//go:build faults && linux

package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ownName names the namespace and the disk of a node, after this process: a later run tells by it whether they are still in use.
func ownName(id int) string { return fmt.Sprintf("millrace-%d-%d", os.Getpid(), id) }

// abandoned reports whether a name is one that ownName has given in a process which has ended.
func abandoned(name string) bool {
	var pid, id int
	if _, err := fmt.Sscanf(name, "millrace-%d-%d", &pid, &id); err != nil {
		return false
	}
	return unix.Kill(pid, 0) == unix.ESRCH
}

// sweep takes away the namespaces and disks of runs whose process was killed, so that it could not.
func sweep(t *testing.T) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); abandoned(name) {
			runIP(t, "netns", "del", name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if mount := strings.Fields(line); abandoned(mount[0]) {
			require.NoError(t, unix.Unmount(mount[1], 0), mount[1])
			require.NoError(t, os.RemoveAll(filepath.Dir(mount[1])))
		}
	}
}

// logsOf returns the directory for the logs of the nodes: the one that MILLRACE_FAULT_LOGS names, or one that is gone when the test has passed.
func logsOf(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("MILLRACE_FAULT_LOGS"); dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "millrace-faults-") //nolint:usetesting // what a failure is explained by outlives the test
	require.NoError(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			require.NoError(t, os.RemoveAll(dir))
		}
	})
	return dir
}
