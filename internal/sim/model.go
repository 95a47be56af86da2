package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/controller"
	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

// Defence is a rule of the protocol that a run does without.
type Defence string

// The defences.
const (
	None           Defence = "none"
	Epochs         Defence = "truncation goes by epochs, not by the high watermark (KIP-101)"
	DurableCounts  Defence = "the leader counts itself by its durable end"
	UnknownStays   Defence = "a proposal of unknown outcome stays in force"
	StrictMinISR   Defence = "the high watermark rests below min.insync.replicas"
	SyncBeforeNext Defence = "a follower syncs before it fetches again"
	CleanElections Defence = "only replicas that are in sync or eligible lead"
	RestartWaits   Defence = "a node that has restarted acts on nothing until what it led before was given up"
	EligibleOnly   Defence = "those that leave the ISR are eligible only while it is below min.insync.replicas (KIP-966)"
)

const (
	nodes     = 3
	topicName = "t"
	// lagMs is the model's replica.lag.time.max.ms, in its own time.
	lagMs = 10
)

// entry is a record: the epoch it was written in and a value that no other has.
type entry struct {
	epoch int32
	value int
}

// replica is a node: its disk and what it knows.
type replica struct {
	id      int32
	up      bool
	silent  bool // it lives, but the controller does not hear it
	waits   bool // it has registered anew and was not let in yet
	epoch   uint64
	log     []entry
	starts  []core.EpochEnd // epoch cache: End is where the epoch begins
	durable int
	hw      int64
	img     *metadata.Image // that it has acted on
	leader  *core.Leader
	out     *core.Proposal
}

// Model is one run.
type Model struct {
	rng       *rand.Rand
	off       Defence
	now       int64
	values    int
	meta      *metadata.Machine
	topic     metadata.UUID
	replicas  []*replica
	Committed int // entries that were below a high watermark
	committed []entry
	Violation string // what was lost; empty if nothing
}

// randomBytes makes the ids of a run.
type randomBytes struct{ rng *rand.Rand }

func (r randomBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.rng.Uint32())
	}
	return len(p), nil
}

// New begins a run with a seed, without one defence.
func New(seed uint64, off Defence) (*Model, error) {
	m := &Model{rng: rand.New(rand.NewPCG(seed, 7)), off: off}
	m.meta = metadata.NewMachine(randomBytes{m.rng}, func(err error) { m.Violation = err.Error() })
	for id := int32(1); id <= nodes; id++ {
		r := &replica{id: id, up: true}
		m.replicas = append(m.replicas, r)
		if err := m.register(r, false); err != nil {
			return nil, err
		}
	}
	configs := map[string]string{}
	if off == CleanElections {
		configs["unclean.leader.election.enable"] = "true"
	}
	b := m.meta.NewBatch()
	b.SetQueryNode(1)
	m.topic = b.CreateTopic(metadata.TopicSpec{Name: topicName, Partitions: 1, Replicas: nodes, Configs: configs})
	if _, err := m.meta.Apply(b); err != nil {
		return nil, err
	}
	for _, r := range m.replicas {
		m.deliver(r)
	}
	return m, nil
}

// register registers a node in place of its registration before.
func (m *Model) register(r *replica, fenced bool) error {
	b := m.meta.NewBatch()
	ref := b.RegisterBroker(metadata.Broker{ID: r.id, Directory: metadata.UUID{byte(r.id)}, Fenced: fenced}, r.epoch)
	res, err := m.meta.Apply(b)
	if err == nil {
		r.epoch = res.Epoch(ref)
	}
	return err
}

// record is the partition as an image has it.
func (m *Model) record(img *metadata.Image) (*metadata.Topic, metadata.Partition) {
	t, _ := img.TopicByID(m.topic)
	return t, t.Partitions[0]
}

func (m *Model) coreMeta(img *metadata.Image) (core.Meta, int32) {
	t, p := m.record(img)
	meta := core.Meta{Replicas: p.Replicas, ISR: p.ISR, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, MinISR: replication.MinISR(t, p)}
	if m.off == StrictMinISR {
		meta.MinISR = 1
	}
	return meta, p.Leader
}

// effects acts on what the core asks of a leader.
func (m *Model) effects(r *replica, e core.Effects) {
	r.hw = max(r.hw, e.HW)
	if e.AskISR != nil {
		r.out = e.AskISR
	}
	for o := len(m.committed); o < int(e.HW); o++ {
		m.committed = append(m.committed, r.log[o])
	}
	m.Committed = len(m.committed)
	m.check(r, int(e.HW))
}

