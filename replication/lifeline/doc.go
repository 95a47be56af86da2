// Package lifeline tells a process that has died from one that is silent. A silent node may be alive, and serves for its lease, so that nobody takes its place before that is over (package controller). One
// whose process is gone serves nothing, and its kernel says so: it ends the process's connections and refuses new ones.
//
// # Layers
//
//   - witness.go: what one node has seen of the processes of others, pure.
//   - vital.go: what a node makes of the ends of its own life lines, pure.
//   - take.go: the voter's side of life lines: it reads them to their end, and then asks the node port.
//   - hold.go: the other side: a node keeps a life line to each other voter.
//
// # Life line
//
// Each node keeps a connection to each voter of the metadata group on which nothing is said. It names the epoch of its registration, the voter answers with one byte, and then the connection stays for as long as
// the process lives. Who stops in order says so with one byte more. A living process never ends a life line that the other side, or an error, has not ended before.
//
// # When a process counts as dead
//
// A voter has seen a process die if the newest life line of its registration came to an end of the stream without a farewell, and since then, and since the last heartbeat, the node port was dialled three
// times or more, over 300 ms at least (Refusals, RefusedFor), and each time the connection was refused: ECONNREFUSED, nothing else. Any sign of life, a heartbeat, a new life line, a connection that is made or that
// fails in another way, begins that again. The controller fences a node at once if a majority of the voters, itself among them, have seen its process die. Silence, or any lesser evidence, costs the whole
// session.
//
// And a node to which a majority of the voters have ended its life lines, in whatever way but in order, and refuse new ones, stops to serve as leader at once, until the controller has answered a heartbeat that it sent after
// that. While any of its life lines is broken it sends heartbeats more often than voters dial.
//
// # Why nobody is replaced who serves
//
// The end of a stream (FIN) is sent by a kernel whose process has closed its socket or is no more, and by whatever else ends TCP connections, such as proxies. Firewalls reset connections, they do not end streams. So, case by
// case, for a node that lives and leads:
//
//   - A firewall drops, or resets, one way or both, by a rule or because it has forgotten the connection: no end of a stream. It is silence.
//   - A proxy that carries the node's connections dies, or a machine in between that ends both halves: both ends of each life line hear of it. A majority of voters dial in vain; the node dials in vain too, before
//     they have dialled three times, and has stopped to serve. Where only some voters are behind it there is no majority.
//   - The node accepts no connections, since its queue is full or it has no descriptors left: its kernel completes the handshake, or drops it. Nothing is refused.
//   - Another process has the port: connections are made. The node has another address now: it has started again since, and is registered anew or about to be.
//   - It starts, and its port is not open yet: it has no life line yet. It stops in order, and has closed its port: it has said farewell.
//   - It has started again so soon that the new process was there first: either the port answers, or the new registration counts, and of that nobody has seen an end.
//   - Its id was taken by another directory: the epoch is another.
//   - The controller itself dies: every voter has life lines, also from the controller, so that the next one knows what it needs to know when it begins, and stands for election without waiting for raft's timeout.
//
// Not covered: proxies that end a life line at the voter's side alone, for a majority of voters, and refuse connections in the node's name, while the node hears nothing. Nodes should reach each other without
// proxies.
//
// # Debugging
//
// The controller logs who has died and how long ago; each voter logs, at level info, what it has seen die, and each node that it stops to serve because the voters are lost.
package lifeline
