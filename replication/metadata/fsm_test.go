package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// machine is a Machine with the assertions of tests.
type machine struct {
	*Machine
	t require.TestingT
}

func newMachine(t require.TestingT) *machine {
	return &machine{NewMachine(rand.NewChaCha8([32]byte{}), func(err error) { require.NoError(t, err) }), t}
}

func (m *machine) image() *Image                  { return m.Image() }
func (m *machine) batch() *Batch                  { return m.NewBatch() }
func (m *machine) apply(b *Batch) (Result, error) { return m.Apply(b) }

func (m *machine) must(build func(b *Batch)) Result {
	b := m.batch()
	build(b)
	r, err := m.apply(b)
	require.NoError(m.t, err)
	return r
}

func (m *machine) refused(want error, build func(b *Batch)) error {
	before := dump(m.image())
	b := m.batch()
	build(b)
	_, err := m.apply(b)
	require.ErrorIs(m.t, err, want)
	require.Equal(m.t, before, dump(m.image()), "a refused batch changes nothing")
	return err
}

func (m *machine) broker(id int32) uint64 {
	var ref Ref
	r := m.must(func(b *Batch) { ref = b.RegisterBroker(Broker{ID: id, Directory: UUID{byte(id)}}, 0) })
	return r.Epoch(ref)
}

func TestBrokersAreReplacedByEpoch(t *testing.T) {
	m := newMachine(t)
	epoch := m.broker(1)
	m.refused(ErrExists, func(b *Batch) { b.RegisterBroker(Broker{ID: 1}, 0) })
	m.refused(ErrStaleEpoch, func(b *Batch) { b.RegisterBroker(Broker{ID: 1}, epoch+1) })
	m.refused(ErrNotFound, func(b *Batch) { b.RegisterBroker(Broker{ID: 2}, epoch) })
	m.refused(ErrInvalid, func(b *Batch) { b.RegisterBroker(Broker{ID: 1 + 2*IDClasses}, 0) })
	m.must(func(b *Batch) {
		b.RegisterBroker(Broker{ID: 1, Directory: UUID{1}, Endpoints: []Endpoint{{Name: "kafka", Host: "h", Port: 9092}}}, epoch)
	})
	k, _ := m.image().Broker(1)
	require.Greater(t, k.Epoch, epoch)
	require.EqualValues(t, 9092, k.Endpoints[0].Port)
	m.refused(ErrInvalid, func(b *Batch) { b.RegisterBroker(Broker{ID: 1, Directory: UUID{9}}, k.Epoch) })
	m.refused(ErrStaleEpoch, func(b *Batch) { b.SetBrokerState(1, epoch, true, false) })
	m.must(func(b *Batch) { b.SetBrokerState(1, k.Epoch, true, false) })
	m.refused(ErrInvalid, func(b *Batch) { b.CreateTopic(TopicSpec{Name: "t", Partitions: 1}) })
	m.must(func(b *Batch) { b.UnregisterBroker(1, k.Epoch) })
	m.refused(ErrNotFound, func(b *Batch) { b.UnregisterBroker(1, k.Epoch) })
}

func TestReplicasAndLeadersAreSpread(t *testing.T) {
	m := newMachine(t)
	for id := range int32(4) {
		m.broker(id + 1)
	}
	m.must(func(b *Batch) { b.CreateTopic(TopicSpec{Name: "t", Partitions: 12, Replicas: 3}) })
	topic, _ := m.image().Topic("t")
	leads, holds := map[int32]int{}, map[int32]int{}
	for _, p := range topic.Partitions {
		leads[p.Leader]++
		require.Len(t, p.Replicas, 3)
		require.False(t, hasDuplicates(p.Replicas))
		for i, r := range p.Replicas {
			holds[r]++
			require.Equal(t, UUID{byte(r)}, p.Directories[i])
		}
	}
	for id := range int32(4) {
		require.Equal(t, 3, leads[id+1])
		require.Equal(t, 9, holds[id+1])
	}
}

