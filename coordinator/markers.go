package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// markers ends transactions in partitions: it appends the control batch and, in the partitions of group coordinators, makes the pending offsets
// count or drops them.
type markers struct {
	partitions Partitions
	peers      Peers // nil on a node alone
	offsets    *Offsets
	clock      clock.Clock
	log        *slog.Logger
}

// append writes one marker without waiting.
func (m *markers) append(ctx context.Context, tp TopicPartition, mk record.Marker) (partitionEnd, error) {
	p, err := m.partitions.Partition(tp.Topic, tp.Partition)
	if err != nil {
		return partitionEnd{}, err
	}
	opts := coordinatorAppend
	opts.TransactionVersion = mk.TransactionVersion
	batch := record.AppendControl(nil, mk, m.clock.Now().UnixMilli())
	if keepsOffsets(tp.Topic) {
		return m.appendToOffsets(ctx, tp, batch, opts)
	}
	_, next, err := p.Append(ctx, batch, opts)
	return partitionEnd{tp: tp, part: p, next: next}, err
}

// appendToOffsets writes a marker under the lease whose offsets it settles.
func (m *markers) appendToOffsets(ctx context.Context, tp TopicPartition, batch []byte, opts AppendOptions) (partitionEnd, error) {
	l := m.offsets.serving(tp)
	if l == nil {
		return partitionEnd{}, kerr.CoordinatorLoadInProgress
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, next, err := l.append(ctx, batch, opts)
	return partitionEnd{tp: tp, part: l.part, next: next, offsets: l}, err
}

// wait returns when a marker is below the high watermark, and settles offsets.
func (m *markers) wait(ctx context.Context, end partitionEnd, mk record.Marker) error {
	if err := end.part.WaitHighWatermark(ctx, end.next); err != nil {
		return err
	}
	if end.offsets != nil {
		end.offsets.finish(mk)
	}
	return nil
}

// write writes the marker to all of parts and waits for them in one round. It returns those where it must be tried again, with the
// last error.
func (m *markers) write(ctx context.Context, parts []TopicPartition, mk record.Marker) (left []TopicPartition, err error) {
	ends := make([]partitionEnd, 0, len(parts))
	away := map[int32][]TopicPartition{}
	for _, tp := range parts {
		if node, ok := m.leaderElsewhere(tp); ok {
			away[node] = append(away[node], tp)
			continue
		}
		end, appendErr := m.append(ctx, tp, mk)
		switch {
		case appendErr == nil:
			ends = append(ends, end)
		case errors.Is(appendErr, kerr.UnknownTopicOrPartition): // deleted
		case m.over(tp, mk, appendErr):
		default:
			left, err = append(left, tp), appendErr
		}
	}
	if len(away) > 0 {
		sent := m.sendAll(ctx, away, mk)
		defer func() {
			if more, sendErr := sent(); sendErr != nil {
				left, err = append(left, more...), sendErr
			}
		}()
	}
	for _, end := range ends {
		end.part.Flush(end.next)
	}
	for _, end := range ends {
		if err != nil && end.offsets != nil {
			left = append(left, end.tp) // they do not count before the rest does: see rounds
		} else if waitErr := m.wait(ctx, end, mk); waitErr != nil {
			left, err = append(left, end.tp), waitErr
		}
	}
	return left, err
}

// over reports whether the error of a marker says that its transaction is over in that partition: a newer epoch wrote there.
func (m *markers) over(tp TopicPartition, mk record.Marker, err error) bool {
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		return false
	}
	m.log.Warn("marker refused", "topic", tp.Topic, "partition", tp.Partition, "producer_id", mk.ProducerID, "err", err)
	if l := m.offsets.serving(tp); l != nil && keepsOffsets(tp.Topic) {
		l.finish(record.Marker{ProducerID: mk.ProducerID, ProducerEpoch: mk.ProducerEpoch, TransactionVersion: mk.TransactionVersion})
	}
	return true
}

