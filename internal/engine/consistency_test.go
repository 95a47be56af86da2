package engine

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// deafLog is a log whose leaders do not answer in the time that one request has.
type deafLog struct{ exec.Log }

func (deafLog) Offsets(context.Context, exec.TopicPartition) (exec.Offsets, error) {
	return exec.Offsets{}, fmt.Errorf("%w (%w)", exec.ErrUnavailable, context.DeadlineExceeded)
}

// TestARequestThatTimesOutIsNoReasonToReadWhatIsOld: only when read_wait is over may a read go on without the newest rows, with a WARNING.
func TestARequestThatTimesOutIsNoReasonToReadWhatIsOld(t *testing.T) {
	fs := fsys.NewMem()
	require.NoError(t, fsys.MkdirAllSync(fs, "data"))
	id, _, err := metadata.FormatOrCheck(fs, "data", metadata.Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	meta, err := metadata.Open(t.Context(), metadata.Options{
		FS: fs, Dir: "data/meta", Identity: id, Release: "test", Clock: clock.Real, Rand: crand.Reader, Logger: logger, OnFatal: func(error) {},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, meta.Close()) }()
	e := &Engine{opts: Options{WaitIndex: func(context.Context, uint64) error { return nil }}, meta: meta, log: deafLog{}, clock: clock.Real, logger: logger}
	s := &session{e: e, set: newSettings(map[string]string{"consistency": "latest", "read_wait": "1h"})}
	r := &planner.Relation{OID: uint32(metadata.FirstOID), Name: "s", Kind: planner.Stream, Topic: "s", Partitions: 1}
	require.Equal(t, sqlerr.CannotConnectNow, sqlerr.CodeOf(s.await(t.Context(), []*planner.Relation{r})))
}
