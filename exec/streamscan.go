package exec

import (
	"context"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/planner"
)

// StreamScan reads a stream from its first record to its end as of the call of OpenStreamScan, for pull queries. Records that do not decode are left
// out, as they are everywhere. One goroutine uses it.
type StreamScan struct {
	sources []*source
	ends    []int64
	out     pushCollector
	clock   clock.Clock
	cx      *opContext
}

// OpenStreamScan starts reading the relation of n with the columns n.Cols. ends, if not nil, are earlier ends to stop at; a partition
// that is not among them is left out.
func OpenStreamScan(ctx context.Context, l Log, c clock.Clock, n *planner.Scan, ends map[TopicPartition]int64) (*StreamScan, error) {
	s := &StreamScan{clock: c, cx: &opContext{env: newEnv(c), errors: &errorRows{clock: c}}}
	s.out.schema = schemaOf(n)
	count, err := l.PartitionCount(ctx, n.Rel.Topic)
	if err != nil {
		return nil, err
	}
	for p := range count {
		tp := TopicPartition{n.Rel.Topic, p}
		bounds, err := l.Offsets(ctx, tp)
		if err != nil {
			return nil, err
		}
		src := &source{log: l, timer: s.clock, tp: tp, to: edge{next: &s.out}, times: newTimeTracker(1), offset: bounds.LogStart, next: bounds.LogStart}
		if err := newScanSource(src, n, s.cx, c); err != nil {
			return nil, err
		}
		s.sources = append(s.sources, src)
		end := bounds.LastStable
		if ends != nil {
			end = min(end, ends[tp])
		}
		s.ends = append(s.ends, end)
	}
	return s, nil
}

// Next returns the next rows, or nil at the end. The batch is valid until the next call.
func (s *StreamScan) Next(ctx context.Context) (*vec.Batch, error) {
	for {
		if b := s.out.take(); b != nil {
			return b, nil
		}
		if len(s.sources) == 0 {
			return nil, nil
		}
		src := s.sources[0]
		more, err := src.fetch(ctx)
		if err != nil {
			return nil, err
		}
		if !more && src.end < s.ends[0] {
			if err := awaitLeader(ctx, s.clock); err != nil {
				return nil, err
			}
			continue
		}
		if !more || src.position() >= s.ends[0] {
			src.close()
			s.sources, s.ends = s.sources[1:], s.ends[1:]
			continue
		}
		if err := src.step(ctx, s.clock.Now()); err != nil {
			return nil, err
		}
		s.cx.errors.reset()
	}
}

// Close ends the scan.
func (s *StreamScan) Close() {
	for _, src := range s.sources {
		src.close()
	}
}
