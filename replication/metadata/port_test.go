package metadata

import (
	"context"
	crand "crypto/rand"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/peer"
)

func TestStoreRunsOverTheNodePort(t *testing.T) {
	fs := fsys.NewMem()
	require.NoError(t, fsys.MkdirAllSync(fs, "data"))
	id, _, err := FormatOrCheck(fs, "data", Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	for range 2 { // the second time at another port: nobody else needs to know
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := peer.New(peer.Options{
			Hello:    peer.Hello{ClusterID: id.ClusterID, NodeID: id.NodeID, DirectoryID: id.Directory.String(), Release: "0.1.0"},
			Listener: l, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler),
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", addr)
			},
		})
		port.Start()
		s, err := Open(t.Context(), Options{
			FS: fs, Dir: "data/meta", Identity: id, Release: "0.1.0", Clock: clock.Real, Rand: crand.Reader,
			Logger: slog.New(slog.DiscardHandler), OnFatal: func(err error) { t.Errorf("fatal: %v", err) }, Stream: port.Raft,
		})
		require.NoError(t, err)
		apply(t, s, func(b *Batch) { b.TakeOIDs(1) })
		_, err = s.Register(t.Context(), Broker{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		require.NoError(t, port.Close())
	}
}
