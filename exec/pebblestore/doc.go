// Package pebblestore is exec.StateStore over one Pebble database a node, below the directory state/.
//
// Layers: key.go lays keys out, mark.go encodes marks, store.go opens the database, partition.go reads and writes one
// partition, batch.go and load.go are the ways to write it, snapshot.go reads a cut of all.
//
// Life cycle: Open, Partition for each task that starts, Close of each partition as its task stops, Close of the store. Close
// is an audit: partitions, snapshots or iterators still open are an error. Nothing here waits for the disk: a state's truth is
// its changelog or its topic, and the mark says how far the state has taken that in. What is lost in a crash is replayed.
//
// To debug a state, print its mark and compare the changelog position with the changelog's bounds.
package pebblestore
