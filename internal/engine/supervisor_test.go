package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication/metadata"
)

// noPeers is a cluster of which nobody answers.
type noPeers struct{}

func (noPeers) Ask(context.Context, int32, []byte) ([]byte, error) { return nil, exec.ErrUnavailable }

// TestEveryQueryThatIsLostIsTakenBack: however many tasks tell at once that they are lost, no query stays marked as running here without tasks.
func TestEveryQueryThatIsLostIsTakenBack(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	e := &Engine{opts: Options{Peers: noPeers{}}, clock: clock.Real, logger: logger}
	s := newSupervisor(e)
	e.runner = exec.NewRunner(exec.RunnerConfig{Clock: clock.Real, Logger: logger, OnLost: s.lost, OnFailed: s.failed})
	defer func() { require.NoError(t, e.runner.Close()) }()
	defer s.close()

	const queries, tasks = 3_000, 4
	for oid := range metadata.OID(queries) {
		q := &runningQuery{tasks: true}
		q.life, q.end = context.WithCancel(s.ctx)
		q.stay, q.leave = context.WithCancel(q.life)
		s.mu.running[oid] = q
		for p := range int32(tasks) {
			s.lost(exec.TaskSpec{Query: uint64(oid), Partition: p}, errors.New("fenced"))
		}
	}
	require.True(t, s.wait(nil), "the loop is woken")
	require.True(t, s.takeBack())
	for oid, q := range s.queries() {
		require.False(t, s.runs(q), "query %d has no tasks and is not taken up again", oid)
	}
	require.True(t, s.takeBack(), "nothing is left to take back")
}
