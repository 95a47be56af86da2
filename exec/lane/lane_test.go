package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// script is a transport that notes requests and answers each as told, else with success.
type script struct {
	version int16
	epoch   int16
	offset  int64
	asked   []string
	codes   map[string][]int16 // by request name: the codes of the next answers, in every partition
	refuse  int32              // a partition that takes no batch, unless 0
	lose    map[string]int     // by request name: how many of the next answers get lost
	lost    func()             // is told of each that got lost, unless nil
}

var errLost = errors.New("connection lost")

func (s *script) TransactionVersion() int16 { return s.version }

func (s *script) Request(_ context.Context, req kmsg.Request) (kmsg.Response, error) {
	name := kmsg.NameForKey(req.Key())
	s.asked = append(s.asked, describe(name, req))
	if s.lose[name] > 0 {
		s.lose[name]--
		if s.lost != nil {
			s.lost()
		}
		return nil, errLost
	}
	var code int16
	if c := s.codes[name]; len(c) > 0 {
		code, s.codes[name] = c[0], c[1:]
	}
	return s.answer(req, code), nil
}

func (s *script) answer(req kmsg.Request, code int16) kmsg.Response {
	resp := req.ResponseKind()
	switch r := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		s.epoch++
		r.ErrorCode, r.ProducerID, r.ProducerEpoch = code, 7, s.epoch
	case *kmsg.EndTxnResponse:
		if s.version >= 2 && code == 0 {
			s.epoch++
		}
		r.ErrorCode, r.ProducerID, r.ProducerEpoch = code, 7, s.epoch
	case *kmsg.AddOffsetsToTxnResponse:
		r.ErrorCode = code
	case *kmsg.AddPartitionsToTxnResponse:
		for _, t := range req.(*kmsg.AddPartitionsToTxnRequest).Topics {
			rt := kmsg.AddPartitionsToTxnResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				rt.Partitions = append(rt.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p, ErrorCode: code})
			}
			r.Topics = append(r.Topics, rt)
		}
	case *kmsg.TxnOffsetCommitResponse:
		r.Topics = []kmsg.TxnOffsetCommitResponseTopic{{Partitions: []kmsg.TxnOffsetCommitResponseTopicPartition{{ErrorCode: code}}}}
	case *kmsg.ProduceResponse:
		for _, t := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.ProduceResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, code, s.offset
				if s.refuse != 0 && p.Partition == s.refuse {
					rp.ErrorCode = kerr.MessageTooLarge.Code
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			r.Topics = append(r.Topics, rt)
		}
		s.offset++
	}
	return resp
}

func describe(name string, req kmsg.Request) string {
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		var b strings.Builder
		fmt.Fprint(&b, name)
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				h, err := record.ParseHeader(p.Records)
				if err == nil {
					err = record.Check(&h, p.Records)
				}
				fmt.Fprintf(&b, " %s-%d epoch=%d seq=%d", t.Topic, p.Partition, h.ProducerEpoch, h.BaseSequence)
				if err != nil || h.IsTransactional() != (r.TransactionID != nil) || h.ProducerID != 7 {
					fmt.Fprintf(&b, " BAD %v", err)
				}
			}
		}
		return b.String()
	case *kmsg.EndTxnRequest:
		return fmt.Sprintf("%s v%d epoch=%d commit=%v", name, r.Version, r.ProducerEpoch, r.Commit)
	case *kmsg.InitProducerIDRequest:
		return fmt.Sprintf("%s epoch=%d", name, r.ProducerEpoch)
	}
	return name
}

func testBatch(t *testing.T, partition int32, records int) exec.PartitionBatch {
	var b record.Builder
	b.Reset(record.BatchOptions{})
	for range records {
		require.NoError(t, b.Append(1, nil, []byte("v")))
	}
	frame, err := b.Finish(nil)
	require.NoError(t, err)
	return exec.PartitionBatch{TopicPartition: exec.TopicPartition{Topic: "out", Partition: partition}, Batch: frame}
}

