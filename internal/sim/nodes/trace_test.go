package nodes

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// maxTrace bounds the lines that a trace keeps; the oldest go first.
const maxTrace = 200_000

// trace is what happened in a world, in virtual time.
type trace struct {
	mu struct {
		sync.Mutex
		begin time.Time
		lines []string
	}
}

// start begins the trace now.
func (t *trace) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.begin = time.Now()
}

func (t *trace) printf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.mu.lines) >= maxTrace {
		t.mu.lines = append([]string{"..."}, t.mu.lines[maxTrace/2:]...)
	}
	t.mu.lines = append(t.mu.lines, fmt.Sprintf("%9.4f %s", time.Since(t.mu.begin).Seconds(), line))
}

// logger is a node's, whose lines go into the trace.
func (t *trace) logger(who string) *slog.Logger {
	return slog.New(slog.NewTextHandler(traceWriter{t, who}, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{} // the trace has it
		}
		return a
	}}))
}

type traceWriter struct {
	t   *trace
	who string
}

func (w traceWriter) Write(p []byte) (int, error) {
	w.t.printf("%s %s", w.who, strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// maxStacks bounds the text of the goroutines that a trace keeps, in bytes.
const maxStacks = 32 << 20

// goroutines notes where every goroutine is: what is stuck waits there.
func (t *trace) goroutines() {
	text := make([]byte, maxStacks)
	t.printf("the goroutines:\n%s", text[:runtime.Stack(text, true)])
}

// kept is where what is kept of a seed begins.
func kept(seed uint64) string { return filepath.Join(os.TempDir(), fmt.Sprint("millrace-sim-", seed)) }

// keepDisks copies what the nodes' disks hold into a directory beside the trace, for "millrace log dump".
func (w *world) keepDisks() {
	for _, m := range w.machines() {
		m.mu.Lock()
		fs := m.mu.fs
		m.mu.Unlock()
		fs.Inject(nil)
		to := filepath.Join(kept(w.seed), m.ip)
		err := os.MkdirAll(to, 0o700)
		if err == nil {
			_, err = vfs.Clone(fs, vfs.Default, "/data", to)
		}
		w.trace.printf("the disk of %s is kept in %s: %v", m.ip, to, err)
	}
}

// keep writes the trace to a file and returns its name.
func (t *trace) keep(seed uint64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := kept(seed) + ".txt"
	if err := os.WriteFile(name, []byte(strings.Join(t.mu.lines, "\n")+"\n"), 0o600); err != nil {
		return err.Error()
	}
	return name
}
