package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/controller"
	"github.com/millracedb/millrace/replication/metadata"
)

// What nodes ask of each other on the node port, in Kafka's requests: replica fetches, heartbeats, to be taken in (AddRaftVoter, KIP-853), changes of the metadata for its leader
// (an Envelope as in KIP-590, with a metadata entry in it), reads and writes of partitions that are led elsewhere, and what leaders and coordinators of transactions have to tell each other.

// served is what calls of other nodes reach. The parts come as they are opened.
type served struct {
	meta       *metadata.Store
	controller *controller.Controller
	repl       *replication.Manager
	coord      *coordinator.Broker
	engine     *atomic.Pointer[engine.Engine] // that runs queries here; nil while none does
}

// forEngine as an Envelope's principal says that it is a question for the engine of the node, and not a metadata entry.
const forEngine = "engine"

var errStarting = errors.New("this node is starting or stopping")

// serveCall answers another node.
func (n *Node) serveCall(ctx context.Context, from peer.Hello, req kmsg.Request) (kmsg.Response, error) {
	s := n.served.Load()
	if s == nil {
		return nil, errStarting
	}
	if k, ok := s.meta.Image().Broker(from.NodeID); ok && k.Directory.String() != from.DirectoryID {
		switch req.(type) {
		case *kmsg.AddRaftVoterRequest, *kmsg.DescribeQuorumRequest: // it is told more there
		default:
			return nil, fmt.Errorf("%w: node id %d belongs to another directory", peer.ErrRefused, from.NodeID)
		}
	}
	switch r := req.(type) {
	case *kmsg.EnvelopeRequest:
		switch string(r.RequestPrincipal) {
		case forEngine:
			return serveQuestion(ctx, s, r)
		case forRegistration:
			return serveRegistration(s.meta, from, r)
		}
		return serveForwarded(ctx, s.meta, r), nil
	case *kmsg.DescribeQuorumRequest:
		return serveQuorum(s.meta, r), nil
	case *kmsg.AddRaftVoterRequest:
		return n.serveJoin(ctx, s, from, r), nil
	case *kmsg.BrokerHeartbeatRequest:
		if s.controller == nil || r.BrokerID != from.NodeID {
			return nil, errStarting
		}
		return s.controller.Heartbeat(r), nil
	case *kmsg.FetchRequest:
		if s.repl == nil {
			return nil, errStarting
		}
		if r.ReplicaState.ID < 0 {
			return s.repl.ServeRead(ctx, r), nil
		}
		return s.repl.ServeFetch(ctx, from.NodeID, r), nil
	}
	return serveWrite(ctx, s, req)
}

// serveWrite answers what nodes ask of leaders and coordinators, but for reads.
func serveWrite(ctx context.Context, s *served, req kmsg.Request) (kmsg.Response, error) {
	if s.coord == nil {
		return nil, errStarting
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		return s.coord.Produce(ctx, r), nil
	case *kmsg.AddPartitionsToTxnRequest:
		return s.coord.AddPartitionsToTxn(ctx, r), nil
	case *kmsg.DescribeProducersRequest:
		return s.coord.DescribeOpen(r), nil
	case *kmsg.WriteTxnMarkersRequest:
		return s.coord.WriteTxnMarkers(ctx, r), nil
	case *kmsg.InitProducerIDRequest:
		return s.coord.InitProducerID(ctx, r), nil
	case *kmsg.TxnOffsetCommitRequest:
		return s.coord.TxnOffsetCommit(ctx, r), nil
	case *kmsg.EndTxnRequest:
		return s.coord.EndTxn(ctx, r), nil
	case *kmsg.OffsetFetchRequest:
		return s.coord.OffsetFetch(ctx, r), nil
	case *kmsg.DeleteRecordsRequest:
		return serveDelete(s.repl, r), nil
	}
	return nil, fmt.Errorf("%s is not served between nodes", kmsg.NameForKey(req.Key()))
}

// serveQuestion has this node's engine answer another's.
func serveQuestion(ctx context.Context, s *served, r *kmsg.EnvelopeRequest) (kmsg.Response, error) {
	if s.engine == nil || s.engine.Load() == nil {
		return nil, errStarting
	}
	out, err := s.engine.Load().Answer(ctx, r.RequestData)
	resp := r.ResponseKind().(*kmsg.EnvelopeResponse)
	resp.ResponseData = out
	return resp, err
}

