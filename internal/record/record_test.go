package record

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

type row struct {
	time       int64
	key, value []byte
	headers    []Pair
}

func build(t require.TestingT, opts BatchOptions, rows []row) []byte {
	var b Builder
	b.Reset(opts)
	for _, r := range rows {
		require.NoError(t, b.Append(r.time, r.key, r.value, r.headers...))
	}
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return frame
}

func read(t require.TestingT, frame []byte) []row {
	var it Iterator
	var rows []row
	for _ = it.Reset(frame); it.Next(); {
		r := it.Record
		rows = append(rows, row{r.Timestamp, bytes.Clone(r.Key), bytes.Clone(r.Value), r.Headers(nil)})
	}
	require.NoError(t, it.Err())
	return rows
}

func rowsOf(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{time: 1000 + int64(i), key: []byte{byte(i)}, value: bytes.Repeat([]byte("value"), i%7)}
	}
	return rows
}

func TestWhatIsBuiltIsRead(t *testing.T) {
	blob := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOf(rapid.Byte()))
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]row, rapid.IntRange(1, 50).Draw(t, "rows"))
		for i := range rows {
			rows[i] = row{time: rapid.Int64Range(0, 1<<45).Draw(t, "time"), key: blob.Draw(t, "key"), value: blob.Draw(t, "value")}
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				rows[i].headers = append(rows[i].headers, Pair{rapid.String().Draw(t, "name"), blob.Draw(t, "header")})
			}
		}
		codec := Codec(rapid.IntRange(0, 4).Draw(t, "codec"))
		frame := build(t, BatchOptions{BaseOffset: 42, Codec: codec}, rows)
		h, whole, rest, err := Next(append(bytes.Clone(frame), 1, 2, 3))
		require.NoError(t, err)
		require.NoError(t, Check(&h, whole))
		require.NoError(t, CheckProduced(&h))
		require.Equal(t, []byte{1, 2, 3}, rest)
		require.Equal(t, int64(42+len(rows)-1), h.LastOffset())
		require.Equal(t, rows, read(t, frame))
	})
}

// TestForeignDecoderReadsOurBatch checks the header against kmsg, which has Kafka's own definition of it.
func TestForeignDecoderReadsOurBatch(t *testing.T) {
	frame := build(t, BatchOptions{Idempotent: true, ProducerID: 7, ProducerEpoch: 3, BaseSequence: 9, Transactional: true}, rowsOf(3))
	var rb kmsg.RecordBatch
	require.NoError(t, rb.ReadFrom(frame))
	require.Equal(t, int8(2), rb.Magic)
	require.Equal(t, int64(7), rb.ProducerID)
	require.Equal(t, int16(3), rb.ProducerEpoch)
	require.Equal(t, int32(9), rb.FirstSequence)
	require.Equal(t, int32(3), rb.NumRecords)
	require.Equal(t, int16(Transactional), rb.Attributes)
	rest := rb.Records
	for i := range 3 {
		var r kmsg.Record
		size, n := binary.Varint(rest)
		require.NoError(t, r.ReadFrom(rest[:n+int(size)]))
		require.Equal(t, []byte{byte(i)}, r.Key)
		rest = rest[n+int(size):]
	}
	require.Empty(t, rest)
}

func TestPatchingKeepsTheChecksum(t *testing.T) {
	frame := build(t, BatchOptions{}, rowsOf(2))
	SetBaseOffset(frame, 77)
	SetLeaderEpoch(frame, 5)
	h, err := ParseHeader(frame)
	require.NoError(t, err)
	require.NoError(t, Check(&h, frame))
	require.Equal(t, int64(78), h.LastOffset())
	require.Equal(t, int32(5), h.LeaderEpoch)
	SetLogAppendTime(frame, 5000)
	h, err = ParseHeader(frame)
	require.NoError(t, err)
	require.NoError(t, Check(&h, frame))
	require.Equal(t, int64(5000), read(t, frame)[0].time)
}

