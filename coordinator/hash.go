package coordinator

import (
	"math"
	"unicode/utf16"
)

// Names of the two internal topics, and the number of partitions each is formed with.
const (
	TransactionTopic          = "__transaction_state"
	OffsetsTopic              = "__consumer_offsets"
	DefaultInternalPartitions = 16
)

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