func openLane(t *testing.T, s *script) *Lane {
	t.Helper()
	l, err := Open(t.Context(), Options{Transport: s, Clock: clock.Real, TransactionalID: "lane"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	s.asked = nil
	return l
}

func oneRound(t *testing.T) []exec.TaskCommit {
	return []exec.TaskCommit{{
		Group: "g", Member: "m", Offsets: []exec.PartitionOffset{{Offset: 3}},
		Batches: []exec.PartitionBatch{testBatch(t, 0, 2), testBatch(t, 1, 1), testBatch(t, 0, 1)},
	}}
}

func TestRoundAsksAsKIP890Does(t *testing.T) {
	s := &script{version: 2}
	l := openLane(t, s)
	for range 2 {
		_, err := l.Commit(t.Context(), oneRound(t))
		require.NoError(t, err)
	}
	require.Equal(t, []string{
		"TxnOffsetCommit", "Produce out-0 epoch=1 seq=0 out-1 epoch=1 seq=0", "Produce out-0 epoch=1 seq=2", "EndTxn v5 epoch=1 commit=true",
		"TxnOffsetCommit", "Produce out-0 epoch=2 seq=0 out-1 epoch=2 seq=0", "Produce out-0 epoch=2 seq=2", "EndTxn v5 epoch=2 commit=true",
	}, s.asked)
}

func TestRoundAsksAsOlderClustersWant(t *testing.T) {
	s := &script{}
	l := openLane(t, s)
	for range 2 {
		_, err := l.Commit(t.Context(), oneRound(t))
		require.NoError(t, err)
	}
	require.Equal(t, []string{
		"AddOffsetsToTxn", "TxnOffsetCommit", "AddPartitionsToTxn",
		"Produce out-0 epoch=1 seq=0 out-1 epoch=1 seq=0", "Produce out-0 epoch=1 seq=2", "EndTxn v4 epoch=1 commit=true",
		"AddOffsetsToTxn", "TxnOffsetCommit", "AddPartitionsToTxn",
		"Produce out-0 epoch=1 seq=3 out-1 epoch=1 seq=1", "Produce out-0 epoch=1 seq=5", "EndTxn v4 epoch=1 commit=true",
	}, s.asked)
}

func TestLostAnswersAreAskedAgainWithTheSameSequence(t *testing.T) {
	s := &script{version: 2, lose: map[string]int{"Produce": 1, "EndTxn": 1}, codes: map[string][]int16{
		"Produce": {kerr.NotLeaderForPartition.Code, kerr.DuplicateSequenceNumber.Code},
	}}
	l := openLane(t, s)
	_, err := l.Commit(t.Context(), []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}})
	require.NoError(t, err)
	require.Equal(t, []string{
		"Produce out-0 epoch=1 seq=0", "Produce out-0 epoch=1 seq=0", "Produce out-0 epoch=1 seq=0",
		"EndTxn v5 epoch=1 commit=true", "EndTxn v5 epoch=1 commit=true",
	}, s.asked)
}

func TestRefusedTaskIsAbortedAndTheOthersCommitInANewEpoch(t *testing.T) {
	for _, version := range []int16{0, 2} {
		s := &script{version: version, refuse: 1, codes: map[string][]int16{}}
		l := openLane(t, s)
		results, err := l.Commit(t.Context(), []exec.TaskCommit{
			{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}},
			{Batches: []exec.PartitionBatch{testBatch(t, 1, 1)}},
		})
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
		require.ErrorIs(t, results[1].Err, kerr.MessageTooLarge)
		asked := strings.Join(s.asked, "\n")
		require.Contains(t, asked, "epoch=1 commit=false")
		require.Contains(t, asked, "Produce out-0 epoch=2 seq=0\nEndTxn", "in a new epoch, for the sequences of the old one have a gap")
	}
}

func TestAnAbortThatIsLostIsAskedForAgain(t *testing.T) {
	s := &script{version: 2, refuse: 1, lose: map[string]int{"EndTxn": 1}, codes: map[string][]int16{"EndTxn": {kerr.NotCoordinator.Code}}}
	l := openLane(t, s)
	results, err := l.Commit(t.Context(), []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 1, 1)}}})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, kerr.MessageTooLarge)
	require.Equal(t, append([]string{"Produce out-1 epoch=1 seq=0"}, slices.Repeat([]string{"EndTxn v5 epoch=1 commit=false"}, 3)...), s.asked,
		"nobody else commits on this lane: what it left open would be waited for until it times out")
}

func TestRoundThatNoPartitionTakesNowIsUnavailableAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{version: 2, codes: map[string][]int16{"Produce": slices.Repeat([]int16{kerr.KafkaStorageError.Code}, 10_000)}}
		l, err := Open(t.Context(), Options{Transport: s, Clock: clock.Real, TransactionalID: "lane"})
		require.NoError(t, err)
		defer l.Close()
		start := time.Now()
		_, err = l.Commit(t.Context(), []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}})
		require.ErrorIs(t, err, exec.ErrUnavailable)
		require.Less(t, time.Since(start), DefaultTimeout, "the lane gives up before the coordinator does")
		s.codes = nil
		_, err = l.Commit(t.Context(), []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}})
		require.NoError(t, err)
	})
}

