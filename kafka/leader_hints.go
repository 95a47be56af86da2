package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A client that asks a node for a partition which another leads is told who does, and where that is, in the same answer (KIP-951): it goes there at once and need not ask for metadata,
// which it may not do again for seconds.

// The first versions with room for that.
const (
	hintProduceVersion = 10
	hintFetchVersion   = 16
)

// hintPatience bounds how long an answer waits for a new leader to have heard that it is one. Where it has not, it turns a client away that has come by a hint, and has none for it: the client asks for
// metadata then, after seconds.
const hintPatience = 500 * time.Millisecond

// leadership is who leads a partition since which leader epoch; the zero value says nothing, for no second leader has epoch 0.
type leadership struct{ leader, epoch int32 }

// hints collects the leaders that an answer names.
type hints struct {
	c      *conn
	topic  Topic // the last that was looked up
	nodes  map[int32]bool
	ctx    context.Context // ends when no more leaders are waited for; nil before the first
	cancel context.CancelFunc
}

// await waits for the leader of a partition to serve it, at most hintPatience for all of an answer.
func (h *hints) await(topic string, partition int32) {
	if h.ctx == nil {
		h.ctx, h.cancel = context.WithTimeout(h.c.ctx, hintPatience)
	}
	h.c.server.config.Partitions.AwaitLeader(h.ctx, topic, partition)
}

func (h *hints) end() {
	if h.ctx != nil {
		h.cancel()
	}
}

// after is the leader of a partition for which the answer has an error code; false if that is not about leaders, or this node knows no other. What it knows of a partition that it has just given up is
// at least as new as that.
func (h *hints) after(code int16, topic string, partition int32) (leadership, bool) {
	if code != kerr.NotLeaderForPartition.Code && code != kerr.FencedLeaderEpoch.Code {
		return leadership{}, false
	}
	h.await(topic, partition)
	cluster := h.c.server.config.Cluster
	if h.topic.Name != topic {
		h.topic, _ = cluster.Topic(topic)
	}
	if partition < 0 || int(partition) >= len(h.topic.Partitions) {
		return leadership{}, false
	}
	p := &h.topic.Partitions[partition]
	if p.Leader < 0 || p.Leader == cluster.NodeID() {
		return leadership{}, false
	}
	if h.nodes == nil {
		h.nodes = map[int32]bool{}
	}
	h.nodes[p.Leader] = true
	return leadership{p.Leader, p.LeaderEpoch}, true
}

// endpoints are the addresses of the leaders that were named.
func (h *hints) endpoints() (out []BrokerAddress) {
	if len(h.nodes) == 0 {
		return nil
	}
	for _, b := range h.c.brokers() {
		if h.nodes[b.ID] {
			out = append(out, b)
		}
	}
	return out
}

// hintProduce puts the leaders into the answer to a produce request.
func (c *conn) hintProduce(resp *kmsg.ProduceResponse) {
	if resp.Version < hintProduceVersion {
		return
	}
	h := hints{c: c}
	defer h.end()
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			if l, ok := h.after(p.ErrorCode, t.Topic, p.Partition); ok {
				p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = l.leader, l.epoch
			}
		}
	}
	for _, b := range h.endpoints() {
		e := kmsg.NewProduceResponseBroker()
		e.NodeID, e.Host, e.Port = b.ID, b.Host, b.Port
		if b.Rack != "" {
			e.Rack = &b.Rack
		}
		resp.Brokers = append(resp.Brokers, e)
	}
}

// hintFetch puts the leaders into the answer to a fetch.
func (c *conn) hintFetch(resp *fetchResponse) {
	if resp.version < hintFetchVersion {
		return
	}
	h := hints{c: c}
	defer h.end()
	for i := range resp.parts {
		p := &resp.parts[i]
		if l, ok := h.after(p.code, p.topic.name, p.partition); ok {
			p.leads = l
		}
	}
	resp.endpoints = h.endpoints()
}

// Tags of the fields in a Fetch response.
const (
	tagNodeEndpoints = 0
	tagCurrentLeader = 1
)

// appendLeader appends the tagged fields of a partition.
func (p *fetchedPart) appendLeader(b []byte) []byte {
	const size = 4 + 4 + 1
	b = append(b, 1, tagCurrentLeader, size)
	b = kbin.AppendInt32(b, p.leads.leader)
	b = kbin.AppendInt32(b, p.leads.epoch)
	return append(b, 0)
}

// appendEndpoints appends the tagged fields of a Fetch response.
func (f *fetchResponse) appendEndpoints(b []byte) []byte {
	field := kbin.AppendCompactArrayLen(nil, len(f.endpoints))
	for _, e := range f.endpoints {
		field = kbin.AppendInt32(field, e.ID)
		field = kbin.AppendCompactString(field, e.Host)
		field = kbin.AppendInt32(field, e.Port)
		var rack *string
		if e.Rack != "" {
			rack = &e.Rack
		}
		field = append(kbin.AppendCompactNullableString(field, rack), 0)
	}
	b = append(b, 1, tagNodeEndpoints)
	b = kbin.AppendUvarint(b, uint32(len(field)))
	return append(b, field...)
}
