// Package log is one partition's durable log: batches of records appended to segment files, found by offset or time, kept
// for as long as the topic says, and still there after a crash. It knows no network, no replication and no SQL. The files
// are Kafka's: docs/formats/log.md draws every byte.
//
// # Layers
//
//   - [Log] is a partition. It owns its directory and puts the parts below together.
//   - segment is a .log file with its indexes (index.go); producerTable is what idempotence and transactions need to know
//     (producers.go); epochCache maps leader epochs to offsets (epochs.go).
//   - [SyncService] is the node's group commit; [TailCache] keeps the newest bytes of all partitions in memory.
//   - [Manager] is a data directory: it opens all partitions, writes their checkpoints, and runs retention and compaction.
//
// # Life of an append
//
// [Log.Append] takes whole batches. Under the append lock it checks them, assigns offsets, asks the producer table, rolls
// the segment if it is full, and writes once, into the page cache. The log end offset then moves, and the partition asks the
// sync service for a sync. One sync per partition is in flight at a time; appends go on meanwhile and share the next one.
// When it is done the durable end moves ([Log.DurableEnd]), waiters wake, and Options.OnDurable is called.
//
// # What a crash leaves
//
// The recovery point, from the data directory's checkpoint, is the end of the last sync that was written down. Bad bytes at
// or above it are a torn tail: they were never promised, and are cut off into a .torn file. Bad or missing bytes below it are
// damage: nothing is cut, the log reads up to there and takes no writes until [Repair], or until it is fetched anew.
// Damage that a reader meets later, or a missing beginning, is noted too ([Damage]), and the log goes on being used.
// A failed fsync is never tried again, since the kernel may have dropped the pages: the directory goes offline.
//
// # Locks
//
// A log has appendMu (one writer) -> syncMu (one sync) -> mu (short, no I/O); a cut or a removal takes Manager.saveMu, for the
// checkpoints, between syncMu and mu. Segment files are reference-counted, so a reader holds none of these while it sends.
//
// # Debugging
//
// "millrace log dump FILE" is [DumpFile], for any file of a partition.
package log
