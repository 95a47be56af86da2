package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/kafka"
)

// What follows, and much of wire_test.go and fetch_session_test.go, are traps: rules that are easy to get wrong and that some client relies on.

// lists visits the lists of a message, each by the path of its fields.
func lists(path string, v reflect.Value, f func(path string, list reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			lists(path, v.Elem(), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Name == "UnknownTags" {
				continue
			}
			at := path + "." + field.Name
			if v.Field(i).Kind() == reflect.Slice {
				f(at, v.Field(i))
			}
			lists(at, v.Field(i), f)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				lists(path, v.Index(i), f)
			}
		}
	}
}

// nullable finds the lists that can be null in the version of a message: where null has other bytes than nothing.
func nullable(resp kmsg.Response) map[string]bool {
	all := map[string]bool{}
	fillLists(reflect.ValueOf(resp).Elem())
	lists("", reflect.ValueOf(resp), func(path string, list reflect.Value) {
		kept := reflect.ValueOf(list.Interface())
		list.SetZero()
		null := resp.AppendTo(nil)
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
		all[path] = !bytes.Equal(null, resp.AppendTo(nil))
		list.Set(kept)
	})
	return all
}

// Java's clients fail on null where they expect an empty list.
func TestNoListOfAnyAnswerIsNull(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	produce(t, client(t, n), "a", []string{"x"})
	w := dial(t, n)
	kafka.Served(func(key, low, high int16) {
		for v := low; v <= high; v++ {
			req := plausible(t, kmsg.RequestForKey(key), v)
			canBe := nullable(req.ResponseKind())
			lists("", reflect.ValueOf(w.ask(req)), func(path string, list reflect.Value) {
				if canBe[path] {
					require.False(t, list.IsNil(), "%s v%d: %s is null", kmsg.NameForKey(key), v, path)
				}
			})
		}
	})
}

// fillLists gives every list one element.
func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				fillLists(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillLists(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillLists(v.Elem())
	}
}

func TestClientsOfTheFirstVersionsOfApiVersionsAreServed(t *testing.T) {
	w := dial(t, startNode(t))
	for v := int16(0); v <= 2; v++ {
		resp := w.ask(plausible(t, kmsg.NewPtrApiVersionsRequest(), v)).(*kmsg.ApiVersionsResponse)
		require.Zero(t, resp.ErrorCode)
		require.NotEmpty(t, resp.ApiKeys)
	}
}

func TestNamesOfSoftwareThatAreNoneAreRefused(t *testing.T) {
	w := dial(t, startNode(t))
	for name, want := range map[string]int16{
		"librdkafka": 0, "apache-kafka-java": 0, "a": 0, "a.b": 0, "": kerr.InvalidRequest.Code, "-a": kerr.InvalidRequest.Code, "a-": kerr.InvalidRequest.Code, "a b": kerr.InvalidRequest.Code,
	} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, name, "1.0"
		require.Equal(t, want, w.ask(req).(*kmsg.ApiVersionsResponse).ErrorCode, "%q", name)
		if name != "" {
			req.ClientSoftwareName, req.ClientSoftwareVersion = "a", name
			require.Equal(t, want, w.ask(req).(*kmsg.ApiVersionsResponse).ErrorCode, "version %q", name)
		}
	}
}

func TestTheIDOfATopicOutlivesARestart(t *testing.T) {
	fs := fsys.NewMem()
	id := func(create bool) (id [16]byte) {
		n, err := nodetest.Open(t.Context(), node.Config{FS: fs, Kafka: "127.0.0.1:0"})
		require.NoError(t, err)
		defer func() { require.NoError(t, n.Close()) }()
		cl, err := kgo.NewClient(kgo.SeedBrokers(n.KafkaAddr().String()))
		require.NoError(t, err)
		defer cl.Close()
		if create {
			createTopic(t, cl, "a", 1, nil)
		}
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 12
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr("a")
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(t.Context(), cl)
		require.NoError(t, err)
		require.Zero(t, resp.Topics[0].ErrorCode)
		return resp.Topics[0].TopicID
	}
	first := id(true)
	require.NotZero(t, first)
	require.Equal(t, first, id(false))
}

