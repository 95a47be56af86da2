// Package expr compiles bound scalar expressions (planner.Expr) to closures over column vectors, and holds the scalar
// functions, operators and casts.
//
// Layers: program.go is the surface (Compile, Program, Env, Errors); compile.go turns each node of an expression into a closure; logic.go has the
// nodes that narrow the selection (AND, OR, CASE, COALESCE), for an error counts only where its row is still selected; call.go
// applies functions, found by planner.Func.ID in the registry that the fn_*.go files fill; cast.go converts between types.
//
// A function is written either over vectors (the hot ones: arithmetic and comparison of machine types, see fast.go) or over boxed values
// (all others). Strictness is dealt with once, in call.go: a strict function never sees a NULL.
//
// A Program keeps scratch vectors, so it belongs to one goroutine. To debug an expression, evaluate it over a batch of one row: Scalar does that.
package expr
