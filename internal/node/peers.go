package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/locallog"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// fetchTimeout bounds a fetch of replicas, which the leader may hold for a second.
	fetchTimeout = 5 * time.Second
	// writeTimeout bounds what another node has this one write: it waits for replicas.
	writeTimeout = 10 * time.Second
)

// peers is the other nodes over the node port, as replication, the coordinators and the log want them.
type peers struct {
	*metadata.Store
	n *Node
}

// Epoch implements replication.Peers.
func (p peers) Epoch() uint64 { return p.n.epoch }

// Call sends a request to a node. A node that cannot be reached is kerr.BrokerNotAvailable.
func (p peers) Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	addr, err := p.n.peerAddr(node)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kerr.BrokerNotAvailable, err)
	}
	resp, err := p.n.caller.Call(ctx, addr, req)
	if errors.Is(err, peer.ErrUnreachable) {
		return nil, fmt.Errorf("%w: %w", kerr.BrokerNotAvailable, err)
	}
	return resp, err
}

// Fetch implements replication.Peers.
func (p peers) Fetch(ctx context.Context, node int32, req *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	resp, err := p.Call(ctx, node, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.FetchResponse), nil
}

// Place implements locallog.Peers.
func (p peers) Place(topic string, partition int32) (locallog.Place, error) {
	t, ok := p.Image().Topic(topic)
	if !ok {
		return locallog.Place{}, kerr.UnknownTopicOrPartition
	}
	r, ok := t.Partition(partition)
	if !ok {
		return locallog.Place{}, kerr.UnknownTopicOrPartition
	}
	place := locallog.Place{Node: r.Leader, Here: r.Leader == p.n.identity.NodeID, Epoch: r.LeaderEpoch, Topic: t.ID, Spread: t.Spread()}
	if r.Leader == metadata.NoLeader {
		return place, kerr.LeaderNotAvailable
	}
	return place, nil
}

// Leader implements coordinator.Peers.
func (p peers) Leader(topic string, partition int32) (node int32, ok bool) {
	place, err := p.Place(topic, partition)
	return place.Node, err == nil
}

// Spread implements coordinator.Peers. While there is no other node, none can lead.
func (p peers) Spread(topic string) bool {
	t, ok := p.Image().Topic(topic)
	return ok && t.Spread() && p.Others()
}

// Others implements coordinator.Peers.
func (p peers) Others() bool {
	for k := range p.Image().Brokers() {
		if k.ID != p.n.identity.NodeID {
			return true
		}
	}
	return false
}

// Active implements coordinator.Peers.
func (p peers) Active() (nodes []int32) {
	for k := range p.Image().Brokers() {
		if k.ID != p.n.identity.NodeID && !k.Fenced {
			nodes = append(nodes, k.ID)
		}
	}
	return nodes
}

// Leaderless implements coordinator.Peers.
func (p peers) Leaderless() bool {
	for t := range p.Image().Topics() {
		for i := range t.Partitions {
			if t.Partitions[i].Leader == metadata.NoLeader {
				return true
			}
		}
	}
	return false
}

// Ask implements engine.Peers.
func (p peers) Ask(ctx context.Context, node int32, question []byte) ([]byte, error) {
	req := kmsg.NewPtrEnvelopeRequest()
	req.RequestData, req.RequestPrincipal = question, []byte(forEngine)
	resp, err := p.Call(ctx, node, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.EnvelopeResponse).ResponseData, nil
}
