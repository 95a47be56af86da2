package metadata

import (
	"fmt"
	"maps"
	"slices"
)

// createTopic carries the topic as it will be, partitions placed.
type createTopic struct{ topic *Topic }

func (createTopic) kind() changeKind         { return kindCreateTopic }
func (c createTopic) append(b []byte) []byte { return appendElement(b, 1, c.topic.append(nil)) }

func decodeCreateTopic(b []byte) (change, error) {
	c := createTopic{topic: &Topic{}}
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.topic = nested(r, decodeTopic)
		}
	}
	return c, r.done("topic creation")
}

func (c createTopic) apply(tx *imageTx) (uint64, error) {
	t := *c.topic
	if err := CheckTopicName(t.Name); err != nil {
		return 0, err
	}
	if _, ok := tx.topics.get([]byte(t.Name)); ok {
		return 0, &Error{ErrExists, "topic", t.Name, ""}
	}
	if _, ok := tx.topicIDs.get(t.ID[:]); ok || t.ID.IsZero() {
		return 0, &Error{ErrInvalid, "topic", t.Name, "its id is not new"}
	}
	if len(t.Partitions) == 0 || len(t.Partitions) > MaxPartitions {
		return 0, &Error{ErrInvalid, "topic", t.Name, fmt.Sprintf("it has %d partitions; allowed are 1 to %d", len(t.Partitions), MaxPartitions)}
	}
	if err := checkPartitions(&t, 0); err != nil {
		return 0, err
	}
	t.CreatedAt = tx.index
	tx.putTopic(&t)
	return 0, nil
}

// checkPartitions checks the partitions from the given number on.
func checkPartitions(t *Topic, from int) error {
	for i := from; i < len(t.Partitions); i++ {
		p := &t.Partitions[i]
		if p.ID != int32(i) {
			return &Error{ErrInvalid, "topic", t.Name, fmt.Sprintf("partition %d stands where %d belongs", p.ID, i)}
		}
		if err := validPartition(t.Name, p); err != nil {
			return err
		}
	}
	return nil
}

// CheckTopicName refuses what Kafka cannot carry: 1 to 249 of the characters a-z A-Z 0-9 . _ - and not "." or "..".
func CheckTopicName(name string) error {
	why := ""
	switch {
	case name == "" || len(name) > 249:
		why = "a topic's name has 1 to 249 characters"
	case name == "." || name == "..":
		why = "the names . and .. are not allowed"
	case slices.ContainsFunc([]byte(name), func(c byte) bool { return !isTopicChar(c) }):
		why = "allowed are letters, digits, '.', '_' and '-'"
	default:
		return nil
	}
	return &Error{ErrInvalid, "topic", truncated(name), why}
}

func isTopicChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// deleteTopic goes by id, so that it never hits a topic made again under the name.
type deleteTopic struct{ id UUID }

func (deleteTopic) kind() changeKind         { return kindDeleteTopic }
func (c deleteTopic) append(b []byte) []byte { return appendUUID(b, 1, c.id) }

func decodeDeleteTopic(b []byte) (change, error) {
	var c deleteTopic
	r := read(b)
	for r.next() {
		if r.num == 1 {
			c.id = r.uuid()
		}
	}
	return c, r.done("topic deletion")
}

func (c deleteTopic) apply(tx *imageTx) (uint64, error) {
	t, err := tx.topic(c.id)
	if err != nil {
		return 0, err
	}
	tx.deleteTopic(t)
	return 0, nil
}

// addPartitions appends placed partitions to a topic that has exactly as many as the first one's number.
type addPartitions struct {
	id         UUID
	partitions []Partition
}

func (addPartitions) kind() changeKind { return kindAddPartitions }

func (c addPartitions) append(b []byte) []byte {
	b = appendUUID(b, 1, c.id)
	for _, p := range c.partitions {
		b = appendElement(b, 2, p.append(nil))
	}
	return b
}

func decodeAddPartitions(b []byte) (change, error) {
	var c addPartitions
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.id = r.uuid()
		case 2:
			c.partitions = append(c.partitions, nested(r, decodePartition))
		}
	}
	return c, r.done("partitions")
}

func (c addPartitions) apply(tx *imageTx) (uint64, error) {
	t, err := tx.editTopic(c.id)
	if err != nil {
		return 0, err
	}
	had := len(t.Partitions)
	if len(c.partitions) == 0 || had+len(c.partitions) > MaxPartitions {
		return 0, &Error{ErrInvalid, "topic", t.Name, fmt.Sprintf("a topic may have up to %d partitions", MaxPartitions)}
	}
	if c.partitions[0].ID != int32(had) {
		return 0, &Error{ErrVersionConflict, "topic", t.Name, fmt.Sprintf("it has %d partitions", had)}
	}
	t.Partitions = append(t.Partitions, c.partitions...)
	t.PartitionsEpoch++
	return 0, checkPartitions(t, had)
}

// changePartition replaces a partition's record by the one after it: the epochs of the new record say which one it was made from.
type changePartition struct {
	id        UUID
	partition Partition
	// leaderEpoch is that of the record it was made from; the new one has the same or one more.
	leaderEpoch int32
	// isrEpochs, if any, are the broker epochs of partition.ISR as the proposer knows them (KIP-903).
	isrEpochs []uint64
}

func (changePartition) kind() changeKind { return kindChangePartition }

// version is 2 for records that have been moved or given replicas.
func (c changePartition) version() uint64 {
	if p := &c.partition; p.Target != nil || p.Wanted != 0 || p.AddedAt != 0 {
		return 2
	}
	return 1
}

