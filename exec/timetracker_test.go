package exec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStreamTimeIsTheLowestOfTheWritersThatAreNotIdle(t *testing.T) {
	wall := time.UnixMilli(50_000)
	x := newTimeTracker(2)
	require.EqualValues(t, noTime, x.advance(wall, 0), "nothing was heard")
	x.heard(0, 1000, false)
	require.EqualValues(t, noTime, x.advance(wall, 0), "a writer that was not heard holds time back")
	x.heard(1, 400, false)
	require.EqualValues(t, 400, x.advance(wall, 0))
	x.heard(1, noTime, true)
	require.EqualValues(t, 1000, x.advance(wall, 0), "an idle one does not")
	x.heard(1, 500, false)
	require.EqualValues(t, 1000, x.advance(wall, 0), "and time never falls")

	x.heard(0, noTime, true)
	x.heard(1, noTime, true)
	require.EqualValues(t, 1000+300, x.advance(wall, 300*time.Millisecond), "all idle: on with the wall clock, from the last row")
	require.EqualValues(t, 1000+1300, x.advance(wall.Add(time.Second), 0))
	require.EqualValues(t, 1000, x.data(), "what rows alone prove")

	y := newTimeTracker(0)
	rest, err := y.decode(append(x.append(nil), 9))
	require.NoError(t, err)
	require.Equal(t, []byte{9}, rest)
	require.EqualValues(t, 2300, y.now)
	require.Equal(t, x.writers, y.writers)
	for n := range x.append(nil) {
		_, err := y.decode(x.append(nil)[:n])
		require.Error(t, err)
	}
}