func TestPartitionChangesAreCompareAndSwap(t *testing.T) {
	m := newMachine(t)
	e1, e2 := m.broker(1), m.broker(2)
	id := UUID{}
	m.must(func(b *Batch) { id = b.CreateTopic(TopicSpec{Name: "t", Partitions: 1}) })
	topic, _ := m.image().TopicByID(id)
	was := topic.Partitions[0]
	alone := was
	alone.ISR = []int32{was.Leader}
	m.must(func(b *Batch) { b.ChangePartition(id, was, alone, false, nil) })
	err := m.refused(ErrStaleEpoch, func(b *Batch) { b.ChangePartition(id, was, alone, false, nil) })
	require.ErrorContains(t, err, "leader epoch 0, partition epoch 1")

	topic, _ = m.image().TopicByID(id)
	now := topic.Partitions[0]
	grown := now
	grown.ISR = []int32{1, 2}
	m.refused(ErrIneligible, func(b *Batch) { b.ChangePartition(id, now, grown, false, []uint64{e1, e2 + 7}) })
	m.refused(ErrInvalid, func(b *Batch) { b.ChangePartition(id, now, grown, false, []uint64{e1}) })
	for name, bad := range map[string]func(p *Partition){
		"leader not in sync":              func(p *Partition) { p.ISR = []int32{3 - p.Leader} },
		"a stranger in the ISR":           func(p *Partition) { p.ISR = []int32{1, 2, 3} },
		"nobody in sync or eligible":      func(p *Partition) { p.ISR = nil },
		"a new leader in the same epoch":  func(p *Partition) { p.ISR, p.Leader = []int32{1, 2}, 3-p.Leader },
		"an ISR that grows in recovering": func(p *Partition) { p.ISR, p.RecoveryState = []int32{1, 2}, Recovering },
	} {
		t.Run(name, func(t *testing.T) {
			next := now
			bad(&next)
			m.refused(ErrInvalid, func(b *Batch) { b.ChangePartition(id, now, next, false, nil) })
		})
	}
	other := 3 - now.Leader
	k, _ := m.image().Broker(other)
	m.must(func(b *Batch) { b.SetBrokerState(other, k.Epoch, true, false) })
	m.refused(ErrIneligible, func(b *Batch) { b.ChangePartition(id, now, grown, false, nil) })
	m.must(func(b *Batch) { b.SetBrokerState(other, k.Epoch, false, false) })
	m.must(func(b *Batch) { b.ChangePartition(id, now, grown, false, []uint64{e1, e2}) })
}

func TestObjectsKeepTheirDependencies(t *testing.T) {
	m := newMachine(t)
	var first Ref
	r := m.must(func(b *Batch) { first = b.TakeOIDs(2) })
	table, view := r.OID(first), r.OID(first)+1
	object := func(oid OID, name string, needs ...OID) Object {
		return Object{OID: oid, Kind: "view", Space: "relation", Schema: "public", Name: name, DependsOn: needs}
	}
	m.refused(ErrNotFound, func(b *Batch) { b.PutObject(object(view, "v", table)) })
	m.must(func(b *Batch) { // in one batch the order does not matter
		b.PutObject(object(view, "v", table))
		b.PutObject(object(table, "t"))
	})
	require.Equal(t, []OID{view}, m.image().Dependents(table))
	err := m.refused(ErrDependents, func(b *Batch) { b.DeleteObject(table, 1) })
	require.ErrorContains(t, err, `"v" needs it`)
	m.must(func(b *Batch) {
		b.DeleteObject(table, 1)
		b.DeleteObject(view, 1)
	})
	require.Empty(t, m.image().Dependents(table))
}

func TestObjectsArePutByVersion(t *testing.T) {
	m := newMachine(t)
	o := Object{Kind: "view", Space: "relation", Schema: "public", Name: "v"}
	var ref Ref
	r := m.must(func(b *Batch) { ref = b.PutObject(o) })
	m.refused(ErrExists, func(b *Batch) { b.PutObject(o) })
	o.OID, o.Name, o.Version = r.OID(ref), "w", 1
	m.must(func(b *Batch) { b.PutObject(o) })
	_, ok := m.image().ObjectByName("relation", "public", "v")
	require.False(t, ok, "the old name is free")
	err := m.refused(ErrVersionConflict, func(b *Batch) { b.PutObject(o) })
	require.ErrorContains(t, err, "at version 2, not 1")
	o.Version = 0
	m.refused(ErrExists, func(b *Batch) { b.PutObject(o) })
	m.refused(ErrInvalid, func(b *Batch) { b.PutObject(Object{OID: 99999, Name: "x"}) })
	m.refused(ErrInvalid, func(b *Batch) { b.PutObject(Object{Name: "zero\x00byte"}) })
	m.refused(ErrVersionConflict, func(b *Batch) { b.DeleteObject(o.OID, 1) })
	m.must(func(b *Batch) { b.DeleteObject(o.OID, 2) })
}

