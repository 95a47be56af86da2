package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestRecordsOfEveryCodecComeBackInOrder(t *testing.T) {
	n := startNode(t)
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			cl := client(t, n, kgo.ProducerBatchCompression(codec), kgo.ConsumeTopics(name))
			createTopic(t, cl, name, 3, nil)
			want := values(name, 500)
			produce(t, cl, name, want)
			require.Equal(t, want, consume(t.Context(), t, cl, len(want)))
		})
	}
}

func TestAnIdempotentProducerIsServed(t *testing.T) {
	n := startNode(t)
	cl := client(t, n, kgo.ConsumeTopics("a"))
	createTopic(t, cl, "a", 1, nil)
	id, _, err := cl.ProducerID(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, id, int64(0))
	produce(t, cl, "a", values("v", 100))
	require.Len(t, consume(t.Context(), t, cl, 100), 100)
}

func TestAProducerWithoutAcksHearsNothingAndLosesNothing(t *testing.T) {
	n := startNode(t)
	cl := client(t, n, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite(), kgo.ConsumeTopics("a"))
	createTopic(t, cl, "a", 1, nil)
	produce(t, cl, "a", values("v", 100))
	require.Equal(t, values("v", 100), consume(t.Context(), t, cl, 100))
}

func TestAFetchWaitsForRecordsAndNoLonger(t *testing.T) {
	n := startNode(t)
	cl := client(t, n, kgo.ConsumeTopics("a"), kgo.FetchMaxWait(4*time.Minute))
	createTopic(t, cl, "a", 1, nil)
	done := make(chan []string)
	go func() { done <- consume(context.WithoutCancel(t.Context()), t, cl, 1) }()
	other := client(t, n)
	produce(t, other, "a", []string{"late"})
	select {
	case got := <-done:
		require.Equal(t, []string{"late"}, got)
	case <-time.After(2 * time.Minute):
		t.Fatal("the waiting fetch was not woken")
	}
}

func TestOffsetsAreListedByTimestamp(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	start := time.UnixMilli(1_700_000_000_000)
	for i := range 3 {
		r := &kgo.Record{Topic: "a", Value: []byte("v"), Timestamp: start.Add(time.Duration(i) * time.Second)}
		require.NoError(t, cl.ProduceSync(t.Context(), r).FirstErr())
	}
	adm := kadm.NewClient(cl)
	at := func(l kadm.ListedOffsets, err error) int64 {
		require.NoError(t, err)
		o, ok := l.Lookup("a", 0)
		require.True(t, ok)
		require.NoError(t, o.Err)
		return o.Offset
	}
	require.EqualValues(t, 0, at(adm.ListStartOffsets(t.Context(), "a")))
	require.EqualValues(t, 3, at(adm.ListEndOffsets(t.Context(), "a")))
	require.EqualValues(t, 1, at(adm.ListOffsetsAfterMilli(t.Context(), start.UnixMilli()+1, "a")))
	require.EqualValues(t, 3, at(adm.ListOffsetsAfterMilli(t.Context(), start.UnixMilli()+5000, "a")))
}

func TestTopicsAreMadeListedAndDeleted(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	adm := kadm.NewClient(cl)
	createTopic(t, cl, "a", 3, nil)
	got, err := adm.ListTopics(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, got["a"].Partitions, 3)
	require.NotZero(t, got["a"].ID)
	_, err = adm.CreateTopic(t.Context(), 1, 1, nil, "a")
	require.ErrorIs(t, err, kerr.TopicAlreadyExists)
	for name, want := range map[string]error{"no/good": kerr.InvalidTopicException, "..": kerr.InvalidTopicException} {
		_, err = adm.CreateTopic(t.Context(), 1, 1, nil, name)
		require.ErrorIs(t, err, want, name)
	}
	_, err = adm.CreateTopic(t.Context(), 0, 1, nil, "b")
	require.ErrorIs(t, err, kerr.InvalidPartitions)
	_, err = adm.CreateTopic(t.Context(), 1, 3, nil, "b")
	require.ErrorIs(t, err, kerr.InvalidReplicationFactor)
	_, err = adm.CreateTopic(t.Context(), 1, 1, map[string]*string{"no.such": kadm.StringPtr("1")}, "b")
	require.ErrorIs(t, err, kerr.InvalidConfig)
	grown, err := adm.UpdatePartitions(t.Context(), 3, "a")
	require.NoError(t, err)
	require.ErrorIs(t, grown["a"].Err, kerr.InvalidPartitions)
	require.Equal(t, `topic "a" has 3 partitions, and 3 are asked for; allowed: 4 to 10000`, grown["a"].ErrMessage)
	_, err = adm.DeleteTopic(t.Context(), "a")
	require.NoError(t, err)
	_, err = adm.DeleteTopic(t.Context(), "a")
	require.ErrorIs(t, err, kerr.UnknownTopicOrPartition)
}

