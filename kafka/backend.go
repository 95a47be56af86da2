package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// Errors of all interfaces here are Kafka's (package kerr), wrapped or not; the text of a wrapping error goes to clients where the protocol has room for it.

// Broker answers what producers and consumers ask of the partitions and coordinators of this node.
type Broker interface {
	// StartProduce appends what is to be appended and returns a function that waits as the request's acks ask. The request's records are not used after StartProduce has returned.
	StartProduce(context.Context, *kmsg.ProduceRequest) func() *kmsg.ProduceResponse
	InitProducerID(context.Context, *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse
	AddPartitionsToTxn(context.Context, *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse
	AddOffsetsToTxn(context.Context, *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse
	EndTxn(context.Context, *kmsg.EndTxnRequest) *kmsg.EndTxnResponse
	OffsetFetch(context.Context, *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse
	TxnOffsetCommit(context.Context, *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse
	WriteTxnMarkers(context.Context, *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse
	DescribeTransactions(*kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse
	ListTransactions(*kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse
}

// Topic is a topic as clients see it. It is immutable.
type Topic struct {
	Name     string
	ID       [16]byte
	Internal bool // the node's own, such as __consumer_offsets
	// ReadOnly topics are written by the node or by SQL alone.
	ReadOnly   bool
	Configs    map[string]string // those set for the topic
	Partitions []PartitionState  // by number, without holes
}

// PartitionState is who holds a partition.
type PartitionState struct {
	Leader        int32 // node id, or -1
	LeaderEpoch   int32
	Replicas, ISR []int32
	// Target is where the partition is being moved to, nil if it is not: Adding are the replicas that it did not have before, Removing those that go.
	Target, Adding, Removing []int32
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Move is a partition to be moved to replicas, of which the first is to lead; nil for one that is to stay where it was. Resize allows for more or fewer replicas than it has.
type Move struct {
	TopicPartition
	Replicas []int32
	Resize   bool
}

// NewTopic is a topic to be made. Partitions and Replicas are -1 for the default (KIP-464).
type NewTopic struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    map[string]string
}

// BrokerAddress is where clients connect to a node.
type BrokerAddress struct {
	ID   int32
	Host string
	Port int32
	Rack string
}

// TopicConfig is one setting of a topic, or of a node, with its effective value.
type TopicConfig struct {
	Name, Value string
	Default     bool // not set for the topic
	Type        kmsg.ConfigType
}

// Cluster is what exists, and how it is changed. Changes return when this node serves the result.
type Cluster interface {
	ClusterID() string
	// LogDir is the directory of the log, and the size of its disk and what is left of it, in bytes.
	LogDir() (path string, total, usable int64, err error)
	// NodeID is this node. Any node carries out changes, so it is also the controller that clients are told.
	NodeID() int32
	// Brokers are the nodes that serve clients, by id.
	Brokers() []BrokerAddress
	// Coordinator is the node that coordinates a group, or the transactions of a transactional id; false while there is none.
	Coordinator(transactions bool, key string) (int32, bool)
	// Unreachable reports whether nobody answers at a node, whatever the metadata still says of it.
	Unreachable(node int32) bool
	Topic(name string) (Topic, bool)
	TopicByID(id [16]byte) (Topic, bool)
	// Topics is all topics by name.
	Topics() []Topic
	// CreateTopic makes a topic, or only says what it would be. Errors: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS,
	// INVALID_REPLICATION_FACTOR, INVALID_CONFIG.
	CreateTopic(ctx context.Context, t NewTopic, validateOnly bool) (Topic, error)
	// DeleteTopic deletes a topic. Errors: UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED for those that are ReadOnly.
	DeleteTopic(ctx context.Context, name string) error
	// CreatePartitions raises the number of partitions to total. Errors: as DeleteTopic, and INVALID_PARTITIONS.
	CreatePartitions(ctx context.Context, name string, total int32, validateOnly bool) error
	// TopicConfigs is every setting of a topic, by name.
	TopicConfigs(name string) ([]TopicConfig, error)
	// AlterTopicConfigs sets and unsets settings of a topic, all or none.
	AlterTopicConfigs(ctx context.Context, name string, set map[string]string, unset []string, validateOnly bool) error
	// BrokerConfigs is every setting of this node that can be changed while it runs, by name; with general, those of all nodes that have none of their own.
	BrokerConfigs(general bool) []TopicConfig
	// AlterBrokerConfigs sets and unsets them, all or none.
	AlterBrokerConfigs(ctx context.Context, general bool, set map[string]string, unset []string, validateOnly bool) error
	// Reassign begins to move partitions, and answers for each. Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR, NO_REASSIGNMENT_IN_PROGRESS.
	Reassign(ctx context.Context, moves []Move) []error
	// Elect has partitions led by their first replica, or with unclean, those that nobody leads by any that is in touch. Errors: UNKNOWN_TOPIC_OR_PARTITION, ELECTION_NOT_NEEDED,
	// PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE.
	Elect(ctx context.Context, partitions []TopicPartition, unclean bool) []error
}

// Partitions finds the partitions of this node.
type Partitions interface {
	// Partition returns this node's replica. Errors: UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR.
	Partition(topic string, partition int32) (Partition, error)
	// AwaitLeader waits until the node that leads a partition now is known to serve it, as far as this node can know, or ctx ends.
	AwaitLeader(ctx context.Context, topic string, partition int32)
}

// Partition is one partition. current is the leader epoch that the client knows, or -1; it is checked (KIP-320).
type Partition interface {
	// Fetch reads whole batches from the one that holds offset on: about maxBytes but at least one batch, nothing at the end. It never waits.
	// With OFFSET_OUT_OF_RANGE the bounds are filled in.
	Fetch(offset int64, maxBytes int, committed bool, current int32) (Fetched, error)
	// ListOffset finds an offset by timestamp: -1 latest, -2 earliest, -3 that of the highest timestamp, else the first at or after it (ms).
	ListOffset(timestamp int64, committed bool, current int32) (o TimedOffset, found bool, err error)
	// OffsetForLeaderEpoch returns the largest epoch at most epoch and its end offset; -1 and -1 if not known.
	OffsetForLeaderEpoch(current, epoch int32) (int32, int64, error)
	// DeleteRecords makes everything below offset unreadable (-1: below the high watermark) and returns the new log start.
	DeleteRecords(offset int64) (int64, error)
	// Size is what the partition takes on the disk, in bytes.
	Size() int64
	// Producers is what is known of idempotent and transactional producers, by id.
	Producers() []Producer
	// Subscribe has wake sent to, without blocking, when there may be more to fetch or the leadership changed.
	Subscribe(wake chan<- struct{}) (cancel func())
}

// Producer is what a partition knows of a producer.
type Producer struct {
	ID               int64
	Epoch            int16
	LastSequence     int32
	LastTimestamp    int64 // ms
	CoordinatorEpoch int32
	TxnStart         int64 // first offset of the open transaction, -1 if there is none
}

// Fetched is what a Fetch found.
type Fetched struct {
	Records       Records // nil if there are none; release it
	HighWatermark int64
	LastStable    int64
	LogStart      int64
	// Aborted are the aborted transactions that overlap the records, for committed reads.
	Aborted []record.AbortedTxn
}

// Records are whole batches, in memory or in a file.
type Records interface {
	Len() int64
	// Data returns them if they are in memory, else nil. They must not be changed.
	Data() []byte
	// FileRange returns the file's descriptor and where the records begin in it; ok is false if there is no descriptor. It is not used after Release.
	FileRange() (fd uintptr, pos int64, ok bool)
	// ReadAt reads as io.ReaderAt does; offset 0 is where the records begin.
	ReadAt(p []byte, off int64) (int, error)
	AppendTo(dst []byte) ([]byte, error)
	Release()
}

// TimedOffset is an offset with what is known of it; Timestamp is -1 where it has no meaning.
type TimedOffset struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
}