func TestErrorOfTheProducerConcernsAllTasks(t *testing.T) {
	s := &script{version: 2, codes: map[string][]int16{"Produce": {kerr.OutOfOrderSequenceNumber.Code}}}
	l := openLane(t, s)
	round := []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}}
	_, err := l.Commit(t.Context(), round)
	require.ErrorIs(t, err, exec.ErrUnavailable)
	_, err = l.Commit(t.Context(), round)
	require.NoError(t, err)
}

func TestFencedWhileCommittingIsUnknownOnlyAfterALostAnswer(t *testing.T) {
	for lost, want := range map[int]error{0: exec.ErrFenced, 1: exec.ErrUnknownOutcome} {
		s := &script{version: 2, lose: map[string]int{"EndTxn": lost}, codes: map[string][]int16{"EndTxn": {kerr.ProducerFenced.Code}}}
		l := openLane(t, s)
		round := []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}}
		_, err := l.Commit(t.Context(), round)
		require.ErrorIs(t, err, want)
		s.asked = nil
		_, err = l.Commit(t.Context(), round)
		require.ErrorIs(t, err, want)
		require.Empty(t, s.asked, "the lane is spent")
	}
}

func TestTimedOutTransactionIsCommittedAgainInANewEpoch(t *testing.T) {
	s := &script{version: 2, codes: map[string][]int16{"EndTxn": {kerr.InvalidTxnState.Code}}}
	l := openLane(t, s)
	round := []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}}
	_, err := l.Commit(t.Context(), round)
	require.ErrorIs(t, err, exec.ErrUnavailable)
	_, err = l.Commit(t.Context(), round)
	require.NoError(t, err)
	require.Contains(t, s.asked, "InitProducerID epoch=1")
}

func TestClosedLaneGivesUp(t *testing.T) {
	s := &script{version: 2, lose: map[string]int{"EndTxn": 1 << 30}}
	l := openLane(t, s)
	closed := make(chan error, 1)
	s.lost = sync.OnceFunc(func() { go func() { closed <- l.Close() }() })
	_, err := l.Commit(t.Context(), []exec.TaskCommit{{Batches: []exec.PartitionBatch{testBatch(t, 0, 1)}}})
	require.ErrorIs(t, err, exec.ErrUnknownOutcome)
	require.NoError(t, <-closed)
}

func TestBatchThatIsNoBatchFailsItsTask(t *testing.T) {
	l := openLane(t, &script{version: 2})
	results, err := l.Commit(t.Context(), []exec.TaskCommit{{Batches: []exec.PartitionBatch{{Batch: []byte("no batch")}}}})
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, kerr.CorruptMessage)
}

func TestAppendThatMayHaveHappenedIsUnknown(t *testing.T) {
	s := &script{version: 2, lose: map[string]int{"Produce": 1 << 30}}
	a := NewAppender(s, clock.Real)
	ctx, cancel := context.WithCancel(t.Context())
	s.lost = cancel
	_, err := a.Append(ctx, []exec.PartitionBatch{testBatch(t, 0, 1)})
	require.ErrorIs(t, err, exec.ErrUnknownOutcome)
	require.NotErrorIs(t, err, exec.ErrUnavailable)

	s.lose, s.lost = nil, nil
	s.codes = map[string][]int16{"Produce": {0, kerr.MessageTooLarge.Code}}
	_, err = a.Append(t.Context(), []exec.PartitionBatch{testBatch(t, 0, 1), testBatch(t, 0, 1)})
	require.ErrorIs(t, err, exec.ErrUnknownOutcome, "the first batch is there")
}

func TestAppendThatWasRefusedSaysSo(t *testing.T) {
	s := &script{version: 2, codes: map[string][]int16{
		"Produce": {kerr.NotLeaderForPartition.Code, kerr.MessageTooLarge.Code, kerr.InvalidProducerIDMapping.Code},
	}}
	a := NewAppender(s, clock.Real)
	round := []exec.PartitionBatch{testBatch(t, 0, 1)}
	_, err := a.Append(t.Context(), round)
	require.ErrorIs(t, err, kerr.MessageTooLarge)
	require.NotErrorIs(t, err, exec.ErrUnknownOutcome)
	_, err = a.Append(t.Context(), round)
	require.ErrorIs(t, err, exec.ErrUnavailable)
	require.NotErrorIs(t, err, exec.ErrFenced)
	s.asked = nil
	_, err = a.Append(t.Context(), round)
	require.NoError(t, err)
	require.Equal(t, []string{"InitProducerID epoch=-1", "Produce out-0 epoch=3 seq=0"}, s.asked)
}
