package kafka_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/kafka"
)

// wire is a connection without a client library.
type wire struct {
	t testing.TB
	net.Conn
	next int32
}

func dial(t testing.TB, n *node.Node) *wire {
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", n.KafkaAddr().String())
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(2*time.Minute)))
	t.Cleanup(func() { _ = c.Close() })
	return &wire{t: t, Conn: c}
}

func (w *wire) send(req kmsg.Request) {
	w.next++
	b := make([]byte, 4, 64)
	b = binary.BigEndian.AppendUint16(b, uint16(req.Key()))
	b = binary.BigEndian.AppendUint16(b, uint16(req.GetVersion()))
	b = binary.BigEndian.AppendUint32(b, uint32(w.next))
	b = kbin.AppendNullableString(b, kmsg.StringPtr("wire"))
	if req.IsFlexible() {
		b = append(b, 0)
	}
	b = req.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := w.Write(b)
	require.NoError(w.t, err)
}

// receive returns the next response without its size.
func (w *wire) receive() (correlation int32, body []byte) {
	var size [4]byte
	_, err := io.ReadFull(w, size[:])
	require.NoError(w.t, err)
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err = io.ReadFull(w, b)
	require.NoError(w.t, err)
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

// ask sends a request and decodes the response, of which every byte must be in its place.
func (w *wire) ask(req kmsg.Request) kmsg.Response {
	w.send(req)
	correlation, body := w.receive()
	require.Equal(w.t, w.next, correlation)
	resp := req.ResponseKind()
	if resp.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		require.Zero(w.t, body[0], "tags of the header")
		body = body[1:]
	}
	require.NoError(w.t, resp.ReadFrom(body))
	require.Equal(w.t, body, resp.AppendTo(nil), "%s v%d", kmsg.NameForKey(req.Key()), req.GetVersion())
	return resp
}

func (w *wire) closed() {
	_, err := io.ReadAll(w)
	if err != nil {
		require.ErrorContains(w.t, err, "reset")
	}
}

func batch(t testing.TB, value string) []byte {
	var b record.Builder
	b.Reset(record.BatchOptions{})
	require.NoError(t, b.Append(1, nil, []byte(value)))
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return frame
}

func produceRequest(t testing.TB, version, acks int16, topic, value string) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, acks, 5000
	rt := kmsg.NewProduceRequestTopic()
	rp := kmsg.NewProduceRequestTopicPartition()
	rt.Topic, rp.Records = topic, batch(t, value)
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func fetchRequest(version int16, topic string, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = version, 100, 1, 1<<20, -1
	rt := kmsg.NewFetchRequestTopic()
	rp := kmsg.NewFetchRequestTopicPartition()
	rt.Topic, rp.FetchOffset, rp.PartitionMaxBytes = topic, offset, 1<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// plausible gives a request something to ask for, so that the response has something in it.
func plausible(t testing.TB, req kmsg.Request, version int16) kmsg.Request {
	req.SetVersion(version)
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		return produceRequest(t, version, 1, "a", "x")
	case *kmsg.FetchRequest:
		return fetchRequest(version, "a", 0)
	case *kmsg.ListOffsetsRequest:
		rt := kmsg.NewListOffsetsRequestTopic()
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rt.Topic, rp.Timestamp = "a", -1
		rt.Partitions = append(rt.Partitions, rp, rp)
		r.Topics = append(r.Topics, rt)
	case *kmsg.ApiVersionsRequest:
		r.ClientSoftwareName, r.ClientSoftwareVersion = "wire", "1.0"
	case *kmsg.CreateTopicsRequest:
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = fmt.Sprintf("made-%d", version), 1, 1
		r.Topics = append(r.Topics, rt, rt)
		rt.Topic += "x"
		r.Topics = append(r.Topics, rt)
	case *kmsg.DescribeConfigsRequest:
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, "a"
		r.Resources = append(r.Resources, rr)
	case *kmsg.DescribeGroupsRequest:
		r.Groups = []string{"nobody"}
	case *kmsg.FindCoordinatorRequest:
		r.CoordinatorKey, r.CoordinatorKeys = "g", []string{"g"}
	case *kmsg.OffsetFetchRequest:
		r.Group = "g"
		rg := kmsg.NewOffsetFetchRequestGroup()
		rg.Group = "g"
		r.Groups = append(r.Groups, rg)
	case *kmsg.DescribeClusterRequest:
		r.EndpointType = 1
	}
	return req
}

func TestEveryVersionOfEveryKeyIsAnsweredInItsForm(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	produce(t, client(t, n), "a", []string{"x"})
	w := dial(t, n)
	kafka.Served(func(key, low, high int16) {
		for v := low; v <= high; v++ {
			w.ask(plausible(t, kmsg.RequestForKey(key), v))
		}
	})
}

