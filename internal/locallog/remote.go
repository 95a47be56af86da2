package locallog

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/lane"
	"github.com/millracedb/millrace/exec/logwatch"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication"
)

const (
	// leaderPatience is how long a read follows a leader that has moved or died before that is the caller's problem: a dead one is noticed, and another elected, in less.
	leaderPatience = 5 * time.Second
	// The time between such tries grows from leaderPause to maxLeaderPause.
	leaderPause    = 20 * time.Millisecond
	maxLeaderPause = 320 * time.Millisecond
	// readTimeout bounds a read from another node, which does not wait there but for the disk.
	readTimeout = 5 * time.Second
	// appenders is how many appends to other nodes run side by side.
	appenders = 8
)

// Peers are the other nodes of the cluster, at which partitions of spread topics may be led. It is safe for concurrent use.
type Peers interface {
	// Place is where a partition is led, by the newest metadata of this node. Errors: UNKNOWN_TOPIC_OR_PARTITION; LEADER_NOT_AVAILABLE, with Topic and Spread filled in.
	Place(topic string, partition int32) (Place, error)
	// Call sends a request to a node. An error says that it is not known whether it was carried out, unless it is kerr.BrokerNotAvailable.
	Call(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error)
}

// Place is where a partition is led.
type Place struct {
	Node  int32
	Here  bool // Node is this node
	Epoch int32
	Topic [16]byte // its id
	// Spread: the partition may be led by any node. The others are written from here only while they are led here.
	Spread bool
}

// errLedHere says that a partition is to be led by this node, which does not know it yet, or may not be reached elsewhere.
var errLedHere = kerr.NotLeaderForPartition

// away is where a partition is led, if that is another node.
func (l *Log) away(tp exec.TopicPartition) (Place, error) {
	place, err := l.peers.Place(tp.Topic, tp.Partition)
	if place.Spread = place.Spread || l.anywhere; err == nil && (place.Here || !place.Spread) {
		err = errLedHere
	}
	return place, err
}

// atLeader calls here if this node leads tp, else there, again while the leader moves.
func (l *Log) atLeader(ctx context.Context, tp exec.TopicPartition, here func(*replication.Partition) error, there func(Place) error) error {
	begun := l.clock.Now()
	for wait := leaderPause; ; wait = min(2*wait, maxLeaderPause) {
		again, err := l.onceAtLeader(tp, here, there)
		if err == nil {
			return nil
		}
		if !again || l.clock.Since(begun) > leaderPatience || !clock.Wait(ctx, l.clock, wait) {
			return lane.Explain(err)
		}
	}
}

// onceAtLeader tries once; again says that it is worth another try.
func (l *Log) onceAtLeader(tp exec.TopicPartition, here func(*replication.Partition) error, there func(Place) error) (again bool, _ error) {
	p, err := l.partitions.Partition(tp.Topic, tp.Partition)
	if err == nil && (l.peers == nil || p.Leads()) {
		err = here(p)
		return l.peers != nil && errors.Is(err, kerr.NotLeaderForPartition) && l.spread(tp), err
	}
	if l.peers == nil || err != nil && !errors.Is(err, kerr.NotLeaderForPartition) {
		return false, err
	}
	place, err := l.away(tp)
	if err != nil {
		return place.Spread && !errors.Is(err, kerr.UnknownTopicOrPartition), err
	}
	err = there(place)
	return !errors.Is(err, kerr.OffsetOutOfRange), err
}

// spread reports whether tp may be led elsewhere, also while nobody leads it.
func (l *Log) spread(tp exec.TopicPartition) bool {
	place, err := l.peers.Place(tp.Topic, tp.Partition)
	return (err == nil || errors.Is(err, kerr.LeaderNotAvailable)) && (place.Spread || l.anywhere)
}

// readAt has the leader elsewhere answer one read.
func (l *Log) readAt(ctx context.Context, place Place, partition int32, offset int64, maxBytes int32) (*kmsg.FetchResponseTopicPartition, error) {
	done, err := l.reads.begin(ctx, place.Node)
	if err != nil {
		return nil, err
	}
	defer done()
	req := peerFetch()
	addFetch(req, place, partition, offset).PartitionMaxBytes = maxBytes
	read, err := l.readAll(ctx, place.Node, req)
	if err != nil {
		return nil, err
	}
	return &read[0], kerr.ErrorForCode(heard(read[0].ErrorCode))
}

// boundsOf are the bounds of a partition that is led elsewhere.
type boundsOf struct {
	place     Place
	partition int32
}

