package exec

import "context"

// Settled waits until all that is replicated of a partition at the call is stable, and returns the bounds then: a transaction that is open in it, or went down with a node and is not aborted yet, holds back
// what was written and acknowledged after it.
func Settled(ctx context.Context, log Log, tp TopicPartition) (Offsets, error) {
	first, err := log.Offsets(ctx, tp)
	if err != nil || first.LastStable >= first.HighWatermark {
		return first, err
	}
	wake := make(chan struct{}, 1)
	cancel, err := log.Subscribe(tp, wake)
	if err != nil {
		return Offsets{}, err
	}
	defer cancel()
	for {
		bounds, err := log.Offsets(ctx, tp)
		if err != nil || bounds.LastStable >= first.HighWatermark {
			return bounds, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return Offsets{}, ctx.Err()
		}
	}
}
