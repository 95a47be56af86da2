package coordinator

import (
	"encoding/binary"
	"hash/fnv"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// memberState is where a member stands on its way to its target, with the numbers that Kafka's records have.
type memberState int8

const (
	memberStable     memberState = iota // it has its target, as far as the group knew at its epoch
	memberUnrevoked                     // it must give up partitions first
	memberUnreleased                    // it waits for partitions that others have not given up
)

const (
	// epochLeave and epochLeaveStatic are in place of an epoch in the heartbeat of a member that leaves, the latter if it will be back (KIP-848).
	epochLeave       = -1
	epochLeaveStatic = -2
)

// TopicInfo is what consumer groups know of a topic.
type TopicInfo struct {
	Name       string
	ID         [16]byte
	Partitions int32
}

// TopicsView is the topics at one moment.
type TopicsView interface {
	// Index goes up with each change.
	Index() uint64
	Topic(name string) (TopicInfo, bool)
	TopicByID(id [16]byte) (TopicInfo, bool)
	Topics() iter.Seq[TopicInfo]
}

// memberRecord is what the log keeps of a member of a consumer group.
type memberRecord struct {
	known            bool // has metadata; what was loaded without is ignored
	instance, rack   *string
	clientID, host   string
	names            []string // sorted
	pattern          *string
	assignor         *string
	rebalance        time.Duration
	target           assignment
	epoch, previous  int32
	state            memberState
	assigned, revoke assignment         // what it may use; what it must give up and may still use
	classic          *classicMembership // not nil if it speaks the classic protocol
	// since is the epoch at which each of them was assigned: offsets are taken from that epoch on, though the member may not have heard of a later one (KIP-1251).
	since map[topicPart]int32
}

// consumerMember is a member of a consumerGroup.
type consumerMember struct {
	id string
	memberRecord
	regex    *regexp.Regexp // compiled pattern
	visible  func(topic string) bool
	topics   []topicRef // what it subscribes to and what exists, by name
	deadline time.Time  // the session's end
	dueBy    time.Time  // when it must have done what it was asked to: give partitions up, or, by the classic protocol, join or sync; zero if that is nothing
}

// memberChange says which records of a member are out of date.
type memberChange uint8

const (
	metadataChanged memberChange = 1 << iota
	targetChanged
	currentChanged
	memberRemoved
)

// groupChanges are the records of a group that are out of date.
type groupChanges struct {
	group   bool // its epoch
	members map[string]memberChange
}

// consumerGroup is the state machine of a group of the consumer protocol (KIP-848). It does no I/O and reads no clock. The group's epoch goes up when members, subscriptions or topics change; then
// a target is computed for each member, and each comes to its target by its own heartbeats, giving up before it takes.
type consumerGroup struct {
	id       string
	epoch    int32
	assignor string
	hash     int64 // of what the members subscribe to, at epoch
	members  map[string]*consumerMember
	static   map[string]string    // member id by instance id
	owners   map[topicPart]string // member id by partition that it has or has not given up yet
	seen     uint64               // index of the topics that subscriptions were last compared with; 0 to compare again
	changes  groupChanges
	part     Partition // of the log; nil before anything is written
	written  int64     // end of what the log has been given of this group
}

func newConsumerGroup(id string) *consumerGroup {
	return &consumerGroup{
		id: id, assignor: assignorUniform, members: map[string]*consumerMember{}, static: map[string]string{}, owners: map[topicPart]string{},
		changes: groupChanges{members: map[string]memberChange{}},
	}
}

// restoreConsumerGroup makes a group from what the log knows. Its members have one session to be heard of.
func restoreConsumerGroup(id string, s *consumerRecord, now time.Time, session time.Duration) *consumerGroup {
	g := newConsumerGroup(id)
	g.epoch, g.hash = s.epoch, s.hash
	for mid, r := range s.members {
		if !r.known {
			continue
		}
		m := &consumerMember{id: mid, memberRecord: *r, deadline: now.Add(session)}
		if r.pattern != nil {
			m.regex, _ = compilePattern(*r.pattern) // it was good when it was written
		}
		g.members[mid] = m
		if m.instance != nil {
			g.static[*m.instance] = mid
		}
		g.own(m)
		if m.state == memberUnrevoked {
			m.dueBy = now.Add(m.rebalance)
		}
	}
	g.assignor = g.preferred()
	return g
}

// state is the name that Kafka's tools print. Targets are computed with each new epoch, so that nobody sees a group in ASSIGNING.
func (g *consumerGroup) state() string {
	if len(g.members) == 0 {
		return "Empty"
	}
	for _, m := range g.members {
		if m.state != memberStable || m.epoch != g.epoch {
			return "Reconciling"
		}
	}
	return "Stable"
}

func (g *consumerGroup) mark(m *consumerMember, c memberChange) { g.changes.members[m.id] |= c }

// own notes that m has what it is assigned and what it has to give up.
func (g *consumerGroup) own(m *consumerMember) {
	for _, a := range []assignment{m.assigned, m.revoke} {
		for tp := range a.all {
			if _, taken := g.owners[tp]; !taken {
				g.owners[tp] = m.id
			}
		}
	}
}

func (g *consumerGroup) disown(m *consumerMember) {
	for _, a := range []assignment{m.assigned, m.revoke} {
		for tp := range a.all {
			if g.owners[tp] == m.id {
				delete(g.owners, tp)
			}
		}
	}
}

// set gives m a new state, if it is one.
func (g *consumerGroup) set(m *consumerMember, state memberState, epoch int32, assigned, revoke assignment) {
	if m.state == state && m.epoch == epoch && m.assigned.equal(assigned) && m.revoke.equal(revoke) {
		return
	}
	g.disown(m)
	if m.epoch != epoch {
		m.previous = m.epoch
	}
	since := make(map[topicPart]int32, assigned.count()+revoke.count())
	for _, a := range []assignment{assigned, revoke} {
		for tp := range a.all {
			since[tp] = epoch
			if at, had := m.since[tp]; had {
				since[tp] = at
			}
		}
	}
	m.state, m.epoch, m.assigned, m.revoke, m.since = state, epoch, assigned, revoke, since
	g.own(m)
	g.mark(m, currentChanged)
}

// remove ends a membership; advance comes after it.
func (g *consumerGroup) remove(m *consumerMember) {
	g.disown(m)
	delete(g.members, m.id)
	if m.instance != nil && g.static[*m.instance] == m.id {
		delete(g.static, *m.instance)
	}
	g.changes.members[m.id] = memberRemoved
}

// advance begins a new epoch with new targets.
func (g *consumerGroup) advance() {
	g.epoch++
	g.hash = g.subscriptions()
	g.changes.group = true
	g.assignor = g.preferred()
	ids := slices.Sorted(maps.Keys(g.members))
	all := make([]assignee, len(ids))
	for i, id := range ids {
		m := g.members[id]
		all[i] = assignee{id: id, instance: m.instance, topics: m.topics, had: m.target}
	}
	if len(all) == 0 {
		return
	}
	for i, target := range assign(g.assignor, all) {
		if m := g.members[ids[i]]; !m.target.equal(target) {
			m.target = target
			g.mark(m, targetChanged)
		}
	}
}

// preferred is the assignor that most of those members want who want a certain one.
func (g *consumerGroup) preferred() string {
	votes := map[string]int{}
	for _, m := range g.members {
		if m.assignor != nil {
			votes[*m.assignor]++
		}
	}
	if votes[assignorRange] > votes[assignorUniform] {
		return assignorRange
	}
	return assignorUniform
}

// resolve finds the topics that members subscribe to and reports whether they are others than at the group's epoch.
func (g *consumerGroup) resolve(view TopicsView) bool {
	if g.seen == view.Index() {
		return false
	}
	g.seen = view.Index()
	matches := map[string][]topicRef{}
	for _, m := range g.members {
		m.topics = m.resolve(view, matches)
	}
	return g.subscriptions() != g.hash
}

// resolve lists the topics that m subscribes to. matches has what patterns mean.
func (m *consumerMember) resolve(view TopicsView, matches map[string][]topicRef) []topicRef {
	var out []topicRef
	for _, name := range m.names {
		if t, ok := view.Topic(name); ok {
			out = append(out, t.ref())
		}
	}
	if m.regex != nil {
		found, ok := matches[*m.pattern]
		if !ok {
			for t := range view.Topics() {
				if m.regex.MatchString(t.Name) {
					found = append(found, t.ref())
				}
			}
			matches[*m.pattern] = found
		}
		for _, t := range found {
			if m.sees(t) {
				out = append(out, t)
			}
		}
	}
	slices.SortFunc(out, func(a, b topicRef) int { return strings.Compare(a.name, b.name) })
	return slices.Compact(out)
}

// sees reports whether a pattern of m may mean a topic. Of a member that has not been heard of since a restart it is not known what it may see: it keeps what it has.
func (m *consumerMember) sees(t topicRef) bool {
	if m.visible == nil {
		return m.target[t.id] != nil
	}
	return m.visible(t.name)
}

// subscriptions is a hash of what each member subscribes to. A static member that is replaced does not change it.
func (g *consumerGroup) subscriptions() int64 {
	byName := make(map[string]*consumerMember, len(g.members))
	for id, m := range g.members {
		if m.instance != nil {
			id = "static " + *m.instance
		}
		byName[id] = m
	}
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		_, _ = h.Write(append([]byte(name), 0))
		for _, t := range byName[name].topics {
			_, _ = h.Write(binary.BigEndian.AppendUint32(t.id[:], uint32(t.partitions)))
		}
	}
	return int64(h.Sum64())
}

func (t TopicInfo) ref() topicRef { return topicRef{t.Name, t.ID, t.Partitions} }

// next is when tick must be called; zero if never.
func (g *consumerGroup) next() (at time.Time) {
	for _, m := range g.members {
		for _, t := range []time.Time{m.deadline, m.dueBy} {
			if !t.IsZero() && (at.IsZero() || t.Before(at)) {
				at = t
			}
		}
	}
	return at
}

// tick removes members that were not heard of for a session, and those that did not do in time what they were asked to.
func (g *consumerGroup) tick(now time.Time) {
	late := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	removed := false
	for _, m := range slices.Collect(maps.Values(g.members)) {
		if late(m.deadline) || late(m.dueBy) {
			g.remove(m)
			removed = true
		}
	}
	if removed {
		g.advance()
	}
}