func TestAnObjectThatOwnsATopicStays(t *testing.T) {
	m := newMachine(t)
	m.broker(1)
	var ref Ref
	oid := m.must(func(b *Batch) { ref = b.PutObject(Object{Kind: "table", Space: "relation", Name: "t"}) }).OID(ref)
	owner := Owner{Kind: OwnerSQL, OID: oid}
	var id UUID
	m.must(func(b *Batch) { id = b.CreateTopic(TopicSpec{Name: "t", Partitions: 1, Owner: owner}) })
	for topic := range m.image().TopicsOwnedBy(oid) {
		require.Equal(t, "t", topic.Name)
	}
	m.refused(ErrDependents, func(b *Batch) { b.DeleteObject(oid, 1) })
	m.refused(ErrVersionConflict, func(b *Batch) { b.SetTopicOwner(id, Owner{}, owner) })
	m.must(func(b *Batch) { b.SetTopicOwner(id, owner, Owner{}) })
	m.must(func(b *Batch) { b.DeleteObject(oid, 1) })
}

func TestOneBatchChangesATopicManyTimes(t *testing.T) {
	m := newMachine(t)
	m.broker(1)
	var id UUID
	m.must(func(b *Batch) { id = b.CreateTopic(TopicSpec{Name: "t", Partitions: 3}) })
	old, _ := m.image().TopicByID(id)
	before := old.append(nil)
	m.must(func(b *Batch) {
		for _, p := range old.Partitions {
			b.ChangePartition(id, p, p, true, nil)
		}
		b.AddPartitions(old, 5)
		b.SetTopicConfigs(id, map[string]string{"fsync": "interval"})
		b.SetTopicOwner(id, Owner{}, Owner{Kind: OwnerInternal})
	})
	require.Equal(t, before, old.append(nil), "the older image keeps what it had")
	for _, byName := range []bool{false, true} {
		now, ok := m.image().TopicByID(id)
		if byName {
			now, ok = m.image().Topic("t")
		}
		require.True(t, ok)
		require.Len(t, now.Partitions, 5)
		require.EqualValues(t, 1, now.Partitions[2].LeaderEpoch)
		require.Equal(t, "interval", now.Configs["fsync"])
		require.Equal(t, OwnerInternal, now.Owner.Kind)
	}
	m.refused(ErrStaleEpoch, func(b *Batch) {
		b.SetTopicConfigs(id, nil, "fsync")
		b.ChangePartition(id, old.Partitions[0], old.Partitions[0], true, nil)
	})
}

func TestElectionsOfALargeTopicFitTheirEntries(t *testing.T) {
	m := newMachine(t)
	m.broker(1)
	m.must(func(b *Batch) { b.CreateTopic(TopicSpec{Name: "t", Partitions: MaxPartitions}) })
	batches := elections(m.image(), 1, m.batch)
	require.Len(t, batches, (MaxPartitions+maxElections-1)/maxElections)
	for _, b := range batches {
		require.Less(t, len(b.entry.encode()), MaxEntryBytes)
		_, err := m.apply(b)
		require.NoError(t, err)
	}
	topic, _ := m.image().Topic("t")
	for _, p := range topic.Partitions {
		require.EqualValues(t, 1, p.LeaderEpoch)
	}
}

func TestTopicNamesAreThoseThatKafkaCarries(t *testing.T) {
	for _, bad := range []string{"", ".", "..", "a b", "ü", "a/b", "a\x00", string(bytes.Repeat([]byte("x"), 250))} {
		require.ErrorIs(t, CheckTopicName(bad), ErrInvalid, "%q", bad)
	}
	require.NoError(t, CheckTopicName("A.b_c-9"))
}

func TestUsersHaveOneNameEach(t *testing.T) {
	m := newMachine(t)
	m.must(func(b *Batch) {
		b.PutUser(User{OID: BootstrapUserOID, Name: "millrace", Superuser: true, Login: true, ConnLimit: -1})
	})
	var ref Ref
	oid := m.must(func(b *Batch) { ref = b.PutUser(User{Name: "ada"}) }).OID(ref)
	require.Equal(t, FirstOID, oid)
	m.refused(ErrExists, func(b *Batch) { b.PutUser(User{Name: "ada"}) })
	m.must(func(b *Batch) {
		b.PutUser(User{OID: oid, Name: "grace", Version: 1, Settings: map[string]string{"timezone": "UTC"}})
	})
	_, ok := m.image().User("ada")
	require.False(t, ok)
	u, _ := m.image().UserByOID(oid)
	require.Equal(t, "UTC", u.Settings["timezone"])
	m.refused(ErrVersionConflict, func(b *Batch) { b.DeleteUser(oid, 1) })
	m.must(func(b *Batch) { b.DeleteUser(oid, 2) })
}

