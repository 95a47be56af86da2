package exec

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
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
