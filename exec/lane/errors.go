package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
)

const (
	// giveUpAfter bounds how long one request is tried again. Inside a transaction it is half the transaction's time-out, so that it is
	// the lane that gives up and not the coordinator.
	giveUpAfter = 30 * time.Second
	// The pause between tries grows from minPause to maxPause.
	minPause = 2 * time.Millisecond
	maxPause = 250 * time.Millisecond
)

// retriable reports whether the same request may succeed a little later. CONCURRENT_TRANSACTIONS is so in practice though kerr does
// not say it: the coordinator is about to finish something.
func retriable(code int16) bool {
	ke := kerr.TypedErrorForCode(code)
	return ke != nil && (ke.Retriable || ke == kerr.ConcurrentTransactions)
}

// stale reports whether the code says that the member's claim on the group is over.
func stale(code int16) bool {
	switch kerr.TypedErrorForCode(code) {
	case kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedInstanceID, kerr.StaleMemberEpoch, kerr.GroupIDNotFound:
		return true
	}
	return false
}

// Explain maps a Kafka error, or one of a transport, to the errors of exec.Log; what says that the producer's time is over is
// ErrFenced.
func Explain(err error) error {
	var ke *kerr.Error
	if !errors.As(err, &ke) {
		return fmt.Errorf("%w (%w)", exec.ErrUnavailable, err)
	}
	switch ke {
	case kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping:
		return fmt.Errorf("%w (%w)", exec.ErrFenced, err)
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
		return fmt.Errorf("%w (%w)", exec.ErrUnknownTopic, err)
	case kerr.OffsetOutOfRange:
		return fmt.Errorf("%w (%w)", exec.ErrOffsetOutOfRange, err)
	}
	if ke.Retriable || ofProducer(ke) {
		return fmt.Errorf("%w (%w)", exec.ErrUnavailable, err)
	}
	return err
}

// ofProducer reports whether the error is about the producer and its transaction, rather than the partition or group in whose answer it
// came. A new transaction cures it, unless it says that the producer is fenced.
func ofProducer(ke *kerr.Error) bool {
	switch ke {
	case kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState, kerr.TransactionAbortable,
		kerr.ConcurrentTransactions, kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.TransactionalIDAuthorizationFailed:
		return true
	}
	return false
}

// blame is what went wrong for some of the tasks only: the others can commit without them.
type blame struct {
	byTask map[int]error // by index of the task
}

func (b *blame) Error() string { return errors.Join(b.Unwrap()...).Error() }

// Unwrap returns the errors of all tasks.
func (b *blame) Unwrap() []error {
	all := make([]error, 0, len(b.byTask))
	for _, err := range b.byTask {
		all = append(all, err)
	}
	return all
}

// onlyUnavailable reports whether all of it may pass.
func (b *blame) onlyUnavailable() bool {
	for _, err := range b.byTask {
		if !errors.Is(err, exec.ErrUnavailable) {
			return false
		}
	}
	return true
}

// add blames a task, once.
func (b *blame) add(task int, err error) {
	if b.byTask == nil {
		b.byTask = map[int]error{}
	}
	if b.byTask[task] == nil {
		b.byTask[task] = err
	}
}

func (p *producer) explain(what string, err error) error {
	return fmt.Errorf("%s: %w", what, Explain(err))
}

// retry calls f until it says that there is no point in trying again, with growing pauses. UNKNOWN_TOPIC_OR_PARTITION counts as final
// by its callers. The last error is returned.
func (p *producer) retry(ctx context.Context, f func() (again bool, err error)) error {
	return p.retryFor(ctx, giveUpAfter, f)
}

func (p *producer) retryFor(ctx context.Context, patience time.Duration, f func() (again bool, err error)) error {
	start := p.clock.Now()
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		again, err := f()
		if err == nil || !again || ctx.Err() != nil || p.clock.Since(start) > patience {
			return err
		}
		if !clock.Wait(ctx, p.clock, wait) {
			return err
		}
	}
}
