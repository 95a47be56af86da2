package nodes

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
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

// keep writes the trace to a file and returns its name.
func (t *trace) keep(seed uint64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := filepath.Join(os.TempDir(), fmt.Sprintf("millrace-sim-%d.txt", seed))
	if err := os.WriteFile(name, []byte(strings.Join(t.mu.lines, "\n")+"\n"), 0o600); err != nil {
		return err.Error()
	}
	return name
}