func TestZstdIsNotTakenFromClientsThatMayNotSendItNorSentToThose(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	var b record.Builder
	b.Reset(record.BatchOptions{Codec: record.Zstd})
	require.NoError(t, b.Append(1, nil, []byte("v")))
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	w := dial(t, n)
	for v := int16(3); v <= 8; v++ {
		req := produceRequest(t, v, 1, "a", "x")
		req.Topics[0].Partitions[0].Records = frame
		want := kerr.UnsupportedCompressionType.Code
		if v >= 7 {
			want = 0
		}
		require.Equal(t, want, w.ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode, "v%d", v)
	}
	require.Equal(t, kerr.UnsupportedCompressionType.Code, w.ask(fetchRequest(9, "a", 0)).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode)
	require.NotEmpty(t, w.ask(fetchRequest(10, "a", 0)).(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches)
}

func TestNoTopicIsAskedForByNullInVersion0AndByNothingLater(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	w := dial(t, n)
	count := func(v int16, topics []kmsg.MetadataRequestTopic) int {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.Topics = v, topics
		return len(w.ask(req).(*kmsg.MetadataResponse).Topics)
	}
	all := count(1, nil)
	require.Positive(t, all)
	require.Equal(t, all, count(0, []kmsg.MetadataRequestTopic{}))
	require.Zero(t, count(1, []kmsg.MetadataRequestTopic{}))
}

func TestTheAddressThatClientsAreToldCanBeConfigured(t *testing.T) {
	n := nodetest.Start(t, node.Config{Kafka: "127.0.0.1:0", KafkaAdvertised: "kafka.example.org:1234"})
	resp := dial(t, n).ask(plausible(t, kmsg.NewPtrMetadataRequest(), 9)).(*kmsg.MetadataResponse)
	require.Equal(t, "kafka.example.org", resp.Brokers[0].Host)
	require.EqualValues(t, 1234, resp.Brokers[0].Port)
}

func TestOffsetsOfAGroupThatDoesNotExistAreNoError(t *testing.T) {
	w := dial(t, startNode(t))
	for v := int16(0); v <= 9; v++ {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = v, "nobody"
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "a", Partitions: []int32{0}}}
		if v >= 8 {
			req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "nobody", Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "a", Partitions: []int32{0}}}}}
		}
		resp := w.ask(req).(*kmsg.OffsetFetchResponse)
		if v >= 8 {
			require.Zero(t, resp.Groups[0].ErrorCode)
			require.Zero(t, resp.Groups[0].Topics[0].Partitions[0].ErrorCode)
			require.EqualValues(t, -1, resp.Groups[0].Topics[0].Partitions[0].Offset)
			continue
		}
		require.Zero(t, resp.ErrorCode)
		require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
		require.EqualValues(t, -1, resp.Topics[0].Partitions[0].Offset)
	}
}

func TestOffsetsOfAnOpenTransactionAreUnstableForThoseWhoWantThemStable(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	cl := client(t, n, kgo.TransactionalID("tx"))
	require.NoError(t, cl.BeginTransaction())
	id, epoch, err := cl.ProducerID(t.Context())
	require.NoError(t, err)
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.Version, commit.TransactionalID, commit.Group, commit.ProducerID, commit.ProducerEpoch, commit.Generation = 5, "tx", "g", id, epoch, -1
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic = "a"
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset = 7
	rt.Partitions = append(rt.Partitions, rp)
	commit.Topics = append(commit.Topics, rt)
	w := dial(t, n)
	require.Zero(t, w.ask(commit).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Version, fetch.Group, fetch.RequireStable = 7, "g", true
	fetch.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "a", Partitions: []int32{0}}}
	require.Equal(t, kerr.UnstableOffsetCommit.Code, w.ask(fetch).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0].ErrorCode)
	end := kmsg.NewPtrEndTxnRequest()
	end.Version, end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = 5, "tx", id, epoch, true
	require.Zero(t, w.ask(end).(*kmsg.EndTxnResponse).ErrorCode)
	got := w.ask(fetch).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
	require.Zero(t, got.ErrorCode)
	require.EqualValues(t, 7, got.Offset)
}

