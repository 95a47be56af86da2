package exec

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

var blockSchema = []types.Type{types.Of(types.Int4), types.Of(types.Text), types.Of(types.Float8)}

func sampleBlock() (blockHeader, chunk) {
	b := vec.NewBatch(blockSchema, 0)
	b.AppendDatums([]types.Datum{types.IntDatum(7), types.BytesDatum("x"), types.NullDatum}, vec.Insert, 1000)
	b.AppendDatums([]types.Datum{types.NullDatum, types.BytesDatum(""), types.FloatDatum(0.5)}, vec.UpdateDelete, 900)
	b.AppendDatums([]types.Datum{types.IntDatum(-7), types.NullDatum, types.FloatDatum(-1)}, vec.UpdateInsert, 1100)
	b.Source = &vec.Source{Partition: []int32{1, 1, 2}, Offset: []int64{5, 6, 9}, Ordinal: []int32{0, 0, 3}}
	return blockHeader{epoch: 3, writer: 1, writers: 4, time: 1100}, chunk{b, []int64{1000, 1000, 1100}}
}

func TestBlockReadsAsItWasWritten(t *testing.T) {
	h, c := sampleBlock()
	got := vec.NewBatch(blockSchema, 0)
	h2, clock, err := decodeBlock(appendBlock(nil, h, c), got)
	require.NoError(t, err)
	require.Equal(t, h, h2)
	require.Equal(t, c.clock, clock)
	require.Equal(t, c.String(), got.String())
	require.Equal(t, c.Source, got.Source)

	c.Source.SetHeaders(1, []byte("h"))
	c.Source.SetHeaders(2, nil)
	_, _, err = decodeBlock(appendBlock(nil, h, c), got)
	require.NoError(t, err)
	for i, want := range [][]byte{nil, []byte("h"), nil} {
		require.Equal(t, want, got.Source.HeadersOf(i))
	}

	h.idle, h.more, h.time = true, true, noTime
	h2, _, err = decodeBlock(appendBlock(nil, h, chunk{}), vec.NewBatch(blockSchema, 0))
	require.NoError(t, err)
	require.Equal(t, h, h2, "a block without rows tells the time")
}

func TestBlockOfAnotherPlanIsRefused(t *testing.T) {
	h, c := sampleBlock()
	_, _, err := decodeBlock(appendBlock(nil, h, c), vec.NewBatch(blockSchema[:2], 0))
	require.ErrorIs(t, err, errCorruptBlock)
}

func FuzzDecodeBlock(f *testing.F) {
	h, c := sampleBlock()
	f.Add(appendBlock(nil, h, c))
	f.Add(appendBlock(nil, h, chunk{}))
	c.Source.SetHeaders(2, []byte("h"))
	f.Add(appendBlock(nil, h, c))
	f.Fuzz(func(t *testing.T, src []byte) {
		b := vec.NewBatch(blockSchema, 0)
		if _, _, err := decodeBlock(src, b); err != nil {
			require.ErrorIs(t, err, errCorruptBlock)
			return
		}
		require.Len(t, b.Rowtime, b.Len())
		for _, col := range b.Cols {
			require.Equal(t, b.Len(), col.Len())
		}
	})
}
