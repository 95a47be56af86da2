// Package metadata is the cluster's memory of itself: brokers, topics and where their partitions live, settings, users, access
// rules, producer-id blocks and the objects of the SQL catalog, kept by a raft group (hashicorp/raft). One node is a group of one; there is no
// other mode.
//
// # Layers
//
//   - identity.go: meta.properties, which says whose data a directory holds.
//   - logstore.go, snapstore.go: raft's log, stable and snapshot stores over one small, always synced Pebble database.
//   - wire.go, codec.go, change.go, change_*.go: the entries. An entry is a batch of changes, applied wholly or not at all. A change carries a result
//     (this partition's record is now this one), never an intention (move leaders off node 3), so two releases that disagree
//     about policy still derive the same state; and it is compare-and-swap on the version or epoch it was made from.
//   - types.go, image.go, imagetx.go: the state, immutable and shared by pointer; an entry copies what it touches (pmap.go). overlay.go puts
//     what one session alone sees over it.
//   - fsm.go, requests.go: applies entries to the image, remembers request ids, writes and reads snapshots (snapshot.go).
//   - features.go: the feature level, which says what all nodes understand, and so what may be written.
//   - batch.go: how the rest of the program writes a change. place.go: which nodes get a new partition's replicas.
//   - register.go, laststart.go, nodewish.go, querytasks.go, quota.go, throttle.go: what is kept as settings, which older releases keep too though they do
//     not know what it means: the node of the queries, what an operator wants of a node, where tasks run, limits.
//   - store.go: Open, Apply, Image, Watch, Barrier, Close. group.go: members of the group, and what is asked of its leader.
//   - transport.go, raftlog.go: how raft reaches other nodes, and what of its log lines is told.
//   - machine.go: the state machine alone, for simulations.
//
// # Life of a change
//
// A caller makes a Batch against the image it sees, adds changes, and hands it to Store.Apply. The batch becomes one raft entry of at most
// MaxEntryBytes. When the entry is committed the FSM applies it to a transaction over the image; the first change that fails
// ends it and the image stays as it was. The outcome is remembered under the batch's request id, so the same batch proposed again (after an
// outcome nobody heard) answers what it answered the first time. Then the image is published and everyone who waits in Watch wakes.
//
// # Where to start debugging
//
// docs/formats/metadata.md draws every byte. A node that stops at start with UnknownEntryError was started with a release older than the
// one that wrote its log. A write that fails, or takes longer than StallLimit, ends the process through Options.OnFatal: look at the disk. From then on the member
// is silent, so that others lead.
package metadata
