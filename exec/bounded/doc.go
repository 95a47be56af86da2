// Package bounded runs plans that end: pull queries, the sources of INSERT ... SELECT, subqueries and catalog queries.
//
// A plan becomes a tree of iterators over batches, pulled from the top; each operator is one file. Leaves ask a Source for the rows of a relation
// (a state snapshot, a stretch of a topic, or virtual rows), so this package knows neither log nor catalog. Operators that must hold rows
// (sort, hash join, aggregate, OVER, DISTINCT) charge them to Query.Memory and fail with 53200 beyond it; a sort under a small LIMIT holds the
// first rows alone.
//
// Life cycle: Open builds the tree and opens the leaves, Next is called until it returns nil, Close is always called, once. One goroutine runs a query. To
// debug, EXPLAIN shows the same tree; operator.go has the switch from node to iterator. What the operators answer is held to PostgreSQL in
// exec/expr/testdata/query.sql and window.sql.
package bounded
