package exec

// StateStore keeps committed state only: one instance a node, over Pebble, below the directory state/. Keys are (operator
// or table id, partition, order-preserving key), never a task number, so a fragment that is cut anew finds its state.
// The changelog or the table's topic is the truth; the store may be deleted at any time while the node is down.
type StateStore interface {
	// Partition opens the state of one owner (a task of a query, or a table's rows) on one partition number. Opening twice without Close is an error.
	Partition(id StateID) (StatePartition, error)
	// Reader reads the state of one owner as it is at each call.
	Reader(id StateID) StateReader
	// Snapshot is one cut of the last commits of all tasks on this node.
	Snapshot() StateSnapshot
	// Drop deletes every partition of the object (a query or a table).
	Drop(object uint64) error
	// Objects returns the objects that have state here.
	Objects() ([]uint64, error)
	Close() error
}

// StateID names the state of one object (query or table, by catalog OID), fragment and partition number.
type StateID struct {
	Object    uint64
	Fragment  uint32
	Partition int32
}

// Mark ties a StatePartition to the log: which inputs and which changelog its content has taken in. It is written in the same Pebble batch as the rows.
type Mark struct {
	// Inputs are the next offsets to be read, by input partition.
	Inputs []PartitionOffset
	// Changelog is the next changelog offset whose record is not in the state yet, and the leader epoch it was written under.
	Changelog      int64
	ChangelogEpoch int32
	// Outputs are the end offsets, per output partition, of what the task had written when this state was committed: they
	// tie a snapshot to a place in the topic.
	Outputs []PartitionOffset
	// Extra is the task's own (stream times, idle clocks), opaque to the store.
	Extra []byte
}

// StatePartition is the state of one task or one table partition. One writer; readers use a StateSnapshot.
type StatePartition interface {
	StateReader
	// Mark returns the last committed mark; ok is false for empty state.
	Mark() (m Mark, ok bool, err error)
	// NewBatch starts a set of changes, with room for rows whose keys and values take so many bytes; 0, 0 if they are few.
	NewBatch(rows, bytes int) StateBatch
	// NewLoad starts a set of changes that come in the order of operators and their keys, each key once. It costs less than a batch if they take
	// megabytes, and more if not.
	NewLoad() StateLoad
	// Clear forgets everything, mark included, before a rebuild.
	Clear() error
	Close() error
}

// StateReader reads committed rows of one partition. Keys and values are valid until the next call, or for iterators until Next.
type StateReader interface {
	// Get returns the value of key in the operator's space; ok is false when there is none. The caller owns the value appended to dst.
	Get(dst []byte, op uint32, key []byte) (val []byte, ok bool, err error)
	// Iter iterates over [lower, upper) of the operator's space in key order; nil bounds are open.
	Iter(op uint32, lower, upper []byte) (StateIter, error)
}

// StateIter walks rows in key order. Close it.
type StateIter interface {
	Next() bool
	// SeekGE goes to the first row at or after key and reports whether there is one. Going forward by small steps is cheap.
	SeekGE(key []byte) bool
	// SeekLT goes to the last row before key and reports whether there is one. Without one, Next goes to the first row.
	SeekLT(key []byte) bool
	Key() []byte
	Value() []byte
	Err() error
	Close() error
}

// StateBatch is a set of changes applied as one, without waiting for the disk.
type StateBatch interface {
	Set(op uint32, key, val []byte)
	Delete(op uint32, key []byte)
	SetMark(m Mark)
	Commit() error
	// Close gives up a batch that is not to be committed.
	Close() error
}

// StateLoad is a StateBatch of many changes.
type StateLoad interface {
	StateBatch
	// Finish says that no more changes but the mark will come, and does of Commit's work what can be done without it.
	Finish()
}

// StateSnapshot is a consistent view of all partitions. Close it.
type StateSnapshot interface {
	// Partition reads one partition as of the snapshot, with its mark.
	Partition(id StateID) (r StateReader, m Mark, ok bool, err error)
	Close() error
}
