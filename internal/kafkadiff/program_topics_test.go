package kafkadiff

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func ptr[T any](v T) *T { return &v }

// newTopic is one topic to be made.
func newTopic(name string, partitions int32, configs ...string) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		rt.Configs = append(rt.Configs, c)
	}
	return rt
}

func createTopics(v int16, topics ...kmsg.CreateTopicsRequestTopic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = v, 30_000, topics
	return req
}

// make makes a topic that the program goes on with, and returns its id once clients can use it.
func (s *session) makeTopic(name string, partitions int32, configs ...string) (id [16]byte) {
	s.t.Helper()
	if !slices.Contains(configs, "retention.ms") {
		configs = append(configs, "retention.ms", "-1") // the records of this program are old
	}
	s.quietly(createTopics(4, newTopic(name, partitions, configs...)))
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 10
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &name
	req.Topics = append(req.Topics, rt)
	s.until(func() bool {
		topic := s.quietly(req).(*kmsg.MetadataResponse).Topics[0]
		id = topic.TopicID
		return topic.ErrorCode == 0 && len(topic.Partitions) == int(partitions)
	})
	s.awaitLeaders(name, partitions)
	return id
}

// awaitLeaders waits until the broker serves the partitions: metadata may be ahead of that.
func (s *session) awaitLeaders(name string, partitions int32) {
	for p := range partitions {
		s.until(func() bool {
			return s.quietly(listOffsets(4, name, p, -1)).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode == 0
		})
	}
}

func (s *session) topics() {
	s.each(kmsg.CreateTopics, func(v int16) {
		name := fmt.Sprintf("made-%d", v)
		s.ask("a topic", createTopics(v, newTopic(name, 2, "retention.ms", "1000000")))
		s.ask("one that exists", createTopics(v, newTopic(name, 2)))
		s.ask("bad names", createTopics(v, newTopic("no/good", 1), newTopic("..", 1), newTopic("", 1)))
		s.ask("twice in a request", createTopics(v, newTopic("twice", 1), newTopic("twice", 2)))
		s.ask("no partitions", createTopics(v, newTopic("none", 0)))
		s.ask("a negative number of partitions", createTopics(v, newTopic("none", -3)))
		more := newTopic("more", 1)
		more.ReplicationFactor = 3
		s.ask("more replicas than nodes", createTopics(v, more))
		more.ReplicationFactor = 0
		s.ask("no replicas", createTopics(v, more))
		s.ask("an unknown setting", createTopics(v, newTopic("odd", 1, "no.such", "1")))
		s.ask("a wrong value", createTopics(v, newTopic("odd", 1, "retention.ms", "soon")))
		s.ask("a policy that does not exist", createTopics(v, newTopic("odd", 1, "cleanup.policy", "burn")))
		s.ask("nothing", createTopics(v))
		dry := createTopics(v, newTopic("dry", 3), newTopic(name, 1))
		dry.ValidateOnly = true
		s.ask("only checked", dry)
		if v >= 4 {
			d := newTopic(fmt.Sprintf("default-%d", v), -1)
			d.ReplicationFactor = -1
			s.ask("defaults", createTopics(v, d))
		}
		both := newTopic("both", 2)
		both.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{1}}}
		s.ask("an assignment and a number of partitions", createTopics(v, both))
	})
	s.metadata()
	s.partitions()
	s.describeTopics()
	s.deletions()
}

