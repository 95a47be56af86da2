package coordinator

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Origin says who makes a batch, which decides what the log checks.
type Origin uint8

const (
	// OriginClient is a producer: sequences, epochs and transaction state are checked.
	OriginClient Origin = iota
	// OriginCoordinator is a coordinator: its own records, offsets inside a transaction, markers. There are no sequences.
	OriginCoordinator
)

// AppendOptions go with an append.
type AppendOptions struct {
	Origin Origin
	// AnyISR appends even if the in-sync replicas are fewer than min.insync.replicas, for producers that do not ask for acks=all.
	AnyISR bool
	// TransactionVersion goes with a transaction marker: see record.Marker.
	TransactionVersion int16
	// Verified refuses the first batch of a transaction unless Guard, from BeginVerification, still holds.
	Verified bool
	Guard    uint64
}

// coordinatorAppend is how a coordinator appends.
var coordinatorAppend = AppendOptions{Origin: OriginCoordinator}

// Partitions finds partitions. Errors are kerr's: UNKNOWN_TOPIC_OR_PARTITION when there is none,
// NOT_LEADER_OR_FOLLOWER when this node does not lead it, KAFKA_STORAGE_ERROR when it is offline.
type Partitions interface {
	Partition(topic string, partition int32) (Partition, error)
	// OpenTransactions lists the transactions that are open in the partitions that this node leads.
	OpenTransactions() []OpenTransaction
}

// OpenTransaction is a transaction that has batches in a partition and no marker yet.
type OpenTransaction struct {
	TopicPartition
	ProducerID    int64
	ProducerEpoch int16
}

// Partition is a partition that this node leads.
type Partition interface {
	// LeaderEpoch is the generation of this leadership; of a coordinator's partition it is the coordinator epoch.
	LeaderEpoch() int32
	// Leads reports whether this leadership lasts.
	Leads() bool
	// LogStart and LogEnd bound what is written.
	LogStart() int64
	LogEnd() int64
	// Append writes record batches, patched in place, and waits for neither disk nor replicas. It returns the first offset and the one
	// after the last. A transaction that the batches show to be lost (see log.Log.Append) is aborted first. Errors are kerr's.
	Append(ctx context.Context, batches []byte, o AppendOptions) (base, next int64, err error)
	// BeginVerification marks that the coordinator is being asked whether a producer may begin a transaction here, and returns the guard for the append that follows; 0 if the
	// producer's transaction is open here already. The end of a transaction voids guards.
	BeginVerification(producerID int64, epoch int16) (guard uint64)
	// Flush starts making everything below offset durable here and returns at once.
	Flush(offset int64)
	// WaitHighWatermark waits until everything below offset is on every in-sync replica. It starts what Flush starts.
	WaitHighWatermark(ctx context.Context, offset int64) error
	// Outlived is asked when that has failed since the leadership is over: it waits until it is known whether everything below offset, appended in this leadership, is on every in-sync replica all the
	// same, or ctx ends.
	Outlived(ctx context.Context, offset int64) bool
	// Read returns whole batches from offset on, up to the log's end, about maxBytes but at least one batch; empty at the end.
	// The bytes are valid until release is called, which must be called unless there was an error.
	Read(ctx context.Context, offset int64, maxBytes int) (batches []byte, release func(), err error)
}

// errorCode maps an error of a partition to the Kafka code that is answered for a partition.
func errorCode(err error) int16 {
	if err == nil {
		return 0
	}
	return kerrOf(err).Code
}

// kerrOf finds the Kafka error in err; a context's end is a time-out and anything unknown is UNKNOWN_SERVER_ERROR.
func kerrOf(err error) *kerr.Error {
	var ke *kerr.Error
	switch {
	case errors.As(err, &ke):
		return ke
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return kerr.RequestTimedOut
	default:
		return kerr.UnknownServerError
	}
}

// logErrors are those of the log of a coordinator, not of what is kept in it.
var logErrors = map[*kerr.Error]bool{
	kerr.NotLeaderForPartition: true, kerr.FencedLeaderEpoch: true, kerr.UnknownLeaderEpoch: true, kerr.NotEnoughReplicas: true, kerr.NotEnoughReplicasAfterAppend: true, kerr.KafkaStorageError: true,
	kerr.RequestTimedOut: true,
}

// coordinatorError maps an error met while writing a coordinator's own log to what a client must hear to try again.
func coordinatorError(err error) *kerr.Error {
	switch ke := kerrOf(err); ke {
	case kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch:
		return kerr.NotCoordinator
	case kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.ProducerFenced:
		return ke
	default:
		return kerr.CoordinatorNotAvailable
	}
}
