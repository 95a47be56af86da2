package exec

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestKeyIndexFindsByKeyAndByHash(t *testing.T) {
	var x keyIndex
	require.EqualValues(t, -1, x.find([]byte("none")))
	require.EqualValues(t, -1, x.findHash(hashBytes([]byte("none"))))
	key := func(i int) []byte { return binary.BigEndian.AppendUint32([]byte{1}, uint32(i)) }
	for i := range 10_000 {
		n, fresh := x.add(key(i))
		require.EqualValues(t, i, n)
		require.True(t, fresh)
	}
	for i := range 10_000 {
		n, fresh := x.add(key(i))
		require.EqualValues(t, i, n)
		require.False(t, fresh)
		require.EqualValues(t, i, x.find(key(i)))
		require.EqualValues(t, i, x.findHash(x.hash(int32(i))))
		require.Equal(t, key(i), x.key(int32(i)))
	}
	require.EqualValues(t, -1, x.find(key(10_000)))
	x.truncate(5000)
	require.Equal(t, 5000, x.len())
	require.EqualValues(t, 4999, x.find(key(4999)))
	require.EqualValues(t, -1, x.find(key(5000)))
	require.EqualValues(t, -1, x.findHash(hashBytes(key(10_000))))
}

func BenchmarkKeyIndexAdd(b *testing.B) {
	const keys = 200_000
	var key [9]byte
	b.ReportAllocs()
	for b.Loop() {
		var x keyIndex
		for i := range keys {
			binary.BigEndian.PutUint64(key[1:], uint64(i))
			x.add(key[:])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}

// TestKeysThatArePushedAreFoundLikeOthers mixes keys that are known to be new with others, looks them up and forgets some.
func TestKeysThatArePushedAreFoundLikeOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x keyIndex
		var order [][]byte
		number := func(key []byte) int {
			return slices.IndexFunc(order, func(k []byte) bool { return bytes.Equal(k, key) })
		}
		key := rapid.Map(rapid.Uint8Range(0, 200), func(v uint8) []byte { return []byte{v} })
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "keys") {
					if k := key.Draw(t, "key"); number(k) < 0 {
						require.EqualValues(t, len(order), x.push(k))
						order = append(order, k)
					}
				}
			},
			"add": func(t *rapid.T) {
				k := key.Draw(t, "key")
				want := number(k)
				n, fresh := x.add(k)
				if want < 0 {
					want, order = len(order), append(order, k)
					require.True(t, fresh)
				}
				require.EqualValues(t, want, n)
			},
			"find": func(t *rapid.T) {
				k := key.Draw(t, "key")
				require.EqualValues(t, number(k), x.find(k))
				require.EqualValues(t, number(k), x.findHash(hashBytes(k)))
			},
			"truncate": func(t *rapid.T) {
				order = order[:rapid.IntRange(0, len(order)).Draw(t, "left")]
				x.truncate(len(order))
			},
			"empty": func(*rapid.T) {
				x.empty()
				order = nil
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(order), x.len())
				for i, k := range order {
					require.Equal(t, k, x.key(int32(i)))
				}
			},
		})
	})
}
