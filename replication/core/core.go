// Package core is the replication protocol of one partition without anything around it: inputs in (an append is done, a sync is done, a
// follower fetched, the metadata changed, time has passed), effects out (the high watermark rises, ask for this ISR). It does no I/O, reads
// no clock, takes no lock and starts no goroutine, so that a simulation can run thousands of partitions in one goroutine and replay them
// from a seed. Package replication puts it around a log and a lock.
//
// The protocol is Kafka's (KIP-101, KIP-279, KIP-497, KIP-841, KIP-903, KIP-966) with one difference: the leader counts itself by its durable end,
// and a follower's fetch offset is its durable end, because followers sync before they fetch again. So the high watermark never passes what
// is on the disks of the in-sync replicas.
//
// Leader is the leader's half; diverge.go is how leader and follower find where their logs part. The tests run both halves and a controller against modelled disks and
// lost messages, and show of each rule that without it something committed is lost.
package core

import "slices"

// Meta is what the metadata says of a partition.
type Meta struct {
	Replicas       []int32
	ISR            []int32
	LeaderEpoch    int32
	PartitionEpoch int32
	MinISR         int // min.insync.replicas, at least 1
}

// Effects is what the caller must do after an input.
type Effects struct {
	// HW is the high watermark after the input; Raised says that it rose: wake who waits for it.
	HW     int64
	Raised bool
	// AskISR, if not nil, is to be proposed to the controller, with the epochs of the Meta in force. The outcome goes to ISRAnswered
	// or comes as a Changed. One proposal is out at a time.
	AskISR *Proposal
}

// Proposal is an ISR that the leader asks for.
type Proposal struct {
	ISR            []int32
	BrokerEpochs   []uint64 // parallel to ISR; 0 for the leader itself, whose epoch the caller knows
	LeaderEpoch    int32
	PartitionEpoch int32
}

// Verdict is how a proposal ended.
type Verdict uint8

// The verdicts.
const (
	// Refused: it was surely not applied (INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED).
	Refused Verdict = iota
	// Unknown: nobody knows; the proposal stays in force until metadata says otherwise, and the caller retries it. To forget it here would
	// be to raise the high watermark without a replica that the controller may have made leader.
	Unknown
	// Superseded: the epochs moved on; newer metadata is on its way (FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, NEW_LEADER_ELECTED).
	Superseded
)

// Fetch is what a follower's fetch says. Offset is its log end, all of it durable.
type Fetch struct {
	Replica     int32
	BrokerEpoch uint64
	Offset      int64
	LogStart    int64
	// Eligible says that the metadata knows the replica as active and with this broker epoch.
	Eligible bool
}

// follower is what a leader knows of another replica.
type follower struct {
	id           int32
	end          int64 // -1: has not fetched from this leader
	logStart     int64
	brokerEpoch  uint64
	eligible     bool
	caughtUpAt   int64 // ms
	lastFetchAt  int64 // ms
	lastFetchEnd int64 // the leader's end at its last fetch
}

// Leader is a partition led by this node in one leader epoch. Times are milliseconds of any clock that does not go back.
type Leader struct {
	self       int32
	meta       Meta
	lag        int64 // replica.lag.time.max.ms
	end        int64 // log end
	durable    int64 // durable end, at most end
	epochStart int64 // end when this epoch began
	hw         int64
	followers  []follower
	pending    []int32 // ISR asked for, nil if none is out
}

// NewLeader begins to lead. end is the log end and epochStart of meta.LeaderEpoch, which the caller has assigned in the epoch cache before; durable the durable
// end; hw the high watermark known so far, which is only a hint and is cut to the durable end.
func NewLeader(self int32, meta Meta, lagMs, end, durable, hw, nowMs int64) (*Leader, Effects) {
	l := &Leader{self: self, lag: lagMs, end: end, durable: min(durable, end), epochStart: end, hw: max(0, min(hw, durable, end))}
	l.setMeta(meta, nowMs)
	return l, l.advance(nowMs)
}

func (l *Leader) setMeta(meta Meta, nowMs int64) {
	meta.MinISR = max(meta.MinISR, 1)
	l.meta = meta
	old := l.followers
	l.followers = nil
	for _, id := range meta.Replicas {
		if id == l.self {
			continue
		}
		if i := slices.IndexFunc(old, func(f follower) bool { return f.id == id }); i >= 0 {
			l.followers = append(l.followers, old[i])
			continue
		}
		f := follower{id: id, end: -1}
		if slices.Contains(meta.ISR, id) {
			f.caughtUpAt = nowMs // it has the lag time to show itself
		}
		l.followers = append(l.followers, f)
	}
}

// HW is the high watermark.
func (l *Leader) HW() int64 { return l.hw }

// EpochStart is where the log ended when this leadership began: below it lies what earlier leaders may have acknowledged.
func (l *Leader) EpochStart() int64 { return l.epochStart }

// Meta is the metadata in force.
func (l *Leader) Meta() Meta { return l.meta }

// EnoughISR reports whether an append that wants all replicas is taken: |ISR| >= min.insync.replicas.
func (l *Leader) EnoughISR() bool { return len(l.meta.ISR) >= l.meta.MinISR }