// check compares the first n entries of a log with those committed.
func (m *Model) check(r *replica, n int) {
	for o := 0; o < n && m.Violation == ""; o++ {
		if o >= len(r.log) || r.log[o] != m.committed[o] {
			_, p := m.record(r.img)
			m.Violation = fmt.Sprintf("node %d, leader epoch %d: offset %d does not hold what was committed", r.id, p.LeaderEpoch, o)
		}
	}
}

// deliver gives a node the newest metadata.
func (m *Model) deliver(r *replica) {
	if r.waits && !m.active(m.meta.Image(), r.id, r.epoch) {
		return
	}
	r.waits = false
	before := r.img
	r.img = m.meta.Image()
	meta, leader := m.coreMeta(r.img)
	changed := before == nil
	if !changed {
		was, _ := m.coreMeta(before)
		changed = was.LeaderEpoch != meta.LeaderEpoch
	}
	switch {
	case leader != r.id:
		r.leader, r.out = nil, nil
		if m.off == Epochs && changed {
			r.truncate(r.hw)
		}
	case r.leader == nil || changed:
		r.out = nil
		m.check(r, len(m.committed))
		r.assign(meta.LeaderEpoch, int64(len(r.log)))
		var e core.Effects
		r.leader, e = core.NewLeader(r.id, meta, lagMs, int64(len(r.log)), m.durableEnd(r), r.hw, m.now)
		m.effects(r, e)
	default:
		if was, _ := m.coreMeta(before); was.PartitionEpoch != meta.PartitionEpoch {
			r.out = nil
		}
		m.effects(r, r.leader.Changed(meta, m.now))
	}
	if r.leader != nil {
		m.effects(r, r.leader.BrokersChanged(func(id int32, epoch uint64) bool { return m.active(r.img, id, epoch) }, m.now))
	}
}

func (m *Model) active(img *metadata.Image, id int32, epoch uint64) bool {
	k, ok := img.Broker(id)
	return ok && !k.Fenced && k.Epoch == epoch
}

// durableEnd is what a node says is durable.
func (m *Model) durableEnd(r *replica) int64 {
	if m.off == DurableCounts {
		return int64(len(r.log))
	}
	return int64(r.durable)
}

func (m *Model) append(r *replica) {
	m.values++
	_, p := m.record(r.img)
	r.log = append(r.log, entry{p.LeaderEpoch, m.values})
	r.leader.Appended(int64(len(r.log)))
	if m.off == DurableCounts {
		m.effects(r, r.leader.Durable(int64(len(r.log)), m.now))
	}
}

func (m *Model) sync(r *replica) {
	r.durable += m.rng.IntN(len(r.log) - r.durable + 1)
	if r.leader != nil {
		m.effects(r, r.leader.Durable(int64(r.durable), m.now))
	}
}

// fetch is a follower's fetch and the leader's answer.
func (m *Model) fetch(f *replica) {
	_, at := m.record(f.img)
	if f.waits || at.Leader < 1 || at.Leader == f.id {
		return
	}
	l := m.replicas[at.Leader-1]
	if _, theirs := m.record(l.img); !l.up || l.leader == nil || theirs.LeaderEpoch != at.LeaderEpoch {
		return
	}
	if m.off != SyncBeforeNext {
		f.durable = len(f.log)
	}
	end, last := int64(len(f.log)), f.lastEpoch()
	own := l.endOf(last)
	verdict := core.JudgeFetch(end, last, own, 0, int64(len(l.log)))
	if m.off == Epochs && verdict != core.ReadRecords {
		verdict = core.ReadRecords
		if end > int64(len(l.log)) {
			return
		}
	}
	switch verdict {
	case core.ReadDiverging:
		to, _ := core.TruncateTo(own, f.endOf(own.Epoch), end)
		f.truncate(to)
	case core.ReadOutOfRange:
		f.truncate(int64(len(l.log)))
	case core.ReadRecords:
		m.effects(l, l.leader.Fetched(core.Fetch{Replica: f.id, BrokerEpoch: f.epoch, Offset: end, Eligible: m.active(l.img, f.id, f.epoch)}, m.now))
		for _, x := range l.log[end : end+int64(m.rng.IntN(len(l.log)-int(end)+1))] {
			f.assign(x.epoch, int64(len(f.log)))
			f.log = append(f.log, x)
		}
		f.hw = core.FollowerHW(f.hw, l.hw, int64(len(f.log)))
	}
}

