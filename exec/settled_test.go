package exec

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/planner"
)

// unstable is a log of which all that is asked here is where a partition ends.
type unstable struct {
	Log
	bounds Offsets
	wake   chan<- struct{}
}

func (u *unstable) Offsets(context.Context, TopicPartition) (Offsets, error) { return u.bounds, nil }

func (u *unstable) Subscribe(_ TopicPartition, wake chan<- struct{}) (func(), error) {
	u.wake = wake
	return func() {}, nil
}

func TestWhatWasReplicatedIsWaitedForUntilItIsStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &unstable{bounds: Offsets{HighWatermark: 10, LastStable: 4}}
		got := make(chan Offsets, 1)
		go func() {
			bounds, err := Settled(t.Context(), log, TopicPartition{Topic: "x"})
			if err == nil {
				got <- bounds
			}
		}()
		synctest.Wait()
		require.Empty(t, got, "a transaction is open at 4")
		log.bounds = Offsets{HighWatermark: 30, LastStable: 9}
		log.wake <- struct{}{}
		synctest.Wait()
		require.Empty(t, got)
		log.bounds.LastStable = 12
		log.wake <- struct{}{}
		require.Equal(t, log.bounds, <-got, "what came after the call is not waited for")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		log.bounds.LastStable = 4
		_, err := Settled(ctx, log, TopicPartition{Topic: "x"})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// A transaction that went down with a node may hold back what fragments have written and committed since. A read that waits for the query must not take the stable part for all of it.
func TestAFragmentIsWaitedForBeyondATransactionThatIsStillOpen(t *testing.T) {
	r := &Runner{cfg: RunnerConfig{Log: &unstable{bounds: Offsets{HighWatermark: 10, LastStable: 4}}}}
	due, err := r.Due(t.Context(), &planner.Fragment{Partitions: 1, Sources: []planner.Node{&planner.Exchange{Topic: "x"}}}, nil)
	require.NoError(t, err)
	require.Equal(t, []PartitionOffset{{TopicPartition: TopicPartition{Topic: "x"}, Offset: 10}}, due)
}
