// Package controller decides what the metadata records about nodes and leaders: which brokers are active, who is in the in-sync set of a partition when brokers come and go,
// who leads, where missing replicas go, on which node the queries run, and which nodes vote in the metadata group.
//
// # Layers
//
//   - plan.go: the decisions, pure: from an image to the records that should be there. reassign.go: partitions that an operator moves; remove.go: replicas that leave drained and
//     removed nodes; fill.go: those that go to new ones.
//   - controller.go: the loop of the node that leads the metadata group. It notes heartbeats, fences brokers that are silent, lets others in, and writes what plan.go says. Every write
//     is compare-and-swap when it is applied, so a controller that was deposed without knowing changes nothing.
//   - admit.go: when a broker that was fenced may be let in again, pure.
//   - voters.go: which members of the metadata group vote.
//   - death.go: who is fenced at once since its process was seen to die (package lifeline), and who stands for election when that was the controller's.
//   - tenure.go: for how long a node may serve, pure.
//   - heart.go: the other side, on every node: it sends heartbeats to all voters and says when the node must take itself for cut off.
//
// # Life of a failure
//
// A broker that is not heard of for Session is fenced: one entry. The next entries take it out of every in-sync set and give what it led to others, each with a new leader epoch. The
// broker itself stops serving when its heartbeats have been unanswered for a little less, counted from the sending of the last that was answered, which is not later. From when the controller has decided to fence a broker it
// answers none of its heartbeats as that of an active one. One whose process has died is fenced at once: package lifeline says when, and why nobody is who serves. When it is back it
// registers or is heard again, is let in, catches up, and its leaders ask for it to be in sync.
//
// # Debugging
//
// Each decision is logged by the node that makes it, at level info. SHOW NODES has what came of them.
package controller
