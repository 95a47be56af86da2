package bounded

import (
	"slices"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// maxBatchBytes bounds the texts of a batch that an operator makes of others. A row that is repeated (by a join, or where many rows share one
// constant) would else grow without an end within one batch.
const maxBatchBytes = 64 << 20

// hasTexts reports whether rows of the schema have values that are not machine words.
func hasTexts(schema []types.Type) bool {
	return slices.ContainsFunc(schema, func(t types.Type) bool { return t.Kind.Storage() == types.StoreBytes })
}

// rowBytes returns the bytes of a row's values that are not machine words.
func rowBytes(b *vec.Batch, row int) int {
	n := 0
	for _, v := range b.Cols {
		if v.Storage() == types.StoreBytes {
			n += int(v.Spans[row].Len)
		}
	}
	return n
}

// dataBytes returns the bytes of texts that a copy of the batch holds.
func dataBytes(b *vec.Batch) int {
	n := 0
	for _, v := range b.Cols {
		if v.Storage() == types.StoreBytes {
			for _, s := range v.Spans {
				n += int(s.Len)
			}
		}
	}
	return n
}

// heldBytes returns the bytes that a batch in the making holds.
func heldBytes(b *vec.Batch) int {
	n := 0
	for _, v := range b.Cols {
		n += len(v.Data)
	}
	return n
}

// maxCopyBytes is the largest batch that is copied to be held.
const maxCopyBytes = 1 << 30

var errBatchTooLarge = sqlerr.New(sqlerr.ProgramLimitExceeded, "the rows of one batch hold more than %d MiB", maxCopyBytes>>20)
