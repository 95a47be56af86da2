// Package expr compiles bound scalar expressions (planner.Expr) to closures over column vectors, and holds the scalar
// functions, operators, casts, aggregates and set-returning functions.
//
// Layers: program.go is the surface (Compile, Program, Env, Errors); compile.go turns each node of an expression into a closure; logic.go has the
// nodes that narrow the selection (AND, OR, CASE, COALESCE), for an error counts only where its row is still selected; subquery.go runs
// subqueries, once where they depend on nothing in the row; call.go applies functions, found by planner.Func.ID in the registry that the
// fn_*.go files fill by family; cast.go converts between types. Behind them: regex.go and regexclass.go translate PostgreSQL's regular
// expressions, numpattern.go, numformat.go and numparse.go are the templates of numbers, jsontext.go walks over JSON.
// Aggregates come as accumulators of boxed rows (fn_agg.go) and, for machine words, over vectors and all groups at once (grouped.go).
//
// A function is written either over vectors (the hot ones: arithmetic, comparison and text search, see fast.go) or over boxed values
// (all others). Strictness is dealt with once, in call.go: a strict function never sees a NULL. What a function compiles of an
// argument (a pattern) it keeps with remember or in its own factory, bounded.
//
// A Program keeps scratch vectors, so it belongs to one goroutine. To debug an expression, evaluate it over a batch of one row: Scalar does that.
// To see what PostgreSQL answers, add a query to testdata/*.sql and run the tests with -pg.
package expr
