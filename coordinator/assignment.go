package coordinator

import (
	"bytes"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicID is the id of a topic, which a topic of the same name made later does not have.
type topicID = [16]byte

// topicPart names a partition by its topic's id.
type topicPart struct {
	topic     topicID
	partition int32
}

// assignment is partitions of a member, sorted, by topic; a topic without any is not in it. It is not changed once it is made, so it may be shared.
type assignment map[topicID][]int32

func (a assignment) has(topic topicID, partition int32) bool {
	_, ok := slices.BinarySearch(a[topic], partition)
	return ok
}

func (a assignment) count() (n int) {
	for _, parts := range a {
		n += len(parts)
	}
	return n
}

func (a assignment) equal(b assignment) bool { return maps.EqualFunc(a, b, slices.Equal) }

// all visits the partitions, by topic id and number.
func (a assignment) all(yield func(topicPart) bool) {
	for _, topic := range a.topics() {
		for _, p := range a[topic] {
			if !yield(topicPart{topic, p}) {
				return
			}
		}
	}
}

func (a assignment) topics() []topicID {
	return slices.SortedFunc(maps.Keys(a), func(x, y topicID) int { return bytes.Compare(x[:], y[:]) })
}

// split divides the partitions by a condition.
func (a assignment) split(in func(topicPart) bool) (yes, no assignment) {
	yes, no = assignment{}, assignment{}
	for topic, parts := range a {
		for _, p := range parts {
			if in(topicPart{topic, p}) {
				yes[topic] = append(yes[topic], p)
			} else {
				no[topic] = append(no[topic], p)
			}
		}
	}
	return yes, no
}

// plus is the union of two assignments that have no partition in common.
func (a assignment) plus(b assignment) assignment {
	out := maps.Clone(a)
	for topic, parts := range b {
		out[topic] = slices.Sorted(slices.Values(append(slices.Clone(a[topic]), parts...)))
	}
	return out
}

// ownedBy is what a member says that it owns; nil if it says nothing.
func ownedBy(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) assignment {
	if topics == nil {
		return nil
	}
	out := assignment{}
	for _, t := range topics {
		if len(t.Partitions) > 0 {
			parts := slices.Sorted(slices.Values(append(slices.Clone(out[t.TopicID]), t.Partitions...)))
			out[t.TopicID] = slices.Compact(parts)
		}
	}
	return out
}