func TestProducerIDsAreGivenOnce(t *testing.T) {
	m := newMachine(t)
	epoch := m.broker(1)
	for i := range int64(3) {
		var ref Ref
		r := m.must(func(b *Batch) { ref = b.TakeProducerIDs(1, epoch) })
		require.Equal(t, i*ProducerIDBlockLen, r.ProducerIDs(ref).First)
	}
	m.refused(ErrStaleEpoch, func(b *Batch) { b.TakeProducerIDs(1, epoch+1) })
}

func TestOnlyTheLastRequestsAreRemembered(t *testing.T) {
	q := newRequests()
	id := func(i int) UUID { return UUID{byte(i >> 16), byte(i >> 8), byte(i)} }
	for i := range MaxRequests + 5 {
		q.add(&outcome{request: id(i), index: uint64(i)})
	}
	_, ok := q.get(id(4))
	require.False(t, ok)
	o, ok := q.get(id(5))
	require.True(t, ok)
	require.EqualValues(t, 5, o.index)
	list := q.list()
	require.Len(t, list, MaxRequests)
	require.EqualValues(t, 5, list[0].index)
	require.EqualValues(t, MaxRequests+4, list[MaxRequests-1].index)
}

func TestRefusalsSurviveASnapshotAsTheyWere(t *testing.T) {
	for _, err := range errCodes {
		if err == nil {
			continue
		}
		want := &outcome{request: UUID{1}, index: 9, err: &Error{err, "topic", "t", "why"}}
		got, derr := decodeOutcome(want.append(nil))
		require.NoError(t, derr)
		require.Equal(t, want, got)
		require.ErrorIs(t, got.err, err)
	}
}

// TestStateMachineAgreesWithAModel runs random batches against plain maps. After each, snapshots read back as they were, and images made
// before have not changed.
func TestStateMachineAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		m.broker(1)
		objects, topics := map[string]Object{}, map[string]int{}
		names := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		oldImage, oldDump := m.image(), dump(m.image())
		for range rapid.IntRange(1, 20).Draw(t, "batches") {
			b, nextO, nextT, ok := m.batch(), clone(objects), clone(topics), true
			made := map[string]bool{} // topics of this batch: their ids are not known yet
			for range rapid.IntRange(1, 3).Draw(t, "changes") {
				name := names.Draw(t, "name")
				switch rapid.IntRange(0, 5).Draw(t, "op") {
				case 0:
					o, there := nextO[name]
					if !there {
						o = Object{Space: "relation", Kind: "view", Name: name}
					}
					if there && o.OID == 0 {
						continue // made in this batch: its OID is not known yet
					}
					if rapid.Bool().Draw(t, "stale") && there {
						o.Version += 3
						ok = false
					}
					o.Comment = fmt.Sprint(m.index)
					b.PutObject(o)
					o.Version++
					nextO[name] = o
				case 1:
					o, there := nextO[name]
					if there && o.OID == 0 {
						continue
					}
					ok = ok && there
					b.DeleteObject(o.OID, o.Version)
					delete(nextO, name)
				case 2, 3:
					_, there := nextT[name]
					ok = ok && !there
					b.CreateTopic(TopicSpec{Name: name, Partitions: 2})
					nextT[name], made[name] = 2, true
				case 4:
					topic, there := m.image().Topic(name)
					if _, still := nextT[name]; !there || !still || made[name] || nextT[name] != len(topic.Partitions) {
						continue
					}
					b.AddPartitions(topic, int32(nextT[name]+1))
					nextT[name]++
				case 5:
					topic, there := m.image().Topic(name)
					if _, still := nextT[name]; !there || !still || made[name] {
						continue
					}
					b.DeleteTopic(topic.ID)
					delete(nextT, name)
				}
			}
			_, err := m.apply(b)
			require.Equal(t, ok, err == nil, "%v", err)
			var refusal *Error
			require.True(t, err == nil || errors.As(err, &refusal))
			if ok {
				objects, topics = nextO, nextT
			}
			compare(t, m.image(), objects, topics)
			require.Equal(t, oldDump, dump(oldImage), "images do not change")
			oldImage, oldDump = m.image(), dump(m.image())
			img, _, err := readSnapshot(bytes.NewReader(oldDump), FeatureMax)
			require.NoError(t, err)
			require.Equal(t, oldDump, dump(img))
		}
	})
}