// propose takes a leader's proposal to the metadata; the answer may be lost.
func (m *Model) propose(r *replica) {
	b := m.meta.NewBatch()
	verdict := core.Superseded
	if replication.ChangeISR(b, m.topic, 0, r.id, r.out) {
		if _, err := m.meta.Apply(b); errors.Is(err, metadata.ErrIneligible) || errors.Is(err, metadata.ErrInvalid) {
			verdict = core.Refused
		}
	}
	if m.rng.IntN(3) == 0 { // the answer is lost
		verdict = core.Unknown
		if m.off == UnknownStays {
			verdict = core.Refused
		}
	}
	if verdict != core.Unknown {
		r.out = nil
	}
	m.effects(r, r.leader.ISRAnswered(verdict, m.now))
}

// control is a look of the controller: it fences who is silent, takes from the fenced what others can have, lets in who is heard.
func (m *Model) control() {
	img := m.meta.Image()
	b := m.meta.NewBatch()
	for _, r := range m.replicas {
		k, _ := img.Broker(r.id)
		heard := r.up && !r.silent && k.Epoch == r.epoch
		switch {
		case !heard && !k.Fenced && m.rng.IntN(3) == 0:
			b.SetBrokerState(k.ID, k.Epoch, true, false)
		case heard && k.Fenced && controller.Released(img, k.ID):
			b.SetBrokerState(k.ID, k.Epoch, false, false)
		}
	}
	m.write(b)
	if m.rng.IntN(4) == 0 {
		return // it is deposed in between, and the next one begins again
	}
	batches, _ := controller.Review(m.meta.Image(), m.meta.NewBatch, m.rng.IntN(2) == 0, nil)
	for _, b := range batches {
		m.write(b)
	}
	if m.off == EligibleOnly {
		m.keepEligible(img)
	}
}

// keepEligible makes those that left the ISR eligible whatever its size.
func (m *Model) keepEligible(before *metadata.Image) {
	_, was := m.record(before)
	t, now := m.record(m.meta.Image())
	next := now
	next.ELR = slices.Clone(now.ELR)
	for _, id := range was.ISR {
		if !slices.Contains(now.ISR, id) && !slices.Contains(next.ELR, id) {
			next.ELR = append(next.ELR, id)
		}
	}
	if len(next.ELR) == len(now.ELR) {
		return
	}
	b := m.meta.NewBatch()
	b.ChangePartition(t.ID, now, next, false, nil)
	m.write(b)
}

func (m *Model) write(b *metadata.Batch) {
	if b.Len() == 0 {
		return
	}
	if _, err := m.meta.Apply(b); err != nil && !errors.Is(err, metadata.ErrStaleEpoch) {
		m.Violation = "the controller's change is refused: " + err.Error()
	}
}

func (m *Model) crash(r *replica) {
	r.up, r.leader, r.out = false, nil, nil
	r.truncate(int64(r.durable + m.rng.IntN(len(r.log)-r.durable+1)))
	r.durable = len(r.log)
	r.hw = min(r.hw, int64(len(r.log)))
}

func (m *Model) restart(r *replica) {
	r.up = true
	if err := m.register(r, true); err != nil {
		m.Violation = "a node is not registered: " + err.Error()
		return
	}
	r.waits = m.off != RestartWaits
	m.deliver(r)
}

// Step does one thing that may happen next.
func (m *Model) Step() {
	r := m.replicas[m.rng.IntN(nodes)]
	switch k := m.rng.IntN(100); {
	case k < 10:
		m.control()
	case !r.up:
		if k < 22 {
			m.restart(r)
		}
	case k < 28 && r.leader != nil:
		m.append(r)
	case k < 40:
		m.sync(r)
	case k < 75:
		m.fetch(r)
	case k < 80 && r.leader != nil:
		m.now += m.rng.Int64N(2 * lagMs)
		m.effects(r, r.leader.Tick(m.now))
	case k < 86 && r.out != nil:
		m.propose(r)
	case k < 94:
		m.deliver(r)
	case k < 96:
		m.crash(r)
	case k < 99:
		r.silent = !r.silent && m.rng.IntN(2) == 0
	}
}
