package sim

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/testenv"
)

const (
	steps = 400
	// tellEvery is after how many seeds a run says how far it is.
	tellEvery = 10_000
)

// run runs seeds until one loses something, and returns how, and how many entries were committed in all.
func run(t *testing.T, from, seeds uint64, off Defence) (violation string, committed int) {
	t.Helper()
	for seed := from; seed < from+seeds; seed++ {
		m, err := New(seed, off)
		require.NoError(t, err)
		for range steps {
			m.Step()
			if m.Violation != "" {
				return fmt.Sprintf("seed %d: %s", seed, m.Violation), committed
			}
		}
		committed += m.Committed
		if done := seed - from + 1; done%tellEvery == 0 {
			t.Logf("%d seeds, %d entries committed", done, committed)
		}
	}
	return "", committed
}

func TestAClusterLosesNothingThatWasCommitted(t *testing.T) {
	seeds := uint64(testenv.Int(t, "MILLRACE_SIM_SEEDS", 2000))
	violation, committed := run(t, uint64(testenv.Int(t, "MILLRACE_SEED", 0)), seeds, None)
	require.Empty(t, violation)
	require.Greater(t, committed, int(seeds)*5, "the model gets work done")
}

func TestTheClusterNeedsEachDefence(t *testing.T) {
	for _, off := range []Defence{Epochs, DurableCounts, UnknownStays, StrictMinISR, SyncBeforeNext, CleanElections, EligibleOnly, RestartWaits} {
		t.Run(string(off), func(t *testing.T) {
			violation, _ := run(t, 0, 20_000, off)
			require.NotEmpty(t, violation, "without it something committed is lost")
			t.Log(violation)
		})
	}
}
