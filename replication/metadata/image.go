package metadata

import (
	"iter"
	"slices"
)

// Image is the whole metadata at one raft index. It is immutable: keep it as long as you like, compare two of them, never write to anything
// reached through it.
type Image struct {
	index        uint64
	featureLevel uint32
	nextOID      OID
	nextProducer int64

	brokers    pmap[*Broker] // by id
	topics     pmap[*Topic]  // by name
	topicIDs   pmap[*Topic]
	topicsOf   pmap[*Topic]   // by owning object, then name
	objects    pmap[*Object]  // by OID
	names      pmap[*Object]  // by space, schema, name
	dependents pmap[struct{}] // (needed OID, needing OID)
	users      pmap[*User]    // by name
	userIDs    pmap[*User]
	acls       pmap[ACL]     // by their own encoding
	settings   pmap[setting] // by scope, entity, name
}

func newImage() *Image {
	return &Image{
		nextOID: FirstOID,
		brokers: newPmap[*Broker](), topics: newPmap[*Topic](), topicIDs: newPmap[*Topic](), topicsOf: newPmap[*Topic](),
		objects: newPmap[*Object](), names: newPmap[*Object](), dependents: newPmap[struct{}](),
		users: newPmap[*User](), userIDs: newPmap[*User](), acls: newPmap[ACL](), settings: newPmap[setting](),
	}
}

// Index is the raft index of the last entry in the image.
func (img *Image) Index() uint64 { return img.index }

// FeatureLevel is what every node of the cluster is known to understand.
func (img *Image) FeatureLevel() uint32 { return img.featureLevel }

// Broker returns a broker by id.
func (img *Image) Broker(id int32) (*Broker, bool) { return img.brokers.get(idKey(id)) }

// Brokers visits the brokers by id.
func (img *Image) Brokers() iter.Seq[*Broker] { return img.brokers.values(nil) }

// SameBrokers reports whether two images have the same brokers, by pointer.
func (img *Image) SameBrokers(other *Image) bool { return img.brokers.tree == other.brokers.tree }

// Topic returns a topic by name.
func (img *Image) Topic(name string) (*Topic, bool) { return img.topics.get([]byte(name)) }

// TopicByID returns a topic by id.
func (img *Image) TopicByID(id UUID) (*Topic, bool) { return img.topicIDs.get(id[:]) }

// Topics visits the topics by name.
func (img *Image) Topics() iter.Seq[*Topic] { return img.topics.values(nil) }

// TopicCount is the number of topics.
func (img *Image) TopicCount() int { return img.topics.len() }

// TopicsOwnedBy visits the topics of a catalog object by name.
func (img *Image) TopicsOwnedBy(o OID) iter.Seq[*Topic] { return img.topicsOf.values(oidKey(o)) }

// Object returns a catalog object by OID.
func (img *Image) Object(o OID) (*Object, bool) { return img.objects.get(oidKey(o)) }

// ObjectByName returns a catalog object by its name within a name space and schema.
func (img *Image) ObjectByName(space, schema, name string) (*Object, bool) {
	return img.names.get(stringsKey(space, schema, name))
}

// Objects visits all catalog objects by OID.
func (img *Image) Objects() iter.Seq[*Object] { return img.objects.values(nil) }

// ObjectsIn visits the objects of a schema in one name space by name.
func (img *Image) ObjectsIn(space, schema string) iter.Seq[*Object] {
	return img.names.values(stringsKey(space, schema))
}

// Dependents returns the OIDs of the objects that name o in DependsOn, ascending.
func (img *Image) Dependents(o OID) []OID {
	var out []OID
	for k := range img.dependents.all(oidKey(o)) {
		out = append(out, dependentOf(k))
	}
	return out
}

// User returns a user by name.
func (img *Image) User(name string) (*User, bool) { return img.users.get([]byte(name)) }

// UserByOID returns a user by OID.
func (img *Image) UserByOID(o OID) (*User, bool) { return img.userIDs.get(oidKey(o)) }

// Users visits the users by name.
func (img *Image) Users() iter.Seq[*User] { return img.users.values(nil) }

// ACLs visits the access rules, in no meaningful order.
func (img *Image) ACLs() iter.Seq[ACL] { return img.acls.values(nil) }

// Setting returns the value set for exactly this key.
func (img *Image) Setting(k SettingKey) (string, bool) {
	s, ok := img.settings.get(k.key())
	return s.value, ok
}

// Settings visits the settings of a scope by entity and name.
func (img *Image) Settings(scope string) iter.Seq2[SettingKey, string] {
	return func(yield func(SettingKey, string) bool) {
		for s := range img.settings.values(stringsKey(scope)) {
			if !yield(s.SettingKey, s.value) {
				return
			}
		}
	}
}

func (k SettingKey) key() []byte { return stringsKey(k.Scope, k.Entity, k.Name) }

// TopicChange is a topic that differs between two images: Old is nil if it is new, New is nil if it is gone. A topic deleted and created
// again under its name is two changes, the deletion first.
type TopicChange struct{ Old, New *Topic }

// TopicsChangedSince returns how the topics of img differ from those of old, by name. It compares pointers, a few nanoseconds a topic.
func (img *Image) TopicsChangedSince(old *Image) []TopicChange {
	if img.topics.tree == old.topics.tree {
		return nil
	}
	var gone, out []TopicChange
	for t := range old.Topics() {
		if now, ok := img.TopicByID(t.ID); !ok {
			gone = append(gone, TopicChange{Old: t})
		} else if now != t {
			out = append(out, TopicChange{Old: t, New: now})
		}
	}
	for t := range img.Topics() {
		if _, ok := old.TopicByID(t.ID); !ok {
			out = append(out, TopicChange{New: t})
		}
	}
	return append(gone, out...)
}

// Partition returns a topic's partition by number.
func (t *Topic) Partition(n int32) (Partition, bool) {
	if n < 0 || int(n) >= len(t.Partitions) {
		return Partition{}, false
	}
	return t.Partitions[n], true
}

// Has reports whether broker id is among ids, as in p.ISR.
func Has(ids []int32, id int32) bool { return slices.Contains(ids, id) }
