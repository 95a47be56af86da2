package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuffersHoldWhatIsAskedAndComeAgain(t *testing.T) {
	var b buffers
	for _, n := range []int{1, minBufferBytes - 1, minBufferBytes, minBufferBytes + 1, 100_000, maxBufferBytes - 1, maxBufferBytes} {
		buf := b.get(n)
		require.Len(t, buf, n)
		require.LessOrEqual(t, cap(buf), max(2*n, minBufferBytes))
		buf[0] = 1
		b.put(buf)
		again := b.get(n)
		require.Same(t, &buf[0], &again[0])
	}
}

func TestBuffersKeepNoMoreThanTheirBound(t *testing.T) {
	var b buffers
	var lent [][]byte
	for range 2 * freeBufferBytes / maxBufferBytes {
		lent = append(lent, b.get(maxBufferBytes))
	}
	lent = append(lent, b.get(maxBufferBytes+1))
	for _, buf := range lent {
		b.put(buf)
	}
	require.Equal(t, freeBufferBytes, b.mu.bytes)
}
