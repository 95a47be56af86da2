package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The model is three replicas and a controller in one goroutine: logs are slices, a sync moves a number, a crash cuts a log to somewhere at or above what was synced,
// messages are steps that may come late or never. A seed replays exactly. What is checked: an entry below a leader's high watermark is in the log of every later
// leader, at its offset. Each defence can be switched off, and the checker must then find a loss.

// defence is a rule that a test switches off.
type defence string

const (
	none           defence = "none"
	epochs         defence = "truncation goes by epochs (KIP-101)"
	durableCounts  defence = "the leader counts itself by its durable end"
	unknownStays   defence = "a proposal of unknown outcome stays in force"
	brokerEpochs   defence = "the controller compares broker epochs (KIP-903)"
	strictMinISR   defence = "the high watermark rests below min.insync.replicas"
	syncBeforeNext defence = "a follower syncs before it fetches again"
)

type entry struct {
	epoch int32
	value int
}

// view is the controller's record, or what a replica knows of it.
type view struct {
	meta        Meta
	elr         []int32
	leader      int32 // 0: nobody
	brokerEpoch [4]uint64
	fenced      [4]bool
}

func (v view) clone() view {
	v.meta.ISR, v.elr = slices.Clone(v.meta.ISR), slices.Clone(v.elr)
	return v
}

type replica struct {
	id      int32
	up      bool
	log     []entry
	starts  []EpochEnd // epoch cache: End is where the epoch begins
	durable int
	hw      int64
	view    view
	leader  *Leader
	out     *Proposal
}

type model struct {
	rng       *rand.Rand
	off       defence
	now       int64
	values    int
	ctl       view
	replicas  []*replica // by id; the first is unused
	committed []entry
	violation string
}

func newModel(seed uint64, off defence) *model {
	m := &model{rng: rand.New(rand.NewPCG(seed, 7)), off: off, replicas: make([]*replica, 4)}
	m.ctl = view{meta: Meta{Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, LeaderEpoch: 1, MinISR: 2}, leader: 1}
	for id := int32(1); id <= 3; id++ {
		m.ctl.brokerEpoch[id] = 1
		m.replicas[id] = &replica{id: id, up: true}
	}
	for _, r := range m.replicas[1:] {
		m.deliver(r)
	}
	return m
}

func (r *replica) assign(epoch int32, start int64) {
	if n := len(r.starts); n > 0 && r.starts[n-1].Epoch >= epoch {
		return
	}
	r.starts = append(r.starts, EpochEnd{epoch, start})
}

func (r *replica) endOf(epoch int32) EpochEnd {
	if n := len(r.starts); n == 0 || epoch < 0 || epoch > r.starts[n-1].Epoch {
		return EpochEnd{-1, -1}
	} else if r.starts[n-1].Epoch == epoch {
		return EpochEnd{epoch, int64(len(r.log))}
	}
	i := slices.IndexFunc(r.starts, func(e EpochEnd) bool { return e.Epoch > epoch })
	if i == 0 {
		return EpochEnd{epoch, r.starts[0].End}
	}
	return EpochEnd{r.starts[i-1].Epoch, r.starts[i].End}
}

func (r *replica) truncate(to int64) {
	r.log = r.log[:min(int(to), len(r.log))]
	r.durable = min(r.durable, len(r.log))
	r.starts = slices.DeleteFunc(r.starts, func(e EpochEnd) bool { return e.End >= int64(len(r.log)) })
}

func (r *replica) lastEpoch() int32 {
	if len(r.log) == 0 {
		return -1
	}
	return r.log[len(r.log)-1].epoch
}

// durableEnd is what a replica says is durable.
func (m *model) durableEnd(r *replica) int64 {
	if m.off == durableCounts {
		return int64(len(r.log))
	}
	return int64(r.durable)
}

// effects acts on what the core asks of a leader.
func (m *model) effects(r *replica, e Effects) {
	r.hw = max(r.hw, e.HW)
	if e.AskISR != nil {
		r.out = e.AskISR
	}
	for o := len(m.committed); o < int(e.HW); o++ {
		m.committed = append(m.committed, r.log[o])
	}
	m.check(r, int(e.HW))
}

// check compares the first n entries of a log with those committed.
func (m *model) check(r *replica, n int) {
	for o := 0; o < n && m.violation == ""; o++ {
		if o >= len(r.log) || r.log[o] != m.committed[o] {
			m.violation = fmt.Sprintf("replica %d, leader epoch %d: offset %d does not hold what was committed", r.id, r.view.meta.LeaderEpoch, o)
		}
	}
}

