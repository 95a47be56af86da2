package kafkadiff

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// txn is a transactional producer.
type txn struct {
	s     *session
	name  string
	id    int64
	epoch int16
}

func initTxn(v int16, name string, timeout int32) *kmsg.InitProducerIDRequest {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = v, &name, timeout, -1, -1
	return req
}

// begin starts a producer. A coordinator that has not seen it may need a moment to load.
func (s *session) begin(v int16, name string) *txn {
	x := &txn{s: s, name: name}
	s.until(func() bool {
		resp := s.quietly(initTxn(v, name, 60_000)).(*kmsg.InitProducerIDResponse)
		x.id, x.epoch = resp.ProducerID, resp.ProducerEpoch
		err := kerr.ErrorForCode(resp.ErrorCode)
		return err == nil || !kerr.IsRetriable(err) && !errors.Is(err, kerr.ConcurrentTransactions)
	})
	return x
}

func (x *txn) add(v int16, name, topic string, partitions ...int32) {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = v, x.name, x.id, x.epoch
	rt := kmsg.NewAddPartitionsToTxnRequestTopic()
	rt.Topic, rt.Partitions = topic, partitions
	req.Topics = append(req.Topics, rt)
	x.s.settled(name, req, func(r kmsg.Response) int16 {
		return r.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
	})
}

func (x *txn) end(v int16, name string, commit bool) {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = v, x.name, x.id, x.epoch, commit
	x.s.settled(name, req, func(r kmsg.Response) int16 { return r.(*kmsg.EndTxnResponse).ErrorCode })
}

func (x *txn) offsets(v int16, name, group string) {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = v, x.name, x.id, x.epoch, group
	x.s.settled(name, req, func(r kmsg.Response) int16 { return r.(*kmsg.AddOffsetsToTxnResponse).ErrorCode })
}

func (x *txn) commitOffset(v int16, name, group, member string, generation int32, topic string) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation, req.MemberID = v, x.name, group, x.id, x.epoch, generation, member
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset, rp.LeaderEpoch = 7, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	x.s.ask(name, req)
}

func (x *txn) produce(v int16, name string, topic topicRef, sequence int32, values ...string) {
	frame := x.s.batch(record.BatchOptions{Transactional: true, Idempotent: true, ProducerID: x.id, ProducerEpoch: x.epoch, BaseSequence: sequence}, values...)
	req := produce(v, -1, topic, 0, frame)
	req.TransactionID = &x.name
	x.s.settled(name, req, func(r kmsg.Response) int16 { return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode })
}

// settled asks until the answer is not that a transaction before is still being ended: when that is over depends on the broker.
func (s *session) settled(name string, req kmsg.Request, code func(kmsg.Response) int16) {
	s.t.Helper()
	s.until(func() bool {
		n := len(s.steps)
		resp := s.ask(name, req)
		if resp == nil || code(resp) != kerr.ConcurrentTransactions.Code {
			return true
		}
		s.steps = s.steps[:n]
		return false
	})
}

func (s *session) transactions() {
	topic := topicRef{"txn", s.makeTopic("txn", 2, "segment.ms", "9223372036854775807")}
	s.begin(4, "warm")
	s.each(kmsg.InitProducerID, func(v int16) {
		name := fmt.Sprintf("init-%d", v)
		s.begin(v, name)
		s.ask("again", initTxn(v, name, 60_000))
		s.ask("a timeout that is too long", initTxn(v, name, 1<<30))
		s.ask("no timeout", initTxn(v, name, 0))
		s.ask("an empty transactional id", initTxn(v, "", 60_000))
	})
	s.each(kmsg.AddPartitionsToTxn, func(v int16) {
		if v > 3 { // between brokers
			return
		}
		x := s.begin(4, fmt.Sprintf("classic-%d", v))
		x.produce(11, "without having been added", topic, 0, "early")
		x.add(v, "a partition", topic.name, 0)
		x.add(v, "an unknown topic", "nobody", 0)
		x.add(v, "a good one with an unknown one", topic.name, 1, 9)
		x.produce(11, "in a transaction", topic, 0, "one")
		s.openTransaction(x, topic)
		x.end(min(v, 3), "commit", true)
		x.end(min(v, 3), "the same again", true)
		x.end(min(v, 3), "abort after commit", false)
		x.add(v, "a partition", topic.name, 0)
		x.produce(11, "in a transaction", topic, 1, "two")
		x.end(min(v, 3), "abort", false)
		x.end(min(v, 3), "the same again", false)
		stale := *x
		stale.epoch = 100
		stale.add(v, "an epoch to come", topic.name, 0)
		stale.end(min(v, 3), "an epoch to come", true)
		x.id += 1_000_000
		x.add(v, "another producer id", topic.name, 0)
		x.end(min(v, 3), "another producer id", true)
		stale.name = "nobody"
		stale.add(v, "an unknown transactional id", topic.name, 0)
		stale.end(min(v, 3), "an unknown transactional id", true)
	})
	s.fenced(topic)
	s.secondProtocol(topic)
	s.offsetsInTransactions()
	for _, isolation := range []int8{0, 1} {
		req := fetch(12, topic, 0, 0)
		req.IsolationLevel = isolation
		s.ask(fmt.Sprintf("after transactions, isolation %d", isolation), req)
	}
}

