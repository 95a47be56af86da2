package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
)

// Appender appends outside transactions, with sequence numbers, so that a request sent twice counts once. It is safe for
// concurrent use; one request is under way at a time.
type Appender struct {
	mu struct {
		sync.Mutex
		p *producer
	}
}

// NewAppender makes an Appender; it gets its producer id when it is first used.
func NewAppender(t Transport, c clock.Clock) *Appender {
	a := &Appender{}
	a.mu.p = &producer{transport: t, clock: c}
	a.mu.p.forget()
	return a
}

// Append does what exec.Log's Append promises.
func (a *Appender) Append(ctx context.Context, batches []exec.PartitionBatch) ([]exec.Appended, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.mu.p
	if p.id < 0 {
		if err := p.init(ctx); err != nil {
			return nil, err
		}
	}
	out := make([]exec.Appended, len(batches))
	sends := make([]send, len(batches))
	for i := range batches {
		sends[i] = send{task: i, batch: &batches[i], out: &out[i]}
	}
	p.inDoubt = false
	err := p.produce(ctx, sends)
	if err == nil {
		return out, nil
	}
	p.forget() // the sequences have a gap or are in doubt: go on under another producer id
	// What is underneath is said, not wrapped: it has a verdict of its own.
	switch {
	case p.inDoubt:
		err = fmt.Errorf("%w (%s)", exec.ErrUnknownOutcome, err.Error())
	case errors.Is(err, exec.ErrFenced): // nobody fences an appender; its producer id has expired
		err = fmt.Errorf("%w (%s)", exec.ErrUnavailable, err.Error())
	}
	return nil, err
}
