package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// noPeers is a cluster of which nobody answers.
type noPeers struct{}

func (noPeers) Ask(context.Context, int32, []byte) ([]byte, error) { return nil, exec.ErrUnavailable }

// TestEveryTaskThatIsLostIsTakenBack: however many tasks tell at once that they are lost, none stays marked as running here without doing so.
func TestEveryTaskThatIsLostIsTakenBack(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	e := &Engine{opts: Options{Peers: noPeers{}}, clock: clock.Real, logger: logger}
	s := newSupervisor(e)
	e.runner = exec.NewRunner(exec.RunnerConfig{Clock: clock.Real, Logger: logger, OnLost: s.lost, OnFailed: s.failed})
	defer func() { require.NoError(t, e.runner.Close()) }()
	defer s.close()

	const queries, tasks = 3_000, 4
	for oid := range metadata.OID(queries) {
		q := &runningQuery{own: map[exec.TaskKey]struct{}{}}
		q.life, q.end = context.WithCancel(s.ctx)
		q.placed, q.move = context.WithCancel(q.life)
		s.mu.running[oid] = q
		for p := range int32(tasks) {
			spec := exec.TaskSpec{Query: uint64(oid), Partition: p, Fragment: &planner.Fragment{ID: 1}}
			q.own[spec.Key()] = struct{}{}
			s.lost(spec, errors.New("fenced"))
		}
	}
	require.True(t, s.wait(nil), "the loop is woken")
	require.True(t, s.takeBack())
	for oid, q := range s.queries() {
		require.Empty(t, q.own, "tasks of query %d do not run and are not taken up again", oid)
	}
	require.True(t, s.takeBack(), "nothing is left to take back")
}
