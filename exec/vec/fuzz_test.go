package vec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

func FuzzDecodeRow(f *testing.F) {
	b := vec.NewBatch(schema, 0)
	b.AppendDatums([]types.Datum{types.IntDatum(-5), types.NullDatum, types.BytesDatum("text")}, vec.Insert, 0)
	f.Add(vec.AppendEncodedRow(nil, b.Cols, 0))
	f.Add([]byte{1, 0xFF, 0xFF, 0xFF, 0x0F})
	f.Fuzz(func(t *testing.T, src []byte) {
		dst := vec.NewBatch(schema, 0)
		if err := vec.AppendDecodedRow(dst.Cols, src); err != nil {
			require.ErrorIs(t, err, vec.ErrCorruptRow)
			for _, c := range dst.Cols {
				require.Equal(t, 0, c.Len())
			}
			return
		}
		again := vec.NewBatch(schema, 0)
		require.NoError(t, vec.AppendDecodedRow(again.Cols, vec.AppendEncodedRow(nil, dst.Cols, 0)))
		for c := range schema {
			require.Equal(t, 0, types.Compare(schema[c], dst.Cols[c].Datum(0), again.Cols[c].Datum(0)))
		}
	})
}
