package metadata

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// brokerOf registers a broker whose release works at levels up to one, in place of the registration it may have.
func (m *machine) brokerOf(id int32, level uint32) error {
	b := m.batch()
	was, _ := m.image().Broker(id)
	epoch := uint64(0)
	if was != nil {
		epoch = was.Epoch
	}
	b.RegisterBroker(Broker{ID: id, Directory: UUID{byte(id)}, FeatureMax: level}, epoch)
	_, err := m.apply(b)
	return err
}

func TestTheFeatureLevelIsRaisedWhenAllNodesKnowIt(t *testing.T) {
	m := newMachine(t)
	for id := range int32(3) {
		require.NoError(t, m.brokerOf(id+1, 1))
	}
	for id := range int32(3) {
		require.EqualValues(t, 0, m.image().RaisableTo(), "node %d is of the older release", id+1)
		require.NoError(t, m.brokerOf(id+1, 2))
	}
	require.EqualValues(t, 2, m.image().RaisableTo())
	require.NoError(t, m.brokerOf(2, 1), "it goes back, which it may as yet")
	require.EqualValues(t, 0, m.image().RaisableTo())
	require.NoError(t, m.brokerOf(2, 2))

	late := m.batch()
	late.RaiseLevel()
	require.NoError(t, m.brokerOf(3, 1))
	_, err := m.apply(late)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "node 3 works at levels 0 to 1")

	require.NoError(t, m.brokerOf(3, 2))
	m.must(func(b *Batch) { b.RaiseLevel() })
	require.EqualValues(t, 2, m.image().FeatureLevel())
	m.must(func(b *Batch) {
		b.RaiseLevel() // there is nothing to raise
		require.Zero(t, b.Len())
		b.ReleaseLevel()
	})
	err = m.brokerOf(1, 1)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "the cluster works at feature level 2")
	require.NoError(t, m.brokerOf(1, 3))
}

func TestAnOperatorCanHoldTheFeatureLevel(t *testing.T) {
	m := newMachine(t)
	require.NoError(t, m.brokerOf(1, 2))
	m.must(func(b *Batch) { b.HoldLevel(1) })
	require.EqualValues(t, 0, m.image().RaisableTo())
	m.must(func(b *Batch) { b.ReleaseLevel() })
	require.EqualValues(t, 2, m.image().RaisableTo())
}

func TestAFeatureLevelNeverGoesDown(t *testing.T) {
	m := newMachine(t)
	require.NoError(t, m.brokerOf(1, 2))
	m.must(func(b *Batch) { b.RaiseLevel() })
	m.refused(ErrInvalid, func(b *Batch) { b.add(setFeatureLevel{2, 1}) })
	m.refused(ErrVersionConflict, func(b *Batch) { b.add(setFeatureLevel{1, 2}) })
}

// TestWhatOlderReleasesCannotReadIsNotWritten before the level says that there are none.
func TestWhatOlderReleasesCannotReadIsNotWritten(t *testing.T) {
	since[kindDeleteTopic] = map[uint64]uint32{1: 2}
	defer delete(since, kindDeleteTopic)
	m := newMachine(t)
	require.NoError(t, m.brokerOf(1, 2))
	id := UUID{}
	m.must(func(b *Batch) { id = b.CreateTopic(TopicSpec{Name: "t", Partitions: 1}) })
	m.refused(ErrFeatureLevel, func(b *Batch) { b.DeleteTopic(id) })
	m.must(func(b *Batch) { b.RaiseLevel() })
	m.must(func(b *Batch) { b.DeleteTopic(id) })
}

// TestAnOlderReleaseStopsAtALevelThatItDoesNotKnow: at the entry that raises it, which is all that it may meet, and at a snapshot.
func TestAnOlderReleaseStopsAtALevelThatItDoesNotKnow(t *testing.T) {
	img := newImage()
	raise := func(to uint32) *raft.Log {
		b := newBatch(img, "9.9.0", rand.NewChaCha8([32]byte{}))
		b.add(setFeatureLevel{0, to})
		return &raft.Log{Index: 1, Type: raft.LogCommand, Data: b.entry.encode()}
	}
	for what, c := range map[string]struct {
		level uint32
		meets func(f *fsm) any
		says  string
	}{
		"a release that does not know how levels are raised": {1, func(f *fsm) any { return f.Apply(raise(2)) }, "metadata: entry at index 1 has kind 43 version 2, which this release does not know; start release 9.9.0 or newer"},
		"a release that does":                                {2, func(f *fsm) any { return f.Apply(raise(3)) }, "metadata: the cluster works at feature level 3, and this release knows 2 at most; start release 9.9.0 or newer"},
		"a snapshot": {2, func(f *fsm) any {
			raised := *img
			raised.featureLevel = 3
			var out bytes.Buffer
			require.NoError(t, (&snapshot{release: "9.9.0", image: &raised}).write(&out))
			return f.Restore(readCloser{&out})
		}, "metadata: the cluster works at feature level 3, and this release knows 2 at most; start release 9.9.0 or newer"},
	} {
		t.Run(what, func(t *testing.T) {
			var fatal error
			f := newFSM("1.0.0", c.level, func(err error) { fatal = err })
			err, _ := c.meets(f).(error)
			require.EqualError(t, err, c.says)
			require.Equal(t, err, fatal)
			require.Equal(t, err, f.Apply(raise(2)), "it applies nothing more")
		})
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }
