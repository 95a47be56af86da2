package kafkadiff

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// moment is the timestamp of the program's records, in ms.
const moment = 1_700_000_000_000

// batch is records of the given values.
func (s *session) batch(opts record.BatchOptions, values ...string) []byte {
	var b record.Builder
	b.Reset(opts)
	for i, v := range values {
		require.NoError(s.t, b.Append(moment+int64(i), []byte("k"), []byte(v)))
	}
	frame, err := b.Finish(nil)
	require.NoError(s.t, err)
	return frame
}

// patched is a batch with other bytes at a place, and the checksum that belongs to it.
func patched(frame []byte, at int, with ...byte) []byte {
	out := bytes.Clone(frame)
	copy(out[at:], with)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], crc32.MakeTable(crc32.Castagnoli)))
	return out
}

// topicRef is a topic as requests name it: by name, and by id in newer versions.
type topicRef struct {
	name string
	id   [16]byte
}

func produce(v, acks int16, topic topicRef, partition int32, frame []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = v, acks, 30_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = topic.name, topic.id
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, frame
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func (s *session) produces() {
	topic := topicRef{"produced", s.makeTopic("produced", 1, "max.message.bytes", "10000")}
	stamped := topicRef{"stamped", s.makeTopic("stamped", 1, "message.timestamp.type", "LogAppendTime")}
	compacted := topicRef{"compacted", s.makeTopic("compacted", 1, "cleanup.policy", "compact")}
	odd := topicRef{"odd", s.makeTopic("odd", 1)} // for what not every broker takes, so that offsets stay the same elsewhere
	good := s.batch(record.BatchOptions{}, "a", "b")
	var keyless record.Builder
	keyless.Reset(record.BatchOptions{})
	require.NoError(s.t, keyless.Append(moment, nil, []byte("v")))
	noKey, err := keyless.Finish(nil)
	require.NoError(s.t, err)
	badSum := bytes.Clone(good)
	badSum[len(badSum)-1] ^= 1
	old := bytes.Clone(good)
	old[16] = 1
	zeroth := bytes.Clone(good)
	zeroth[16] = 0
	other := bytes.Clone(good)
	other[16] = 3
	based := bytes.Clone(good)
	record.SetBaseOffset(based, 77)
	long := bytes.Clone(good)
	binary.BigEndian.PutUint32(long[8:], uint32(len(good)))
	short := bytes.Clone(good)
	binary.BigEndian.PutUint32(short[8:], 20)
	s.each(kmsg.Produce, func(v int16) {
		if v < 3 {
			return
		}
		for _, acks := range []int16{1, -1} {
			s.ask(fmt.Sprintf("a batch, acks %d", acks), produce(v, acks, topic, 0, good))
		}
		s.ask("acks 2", produce(v, 2, topic, 0, good))
		s.ask("an unknown topic", produce(v, -1, topicRef{"nobody", [16]byte{1}}, 0, good))
		s.ask("an unknown partition", produce(v, -1, topic, 9, good))
		s.ask("a negative partition", produce(v, -1, topic, -1, good))
		s.ask("a wrong checksum", produce(v, -1, topic, 0, badSum))
		s.ask("magic 0", produce(v, -1, topic, 0, zeroth))
		s.ask("magic 1", produce(v, -1, topic, 0, old))
		s.ask("magic 3", produce(v, -1, topic, 0, other))
		s.ask("a base offset", produce(v, -1, odd, 0, based))
		s.ask("no records", produce(v, -1, topic, 0, []byte{}))
		s.ask("two batches", produce(v, -1, topic, 0, append(bytes.Clone(good), good...)))
		s.ask("a batch that is cut off", produce(v, -1, topic, 0, good[:len(good)-5]))
		s.ask("only a few bytes", produce(v, -1, topic, 0, good[:30]))
		s.ask("a length beyond the end", produce(v, -1, topic, 0, long))
		s.ask("a length that is too small", produce(v, -1, topic, 0, short))
		s.ask("a wrong last offset delta", produce(v, -1, topic, 0, patched(good, 23, 0, 0, 0, 9)))
		s.ask("a wrong count", produce(v, -1, topic, 0, patched(good, 57, 0, 0, 0, 9)))
		s.ask("count 0", produce(v, -1, topic, 0, patched(good, 57, 0, 0, 0, 0)))
		s.ask("a negative count", produce(v, -1, topic, 0, patched(good, 57, 255, 255, 255, 255)))
		s.ask("a control batch", produce(v, -1, topic, 0, patched(good, 21, 0, 0x20)))
		s.ask("an unknown codec", produce(v, -1, topic, 0, patched(good, 21, 0, 5)))
		s.ask("a codec that is not the data's", produce(v, -1, odd, 0, patched(good, 21, 0, 1)))
		s.ask("transactional without a transactional id", produce(v, -1, topic, 0, patched(good, 21, 0, 0x10)))
		s.ask("too large", produce(v, -1, topic, 0, s.batch(record.BatchOptions{}, string(make([]byte, 20_000)))))
		s.ask("zstd", produce(v, -1, topic, 0, s.batch(record.BatchOptions{Codec: record.Zstd}, "zzzzzzzzzzzzzzzzzzzzzzzz")))
		s.ask("timestamps of the log", produce(v, -1, stamped, 0, good))
		s.ask("without a key into a compacted topic", produce(v, -1, compacted, 0, noKey))
		s.ask("a good one among bad ones", func() *kmsg.ProduceRequest {
			req := produce(v, -1, topic, 0, good)
			bad := produce(v, -1, topic, 5, good).Topics[0]
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, bad.Partitions[0])
			return req
		}())
		s.ask("nothing", &kmsg.ProduceRequest{Version: v, Acks: -1, TimeoutMillis: 30_000})
		s.ask("a failure without acks", produce(v, 0, topic, 9, good))
	})
	s.idempotence()
}