// deliver gives a replica the newest metadata.
func (m *model) deliver(r *replica) {
	was := r.view
	r.view = m.ctl.clone()
	meta := r.view.meta
	if m.off == strictMinISR {
		meta.MinISR = 1
	}
	switch {
	case r.view.leader != r.id:
		r.leader, r.out = nil, nil
		if m.off == epochs && was.meta.LeaderEpoch != meta.LeaderEpoch {
			r.truncate(r.hw)
		}
	case r.leader == nil || was.meta.LeaderEpoch != meta.LeaderEpoch:
		r.out = nil
		m.check(r, len(m.committed))
		r.assign(meta.LeaderEpoch, int64(len(r.log)))
		var e Effects
		r.leader, e = NewLeader(r.id, meta, 10, int64(len(r.log)), m.durableEnd(r), r.hw, m.now)
		m.effects(r, e)
	default:
		if was.meta.PartitionEpoch != meta.PartitionEpoch {
			r.out = nil
		}
		m.effects(r, r.leader.Changed(meta, m.now))
	}
}

func (m *model) append(r *replica) {
	m.values++
	r.log = append(r.log, entry{r.view.meta.LeaderEpoch, m.values})
	r.leader.Appended(int64(len(r.log)))
	if m.off == durableCounts {
		m.effects(r, r.leader.Durable(int64(len(r.log)), m.now))
	}
}

func (m *model) sync(r *replica) {
	r.durable += m.rng.IntN(len(r.log) - r.durable + 1)
	if r.leader != nil {
		m.effects(r, r.leader.Durable(int64(r.durable), m.now))
	}
}

// fetch is a follower's fetch and the leader's answer.
func (m *model) fetch(f *replica) {
	l := m.replicas[f.view.leader]
	if f.view.leader == f.id || l == nil || !l.up || l.leader == nil || l.view.meta.LeaderEpoch != f.view.meta.LeaderEpoch {
		return
	}
	if m.off != syncBeforeNext {
		f.durable = len(f.log)
	}
	at, last := int64(len(f.log)), f.lastEpoch()
	own := l.endOf(last)
	verdict := JudgeFetch(at, last, own, 0, int64(len(l.log)))
	if m.off == epochs && verdict != ReadRecords {
		verdict = ReadRecords
		if at > int64(len(l.log)) {
			return
		}
	}
	switch verdict {
	case ReadDiverging:
		to, _ := TruncateTo(own, f.endOf(own.Epoch), at)
		f.truncate(to)
	case ReadOutOfRange:
		f.truncate(int64(len(l.log)))
	case ReadRecords:
		eligible := !l.view.fenced[f.id] && l.view.brokerEpoch[f.id] == f.view.brokerEpoch[f.id]
		e := l.leader.Fetched(Fetch{Replica: f.id, BrokerEpoch: f.view.brokerEpoch[f.id], Offset: at, Eligible: eligible}, m.now)
		m.effects(l, e)
		for _, x := range l.log[at : at+int64(m.rng.IntN(len(l.log)-int(at)+1))] {
			f.assign(x.epoch, int64(len(f.log)))
			f.log = append(f.log, x)
		}
		f.hw = FollowerHW(f.hw, l.hw, int64(len(f.log)))
	}
}

// propose takes a leader's proposal to the controller; the answer may be lost.
func (m *model) propose(r *replica) {
	p := r.out
	verdict := m.judge(r, p)
	if m.rng.IntN(3) == 0 { // the answer is lost
		verdict = Unknown
		if m.off == unknownStays {
			verdict = Refused
		}
	}
	if verdict != Unknown {
		r.out = nil
	}
	m.effects(r, r.leader.ISRAnswered(verdict, m.now))
}

// judge is the controller's compare-and-swap.
func (m *model) judge(r *replica, p *Proposal) Verdict {
	c := &m.ctl
	if c.leader != r.id || c.meta.LeaderEpoch != p.LeaderEpoch || c.meta.PartitionEpoch != p.PartitionEpoch {
		return Superseded
	}
	for i, id := range p.ISR {
		joins := !slices.Contains(c.meta.ISR, id)
		if joins && (c.fenced[id] || m.off != brokerEpochs && c.brokerEpoch[id] != p.BrokerEpochs[i]) {
			return Refused
		}
	}
	m.setISR(p.ISR)
	return Superseded // the news comes as metadata
}

func (m *model) crash(r *replica) {
	r.up, r.leader, r.out = false, nil, nil
	r.truncate(int64(r.durable + m.rng.IntN(len(r.log)-r.durable+1)))
	r.durable = len(r.log)
	r.hw = min(r.hw, int64(len(r.log)))
}