func TestTopicsOfSQLAndOfTheNodeAreReadAndNotWritten(t *testing.T) {
	n := startNode(t)
	db := nodetest.Connect(t, nodetest.ConnString(n))
	_, err := db.Exec(t.Context(), "CREATE TABLE owned (id bigint PRIMARY KEY)")
	require.NoError(t, err)
	cl := client(t, n)
	for _, name := range []string{"__consumer_offsets", "__transaction_state", "owned"} {
		err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: name, Value: []byte("{}")}).FirstErr()
		require.ErrorIs(t, err, kerr.TopicAuthorizationFailed, name)
	}
	_, err = kadm.NewClient(cl).DeleteTopic(t.Context(), "owned")
	require.ErrorIs(t, err, kerr.TopicAuthorizationFailed)
}

func TestAStreamOverATopicReadsWhatKafkaClientsWrite(t *testing.T) {
	n := startNode(t)
	cl := client(t, n, kgo.ConsumeTopics("results"))
	createTopic(t, cl, "orders", 2, nil)
	for i := range 10 {
		r := &kgo.Record{Topic: "orders", Value: fmt.Appendf(nil, `{"customer":"c%d","amount":%d}`, i%2, i)}
		require.NoError(t, cl.ProduceSync(t.Context(), r).FirstErr())
	}
	db := nodetest.Connect(t, nodetest.ConnString(n))
	rows, err := nodetest.Texts(t.Context(), db, "SHOW TOPICS")
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(rows), "orders")
	_, err = db.Exec(t.Context(), "CREATE STREAM orders (customer text, amount bigint) WITH (topic = 'orders', value_format = 'json')")
	require.NoError(t, err)
	rows, err = nodetest.Texts(t.Context(), db, "SELECT customer, sum(amount) FROM orders GROUP BY customer ORDER BY customer")
	require.NoError(t, err)
	require.Equal(t, [][]string{{"c0", "20"}, {"c1", "25"}}, rows)
	_, err = db.Exec(t.Context(), "CREATE TABLE results AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer")
	require.NoError(t, err)
	cl.AddConsumeTopics("results")
	got := consume(t.Context(), t, cl, 2)
	require.Contains(t, fmt.Sprint(got), "25")
}

func TestATopicIsMadeOnFirstUseIfNodeAndClientAllowIt(t *testing.T) {
	ask := func(n *node.Node, version int16, allow bool) int16 {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.AllowAutoTopicCreation = version, allow
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr("fresh")
		req.Topics = append(req.Topics, rt)
		topics := dial(t, n).ask(req).(*kmsg.MetadataResponse).Topics
		require.Len(t, topics, 1)
		if topics[0].ErrorCode == 0 {
			require.Len(t, topics[0].Partitions, 4)
			require.EqualValues(t, 1, topics[0].Partitions[0].Leader)
		}
		return topics[0].ErrorCode
	}
	unknown := kerr.UnknownTopicOrPartition.Code
	closed := nodetest.Start(t, node.Config{Kafka: "127.0.0.1:0", NoAutoTopics: true, Partitions: 4})
	require.Equal(t, unknown, ask(closed, 9, true))
	require.Equal(t, unknown, ask(closed, 1, true))
	open := nodetest.Start(t, node.Config{Kafka: "127.0.0.1:0", Partitions: 4})
	require.Equal(t, unknown, ask(open, 9, false))
	require.Zero(t, ask(open, 9, true))
	require.Zero(t, ask(open, 9, false))
	old := nodetest.Start(t, node.Config{Kafka: "127.0.0.1:0", Partitions: 4})
	require.Zero(t, ask(old, 1, false), "clients that cannot say mean yes")
}