// sequenced is a batch of an idempotent producer.
func (s *session) sequenced(id int64, epoch int16, sequence int32, values ...string) []byte {
	return s.batch(record.BatchOptions{Idempotent: true, ProducerID: id, ProducerEpoch: epoch, BaseSequence: sequence}, values...)
}

func (s *session) idempotence() {
	s.each(kmsg.InitProducerID, func(v int16) {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = v, 60_000, -1, -1
		id := s.ask("an idempotent producer", req).(*kmsg.InitProducerIDResponse)
		if v >= 3 {
			req.ProducerID, req.ProducerEpoch = id.ProducerID, id.ProducerEpoch
			s.ask("one that wants another epoch", req)
		}
	})
	topic := topicRef{"sequenced", s.makeTopic("sequenced", 2)}
	init := kmsg.NewPtrInitProducerIDRequest()
	init.Version, init.TransactionTimeoutMillis, init.ProducerID, init.ProducerEpoch = 4, 60_000, -1, -1
	id := s.quietly(init).(*kmsg.InitProducerIDResponse).ProducerID
	send := func(name string, partition int32, epoch int16, sequence int32, values ...string) {
		s.ask(name, produce(9, -1, topic, partition, s.sequenced(id, epoch, sequence, values...)))
	}
	send("the first sequence", 0, 0, 0, "0", "1")
	send("the next", 0, 0, 2, "2")
	send("the same again", 0, 0, 2, "2")
	send("the first again", 0, 0, 0, "0", "1")
	send("part of one that is there", 0, 0, 1, "1")
	send("a gap", 0, 0, 9, "9")
	for i := range int32(6) {
		send(fmt.Sprintf("number %d", i+3), 0, 0, i+3, "x")
	}
	send("one that is long there", 0, 0, 0, "0", "1")
	send("a new epoch that does not begin at 0", 0, 1, 5, "x")
	send("a new epoch", 0, 1, 0, "x")
	send("the old epoch", 0, 0, 9, "x")
	send("a partition where the producer is new, not from 0", 1, 1, 7, "x")
	send("the end of the numbers", 1, 1, 2147483647, "x")
	send("a negative sequence", 1, 1, -1, "x")
	send("a negative epoch", 1, -1, 0, "x")
	s.ask("a producer that nobody knows", produce(9, -1, topic, 1, s.sequenced(id+1_000_000, 0, 3, "x")))
}
