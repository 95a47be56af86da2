// Package exec runs continuous queries: it turns plan fragments into operators over change batches, keeps their state, commits their
// results exactly once, keeps the rows of tables, and serves push queries. Plans that end run in exec/bounded, scalar expressions in
// exec/expr, record formats are in exec/format, columns in exec/vec.
//
// # Seams
//
// Log (log.go) is all that is asked of a log, and no more than Kafka's protocol offers; StateStore (state.go) keeps committed rows.
// Both are implemented elsewhere: internal/locallog, exec/kafkalog and exec/memlog, exec/pebblestore.
//
// # Layers, from the bottom
//
//   - Operators (operator.go and a file for each) take changes and give changes. They know no goroutine, no clock and no log:
//     a task calls push any number of times and flush before each commit. Rows that they keep are in a stateTable, or for
//     aggregates in slots, and their changes go to the task's taskState.
//   - Sources (source.go, scandecode.go) fetch, decode and keep stream time (timetracker.go); an exchangeWriter or a sinkOp is
//     at the other end. buildtask.go turns a fragment into a pipeline of all of these.
//   - A task (task.go, taskstart.go, taskcommit.go) is a goroutine that owns a pipeline and its state. A committer (committer.go) owns a
//     lane and commits the rounds of the tasks that are ready.
//   - Runner (runner.go) starts and stops tasks as they are assigned, and tells how far they have come (progress.go).
//   - A standby keeps the state of a task that runs on another node (standby.go).
//   - Tables (tables.go) keeps the rows of table partitions: followed from a topic (tablefollow.go), or owned, with key locks and
//     transactions (tableowner.go, locks.go, writetx.go, writecommit.go); on other nodes as standbys (tablestandby.go). A mark says how far
//     the rows go (tablemark.go). TableReader (tableread.go) reads them.
//   - PushQuery (push.go) runs the same pipeline for one session, over all partitions and without commits.
//
// # Life cycle of a task
//
// Start; read the group's committed offsets, which waits for a transaction that is still being decided; open local state and compare its
// mark with the changelog: continue, replay what is missing, or rebuild; then rounds: read, compute in memory, flush, hand the
// contribution to the lane, and once it is committed write the same rows and the new mark to the state store. After a fault
// whose outcome is unknown the task begins again from what is committed. It ends by Stop, by being fenced or outdated (OnLost), or
// by an error that would come again (OnFailed).
//
// # Debugging
//
// A wrong result: print chunks at an operator (vec.Batch prints itself) and compare with EXPLAIN, which shows mode and key of each
// edge. A stuck query: Runner.Frontier against the log's bounds says which input does not move; Stats has lag and stream time. State: compare
// the mark with the changelog's bounds.
package exec
