package metadata

import (
	"fmt"
	"io"
)

const (
	// MaxEntryBytes bounds an entry; hashicorp/raft advises against larger ones.
	MaxEntryBytes = 1 << 20
	// MaxPartitions bounds the partitions of one topic.
	MaxPartitions = 10_000
)

// Batch is changes that are applied together or not at all. Make it with Store.NewBatch from the image that the changes are made from; it is not
// safe for concurrent use. A mistake made while building it is reported by Store.Apply, so callers need not check each step.
//
// Values that only applying can decide (a new OID, the first of a block of ids) are read from the Result with the Ref that the method returned.
type Batch struct {
	img   *Image
	rand  io.Reader
	entry entry
	// placed counts the partitions that this batch has placed, so that its topics spread over the brokers too.
	placed int
	err    error
}

// Ref names one change of a batch in its Result.
type Ref int

// Result is the outcome of an applied batch.
type Result struct {
	Index  uint64   // raft index of the entry; Image().Index() is at least this
	values []uint64 // by Ref; zeros at the end are left out
}

func (r Result) value(ref Ref) uint64 {
	if int(ref) >= len(r.values) {
		return 0
	}
	return r.values[ref]
}

// OID is the OID of a put object or user, or the first of those taken.
func (r Result) OID(ref Ref) OID { return OID(r.value(ref)) }

// Epoch is the broker epoch that a registration gave.
func (r Result) Epoch(ref Ref) uint64 { return r.value(ref) }

// ProducerIDs is the block that TakeProducerIDs got.
func (r Result) ProducerIDs(ref Ref) ProducerIDBlock {
	return ProducerIDBlock{First: int64(r.value(ref)), Len: ProducerIDBlockLen}
}

func newBatch(img *Image, release string, rand io.Reader) *Batch {
	id, err := NewUUID(rand)
	return &Batch{img: img, rand: rand, entry: entry{release: release, request: id}, err: err}
}

func (b *Batch) add(c change) Ref {
	b.checkLevel(c)
	b.entry.changes = append(b.entry.changes, c)
	return Ref(len(b.entry.changes) - 1)
}

func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Image is the image the batch is made from.
func (b *Batch) Image() *Image { return b.img }

// Len is the number of changes.
func (b *Batch) Len() int { return len(b.entry.changes) }

// RegisterBroker makes a node a broker, in place of its registration with epoch replaces (0: it has none). k.Epoch is ignored: the new epoch
// is the index of the entry.
func (b *Batch) RegisterBroker(k Broker, replaces uint64) Ref {
	return b.add(registerBroker{broker: &k, expect: replaces})
}

// SetBrokerState fences, unfences or drains the registration with this epoch.
func (b *Batch) SetBrokerState(id int32, epoch uint64, fenced, draining bool) {
	b.add(setBrokerState{id: id, epoch: epoch, fenced: fenced, draining: draining})
}

// UnregisterBroker forgets a broker.
func (b *Batch) UnregisterBroker(id int32, epoch uint64) {
	b.add(unregisterBroker{id: id, epoch: epoch})
}

// TopicSpec is what a caller says of a new topic.
type TopicSpec struct {
	Name       string
	Partitions int32
	Replicas   int32 // wanted; 0 is DefaultReplicas. As many are placed as there are brokers for.
	Owner      Owner
	Configs    map[string]string
}

// DefaultReplicas is how many replicas a topic wants that does not say.
const DefaultReplicas = 3

// CreateTopic makes a topic, its replicas placed on the active brokers of the batch's image, and returns its new id.
func (b *Batch) CreateTopic(spec TopicSpec) UUID {
	id, err := NewUUID(b.rand)
	if err != nil {
		b.fail(err)
		return UUID{}
	}
	if spec.Replicas == 0 {
		spec.Replicas = DefaultReplicas
	}
	if spec.Partitions < 1 || spec.Partitions > MaxPartitions || spec.Replicas < 1 {
		b.fail(&Error{ErrInvalid, "topic", spec.Name, fmt.Sprintf("%d partitions with %d replicas; allowed are 1 to %d with 1 or more",
			spec.Partitions, spec.Replicas, MaxPartitions)})
		return UUID{}
	}
	t := &Topic{ID: id, Name: spec.Name, Owner: spec.Owner, WantedReplicas: spec.Replicas, Configs: spec.Configs}
	if t.Partitions, err = b.place(0, spec.Partitions, spec.Replicas, t.Spread()); err != nil {
		b.fail(err)
		return UUID{}
	}
	b.add(createTopic{t})
	return id
}

