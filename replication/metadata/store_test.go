package metadata

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openTest opens a store on fs and closes it with the test.
func openTest(t testing.TB, fs fsys.FS) *Store {
	s, err := tryOpen(t, fs, func(err error) { t.Errorf("fatal: %v", err) })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func tryOpen(t testing.TB, fs fsys.FS, onFatal func(error)) (*Store, error) {
	return tryOpenClock(t, fs, clock.Real, onFatal)
}

func tryOpenClock(t testing.TB, fs fsys.FS, clk clock.Clock, onFatal func(error)) (*Store, error) {
	require.NoError(t, fsys.MkdirAllSync(fs, "data"))
	id, _, err := FormatOrCheck(fs, "data", Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	return Open(ctx, Options{
		FS: fs, Dir: "data/meta", Identity: id, Release: "0.1.0", Clock: clk, Rand: crand.Reader,
		Logger: slog.New(slog.DiscardHandler), OnFatal: onFatal,
	})
}

// apply builds and applies a batch that must succeed.
func apply(t testing.TB, s *Store, build func(b *Batch)) Result {
	b := s.NewBatch()
	build(b)
	r, err := s.Apply(t.Context(), b)
	require.NoError(t, err)
	return r
}

// refuse builds and applies a batch that must fail with want and change nothing.
func refuse(t testing.TB, s *Store, want error, build func(b *Batch)) {
	before := dump(s.Image())
	b := s.NewBatch()
	build(b)
	_, err := s.Apply(t.Context(), b)
	require.ErrorIs(t, err, want)
	require.Equal(t, before, dump(s.Image()))
}

// dump is everything in an image but its index, as bytes.
func dump(img *Image) []byte {
	same := *img
	same.index = 0
	var out bytes.Buffer
	if err := (&snapshot{image: &same}).write(&out); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func withBroker(t testing.TB, s *Store) uint64 {
	var ref Ref
	r := apply(t, s, func(b *Batch) { ref = b.RegisterBroker(Broker{ID: 1, Directory: s.opts.Identity.Directory}, 0) })
	return r.Epoch(ref)
}

func TestStoreKeepsWhatWasAppliedOverARestart(t *testing.T) {
	fs := fsys.NewMem()
	s := openTest(t, fs)
	epoch := withBroker(t, s)
	var ref Ref
	r := apply(t, s, func(b *Batch) {
		ref = b.PutObject(Object{Kind: "stream", Space: "relation", Schema: "public", Name: "orders", Payload: []byte("p")})
		b.CreateTopic(TopicSpec{Name: "orders", Partitions: 4, Configs: map[string]string{"fsync": "commit"}})
	})
	require.Equal(t, FirstOID, r.OID(ref))
	require.Greater(t, r.Index, epoch)
	before := dump(s.Image())
	require.NoError(t, s.Close())

	s = openTest(t, fs)
	require.Equal(t, before, dump(s.Image()))
	o, ok := s.Image().ObjectByName("relation", "public", "orders")
	require.True(t, ok)
	require.Equal(t, uint64(1), o.Version)
	topic, ok := s.Image().Topic("orders")
	require.True(t, ok)
	require.Len(t, topic.Partitions, 4)
	require.Equal(t, []int32{1}, topic.Partitions[3].ISR)
	require.EqualValues(t, DefaultReplicas, topic.WantedReplicas)
}

func TestStoreLeadsSoonAfterOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := fsys.NewMem()
		for range 3 {
			start := time.Now()
			s := openTest(t, fs)
			require.LessOrEqual(t, time.Since(start), 4*soloTimeout, "an election, and nobody else is waited for")
			require.NoError(t, s.Close())
		}
	})
}

func TestStoreAnswersARepeatedBatchOnceAndForAll(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	b := s.NewBatch()
	ref := b.TakeOIDs(3)
	first, err := s.Apply(t.Context(), b)
	require.NoError(t, err)
	again, err := s.Apply(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, first, again)
	r := apply(t, s, func(b *Batch) { ref = b.TakeOIDs(1) })
	require.Equal(t, FirstOID+3, r.OID(ref))
}

