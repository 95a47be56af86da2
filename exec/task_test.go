package exec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThePauseBeforeATaskStartsOverGoesBackAfterATimeOfHealth(t *testing.T) {
	var p retryPause
	last := time.Duration(0)
	for range 20 {
		next := p.after(time.Millisecond)
		require.Greater(t, next, time.Duration(0))
		require.GreaterOrEqual(t, next, last)
		last = next
	}
	require.Equal(t, taskRetryMax, last)
	require.Equal(t, taskRetryMin, p.after(taskHealthy), "it ran for long")
	require.Equal(t, 2*taskRetryMin, p.after(time.Second))
}
