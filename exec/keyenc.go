package exec

import (
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// Keys in state are the key encoding of package types, column after column: equal values, and only they, have equal bytes, and
// bytes compare as the values do, NULL last.

// appendKeyCols appends the key of row i of cols to dst.
func appendKeyCols(dst []byte, cols []*vec.Vector, i int) []byte {
	for _, c := range cols {
		dst = types.AppendKey(dst, c.Type, c.View(i))
	}
	return dst
}
