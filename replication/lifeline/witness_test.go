package lifeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refuse has a witness refused so often, DialEvery after another, and returns when the next would be.
func refuse(w *witness, line uint64, times int, from time.Time) time.Time {
	for range times {
		w.dialled(first, line, true, from)
		from = from.Add(DialEvery)
	}
	return from
}

func died(w *witness) bool {
	_, dead := w.dead(first, epoch)
	return dead
}

func TestASignOfLifeBeginsTheCountAgain(t *testing.T) {
	var w witness
	now := time.Unix(0, 0)
	line := w.opened(first, epoch)
	require.True(t, w.ended(first, line, Stream))
	for name, sign := range map[string]func(){
		"a heartbeat":  func() { w.alive(first) },
		"a connection": func() { w.dialled(first, line, false, now) },
	} {
		t.Run(name, func(t *testing.T) {
			now = refuse(&w, line, 3, now)
			sign()
			now = refuse(&w, line, 3, now)
			require.False(t, died(&w), "since then it is not long enough")
			now = refuse(&w, line, 1, now)
			require.True(t, died(&w))
			sign()
			require.False(t, died(&w))
		})
	}
}

func TestOnlyTheNewestLifeLineCounts(t *testing.T) {
	var w witness
	old := w.opened(first, epoch)
	line := w.opened(first, epoch)
	require.False(t, w.ended(first, old, Stream))
	refuse(&w, old, 10, time.Unix(0, 0))
	require.False(t, died(&w))
	require.True(t, w.ended(first, line, Stream))
	refuse(&w, line, 10, time.Unix(0, 0))
	require.True(t, died(&w))
	w.opened(first, epoch)
	require.False(t, died(&w), "it has made another")
}

func TestALifeLineMustHaveEndedAsWithItsProcess(t *testing.T) {
	for how, asked := range map[End]bool{Stream: true, Reset: false, InOrder: false, Unknown: false} {
		var w witness
		line := w.opened(first, epoch)
		require.Equal(t, asked, w.ended(first, line, how), "%v", how)
		refuse(&w, line, 10, time.Unix(0, 0))
		require.Equal(t, asked, died(&w), "%v", how)
	}
}

func TestFewRefusalsAreNotEnoughHoweverLongTheyTake(t *testing.T) {
	var w witness
	line := w.opened(first, epoch)
	w.ended(first, line, Stream)
	w.dialled(first, line, true, time.Unix(0, 0))
	w.dialled(first, line, true, time.Unix(60, 0))
	require.False(t, died(&w))
}

func TestANodeIsLostWhenAMajorityRefusesIt(t *testing.T) {
	var v vital
	for _, id := range []string{"a", "b", "c", "d"} {
		v.opened(id)
		v.dialled(id, true)
	}
	require.False(t, v.broken())
	v.ended("a", Stream)
	v.ended("b", Reset)
	require.True(t, v.broken())
	require.False(t, v.lost(5))
	require.True(t, v.lost(3))
	v.ended("c", InOrder)
	require.False(t, v.lost(5), "who stops in order sees nobody die")
	v.ended("d", Stream)
	require.True(t, v.lost(5))
	v.opened("d")
	require.False(t, v.lost(5))
}