func (s *session) metadata() {
	id := s.makeTopic("meta", 2)
	s.each(kmsg.Metadata, func(v int16) {
		ask := func(name string, topics ...*string) {
			req := kmsg.NewPtrMetadataRequest()
			req.Version = v
			for _, topic := range topics {
				rt := kmsg.NewMetadataRequestTopic()
				rt.Topic = topic
				req.Topics = append(req.Topics, rt)
			}
			s.ask(name, req)
		}
		ask("a topic", ptr("meta"))
		if v >= 8 {
			req := kmsg.NewPtrMetadataRequest()
			req.Version, req.IncludeTopicAuthorizedOperations, req.IncludeClusterAuthorizedOperations = v, true, v <= 10
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = ptr("meta")
			req.Topics = append(req.Topics, rt)
			s.ask("with operations", req)
		}
		ask("an unknown one", ptr("nobody"))
		ask("a bad name", ptr("no/good"))
		ask("the same twice", ptr("meta"), ptr("meta"))
		if v > 0 {
			req := kmsg.NewPtrMetadataRequest()
			req.Version, req.Topics = v, []kmsg.MetadataRequestTopic{}
			s.ask("no topic", req)
		}
		if v >= 12 {
			byID := func(name string, id [16]byte) {
				req := kmsg.NewPtrMetadataRequest()
				req.Version = v
				rt := kmsg.NewMetadataRequestTopic()
				rt.TopicID = id
				req.Topics = append(req.Topics, rt)
				s.ask(name, req)
			}
			byID("by id", id)
			byID("by an unknown id", [16]byte{1})
		}
	})
}

func (s *session) partitions() {
	s.makeTopic("grow", 1)
	s.each(kmsg.CreatePartitions, func(v int16) {
		ask := func(name, topic string, count int32, validate bool, assigned ...int32) {
			req := kmsg.NewPtrCreatePartitionsRequest()
			req.Version, req.TimeoutMillis, req.ValidateOnly = v, 30_000, validate
			rt := kmsg.NewCreatePartitionsRequestTopic()
			rt.Topic, rt.Count = topic, count
			for _, n := range assigned {
				rt.Assignment = append(rt.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: []int32{n}})
			}
			req.Topics = append(req.Topics, rt)
			s.ask(name, req)
		}
		now := int32(v) + 1
		ask("the same number", "grow", now, false)
		ask("fewer", "grow", 0, false)
		ask("only checked", "grow", now+5, true)
		ask("one more", "grow", now+1, false)
		ask("an unknown topic", "nobody", 3, false)
		ask("an assignment of another length", "grow", now+2, false, 1, 1, 1)
	})
}

func (s *session) describeTopics() {
	s.each(kmsg.DescribeTopicPartitions, func(v int16) {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.Version, req.ResponsePartitionLimit = v, 10
		for _, name := range []string{"meta", "nobody"} {
			rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
			rt.Topic = name
			req.Topics = append(req.Topics, rt)
		}
		s.ask("a topic and an unknown one", req)
		req.ResponsePartitionLimit = 1
		s.ask("a page", req)
	})
}

func (s *session) deletions() {
	s.each(kmsg.DeleteTopics, func(v int16) {
		ask := func(name string, topics ...string) {
			req := kmsg.NewPtrDeleteTopicsRequest()
			req.Version, req.TimeoutMillis, req.TopicNames = v, 30_000, topics
			for _, topic := range topics {
				rt := kmsg.NewDeleteTopicsRequestTopic()
				rt.Topic = &topic
				req.Topics = append(req.Topics, rt)
			}
			s.ask(name, req)
		}
		topic := fmt.Sprintf("gone-%d", v)
		id := s.makeTopic(topic, 1)
		ask("nothing")
		ask("an unknown one", "nobody")
		ask("one", topic)
		ask("the same again", topic)
		if v >= 6 {
			byID := func(name string, id [16]byte, also *string) {
				req := kmsg.NewPtrDeleteTopicsRequest()
				req.Version, req.TimeoutMillis = v, 30_000
				rt := kmsg.NewDeleteTopicsRequestTopic()
				rt.TopicID, rt.Topic = id, also
				req.Topics = append(req.Topics, rt)
				s.ask(name, req)
			}
			byID("the id of one that is gone", id, nil)
			byID("neither name nor id", [16]byte{}, nil)
			next := s.makeTopic(topic, 1)
			byID("name and id", next, &topic)
			byID("by its id", next, nil)
		}
	})
}
