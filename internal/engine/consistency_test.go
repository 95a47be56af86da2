package engine

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/pebblestore"
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
	logger := slog.New(slog.DiscardHandler)
	meta := openMetadata(t)
	e := &Engine{opts: Options{WaitIndex: func(context.Context, uint64) error { return nil }}, meta: meta, log: deafLog{}, clock: clock.Real, logger: logger}
	s := &session{e: e, set: newSettings(map[string]string{"consistency": "latest", "read_wait": "1h"})}
	r := &planner.Relation{OID: uint32(metadata.FirstOID), Name: "s", Kind: planner.Stream, Topic: "s", Partitions: 1}
	require.Equal(t, sqlerr.CannotConnectNow, sqlerr.CodeOf(s.await(t.Context(), []*planner.Relation{r})))
}

// openMetadata opens the metadata of a node alone.
func openMetadata(t *testing.T) *metadata.Store {
	t.Helper()
	fs := fsys.NewMem()
	require.NoError(t, fsys.MkdirAllSync(fs, "data"))
	id, _, err := metadata.FormatOrCheck(fs, "data", metadata.Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	meta, err := metadata.Open(t.Context(), metadata.Options{
		FS: fs, Dir: "data/meta", Identity: id, Release: "test", Clock: clock.Real, Rand: crand.Reader, Logger: slog.New(slog.DiscardHandler), OnFatal: func(error) {},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, meta.Close()) })
	return meta
}

// TestLocalStateOfWhatIsNoMoreIsDropped: it was dropped while this node did not run.
func TestLocalStateOfWhatIsNoMoreIsDropped(t *testing.T) {
	meta := openMetadata(t)
	store, err := pebblestore.Open(pebblestore.Options{FS: fsys.NewMem(), Dir: "state"})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	b := meta.NewBatch()
	first := b.TakeOIDs(2)
	r, err := meta.Apply(t.Context(), b)
	require.NoError(t, err)
	kept, gone := r.OID(first), r.OID(first)+1
	for _, oid := range []metadata.OID{kept, gone} {
		for partition := range int32(2) {
			p, err := store.Partition(exec.StateID{Object: uint64(oid), Fragment: 1, Partition: partition})
			require.NoError(t, err)
			rows := p.NewBatch(1, 16)
			rows.Set(1, []byte("k"), []byte("v"))
			require.NoError(t, rows.Commit())
			require.NoError(t, p.Close())
		}
	}
	b = meta.NewBatch()
	b.PutObject(metadata.Object{OID: kept, Kind: kindTable, Space: spaceRelation, Schema: "public", Name: "t"})
	_, err = meta.Apply(t.Context(), b)
	require.NoError(t, err)
	e := &Engine{opts: Options{State: store}, meta: meta, clock: clock.Real, logger: slog.New(slog.DiscardHandler)}
	e.super = newSupervisor(e)
	defer e.super.close()
	e.dropForgotten()
	objects, err := store.Objects()
	require.NoError(t, err)
	require.Equal(t, []uint64{uint64(kept)}, objects)
}
