//go:build scale && linux

package crashtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// clockTicks is how many of Linux's clock ticks a second has (USER_HZ).
const clockTicks = 100

// cpuTime is the processor time that a node has used, in user and system mode (proc(5): the 12th and 13th field behind the name).
func (c *bigCluster) cpuTime(i int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.nodes[i].PID()))
	require.NoError(c.t, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		require.NoError(c.t, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// cpu is the share of a processor that each node takes while f runs, which takes the time given.
func (c *bigCluster) cpu(takes time.Duration, leaveOut int, f func()) string {
	var before [3]time.Duration
	for i := range c.nodes {
		if i != leaveOut {
			before[i] = c.cpuTime(i)
		}
	}
	f()
	return c.each(leaveOut, func(i int) string {
		return fmt.Sprintf("%.1f %%", 100*(c.cpuTime(i)-before[i]).Seconds()/takes.Seconds())
	})
}

// resident is the resident memory of a node in bytes.
func (c *bigCluster) resident(i int) (kb int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.nodes[i].PID()))
	require.NoError(c.t, err)
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			return kb * 1024
		}
	}
	require.Fail(c.t, "the system does not tell the resident memory")
	return 0
}

var sentBytes = regexp.MustCompile(`bytes_sent:(\d+)`)

// peerBytes is what the connections between the nodes have carried, both ways, as ss (iproute2) tells.
func (c *bigCluster) peerBytes() (sum int) {
	filter := []string{"-tinH", "state", "established", "("}
	for i, addr := range c.raft {
		_, port, err := net.SplitHostPort(addr)
		require.NoError(c.t, err)
		if i > 0 {
			filter = append(filter, "or")
		}
		filter = append(filter, "sport", "=", ":"+port, "or", "dport", "=", ":"+port)
	}
	out, err := exec.Command("ss", append(filter, ")")...).Output()
	require.NoError(c.t, err)
	for _, m := range sentBytes.FindAllSubmatch(out, -1) {
		n, err := strconv.Atoi(string(m[1]))
		require.NoError(c.t, err)
		sum += n
	}
	return sum
}
