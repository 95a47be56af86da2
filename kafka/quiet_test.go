package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// TestClientsAreQuietWhenNoneAsksForAnything: looking for partitions is not asking for them.
func TestClientsAreQuietWhenNoneAsksForAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{config: Config{Clock: clock.Real}}
		s.mu.conns = map[*conn]struct{}{}
		require.Equal(t, time.Second, s.Quiet(time.Second))
		a, b := &conn{server: s}, &conn{server: s}
		s.mu.conns[a], s.mu.conns[b] = struct{}{}, struct{}{}
		require.Equal(t, time.Second, s.Quiet(time.Second), "they have asked for nothing yet")
		for _, c := range []*conn{a, b} {
			c.asks(int16(kmsg.Produce))
			require.Zero(t, s.Quiet(time.Second))
			clock.Wait(t.Context(), clock.Real, 300*time.Millisecond)
		}
		for _, key := range []kmsg.Key{kmsg.Metadata, kmsg.ApiVersions, kmsg.FindCoordinator} {
			b.asks(int16(key))
		}
		require.Equal(t, 300*time.Millisecond, s.Quiet(time.Second))
		clock.Wait(t.Context(), clock.Real, time.Minute)
		require.Equal(t, time.Second, s.Quiet(time.Second))
		a.asks(int16(kmsg.Heartbeat))
		require.Zero(t, s.Quiet(time.Second))
	})
}
