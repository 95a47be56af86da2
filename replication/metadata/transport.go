package metadata

import (
	"errors"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	// refusedLimit is how long entries wait for a member whose port refuses connections, refusedPause the time between two attempts.
	refusedLimit = 10 * time.Second
	refusedPause = 50 * time.Millisecond
)

// oneByOne sends the next entries to a member when it has answered the last, which took all that had come meanwhile. Raft's pipeline, which does not wait, can keep raft from ever shutting down: its
// sender hands over to a goroutine that ends with the leadership.
type oneByOne struct {
	*raft.NetworkTransport
	clock clock.Clock
	// failed is why the store takes no writes any more, or nil.
	failed func() error
}

// AppendEntriesPipeline says that there is none.
func (oneByOne) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// AppendEntries waits for a member that refuses connections, since its process is not there, and sends what it is to send when it is back. Raft waits after each failure twice as long as after the one before,
// so that a node which comes back in a moment would hear nothing for seconds. Heartbeats, which raft sends often, do not wait.
//
// From when the store has failed nothing is sent. Raft's goroutine may hang in a write of it then, for ever, while others send heartbeats that keep a leadership which can decide nothing.
func (t oneByOne) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	heartbeat := len(args.Entries) == 0 && args.PrevLogEntry == 0 && args.LeaderCommitIndex == 0
	for begun := t.clock.Now(); ; t.pause() {
		if err := t.failed(); err != nil {
			return err
		}
		err := t.NetworkTransport.AppendEntries(id, target, args, resp)
		if heartbeat || !errors.Is(err, syscall.ECONNREFUSED) || t.clock.Since(begun) >= refusedLimit || t.IsShutdown() {
			return err
		}
	}
}

func (t oneByOne) pause() {
	timer := t.clock.NewTimer(refusedPause)
	defer timer.Stop()
	<-timer.C()
}
