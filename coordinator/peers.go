package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// peerTimeout bounds a request to another node: it waits there for replicas at most.
const peerTimeout = 10 * time.Second

// Peers are the other nodes of the cluster: partitions of spread topics may be led there, and then a leader asks the coordinator about transactions, and the coordinator has the leader write
// its markers, by Kafka's own requests between brokers (KIP-98, KIP-890). It is safe for concurrent use.
type Peers interface {
	// Leader is the node that leads a partition, by the newest metadata of this one; ok is false while there is none.
	Leader(topic string, partition int32) (node int32, ok bool)
	// Spread reports whether nodes other than the coordinators' may lead partitions of the topic.
	Spread(topic string) bool
	// Others reports whether there are other nodes now, be they in touch or not.
	Others() bool
	// Active are those that are in touch.
	Active() []int32
	// Leaderless reports whether there is a partition that no node leads, by the newest metadata of this one.
	Leaderless() bool
	// Call sends a request to a node. An error says that it is not known whether it was carried out.
	Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error)
}

// spread reports whether one of the partitions may be led by another node a moment later. What a transaction writes there is waited for before it goes on, and what the coordinator must
// know of it before that: the node that leads it after a crash need not be the one that coordinates.
func (c *Transactions) spread(tps []TopicPartition) bool {
	if c.peers == nil {
		return false
	}
	for _, tp := range tps {
		if c.peers.Spread(tp.Topic) {
			return true
		}
	}
	return false
}

// coordinates reports whether this node coordinates the transactional id. For producers in this process it does while that is being loaded.
func (c *Transactions) coordinates(id string, from caller) bool {
	l := c.leases.at(c.partitionOf(id))
	return l != nil && (from == inProcess || l.ready.Load() && l.part.Leads())
}

// admit is hold for a transaction whose coordinator is another node (KIP-890): before the first batch of a transaction in a partition the coordinator is asked whether the partition is in
// it, or for producers that rely on that, to take it in; version is that of the Produce request. What ends the transaction meanwhile voids the guards, so that no batch lands behind the markers of its own transaction.
func (c *Transactions) admit(ctx context.Context, ref producerRef, version int16, parts []producePart) {
	for req, asked := admission(ref, parts); len(asked) > 0; req, asked = admission(ref, parts) {
		codes, err := c.ask(ctx, req)
		for _, pp := range asked {
			code, answered := codes[pp.tp]
			switch {
			case err != nil || !answered:
				pp.err = kerr.NotEnoughReplicas // Kafka's answer too, for any client tries again then
			case code != 0:
				pp.err = admissionError(code, version)
			}
		}
	}
}

// admission is the request for those of the partitions that need one. While the coordinator was asked, the guard may have been voided by a marker of the transaction before: a new coordinator that does
// not know that those are all written writes them again, and answers then. Such a partition is asked about again.
func admission(ref producerRef, parts []producePart) (req *kmsg.AddPartitionsToTxnRequest, asked []*producePart) {
	var tps []TopicPartition
	for i := range parts {
		pp := &parts[i]
		if pp.err != nil || !pp.transactional {
			continue
		}
		pp.verify = true
		was := pp.guard
		if pp.guard = pp.part.BeginVerification(ref.producerID, ref.epoch); pp.guard == 0 || pp.guard == was {
			continue // it is in the transaction already, or admitted
		}
		tps, asked = append(tps, pp.tp), append(asked, pp)
	}
	return admissionOf(ref, tps), asked
}

