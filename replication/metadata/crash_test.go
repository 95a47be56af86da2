package metadata

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
)

// ddl is one statement's batch: an object, a topic of its own and one of a query, which must come together or not at all.
func ddl(b *Batch, i int) {
	name := fmt.Sprintf("t%d", i)
	b.PutObject(Object{Kind: "view", Space: "relation", Schema: "public", Name: name, Payload: make([]byte, 100_000)})
	b.CreateTopic(TopicSpec{Name: name, Partitions: 3})
	b.CreateTopic(TopicSpec{Name: name + "-state", Partitions: 3, Owner: Owner{Kind: OwnerInternal}})
}

// ddlParts counts how much of ddl i is there, of 3.
func ddlParts(img *Image, i int) (n int) {
	name := fmt.Sprintf("t%d", i)
	_, object := img.ObjectByName("relation", "public", name)
	_, topic := img.Topic(name)
	_, state := img.Topic(name + "-state")
	for _, there := range []bool{object, topic, state} {
		if there {
			n++
		}
	}
	return n
}

const ddls = 12

// crashDuring runs ddls statements, one snapshot among them, and returns the file system as it was before its call number at, and how many statements were acknowledged
// by then; nil if there were fewer calls.
func crashDuring(t *testing.T, fs *fsys.Mem, at int64, rng *rand.Rand) (crashed *fsys.Mem, acked int64) {
	s := openTest(t, fs)
	withBroker(t, s)
	var calls, done atomic.Int64
	fs.Inject(func(fsys.Op, string) error {
		if calls.Add(1) == at {
			acked = done.Load()
			crashed = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		}
		return nil
	})
	for i := range ddls {
		apply(t, s, func(b *Batch) { ddl(b, i) })
		done.Add(1)
		if i == ddls/2 {
			require.NoError(t, s.Snapshot(t.Context()))
		}
	}
	fs.Inject(nil)
	require.NoError(t, s.Close())
	return crashed, acked
}

func TestDDLIsWhollyThereAfterACrashOrNotAtAll(t *testing.T) {
	points := 0
	for at := int64(1); ; at += 1 + int64(points%11) {
		rng := rand.New(rand.NewPCG(uint64(at), 1))
		crashed, acked := crashDuring(t, fsys.NewMem(), at, rng)
		if crashed == nil {
			break
		}
		points++
		s := openTest(t, crashed)
		for i := range ddls {
			switch n := ddlParts(s.Image(), i); {
			case i < int(acked):
				require.Equal(t, 3, n, "call %d: statement %d was acknowledged", at, i)
			default:
				require.Contains(t, []int{0, 3}, n, "call %d: statement %d", at, i)
			}
		}
		apply(t, s, func(b *Batch) { ddl(b, ddls) })
		require.NoError(t, s.Close())
	}
	t.Logf("%d crash points", points)
	require.Greater(t, points, ddls, "the crash points reach into every statement")
}

func TestWithoutItsSyncTheLogLosesAcknowledgedEntries(t *testing.T) {
	fs := fsys.NewMem()
	s := openTest(t, fs)
	withBroker(t, s)
	fs.SkipSyncs(func(op fsys.Op, p string) bool { return op == fsys.OpSync && path.Ext(p) == ".log" })
	apply(t, s, func(b *Batch) { ddl(b, 0) })
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	fs.SkipSyncs(nil)
	require.Zero(t, ddlParts(openTest(t, crashed).Image(), 0), "the sync is what makes it durable")
}

// metadataFails has no write of the metadata succeed.
func metadataFails(op fsys.Op, p string) error {
	if (op == fsys.OpSync || op == fsys.OpWrite) && path.Dir(p) == "data/meta" {
		return syscall.EIO
	}
	return nil
}

func TestAFailedWriteStopsTheNodeAndIsNotBelieved(t *testing.T) {
	fs := fsys.NewMem()
	fatal := make(chan error, 64)
	s, err := tryOpen(t, fs, func(err error) { fatal <- err })
	require.NoError(t, err)
	fs.Inject(metadataFails)
	b := s.NewBatch()
	b.TakeOIDs(1)
	_, err = s.Apply(t.Context(), b)
	require.Error(t, err)
	require.ErrorContains(t, <-fatal, syscall.EIO.Error())
	_, err = s.Apply(t.Context(), b)
	require.Error(t, err, "nothing is written after a failed write")
	_ = s.Close() // it says that the database could not be closed in order
	fs.Inject(nil)
}

func TestAWriteThatHangsStopsTheNode(t *testing.T) {
	fs := fsys.NewMem()
	fatal := make(chan error, 64)
	clk := newManualClock()
	s, err := tryOpenClock(t, fs, clk, func(err error) { fatal <- err })
	require.NoError(t, err)
	gate, entered := make(chan struct{}), make(chan struct{}, 64)
	fs.Inject(func(op fsys.Op, p string) error {
		if op == fsys.OpSync && path.Ext(p) == ".log" {
			entered <- struct{}{}
			<-gate
		}
		return nil
	})
	b := s.NewBatch()
	b.TakeOIDs(1)
	applied := make(chan error, 1)
	go func() {
		_, err := s.Apply(t.Context(), b)
		applied <- err
	}()
	<-entered
	clk.fire()
	require.ErrorContains(t, <-fatal, "took longer than")
	fs.Inject(nil)
	close(gate)
	err = <-applied
	require.Error(t, err)
	require.True(t, errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrNotLeader), "%v", err)
	_ = s.Close() // it says what has failed
}

// TestAStoreWhoseDiskFailsAsItsFirstMemberJoinsCanBeClosed: raft is opened anew then, and never comes to lead.
func TestAStoreWhoseDiskFailsAsItsFirstMemberJoinsCanBeClosed(t *testing.T) {
	fs := fsys.NewMem()
	fatal := make(chan error, 64)
	s, err := tryOpen(t, fs, func(err error) { fatal <- err })
	require.NoError(t, err)
	fs.Inject(metadataFails)
	added := make(chan error, 1)
	go func() { added <- s.AddMember(t.Context(), UUID{1}, "elsewhere:7433") }()
	require.ErrorContains(t, <-fatal, syscall.EIO.Error())
	_ = s.Close() // it says that the database could not be closed in order
	require.ErrorIs(t, <-added, ErrClosed)
	fs.Inject(nil)
}
