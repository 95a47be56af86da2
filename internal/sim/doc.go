// Package sim is the model of a cluster: the replication core, the state machine of the metadata and the decisions of the controller, as they are in the product, in one goroutine against
// modelled disks and messages. A seed replays exactly, and thousands of runs take seconds.
//
// What is modelled: three nodes that hold one partition; logs are slices, a sync moves a number, a crash cuts a log to somewhere at or above what was synced; each
// node acts on the metadata it has seen, which may be old; heartbeats, fetches, proposals and their answers come late or never; the controller fences who is silent and lets in
// who is back.
//
// What is checked: whatever was below a leader's high watermark is, at its offset, in the log of every later leader.
//
// Wiped disks are not modelled here, for the metadata refuses them; the model in replication/core has them, and with them the need of broker epochs (KIP-903).
//
// Each defence of the protocol can be switched off; the checker must then find a loss. Start debugging with the seed that a failing test names.
package sim
