package kafkalog

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/logwatch"
)

// transport is the lane.Transport to the cluster. kgo finds coordinators; Produce is split by leader here, for kgo's own producer wants
// records where there are batches.
type transport struct{ log *Log }

func (t transport) TransactionVersion() int16 { return t.log.version }

func (t transport) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if r, ok := req.(*kmsg.ProduceRequest); ok {
		return t.produce(ctx, r)
	}
	return t.log.client.Request(ctx, req)
}

// produce sends each leader its part of the request and puts the answers together.
func (t transport) produce(ctx context.Context, req *kmsg.ProduceRequest) (kmsg.Response, error) {
	merged := req.ResponseKind().(*kmsg.ProduceResponse)
	byLeader := map[int32]*kmsg.ProduceRequest{}
	epochs := map[exec.TopicPartition]int32{}
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			tp := exec.TopicPartition{Topic: rt.Topic, Partition: rt.Partitions[j].Partition}
			leader, err := t.log.topics.leader(ctx, tp)
			if err != nil {
				merged.Topics = append(merged.Topics, refused(tp, err))
				continue
			}
			epochs[tp] = leader.epoch
			part := byLeader[leader.broker]
			if part == nil {
				part = kmsg.NewPtrProduceRequest()
				part.Version, part.TransactionID, part.Acks, part.TimeoutMillis = req.Version, req.TransactionID, req.Acks, req.TimeoutMillis
				byLeader[leader.broker] = part
			}
			topic := kmsg.NewProduceRequestTopic()
			topic.Topic, topic.Partitions = rt.Topic, rt.Partitions[j:j+1]
			part.Topics = append(part.Topics, topic)
		}
	}
	responses, err := t.sendAll(ctx, byLeader)
	if err != nil {
		return nil, err
	}
	for _, r := range responses {
		merged.Topics = append(merged.Topics, r.Topics...)
	}
	t.finish(merged, epochs)
	return merged, nil
}

func (t transport) sendAll(ctx context.Context, byLeader map[int32]*kmsg.ProduceRequest) ([]*kmsg.ProduceResponse, error) {
	var mu sync.Mutex
	var responses []*kmsg.ProduceResponse
	var firstErr error
	var wg sync.WaitGroup
	for broker, req := range byLeader {
		wg.Go(func() {
			joinTopics(req)
			resp, err := t.log.client.Broker(int(broker)).Request(ctx, req)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				for _, rt := range req.Topics {
					t.log.topics.forget(rt.Topic)
				}
				firstErr = err
				return
			}
			responses = append(responses, resp.(*kmsg.ProduceResponse))
		})
	}
	wg.Wait()
	return responses, firstErr
}

// joinTopics puts the partitions of a topic under one entry: brokers refuse a topic that comes twice.
func joinTopics(req *kmsg.ProduceRequest) {
	at := map[string]int{}
	var topics []kmsg.ProduceRequestTopic
	for _, rt := range req.Topics {
		i, ok := at[rt.Topic]
		if !ok {
			at[rt.Topic] = len(topics)
			rt.Partitions = append([]kmsg.ProduceRequestTopicPartition(nil), rt.Partitions...)
			topics = append(topics, rt)
			continue
		}
		topics[i].Partitions = append(topics[i].Partitions, rt.Partitions...)
	}
	req.Topics = topics
}

// finish completes the answers: Kafka does not say under which leader epoch a batch was appended, so that comes from metadata; and a leader
// that has moved is forgotten.
func (t transport) finish(resp *kmsg.ProduceResponse, epochs map[exec.TopicPartition]int32) {
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			if rp.ErrorCode == 0 {
				rp.CurrentLeader.LeaderEpoch = epochs[exec.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}]
			} else if moved(kerr.ErrorForCode(rp.ErrorCode)) {
				t.log.topics.forget(rt.Topic)
			}
		}
	}
}

// refused is the answer for a partition whose leader cannot be found.
func refused(tp exec.TopicPartition, err error) kmsg.ProduceResponseTopic {
	part := kmsg.NewProduceResponseTopicPartition()
	part.Partition = tp.Partition
	part.ErrorCode = kerr.LeaderNotAvailable.Code
	if ke := kerrIn(err); ke != nil {
		part.ErrorCode = ke.Code
	}
	topic := kmsg.NewProduceResponseTopic()
	topic.Topic, topic.Partitions = tp.Topic, append(topic.Partitions, part)
	return topic
}

// position is where to read a partition from.
type position struct {
	exec.TopicPartition
	offset int64
}

// maxFetch bounds what one fetch may ask for, in bytes.
const maxFetch = 1 << 30

// readRequest asks for batches from one position, without a session. The limit is the partition's, not the request's: brokers have been
// seen to leave out the aborted transactions of a partition in which the request's limit was reached (kfake).
func readRequest(maxBytes int, from position) *kmsg.FetchRequest {
	return fetchRequest(maxFetch, int32(min(maxBytes, maxFetch)), from)
}

// pollRequest waits for something new at any of the positions, and asks for as little of it as can be.
func pollRequest(from []position) *kmsg.FetchRequest {
	req := fetchRequest(1, 1, from...)
	req.MaxWaitMillis, req.MinBytes = int32(logwatch.PollWait.Milliseconds()), 1
	return req
}

func fetchRequest(maxBytes, partitionBytes int32, from ...position) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.IsolationLevel = -1, readCommitted
	req.SessionID, req.SessionEpoch = 0, -1
	req.MaxBytes = maxBytes
	at := map[string]int{}
	for _, p := range from {
		i, ok := at[p.Topic]
		if !ok {
			i = len(req.Topics)
			at[p.Topic] = i
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = p.Topic
			req.Topics = append(req.Topics, topic)
		}
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.Partition, p.offset, partitionBytes
		part.CurrentLeaderEpoch = -1
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
	}
	return req
}

func fetch(ctx context.Context, client *kgo.Client, broker int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	resp, err := client.Broker(int(broker)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.FetchResponse)
	return r, kerr.ErrorForCode(r.ErrorCode)
}

func partitionOf(resp *kmsg.FetchResponse, tp exec.TopicPartition) *kmsg.FetchResponseTopicPartition {
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		if rt.Topic != tp.Topic {
			continue
		}
		for j := range rt.Partitions {
			if rt.Partitions[j].Partition == tp.Partition {
				return &rt.Partitions[j]
			}
		}
	}
	return nil
}
