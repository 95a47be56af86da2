// Package locallog is exec.Log on the cluster's partitions: where the executor's interface meets replication and the coordinators. Those that this process leads are reached without
// encoding anything: reads that the tail cache can serve share its memory, and lanes hand their requests to the coordinators as structs. Those led elsewhere are reached over the node port.
//
// # Layers
//
//   - locallog.go: the methods of exec.Log.
//   - remote.go: reads from leaders elsewhere, and the polls by which subscribers hear of them; subscribe.go: who is told of what moves here.
//   - gather.go: what many tasks ask of a node at the same time, in few requests; slots.go: how many reads are under way there.
//   - transport.go: batches to leaders, wherever they are.
//   - worker.go: requests to coordinators on other nodes, for a Log that has none of its own (NewWorker).
//
// # Life cycle
//
// The replication.Manager and the coordinator.Broker that a Log is given are run by the node. The Log of a node that may have peers has a goroutine for its polls and some for what is gathered; Close ends
// and awaits them. One that is alone has none.
//
// # Debugging
//
// For reads begin at Log.atLeader, which says where a partition is looked for and how often; for writes in package exec/lane.
package locallog
