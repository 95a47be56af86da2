package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// TestAWriteThatIsRefusedByWhoLeadsNoMoreIsRepeated: drivers do so after 40001, and after no other.
func TestAWriteThatIsRefusedByWhoLeadsNoMoreIsRepeated(t *testing.T) {
	refused := func(why error) error {
		return sqlerr.New(sqlerr.InsufficientResources, "the table's partition takes no writes now: %w", lane.Explain(why))
	}
	for _, x := range []struct {
		err  error
		code sqlerr.Code
	}{
		{refused(kerr.NotLeaderForPartition), sqlerr.SerializationFailure},
		{refused(kerr.KafkaStorageError), sqlerr.InsufficientResources},
		{sqlerr.New(sqlerr.StatementCompletionUnknown, "unknown: %w", kerr.NotLeaderForPartition), sqlerr.StatementCompletionUnknown},
	} {
		err := ledElsewhere(x.err)
		require.Equal(t, x.code, sqlerr.CodeOf(err))
		require.ErrorIs(t, err, x.err)
		if x.code == sqlerr.InsufficientResources {
			require.ErrorIs(t, err, exec.ErrUnavailable)
		}
	}
}