// boundsAt has the leader elsewhere tell the bounds of a partition.
func (l *Log) boundsAt(ctx context.Context, place Place, partition int32) (exec.Offsets, error) {
	got, err := l.bounds.ask(ctx, place.Node, boundsOf{place, partition})
	if err != nil {
		return exec.Offsets{}, err
	}
	return offsetsOf(&got), kerr.ErrorForCode(heard(got.ErrorCode))
}

// askBounds asks a leader for the bounds of many partitions.
func (l *Log) askBounds(ctx context.Context, node int32, of []boundsOf) ([]kmsg.FetchResponseTopicPartition, error) {
	req := peerFetch()
	for _, b := range of {
		addFetch(req, b.place, b.partition, -1) // without bytes only the bounds are asked
	}
	return l.readAll(ctx, node, req)
}

// readAll sends a read of one or more partitions, and returns what is answered of each.
func (l *Log) readAll(ctx context.Context, node int32, req *kmsg.FetchRequest) ([]kmsg.FetchResponseTopicPartition, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := l.peers.Call(ctx, node, req)
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
		return nil, err
	}
	var out []kmsg.FetchResponseTopicPartition
	for i := range r.Topics {
		out = append(out, r.Topics[i].Partitions...)
	}
	if len(out) != len(req.Topics) {
		return nil, kerr.UnknownServerError
	}
	return out, nil
}

// heard is a code that another node has answered about a partition that this one knows: what is unknown there has not come there yet.
func heard(code int16) int16 {
	switch kerr.TypedErrorForCode(code) {
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID:
		return kerr.LeaderNotAvailable.Code
	}
	return code
}

func peerFetch() *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.SessionEpoch = replication.PeerFetchVersion, -1
	req.ReplicaState.ID, req.IsolationLevel = -1, int8(replication.ReadCommitted)
	return req
}

func addFetch(req *kmsg.FetchRequest, place Place, partition int32, offset int64) *kmsg.FetchRequestTopicPartition {
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.CurrentLeaderEpoch, part.FetchOffset = partition, place.Epoch, offset
	topic := kmsg.NewFetchRequestTopic()
	topic.TopicID, topic.Partitions = place.Topic, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	return &req.Topics[len(req.Topics)-1].Partitions[0]
}

func offsetsOf(p *kmsg.FetchResponseTopicPartition) exec.Offsets {
	return exec.Offsets{LogStart: p.LogStartOffset, HighWatermark: p.HighWatermark, LastStable: p.LastStableOffset, LeaderEpoch: p.CurrentLeader.LeaderEpoch}
}

func fetchedOf(p *kmsg.FetchResponseTopicPartition) exec.Fetched {
	out := exec.Fetched{Batches: p.RecordBatches, Offsets: offsetsOf(p), Release: nothing}
	for _, a := range p.AbortedTransactions {
		out.Aborted = append(out.Aborted, exec.AbortedTxn{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
	}
	return out
}

// polls is logwatch.Source over the node port.
type polls struct{ *Log }

// Moved implements logwatch.Source.
func (l polls) Moved() <-chan struct{} {
	_, acted := l.partitions.Watch()
	return acted
}

// Leader implements logwatch.Source.
func (l polls) Leader(_ context.Context, tp exec.TopicPartition) (int32, error) {
	place, err := l.away(tp)
	if errors.Is(err, errLedHere) {
		if err := l.rebind(tp); err != nil {
			return 0, err // it is being opened
		}
		return 0, logwatch.ErrHere
	}
	return place.Node, err
}

// Poll implements logwatch.Source.
func (l polls) Poll(ctx context.Context, node int32, known []logwatch.Position) ([]logwatch.Progress, error) {
	req := peerFetch()
	req.MaxWaitMillis = int32(logwatch.PollWait.Milliseconds())
	type partition struct {
		topic [16]byte
		id    int32
	}
	of := map[partition]exec.TopicPartition{}
	for _, k := range known {
		place, err := l.away(k.TopicPartition)
		if err != nil || place.Node != node {
			continue // it has moved since
		}
		of[partition{place.Topic, k.Partition}] = k.TopicPartition
		addFetch(req, place, k.Partition, k.LastStable).HighWatermark = k.HighWatermark
	}
	if len(of) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := l.peers.Call(ctx, node, req)
	if err != nil {
		return nil, err
	}
	r := resp.(*kmsg.FetchResponse)
	var news []logwatch.Progress
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			if tp, ok := of[partition{r.Topics[i].TopicID, p.Partition}]; ok {
				at := logwatch.Position{TopicPartition: tp, HighWatermark: p.HighWatermark, LastStable: p.LastStableOffset}
				news = append(news, logwatch.Progress{Position: at, Err: kerr.ErrorForCode(p.ErrorCode)})
			}
		}
	}
	return news, kerr.ErrorForCode(r.ErrorCode)
}
