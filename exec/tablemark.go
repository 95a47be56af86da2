package exec

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/millracedb/millrace/planner"
)

// The mark of a table's rows ties them to the topic. Its extra is the wall clock, in ms, the shape that the rows were decoded by, and how many records did not decode.

// markEvery is how often a mark is written anew though nothing has come: its age says how long the rows have gone without their topic.
const markEvery = time.Hour

func (s *tableSession) mark(at int64) Mark {
	extra := binary.AppendVarint(nil, s.p.t.cfg.Clock.Now().UnixMilli())
	here := []PartitionOffset{{TopicPartition: s.p.tp, Offset: at}}
	extra = binary.AppendUvarint(extra, s.shape)
	s.p.mu.Lock()
	extra = binary.AppendUvarint(extra, uint64(s.p.mu.skipped))
	s.p.mu.Unlock()
	return Mark{Inputs: here, Changelog: at, ChangelogEpoch: s.epoch, Outputs: here, Extra: extra}
}

// trusts reports whether local rows can be gone on from: their mark lies within the topic, is not from a leader that the topic does not know, and they were decoded as they would be now; and
// they lack nothing, or not for so long that deletes which they have not seen may be compacted away.
func (s *tableSession) trusts(m Mark, bounds Offsets) bool {
	if m.Changelog < bounds.LogStart || m.Changelog > bounds.HighWatermark || m.ChangelogEpoch > bounds.LeaderEpoch {
		return false
	}
	if len(m.Inputs) != 1 || m.Inputs[0].TopicPartition != s.p.tp {
		return false
	}
	if shape, _, ok := marked(m); ok && shape != s.shape {
		return false
	}
	cfg := &s.p.t.cfg
	if m.Changelog >= bounds.LastStable || cfg.StateRetention == nil {
		return true
	}
	limit := cfg.StateRetention()
	return limit == 0 || cfg.Clock.Now().Sub(extraWall(m.Extra)) <= limit
}

// marked is what a mark says of the rows: the shape, and how many records did not decode, 0 if it is from a release that did not count them. ok is false if it is from one that told neither: its rows were those of
// the node that wrote them.
func marked(m Mark) (shape uint64, skipped int64, ok bool) {
	_, rest, err := takeVarint(m.Extra)
	if err != nil {
		return 0, 0, false
	}
	shape, n := binary.Uvarint(rest)
	if n <= 0 {
		return 0, 0, false
	}
	count, _ := binary.Uvarint(rest[n:])
	return shape, int64(count), true
}

// tableShape stands for all that says how records of a table are decoded.
func tableShape(rel *planner.Relation) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %d %d %t %d %q %v\n", rel.KeyFormat, rel.ValueFormat, rel.KeyDelimiter, rel.ValueDelimiter, rel.WrapSingleValue, rel.TimestampColumn, rel.TimestampFormat, rel.Key)
	for i := range rel.Columns {
		c := &rel.Columns[i]
		fmt.Fprintf(h, "%q %s %t\n", c.Name, c.Type, c.Dropped)
	}
	return h.Sum64()
}
