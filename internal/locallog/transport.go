package locallog

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
)

// produceTimeout bounds a Produce to another node.
const produceTimeout = 10 * time.Second

// transport hands requests to the coordinators of this process, and batches to the leaders, wherever they are.
type transport struct{ log *Log }

// TransactionVersion implements lane.Transport.
func (transport) TransactionVersion() int16 { return 2 }

// Request implements lane.Transport. Coordinators are only asked here, unless the Log is a worker's: who owns tables leads them, and loses them with the right to write.
func (t transport) Request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if r, ok := req.(*kmsg.ProduceRequest); ok && t.log.peers != nil {
		return t.produce(ctx, r)
	}
	if t.log.anywhere {
		return t.log.atCoordinator(ctx, req)
	}
	return t.log.broker.Request(ctx, req)
}

// produce cuts a request by leaders and puts the answers together. What one leader does not answer may be appended all the same, and is told as a time-out.
func (t transport) produce(ctx context.Context, req *kmsg.ProduceRequest) (kmsg.Response, error) {
	byNode := t.cut(req)
	here := byNode[ownPart]
	delete(byNode, ownPart)
	if len(byNode) == 0 {
		return t.log.broker.Request(ctx, here)
	}
	merged := req.ResponseKind().(*kmsg.ProduceResponse)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for node, part := range byNode {
		wg.Go(func() {
			topics := t.send(ctx, node, part)
			mu.Lock()
			defer mu.Unlock()
			merged.Topics = append(merged.Topics, topics...)
		})
	}
	var own kmsg.Response
	var err error
	if here != nil {
		own, err = t.log.broker.Request(ctx, here)
	}
	wg.Wait()
	if err != nil {
		return nil, err
	}
	if here != nil {
		merged.Topics = append(merged.Topics, own.(*kmsg.ProduceResponse).Topics...)
	}
	return merged, nil
}

// ownPart stands for this node among those of a request.
const ownPart int32 = -1

func (t transport) cut(req *kmsg.ProduceRequest) map[int32]*kmsg.ProduceRequest {
	byNode := map[int32]*kmsg.ProduceRequest{}
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			node := t.log.leaderOf(exec.TopicPartition{Topic: rt.Topic, Partition: rt.Partitions[j].Partition})
			part := byNode[node]
			if part == nil {
				part = kmsg.NewPtrProduceRequest()
				part.Version, part.TransactionID, part.Acks, part.TimeoutMillis = req.Version, req.TransactionID, req.Acks, req.TimeoutMillis
				byNode[node] = part
			}
			n := len(part.Topics)
			if n == 0 || part.Topics[n-1].Topic != rt.Topic {
				topic := kmsg.NewProduceRequestTopic()
				topic.Topic = rt.Topic
				part.Topics = append(part.Topics, topic)
				n++
			}
			part.Topics[n-1].Partitions = append(part.Topics[n-1].Partitions, rt.Partitions[j])
		}
	}
	return byNode
}

// leaderOf is the node to send batches for tp to; what cannot be sent elsewhere is for this one to refuse.
func (l *Log) leaderOf(tp exec.TopicPartition) int32 {
	if p, err := l.partitions.Partition(tp.Topic, tp.Partition); err == nil && p.Leads() && !l.anywhere {
		return ownPart
	}
	place, err := l.away(tp)
	if l.anywhere && place.Here {
		return place.Node // over the node port like any other: the coordinator that ends the transaction may be another node, so that each batch has to be waited for
	}
	if err != nil {
		return ownPart
	}
	return place.Node
}

// send has another node append a part of a request.
func (t transport) send(ctx context.Context, node int32, req *kmsg.ProduceRequest) []kmsg.ProduceResponseTopic {
	ctx, cancel := context.WithTimeout(ctx, produceTimeout)
	defer cancel()
	resp, err := t.log.peers.Call(ctx, node, req)
	if err != nil {
		return refused(req, err)
	}
	topics := resp.(*kmsg.ProduceResponse).Topics
	for i := range topics {
		for j := range topics[i].Partitions {
			p := &topics[i].Partitions[j]
			p.ErrorCode = heard(p.ErrorCode)
			if place, err := t.log.peers.Place(topics[i].Topic, p.Partition); err == nil && p.ErrorCode == 0 {
				p.CurrentLeader.LeaderEpoch = place.Epoch
			}
		}
	}
	return topics
}

// refused answers all of a request that was not answered.
func refused(req *kmsg.ProduceRequest, err error) (topics []kmsg.ProduceResponseTopic) {
	code := kerr.RequestTimedOut.Code
	if errors.Is(err, kerr.BrokerNotAvailable) {
		code = kerr.NotLeaderForPartition.Code // it was surely not carried out
	}
	for i := range req.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode, part.BaseOffset = req.Topics[i].Partitions[j].Partition, code, -1
			topic.Partitions = append(topic.Partitions, part)
		}
		topics = append(topics, topic)
	}
	return topics
}
