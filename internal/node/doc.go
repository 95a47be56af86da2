// Package node assembles a node: files, metadata quorum, partitions, coordinators, executor, engine and the listeners. Commands, tests and
// simulation all start nodes through Open, so what is tested is what runs. Everything that touches the world (clock, randomness, files,
// network) comes in through Config.
//
// From the bottom, each part opened on top of the one before:
//
//   - the node port (membership.go): finding the cluster, forming it, being taken into it. calls.go has what others ask this node there,
//     peers.go what it asks them
//   - the metadata, of which every node has a copy; registration.go, by which a copy of an old directory is found out; and the heartbeats and
//     life lines (lifeline.go) by which the controller knows that the node is there
//   - the partitions that the node has replicas of, and the coordinators of groups and transactions (coordinators.go, groups.go), which
//     come and go with the leaderships of their partitions
//   - the queries: one node has the duty (duty.go), which is to lead the coordinators of queries, own the tables and run the sessions; the
//     others have a share of the tasks (work.go)
//   - the topics that the node itself needs (internaltopics.go)
//   - the clients: sessions.go brings those of PostgreSQL to the node that runs the sessions, and attend.go notices that one is silent
//
// # Life cycle
//
// open.go is the order in which things come up, with the reason for each place; a step that fails has those before it undone. Close hands
// over what others can go on with (leave.go) and ends everything in the opposite order (close.go). Fatal says that the node has met something with
// which it cannot go on, as a disk that takes no metadata: whoever opened it must close it then.
//
// While it runs a node acts on what the metadata says and on nothing else: goroutines wait for the next image and begin or end parts by it.
// A node that the controller has not answered for a session's time serves nothing as leader (onCutOff), whatever its image says.
//
// # Where to start debugging
//
// The log has a line for every part that begins or ends, with the reason; the controller's node says whom it fenced, after how long a silence. With
// MILLRACE_LOG set the nodes of tests log to standard error. What a node believes is in millrace.nodes and millrace.partitions; a node that does not open says
// what it waits for every few seconds. A failure that needs several nodes is best looked for in internal/sim/nodes, where a seed repeats it.
package node
