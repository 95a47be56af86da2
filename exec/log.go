package exec

import (
	"context"
	"errors"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// TopicPartition names one partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Errors of a Log. An implementation may wrap them; test with errors.Is.
var (
	// ErrUnknownTopic: the topic or partition does not exist.
	ErrUnknownTopic = errors.New("unknown topic or partition")
	// ErrOffsetOutOfRange: the offset asked for lies before the log start or beyond the end.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrFenced: another lane with the same transactional id took over; this lane can commit nothing more.
	ErrFenced = errors.New("lane was fenced by a newer one")
	// ErrStaleGeneration: the group generation given with offsets is over; the task lost its partitions.
	ErrStaleGeneration = errors.New("stale group generation")
	// ErrUnknownOutcome: the transaction may or may not have committed. Open the lane again (which fences and settles it), read the
	// committed offsets and decide by them.
	ErrUnknownOutcome = errors.New("outcome of the transaction is unknown")
	// ErrUnavailable: the partition or its coordinator takes no writes now (no leader, disk full, starting); try again after a Subscribe wake or a pause.
	ErrUnavailable error = sqlerr.New(sqlerr.CannotConnectNow, "log is unavailable").WithHint("A partition that is read or written has no leader now, or its leader takes no writes. Try again.")
)

// Log is everything that the executor needs of a log, and no more than what Kafka's protocol can offer, so that one
// implementation is this process's own partitions and another speaks Kafka to a foreign cluster. exec/logtest is its
// conformance suite. All methods are safe for concurrent use. Reads are always read_committed.
type Log interface {
	// PartitionCount returns the number of partitions of topic, or ErrUnknownTopic.
	PartitionCount(ctx context.Context, topic string) (int32, error)

	// Fetch returns what is readable of tp from offset on: whole batches, about maxBytes but at least one batch if there is
	// one. It never waits for new data; an empty result means the end of what is readable now. A leader that has just been elected may
	// say less than Offsets has said before: who needs all below an end looks at the LastStable that came with an empty result.
	Fetch(ctx context.Context, tp TopicPartition, offset int64, maxBytes int) (Fetched, error)

	// Offsets returns the bounds of tp as of now.
	Offsets(ctx context.Context, tp TopicPartition) (Offsets, error)

	// Subscribe sends to wake, without blocking, whenever tp's HW or LSO has advanced or its state has changed. wake should have capacity one;
	// a waker that finds it full has nothing to add. The caller must call cancel.
	Subscribe(tp TopicPartition, wake chan<- struct{}) (cancel func(), err error)

	// Append appends batches outside a transaction, acknowledged as acks=all, and returns one result per batch. A batch is
	// atomic; several batches are not atomic together. Batches of one partition are appended in order.
	// ErrUnknownOutcome says that some or all may have been appended; after any other error none was.
	Append(ctx context.Context, batches []PartitionBatch) ([]Appended, error)

	// OpenLane opens the lane with the given transactional id. It fences an older lane with that id and returns after
	// its open transaction has been aborted or completed.
	OpenLane(ctx context.Context, transactionalID string) (Lane, error)

	// Committed returns what group has committed for tps, in their order, with offset -1 where that is nothing. It waits
	// for open transactions that touch them (KIP-447, RequireStable).
	Committed(ctx context.Context, group string, tps []TopicPartition) ([]PartitionOffset, error)

	// DeleteRecords makes everything of tp below offset before unreadable.
	DeleteRecords(ctx context.Context, tp TopicPartition, before int64) error
}

// Offsets are the bounds of a partition.
type Offsets struct {
	LogStart      int64 // first readable offset
	HighWatermark int64 // everything below is on every in-sync replica
	LastStable    int64 // everything below belongs to decided transactions; at most HighWatermark
	LeaderEpoch   int32 // generation of the leadership that answered
}

// Fetched is the answer to a Fetch.
type Fetched struct {
	// Batches holds whole record batches v2, one after the other. The caller owns it until Release.
	Batches []byte
	// Aborted lists the aborted transactions that overlap Batches, sorted by first offset; internal/record filters by it.
	Aborted []AbortedTxn
	Offsets
	// Release returns the memory; never nil. Batches must not be used afterwards.
	Release func()
}

// AbortedTxn is an aborted transaction of one producer: its records from FirstOffset to its abort marker do not count.
type AbortedTxn struct {
	ProducerID  int64
	FirstOffset int64
}

// PartitionBatch is one record batch v2 for one partition, as internal/record builds it. Base offset, leader epoch, producer id, producer
// epoch and base sequence are filled in by whoever appends, in place.
type PartitionBatch struct {
	TopicPartition
	Batch []byte
}

// Appended is where a batch went.
type Appended struct {
	BaseOffset  int64
	LeaderEpoch int32
}

// Lane commits rounds: short transactions of appends and offsets. A lane has one owner, which calls Commit for one round at
// a time.
type Lane interface {
	// Commit runs one transaction with the contributions of all tasks and returns when its markers lie below the high watermark
	// everywhere, so that the round is readable. A task whose generation is stale has Err = ErrStaleGeneration in its result and takes no
	// part; so does one whose partitions or group refuse what it brings (ErrUnknownTopic, ErrUnavailable, a batch that is too large); the
	// others commit. An error as a whole (ErrFenced, ErrUnknownOutcome, ErrUnavailable) concerns every task; but for ErrUnknownOutcome
	// nothing was committed.
	Commit(ctx context.Context, tasks []TaskCommit) ([]TaskResult, error)
	// Close gives the lane up. It does not wait for a Commit in flight to succeed.
	Close() error
}

// TaskCommit is what one task contributes to a round.
type TaskCommit struct {
	// Group, Member and Generation are the task's claim on its input partitions. An empty Group commits no offsets; an empty Member
	// makes no claim, so that the offsets are committed whoever is in the group.
	Group      string
	Member     string
	Generation int32
	// Offsets are the next input offsets to be read.
	Offsets []PartitionOffset
	// Batches are appended in order; several may name the same partition.
	Batches []PartitionBatch
}

// PartitionOffset is a committed position. Metadata is opaque to the log (at most 4 KiB).
type PartitionOffset struct {
	TopicPartition
	Offset   int64
	Metadata string
}

// TaskResult is the outcome for one task of a committed round.
type TaskResult struct {
	Err error // why the task took no part, or nil
	// Appended has one entry for each of the task's batches.
	Appended []Appended
}
