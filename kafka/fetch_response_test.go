package kafka

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// memRecords are records in memory.
type memRecords []byte

func (m memRecords) Len() int64                                  { return int64(len(m)) }
func (m memRecords) Data() []byte                                { return m }
func (m memRecords) FileRange() (fd uintptr, pos int64, ok bool) { return 0, 0, false }
func (m memRecords) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m).ReadAt(p, off)
}
func (m memRecords) AppendTo(dst []byte) ([]byte, error) { return append(dst, m...), nil }
func (m memRecords) Release()                            {}

// expand puts the records into the encoded response.
func expand(f *fetchResponse) []byte {
	b, splices := f.layout(nil)
	var out []byte
	from := 0
	for _, s := range splices {
		out = append(append(out, b[from:s.at]...), s.records.Data()...)
		from = s.at
	}
	return append(out, b[from:]...)
}

// asKmsg is the same response as kmsg has it.
func asKmsg(f *fetchResponse) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version, resp.ThrottleMillis, resp.ErrorCode, resp.SessionID = f.version, f.throttle, f.code, f.session
	resp.Topics = []kmsg.FetchResponseTopic{}
	for i, p := range f.parts {
		if i == 0 || p.topic != f.parts[i-1].topic {
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic, topic.TopicID = p.topic.name, p.topic.id
			resp.Topics = append(resp.Topics, topic)
		}
		part := kmsg.NewFetchResponseTopicPartition()
		part.Partition, part.ErrorCode, part.HighWatermark, part.LastStableOffset, part.LogStartOffset = p.partition, p.code, p.HighWatermark, p.LastStable, p.LogStart
		part.RecordBatches, part.AbortedTransactions = []byte{}, []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		if p.Records != nil {
			part.RecordBatches = p.Records.Data()
		}
		aborted := slices.Clone(p.Aborted)
		slices.SortFunc(aborted, func(a, b record.AbortedTxn) int { return int(a.FirstOffset - b.FirstOffset) })
		for _, a := range aborted {
			txn := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			txn.ProducerID, txn.FirstOffset = a.ProducerID, a.FirstOffset
			part.AbortedTransactions = append(part.AbortedTransactions, txn)
		}
		if p.leads != (leadership{}) {
			part.CurrentLeader.LeaderID, part.CurrentLeader.LeaderEpoch = p.leads.leader, p.leads.epoch
		}
		topic := &resp.Topics[len(resp.Topics)-1]
		topic.Partitions = append(topic.Partitions, part)
	}
	for _, e := range f.endpoints {
		b := kmsg.NewFetchResponseBroker()
		b.NodeID, b.Host, b.Port = e.ID, e.Host, e.Port
		if e.Rack != "" {
			b.Rack = &e.Rack
		}
		resp.Brokers = append(resp.Brokers, b)
	}
	return resp
}

func randomResponse(r *rand.Rand, version int16) *fetchResponse {
	f := &fetchResponse{version: version, throttle: r.Int32()}
	if version >= 7 {
		f.code, f.session = int16(r.Uint32()), r.Int32()
	}
	if version >= hintFetchVersion {
		for id := range r.Int32N(3) {
			f.endpoints = append(f.endpoints, BrokerAddress{ID: id, Host: strings.Repeat("h", 1+r.IntN(200)), Port: r.Int32(), Rack: strings.Repeat("r", r.IntN(3))})
		}
	}
	for topic := range r.IntN(4) {
		t := fetchTopic{name: string(rune('a' + topic)), id: [16]byte{byte(topic), 1}}
		for p := range r.IntN(5) {
			part := fetchedPart{topic: t, partition: int32(p), code: int16(r.IntN(100))}
			part.HighWatermark, part.LastStable, part.LogStart = r.Int64(), r.Int64(), r.Int64()
			if r.IntN(2) == 0 {
				part.Records = memRecords(bytes.Repeat([]byte{byte(r.IntN(256))}, 1+r.IntN(300)))
			}
			if version >= hintFetchVersion && r.IntN(4) == 0 {
				part.leads = leadership{r.Int32(), 1 + r.Int32()}
			}
			for range r.IntN(3) {
				part.Aborted = append(part.Aborted, record.AbortedTxn{ProducerID: r.Int64(), FirstOffset: int64(r.IntN(1000))})
			}
			f.parts = append(f.parts, part)
		}
	}
	return f
}

func TestAFetchResponseHasTheBytesThatKmsgWouldMake(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for version := apis[int16(kmsg.Fetch)].min; version <= apis[int16(kmsg.Fetch)].max; version++ {
		for range 50 {
			f := randomResponse(r, version)
			want := asKmsg(f).AppendTo(nil)
			require.Equal(t, want, expand(f), "version %d", version)
		}
	}
}

func BenchmarkFetchResponse(b *testing.B) {
	f := &fetchResponse{version: 12}
	for p := range 10 {
		f.parts = append(f.parts, fetchedPart{topic: fetchTopic{name: "topic"}, partition: int32(p), Fetched: Fetched{Records: memRecords(make([]byte, 100_000))}})
	}
	b.Run("hand", func(b *testing.B) {
		buf := make([]byte, 0, 4096)
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = f.layout(buf[:0])
		}
	})
	b.Run("kmsg", func(b *testing.B) {
		resp := asKmsg(f)
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf = resp.AppendTo(buf[:0])
		}
	})
}
