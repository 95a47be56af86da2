//go:build faults && linux

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/millracedb/millrace/internal/proctest"
)

const (
	// diskBytes is the size of a node's disk: disk.min_free is a quarter of so small a one.
	diskBytes = 4 << 30
	// fillMargin is what a node may write while its disk is being filled.
	fillMargin = 64 << 20
	// respawn is how long after its end a node is started again, as a supervisor such as systemd does.
	respawn = time.Second

	pgPort, kafkaPort, raftPort = 5433, 9092, 7433
)

// machine is one node: a namespace, a disk of its own, and a process that is started again whenever it ends.
type machine struct {
	id    int // 1, 2, 3: its port of the switch, too
	args  []string
	name  string // of the namespace
	dir   string // the disk
	log   *os.File
	delay string // file that says how long each sync takes

	wg sync.WaitGroup
	mu struct {
		sync.Mutex
		bin     string
		cmd     *exec.Cmd // nil while it does not run
		wanted  bool
		stopped bool // by SIGSTOP
		ends    int  // how often it ended without having been told to
		wake    chan struct{}
	}
}

// newMachine makes the disk, on a tmpfs. Logs go to the directory logs.
func newMachine(t *testing.T, nw *network, id int, bin, logs string, peers string) *machine {
	m := &machine{id: id, name: nw.names[id], dir: filepath.Join(t.TempDir(), "disk")}
	m.delay = filepath.Join(filepath.Dir(m.dir), "delay")
	require.NoError(t, os.Mkdir(m.dir, 0o750))
	require.NoError(t, unix.Mount(ownName(id), m.dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskBytes)))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(m.dir, 0)) })
	var err error
	m.log, err = os.Create(filepath.Join(logs, fmt.Sprintf("node%d.log", id)))
	require.NoError(t, err)
	ip := nw.addr(id)
	m.args = []string{
		"serve", "--insecure", "--data", filepath.Join(m.dir, "data"), "--node-id", fmt.Sprint(id), "--bootstrap-nodes", peers,
		"--pg", fmt.Sprintf("%s:%d", ip, pgPort), "--kafka", fmt.Sprintf("%s:%d", ip, kafkaPort), "--raft", fmt.Sprintf("%s:%d", ip, raftPort), "--http", "off", "--memory", "512MiB",
	}
	m.mu.wake = make(chan struct{}, 1)
	m.mu.bin, m.mu.wanted = bin, true
	done := make(chan struct{})
	m.wg.Go(func() { m.supervise(done) })
	t.Cleanup(func() {
		close(done)
		m.signal(syscall.SIGKILL, false)
		m.wg.Wait()
		_ = m.log.Close()
	})
	return m
}

// supervise starts the process whenever it is wanted and does not run.
func (m *machine) supervise(done chan struct{}) {
	for {
		m.mu.Lock()
		var cmd *exec.Cmd
		select {
		case <-done:
			m.mu.wanted = false
		default:
		}
		if m.mu.wanted {
			cmd = exec.Command("ip", append([]string{"netns", "exec", m.name, m.mu.bin}, m.args...)...)
			cmd.Stdout, cmd.Stderr = m.log, m.log
			cmd.Env = append(os.Environ(), "MILLRACE_FAULT_SYNC_DELAY="+m.delay)
			cmd.SysProcAttr = proctest.EndWithTest(&syscall.SysProcAttr{}, syscall.SIGKILL)
			if err := cmd.Start(); err != nil {
				fmt.Fprintln(m.log, "starting:", err)
				cmd = nil
			}
		}
		m.mu.cmd = cmd
		m.mu.Unlock()
		if cmd != nil {
			err := cmd.Wait()
			m.mu.Lock()
			m.mu.cmd = nil
			if m.mu.wanted {
				m.mu.ends++
				fmt.Fprintln(m.log, "ended:", err)
			}
			m.mu.Unlock()
		}
		select {
		case <-done:
			return
		case <-m.mu.wake:
		case <-time.After(respawn):
		}
	}
}

// signal sends the process a signal, and says whether it is wanted to run from now on.
func (m *machine) signal(s syscall.Signal, wanted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.wanted = wanted
	if m.mu.cmd != nil {
		_ = m.mu.cmd.Process.Signal(s)
	}
}

// install has the program b run from the next start on.
func (m *machine) install(b build) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.bin = b.bin
}

// want has the process started.
func (m *machine) want() {
	m.mu.Lock()
	m.mu.wanted = true
	m.mu.Unlock()
	select {
	case m.mu.wake <- struct{}{}:
	default:
	}
}

// running reports whether the process is there.
func (m *machine) running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.cmd != nil
}

func (m *machine) ended() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.ends
}

// fill takes all the room that is left on the disk. The node goes on writing meanwhile, so the last of it is taken page by page.
func (m *machine) fill() error {
	var st unix.Statfs_t
	if err := unix.Statfs(m.dir, &st); err != nil {
		return err
	}
	f, err := os.OpenFile(m.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-fillMargin); err != nil {
		return err
	}
	for page := make([]byte, st.Bsize); err == nil; {
		_, err = f.Write(page)
	}
	if errors.Is(err, unix.ENOSPC) {
		return nil
	}
	return err
}

func (m *machine) ballast() string { return filepath.Join(m.dir, "ballast-of-the-test") }

func (m *machine) empty() error { return os.Remove(m.ballast()) }

// slow makes each sync of the node take d longer; 0 ends that.
func (m *machine) slow(d time.Duration) error {
	return os.WriteFile(m.delay, []byte(d.String()), 0o600)
}