// Appended says that the log end has moved.
func (l *Leader) Appended(end int64) { l.end = max(l.end, end) }

// Durable says that the durable end has moved. Ends that come late and are lower are ignored.
func (l *Leader) Durable(end, nowMs int64) Effects {
	if end <= l.durable {
		return Effects{HW: l.hw}
	}
	l.durable = end
	l.end = max(l.end, end)
	return l.advance(nowMs)
}

// Changed says that the metadata changed within the same leader epoch. What was asked for is settled by it.
func (l *Leader) Changed(meta Meta, nowMs int64) Effects {
	if meta.LeaderEpoch != l.meta.LeaderEpoch || meta.PartitionEpoch < l.meta.PartitionEpoch {
		return Effects{HW: l.hw}
	}
	if meta.PartitionEpoch > l.meta.PartitionEpoch {
		l.pending = nil
	}
	l.setMeta(meta, nowMs)
	return l.advance(nowMs)
}

// BrokersChanged says that brokers came, went, or were fenced: a follower that may not join the ISR any more does not hold the high watermark up, unless it is in the ISR. active tells
// whether a broker is active with the given epoch.
func (l *Leader) BrokersChanged(active func(id int32, epoch uint64) bool, nowMs int64) Effects {
	for i := range l.followers {
		f := &l.followers[i]
		f.eligible = f.eligible && active(f.id, f.brokerEpoch)
	}
	return l.advance(nowMs)
}

// Fetched records a follower's fetch that read from its log end, and so acknowledged all below it.
func (l *Leader) Fetched(f Fetch, nowMs int64) Effects {
	i := slices.IndexFunc(l.followers, func(x follower) bool { return x.id == f.Replica })
	if i < 0 {
		return Effects{HW: l.hw}
	}
	x := &l.followers[i]
	switch {
	case f.Offset >= l.end:
		x.caughtUpAt = nowMs
	case f.Offset >= x.lastFetchEnd && x.end >= 0:
		// It has what there was when it last asked: it was caught up then.
		x.caughtUpAt = max(x.caughtUpAt, x.lastFetchAt)
	}
	x.end, x.logStart = f.Offset, f.LogStart
	x.brokerEpoch, x.eligible = f.BrokerEpoch, f.Eligible
	x.lastFetchAt, x.lastFetchEnd = nowMs, l.end
	ask := l.expand(x)
	e := l.advance(nowMs)
	e.AskISR = ask
	return e
}

// expand asks for x to join the ISR if it has everything committed, and everything from before this epoch.
func (l *Leader) expand(x *follower) *Proposal {
	if l.pending != nil || slices.Contains(l.meta.ISR, x.id) || !x.eligible || x.end < l.hw || x.end < l.epochStart {
		return nil
	}
	return l.ask(append(slices.Clone(l.meta.ISR), x.id))
}

// Tick looks for followers that fell behind. Call it every half lag time.
func (l *Leader) Tick(nowMs int64) Effects {
	if l.pending != nil {
		return Effects{HW: l.hw}
	}
	isr := slices.DeleteFunc(slices.Clone(l.meta.ISR), func(id int32) bool {
		i := slices.IndexFunc(l.followers, func(f follower) bool { return f.id == id })
		return i >= 0 && l.followers[i].end != l.end && nowMs-l.followers[i].caughtUpAt > l.lag
	})
	if len(isr) == len(l.meta.ISR) {
		return Effects{HW: l.hw}
	}
	return Effects{HW: l.hw, AskISR: l.ask(isr)}
}

func (l *Leader) ask(isr []int32) *Proposal {
	l.pending = isr
	p := &Proposal{ISR: isr, LeaderEpoch: l.meta.LeaderEpoch, PartitionEpoch: l.meta.PartitionEpoch}
	for _, id := range isr {
		var epoch uint64
		if i := slices.IndexFunc(l.followers, func(f follower) bool { return f.id == id }); i >= 0 {
			epoch = l.followers[i].brokerEpoch
		}
		p.BrokerEpochs = append(p.BrokerEpochs, epoch)
	}
	return p
}

// ISRAnswered says how the proposal that is out ended, if not by a Changed.
func (l *Leader) ISRAnswered(v Verdict, nowMs int64) Effects {
	if v == Refused {
		l.pending = nil
	}
	return l.advance(nowMs)
}

// advance raises the high watermark to the smallest durable end of the maximal ISR: the ISR in force and the one asked for, and those that are
// about to be asked for. It never goes down, and it rests while the ISR is smaller than min.insync.replicas.
func (l *Leader) advance(nowMs int64) Effects {
	if !l.EnoughISR() {
		return Effects{HW: l.hw}
	}
	hw := l.durable
	for i := range l.followers {
		f := &l.followers[i]
		counts := slices.Contains(l.meta.ISR, f.id) || slices.Contains(l.pending, f.id) ||
			f.eligible && f.end >= l.epochStart && nowMs-f.caughtUpAt <= l.lag
		if counts {
			hw = min(hw, f.end)
		}
	}
	if hw <= l.hw {
		return Effects{HW: l.hw}
	}
	l.hw = hw
	return Effects{HW: hw, Raised: true}
}
