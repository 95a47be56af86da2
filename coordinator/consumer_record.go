package coordinator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/millracedb/millrace/internal/record"
)

// Kinds of the records of consumer groups in __consumer_offsets, as the version of their keys tells (KIP-848, "Records"). Their values have version 0 and Kafka's flexible encoding.
const (
	consumerGroupKind   = 3 // the group's epoch
	consumerMemberKind  = 5 // what a member says of itself
	targetEpochKind     = 6
	targetMemberKind    = 7 // what a member is to have
	currentMemberKind   = 8 // what it has
	consumerRecordLayer = 0 // version of all values
)

// consumerRecord is what the log knows of a consumer group.
type consumerRecord struct {
	epoch   int32
	hash    int64
	members map[string]*memberRecord
}

// recordSet collects the records of one change.
type recordSet struct {
	b   record.Builder
	now int64
	err error
}

func newRecordSet(now int64) *recordSet {
	r := &recordSet{now: now}
	r.b.Reset(record.BatchOptions{})
	return r
}

// add appends a record about a group, or about one of its members; a nil value deletes it.
func (r *recordSet) add(kind int16, group, member string, value []byte) {
	if r.err == nil {
		r.err = r.b.Append(r.now, consumerKey(kind, group, member), value)
	}
}

// addKey appends that what a key stands for is no more.
func (r *recordSet) addKey(key []byte) {
	if r.err == nil {
		r.err = r.b.Append(r.now, key, nil)
	}
}

func consumerKey(kind int16, group, member string) []byte {
	key := kbin.AppendString(kbin.AppendInt16(nil, kind), group)
	if kind != consumerGroupKind && kind != targetEpochKind {
		key = kbin.AppendString(key, member)
	}
	return key
}

// addChanges appends what has changed in a group since it was last written. A member's end is told in Kafka's order, its metadata last.
func (r *recordSet) addChanges(g *consumerGroup) {
	for id, c := range g.changes.members {
		if c == memberRemoved {
			r.addEnd(g.id, id)
			continue
		}
		if c&metadataChanged != 0 {
			r.add(consumerMemberKind, g.id, id, g.members[id].encodeMetadata())
		}
	}
	if g.changes.group {
		epoch := kbin.AppendInt32(appendLayer(), g.epoch)
		epoch = append(epoch, 1, 0, 8) // one tagged field, number 0, of 8 bytes: the hash
		r.add(consumerGroupKind, g.id, "", kbin.AppendInt64(epoch, g.hash))
	}
	for id, c := range g.changes.members {
		if c&targetChanged != 0 {
			r.add(targetMemberKind, g.id, id, append(appendAssignment(appendLayer(), g.members[id].target, nil), 0))
		}
	}
	if g.changes.group {
		r.add(targetEpochKind, g.id, "", append(kbin.AppendInt32(appendLayer(), g.epoch), 0))
	}
	for id, c := range g.changes.members {
		if c&currentChanged != 0 {
			r.add(currentMemberKind, g.id, id, g.members[id].encodeCurrent())
		}
	}
}

func (r *recordSet) addEnd(group, member string) {
	for _, kind := range []int16{currentMemberKind, targetMemberKind, consumerMemberKind} {
		r.add(kind, group, member, nil)
	}
}

// addGroupEnd appends that there is no consumer group any more.
func (r *recordSet) addGroupEnd(group string, c *consumerRecord) {
	for id := range c.members {
		r.addEnd(group, id)
	}
	r.add(targetEpochKind, group, "", nil)
	r.add(consumerGroupKind, group, "", nil)
}

func appendLayer() []byte { return kbin.AppendInt16(nil, consumerRecordLayer) }

func (m *memberRecord) encodeMetadata() []byte {
	b := kbin.AppendCompactNullableString(appendLayer(), m.instance)
	b = kbin.AppendCompactNullableString(b, m.rack)
	b = kbin.AppendCompactString(b, m.clientID)
	b = kbin.AppendCompactString(b, m.host)
	b = kbin.AppendCompactArrayLen(b, len(m.names))
	for _, name := range m.names {
		b = kbin.AppendCompactString(b, name)
	}
	b = kbin.AppendCompactNullableString(b, m.pattern)
	b = kbin.AppendInt32(b, int32(m.rebalance.Milliseconds()))
	b = kbin.AppendCompactNullableString(b, m.assignor)
	if m.classic == nil {
		return append(b, 0)
	}
	c := m.classic.encode()
	return append(kbin.AppendUvarint(append(b, 1, 0), uint32(len(c))), c...) // one tagged field, number 0
}

// encode is Kafka's ClassicMemberMetadata, after the byte that says that it is not null.
func (c *classicMembership) encode() []byte {
	b := kbin.AppendInt32([]byte{1}, int32(c.session.Milliseconds()))
	b = kbin.AppendCompactArrayLen(b, len(c.protocols))
	for _, p := range c.protocols {
		b = append(kbin.AppendCompactBytes(kbin.AppendCompactString(b, p.name), p.metadata), 0)
	}
	return append(b, 0)
}

func readClassicMembership(r *kbin.Reader) *classicMembership {
	if r.Int8() != 1 {
		return nil
	}
	c := &classicMembership{session: time.Duration(r.Int32()) * time.Millisecond}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		c.protocols = append(c.protocols, groupProtocolOf{r.CompactString(), bytes.Clone(r.CompactBytes())})
		r.Uvarint() // no tagged fields
	}
	return c
}

