package links

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	alice, bob = "127.0.0.1", "127.0.0.2"
	bobAddr    = bob + ":9000"
	trip       = 10 * time.Millisecond
)

// pairOf runs f with two hosts and a connection from alice to bob, in a bubble.
func pairOf(t *testing.T, f func(t *testing.T, n *Network, b *Host, here, there net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		n := New(clock.Real, func(_, _ string) time.Duration { return trip })
		a, b := n.Host(alice), n.Host(bob)
		l, err := b.Listen(bobAddr)
		require.NoError(t, err)
		begin := time.Now()
		here, err := a.Dial(t.Context(), bobAddr)
		require.NoError(t, err)
		require.Equal(t, 2*trip, time.Since(begin))
		there, err := l.Accept()
		require.NoError(t, err)
		f(t, n, b, here, there)
	})
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	n, err := c.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func requireRead(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func TestBytesArriveInOrderAfterTheirDelay(t *testing.T) {
	pairOf(t, func(t *testing.T, _ *Network, _ *Host, here, there net.Conn) {
		begin := time.Now()
		write(t, here, "one ")
		write(t, here, "two")
		requireRead(t, there, "one two")
		require.Equal(t, trip, time.Since(begin))
		require.NoError(t, here.Close())
		_, err := there.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.ErrorIs(t, here.Close(), net.ErrClosed)
	})
}

func TestAWayThatIsHeldDeliversWhenItIsReleased(t *testing.T) {
	pairOf(t, func(t *testing.T, n *Network, _ *Host, here, there net.Conn) {
		n.Hold(alice, bob)
		write(t, here, "held")
		write(t, there, "the other way is open")
		requireRead(t, here, "the other way is open")
		require.NoError(t, there.SetReadDeadline(time.Now().Add(time.Hour)))
		_, err := there.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = n.Host("127.0.0.3").Dial(ctx, bobAddr)
		require.NoError(t, err, "who is not concerned connects")
		_, err = here.(*Conn).host.Dial(ctx, bobAddr)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		n.Release(alice, bob)
		require.NoError(t, there.SetReadDeadline(time.Time{}))
		requireRead(t, there, "held")
	})
}

func TestBreakResetsBothEnds(t *testing.T) {
	pairOf(t, func(t *testing.T, n *Network, _ *Host, here, there net.Conn) {
		write(t, here, "lost")
		n.Break(bob, alice)
		for _, c := range []net.Conn{here, there} {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}
	})
}

func TestAHostThatGoesSilentlyIsHeardOfWhenItIsBack(t *testing.T) {
	pairOf(t, func(t *testing.T, n *Network, b *Host, here, there net.Conn) {
		b.Down(true)
		_, err := there.Write([]byte("too late"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		write(t, here, "into nothing")
		require.NoError(t, here.SetDeadline(time.Now().Add(time.Hour)))
		_, err = here.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		n.Host(bob)
		require.NoError(t, here.SetDeadline(time.Time{}))
		_, err = here.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = here.(*Conn).host.Dial(t.Context(), bobAddr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestTheKernelEndsTheConnectionsOfAProcessThatIsKilled(t *testing.T) {
	pairOf(t, func(t *testing.T, n *Network, b *Host, here, there net.Conn) {
		write(t, there, "the last words")
		b.Down(false)
		_, err := there.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		requireRead(t, here, "the last words")
		_, err = here.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		_, err = here.Write([]byte("too late"))
		require.ErrorIs(t, err, syscall.EPIPE)
		_, err = here.(*Conn).host.Dial(t.Context(), bobAddr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestAProcessThatIsKilledBeforeItHasReadResetsItsConnections(t *testing.T) {
	pairOf(t, func(t *testing.T, _ *Network, b *Host, here, _ net.Conn) {
		write(t, here, "never read")
		<-time.After(2 * trip)
		b.Down(false)
		_, err := here.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestAWayThatIsRejectedResetsWhoSendsAndTellsTheOtherNothing(t *testing.T) {
	pairOf(t, func(t *testing.T, n *Network, _ *Host, here, there net.Conn) {
		n.Reject(alice, bob)
		_, err := here.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = here.(*Conn).host.Dial(t.Context(), bobAddr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		write(t, there, "it hears nothing")
		require.NoError(t, there.SetReadDeadline(time.Now().Add(time.Hour)))
		_, err = there.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		l, err := here.(*Conn).host.Listen(alice + ":9000")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = there.(*Conn).host.Dial(ctx, l.Addr().String())
		require.ErrorIs(t, err, context.DeadlineExceeded, "what would answer is rejected")

		n.Allow(alice, bob)
		require.NoError(t, there.SetReadDeadline(time.Time{}))
		_, err = there.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = here.(*Conn).host.Dial(t.Context(), bobAddr)
		require.NoError(t, err)
	})
}

func TestFinishEndsTheStreamsAtBothEnds(t *testing.T) {
	pairOf(t, func(t *testing.T, n *Network, _ *Host, here, there net.Conn) {
		write(t, here, "before")
		n.Finish(alice, bob)
		n.Reject(alice, bob) // it is not a reset any more
		requireRead(t, there, "before")
		for _, c := range []net.Conn{here, there} {
			_, err := c.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
			_, err = c.Write([]byte("x"))
			require.ErrorIs(t, err, syscall.EPIPE)
		}
	})
}

func TestAWriterWaitsWhenTheWindowIsFull(t *testing.T) {
	pairOf(t, func(t *testing.T, _ *Network, _ *Host, here, there net.Conn) {
		_, err := here.Write(make([]byte, window))
		require.NoError(t, err)
		require.NoError(t, here.SetWriteDeadline(time.Now().Add(time.Hour)))
		_, err = here.Write([]byte("more"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = io.ReadFull(there, make([]byte, window))
		require.NoError(t, err)
		require.NoError(t, here.SetWriteDeadline(time.Time{}))
		write(t, here, "more")
		requireRead(t, there, "more")
	})
}
