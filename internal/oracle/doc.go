// Package oracle holds the test that compares views with PostgreSQL: random views over random tables and streams, on a node and on a
// PostgreSQL server, the same random changes to both, and after every batch of changes each view equal to the same SELECT over there.
//
// relation.go knows what there is to select from, expr.go makes scalar expressions, query.go queries, join.go and streamjoin.go joins, window.go windows, change.go
// INSERTs, UPDATEs and DELETEs; sides.go holds what is said differently on either side. views_test.go runs them. A world ends with rows that are far later than all
// others: what closes by time is compared then. A run is a function of its seed, up to the moments at which the node commits. MILLRACE_VIEWS says how many
// views, MILLRACE_SEED which; a failure prints the line that repeats it, and every statement of its world.
package oracle