func TestStoreAppliesABatchWhollyOrNotAtAll(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	withBroker(t, s)
	apply(t, s, func(b *Batch) { b.CreateTopic(TopicSpec{Name: "taken", Partitions: 1}) })
	refuse(t, s, ErrExists, func(b *Batch) {
		b.PutObject(Object{Kind: "table", Space: "relation", Name: "t"})
		b.CreateTopic(TopicSpec{Name: "new", Partitions: 1})
		b.CreateTopic(TopicSpec{Name: "taken", Partitions: 1})
	})
}

func TestStoreWakesWatchers(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	img, changed := s.Watch()
	r := apply(t, s, func(b *Batch) { b.SetSetting(SettingKey{Scope: "cluster", Name: "x"}, "1") })
	<-changed
	require.Greater(t, s.Image().Index(), img.Index())
	now, err := s.WaitIndex(t.Context(), r.Index)
	require.NoError(t, err)
	v, ok := now.Setting(SettingKey{Scope: "cluster", Name: "x"})
	require.True(t, ok)
	require.Equal(t, "1", v)
}

func TestStoreRefusesABatchThatIsTooLarge(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	refuse(t, s, ErrTooLarge, func(b *Batch) {
		b.PutObject(Object{Kind: "view", Space: "relation", Name: "v", Payload: make([]byte, MaxEntryBytes)})
	})
}

func TestStoreRestoresFromASnapshotAndTheLogBehindIt(t *testing.T) {
	fs := fsys.NewMem()
	s := openTest(t, fs)
	epoch := withBroker(t, s)
	apply(t, s, func(b *Batch) {
		b.CreateTopic(TopicSpec{Name: "a", Partitions: 2})
		b.PutUser(User{Name: "ada", Login: true, Verifiers: []Verifier{{Mechanism: "SCRAM-SHA-256", Salt: []byte{1}, Iterations: 4096}}})
		b.PutACL(ACL{ResourceType: 2, ResourceName: "a", Principal: "User:ada", Operation: 3})
		b.PutObject(Object{Kind: "stream", Space: "relation", Name: "a", Payload: bytes.Repeat([]byte("x"), 600<<10)})
	})
	repeated := s.NewBatch()
	ref := repeated.TakeProducerIDs(1, epoch)
	first, err := s.Apply(t.Context(), repeated)
	require.NoError(t, err)
	require.Equal(t, ProducerIDBlock{First: 0, Len: ProducerIDBlockLen}, first.ProducerIDs(ref))
	require.NoError(t, s.Snapshot(t.Context()))
	apply(t, s, func(b *Batch) { b.CreateTopic(TopicSpec{Name: "b", Partitions: 1}) })
	before := dump(s.Image())
	require.NoError(t, s.Close())

	s = openTest(t, fs)
	require.Equal(t, before, dump(s.Image()))
	again, err := s.Apply(t.Context(), repeated)
	require.NoError(t, err, "request ids are in the snapshot")
	require.Equal(t, first, again)
	all, err := s.store.List()
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestStoreKeepsTheTwoNewestSnapshots(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	for range 4 {
		apply(t, s, func(b *Batch) { b.TakeOIDs(1) })
		require.NoError(t, s.Snapshot(t.Context()))
	}
	all, err := s.store.List()
	require.NoError(t, err)
	require.Len(t, all, keptSnapshots)
	require.Greater(t, all[0].Index, all[1].Index)
}

// lostFuture is one that raft had in a queue when it was shut down.
type lostFuture struct{ never chan struct{} }

func (f lostFuture) Error() error { <-f.never; return nil }

func TestCloseWaitsForNothingThatRaftHasForgotten(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	lost := lostFuture{make(chan struct{})}
	defer close(lost.never)
	answered := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		answered <- s.wait(context.Background(), s.group.Load(), lost)
	}()
	<-begun
	require.NoError(t, s.Close())
	err := <-answered
	require.True(t, errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrClosed), "%v", err)
}

