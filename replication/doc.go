// Package replication makes partitions out of logs: who leads, how far the in-sync replicas have got, and what may be read. Every append of the node,
// whoever makes it, goes through a Partition.
//
// # Layers
//
//   - core: the protocol without I/O, clock or goroutines.
//   - metadata: the raft group that says which partitions exist, who holds and who leads them.
//   - controller: brokers, elections, voters; lifeline: a process that has died told from one that is silent.
//   - Partition (partition.go, append.go, fetch.go, wait.go): a log of package log with a core.Leader and a lock around it. lease.go: until when this node may serve as leader.
//   - Manager (manager.go): opens, closes and deletes partitions as the metadata image says. reopen.go: those that could not be opened.
//   - isr.go: what leaders ask of the metadata.
//   - fetcher.go, follower.go: what this node copies from others, one fetcher a leader. fetchsession.go, fetchround.go, replicafetch.go: what it gives to those that copy from it, one session a node.
//   - peerread.go: reads of other nodes, for their tasks and sessions.
//   - damage.go: what becomes of a replica that has lost what it had synced.
//   - throttle.go: what holds catching up to a rate.
//   - config.go: from a topic's settings to a log's.
//
// # Life of an append
//
// Append checks leadership, epoch and, for acks=all, that the ISR is large enough; the log writes into the page cache and asks the node's group commit for a sync. When the sync is done the
// log calls back, the core raises the high watermark, and the partition wakes those who wait for an offset below it and those who subscribed.
// An append to many partitions is AppendAsync on each and then WaitCommitted on each: the syncs run side by side.
//
// # Locks
//
// Partition.lead (read by appends, written when leadership changes) -> Partition.mu (short, no I/O) -> those of package log.
// fetchSession.serving -> Partition.mu -> fetchSession.mu.
//
// # Debugging
//
// A partition that takes no writes says why with the Kafka error of Append. Its high watermark rests when a sync hangs (DurableEnd of the log), when the ISR
// is below min.insync.replicas, or when a member of the ISR does not fetch.
package replication