// sendAll is send to several nodes at once. The function that it returns waits for all.
func (m *markers) sendAll(ctx context.Context, away map[int32][]TopicPartition, mk record.Marker) func() (left []TopicPartition, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var left []TopicPartition
	var err error
	for node, parts := range away {
		wg.Go(func() {
			more, sendErr := m.send(ctx, node, parts, mk)
			mu.Lock()
			defer mu.Unlock()
			if sendErr != nil {
				left, err = append(left, more...), sendErr
			}
		})
	}
	return func() ([]TopicPartition, error) {
		wg.Wait()
		return left, err
	}
}

// writeAll writes the markers of a decided transaction until all are in place; false if ctx ends before, or coordinates does not hold any more: whoever leads then writes them.
func (m *markers) writeAll(ctx context.Context, t txn, coordinatorEpoch int32, coordinates func() bool) bool {
	mk := record.Marker{
		ProducerID: t.producerID, ProducerEpoch: t.epoch, CoordinatorEpoch: coordinatorEpoch,
		Commit: t.state == statePrepareCommit, TransactionVersion: t.version,
	}
	for _, left := range m.rounds(t.parts) {
		for len(left) > 0 {
			var err error
			if left, err = m.write(ctx, left, mk); err == nil {
				break
			}
			if ctx.Err() != nil || !coordinates() {
				return false
			}
			m.log.Warn("markers are held up", "transactional_id", t.id, "partitions", len(left), "err", err)
			if !clock.Wait(ctx, m.clock, retryPause) {
				return false
			}
		}
	}
	return ctx.Err() == nil
}

// rounds are the partitions of a transaction in the order of their markers. Offsets that can be read as stable promise that all else of the transaction is readable: who goes on from them takes
// what was written before them for there. So they come last: in the order of waiting, and where another node may coordinate after a crash, which knows of the log only, in a round of their own.
func (m *markers) rounds(parts []TopicPartition) [][]TopicPartition {
	last := func(tp TopicPartition) bool { return keepsOffsets(tp.Topic) }
	if !slices.ContainsFunc(parts, last) {
		return [][]TopicPartition{parts}
	}
	rest := slices.DeleteFunc(slices.Clone(parts), last)
	offsets := slices.DeleteFunc(slices.Clone(parts), func(tp TopicPartition) bool { return !last(tp) })
	if m.peers != nil && m.peers.Others() {
		return [][]TopicPartition{rest, offsets}
	}
	return [][]TopicPartition{append(rest, offsets...)}
}

// WriteTxnMarkers answers key 27: another coordinator's markers, or an operator's abort of a hanging transaction.
func (m *markers) WriteTxnMarkers(ctx context.Context, req *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	for _, rm := range req.Markers {
		mk := record.Marker{
			ProducerID: rm.ProducerID, ProducerEpoch: rm.ProducerEpoch, CoordinatorEpoch: rm.CoordinatorEpoch, Commit: rm.Committed, TransactionVersion: int16(rm.TransactionVersion),
		}
		out := kmsg.NewWriteTxnMarkersResponseMarker()
		out.ProducerID = rm.ProducerID
		var ends []partitionEnd
		var errs []error
		for _, rt := range rm.Topics {
			for _, p := range rt.Partitions {
				end, err := m.append(ctx, TopicPartition{rt.Topic, p}, mk)
				if err == nil {
					end.part.Flush(end.next)
				}
				ends, errs = append(ends, end), append(errs, err)
			}
		}
		for _, rt := range rm.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = rt.Topic
			for _, p := range rt.Partitions {
				if errs[0] == nil {
					errs[0] = m.wait(ctx, ends[0], mk)
				}
				part := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				part.Partition, part.ErrorCode = p, errorCode(errs[0])
				topic.Partitions = append(topic.Partitions, part)
				ends, errs = ends[1:], errs[1:]
			}
			out.Topics = append(out.Topics, topic)
		}
		resp.Markers = append(resp.Markers, out)
	}
	return resp
}
