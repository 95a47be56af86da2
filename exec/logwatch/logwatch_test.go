package logwatch

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a leader that answers a poll when the test says so.
type scripted struct {
	asked   chan Position
	answers chan int64 // the end that it tells, whether it is new or not; negative: nothing new
}

func (scripted) Moved() <-chan struct{} { return nil }

func (scripted) Leader(context.Context, exec.TopicPartition) (int32, error) { return 1, nil }

func (s scripted) Poll(ctx context.Context, _ int32, known []Position) ([]Progress, error) {
	select {
	case s.asked <- known[0]:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case end := <-s.answers:
		if end < 0 || end == known[0].LastStable {
			return nil, nil
		}
		return []Progress{{Position: Position{known[0].TopicPartition, end, end}}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestANewSubscriberIsWokenThoughTheEndIsTheOneThatOthersHeardOf: it may have looked at a topic that has since been made anew, or before the others heard.
func TestANewSubscriberIsWokenThoughTheEndIsTheOneThatOthersHeardOf(t *testing.T) {
	s := scripted{make(chan Position), make(chan int64)}
	w := New(s, clock.Real)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	tp := exec.TopicPartition{Topic: "t"}
	first, second := make(chan struct{}, 1), make(chan struct{}, 1)
	defer w.Subscribe(tp, first)()
	<-s.asked
	s.answers <- 3
	<-first
	<-s.asked // the poll that is under way when the second comes
	defer w.Subscribe(tp, second)()
	s.answers <- 3
	require.EqualValues(t, -1, (<-s.asked).LastStable, "what was heard before it came does not count")
	s.answers <- 3
	select {
	case <-second:
	case <-time.After(30 * time.Second):
		t.Fatal("the subscriber is not woken")
	}
}
