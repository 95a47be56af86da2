// Package coordinator holds the coordinators of the log, transactions and consumer groups, over the topics
// __transaction_state and __consumer_offsets in Kafka's own record formats. Who leads a partition of those coordinates what it keeps, so that the coordinators
// of a transaction, of a group and the leaders of the partitions that they are about may all be different nodes. Those of persistent queries have topics of their own (hash.go), led by the node with the queries.
//
// # Layers
//
//	Broker         answers Kafka's requests (kmsg structs) for the partitions and coordinators of this node; produce.go takes batches
//	Transactions   the state machine of each transactional id (txn_*.go), its log, markers (markers.go), timeouts, recovery
//	Offsets        committed and pending offsets of each group, group generations (offset*.go)
//	Groups         consumer groups of Kafka clients, driven with time and the log by groups.go. Of the classic protocol group_state.go is the pure core, of that of
//	               KIP-848 consumer_state.go with assignors.go; mixed_*.go are groups with members of both
//	querygroup.go  claims of nodes on the partitions that tasks of persistent queries read
//	leases.go      what both keep of each partition that this node leads: one term, and its end
//	AssignTasks    which node runs which task: a pure function (querytasks.go)
//	Partition      what both need of a partition; declared here, provided by package replication (see replicated.go)
//	Peers          what they ask of other nodes, by Kafka's requests between brokers (peers.go)
//
// txn_state.go is the pure core: it maps (state, request) to (next state, error) and does no I/O. Everything around it
// writes the next state to the log and only then installs it.
//
// # Life of a transaction (KIP-98 as changed by KIP-890)
//
//  1. InitProducerID aborts what an older producer with the same transactional id left open, raises the epoch, and answers
//     when that is below the high watermark.
//  2. The first append to each partition adds it to the transaction: implicitly (Produce v12, TxnOffsetCommit v5) or by
//     AddPartitionsToTxn. While the append runs the transaction is held, so that no end can slip in between.
//     Producers in this process wait for no disk here; remote ones do, for they may outlive a crash of this node.
//  3. EndTxn syncs all partitions of the transaction in one round, writes PREPARE_COMMIT or PREPARE_ABORT with the next epoch
//     and waits for it (this is the decision), writes the markers, waits until they lie below the high watermark everywhere,
//     writes COMPLETE, and answers. Kafka answers after the decision; here an answered transaction is readable.
//
// If a crash loses the ONGOING record of a producer that died with the node, the log may hold transactional batches that no
// coordinator knows of, its orphans. Lead aborts those in the partitions that this node leads before it serves, the expiry loop those
// that come with other partitions later, and the log any that the next transaction of the producer meets: txn_orphans.go. Coordinators look for orphans at all nodes (txn_sweep.go), and forget a
// transactional id that nobody uses only when they have found nothing of it open, so every orphan has one who knows it.
//
// # Life cycle
//
// New, Lead and Resign as partitions come to the node and go (Lead loads them and finishes what was decided), requests, Close. Requests that arrive earlier are answered
// COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR.
//
// # Debugging
//
// Start at Transactions.run (txn_end.go), which drives a decided transaction to its end, and at txn_load.go.
package coordinator
