package bench

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBenchmarksOfARunningNodeGiveNumbers(t *testing.T) {
	conn := nodetest.ConnString(nodetest.Start(t, node.Config{}))
	results, err := Run(t.Context(), Options{
		Conn: conn, Peer: conn, Seconds: 1, Rounds: 1, Names: []string{"lookup", "latency"}, Clock: clock.Real, Log: io.Discard,
	})
	require.NoError(t, err)
	names := map[string]Result{}
	for _, r := range results {
		names[r.Name] = r
	}
	for _, name := range []string{"lookup/1", "lookup/4", "lookup/16"} {
		require.Positive(t, names[name].Median, name)
		require.Positive(t, names[name].Ratio, name)
	}
	p50, p99 := names["latency/p50"], names["latency/p99"]
	require.Positive(t, p50.Median)
	require.GreaterOrEqual(t, p99.Median, p50.Median)
	require.Empty(t, p50.PeerRounds, "the peer has no push queries")
}

func TestUnknownNamesAreRefusedWithTheKnownOnes(t *testing.T) {
	_, err := Run(t.Context(), Options{Names: []string{"copy"}})
	require.ErrorContains(t, err, `no benchmark "copy"; allowed: ready, restart, idle, connections, queries, copy-ingest`)
	_, err = Run(t.Context(), Options{Names: []string{"ready"}, Conn: "postgres://localhost"})
	require.ErrorContains(t, err, "ready starts nodes of its own")
}

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	var s resultSet
	ours, theirs := &target{name: "millrace"}, &target{name: "peer", peer: true}
	for _, pair := range [][2]float64{{100, 50}, {10, 100}, {90, 30}} {
		s.add(ours, Measure{"x", "q/s", pair[0]})
		s.add(theirs, Measure{"x", "q/s", pair[1]})
	}
	require.Len(t, s.list, 1)
	require.InDelta(t, 2.0, s.list[0].Ratio, 1e-9)
	require.InDelta(t, 90.0, s.list[0].Median, 1e-9)
	require.InDelta(t, 50.0, s.list[0].PeerMedian, 1e-9)
}

func TestPercentilesAreValuesThatOccurred(t *testing.T) {
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(i + 1)
	}
	require.InDelta(t, 500, percentile(values, 0.5), 0)
	require.InDelta(t, 990, percentile(values, 0.99), 0)
	require.InDelta(t, 999, percentile(values, 0.999), 0)
	require.InDelta(t, 7, percentile([]float64{7}, 0.99), 0)
}

func TestTableIsAligned(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteTable(&b, []Result{
		{Name: "copy-ingest", Unit: "rows/s", Median: 1234567, Rounds: []float64{1000, 1234567, 2000000}, PeerMedian: 500000, PeerRounds: []float64{500000}, Ratio: 2.4691},
		{Name: "ready", Unit: "s", Median: 0.412, Rounds: []float64{0.412}},
	}))
	require.Equal(t, `benchmark    unit    median     lowest  highest    peer     ratio
copy-ingest  rows/s  1,234,567  1,000   2,000,000  500,000  2.47
ready        s       0.41       0.41    0.41       -        -
`, b.String())
}

func TestEventsAreWhatTheChecksCount(t *testing.T) {
	lines := new(dataSets).eventLines()
	require.Equal(t, eventRows, strings.Count(string(lines), "\n"))
	require.Equal(t, eventRows/10, strings.Count(string(lines), `"status":"failed"`))
}