func (c changePartition) append(b []byte) []byte {
	b = appendUUID(b, 1, c.id)
	b = appendElement(b, 2, c.partition.append(nil))
	b = appendInt(b, 3, int64(c.leaderEpoch))
	for _, e := range c.isrEpochs {
		b = appendElement(b, 4, appendUint(nil, 1, e))
	}
	return b
}

func decodeChangePartition(b []byte) (change, error) {
	var c changePartition
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.id = r.uuid()
		case 2:
			c.partition = nested(r, decodePartition)
		case 3:
			c.leaderEpoch = r.int32()
		case 4:
			c.isrEpochs = append(c.isrEpochs, nested(r, decodeEpoch))
		}
	}
	return c, r.done("partition change")
}

func decodeEpoch(b []byte) (e uint64, err error) {
	r := read(b)
	for r.next() {
		if r.num == 1 {
			e = r.uint()
		}
	}
	return e, r.done("epoch")
}

func (c changePartition) apply(tx *imageTx) (uint64, error) {
	t, err := tx.editTopic(c.id)
	if err != nil {
		return 0, err
	}
	was, ok := t.Partition(c.partition.ID)
	name := fmt.Sprintf("%s-%d", t.Name, c.partition.ID)
	if !ok {
		return 0, &Error{ErrNotFound, "partition", name, ""}
	}
	if was.LeaderEpoch != c.leaderEpoch || was.PartitionEpoch+1 != c.partition.PartitionEpoch {
		return 0, &Error{ErrStaleEpoch, "partition", name, fmt.Sprintf("it is at leader epoch %d, partition epoch %d", was.LeaderEpoch, was.PartitionEpoch)}
	}
	if d := c.partition.LeaderEpoch - was.LeaderEpoch; d < 0 || d > 1 || d == 0 && c.partition.Leader != was.Leader {
		return 0, &Error{ErrInvalid, "partition", name, "a leader change raises the leader epoch by one"}
	}
	if err := validPartition(t.Name, &c.partition); err != nil {
		return 0, err
	}
	if err := c.checkMembers(tx, name, was.ISR); err != nil {
		return 0, err
	}
	t.Partitions[c.partition.ID] = c.partition
	return 0, nil
}

// checkMembers refuses an ISR that a broker joins which is fenced, on its way out, or restarted since the proposer heard of it. Members that
// stay are not asked: the last of an ISR stays in it though it is fenced.
func (c changePartition) checkMembers(tx *imageTx, name string, was []int32) error {
	if len(c.isrEpochs) != 0 && len(c.isrEpochs) != len(c.partition.ISR) {
		return &Error{ErrInvalid, "partition", name, "ISR and broker epochs differ in number"}
	}
	for i, id := range c.partition.ISR {
		k, ok := tx.brokers.get(idKey(id))
		if len(c.isrEpochs) != 0 && (!ok || k.Epoch != c.isrEpochs[i]) {
			return &Error{ErrIneligible, "partition", name, fmt.Sprintf("broker %d has another epoch", id)}
		}
		if !slices.Contains(was, id) && (!ok || k.Fenced || k.Draining) {
			return &Error{ErrIneligible, "partition", name, fmt.Sprintf("broker %d is not active", id)}
		}
	}
	return nil
}

// setTopicConfigs sets and removes configs of one topic.
type setTopicConfigs struct {
	id    UUID
	set   map[string]string
	unset []string
}

func (setTopicConfigs) kind() changeKind { return kindSetTopicConfigs }

func (c setTopicConfigs) append(b []byte) []byte {
	b = appendMap(appendUUID(b, 1, c.id), 2, c.set)
	for _, k := range c.unset {
		b = appendElement(b, 3, []byte(k))
	}
	return b
}

func decodeSetTopicConfigs(b []byte) (change, error) {
	var c setTopicConfigs
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.id = r.uuid()
		case 2:
			c.set = r.pair(c.set)
		case 3:
			c.unset = append(c.unset, r.string())
		}
	}
	return c, r.done("topic configs")
}

func (c setTopicConfigs) apply(tx *imageTx) (uint64, error) {
	t, err := tx.editTopic(c.id)
	if err != nil {
		return 0, err
	}
	configs := make(map[string]string, len(t.Configs)+len(c.set))
	maps.Copy(configs, t.Configs)
	maps.Copy(configs, c.set)
	for _, k := range c.unset {
		delete(configs, k)
	}
	t.Configs = configs
	return 0, nil
}

// setTopicOwner gives a topic to an object or frees it.
type setTopicOwner struct {
	id       UUID
	from, to Owner
}

func (setTopicOwner) kind() changeKind { return kindSetTopicOwner }

func (c setTopicOwner) append(b []byte) []byte {
	return appendElement(appendElement(appendUUID(b, 1, c.id), 2, c.from.append(nil)), 3, c.to.append(nil))
}

func decodeSetTopicOwner(b []byte) (change, error) {
	var c setTopicOwner
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.id = r.uuid()
		case 2:
			c.from = nested(r, decodeOwner)
		case 3:
			c.to = nested(r, decodeOwner)
		}
	}
	return c, r.done("topic owner")
}

func (c setTopicOwner) apply(tx *imageTx) (uint64, error) {
	t, err := tx.editTopic(c.id)
	if err != nil {
		return 0, err
	}
	if t.Owner != c.from {
		return 0, &Error{ErrVersionConflict, "topic", t.Name, "it has another owner"}
	}
	tx.disownTopic(t)
	t.Owner = c.to
	tx.putTopic(t)
	return 0, nil
}
