package coordinator

import (
	"math"
	"strings"
	"unicode/utf16"
)

// The coordinators' topics, and the number of partitions that each is formed with at most. The queries have topics of their own: who runs them leads those, and loses with them the right to write what
// queries write, while those of Kafka clients are led by all nodes. A cluster that an older release has formed has no topics of queries; there Kafka's are for both, and are led by one node.
const (
	TransactionTopic          = "__transaction_state"
	OffsetsTopic              = "__consumer_offsets"
	QueryTransactionTopic     = "_millrace_query_transactions"
	QueryOffsetsTopic         = "_millrace_query_offsets"
	DefaultInternalPartitions = 16
)

// laneIDPrefix begins the transactional ids of what the nodes themselves write.
const laneIDPrefix = "_millrace-"

// TransactionPartition is the partition that keeps a transactional id. count tells how many partitions a topic has, 0 if it does not exist.
func TransactionPartition(id string, count func(topic string) int32) TopicPartition {
	if strings.HasPrefix(id, laneIDPrefix) && count(QueryTransactionTopic) > 0 {
		return locate(id, QueryTransactionTopic, count)
	}
	return locate(id, TransactionTopic, count)
}

// OffsetsPartition is the partition that keeps a group; count is as in TransactionPartition.
func OffsetsPartition(group string, count func(topic string) int32) TopicPartition {
	if isQueryGroup(group) && count(QueryOffsetsTopic) > 0 {
		return locate(group, QueryOffsetsTopic, count)
	}
	return locate(group, OffsetsTopic, count)
}

func locate(key, topic string, count func(topic string) int32) TopicPartition {
	n := count(topic)
	if n <= 0 {
		n = DefaultInternalPartitions // it does not exist yet, so nobody leads whatever it is
	}
	return TopicPartition{topic, PartitionFor(key, n)}
}

// keepsOffsets reports whether a topic is one of the group coordinators'.
func keepsOffsets(topic string) bool { return topic == OffsetsTopic || topic == QueryOffsetsTopic }

// keepsTransactions reports whether a topic is one of the transaction coordinators'.
func keepsTransactions(topic string) bool {
	return topic == TransactionTopic || topic == QueryTransactionTopic
}

// slots numbers the partitions of the topics of one kind of coordinators: first those of Kafka's clients, then those of the queries.
type slots struct {
	each  int32 // partitions of one topic at most
	count func(topic string) int32
}

// of is the number of a partition; false if it is not one of a coordinator's.
func (s slots) of(tp TopicPartition) (int, bool) {
	if tp.Partition < 0 || tp.Partition >= s.each {
		return 0, false
	}
	switch tp.Topic {
	case TransactionTopic, OffsetsTopic:
		return int(tp.Partition), true
	case QueryTransactionTopic, QueryOffsetsTopic:
		return int(s.each + tp.Partition), true
	}
	return 0, false
}

// PartitionFor returns the partition of an internal topic that keeps the group or transactional id named key: Kafka's
// Utils.abs(key.hashCode()) % partitions, so that Kafka's tools look in the right place.
func PartitionFor(key string, partitions int32) int32 {
	h := javaHash(key)
	switch {
	case h == math.MinInt32:
		h = 0
	case h < 0:
		h = -h
	}
	return h % partitions
}

// javaHash is java.lang.String.hashCode: over UTF-16 code units.
func javaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if hi, lo := utf16.EncodeRune(r); hi != '\uFFFD' {
			h = 31*h + hi
			h = 31*h + lo
			continue
		}
		h = 31*h + r
	}
	return h
}
