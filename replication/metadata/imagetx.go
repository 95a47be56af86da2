package metadata

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// imageTx is an image being made from another by one entry. It is dropped if a change fails.
type imageTx struct {
	index        uint64
	featureLevel uint32
	nextOID      OID
	nextProducer int64

	brokers    ptxn[*Broker]
	topics     ptxn[*Topic]
	topicIDs   ptxn[*Topic]
	topicsOf   ptxn[*Topic]
	objects    ptxn[*Object]
	names      ptxn[*Object]
	dependents ptxn[struct{}]
	users      ptxn[*User]
	userIDs    ptxn[*User]
	acls       ptxn[ACL]
	settings   ptxn[setting]

	// Topics that this entry has copied and may change in place: an election touches every partition of a topic.
	edited map[UUID]*Topic

	// Objects put and deleted by this entry. What depends on what is checked at its end, so that order within a batch does not matter.
	putObjects     []OID
	deletedObjects []*Object
}

func (img *Image) begin(index uint64) *imageTx {
	return &imageTx{
		index: index, featureLevel: img.featureLevel, nextOID: img.nextOID, nextProducer: img.nextProducer, edited: map[UUID]*Topic{},
		brokers: ptxn[*Broker]{base: img.brokers}, topics: ptxn[*Topic]{base: img.topics},
		topicIDs: ptxn[*Topic]{base: img.topicIDs}, topicsOf: ptxn[*Topic]{base: img.topicsOf},
		objects: ptxn[*Object]{base: img.objects}, names: ptxn[*Object]{base: img.names},
		dependents: ptxn[struct{}]{base: img.dependents}, users: ptxn[*User]{base: img.users},
		userIDs: ptxn[*User]{base: img.userIDs}, acls: ptxn[ACL]{base: img.acls}, settings: ptxn[setting]{base: img.settings},
	}
}

// commit returns the new image. The caller has called check.
func (tx *imageTx) commit() *Image {
	return &Image{
		index: tx.index, featureLevel: tx.featureLevel, nextOID: tx.nextOID, nextProducer: tx.nextProducer,
		brokers: tx.brokers.commit(), topics: tx.topics.commit(), topicIDs: tx.topicIDs.commit(), topicsOf: tx.topicsOf.commit(),
		objects: tx.objects.commit(), names: tx.names.commit(), dependents: tx.dependents.commit(),
		users: tx.users.commit(), userIDs: tx.userIDs.commit(), acls: tx.acls.commit(), settings: tx.settings.commit(),
	}
}

// check is what holds only of a batch as a whole: nothing needs an object that is gone, and no topic belongs to one.
func (tx *imageTx) check() error {
	for _, oid := range tx.putObjects {
		o, ok := tx.objects.get(oidKey(oid))
		if !ok {
			continue // put and deleted in one batch
		}
		for _, need := range o.DependsOn {
			if _, ok := tx.objects.get(oidKey(need)); !ok {
				return &Error{ErrNotFound, "object", fmt.Sprint(need), fmt.Sprintf("needed by %q", o.Name)}
			}
		}
	}
	for _, o := range tx.deletedObjects {
		if _, ok := tx.objects.get(oidKey(o.OID)); ok {
			continue // deleted and put again
		}
		if k, ok := tx.dependents.any(oidKey(o.OID)); ok {
			name := fmt.Sprint(dependentOf(k))
			if d, ok := tx.objects.get(oidKey(dependentOf(k))); ok {
				name = d.Name
			}
			return &Error{ErrDependents, "object", o.Name, fmt.Sprintf("%q needs it", name)}
		}
		if k, ok := tx.topicsOf.any(oidKey(o.OID)); ok {
			return &Error{ErrDependents, "object", o.Name, fmt.Sprintf("it owns topic %q", k[4:])}
		}
	}
	return nil
}

func dependentOf(key []byte) OID { return OID(binary.BigEndian.Uint32(key[4:])) }

func (tx *imageTx) putTopic(t *Topic) {
	tx.topics.put([]byte(t.Name), t)
	tx.topicIDs.put(t.ID[:], t)
	if t.Owner.Kind == OwnerSQL {
		tx.topicsOf.put(ownerKey(t.Owner.OID, t.Name), t)
	}
}

