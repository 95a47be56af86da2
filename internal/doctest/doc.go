// Package doctest runs the examples of docs/sql, so that what the pages show is what a node answers.
//
// A page is read from top to bottom on a node of its own. Of a page these parts run:
//
//   - A block fenced as sql: its statements, one after the other, in one session.
//   - A block fenced without a language right below it: what the last of those statements answers, as psql prints it. An error begins with ERROR.
//   - A table with the columns Example and Result: each example as SELECT example; the result as text, NULL spelled out. The result column may be called
//     "Result ~" where only its kind matters (the present time, a random number): then the example must merely work.
//
// go test ./internal/doctest -rewrite writes what the node answers into the pages. Read what came.
//
// TestEveryFunctionIsDescribed holds that every function that SHOW FUNCTIONS lists, but those of the catalog, stands in a table of a page.
package doctest
