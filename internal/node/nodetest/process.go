package nodetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millracedb/millrace/internal/proctest"
)

// startLimit bounds how long a process may take to be ready, recovery included.
const startLimit = 2 * time.Minute

// Build compiles the server into a directory of the test and returns the program's path.
func Build(tb testing.TB) string {
	tb.Helper()
	bin := filepath.Join(tb.TempDir(), "millrace")
	cmd := exec.Command("go", "build", "-o", bin, "github.com/millracedb/millrace/cmd/millrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building the server: %v\n%s", err, out)
	}
	return bin
}

// Process is a node in a process of its own.
type Process struct {
	tb    testing.TB
	cmd   *exec.Cmd
	told  atomic.Bool   // to end, and all was well
	ended chan struct{} // closed once err says how
	err   error
}

// StartProcess runs "bin serve" with args and returns when it is ready. Nothing stops it but Kill, Stop, and the end of the test's own process. A test that fails tells the last that those processes said which it has not ended before.
func StartProcess(tb testing.TB, bin string, args ...string) *Process {
	tb.Helper()
	out := proctest.NewOutput("msg=ready")
	p := &Process{tb: tb, cmd: exec.Command(bin, append([]string{"serve"}, args...)...), ended: make(chan struct{})}
	p.cmd.Stderr = out
	p.cmd.SysProcAttr = proctest.EndWithTest(&syscall.SysProcAttr{}, syscall.SIGKILL)
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("starting the server: %v", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	tb.Cleanup(func() {
		if tb.Failed() && !p.told.Load() {
			tb.Logf("process %d, serve %s, said last:\n%s", p.PID(), strings.Join(args, " "), out)
		}
	})
	limit, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	select {
	case <-out.Ready():
		return p
	case <-p.ended:
		tb.Fatalf("the server ended before it was ready: %v", p.err)
	case <-limit.Done():
		p.Kill()
		tb.Fatalf("the server is not ready after %v", startLimit)
	}
	return nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill is kill -9. It may be called at any time, from any goroutine.
func (p *Process) Kill() {
	select {
	case <-p.ended: // by itself, or told before
	default:
		p.told.Store(!p.tb.Failed())
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Stop asks the process to stop and waits for it. An error says that it did not end in order.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	p.told.Store(p.err == nil && !p.tb.Failed())
	return p.err
}