// editTopic returns a copy of a topic that is already in tx in its place: the caller changes it in place. Its Configs are still shared.
func (tx *imageTx) editTopic(id UUID) (*Topic, error) {
	if t, ok := tx.edited[id]; ok {
		return t, nil
	}
	old, err := tx.topic(id)
	if err != nil {
		return nil, err
	}
	t := *old
	t.Partitions = slices.Clone(old.Partitions)
	tx.edited[id] = &t
	tx.putTopic(&t)
	return &t, nil
}

func (tx *imageTx) topic(id UUID) (*Topic, error) {
	t, ok := tx.topicIDs.get(id[:])
	if !ok {
		return nil, &Error{ErrNotFound, "topic", id.String(), ""}
	}
	return t, nil
}

func (tx *imageTx) deleteTopic(t *Topic) {
	delete(tx.edited, t.ID)
	tx.topics.delete([]byte(t.Name))
	tx.topicIDs.delete(t.ID[:])
	tx.disownTopic(t)
}

func (tx *imageTx) disownTopic(t *Topic) {
	if t.Owner.Kind == OwnerSQL {
		tx.topicsOf.delete(ownerKey(t.Owner.OID, t.Name))
	}
}

func (tx *imageTx) putObject(o *Object) {
	if old, ok := tx.objects.get(oidKey(o.OID)); ok {
		tx.forgetObject(old)
	}
	tx.objects.put(oidKey(o.OID), o)
	tx.names.put(stringsKey(o.Space, o.Schema, o.Name), o)
	for _, need := range o.DependsOn {
		tx.dependents.put(pairKey(need, o.OID), struct{}{})
	}
	tx.putObjects = append(tx.putObjects, o.OID)
}

func (tx *imageTx) deleteObject(o *Object) {
	tx.forgetObject(o)
	tx.deletedObjects = append(tx.deletedObjects, o)
}

func (tx *imageTx) forgetObject(o *Object) {
	tx.objects.delete(oidKey(o.OID))
	tx.names.delete(stringsKey(o.Space, o.Schema, o.Name))
	for _, need := range o.DependsOn {
		tx.dependents.delete(pairKey(need, o.OID))
	}
}

func (tx *imageTx) putUser(u *User) {
	if old, ok := tx.userIDs.get(oidKey(u.OID)); ok {
		tx.users.delete([]byte(old.Name))
	}
	tx.users.put([]byte(u.Name), u)
	tx.userIDs.put(oidKey(u.OID), u)
}

func (tx *imageTx) deleteUser(u *User) {
	tx.users.delete([]byte(u.Name))
	tx.userIDs.delete(oidKey(u.OID))
}

// takeOIDs gives n OIDs and returns the first. It fails when 32 bits are used up.
func (tx *imageTx) takeOIDs(n uint32) (OID, error) {
	first := tx.nextOID
	if uint64(first)+uint64(n) > 1<<32-1 {
		return 0, &Error{ErrInvalid, "OID", fmt.Sprint(first), "no more are left"}
	}
	tx.nextOID += OID(n)
	return first, nil
}

// validPartition checks what must hold of every partition record by itself.
func validPartition(topic string, p *Partition) error {
	bad := func(why string) error {
		return &Error{ErrInvalid, "partition", fmt.Sprintf("%s-%d", topic, p.ID), why}
	}
	switch {
	case len(p.Replicas) == 0:
		return bad("it has no replicas")
	case len(p.Directories) != len(p.Replicas):
		return bad("directories and replicas differ in number")
	case hasDuplicates(p.Replicas) || hasDuplicates(p.ISR):
		return bad("a broker is named twice")
	case len(p.ISR) == 0 && len(p.ELR) == 0:
		return bad("nobody is in sync or eligible")
	case !within(p.ISR, p.Replicas) || !within(p.ELR, p.Replicas):
		return bad("an in-sync or eligible broker is not a replica")
	case p.Leader != NoLeader && !slices.Contains(p.ISR, p.Leader):
		return bad("the leader is not in sync")
	case !within(p.Target, p.Replicas) || hasDuplicates(p.Target):
		return bad("it is to be moved to a broker that is not a replica, or to one twice")
	case p.RecoveryState == Recovering && len(p.ISR) > 1:
		return bad("the ISR grew before the leader recovered")
	}
	return nil
}

func within(some, all []int32) bool {
	return !slices.ContainsFunc(some, func(id int32) bool { return !slices.Contains(all, id) })
}

func hasDuplicates(ids []int32) bool {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return true
		}
	}
	return false
}