func clone[V any](m map[string]V) map[string]V {
	out := map[string]V{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// compare checks img against the model and fills in the OIDs that applying gave.
func compare(t *rapid.T, img *Image, objects map[string]Object, topics map[string]int) {
	n := 0
	for o := range img.Objects() {
		want, ok := objects[o.Name]
		require.True(t, ok, "object %s", o.Name)
		want.OID = o.OID
		require.Equal(t, want, *o)
		objects[o.Name] = want
		byName, ok := img.ObjectByName("relation", "", o.Name)
		require.True(t, ok)
		require.Same(t, o, byName)
		n++
	}
	require.Len(t, objects, n)
	require.Equal(t, len(topics), img.TopicCount())
	for topic := range img.Topics() {
		require.Len(t, topic.Partitions, topics[topic.Name])
		byID, ok := img.TopicByID(topic.ID)
		require.True(t, ok)
		require.Same(t, topic, byID)
	}
}

func TestTopicsThatChangedAreFound(t *testing.T) {
	m := newMachine(t)
	m.broker(1)
	m.must(func(b *Batch) {
		b.CreateTopic(TopicSpec{Name: "same", Partitions: 1})
		b.CreateTopic(TopicSpec{Name: "grows", Partitions: 1})
		b.CreateTopic(TopicSpec{Name: "again", Partitions: 1})
	})
	old := m.image()
	require.Empty(t, old.TopicsChangedSince(old))
	m.must(func(b *Batch) {
		grows, _ := old.Topic("grows")
		b.AddPartitions(grows, 2)
		again, _ := old.Topic("again")
		b.DeleteTopic(again.ID)
		b.CreateTopic(TopicSpec{Name: "again", Partitions: 1})
	})
	var got []string
	for _, c := range m.image().TopicsChangedSince(old) {
		switch {
		case c.New == nil:
			got = append(got, "gone "+c.Old.Name)
		case c.Old == nil:
			got = append(got, "new "+c.New.Name)
		default:
			got = append(got, "changed "+c.New.Name)
		}
	}
	require.Equal(t, []string{"gone again", "changed grows", "new again"}, got)
}

func FuzzEntry(f *testing.F) {
	b := newBatch(newImage(), "0.1.0", rand.NewChaCha8([32]byte{}))
	b.PutObject(Object{Name: "o", Payload: []byte("p"), DependsOn: []OID{1, 2}, ACL: []Grant{{Grantee: 1}}})
	b.PutUser(User{Name: "u", Verifiers: []Verifier{{Mechanism: "SCRAM-SHA-256"}}})
	b.RegisterBroker(Broker{ID: 1, Endpoints: []Endpoint{{Name: "kafka"}}}, 0)
	b.add(createTopic{&Topic{ID: UUID{1}, Name: "t", Configs: map[string]string{"a": "b"}, Partitions: []Partition{{Replicas: []int32{1}, ISR: []int32{1}, Directories: []UUID{{1}}}}}})
	f.Add(b.entry.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data, FeatureMax)
		if err != nil {
			return
		}
		_, _, err = applyEntry(newImage(), 1, e)
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("a refusal that is not an Error: %v", err)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	f.Add(dump(newImage()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if img, _, err := readSnapshot(bytes.NewReader(data), FeatureMax); err == nil {
			dump(img)
		}
	})
}

func TestASnapshotWithAChangedByteIsRefused(t *testing.T) {
	m := newMachine(t)
	m.broker(1)
	m.must(func(b *Batch) { b.CreateTopic(TopicSpec{Name: "t", Partitions: 2}) })
	good := dump(m.image())
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		_, _, err := readSnapshot(bytes.NewReader(bad), FeatureMax)
		require.Error(t, err, "byte %d", i)
		_, _, err = readSnapshot(bytes.NewReader(good[:i]), FeatureMax)
		require.Error(t, err, "cut at %d", i)
	}
}
