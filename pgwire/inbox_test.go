package pgwire

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// fill publishes messages of size bytes until there is no room, at most limit of them.
func fill(q *inbox, size, limit int) (n int) {
	for n < limit {
		m := q.tryReserve(size)
		if m == nil {
			return n
		}
		m.body = append(m.body, make([]byte, size)...)
		q.publish(m)
		n++
	}
	return n
}

func TestInboxIsBoundedInMessagesAndBytes(t *testing.T) {
	q := newInbox()
	require.Equal(t, maxQueuedMessages, fill(q, 10, 1000))
	q = newInbox()
	require.Equal(t, 4, fill(q, maxQueuedBytes/4, 1000))
	q = newInbox()
	require.Equal(t, 1, fill(q, 2*maxQueuedBytes, 1000), "a message over the limit passes alone")
	q.release()
	require.Equal(t, maxQueuedMessages, fill(q, 10, 1000))
}

func TestInboxKeepsOrderAndReadsOutAfterTheReaderEnds(t *testing.T) {
	q := newInbox()
	for round := range 3 { // around the ring more than once
		for i := range maxQueuedMessages - 1 {
			m := q.tryReserve(1)
			m.typ = byte(i)
			m.body = append(m.body, byte(round))
			q.publish(m)
		}
		for i := range maxQueuedMessages - 1 {
			m, err := q.peek()
			require.NoError(t, err)
			require.Equal(t, byte(i), m.typ)
			require.Equal(t, []byte{byte(round)}, m.body)
			q.release()
		}
	}
	fill(q, 1, 2)
	gone := errors.New("gone")
	q.end(gone)
	for range 2 {
		m, err := q.peek()
		require.NoError(t, err)
		require.NotNil(t, m)
		q.release()
	}
	_, err := q.peek()
	require.ErrorIs(t, err, gone)
}

func TestInboxReserveWaitsForRoomOrTheEnd(t *testing.T) {
	q := newInbox()
	fill(q, 10, 1000)
	done := make(chan error, 1)
	go func() {
		_, err := q.reserve(t.Context(), 10)
		done <- err
	}()
	receive(t, q.wake) // it asks the executor for room before it waits
	q.release()
	require.NoError(t, receive(t, done))

	fill(q, 10, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := q.reserve(ctx, 10)
	require.ErrorIs(t, err, context.Canceled)
}
