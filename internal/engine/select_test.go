package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
)

// countedSnapshot counts how often it is closed.
type countedSnapshot struct {
	exec.StateSnapshot
	closed int
}

func (s *countedSnapshot) Close() error {
	s.closed++
	return nil
}

// TestAPlanThatPanicsAsItIsOpenedGivesItsSnapshotBack: the connection survives the panic, and the node would not close with a snapshot open.
func TestAPlanThatPanicsAsItIsOpenedGivesItsSnapshotBack(t *testing.T) {
	state, cancelled := &countedSnapshot{}, false
	snap := &snapshot{state: state, cancel: func() { cancelled = true }}
	require.Panics(t, func() { _, _ = openOver(nil, nil, snap) })
	require.Equal(t, 1, state.closed)
	require.True(t, cancelled)
}