// openTransaction looks at a transaction that is open.
func (s *session) openTransaction(x *txn, topic topicRef) {
	for _, isolation := range []int8{0, 1} {
		list := listOffsets(5, topic.name, 0, -1)
		list.IsolationLevel = isolation
		s.ask(fmt.Sprintf("in a transaction, isolation %d", isolation), list)
	}
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{x.name, "nobody"}
	s.ask("an open one and an unknown one", describe)
	list := kmsg.NewPtrListTransactionsRequest()
	list.StateFilters = []string{"Ongoing"}
	s.ask("the open ones", list)
	list.StateFilters = []string{"Nonsense"}
	s.ask("in a state that does not exist", list)
	producers := kmsg.NewPtrDescribeProducersRequest()
	producers.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic.name, Partitions: []int32{0, 9}}, {Topic: "nobody", Partitions: []int32{0}}}
	s.ask("producers", producers)
}

// fenced replaces a producer by a newer one with its transactional id.
func (s *session) fenced(topic topicRef) {
	old := s.begin(4, "fence")
	old.add(3, "a partition", topic.name, 0)
	old.produce(11, "in a transaction", topic, 0, "lost")
	s.begin(4, "fence")
	old.produce(11, "fenced", topic, 1, "lost")
	old.add(3, "fenced", topic.name, 0)
	old.add(0, "fenced", topic.name, 0)
	old.end(3, "fenced", true)
	old.end(0, "fenced", true)
	old.offsets(3, "fenced", "g")
	old.offsets(0, "fenced", "g")
	again := initTxn(4, "fence", 60_000)
	again.ProducerID, again.ProducerEpoch = old.id, old.epoch
	s.ask("fenced", again)
}

// secondProtocol is that of KIP-890: produce requests add partitions, and each transaction has an epoch of its own.
func (s *session) secondProtocol(topic topicRef) {
	x := s.begin(5, "second")
	end := func(name string, commit bool) {
		req := kmsg.NewPtrEndTxnRequest()
		req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = 5, x.name, x.id, x.epoch, commit
		s.settled(name, req, func(r kmsg.Response) int16 {
			resp := r.(*kmsg.EndTxnResponse)
			if resp.ErrorCode == 0 && resp.ProducerID > 0 {
				x.id, x.epoch = resp.ProducerID, resp.ProducerEpoch
			}
			return resp.ErrorCode
		})
	}
	x.produce(12, "adds its partition", topic, 0, "three")
	x.produce(12, "the next", topic, 1, "four")
	before := *x
	end("commit", true)
	x.produce(12, "with the new epoch", topic, 0, "five") // and so the markers are written
	before.produce(12, "with the epoch before", topic, 2, "late")
	end("abort", false)
	end("abort of nothing", false)
	end("commit of nothing", true)
}

func (s *session) offsetsInTransactions() {
	s.makeTopic("carried", 1)
	s.each(kmsg.TxnOffsetCommit, func(v int16) {
		if v > 4 { // 5 is the second protocol
			return
		}
		x := s.begin(4, fmt.Sprintf("carry-%d", v))
		group := fmt.Sprintf("carried-%d", v)
		x.commitOffset(v, "before it was added", group, "", -1, "carried")
		x.offsets(min(v, 3), "a group", group)
		x.offsets(min(v, 3), "a group again", group)
		x.commitOffset(v, "an offset", group, "", -1, "carried")
		x.commitOffset(v, "an unknown topic", group, "", -1, "nobody")
		if v >= 3 {
			x.commitOffset(v, "a member that does not exist", group, "nobody", 3, "carried")
			x.commitOffset(v, "a generation without a member", group, "", 3, "carried")
		}
		pending := offsetFetch(7, group, "carried")
		s.ask("of an open transaction", pending)
		pending.RequireStable = true
		s.ask("of an open transaction, stable", pending)
		x.end(3, "commit", true)
		s.until(func() bool {
			return s.quietly(pending).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0].ErrorCode == 0
		})
		s.ask("of a transaction that is over", pending)
	})
}
