// Package engine is where SQL meets the cluster: it parses, plans and runs the statements of one session, keeps the catalog of SQL objects
// in the metadata quorum, and starts the tasks of persistent queries and tables on this node. It is pgwire's Backend.
//
// Layers: session.go, portal.go and analyze.go are the protocol's view (statements, portals, transactions in txn.go); catalog.go turns a metadata
// image into what the planner asks for; ddl*.go change it; select.go and push.go run queries; dml*.go and copy.go write rows;
// supervisor.go watches the image and starts and stops tasks, which dealout.go deals out to the nodes; consistency.go waits for views, and
// waitfragment.go for tasks on whichever nodes they run; peers.go is what engines ask each other.
//
// Life cycle: Open starts the supervisor, which brings up the tasks of everything in the catalog; sessions come and go; Close ends sessions'
// queries, stops the tasks and waits for them. To debug a statement, start at session.analyze and session.open; to debug a query that does
// not move, at supervisor.reconcile, millrace.queries and millrace.tasks.
package engine
