package coordinator

import (
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"
)

// TestEpochsOnlyRise runs random requests near the end of the epochs: whatever is asked, an epoch that was left never comes back, and
// none is beyond the last.
func TestEpochsOnlyRise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fresh := int64(1)
		s := newTxn("tx", fresh, 0)
		s.epoch = int16(rapid.IntRange(math.MaxInt16-4, math.MaxInt16-1).Draw(t, "epoch"))
		for now := int64(1); now < 40; now++ {
			pid := s.producerID - int64(rapid.IntRange(0, 1).Draw(t, "older"))
			epoch := s.epoch - int16(rapid.IntRange(0, 2).Draw(t, "behind"))
			version := int16(rapid.IntRange(0, 1).Draw(t, "v2")) * epochBumpVersion
			next, kerror := s, (*kerr.Error)(nil)
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				if rapid.Bool().Draw(t, "unnamed") {
					pid, epoch = noProducerID, noProducerEpoch
				}
				next, kerror = s.initProducer(pid, epoch, 1, fresh+1, now)
			case 1:
				next, _, kerror = s.addPartitions(pid, epoch, []TopicPartition{{"out", 0}}, version, now)
			case 2:
				next, _, kerror = s.prepareEnd(pid, epoch, rapid.Bool().Draw(t, "commit"), version, fresh+1, now)
			case 3:
				if s.deciding() {
					next = s.complete(now)
				}
			case 4:
				if s.state == stateOngoing {
					next = s.fence(now)
				}
			}
			if kerror != nil {
				continue
			}
			if next.epoch < 0 || next.producerID == s.producerID && next.epoch < s.epoch || next.producerID < s.producerID {
				t.Fatalf("from %+v to %+v", s, next)
			}
			if next.state == stateOngoing && next.epoch > lastUsableEpoch {
				t.Fatalf("a transaction runs in the epoch that is kept for fencing: %+v", next)
			}
			s = next
			fresh = max(fresh, s.producerID, s.nextProducerID)
		}
	})
}
