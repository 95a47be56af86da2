// Package vec holds typed column vectors and the change batches that flow between operators.
//
// A Vector is one column: an array of int64 or float64, or spans into one byte buffer, plus a validity bitmap. A
// Batch is columns of one length with, per row, what happened to it (Op), when (rowtime) and, where the plan wants it,
// where it came from. Nothing here holds a Go pointer per row, so a batch costs the collector as much as its number of
// columns.
//
// The layers, from the bottom: bitmap.go (validity), vector.go and vectorcopy.go (columns), batch.go
// (rows), datum.go (the boxed slow path), parse.go (values from their text), rowcodec.go (a row as bytes, for state and
// exchanges).
//
// Life cycle: who makes a Batch owns it, until it is handed on. Byte slices and Datums "viewed" out of a vector are valid
// until the vector is next changed. A vector is used by one goroutine at a time. To debug a batch, print it: Batch
// implements fmt.Stringer.
package vec
