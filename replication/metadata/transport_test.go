package metadata

import (
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
)

// refusing is a network in which a member is away until a moment; from then on each attempt to reach it fails in another way.
type refusing struct {
	back   time.Time
	dials  atomic.Int32
	closed chan struct{}
}

var errBack = errors.New("it is back")

func (r *refusing) Accept() (net.Conn, error) {
	<-r.closed
	return nil, net.ErrClosed
}

func (r *refusing) Close() error {
	close(r.closed)
	return nil
}

func (*refusing) Addr() net.Addr { return &net.TCPAddr{} }

func (r *refusing) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	r.dials.Add(1)
	if time.Now().Before(r.back) {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	return nil, errBack
}

// away runs f with a transport to a member that is away for a time.
func away(t *testing.T, d time.Duration, f func(t *testing.T, r *refusing, x oneByOne)) {
	synctest.Test(t, func(t *testing.T) {
		r := &refusing{back: time.Now().Add(d), closed: make(chan struct{})}
		x := oneByOne{raft.NewNetworkTransport(r, maxPool, transportTimeout, raftLog{slog.New(slog.DiscardHandler)}), clock.Real, func() error { return nil }}
		defer x.Close()
		f(t, r, x)
	})
}

func sendEntries(x oneByOne) error {
	return x.AppendEntries("id", "addr", &raft.AppendEntriesRequest{Entries: []*raft.Log{{}}}, &raft.AppendEntriesResponse{})
}

// TestEntriesReachAMemberAsSoonAsItIsBack: raft would wait for as long again as it has been away.
func TestEntriesReachAMemberAsSoonAsItIsBack(t *testing.T) {
	away(t, 5*time.Second, func(t *testing.T, r *refusing, x oneByOne) {
		require.ErrorIs(t, sendEntries(x), errBack)
		require.WithinDuration(t, r.back, time.Now(), refusedPause)
	})
	away(t, time.Hour, func(t *testing.T, _ *refusing, x oneByOne) {
		begun := time.Now()
		require.ErrorIs(t, sendEntries(x), syscall.ECONNREFUSED)
		require.Equal(t, refusedLimit, time.Since(begun))
	})
}

func TestHeartbeatsOfRaftDoNotWaitForAMember(t *testing.T) {
	away(t, time.Hour, func(t *testing.T, r *refusing, x oneByOne) {
		require.ErrorIs(t, x.AppendEntries("id", "addr", &raft.AppendEntriesRequest{Term: 3}, &raft.AppendEntriesResponse{}), syscall.ECONNREFUSED)
		require.EqualValues(t, 1, r.dials.Load())
	})
}

func TestAMemberWhoseStoreHasFailedSendsNoHeartbeats(t *testing.T) {
	away(t, 0, func(t *testing.T, r *refusing, x oneByOne) {
		broken := errors.New("broken")
		x.failed = func() error { return broken }
		require.ErrorIs(t, x.AppendEntries("id", "addr", &raft.AppendEntriesRequest{Term: 3}, &raft.AppendEntriesResponse{}), broken)
		require.ErrorIs(t, sendEntries(x), broken)
		require.Zero(t, r.dials.Load())
	})
}

// TestNobodyWaitsForAMemberWhenRaftEnds: raft waits for those who do.
func TestNobodyWaitsForAMemberWhenRaftEnds(t *testing.T) {
	away(t, time.Hour, func(t *testing.T, _ *refusing, x oneByOne) {
		sent := make(chan error, 1)
		go func() { sent <- sendEntries(x) }()
		synctest.Wait()
		begun := time.Now()
		require.NoError(t, x.Close())
		require.Error(t, <-sent)
		require.LessOrEqual(t, time.Since(begun), refusedPause)
	})
}