// AddPartitions gives t, a topic of the batch's image, total partitions.
func (b *Batch) AddPartitions(t *Topic, total int32) {
	have := int32(len(t.Partitions))
	if total <= have || total > MaxPartitions {
		b.fail(&Error{ErrInvalid, "topic", t.Name, fmt.Sprintf("it has %d partitions and cannot be given %d", have, total)})
		return
	}
	parts, err := b.place(have, total-have, t.WantedReplicas, t.Spread())
	if err != nil {
		b.fail(err)
		return
	}
	b.add(addPartitions{id: t.ID, partitions: parts})
}

// DeleteTopic deletes a topic by id.
func (b *Batch) DeleteTopic(id UUID) { b.add(deleteTopic{id}) }

// ChangePartition replaces the record was of topic id by next, whose epochs this method sets: PartitionEpoch to one more, LeaderEpoch to
// one more if newLeaderEpoch, and AddedAt if a replica is added. isrEpochs are the broker epochs of next.ISR as the caller knows them, or nil.
func (b *Batch) ChangePartition(id UUID, was, next Partition, newLeaderEpoch bool, isrEpochs []uint64) {
	next.ID = was.ID
	next.PartitionEpoch = was.PartitionEpoch + 1
	next.LeaderEpoch = was.LeaderEpoch
	if newLeaderEpoch {
		next.LeaderEpoch++
	}
	if !within(next.Replicas, was.Replicas) {
		next.AddedAt = next.PartitionEpoch
	}
	b.add(changePartition{id: id, partition: next, leaderEpoch: was.LeaderEpoch, isrEpochs: isrEpochs})
}

// SetTopicConfigs sets and unsets configs of a topic; the last writer wins.
func (b *Batch) SetTopicConfigs(id UUID, set map[string]string, unset ...string) {
	b.add(setTopicConfigs{id: id, set: set, unset: unset})
}

// SetTopicOwner gives a topic owned by from to another owner.
func (b *Batch) SetTopicOwner(id UUID, from, to Owner) {
	b.add(setTopicOwner{id: id, from: from, to: to})
}

// PutObject makes an object (Version 0; OID 0 takes a new one) or replaces version o.Version of it; the stored one has Version + 1. What it
// depends on must exist when the whole batch has been applied. What the object points to must not change before Apply has returned.
func (b *Batch) PutObject(o Object) Ref { return b.add(putObject{&o}) }

// DeleteObject deletes version of an object. When the whole batch has been applied nothing may depend on it and no topic belong to it.
func (b *Batch) DeleteObject(oid OID, version uint64) {
	b.add(deleteObject{oidAtVersion{oid, version}})
}

// TakeOIDs takes n consecutive OIDs, for objects whose payloads must name each other. Those not used are lost, as in PostgreSQL.
func (b *Batch) TakeOIDs(n uint32) Ref { return b.add(takeOIDs{n}) }

// PutUser makes a user or replaces version u.Version of it, like PutObject.
func (b *Batch) PutUser(u User) Ref { return b.add(putUser{&u}) }

// DeleteUser deletes version of a user.
func (b *Batch) DeleteUser(oid OID, version uint64) { b.add(deleteUser{oidAtVersion{oid, version}}) }

// PutACL adds an access rule, if it is not there.
func (b *Batch) PutACL(a ACL) { b.add(putACL{a}) }

// DeleteACL removes an access rule, if it is there.
func (b *Batch) DeleteACL(a ACL) { b.add(deleteACL{a}) }

// SetSetting sets a setting; the last writer wins.
func (b *Batch) SetSetting(k SettingKey, value string) {
	b.add(putSetting{setting{SettingKey: k, value: value}})
}

// UnsetSetting removes a setting, if it is there.
func (b *Batch) UnsetSetting(k SettingKey) { b.add(deleteSetting{k}) }

// TakeProducerIDs takes the next block of producer ids for the broker with this epoch.
func (b *Batch) TakeProducerIDs(broker int32, epoch uint64) Ref {
	return b.add(takeProducerIDs{broker: broker, epoch: epoch})
}

// Truncate takes back all but the first n changes, so that what fails halfway leaves no trace in a batch that goes on.
func (b *Batch) Truncate(n int) { b.entry.changes = b.entry.changes[:n] }
