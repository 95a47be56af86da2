// Package kafka is the listener for Kafka clients: it speaks Kafka's wire protocol over the interfaces of backend.go and knows nothing of
// logs, raft or SQL.
//
// # Layers
//
//   - frame.go: a request's bytes to a kmsg struct and back, with every limit that comes before an allocation (limits.go).
//   - conn.go: one connection. A reader takes requests in order and starts them, a writer sends the answers in the same order; a bounded queue
//     joins them. A produce request waits for the disk in the writer, so a client that sends five of them has five on their way.
//   - apis.go: which keys and versions are served, and by which function. What is in that table is what ApiVersions advertises. Each
//     key's file says what differs between its versions.
//   - backend.go: Broker, Groups, Cluster, Partitions, declared here and implemented elsewhere (internal/kafkabackend).
//   - server.go: listeners, connections, start and stop.
//
// # Life cycle
//
// New, Serve once for each listener, Shutdown. Shutdown ends waiting fetches, lets requests that are being answered finish, and returns when all goroutines are gone.
//
// # Debugging
//
// With the logger at debug level each connection says why it ended. A client that gets no answer most often was given an address that it cannot reach:
// look at what metadata.go answers (kcat -L).
//
// Message formats: the Kafka protocol guide (kafka.apache.org/protocol) and the KIPs named at each key.
package kafka