func admissionOf(ref producerRef, tps []TopicPartition) *kmsg.AddPartitionsToTxnRequest {
	txn := kmsg.NewAddPartitionsToTxnRequestTransaction()
	txn.TransactionalID, txn.ProducerID, txn.ProducerEpoch, txn.VerifyOnly = ref.transactionalID, ref.producerID, ref.epoch, !ref.implicit
	for _, tp := range tps {
		topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
		topic.Topic, topic.Partitions = tp.Topic, []int32{tp.Partition}
		txn.Topics = append(txn.Topics, topic)
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version = addBatchedVersion
	req.Transactions = append(req.Transactions, txn)
	return req
}

// askAbout is admit for the partition that keeps a group: its coordinator asks before it writes the first offsets of a transaction there. What passes by itself is COORDINATOR_LOAD_IN_PROGRESS, which
// every client tries again.
func (c *Transactions) askAbout(ctx context.Context, ref producerRef, tp TopicPartition) *kerr.Error {
	codes, err := c.ask(ctx, admissionOf(ref, []TopicPartition{tp}))
	code, answered := codes[tp]
	if err != nil || !answered {
		return kerr.CoordinatorLoadInProgress
	}
	switch ke := kerr.TypedErrorForCode(code); {
	case code == 0:
		return nil
	case ke == nil:
		return kerr.UnknownServerError
	case passes(ke), ke == kerr.ConcurrentTransactions:
		return kerr.CoordinatorLoadInProgress
	default:
		return ke
	}
}

// Versions of requests between nodes; that of WriteTxnMarkers is the first with the transaction version.
const (
	addBatchedVersion = 5
	markersVersion    = 2
)

const (
	// askPatience is how long a coordinator that moves or loads is asked again: a client that hears of it waits for its next metadata, which can take seconds.
	askPatience = time.Second
	askPause    = 20 * time.Millisecond
)

// ask has the coordinator of its transaction answer an admission, wherever that is by then.
func (c *Transactions) ask(ctx context.Context, req *kmsg.AddPartitionsToTxnRequest) (codes map[TopicPartition]int16, err error) {
	begun := c.clock.Now()
	for {
		codes, err = c.askOnce(ctx, req)
		again := err != nil
		for _, code := range codes {
			again = again || passes(kerr.TypedErrorForCode(code))
		}
		if !again || c.clock.Since(begun) > askPatience || !clock.Wait(ctx, c.clock, askPause) {
			return codes, err
		}
	}
}

// askOnce sends an admission to whoever coordinates its transaction by the metadata of this node.
func (c *Transactions) askOnce(ctx context.Context, req *kmsg.AddPartitionsToTxnRequest) (map[TopicPartition]int16, error) {
	at := c.partitionOf(req.Transactions[0].TransactionalID)
	node, ok := c.peers.Leader(at.Topic, at.Partition)
	if !ok {
		return nil, kerr.CoordinatorNotAvailable
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	resp, err := c.peers.Call(ctx, node, req)
	if err != nil {
		return nil, err
	}
	codes := map[TopicPartition]int16{}
	for _, t := range resp.(*kmsg.AddPartitionsToTxnResponse).Transactions {
		for _, rt := range t.Topics {
			for _, rp := range rt.Partitions {
				codes[TopicPartition{rt.Topic, rp.Partition}] = rp.ErrorCode
			}
		}
	}
	return codes, nil
}

// admissionError is what a producer hears of a coordinator's refusal. What passes by itself is NOT_ENOUGH_REPLICAS, which every client tries again.
func admissionError(code, version int16) error {
	switch ke := kerr.TypedErrorForCode(code); {
	case ke == nil:
		return kerr.UnknownServerError
	case passes(ke):
		return kerr.NotEnoughReplicas
	default:
		return produceError(ke, version)
	}
}

// passes reports whether a coordinator's refusal is one that passes by itself.
func passes(ke *kerr.Error) bool {
	switch ke {
	case kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.UnknownTopicOrPartition, kerr.OperationNotAttempted, kerr.RequestTimedOut:
		return true
	}
	return false
}

// leaderElsewhere returns the node that leads a partition which this one does not lead.
func (m *markers) leaderElsewhere(tp TopicPartition) (node int32, ok bool) {
	if m.peers == nil {
		return 0, false
	}
	if _, err := m.partitions.Partition(tp.Topic, tp.Partition); !errors.Is(err, kerr.NotLeaderForPartition) {
		return 0, false
	}
	return m.peers.Leader(tp.Topic, tp.Partition)
}

// send has another node write a marker to partitions that it leads. It returns those where it must be tried again, with the last error.
func (m *markers) send(ctx context.Context, node int32, parts []TopicPartition, mk record.Marker) (left []TopicPartition, err error) {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Version = markersVersion
	rm := kmsg.NewWriteTxnMarkersRequestMarker()
	rm.ProducerID, rm.ProducerEpoch, rm.CoordinatorEpoch, rm.Committed = mk.ProducerID, mk.ProducerEpoch, mk.CoordinatorEpoch, mk.Commit
	rm.TransactionVersion = int8(mk.TransactionVersion)
	for _, tp := range parts {
		topic := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		topic.Topic, topic.Partitions = tp.Topic, []int32{tp.Partition}
		rm.Topics = append(rm.Topics, topic)
	}
	req.Markers = append(req.Markers, rm)
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	resp, err := m.peers.Call(ctx, node, req)
	if err != nil {
		return parts, err
	}
	done := map[TopicPartition]bool{}
	for _, answered := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
		for _, rt := range answered.Topics {
			for _, rp := range rt.Partitions {
				tp := TopicPartition{rt.Topic, rp.Partition}
				if perr := kerr.ErrorForCode(rp.ErrorCode); perr == nil || m.over(tp, mk, perr) {
					done[tp] = true
				} else {
					err = perr // an unknown topic too: here it is known, and if it is deleted that will be heard of
				}
			}
		}
	}
	for _, tp := range parts {
		if !done[tp] {
			left = append(left, tp)
		}
	}
	if len(left) > 0 && err == nil {
		err = kerr.UnknownServerError
	}
	return left, err
}
