// Package node assembles a node: files, metadata quorum, partitions, coordinators, executor, engine and the listeners. Commands, tests and
// simulation all start nodes through Open, so what is tested is what runs.
//
// open.go is the order in which things come up, with the reason for each place, and close.go undoes it. Everything that touches the
// world (clock, randomness, files, network) comes in through Config.
package node
