package kafka_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/kafka"
)

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// fuzzFrame is a request with a body that need not be one.
func fuzzFrame(key, version int16, body []byte) []byte {
	b := make([]byte, 4, 32+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = kbin.AppendNullableString(b, nil)
	if req := kmsg.RequestForKey(key); req != nil {
		if req.SetVersion(version); req.IsFlexible() {
			b = append(b, 0)
		}
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// tame takes out of a request what would keep a fuzzer waiting, or fill the node: the rest is what it does.
func tame(req kmsg.Request) bool {
	const topicsMax = 4
	switch r := req.(type) {
	case *kmsg.FetchRequest:
		return r.MaxWaitMillis <= 0
	case *kmsg.CreateTopicsRequest:
		return r.ValidateOnly
	case *kmsg.CreatePartitionsRequest:
		return r.ValidateOnly
	case *kmsg.MetadataRequest:
		return len(r.Topics) <= topicsMax // each may be made
	}
	return true
}

// exchange sends bytes over a connection of their own and returns all that comes back until the node closes it.
func exchange(t testing.TB, n *node.Node, frame []byte) []byte {
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", n.KafkaAddr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(3*time.Minute))) // longer than anything waits
	_, _ = c.Write(frame)                                            // it may be closed already
	_ = c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil {
		require.ErrorContains(t, err, "reset", "the node neither answers nor closes the connection")
	}
	return got
}

// checkAnswer holds that what came back is nothing, or one whole answer.
func checkAnswer(t testing.TB, key, version int16, got []byte) {
	if len(got) == 0 {
		return
	}
	require.GreaterOrEqual(t, len(got), 8)
	require.EqualValues(t, len(got)-4, binary.BigEndian.Uint32(got))
	require.EqualValues(t, 1, binary.BigEndian.Uint32(got[4:]))
	resp := kmsg.ResponseForKey(key)
	require.NotNil(t, resp)
	body := got[8:]
	served := false
	kafka.Served(func(k, low, high int16) { served = served || k == key && low <= version && version <= high })
	if resp.SetVersion(version); !served {
		resp.SetVersion(0) // ApiVersions, which says so
	}
	if resp.IsFlexible() && key != int16(kmsg.ApiVersions) {
		body = body[1:]
	}
	require.NoError(t, resp.ReadFrom(body))
}

// FuzzRequest sends anything as the body of a request of any key and version to a node. It answers in the request's form or closes the connection, and takes no more memory for it than
// its limits allow.
func FuzzRequest(f *testing.F) {
	const allocationMax = 192 << 20 // a batch may be unpacked to 128 MiB, and buffers grow by doubling
	n := startNode(f)
	createTopic(f, client(f, n), "a", 1, nil)
	compacted := "compact"
	createTopic(f, client(f, n), "c", 1, map[string]*string{"cleanup.policy": &compacted})
	kafka.Served(func(key, low, high int16) {
		for v := low; v <= high; v++ {
			req := plausible(f, kmsg.RequestForKey(key), v)
			if r, ok := req.(*kmsg.FetchRequest); ok {
				r.MaxWaitMillis = 0
			}
			f.Add(key, v, req.AppendTo(nil))
		}
	})
	f.Add(int16(99), int16(0), []byte{1, 2, 3})
	f.Add(int16(kmsg.ApiVersions), int16(99), []byte{})
	for _, b := range hostileBatches(f) {
		for _, topic := range []string{"a", "c"} {
			for _, v := range []int16{3, 7, 12} {
				req := produceRequest(f, v, 1, topic, "x")
				req.Topics[0].Partitions[0].Records = b
				f.Add(int16(kmsg.Produce), v, req.AppendTo(nil))
			}
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		frame := fuzzFrame(key, version, body)
		if req, err := kafka.Decode(frame[4:]); err == nil && !tame(req) {
			return
		}
		before := allocated()
		got := exchange(t, n, frame)
		require.Less(t, allocated()-before, uint64(allocationMax), "bytes allocated for %d bytes of %s v%d", len(frame), kmsg.NameForKey(key), version)
		checkAnswer(t, key, version, got)
	})
}

// hostileBatches are batches of records that are not what they say: bombs, wrong counts and sums, records that run over their end.
func hostileBatches(t testing.TB) [][]byte {
	var b record.Builder
	build := func(codec record.Codec, size int) []byte {
		b.Reset(record.BatchOptions{Codec: codec})
		require.NoError(t, b.Append(1, []byte("k"), bytes.Repeat([]byte{0}, size)))
		frame, err := b.Finish(nil)
		require.NoError(t, err)
		return frame
	}
	var all [][]byte
	for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		frame := build(codec, 1000)
		all = append(all, frame, frame[:len(frame)-1], frame[:record.HeaderSize])
		for _, change := range []struct {
			at   int
			with []byte
		}{
			{8, []byte{0x7f, 0xff, 0xff, 0xff}},  // length
			{22, []byte{7}},                      // codec
			{22, []byte{0x20 | byte(codec)}},     // control
			{23, []byte{0x7f, 0xff, 0xff, 0xff}}, // last offset delta
			{57, []byte{0x7f, 0xff, 0xff, 0xff}}, // count
			{61, bytes.Repeat([]byte{0xff}, 5)},  // the first record, or the codec's header
			{70, []byte{0xff, 0xff, 0xff, 0xff}}, // within
			{43, bytes.Repeat([]byte{0x01}, 14)}, // producer
			{17, []byte{0xde, 0xad, 0xbe, 0xef}}, // sum
			{16, []byte{1}},                      // magic
		} {
			hostile := bytes.Clone(frame)
			copy(hostile[change.at:], change.with)
			if change.at != 17 {
				binary.BigEndian.PutUint32(hostile[17:], record.Checksum(hostile))
			}
			all = append(all, hostile)
		}
	}
	return all
}

// TestADecompressionBombIsRefusedWithinTheLimit sends batches that a few hundred kilobytes make larger than what records may become.
func TestADecompressionBombIsRefusedWithinTheLimit(t *testing.T) {
	n := startNode(t)
	compacted, large := "compact", "20000000"
	createTopic(t, client(t, n), "c", 1, map[string]*string{"cleanup.policy": &compacted, "max.message.bytes": &large})
	zeros := make([]byte, record.UncompressedMax-1000)
	for _, codec := range []record.Codec{record.Gzip, record.LZ4, record.Zstd} {
		var b record.Builder
		b.Reset(record.BatchOptions{Codec: codec})
		require.NoError(t, b.Append(1, []byte("k"), zeros))
		require.ErrorIs(t, b.Append(1, []byte("k"), zeros), record.ErrBatchFull)
		frame, err := b.Finish(nil)
		require.NoError(t, err)
		bomb := append(bytes.Clone(frame), frame[record.HeaderSize:]...) // the same stream twice over
		binary.BigEndian.PutUint32(bomb[8:], uint32(len(bomb)-12))
		binary.BigEndian.PutUint32(bomb[17:], record.Checksum(bomb))
		req := produceRequest(t, 9, 1, "c", "x")
		req.Topics[0].Partitions[0].Records = bomb
		resp := dial(t, n).ask(req).(*kmsg.ProduceResponse)
		require.NotZero(t, resp.Topics[0].Partitions[0].ErrorCode, "%s", codec)
	}
	req := produceRequest(t, 9, 1, "c", "x")
	var b record.Builder
	b.Reset(record.BatchOptions{})
	require.NoError(t, b.Append(1, []byte("k"), []byte("v")))
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	req.Topics[0].Partitions[0].Records = frame
	require.Zero(t, dial(t, n).ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode, "the node goes on")
}