// setISR changes the ISR, and with it the replicas that are eligible to lead though not in it: those that left while the ISR was too small for anything to be
// committed without them (KIP-966).
func (m *model) setISR(isr []int32) {
	c := &m.ctl
	eligible := slices.Concat(c.meta.ISR, c.elr)
	c.elr = nil
	if len(isr) < c.meta.MinISR {
		for _, id := range eligible {
			if !slices.Contains(isr, id) && !slices.Contains(c.elr, id) {
				c.elr = append(c.elr, id)
			}
		}
	}
	c.meta.ISR = isr
	c.meta.PartitionEpoch++
}

func without(ids []int32, id int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(x int32) bool { return x == id })
}

// fence takes a broker out of the ISR, unless it is the last, and moves its leadership.
func (m *model) fence(id int32) {
	c := &m.ctl
	c.fenced[id] = true
	if slices.Contains(c.meta.ISR, id) && len(c.meta.ISR) > 1 {
		m.setISR(without(c.meta.ISR, id))
	}
	if c.leader == id {
		c.leader = 0
		m.elect()
	}
}

// forget takes a broker whose disk was lost out of the ISR and of the eligible.
func (m *model) forget(id int32) {
	c := &m.ctl
	if slices.Contains(c.meta.ISR, id) {
		m.setISR(without(c.meta.ISR, id))
	}
	c.elr = without(c.elr, id)
}

// elect finds a leader if there is none: the first active replica of the ISR, or an eligible one if that is empty.
func (m *model) elect() {
	c := &m.ctl
	if c.leader != 0 {
		return
	}
	c.meta.LeaderEpoch++
	c.meta.PartitionEpoch++
	active := func(id int32) bool { return !c.fenced[id] }
	if i := slices.IndexFunc(c.meta.ISR, active); i >= 0 {
		c.leader = c.meta.ISR[i]
	} else if i := slices.IndexFunc(c.elr, active); i >= 0 && len(c.meta.ISR) == 0 {
		c.leader = c.elr[i]
		m.setISR([]int32{c.leader})
	}
}

// restart brings a replica back, with its disk or, if others hold what was committed, without.
func (m *model) restart(r *replica) {
	c := &m.ctl
	if !c.fenced[r.id] {
		m.fence(r.id)
	}
	if m.rng.IntN(4) == 0 && len(without(slices.Concat(c.meta.ISR, c.elr), r.id)) > 0 {
		m.forget(r.id)
		r.truncate(0)
		r.starts, r.hw = nil, 0
	}
	r.up = true
	c.brokerEpoch[r.id]++
	c.fenced[r.id] = false
	m.elect()
	m.deliver(r)
}

func (m *model) step() {
	r := m.replicas[1+m.rng.IntN(3)]
	switch k := m.rng.IntN(100); {
	case !r.up:
		switch {
		case k < 10 && !m.ctl.fenced[r.id]:
			m.fence(r.id)
		case k < 20:
			m.restart(r)
		}
	case k < 20 && r.leader != nil:
		m.append(r)
	case k < 35:
		m.sync(r)
	case k < 75:
		m.fetch(r)
	case k < 80 && r.leader != nil:
		m.now += m.rng.Int64N(20)
		m.effects(r, r.leader.Tick(m.now))
	case k < 87 && r.out != nil:
		m.propose(r)
	case k < 95:
		m.deliver(r)
	case k < 97:
		m.crash(r)
	case k < 98 && !m.ctl.fenced[r.id]:
		m.fence(r.id) // it lives, but the controller does not hear it
	case k < 99 && m.ctl.fenced[r.id]:
		m.ctl.fenced[r.id] = false
		m.ctl.brokerEpoch[r.id]++
		m.elect()
	}
}

const modelSteps = 400

// run runs seeds until a violation and returns it, and how many entries were committed in all.
func run(seeds uint64, off defence) (violation string, committed int) {
	for seed := range seeds {
		m := newModel(seed, off)
		for range modelSteps {
			m.step()
			if m.violation != "" {
				return fmt.Sprintf("seed %d: %s", seed, m.violation), committed
			}
		}
		committed += len(m.committed)
	}
	return "", committed
}

func TestNothingCommittedIsLost(t *testing.T) {
	const seeds = 5000
	violation, committed := run(seeds, none)
	require.Empty(t, violation)
	require.Greater(t, committed, seeds*10, "the model gets work done")
}

func TestEachDefenceIsNeeded(t *testing.T) {
	for _, off := range []defence{epochs, durableCounts, unknownStays, brokerEpochs, strictMinISR, syncBeforeNext} {
		t.Run(string(off), func(t *testing.T) {
			violation, _ := run(20_000, off)
			require.NotEmpty(t, violation, "without it something committed is lost")
			t.Log(violation)
		})
	}
}
