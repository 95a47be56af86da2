package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
)

// busyPeer is another node: its task has committed once more each time it is asked.
type busyPeer struct{ asked int64 }

func (p *busyPeer) Ask(context.Context, int32, []byte) ([]byte, error) {
	p.asked++
	return json.Marshal(answer{Stats: map[uint64][]taskCount{1: {{TaskStats: exec.TaskStats{Commits: p.asked}, Node: 2}}}})
}

// A read may have waited for tasks between two looks at them, however short the time.
func TestALookAtCountersSeesWhatOtherNodesHaveCountedByThen(t *testing.T) {
	e := &Engine{opts: Options{NodeID: 1, Peers: &busyPeer{}}, super: &supervisor{ctx: t.Context()}, logger: slog.New(slog.DiscardHandler)}
	commits := func(far farStats) int64 { return far.of(e, 2)[1][0].Commits }
	first := farStats{}
	require.EqualValues(t, 1, commits(first))
	require.EqualValues(t, 1, commits(first), "a node is asked once for all queries")
	require.EqualValues(t, 2, commits(farStats{}), "a later look")
}

func TestANodeThatDoesNotAnswerHasNoCountersAndIsAskedOnce(t *testing.T) {
	e := &Engine{opts: Options{NodeID: 1, Peers: noPeers{}}, super: &supervisor{ctx: t.Context()}, logger: slog.New(slog.DiscardHandler)}
	far := farStats{}
	require.Empty(t, far.of(e, 2))
	e.opts.Peers = &busyPeer{}
	require.Empty(t, far.of(e, 2), "the statement has waited for it already")
}
