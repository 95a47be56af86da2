// Package lane is the producer side of exec.Log, written once over Kafka's requests: the transactional committer (Lane) and the
// idempotent appender (Appender). Where the requests go is the Transport's business: a call when the partitions are
// this process's own, Kafka's wire when they are not.
//
// # Life cycle of a Lane
//
// Open takes the transactional id over (InitProducerID fences and aborts). Each Commit is one transaction: offsets first, for a stale
// generation shows there before any of the task's data is written; then the batches; then EndTxn. Tasks that cannot go on are left out, in a new transaction. Whatever fails before EndTxn
// is aborted. If it is not known whether EndTxn was carried out the lane is spent: opening it again settles the matter,
// and the committed offsets tell how.
//
// Debugging starts at Lane.Commit.
package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
)

// DefaultTimeout is how long a transaction may stay open before its coordinator aborts it. A round takes milliseconds; the
// time-out is what readers wait when the node dies in the middle and nobody takes its lane over.
const DefaultTimeout = 10 * time.Second

// Transport carries requests to the leader or coordinator concerned and brings the response. An error means that it is not known
// whether the request was carried out. It is safe for concurrent use.
type Transport interface {
	Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error)
	// TransactionVersion is what the other side has finalised: from 2 on appends add partitions to the transaction and
	// every end raises the epoch (KIP-890); below, there are requests for the first and the epoch stays.
	TransactionVersion() int16
}

// Options are the settings of a lane.
type Options struct {
	Transport       Transport
	Clock           clock.Clock
	TransactionalID string
	// Timeout of a transaction; 0 is DefaultTimeout.
	Timeout time.Duration
}

// Lane is an exec.Lane. It has one owner; only Close may be called at the same time as Commit.
type Lane struct {
	p      *producer
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	spent error // why nothing more can be committed
	dirty bool  // a transaction may be open: start by taking the transactional id again
}

var _ exec.Lane = (*Lane)(nil)

// Open takes over the transactional id. It returns when whatever an older lane left open is aborted or completed.
func Open(ctx context.Context, opts Options) (*Lane, error) {
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	p := &producer{transport: opts.Transport, clock: opts.Clock, txID: &opts.TransactionalID, timeout: opts.Timeout}
	p.forget()
	if err := p.init(ctx); err != nil {
		return nil, fmt.Errorf("open lane %q: %w", opts.TransactionalID, err)
	}
	l := &Lane{p: p}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Close gives the lane up. A Commit in flight returns soon, its outcome unknown.
func (l *Lane) Close() error {
	l.cancel()
	return nil
}

// Commit implements exec.Lane.
func (l *Lane) Commit(ctx context.Context, tasks []exec.TaskCommit) ([]exec.TaskResult, error) {
	if l.spent != nil {
		return nil, l.spent
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()

	results := newResults(tasks)
	if nothingIn(tasks) {
		return results, nil
	}
	for { // each time round without at least one task more
		err := l.prepare(ctx, tasks, results)
		var some *blame
		switch {
		case err == nil && nothingLive(tasks, results):
			l.abort(ctx)
			return results, nil
		case err == nil:
			return results, l.end(ctx)
		case errors.As(err, &some):
			l.abort(ctx)
			for i, err := range some.byTask {
				results[i] = exec.TaskResult{Err: err}
			}
			if !nothingLive(tasks, results) {
				continue
			}
			if some.onlyUnavailable() { // the same round may be tried again as a whole
				return nil, err
			}
			return results, nil
		case errors.Is(err, exec.ErrFenced):
			l.spent = err
		default:
			l.abort(ctx)
		}
		return nil, err
	}
}

// prepare does all of a round but its end, for the tasks without an error. Results are filled in.
func (l *Lane) prepare(ctx context.Context, tasks []exec.TaskCommit, results []exec.TaskResult) error {
	if l.dirty {
		if err := l.p.init(ctx); err != nil {
			return err
		}
		l.dirty = false
	}
	if err := l.p.commitOffsets(ctx, tasks, results); err != nil {
		return err
	}
	var sends []send
	for i := range tasks {
		if results[i].Err != nil {
			results[i].Appended = nil
			continue
		}
		for j := range tasks[i].Batches {
			sends = append(sends, send{task: i, batch: &tasks[i].Batches[j], out: &results[i].Appended[j]})
		}
	}
	return l.p.produce(ctx, sends)
}

// end commits. The error is ErrUnknownOutcome unless it is sure that the transaction was not committed.
func (l *Lane) end(ctx context.Context) error {
	inDoubt := false
	err := l.p.retry(ctx, func() (again bool, _ error) {
		code, err := l.p.endOnce(ctx, true)
		switch {
		case err != nil:
			inDoubt = true
			return true, err
		case code == 0:
			return false, nil
		case retriable(code):
			inDoubt = true
			return true, kerr.ErrorForCode(code)
		}
		return false, kerr.ErrorForCode(code)
	})
	switch {
	case err == nil:
		return nil
	case inDoubt:
		l.spent = fmt.Errorf("commit of %q: %w (%w)", *l.p.txID, exec.ErrUnknownOutcome, err)
		return l.spent
	case errors.Is(err, kerr.InvalidTxnState): // the coordinator has aborted it
		l.dirty = true
		return fmt.Errorf("commit of %q: %w (%w)", *l.p.txID, exec.ErrUnavailable, err)
	}
	l.spent = l.p.explain("EndTxn", err)
	return l.spent
}

// abortPatience bounds how long an abort is tried again. Until a transaction is ended whoever takes over a task that has offsets in it waits, and the lane may have nothing more to commit for long; but tasks that
// are to stop wait for the abort.
const abortPatience = time.Second

// abort ends a transaction that failed. When that fails too, or when the epoch stays and with it sequence numbers of batches that
// were never appended, the next Commit begins by taking the transactional id again.
func (l *Lane) abort(ctx context.Context) {
	err := l.p.retryFor(ctx, abortPatience, func() (again bool, _ error) {
		code, err := l.p.endOnce(ctx, false)
		return err != nil || retriable(code), errors.Join(err, kerr.ErrorForCode(code))
	})
	l.dirty = err != nil || !l.p.implicit()
}

func newResults(tasks []exec.TaskCommit) []exec.TaskResult {
	results := make([]exec.TaskResult, len(tasks))
	n := 0
	for i := range tasks {
		n += len(tasks[i].Batches)
	}
	appended := make([]exec.Appended, n)
	for i := range tasks {
		n := len(tasks[i].Batches)
		results[i].Appended, appended = appended[:n:n], appended[n:]
	}
	return results
}

func nothingIn(tasks []exec.TaskCommit) bool {
	for i := range tasks {
		if len(tasks[i].Batches) > 0 || len(tasks[i].Offsets) > 0 {
			return false
		}
	}
	return true
}

// nothingLive reports whether all tasks that brought something were refused.
func nothingLive(tasks []exec.TaskCommit, results []exec.TaskResult) bool {
	for i := range tasks {
		if results[i].Err == nil && len(tasks[i].Batches)+len(tasks[i].Offsets) > 0 {
			return false
		}
	}
	return true
}
