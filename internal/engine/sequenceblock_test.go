package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhoTakesTheNextBlockOfASequenceKeepsNobodyFromOthers: it takes a change of the metadata, which may take long; and a statement that waits for it can be cancelled.
func TestWhoTakesTheNextBlockOfASequenceKeepsNobodyFromOthers(t *testing.T) {
	var q sequences
	q.init()
	q.mu.blocks[2] = &sequenceBlock{next: 7, step: 1, left: 2}
	_, ok, _, err := q.next(t.Context(), 1)
	require.NoError(t, err)
	require.False(t, ok, "it is for the caller to take a block")

	v, ok, _, err := q.next(t.Context(), 2)
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 7, v)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err = q.next(ended, 1)
	require.ErrorIs(t, err, context.Canceled)

	got := make(chan int64)
	go func() {
		v, ok, _, err := q.next(t.Context(), 1)
		assert.True(t, ok)
		assert.NoError(t, err)
		got <- v
	}()
	require.False(t, q.keep(1, &sequenceBlock{next: 1, step: 1, left: 1}, func() bool { return false }), "it was altered meanwhile")
	require.True(t, q.keep(1, &sequenceBlock{next: 100, step: 10, left: 1}, func() bool { return true }))
	q.taken(1)
	require.EqualValues(t, 100, <-got)
}
