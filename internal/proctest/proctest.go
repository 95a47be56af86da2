// Package proctest watches processes that tests start: what they say, and that none outlives its test. Package pgtest starts PostgreSQL with it, nodetest a node.
package proctest

import (
	"bytes"
	"sync"
)

// OutputLimit is how many of the last bytes that a process says are kept, at least.
const OutputLimit = 64 << 10

// Output takes what a process says, as its Stdout and Stderr, and keeps the last of it. It is safe for use by several goroutines.
type Output struct {
	mark  []byte
	ready chan struct{}
	mu    struct {
		sync.Mutex
		text []byte
		done bool // ready is closed
	}
}

// NewOutput returns an Output of a process that is ready once it has said mark.
func NewOutput(mark string) *Output {
	return &Output{mark: []byte(mark), ready: make(chan struct{})}
}

// Ready is closed when the process is ready.
func (o *Output) Ready() <-chan struct{} { return o.ready }

// Write takes what the process says. It never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.text = append(o.mu.text, p...)
	if !o.mu.done && bytes.Contains(o.mu.text, o.mark) {
		o.mu.done = true
		close(o.ready)
	}
	if n := len(o.mu.text); n > 2*OutputLimit {
		o.mu.text = append(o.mu.text[:0], o.mu.text[n-OutputLimit:]...)
	}
	return len(p), nil
}

// String returns the last of what the process has said.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.mu.text[max(0, len(o.mu.text)-OutputLimit):])
}
