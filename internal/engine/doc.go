// Package engine is where SQL meets the cluster: it parses, plans and runs the statements of one session, keeps the catalog of SQL objects
// in the metadata quorum, and starts the tasks of persistent queries and tables on this node. It is pgwire's Backend.
//
// # Layers
//
// A session, as the protocol sees it:
//
//   - session.go, statements.go, portal.go, fetch.go: statements and portals; analyze.go: what a statement is and returns. settings.go: SET and SHOW.
//   - txn.go: transaction blocks. writes.go is what one has written, stage.go its changes of the catalog, frozen.go what it reads from.
//   - portable.go, effects.go: how a session goes on when its node dies. readsession.go: sessions that only read, on any node.
//
// The catalog:
//
//   - catalog.go and relations.go turn a metadata image into what the planner asks for; definitions.go remembers what objects say of themselves.
//   - ddl.go, alter*.go, drop.go, replace*.go and a file for each kind of object change it. temporary.go lays a session's own objects over it.
//   - world.go and package pgcatalog show it in SQL.
//
// Rows:
//
//   - select.go, push.go, pointread.go run queries; insertquery.go and replacequery.go make persistent ones.
//   - dml*.go and copyin.go write rows, unique.go checks them.
//   - consistency.go waits for what a query reads, and waitfragment.go for tasks on whichever nodes they run.
//
// What runs on this node:
//
//   - supervisor.go watches the image and starts and stops tables and tasks; startqueries.go and tasks.go are about tasks.
//   - dealout.go deals tasks out to the nodes, to those that are ready (ready.go); claims.go makes a node the owner of what its tasks read.
//   - swap.go: a query that takes the place of another.
//   - peers.go is what engines ask each other, everywhere.go waits until all nodes have acted on a statement.
//
// # Life cycle
//
// Open starts the supervisor, which brings up the tasks of everything in the catalog; sessions come and go; Close stops the tasks and waits for them. Sessions have ended by then.
//
// # Debugging
//
// For a statement start at session.analyze and session.open; for a query that does not move at supervisor.reconcile, millrace.queries and
// millrace.tasks.
package engine
