package pgwire

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
)

// TestSettleWaitsForWhatMayHaveChangedSomething: a server hands its sessions over when none of them is in the middle of a write. It does not wait for those that only read, however long that takes, nor
// for clients that have a block open and say nothing.
func TestSettleWaitsForWhatMayHaveChangedSomething(t *testing.T) {
	const long = time.Minute
	for name, x := range map[string]struct {
		set   func(*conn, *fakeSession)
		waits time.Duration
	}{
		"an open block":              {func(c *conn, _ *fakeSession) { c.mu.inBlock = true }, 0},
		"a query that waits":         {func(c *conn, _ *fakeSession) { c.mu.running, c.mu.waiting, c.mu.cancel = true, true, func(error) {} }, 0},
		"a statement that reads":     {func(c *conn, _ *fakeSession) { c.mu.running = true }, settleReads * settlePause},
		"a statement that writes":    {func(c *conn, s *fakeSession) { c.mu.running = true; s.writes.Store(true) }, long},
		"the COMMIT of a block":      {func(c *conn, s *fakeSession) { c.mu.running, c.mu.inBlock = true, true; s.writes.Store(true) }, long},
		"a message that is not read": {func(*conn, *fakeSession) {}, long},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{config: Config{Clock: clock.Real}}
				session := &fakeSession{}
				c := &conn{server: s, session: session, in: newInbox()}
				x.set(c, session)
				s.mu.sessions = map[int32]*conn{1: c}
				ctx, cancel := context.WithTimeout(t.Context(), long)
				defer cancel()
				begun := time.Now()
				s.Settle(ctx)
				require.Equal(t, x.waits, time.Since(begun))
				require.True(t, c.mu.draining)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // it ends when the write does
		s := &Server{config: Config{Clock: clock.Real}}
		session := &fakeSession{}
		session.writes.Store(true)
		c := &conn{server: s, session: session, in: newInbox(), pid: 1}
		c.mu.running = true
		s.mu.sessions = map[int32]*conn{1: c}
		settled := make(chan struct{})
		go func() {
			defer close(settled)
			s.Settle(t.Context())
		}()
		clock.Wait(t.Context(), clock.Real, time.Second)
		s.forget(c)
		<-settled
	})
}

// TestAwaitWritesWaitsForWhatHasBegun: neither for what is begun meanwhile, nor for the session that asks, and nobody is drained.
func TestAwaitWritesWaitsForWhatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{config: Config{Clock: clock.Real}}
		s.mu.sessions = map[int32]*conn{}
		for pid := range int32(4) {
			session := &fakeSession{}
			session.writes.Store(pid != 3)
			c := &conn{server: s, session: session, in: newInbox(), pid: pid}
			c.ctx = t.Context()
			c.startRunning()
			s.mu.sessions[pid] = c
		}
		const asks = 2
		first, second, last := s.mu.sessions[0], s.mu.sessions[1], s.mu.sessions[3]
		time.AfterFunc(time.Second, func() { s.forget(first) })
		time.AfterFunc(2*time.Second, func() {
			second.stopRunning()
			second.startRunning() // the next one
			last.session.(*fakeSession).writes.Store(true)
		})
		begun := time.Now()
		s.AwaitWrites(t.Context(), asks)
		require.Equal(t, 2*time.Second, time.Since(begun).Round(50*time.Millisecond))
		require.False(t, second.mu.draining)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		s.AwaitWrites(ctx, asks)
		require.Equal(t, time.Second, time.Since(begun))
	})
}
