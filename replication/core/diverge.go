package core

// Where two logs part is found by leader epochs, never by the high watermark, which lags a round trip (KIP-101).

// EpochEnd is an answer of an epoch cache: the largest epoch at or below the one asked for, and where it ends. Epoch -1 is "not known".
type EpochEnd struct {
	Epoch int32
	End   int64
}

// Known reports whether the cache had an answer.
func (e EpochEnd) Known() bool { return e.Epoch >= 0 && e.End >= 0 }

// ReadVerdict is what a leader does with a follower's fetch.
type ReadVerdict uint8

// The verdicts on a fetch.
const (
	ReadRecords    ReadVerdict = iota // serve it; its offset acknowledges what is below
	ReadDiverging                     // answer with the leader's EpochEnd and no records; it acknowledges nothing
	ReadOutOfRange                    // OFFSET_OUT_OF_RANGE; it acknowledges nothing
)

// JudgeFetch decides about a fetch at offset by a follower whose last batch is of lastFetched (-1: it does not say). own is what the leader's epoch
// cache answers for lastFetched; start and end bound the leader's log.
func JudgeFetch(offset int64, lastFetched int32, own EpochEnd, start, end int64) ReadVerdict {
	if lastFetched >= 0 {
		if !own.Known() {
			return ReadOutOfRange
		}
		if offset < start {
			return ReadOutOfRange
		}
		if own.Epoch < lastFetched || own.End < offset {
			return ReadDiverging
		}
	}
	if offset < start || offset > end {
		return ReadOutOfRange
	}
	return ReadRecords
}

// TruncateTo decides where a follower cuts its log when the leader says diverging. own is what the follower's cache answers for leader.Epoch; end is its log
// end. If done is false the follower must fetch again from there: it knew epochs that the leader does not (KIP-279).
func TruncateTo(leader, own EpochEnd, end int64) (offset int64, done bool) {
	switch {
	case !leader.Known():
		return end, true // the leader knows nothing to compare; a fetch from the end finds out
	case !own.Known():
		return min(leader.End, end), true
	case own.Epoch != leader.Epoch:
		return min(own.End, end), false
	default:
		return min(leader.End, own.End, end), true
	}
}

// FollowerHW is a follower's high watermark after a fetch: the leader's, as far as its own durable log goes, and never lower than before.
func FollowerHW(hw, leaderHW, durable int64) int64 { return max(hw, min(leaderHW, durable)) }
