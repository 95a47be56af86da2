// Package nodes holds the simulation of clusters of whole nodes: three nodes, or five, in this process as node.Open makes them, in the bubble of testing/synctest, on the network of package links and on file
// systems in memory that lose what was not synced. Thirty seconds of a cluster take a few.
//
// sim_test.go runs seeds, each in a process of its own (package bubble says why). world_test.go forms a cluster, runs the clients while faults_test.go breaks things and change_test.go changes the cluster, heals everything, and has each client
// check what the cluster then holds against what it was told. machine_test.go is what a node runs on. The clients: SQL writers over streams, joins, windows and aggregates (events_test.go), transfers (bank_test.go),
// Kafka producers and a group (kafka_test.go), Kafka transactions (txn_test.go), a group that reads, writes and commits in one transaction (pipeline_test.go), definitions (names_test.go), rows that
// are read and swapped (registers_test.go). Each checker is a function of what was told and what was read, so that checkers_test.go can show that it finds what it is there for.
//
// A seed fixes the faults, their moments and what clients ask for, and the clock is virtual; the order in which goroutines run is the Go scheduler's. So a seed that has failed fails again often but not
// always: MILLRACE_SIM_REPEAT runs it some times.
//
// Start debugging with the trace that a failed seed leaves: faults, what clients were told, and the nodes' own logs, in virtual time.
package nodes
