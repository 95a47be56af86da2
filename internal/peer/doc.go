// Package peer is the node port: the one address at which the nodes of a cluster talk to each other. Every connection begins with a hello in both
// directions, so that strangers, nodes of other clusters and releases that do not understand each other part before anything else is said. Then the
// dialling side names the stream: raft, Kafka frames or query frames. What follows belongs to the handler of that stream.
//
// # Layers
//
//   - hello.go: the hello's bytes and who is let in.
//   - port.go: listening, dialling, limits and the end of it all.
//   - tls.go: certificates, and which node each of them names.
//   - calls.go: requests and responses on Kafka streams, and the idle connections that are kept for them.
//   - raft.go: the stream layer under hashicorp/raft's network transport.
//
// # Life of a connection
//
//  1. The dialler sends its hello: magic, frame version, length, body. A side that reads a wrong magic hangs up without an answer.
//  2. The acceptor judges it and sends its own hello, with the reason in it if it refuses. It hangs up after a refusal.
//  3. The dialler judges in turn and sends one byte, the stream type.
//  4. The acceptor hands the connection to the handler of that type, or hangs up if it has none.
//
// Steps 1 to 3 together may take HelloTimeout. A port has at most MaxConns connections, its own among them; those beyond that it would accept are closed as they come.
//
// # TLS
//
// With Options.TLS every connection begins with a handshake of TLS 1.3 in which both sides show a certificate of the cluster's authority. Host names play no part, since a node may be
// reached at any address; what counts is that a certificate names the node that its hello names (NodeName). See tls.go.
//
// # Debugging
//
// Refusals are logged at both ends with the reason and the address. Nothing else is logged per connection.
package peer
