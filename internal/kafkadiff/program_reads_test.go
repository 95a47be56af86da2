package kafkadiff

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

func listOffsets(v int16, topic string, partition int32, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID, req.TimeoutMillis = v, -1, 30_000
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = partition, timestamp, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func fetch(v int16, topic topicRef, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = v, 0, 1, 1<<20, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic.name, topic.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = partition, offset, 1<<20, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func (s *session) reads() {
	topic := topicRef{"read", s.makeTopic("read", 2)}
	for i := range 4 {
		s.quietly(produce(9, -1, topic, 0, s.batch(record.BatchOptions{}, fmt.Sprint("a", i), fmt.Sprint("b", i))))
	}
	packed := topicRef{"packed", s.makeTopic("packed", 1)}
	s.quietly(produce(9, -1, packed, 0, s.batch(record.BatchOptions{Codec: record.Zstd}, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")))
	s.each(kmsg.Fetch, func(v int16) {
		s.ask("from the start", fetch(v, topic, 0, 0))
		s.ask("from the middle of a batch", fetch(v, topic, 0, 3))
		s.ask("from the end", fetch(v, topic, 0, 8))
		s.ask("an empty partition", fetch(v, topic, 1, 0))
		s.ask("beyond the end", fetch(v, topic, 0, 9))
		s.ask("a negative offset", fetch(v, topic, 0, -1))
		s.ask("an unknown topic", fetch(v, topicRef{"nobody", [16]byte{1}}, 0, 0))
		s.ask("an unknown partition", fetch(v, topic, 7, 0))
		small := fetch(v, topic, 0, 0)
		small.MaxBytes, small.Topics[0].Partitions[0].PartitionMaxBytes = 1, 1
		s.ask("one byte", small)
		s.ask("zstd", fetch(v, packed, 0, 0))
		none := fetch(v, topic, 0, 0)
		none.Topics = nil
		s.ask("nothing", none)
		committed := fetch(v, topic, 0, 0)
		committed.IsolationLevel = 1
		s.ask("committed", committed)
		if v >= 9 {
			for _, epoch := range []int32{0, 5} {
				req := fetch(v, topic, 0, 0)
				req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
				s.ask(fmt.Sprintf("leader epoch %d", epoch), req)
			}
		}
		if v >= 7 {
			s.fetchSessions(v, topic)
		}
	})
	s.each(kmsg.ListOffsets, func(v int16) {
		for _, at := range []int64{-1, -2, -3, -4, -5, -6, -7, 0, moment, moment + 1, moment + 100} {
			s.ask(fmt.Sprintf("timestamp %d", at), listOffsets(v, "read", 0, at))
		}
		s.ask("latest of nothing", listOffsets(v, "read", 1, -1))
		s.ask("highest of nothing", listOffsets(v, "read", 1, -3))
		s.ask("an unknown topic", listOffsets(v, "nobody", 0, -1))
		s.ask("an unknown partition", listOffsets(v, "read", 7, -1))
		twice := listOffsets(v, "read", 0, -1)
		twice.Topics[0].Partitions = append(twice.Topics[0].Partitions, twice.Topics[0].Partitions[0])
		s.ask("the same partition twice", twice)
		if v >= 4 {
			for _, epoch := range []int32{0, 5} {
				req := listOffsets(v, "read", 0, -1)
				req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
				s.ask(fmt.Sprintf("leader epoch %d", epoch), req)
			}
		}
	})
	s.each(kmsg.OffsetForLeaderEpoch, func(v int16) {
		ask := func(name, topic string, partition, current, epoch int32) {
			req := kmsg.NewPtrOffsetForLeaderEpochRequest()
			req.Version, req.ReplicaID = v, -1
			rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
			rt.Topic = topic
			rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			rp.Partition, rp.CurrentLeaderEpoch, rp.LeaderEpoch = partition, current, epoch
			rt.Partitions = append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			s.ask(name, req)
		}
		ask("the epoch that is", "read", 0, -1, 0)
		ask("an epoch to come", "read", 0, -1, 7)
		ask("no epoch", "read", 0, -1, -1)
		ask("with a current epoch to come", "read", 0, 5, 0)
		ask("an unknown topic", "nobody", 0, -1, 0)
		ask("an unknown partition", "read", 7, -1, 0)
	})
	s.deleteRecords()
}

// fetchSessions follows a session of incremental fetches (KIP-227) through its life.
func (s *session) fetchSessions(v int16, topic topicRef) {
	open := fetch(v, topic, 0, 0)
	open.SessionEpoch = 0
	first, ok := s.ask("a session begins", open).(*kmsg.FetchResponse)
	if !ok || first.SessionID == 0 {
		return
	}
	next := func(name string, epoch int32, offset int64) {
		req := fetch(v, topic, 0, offset)
		req.SessionID, req.SessionEpoch = first.SessionID, epoch
		if offset < 0 {
			req.Topics = nil
		}
		s.ask(name, req)
	}
	next("it goes on", 1, 8)
	next("nothing is new", 2, -1)
	next("a wrong epoch", 9, -1)
	next("another partition is read again", 3, 2)
	forget := fetch(v, topic, 0, 0)
	forget.SessionID, forget.SessionEpoch, forget.Topics = first.SessionID, 4, nil
	forgotten := kmsg.NewFetchRequestForgottenTopic()
	forgotten.Topic, forgotten.TopicID, forgotten.Partitions = topic.name, topic.id, []int32{0}
	forget.ForgottenTopics = append(forget.ForgottenTopics, forgotten)
	s.ask("a partition is forgotten", forget)
	next("it ends", -1, 0)
	next("after its end", 5, -1)
}

func (s *session) deleteRecords() {
	topic := topicRef{"cut", s.makeTopic("cut", 1)}
	for range 10 {
		s.quietly(produce(9, -1, topic, 0, s.batch(record.BatchOptions{}, "x")))
	}
	s.each(kmsg.DeleteRecords, func(v int16) {
		ask := func(name, topic string, partition int32, offset int64) {
			req := kmsg.NewPtrDeleteRecordsRequest()
			req.Version, req.TimeoutMillis = v, 30_000
			rt := kmsg.NewDeleteRecordsRequestTopic()
			rt.Topic = topic
			rt.Partitions = append(rt.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: partition, Offset: offset})
			req.Topics = append(req.Topics, rt)
			s.ask(name, req)
		}
		ask("some", "cut", 0, 2+int64(v))
		ask("fewer than are gone", "cut", 0, 1)
		ask("more than there are", "cut", 0, 99)
		ask("a negative offset", "cut", 0, -2)
		ask("an unknown topic", "nobody", 0, 1)
		ask("an unknown partition", "cut", 9, 1)
		s.ask("below the start", fetch(12, topic, 0, 0))
		s.ask("the first", listOffsets(4, "cut", 0, -2))
		if v == 2 {
			ask("all", "cut", 0, -1)
			s.ask("after all", fetch(12, topic, 0, 10))
		}
	})
}