func (m *memberRecord) encodeCurrent() []byte {
	b := kbin.AppendInt32(appendLayer(), m.epoch)
	b = kbin.AppendInt32(b, m.previous)
	b = kbin.AppendInt8(b, int8(m.state))
	return append(appendAssignment(appendAssignment(b, m.assigned, m.since), m.revoke, m.since), 0)
}

// appendAssignment appends partitions by topic, with the epochs at which they were assigned, if they are known, as a tagged field (KIP-1251).
func appendAssignment(b []byte, a assignment, since map[topicPart]int32) []byte {
	b = kbin.AppendCompactArrayLen(b, len(a))
	for _, topic := range a.topics() {
		b = kbin.AppendUuid(b, topic)
		b = kbin.AppendCompactArrayLen(b, len(a[topic]))
		for _, p := range a[topic] {
			b = kbin.AppendInt32(b, p)
		}
		if since == nil {
			b = append(b, 0)
			continue
		}
		epochs := kbin.AppendCompactArrayLen(nil, len(a[topic]))
		for _, p := range a[topic] {
			epochs = kbin.AppendInt32(epochs, since[topicPart{topic, p}])
		}
		b = append(kbin.AppendUvarint(append(b, 1, 0), uint32(len(epochs))), epochs...)
	}
	return b
}

// decodeConsumerKey returns ok = false if the key is not one of a consumer group.
func decodeConsumerKey(key []byte) (kind int16, group, member string, ok bool, err error) {
	if len(key) < 2 {
		return 0, "", "", false, nil
	}
	kind = int16(binary.BigEndian.Uint16(key))
	if kind < consumerGroupKind || kind > currentMemberKind {
		return 0, "", "", false, nil
	}
	r := kbin.Reader{Src: key[2:]}
	group = r.String()
	if kind >= consumerMemberKind && kind != targetEpochKind {
		member = r.String()
	}
	if err := r.Complete(); err != nil {
		return 0, "", "", false, fmt.Errorf("offset log: key of kind %d: %w", kind, err)
	}
	return kind, group, member, true, nil
}

// replay takes over a record of the group, whose value is not nil.
func (c *consumerRecord) replay(kind int16, member string, value []byte) error {
	r := kbin.Reader{Src: value}
	if v := r.Int16(); v != consumerRecordLayer {
		return fmt.Errorf("offset log: record of kind %d has version %d", kind, v)
	}
	switch kind {
	case consumerGroupKind:
		c.epoch = r.Int32()
		if r.Uvarint() > 0 { // the hash is the only tagged field
			r.Uvarint()
			r.Uvarint()
			c.hash = r.Int64()
		}
	case consumerMemberKind:
		m := c.member(member)
		if m.readMetadata(&r); m.classic != nil && len(m.classic.protocols) == 0 {
			return fmt.Errorf("offset log: member %q of the classic protocol has none", member)
		}
	case targetMemberKind:
		c.member(member).target = readAssignment(&r, nil, 0)
	case currentMemberKind:
		m := c.member(member)
		m.epoch, m.previous, m.state = r.Int32(), r.Int32(), memberState(r.Int8())
		m.since = map[topicPart]int32{}
		m.assigned, m.revoke = readAssignment(&r, m.since, m.epoch), readAssignment(&r, m.since, m.epoch)
	}
	if !r.Ok() {
		return fmt.Errorf("offset log: value of kind %d is cut short", kind)
	}
	return nil
}

func (c *consumerRecord) member(id string) *memberRecord {
	m := c.members[id]
	if m == nil {
		m = &memberRecord{}
		c.members[id] = m
	}
	return m
}

// forget takes back what a record said.
func (c *consumerRecord) forget(kind int16, member string) {
	switch m := c.members[member]; {
	case m == nil:
	case kind == consumerMemberKind:
		delete(c.members, member)
	case kind == targetMemberKind:
		m.target = nil
	case kind == currentMemberKind:
		m.epoch, m.previous, m.state, m.assigned, m.revoke, m.since = 0, 0, memberStable, nil, nil, nil
	}
}

func (m *memberRecord) readMetadata(r *kbin.Reader) {
	m.known = true
	m.instance, m.rack = r.CompactNullableString(), r.CompactNullableString()
	m.clientID, m.host = r.CompactString(), r.CompactString()
	m.names = nil
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		m.names = append(m.names, r.CompactString())
	}
	m.pattern = r.CompactNullableString()
	m.rebalance = time.Duration(r.Int32()) * time.Millisecond
	m.assignor, m.classic = r.CompactNullableString(), nil
	if r.Uvarint() > 0 { // that it speaks the classic protocol is the only tagged field
		r.Uvarint()
		r.Uvarint()
		m.classic = readClassicMembership(r)
	}
}

// readAssignment reads partitions by topic, and the epochs at which they were assigned into since; where there are none, epoch is one.
func readAssignment(r *kbin.Reader, since map[topicPart]int32, epoch int32) assignment {
	out := assignment{}
	for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
		topic := r.Uuid()
		for p := r.CompactArrayLen(); p > 0 && r.Ok(); p-- {
			out[topic] = append(out[topic], r.Int32())
		}
		epochs := kbin.Reader{}
		if r.Uvarint() > 0 { // they are the only tagged field
			r.Uvarint()
			epochs.Src = r.Span(int(r.Uvarint()))
			epochs.CompactArrayLen()
		}
		for _, p := range out[topic] {
			at := epoch
			if len(epochs.Src) > 0 {
				at = epochs.Int32()
			}
			if since != nil {
				since[topicPart{topic, p}] = at
			}
		}
	}
	return out
}
