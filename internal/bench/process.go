package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// readyLimit bounds a start, stopLimit an orderly stop.
const (
	readyLimit = time.Minute
	stopLimit  = time.Minute
)

// process is a node in a process of its own, as users run it.
type process struct {
	cmd  *exec.Cmd
	conn string
	took time.Duration // from exec to the line that says it is ready
	done chan struct{} // closed when its log has ended
}

// newDir returns the name of a data directory that is not there yet.
func (r *runner) newDir() string {
	r.started++
	return filepath.Join(r.opts.Dir, fmt.Sprintf("node-%d", r.started))
}

// start starts a node in dir and returns when it says that it is ready.
func (r *runner) start(ctx context.Context, dir string) (*process, error) {
	if len(r.opts.Command) == 0 {
		return nil, errors.New("there is no command that starts a node")
	}
	args := append(r.opts.Command[1:len(r.opts.Command):len(r.opts.Command)],
		"--data", dir, "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--kafka", "off", "--log-format", "json")
	p := &process{cmd: exec.Command(r.opts.Command[0], args...), done: make(chan struct{})}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := r.clock.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a node: %w", err)
	}
	ready := make(chan string, 1)
	var lines strings.Builder
	go func() {
		defer close(p.done)
		readLog(out, &lines, ready)
	}()
	timer := r.clock.NewTimer(readyLimit)
	defer timer.Stop()
	select {
	case addr := <-ready:
		p.took = r.clock.Since(began)
		p.conn = fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", addr)
		return p, nil
	case <-p.done:
		return nil, errors.Join(fmt.Errorf("the node ended before it was ready:\n%s", lines.String()), p.cmd.Wait())
	case <-timer.C():
		return nil, errors.Join(fmt.Errorf("the node is not ready after %v", readyLimit), p.stop())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), p.stop())
	}
}

// readLog reads a node's log: what comes before the ready line goes to lines, the address in it to ready.
func readLog(out io.Reader, lines *strings.Builder, ready chan<- string) {
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		var line struct{ Msg, PG string }
		if err := json.Unmarshal(sc.Bytes(), &line); err == nil && line.Msg == "ready" {
			ready <- line.PG
			break
		}
		lines.Write(sc.Bytes())
		lines.WriteByte('\n')
	}
	_, _ = io.Copy(io.Discard, out) // until it ends
}

// stop asks for an orderly stop and waits for it; a node that does not stop in time is killed.
func (p *process) stop() error {
	kill := time.AfterFunc(stopLimit, func() { _ = p.cmd.Process.Kill() }) //nolint:forbidigo // a real process, so real time
	defer kill.Stop()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("stopping a node: %w", err)
	}
	return nil
}

// residentMiB returns the resident memory of the process, as Linux counts it.
func (p *process) residentMiB() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)) //nolint:forbidigo // not a file of a node
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, errors.New("the system does not tell the resident memory")
}

// clockTicks is how many of Linux's clock ticks a second has (USER_HZ).
const clockTicks = 100

// cpuSeconds returns the processor time that the process has used, in user and system mode.
func (p *process) cpuSeconds() (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)) //nolint:forbidigo // not a file of a node
	if err != nil {
		return 0, err
	}
	// proc(5): the name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system float64
	if len(fields) < 13 {
		return 0, errors.New("the system does not tell the processor time")
	}
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, err
	}
	return (user + system) / clockTicks, nil
}
