package nodetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
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
type Process struct{ cmd *exec.Cmd }

// StartProcess runs "bin serve" with args and returns when it is ready. Nothing stops it but Kill and Stop.
func StartProcess(tb testing.TB, bin string, args ...string) *Process {
	tb.Helper()
	p := &Process{cmd: exec.Command(bin, append([]string{"serve"}, args...)...)}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatalf("starting the server: %v", err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("starting the server: %v", err)
	}
	ready := make(chan error, 1)
	go func() {
		var lines []string
		told := false
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			if told {
				continue
			}
			if lines = append(lines, sc.Text()); strings.Contains(sc.Text(), "msg=ready") {
				told = true
				ready <- nil
			}
		}
		if !told {
			ready <- fmt.Errorf("the server ended before it was ready:\n%s", strings.Join(lines, "\n"))
		}
	}()
	limit, cancel := context.WithTimeout(tb.Context(), startLimit)
	defer cancel()
	select {
	case err = <-ready:
	case <-limit.Done():
		err = fmt.Errorf("the server is not ready after %v", startLimit)
	}
	if err != nil {
		p.Kill()
		tb.Fatal(err)
	}
	return p
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill is kill -9. It may be called at any time, from any goroutine.
func (p *Process) Kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// Stop asks the process to stop and waits for it. An error says that it did not end in order.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}