func TestDefectsHaveTheirKafkaError(t *testing.T) {
	frame := build(t, BatchOptions{}, rowsOf(2))
	edit := func(at int, b ...byte) []byte {
		f := bytes.Clone(frame)
		copy(f[at:], b)
		h := Checksum(f)
		binary.BigEndian.PutUint32(f[posCRC:], h)
		return f
	}
	flipped := bytes.Clone(frame)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		frame []byte
		want  error
	}{
		"cut header":        {frame[:30], kerr.CorruptMessage},
		"cut body":          {frame[:len(frame)-1], kerr.CorruptMessage},
		"old magic":         {edit(posMagic, 1), kerr.InvalidRecord},
		"flipped bit":       {flipped, kerr.CorruptMessage},
		"huge length":       {edit(posLength, 0x7f, 0xff, 0xff, 0xff), kerr.CorruptMessage},
		"negative length":   {edit(posLength, 0xff), kerr.CorruptMessage},
		"too many records":  {edit(posCount, 0, 0, 0, 9), kerr.CorruptMessage},
		"offset gap":        {edit(posLastDelta, 0, 0, 0, 5), kerr.InvalidRecord},
		"no records":        {edit(posCount, 0, 0, 0, 0), kerr.InvalidRecord},
		"unknown codec":     {edit(posAttributes+1, 5), kerr.UnsupportedCompressionType},
		"unknown attribute": {edit(posAttributes, 1), kerr.InvalidRecord},
		"half a producer":   {edit(posProducerID, 0, 0, 0, 0, 0, 0, 0, 1), kerr.InvalidRecord},
		"anonymous txn":     {edit(posAttributes+1, byte(Transactional)), kerr.InvalidRecord},
	} {
		t.Run(name, func(t *testing.T) {
			h, whole, _, err := Next(c.frame)
			if err == nil {
				err = Check(&h, whole)
			}
			if err == nil {
				err = CheckProduced(&h)
			}
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestGarbledRecordsAreAnError(t *testing.T) {
	frame := build(t, BatchOptions{}, rowsOf(3))
	for i := HeaderSize; i < len(frame); i++ {
		f := bytes.Clone(frame)
		f[i] ^= 0xff
		var it Iterator
		for _ = it.Reset(f); it.Next(); {
		}
		if it.Err() != nil {
			require.ErrorIs(t, it.Err(), kerr.CorruptMessage)
		}
	}
}

func TestUncompressingIsBounded(t *testing.T) {
	zeros := make([]byte, UncompressedMax+1)
	for _, c := range []Codec{Gzip, Snappy, LZ4, Zstd} {
		small, err := compress(nil, zeros, c)
		require.NoError(t, err)
		_, err = uncompress(nil, small, c)
		require.ErrorIs(t, err, kerr.CorruptMessage, c.String())
	}
}

func TestXerialSnappyIsRead(t *testing.T) {
	src := append(bytes.Clone(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
	for _, part := range []string{"hello ", "world"} {
		block, err := compress(nil, []byte(part), Snappy)
		require.NoError(t, err)
		src = append(binary.BigEndian.AppendUint32(src, uint32(len(block))), block...)
	}
	got, err := uncompress(nil, src, Snappy)
	require.NoError(t, err)
	require.Equal(t, "hello world", string(got))
	_, err = uncompress(nil, src[:len(src)-3], Snappy)
	require.ErrorIs(t, err, kerr.CorruptMessage)
}

func TestSequencesWrap(t *testing.T) {
	h := Header{BaseSequence: math.MaxInt32 - 1, LastOffsetDelta: 3}
	require.Equal(t, int32(1), h.LastSequence())
}

func TestControlBatchRoundTrips(t *testing.T) {
	for _, commit := range []bool{true, false} {
		m := Marker{ProducerID: 9, ProducerEpoch: 2, CoordinatorEpoch: 11, Commit: commit}
		frame := AppendControl(nil, m, 123)
		h, whole, _, err := Next(frame)
		require.NoError(t, err)
		require.NoError(t, Check(&h, whole))
		require.NoError(t, CheckProduced(&h))
		got, ok, err := ParseControl(frame)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, m, got)
	}
	_, _, err := ParseControl(build(t, BatchOptions{}, rowsOf(1)))
	require.ErrorIs(t, err, kerr.InvalidRecord)
}

func TestFilterKeepsOffsetsAndSequences(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		rows := rowsOf(10)
		frame := build(t, BatchOptions{BaseOffset: 100, Codec: codec, Idempotent: true, ProducerID: 1, BaseSequence: 50}, rows)
		var f Filter
		out, kept, err := f.Apply(nil, frame, 7777, func(r *Record) Verdict { return Verdict(r.Offset%3 == 0) })
		require.NoError(t, err)
		require.Equal(t, 3, kept)
		h, whole, _, err := Next(out)
		require.NoError(t, err)
		require.NoError(t, Check(&h, whole))
		require.Equal(t, int64(109), h.LastOffset())
		require.Equal(t, int32(59), h.LastSequence())
		require.True(t, h.Attributes.Has(DeleteHorizon))
		require.Equal(t, int64(7777), h.BaseTimestamp)
		require.Equal(t, []row{rows[2], rows[5], rows[8]}, read(t, out))
		empty, err := AppendEmpty(nil, frame)
		require.NoError(t, err)
		require.Empty(t, read(t, empty))
	}
}

func TestCommittedReaderHidesAbortedData(t *testing.T) {
	txn := func(pid, offset int64, value string) []byte {
		return build(t, BatchOptions{BaseOffset: offset, Idempotent: true, ProducerID: pid, Transactional: true}, []row{{value: []byte(value)}})
	}
	end := func(pid, offset int64, commit bool) []byte {
		f := AppendControl(nil, Marker{ProducerID: pid, Commit: commit}, 0)
		SetBaseOffset(f, offset)
		return f
	}
	frames := bytes.Join([][]byte{
		txn(1, 0, "aborted"), txn(2, 1, "committed"), build(t, BatchOptions{BaseOffset: 2}, []row{{value: []byte("plain")}}),
		end(1, 3, false), end(2, 4, true), txn(1, 5, "second life"), end(1, 6, true), txn(2, 7, "cut")[:70],
	}, nil)
	var c CommittedReader
	c.Reset(frames, []AbortedTxn{{ProducerID: 1, FirstOffset: 0}})
	var got []string
	for {
		_, frame, ok, err := c.Next()
		require.NoError(t, err)
		if !ok {
			break
		}
		got = append(got, string(read(t, frame)[0].value))
	}
	require.Equal(t, []string{"committed", "plain", "second life"}, got)
}

// TestPartitionersMatchTheirClients uses the vectors of Kafka's UtilsTest for murmur2, and of RFC 3720's and the FNV
// authors' checks for the others.
func TestPartitionersMatchTheirClients(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		require.Equal(t, want, int32(Murmur2([]byte(key))), key)
	}
	require.Equal(t, int32(0xcbf43926%1000), PartitionForKeyCRC32([]byte("123456789"), 1000))
	h := uint32(0xe40c292c) // FNV-1a of "a"
	require.Equal(t, -(int32(h) % 1000), PartitionForKeyFNV1a([]byte("a"), 1000))
}

func FuzzIterator(f *testing.F) {
	for codec := None; codec <= Zstd; codec++ {
		f.Add(build(f, BatchOptions{Codec: codec}, rowsOf(4)))
	}
	f.Add(AppendControl(nil, Marker{}, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		var it Iterator
		var n int32
		for _ = it.Reset(data); it.Next(); n++ {
			it.Record.Headers(nil)
		}
		if it.Err() == nil && n != it.Header().Count {
			t.Fatalf("%d records of %d", n, it.Header().Count)
		}
		_, _, _ = ParseControl(data)
		var c CommittedReader
		c.Reset(data, []AbortedTxn{{}})
		for ok := true; ok; {
			_, _, ok, _ = c.Next()
		}
	})
}

func BenchmarkIterator(b *testing.B) {
	rows := make([]row, 160)
	for i := range rows {
		rows[i] = row{key: []byte("key-0001"), value: bytes.Repeat([]byte("v"), 90)}
	}
	frame := build(b, BatchOptions{}, rows)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	var it Iterator
	for b.Loop() {
		for _ = it.Reset(frame); it.Next(); {
		}
	}
}

func BenchmarkBuilder(b *testing.B) {
	value := bytes.Repeat([]byte("v"), 90)
	var bld Builder
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		bld.Reset(BatchOptions{})
		for i := range 160 {
			_ = bld.Append(int64(i), []byte("key-0001"), value)
		}
		out, _ = bld.Finish(out[:0])
	}
	b.SetBytes(int64(len(out)))
}