func TestAbortedTransactionsAreInTheOrderOfTheirFirstOffsets(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	var producers []*kgo.Client
	for i := range 5 {
		cl := client(t, n, kgo.TransactionalID(fmt.Sprint("tx", i)))
		require.NoError(t, cl.BeginTransaction())
		produce(t, cl, "a", []string{"aborted"})
		producers = append(producers, cl)
	}
	for i := range producers { // they end in another order than they began
		require.NoError(t, producers[len(producers)-1-i].EndTransaction(context.WithoutCancel(t.Context()), kgo.TryAbort))
	}
	req := fetchRequest(12, "a", 0)
	req.IsolationLevel = 1
	aborted := dial(t, n).ask(req).(*kmsg.FetchResponse).Topics[0].Partitions[0].AbortedTransactions
	require.Len(t, aborted, len(producers))
	for i := 1; i < len(aborted); i++ {
		require.Less(t, aborted[i-1].FirstOffset, aborted[i].FirstOffset)
	}
}

func TestAFencedProducerHearsItWhereClientsTakeItForTheEnd(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	old := client(t, n, kgo.TransactionalID("tx"))
	require.NoError(t, old.BeginTransaction())
	produce(t, old, "a", []string{"lost"})
	id, epoch, err := old.ProducerID(t.Context())
	require.NoError(t, err)
	next := client(t, n, kgo.TransactionalID("tx"))
	require.NoError(t, next.BeginTransaction())
	produce(t, next, "a", []string{"kept"})
	w := dial(t, n)
	for v := int16(0); v <= 4; v++ {
		end := kmsg.NewPtrEndTxnRequest()
		end.Version, end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = v, "tx", id, epoch, true
		require.Equal(t, kerr.ProducerFenced.Code, w.ask(end).(*kmsg.EndTxnResponse).ErrorCode, "EndTxn v%d", v)
	}
	init := kmsg.NewPtrInitProducerIDRequest()
	init.Version, init.TransactionalID, init.TransactionTimeoutMillis, init.ProducerID, init.ProducerEpoch = 4, kmsg.StringPtr("tx"), 60_000, id, epoch
	require.Equal(t, kerr.ProducerFenced.Code, w.ask(init).(*kmsg.InitProducerIDResponse).ErrorCode)
	var b record.Builder
	b.Reset(record.BatchOptions{Transactional: true, Idempotent: true, ProducerID: id, ProducerEpoch: epoch, BaseSequence: 1})
	require.NoError(t, b.Append(1, nil, []byte("late")))
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	req := produceRequest(t, 11, -1, "a", "x")
	req.TransactionID, req.Topics[0].Partitions[0].Records = kmsg.StringPtr("tx"), frame
	require.Equal(t, kerr.InvalidProducerEpoch.Code, w.ask(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	require.NoError(t, next.EndTransaction(context.WithoutCancel(t.Context()), kgo.TryCommit))
}

func TestAMemberTakesAnIDBeforeItJoins(t *testing.T) {
	w := dial(t, startNode(t))
	for v := int16(0); v <= 9; v++ {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Version, req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = v, fmt.Sprint("g", v), "consumer", 30_000, 30_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{}}}
		resp := w.ask(req).(*kmsg.JoinGroupResponse)
		require.NotEmpty(t, resp.MemberID, "v%d", v)
		if v < 4 {
			require.Zero(t, resp.ErrorCode, "v%d", v)
			continue
		}
		require.Equal(t, kerr.MemberIDRequired.Code, resp.ErrorCode, "v%d", v)
		req.MemberID = resp.MemberID
		require.Zero(t, w.ask(req).(*kmsg.JoinGroupResponse).ErrorCode, "v%d", v)
	}
}
