package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node"
)

// topicID looks up the id of a topic.
func topicID(t testing.TB, n *node.Node, name string) [16]byte {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = kmsg.StringPtr(name)
	req.Topics = append(req.Topics, rt)
	resp := dial(t, n).ask(req).(*kmsg.MetadataResponse)
	require.Zero(t, resp.Topics[0].ErrorCode)
	return resp.Topics[0].TopicID
}

// sessionRequest asks for partitions of topic a in a session.
func sessionRequest(id, epoch int32, offsets map[int32]int64) *kmsg.FetchRequest {
	req := fetchRequest(12, "a", 0)
	req.SessionID, req.SessionEpoch, req.MaxWaitMillis = id, epoch, 0
	rt := req.Topics[0]
	rp := rt.Partitions[0]
	rt.Partitions = nil
	for p := range int32(3) {
		if at, ok := offsets[p]; ok {
			rp.Partition, rp.FetchOffset = p, at
			rt.Partitions = append(rt.Partitions, rp)
		}
	}
	req.Topics = req.Topics[:0]
	if len(rt.Partitions) > 0 {
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// answered lists the partitions of a response with the bytes of their records.
func answered(resp *kmsg.FetchResponse) (parts []int32, bytes int) {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			parts = append(parts, p.Partition)
			bytes += len(p.RecordBatches)
		}
	}
	return parts, bytes
}

func TestASessionAnswersWithWhatHasChanged(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 3, nil)
	w := dial(t, n)
	first := w.ask(sessionRequest(0, 0, map[int32]int64{0: 0, 1: 0, 2: 0})).(*kmsg.FetchResponse)
	id := first.SessionID
	require.NotZero(t, id)
	parts, _ := answered(first)
	require.Equal(t, []int32{0, 1, 2}, parts, "the first response has every partition")

	quiet := w.ask(sessionRequest(id, 1, nil)).(*kmsg.FetchResponse)
	require.Equal(t, id, quiet.SessionID)
	require.Empty(t, quiet.Topics, "nothing has changed")

	dial(t, n).ask(produceRequest(t, 9, -1, "a", "x"))
	news := w.ask(sessionRequest(id, 2, nil)).(*kmsg.FetchResponse)
	parts, bytes := answered(news)
	require.Equal(t, []int32{0}, parts)
	require.NotZero(t, bytes)

	// The client goes on behind what it got; then nothing is new, not even the bounds.
	parts, _ = answered(w.ask(sessionRequest(id, 3, map[int32]int64{0: 1})).(*kmsg.FetchResponse))
	require.Empty(t, parts)

	// A partition that is forgotten is not read any more.
	forget := sessionRequest(id, 4, map[int32]int64{0: 0})
	ft := kmsg.NewFetchRequestForgottenTopic()
	ft.Topic, ft.Partitions = "a", []int32{0}
	forget.ForgottenTopics = append(forget.ForgottenTopics, ft)
	parts, _ = answered(w.ask(forget).(*kmsg.FetchResponse))
	require.Empty(t, parts)

	require.Zero(t, w.ask(sessionRequest(id, -1, map[int32]int64{1: 0})).(*kmsg.FetchResponse).SessionID, "the session is over")
	require.Equal(t, kerr.FetchSessionIDNotFound.Code, w.ask(sessionRequest(id, 5, nil)).(*kmsg.FetchResponse).ErrorCode)
}

func TestASessionWithAWrongEpochOrOfAnotherConnectionIsRefused(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 3, nil)
	w := dial(t, n)
	id := w.ask(sessionRequest(0, 0, map[int32]int64{0: 0})).(*kmsg.FetchResponse).SessionID
	for _, epoch := range []int32{2, 7, -2} {
		require.Equal(t, kerr.InvalidFetchSessionEpoch.Code, w.ask(sessionRequest(id, epoch, nil)).(*kmsg.FetchResponse).ErrorCode, "epoch %d", epoch)
	}
	require.Equal(t, kerr.FetchSessionIDNotFound.Code, dial(t, n).ask(sessionRequest(id, 1, nil)).(*kmsg.FetchResponse).ErrorCode)
	require.Zero(t, w.ask(sessionRequest(id, 1, nil)).(*kmsg.FetchResponse).ErrorCode, "it goes on as if nothing had been")
	named := sessionRequest(id, 2, nil)
	named.Version = 13
	require.Equal(t, kerr.FetchSessionTopicIDError.Code, w.ask(named).(*kmsg.FetchResponse).ErrorCode)
}

func TestAPartitionWithAnErrorIsToldOfInEveryResponse(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	w := dial(t, n)
	id := w.ask(sessionRequest(0, 0, map[int32]int64{0: 0, 1: 0})).(*kmsg.FetchResponse).SessionID
	for epoch := range int32(2) {
		resp := w.ask(sessionRequest(id, epoch+1, nil)).(*kmsg.FetchResponse)
		parts, _ := answered(resp)
		require.Equal(t, []int32{1}, parts)
		require.Equal(t, kerr.UnknownTopicOrPartition.Code, resp.Topics[0].Partitions[0].ErrorCode)
	}
}

func TestPartitionsOfASessionTakeTurnsUnderALimitOfBytes(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 2, nil)
	w := dial(t, n)
	for p := range int32(2) {
		req := produceRequest(t, 9, -1, "a", "x")
		req.Topics[0].Partitions[0].Partition = p
		dial(t, n).ask(req)
	}
	ask := func(req *kmsg.FetchRequest) (served int32, id int32) {
		req.MaxBytes = 1
		resp := w.ask(req).(*kmsg.FetchResponse)
		served = -1
		for _, p := range resp.Topics[0].Partitions {
			if len(p.RecordBatches) > 0 {
				served = p.Partition
			}
		}
		return served, resp.SessionID
	}
	served, id := ask(sessionRequest(0, 0, map[int32]int64{0: 0, 1: 0}))
	require.EqualValues(t, 0, served)
	served, _ = ask(sessionRequest(id, 1, nil))
	require.EqualValues(t, 1, served, "although partition 0 has not been read on")
	served, _ = ask(sessionRequest(id, 2, nil))
	require.EqualValues(t, 0, served)
}

func TestTopicsGoByTheirIDsAndARecreatedOneIsAnother(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	id := topicID(t, n, "a")
	w := dial(t, n)
	pr := produceRequest(t, 13, -1, "", "x")
	pr.Topics[0].TopicID = id
	produced := w.ask(pr).(*kmsg.ProduceResponse)
	require.Equal(t, id, produced.Topics[0].TopicID)
	require.Zero(t, produced.Topics[0].Partitions[0].ErrorCode)
	fr := fetchRequest(17, "", 0)
	fr.Topics[0].TopicID = id
	fetched := w.ask(fr).(*kmsg.FetchResponse)
	require.Equal(t, id, fetched.Topics[0].TopicID)
	require.NotEmpty(t, fetched.Topics[0].Partitions[0].RecordBatches)

	dt := kmsg.NewPtrDeleteTopicsRequest()
	dt.Version, dt.TimeoutMillis, dt.TopicNames = 4, 5000, []string{"a"}
	require.Zero(t, w.ask(dt).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode)
	createTopic(t, cl, "a", 1, nil)
	require.NotEqual(t, id, topicID(t, n, "a"))
	require.Equal(t, kerr.UnknownTopicID.Code, w.ask(fr).(*kmsg.FetchResponse).Topics[0].Partitions[0].ErrorCode)
	pr.Topics[0].Partitions[0].Records = batch(t, "y")
	require.Equal(t, kerr.UnknownTopicID.Code, w.ask(pr).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}