// serveDelete deletes records of partitions that this node leads, for the tasks that have read them.
func serveDelete(repl *replication.Manager, r *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := r.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, rt := range r.Topics {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewDeleteRecordsResponseTopicPartition()
			part.Partition = rp.Partition
			p, err := repl.Partition(rt.Topic, rp.Partition)
			if err == nil {
				part.LowWatermark, err = p.DeleteRecords(rp.Offset)
			}
			part.ErrorCode = replication.ErrorCode(err)
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func serveForwarded(ctx context.Context, meta *metadata.Store, r *kmsg.EnvelopeRequest) *kmsg.EnvelopeResponse {
	resp := r.ResponseKind().(*kmsg.EnvelopeResponse)
	out, err := meta.Forwarded(ctx, r.RequestData)
	resp.ResponseData = out
	switch {
	case err == nil:
	case errors.Is(err, metadata.ErrNotLeader):
		resp.ErrorCode = kerr.NotController.Code
	case errors.Is(err, metadata.ErrUnknownOutcome):
		resp.ErrorCode = kerr.RequestTimedOut.Code
	default:
		resp.ErrorCode, resp.ResponseData = kerr.UnknownServerError.Code, []byte(err.Error())
	}
	return resp
}

// forward has the leader of the metadata, at addr, apply an entry.
func (n *Node) forward(ctx context.Context, addr string, entry []byte) ([]byte, error) {
	req := kmsg.NewPtrEnvelopeRequest()
	req.RequestData = entry
	resp, err := n.caller.Call(ctx, addr, req)
	if errors.Is(err, peer.ErrUnreachable) {
		return nil, fmt.Errorf("%w: %w", metadata.ErrNotLeader, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", metadata.ErrUnknownOutcome, err)
	}
	r := resp.(*kmsg.EnvelopeResponse)
	switch r.ErrorCode {
	case 0:
		return r.ResponseData, nil
	case kerr.NotController.Code:
		return nil, metadata.ErrNotLeader
	case kerr.RequestTimedOut.Code:
		return nil, metadata.ErrUnknownOutcome
	}
	return nil, fmt.Errorf("metadata: the leader at %s refuses: %s", addr, r.ResponseData)
}

// serveJoin takes a node into the metadata group, or asks the node that leads it to.
func (n *Node) serveJoin(ctx context.Context, s *served, from peer.Hello, r *kmsg.AddRaftVoterRequest) *kmsg.AddRaftVoterResponse {
	resp := r.ResponseKind().(*kmsg.AddRaftVoterResponse)
	refuse := func(err error) *kmsg.AddRaftVoterResponse {
		text := err.Error()
		resp.ErrorCode, resp.ErrorMessage = kerr.NotController.Code, &text
		for _, ke := range []*kerr.Error{kerr.DuplicateBrokerRegistration, kerr.InvalidRequest} {
			if errors.Is(err, ke) {
				resp.ErrorCode = ke.Code
			}
		}
		return resp
	}
	if len(r.Listeners) != 1 || r.ClusterID == nil || *r.ClusterID != n.identity.ClusterID {
		return refuse(fmt.Errorf("%w: a node of another cluster", kerr.InvalidRequest))
	}
	addr := net.JoinHostPort(r.Listeners[0].Host, strconv.Itoa(int(r.Listeners[0].Port)))
	if s.controller != nil && s.meta.Leads() {
		err := s.controller.Join(ctx, r.VoterID, r.VoterDirectoryID, addr)
		if err != nil {
			return refuse(err)
		}
		return resp
	}
	leader := s.meta.LeaderAddr()
	if leader == "" || from.NodeID != r.VoterID {
		return refuse(metadata.ErrNotLeader) // passed on once already, or nobody to pass it to
	}
	passed, err := n.caller.Call(ctx, leader, r)
	if err != nil {
		return refuse(err)
	}
	return passed.(*kmsg.AddRaftVoterResponse)
}

// unanswered reports whether nothing answers at the node port of another node, as when its process has died.
func (n *Node) unanswered(id int32) bool {
	if n.caller == nil || id == n.identity.NodeID {
		return false
	}
	addr, err := n.peerAddr(id)
	return err == nil && (n.caller.Unreachable(addr) || n.ctrl.Doubts(id))
}

// peerAddr is the node port of a node.
func (n *Node) peerAddr(id int32) (string, error) {
	k, ok := n.meta.Image().Broker(id)
	if ok {
		if a := k.PeerAddr(); a != "" {
			return a, nil
		}
	}
	return "", fmt.Errorf("node %d has no known node port", id)
}