func TestStoreStopsAtAnEntryOfANewerRelease(t *testing.T) {
	fs := fsys.NewMem()
	fatal := make(chan error, 8)
	s, err := tryOpen(t, fs, func(err error) { fatal <- err })
	require.NoError(t, err)
	m := appendUint(appendUint(nil, 1, 999), 2, 1)
	data := appendElement(appendString(appendUint(appendUint(nil, 1, entryKindBatch), 2, 1), 3, "9.9.0"), 5, m)
	f := s.group.Load().Apply(data, time.Second)
	require.NoError(t, f.Error())
	var unknown *UnknownEntryError
	require.ErrorAs(t, <-fatal, &unknown)
	require.Equal(t, uint64(999), unknown.Kind)
	require.Contains(t, unknown.Error(), "release 9.9.0")

	b := s.NewBatch()
	b.TakeOIDs(1)
	_, err = s.Apply(t.Context(), b)
	require.ErrorAs(t, err, &unknown, "nothing is applied any more")
	require.NoError(t, s.Close())

	_, err = tryOpen(t, fs, func(error) {})
	require.ErrorAs(t, err, &unknown, "it does not open with this release")
}

func TestStoreRefusesAGroupOfAnotherDirectory(t *testing.T) {
	fs := fsys.NewMem()
	require.NoError(t, openTest(t, fs).Close())
	require.NoError(t, fs.Remove("data/meta.properties"))
	ctx := t.Context()
	_, err := tryOpen(t, fs, func(error) {})
	require.ErrorIs(t, err, ErrForeignData)
	require.NoError(t, ctx.Err())
}

// A machine with an empty disk is started at the address of a node that the group has not forgotten yet: it gets that one's entries, and is taken in when the other is removed.
func TestStoreThatGotEntriesOfAnotherMemberAsksToBeTakenIn(t *testing.T) {
	fs := fsys.NewMem()
	require.NoError(t, openTest(t, fs).Close())
	other := fsys.NewMem()
	require.NoError(t, fsys.MkdirAllSync(other, "data"))
	id, _, err := FormatOrCheck(other, "data", Identity{NodeID: 1}, crand.Reader)
	require.NoError(t, err)
	asked := errors.New("asked")
	open := func(data bool) error {
		peers := &Peers{Found: func(context.Context) (bool, error) { return false, nil }, Join: func(context.Context, []string) error { return asked }}
		_, err := Open(t.Context(), Options{
			FS: fs, Dir: "data/meta", Identity: id, Release: "0.1.0", Clock: clock.Real, Rand: crand.Reader, Logger: slog.New(slog.DiscardHandler), OnFatal: func(error) {}, Peers: peers, HasData: data,
		})
		return err
	}
	require.ErrorIs(t, open(false), asked)
	require.ErrorIs(t, open(true), ErrForeignData, "whose partitions are these?")
}

func TestStoreFoundsNoGroupBesideOldPartitions(t *testing.T) {
	_, err := Open(t.Context(), Options{
		FS: fsys.NewMem(), Dir: "meta", Identity: Identity{ClusterID: "c", NodeID: 1, Directory: UUID{1}}, Release: "0.1.0", Clock: clock.Real,
		Rand: crand.Reader, Logger: slog.New(slog.DiscardHandler), OnFatal: func(error) {}, HasData: true,
	})
	require.ErrorIs(t, err, ErrLost)
}

func TestStoreAnswersClosedAfterClose(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	require.NoError(t, s.Close())
	b := s.NewBatch()
	b.TakeOIDs(1)
	_, err := s.Apply(t.Context(), b)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.Barrier(t.Context()), ErrClosed)
	_, err = s.WaitIndex(t.Context(), 1<<40)
	require.ErrorIs(t, err, ErrClosed)
}

func TestStoreBreaksOffWhenTheContextEnds(t *testing.T) {
	s := openTest(t, fsys.NewMem())
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err := s.WaitIndex(ctx, 1<<40)
	require.ErrorContains(t, err, "enough")
}

var _ raft.SnapshotSink = (*snapSink)(nil)
