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
	require.Equal(t, sqlerr.StatementCompletionUnknown, sqlerr.CodeOf(ddlError(fmt.Errorf("stopping: %w", metadata.ErrUnknownOutcome))))
}
