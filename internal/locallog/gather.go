package locallog

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// gatherSide is how many requests of one kind are under way to a node at the same time: while one waits for a partition, questions about others are answered.
	gatherSide = 4
	// gatherMax bounds the questions that go in one request.
	gatherMax = 256
)

// gather sends the questions that many ask of a node at the same time in few requests: hundreds of tasks that start together ask for the bounds of thousands of partitions. A question waits for no
// other while few are asked.
type gather[Q, A any] struct {
	// send asks a node, and returns an answer to each question. It bounds its time.
	send func(ctx context.Context, node int32, questions []Q) ([]A, error)

	ctx    context.Context // of all requests
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		nodes  map[int32]*gathered[Q, A]
		closed bool
	}
}

// gathered is what is asked of one node.
type gathered[Q, A any] struct {
	waiting []*asked[Q, A]
	senders int
}

type asked[Q, A any] struct {
	question Q
	answer   A
	err      error
	done     chan struct{}
}

func newGather[Q, A any](send func(ctx context.Context, node int32, questions []Q) ([]A, error)) *gather[Q, A] {
	g := &gather[Q, A]{send: send}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.mu.nodes = map[int32]*gathered[Q, A]{}
	return g
}

// close ends the requests that are under way, and waits for them.
func (g *gather[Q, A]) close() {
	g.mu.Lock()
	g.mu.closed = true
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
}

// ask asks a node. The question may be asked still when ctx has ended.
func (g *gather[Q, A]) ask(ctx context.Context, node int32, question Q) (answer A, err error) {
	a := &asked[Q, A]{question: question, done: make(chan struct{})}
	if !g.queue(node, a) {
		return answer, kerr.BrokerNotAvailable
	}
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}

func (g *gather[Q, A]) queue(node int32, a *asked[Q, A]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return false
	}
	n := g.mu.nodes[node]
	if n == nil {
		n = &gathered[Q, A]{}
		g.mu.nodes[node] = n
	}
	n.waiting = append(n.waiting, a)
	if n.senders < gatherSide {
		n.senders++
		g.wg.Go(func() { g.sendAll(node, n) })
	}
	return true
}

// sendAll sends what is asked of a node until nothing is.
func (g *gather[Q, A]) sendAll(node int32, n *gathered[Q, A]) {
	for some := g.take(node, n); len(some) > 0; some = g.take(node, n) {
		questions := make([]Q, len(some))
		for i, a := range some {
			questions[i] = a.question
		}
		answers, err := g.send(g.ctx, node, questions)
		if err == nil && len(answers) != len(some) {
			err = kerr.UnknownServerError
		}
		for i, a := range some {
			if a.err = err; err == nil {
				a.answer = answers[i]
			}
			close(a.done)
		}
	}
}

func (g *gather[Q, A]) take(node int32, n *gathered[Q, A]) []*asked[Q, A] {
	g.mu.Lock()
	defer g.mu.Unlock()
	some := n.waiting[:min(gatherMax, len(n.waiting))]
	n.waiting = n.waiting[len(some):]
	if len(some) == 0 {
		if n.senders--; n.senders == 0 {
			delete(g.mu.nodes, node)
		}
	}
	return some
}
