package clocktest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatHasPassedIsCountedApartFromTheTimeOfDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		c := NewWrong(1.02)
		before := c.Now()
		require.Equal(t, begin.UnixNano(), before.UnixNano())
		<-time.After(100 * time.Second)
		c.Set(-time.Hour)
		after := c.Now()
		require.Equal(t, 102*time.Second, after.Sub(before))
		require.Equal(t, 102*time.Second, c.Since(before))
		require.True(t, after.After(before))
		require.Equal(t, 100*time.Second-time.Hour, after.Round(0).Sub(before.Round(0)), "the time of day has jumped")
		require.Equal(t, 2*time.Hour, after.Add(2*time.Hour).Sub(after))
	})
}

func TestTimersGoByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewWrong(0.5)
		begin, at := time.Now(), c.Now()
		timer := c.NewTimer(time.Minute)
		c.Set(time.Hour)
		<-timer.C()
		require.InDelta(t, 2*time.Minute, time.Since(begin), float64(time.Microsecond))
		require.GreaterOrEqual(t, c.Since(at), time.Minute)
		timer.Reset(time.Minute)
		<-timer.C()
		require.InDelta(t, 4*time.Minute, time.Since(begin), float64(time.Microsecond))
	})
}

func TestConnectionsAreToldTheRightTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewWrong(2)
		c.Set(time.Hour)
		require.WithinDuration(t, time.Now().Add(time.Minute), c.Deadline(2*time.Minute), time.Microsecond)
		require.Equal(t, time.Now(), c.Deadline(0))
	})
}
