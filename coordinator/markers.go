package coordinator

import (
	"context"
	"errors"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

// markers ends transactions in partitions: it appends the control batch and, in __consumer_offsets, makes the pending offsets
// count or drops them.
type markers struct {
	partitions Partitions
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
	if tp.Topic == OffsetsTopic && !m.offsets.serves(tp.Partition) {
		return partitionEnd{}, kerr.CoordinatorLoadInProgress
	}
	opts := coordinatorAppend
	opts.TransactionVersion = mk.TransactionVersion
	_, next, err := p.Append(ctx, record.AppendControl(nil, mk, m.clock.Now().UnixMilli()), opts)
	return partitionEnd{tp: tp, part: p, next: next}, err
}

// wait returns when a marker is below the high watermark, and settles offsets.
func (m *markers) wait(ctx context.Context, end partitionEnd, mk record.Marker) error {
	if err := end.part.WaitHighWatermark(ctx, end.next); err != nil {
		return err
	}
	if end.tp.Topic == OffsetsTopic {
		m.offsets.finish(end.tp.Partition, mk)
	}
	return nil
}

// write writes the marker to all of parts and waits for them in one round. It returns those where it must be tried again, with the
// last error.
func (m *markers) write(ctx context.Context, parts []TopicPartition, mk record.Marker) (left []TopicPartition, err error) {
	ends := make([]partitionEnd, 0, len(parts))
	for _, tp := range parts {
		end, appendErr := m.append(ctx, tp, mk)
		switch {
		case appendErr == nil:
			ends = append(ends, end)
		case errors.Is(appendErr, kerr.UnknownTopicOrPartition): // deleted
		case errors.Is(appendErr, kerr.InvalidProducerEpoch), errors.Is(appendErr, kerr.ProducerFenced):
			// A newer epoch wrote there, so this transaction is over in that partition.
			m.log.Warn("marker refused", "topic", tp.Topic, "partition", tp.Partition, "producer_id", mk.ProducerID, "err", appendErr)
			if tp.Topic == OffsetsTopic {
				m.offsets.finish(tp.Partition, record.Marker{ProducerID: mk.ProducerID, ProducerEpoch: mk.ProducerEpoch})
			}
		default:
			left, err = append(left, tp), appendErr
		}
	}
	for _, end := range ends {
		end.part.Flush(end.next)
	}
	for _, end := range ends {
		if waitErr := m.wait(ctx, end, mk); waitErr != nil {
			left, err = append(left, end.tp), waitErr
		}
	}
	return left, err
}

// writeAll writes the markers of a decided transaction until all are in place or ctx ends.
func (m *markers) writeAll(ctx context.Context, t txn, coordinatorEpoch int32) {
	mk := record.Marker{
		ProducerID: t.producerID, ProducerEpoch: t.epoch, CoordinatorEpoch: coordinatorEpoch,
		Commit: t.state == statePrepareCommit, TransactionVersion: t.version,
	}
	left := t.parts
	for len(left) > 0 {
		var err error
		if left, err = m.write(ctx, left, mk); err == nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
		m.log.Warn("markers are held up", "transactional_id", t.id, "partitions", len(left), "err", err)
		if !pause(ctx, m.clock, retryPause) {
			return
		}
	}
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
		for _, rt := range rm.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = rt.Topic
			for _, p := range rt.Partitions {
				end, err := m.append(ctx, TopicPartition{rt.Topic, p}, mk)
				if err == nil {
					err = m.wait(ctx, end, mk)
				}
				part := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				part.Partition, part.ErrorCode = p, errorCode(err)
				topic.Partitions = append(topic.Partitions, part)
			}
			out.Topics = append(out.Topics, topic)
		}
		resp.Markers = append(resp.Markers, out)
	}
	return resp
}