// Java's clients fail on null where they expect an empty list.
func TestListsAreNeverNull(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	w := dial(t, n)
	for v := int16(5); v <= 7; v++ {
		resp := w.ask(plausible(t, kmsg.NewPtrCreateTopicsRequest(), v)).(*kmsg.CreateTopicsResponse)
		require.Len(t, resp.Topics, 2, "one of them is named twice")
		for _, topic := range resp.Topics {
			require.NotNil(t, topic.Configs, "%s v%d", topic.Topic, v)
		}
	}
	for v := int16(4); v <= 17; v++ {
		for _, topic := range []string{"a", "none"} {
			resp := w.ask(fetchRequest(v, topic, 0)).(*kmsg.FetchResponse)
			require.NotNil(t, resp.Topics[0].Partitions[0].AbortedTransactions)
			require.NotNil(t, resp.Topics[0].Partitions[0].RecordBatches)
		}
	}
}

func TestAnUnknownVersionOfApiVersionsIsAnsweredInVersion0(t *testing.T) {
	w := dial(t, startNode(t))
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 4
	req.ClientSoftwareName, req.ClientSoftwareVersion = "x", "1"
	w.next++
	frame := []byte{0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff} // a body that says nothing
	_, err := w.Write(frame)
	require.NoError(t, err)
	correlation, body := w.receive()
	require.EqualValues(t, 1, correlation)
	resp := kmsg.NewPtrApiVersionsResponse()
	require.NoError(t, resp.ReadFrom(body))
	require.Equal(t, kerr.UnsupportedVersion.Code, resp.ErrorCode)
	require.Len(t, resp.ApiKeys, 1)
	require.EqualValues(t, 18, resp.ApiKeys[0].ApiKey)
	again := w.ask(req).(*kmsg.ApiVersionsResponse)
	require.Zero(t, again.ErrorCode)
	for _, k := range again.ApiKeys {
		if k.ApiKey == int16(kmsg.Produce) {
			require.Zero(t, k.MinVersion, "librdkafka does not compress otherwise")
		}
	}
}

func TestOldProduceVersionsAreRefusedAndSayWhy(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	w := dial(t, n)
	for v := int16(0); v < 3; v++ {
		resp := w.ask(produceRequest(t, v, 1, "a", "x")).(*kmsg.ProduceResponse)
		require.Equal(t, kerr.UnsupportedVersion.Code, resp.Topics[0].Partitions[0].ErrorCode)
	}
}

func TestAnswersLeaveInTheOrderOfTheRequests(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	w := dial(t, n)
	const rounds = 20
	for i := range rounds {
		w.send(produceRequest(t, 9, -1, "a", fmt.Sprint(i)))
		w.send(plausible(t, kmsg.NewPtrApiVersionsRequest(), 0))
	}
	for i := range int32(2 * rounds) {
		correlation, _ := w.receive()
		require.Equal(t, i+1, correlation)
	}
}

func TestAFailedProduceWithoutAcksClosesTheConnection(t *testing.T) {
	w := dial(t, startNode(t))
	w.send(produceRequest(t, 9, 0, "none", "x"))
	w.closed()
}

func TestGarbageClosesTheConnection(t *testing.T) {
	n := startNode(t)
	for name, frame := range map[string][]byte{
		"a length of 2 GiB":         {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0, 0, 0, 0, 0},
		"a negative length":         {0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0, 0, 0, 0, 0},
		"an unknown key":            {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
		"an unknown version":        {0, 0, 0, 10, 0, 3, 0x7f, 0, 0, 0, 0, 1, 0xff, 0xff},
		"more topics than bytes":    {0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff},
		"a produce of many nothing": append([]byte{0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0x00}, make([]byte, 1<<16-22)...),
		"HTTP":                      []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			w := dial(t, n)
			_, err := w.Write(frame)
			require.NoError(t, err)
			w.closed()
		})
	}
	_, err := kadm.NewClient(client(t, n)).ListTopics(t.Context())
	require.NoError(t, err, "others are served")
}

func TestAFetchReturnsAWholeBatchHoweverSmallItsLimits(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	produce(t, client(t, n), "a", []string{"0123456789"})
	w := dial(t, n)
	req := fetchRequest(12, "a", 0)
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 1, 1
	resp := w.ask(req).(*kmsg.FetchResponse)
	require.Greater(t, len(resp.Topics[0].Partitions[0].RecordBatches), 10)
	require.EqualValues(t, 1, resp.Topics[0].Partitions[0].HighWatermark)
}

func TestAReplicaIsNotServedHere(t *testing.T) {
	n := startNode(t)
	w := dial(t, n)
	req := fetchRequest(12, "a", 0)
	req.ReplicaID = 2
	resp := w.ask(req).(*kmsg.FetchResponse)
	require.Equal(t, kerr.ClusterAuthorizationFailed.Code, resp.ErrorCode)
}
