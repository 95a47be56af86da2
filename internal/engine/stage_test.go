package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// TestAChangeThatWasMadeIsNotSaidToBeNone: who hears 57P03 sends the statement again, and would hear that its relation exists.
func TestAChangeThatWasMadeIsNotSaidToBeNone(t *testing.T) {
	gone := fmt.Errorf("waiting: %w", exec.ErrUnavailable)
	require.Equal(t, sqlerr.StatementCompletionUnknown, sqlerr.CodeOf(afterChange(gone)))
	require.ErrorIs(t, afterChange(gone), exec.ErrUnavailable)
	for _, err := range []error{nil, context.Canceled, errReplaced, sqlerr.New(sqlerr.UniqueViolation, "taken")} {
		require.Equal(t, err, afterChange(err))
	}
}

func TestWhatTheMetadataRefusesHasAnSQLSTATE(t *testing.T) {
	for err, code := range map[error]sqlerr.Code{
		metadata.ErrVersionConflict: sqlerr.SerializationFailure, metadata.ErrStaleEpoch: sqlerr.SerializationFailure, metadata.ErrExists: sqlerr.DuplicateTable,
		metadata.ErrInvalid: sqlerr.InvalidParameterValue, metadata.ErrTooLarge: sqlerr.ProgramLimitExceeded, metadata.ErrFeatureLevel: sqlerr.ObjectNotInPrerequisiteState,
		metadata.ErrUnknownOutcome: sqlerr.StatementCompletionUnknown, metadata.ErrNoLeader: sqlerr.CannotConnectNow, metadata.ErrClosed: sqlerr.AdminShutdown,
	} {
		require.Equal(t, code, sqlerr.CodeOf(ddlError(fmt.Errorf("why: %w", err))), err)
	}
	noQuorum := fmt.Errorf("%w: %w", metadata.ErrNotLeader, metadata.ErrNoLeader)
	require.Equal(t, sqlerr.CannotConnectNow, sqlerr.CodeOf(ddlError(noQuorum)))
	inDoubt := fmt.Errorf("%w: %w", metadata.ErrUnknownOutcome, metadata.ErrNoLeader)
	require.Equal(t, sqlerr.StatementCompletionUnknown, sqlerr.CodeOf(ddlError(inDoubt)))
	cancelled := fmt.Errorf("%w: %w", metadata.ErrNotLeader, context.Canceled)
	require.ErrorIs(t, cause(t.Context(), ddlError(cancelled)), context.Canceled)
}
