package pebblestore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
)

// TestBatchesOfMixedKeysKeepTheLastChange writes batches large enough to be put in order, with keys that come again.
func TestBatchesOfMixedKeysKeepTheLastChange(t *testing.T) {
	s := open(t, testFS())
	p, err := s.Partition(exec.StateID{Object: 1})
	require.NoError(t, err)
	rng, want := rand.New(rand.NewPCG(3, 4)), map[uint32]map[string]string{1: {}, 2: {}}
	for range 5 {
		b := p.NewBatch(0, 0)
		for n := range 2 * orderFrom {
			op, key := 1+rng.Uint32N(2), mixedKey(rng)
			if rng.IntN(3) == 0 {
				b.Delete(op, []byte(key))
				delete(want[op], key)
				continue
			}
			val := fmt.Sprint(n)[:rng.IntN(2)]
			b.Set(op, []byte(key), []byte(val))
			want[op][key] = key + "=" + val
		}
		b.SetMark(exec.Mark{Changelog: 7})
		require.NoError(t, b.Commit())
		for op, rows := range want {
			var sorted []string
			for _, row := range rows {
				sorted = append(sorted, row)
			}
			slices.SortFunc(sorted, byKey)
			require.Equal(t, sorted, scan(t, p, op, nil, nil))
		}
		m, ok, err := p.Mark()
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 7, m.Changelog)
	}
	require.NoError(t, p.Close())
	require.NoError(t, s.Close())
}

// mixedKey is one of some thousand keys: short ones, long ones that are alike at first and in the middle, and ones that begin with others or end in zeros.
func mixedKey(rng *rand.Rand) string {
	switch rng.IntN(4) {
	case 0:
		return fmt.Sprint(rng.IntN(orderFrom))[rng.IntN(2):]
	case 1:
		return fmt.Sprintf("a window that begins at %02d of someone called %04d", rng.IntN(12), rng.IntN(orderFrom))
	case 2:
		return "a window that begins at 03"[:rng.IntN(27)]
	default:
		return "a window" + strings.Repeat("\x00", rng.IntN(20))
	}
}

// BenchmarkMixedBatch writes rows of twelve windows and many keys, in no order.
func BenchmarkMixedBatch(b *testing.B) {
	for _, rows := range []int{500, 5000, 20_000} {
		b.Run(fmt.Sprint("rows=", rows), func(b *testing.B) {
			s := open(b, testFS())
			p, err := s.Partition(exec.StateID{Object: 1})
			require.NoError(b, err)
			rng, val, n := rand.New(rand.NewPCG(1, 2)), make([]byte, 30), 0
			var key []byte
			for b.Loop() {
				batch := p.NewBatch(rows, 64*rows)
				for range rows {
					key = fmt.Appendf(key[:0], "%08d city-%d", n+rng.IntN(12), rng.IntN(100_000))
					batch.Set(3, key, val)
				}
				require.NoError(b, batch.Commit())
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*rows), "ns/row")
			require.NoError(b, p.Close())
			require.NoError(b, s.Close())
		})
	}
}

// BenchmarkOrder puts rows of sessions in order: of some hundred keys, each with a time that grows, as they come.
func BenchmarkOrder(b *testing.B) {
	const rows = 20_000
	s := open(b, testFS())
	p, err := s.Partition(exec.StateID{Object: 1})
	require.NoError(b, err)
	rng, val, key, n := rand.New(rand.NewPCG(1, 2)), make([]byte, 30), []byte(nil), 0
	for b.Loop() {
		b.StopTimer()
		all := p.NewBatch(rows, 64*rows).(*batch)
		for i := range rows {
			key = fmt.Appendf(key[:0], "user-%d\x00\x01", rng.IntN(250))
			all.Set(3, binary.BigEndian.AppendUint64(key, uint64(1_700_000_000_000+i)), val)
		}
		b.StartTimer()
		require.NoError(b, all.order())
		b.StopTimer()
		require.NoError(b, all.Close())
		b.StartTimer()
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*rows), "ns/row")
	require.NoError(b, p.Close())
	require.NoError(b, s.Close())
}
