package coordinator

import (
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// groupState is where a consumer group stands between two assignments.
type groupState uint8

const (
	groupEmpty      groupState = iota // no members
	groupPreparing                    // waits for members to join
	groupCompleting                   // waits for the leader's assignment
	groupStable                       // every member can have its assignment
)

// String gives the names that Kafka's tools print.
func (s groupState) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

const (
	// maxGroupMembers bounds the members of a group (Kafka's group.max.size), and maxPendingMembers those that have an id and have not joined.
	maxGroupMembers   = 1000
	maxPendingMembers = 1000
	// joinDelay is how long the first members of a group wait for others, so that ten consumers started together make one rebalance. Kafka's group.initial.rebalance.delay.ms
	// is ten times that.
	joinDelay = 300 * time.Millisecond
)

// groupProtocolOf is an assignment strategy that a member knows, with what it has to say for it.
type groupProtocolOf struct {
	name     string
	metadata []byte
}

// joined is the answer to a join.
type joined struct {
	err                    *kerr.Error
	memberID               string
	generation             int32
	protocolType, protocol string
	leader                 string
	skipAssignment         bool
	members                []joinedMember // for the leader
	after                  durable        // what must be in the log first
}

// joinedMember is a member as the leader hears of it.
type joinedMember struct {
	id       string
	instance *string
	metadata []byte
}

// synced is the answer to a sync.
type synced struct {
	err                    *kerr.Error
	protocolType, protocol string
	assignment             []byte
}

// classicMember is a member of a classicGroup.
type classicMember struct {
	id                 string
	instance           *string
	clientID, host     string
	session, rebalance time.Duration
	protocols          []groupProtocolOf
	assignment         []byte
	deadline           time.Time // the session's end; counts while nothing of it waits

	join chan joined // capacity 1; not nil while its join waits
	sync chan synced // capacity 1; not nil while its sync waits
}

// metadata is what the member says for a protocol.
func (m *classicMember) metadata(protocol string) []byte {
	for _, p := range m.protocols {
		if p.name == protocol {
			return p.metadata
		}
	}
	return nil
}

func (m *classicMember) answerJoin(j joined) {
	if m.join != nil {
		m.join <- j
		m.join = nil
	}
}

func (m *classicMember) answerSync(s synced) {
	if m.sync != nil {
		m.sync <- s
		m.sync = nil
	}
}

// classicGroup is the state machine of a group of the classic protocol (KIP-134, KIP-345, KIP-394). It does no I/O and reads no clock; time comes in with each
// call. Answers go into channels with room for them.
type classicGroup struct {
	id                     string
	state                  groupState
	generation             int32
	protocolType, protocol string
	leader                 string
	members                map[string]*classicMember
	order                  []string             // member ids by age
	static                 map[string]string    // member id by instance id
	pending                map[string]time.Time // ids given out and not used yet, and until when
	deadline               time.Time            // of the phase: joins when preparing, syncs when completing
	gathering              bool                 // preparing from empty: the deadline is waited for even if all have joined
	storing                bool                 // the leader's assignment is on its way to the log
	changed                bool                 // the members in the log are out of date
	writing                chan struct{}        // while a goroutine writes them; it closes it
}

func newClassicGroup(id string) *classicGroup {
	return &classicGroup{id: id, members: map[string]*classicMember{}, static: map[string]string{}, pending: map[string]time.Time{}}
}

// checkInstance returns the error for a request that speaks for member id as a static member, given who the static members are now. One that another has replaced is fenced (KIP-345).
func checkInstance(static map[string]string, id string, instance *string) *kerr.Error {
	if instance == nil {
		return nil
	}
	now, ok := static[*instance]
	switch {
	case !ok:
		return kerr.UnknownMemberID
	case now != id:
		return kerr.FencedInstanceID
	}
	return nil
}

// find returns the member that a request speaks for.
func (g *classicGroup) find(id string, instance *string) (*classicMember, *kerr.Error) {
	if err := checkInstance(g.static, id, instance); err != nil {
		return nil, err
	}
	m := g.members[id]
	if m == nil {
		return nil, kerr.UnknownMemberID
	}
	return m, nil
}

// agrees reports whether a member with these protocols fits: there must be one that all know.
func (g *classicGroup) agrees(protocolType string, protocols []groupProtocolOf, but string) bool {
	others := 0
	common := func(name string) bool {
		for id, m := range g.members {
			if id != but && !slices.ContainsFunc(m.protocols, func(p groupProtocolOf) bool { return p.name == name }) {
				return false
			}
		}
		return true
	}
	for id := range g.members {
		if id != but {
			others++
		}
	}
	if others == 0 {
		return true
	}
	return protocolType == g.protocolType && slices.ContainsFunc(protocols, func(p groupProtocolOf) bool { return common(p.name) })
}

// add makes m a member and starts a rebalance.
func (g *classicGroup) add(m *classicMember, protocolType string, now time.Time) {
	delete(g.pending, m.id)
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	g.members[m.id] = m
	g.order = append(g.order, m.id)
	if m.instance != nil {
		g.static[*m.instance] = m.id
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.touch(m, now)
	if g.state == groupPreparing {
		g.tryComplete(now)
		return
	}
	g.prepare(now)
}

// rejoin is a join by a member: it waits with the others, or is told what it would have heard.
func (g *classicGroup) rejoin(m *classicMember, protocols []groupProtocolOf, now time.Time) {
	same := slices.EqualFunc(m.protocols, protocols, groupProtocolOf.equal)
	m.protocols = protocols
	g.touch(m, now)
	switch {
	case g.state == groupPreparing:
		g.tryComplete(now)
	case same && (g.state == groupCompleting || g.state == groupStable && m.id != g.leader):
		m.answerJoin(g.joinedAs(m))
	default:
		g.prepare(now)
	}
}

// replaceStatic gives the place of a static member to m, its next incarnation, and answers m's join. A stable group goes on as it is if m says the same as the old one; oldLeader tells
// a client that cannot skip the assignment another leader's name, so that it will not assign.
func (g *classicGroup) replaceStatic(oldID string, m *classicMember, canSkip bool, now time.Time) {
	old := g.members[oldID]
	old.answerJoin(joined{err: kerr.FencedInstanceID, memberID: oldID})
	old.answerSync(synced{err: kerr.FencedInstanceID})
	same := string(old.metadata(g.protocol)) == string(m.metadata(g.protocol)) && old.metadata(g.protocol) != nil
	m.assignment = old.assignment
	delete(g.members, oldID)
	g.members[m.id] = m
	g.order[slices.Index(g.order, oldID)] = m.id
	g.static[*m.instance] = m.id
	leads := g.leader == oldID
	if leads {
		g.leader = m.id
	}
	g.touch(m, now)
	switch {
	case g.state == groupPreparing:
		g.tryComplete(now)
	case g.state == groupStable && same:
		g.changed = true
		j := g.joinedAs(m)
		if leads && canSkip {
			j.skipAssignment = true
		} else if leads {
			j.leader, j.members = oldID, nil
		}
		m.answerJoin(j)
	default:
		g.prepare(now)
	}
}

// remove ends a membership.
func (g *classicGroup) remove(m *classicMember, why *kerr.Error, now time.Time) {
	g.drop(m, why)
	switch g.state {
	case groupPreparing:
		g.tryComplete(now)
	default:
		g.prepare(now)
	}
}

func (g *classicGroup) drop(m *classicMember, why *kerr.Error) {
	m.answerJoin(joined{err: why, memberID: m.id})
	m.answerSync(synced{err: why})
	delete(g.members, m.id)
	g.order = slices.DeleteFunc(g.order, func(id string) bool { return id == m.id })
	if m.instance != nil && g.static[*m.instance] == m.id {
		delete(g.static, *m.instance)
	}
	if g.leader == m.id {
		g.leader = ""
		if len(g.order) > 0 {
			g.leader = g.order[0]
		}
	}
}

// prepare begins a rebalance: everybody has to join again.
func (g *classicGroup) prepare(now time.Time) {
	for _, m := range g.members {
		m.answerSync(synced{err: kerr.RebalanceInProgress})
	}
	g.gathering, g.storing = g.state == groupEmpty, false
	g.state = groupPreparing
	g.deadline = now.Add(g.patience())
	if g.gathering {
		g.deadline = now.Add(joinDelay)
	}
	g.tryComplete(now)
}

// disband tells whoever waits to join again: it is another group then.
func (g *classicGroup) disband() {
	for _, m := range g.members {
		m.answerJoin(joined{err: kerr.RebalanceInProgress, memberID: m.id})
		m.answerSync(synced{err: kerr.RebalanceInProgress})
	}
}

// patience is how long the group waits for its slowest member.
func (g *classicGroup) patience() time.Duration {
	var d time.Duration
	for _, m := range g.members {
		d = max(d, m.rebalance)
	}
	return d
}

// tryComplete ends the joining when all are there.
func (g *classicGroup) tryComplete(now time.Time) {
	if g.gathering && now.Before(g.deadline) {
		return
	}
	for _, m := range g.members {
		if m.join == nil {
			return
		}
	}
	if len(g.pending) == 0 || !now.Before(g.deadline) {
		g.complete(now)
	}
}

// complete begins a generation with those who have joined. Static members may be late: they keep their place until their session ends.
func (g *classicGroup) complete(now time.Time) {
	for _, m := range slices.Collect(maps.Values(g.members)) {
		if m.join == nil && m.instance == nil {
			g.drop(m, kerr.UnknownMemberID)
		}
	}
	g.gathering, g.storing = false, false
	if len(g.members) == 0 {
		g.generation++
		g.state, g.protocol, g.leader, g.changed, g.deadline = groupEmpty, "", "", true, time.Time{}
		return
	}
	if !g.chooseLeader() {
		g.deadline = now.Add(g.patience()) // only static members, none of them here yet
		return
	}
	g.generation++
	g.protocol = g.vote()
	g.state = groupCompleting
	g.deadline = now.Add(g.patience())
	for _, id := range g.order {
		m := g.members[id]
		m.assignment = nil
		g.touch(m, now)
		m.answerJoin(g.joinedAs(m))
	}
}

// chooseLeader makes sure that the leader is one who has joined.
func (g *classicGroup) chooseLeader() bool {
	if m := g.members[g.leader]; m != nil && m.join != nil {
		return true
	}
	for _, id := range g.order {
		if g.members[id].join != nil {
			g.leader = id
			return true
		}
	}
	return false
}

// vote selects the protocol that most members prefer among those that all know; of equals, the oldest member's.
func (g *classicGroup) vote() string {
	votes := map[string]int{}
	var names []string
	for _, id := range g.order {
		for _, p := range g.members[id].protocols {
			if g.agrees(g.protocolType, []groupProtocolOf{p}, "") {
				if votes[p.name] == 0 {
					names = append(names, p.name)
				}
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	for _, name := range names {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// joinedAs is what m hears of the present generation.
func (g *classicGroup) joinedAs(m *classicMember) joined {
	j := joined{memberID: m.id, generation: g.generation, protocolType: g.protocolType, protocol: g.protocol, leader: g.leader}
	if m.id == g.leader {
		for _, id := range g.order {
			o := g.members[id]
			j.members = append(j.members, joinedMember{id, o.instance, o.metadata(g.protocol)})
		}
	}
	return j
}

// assign takes what the leader has decided; stored then makes it count.
func (g *classicGroup) assign(assignments map[string][]byte) {
	g.storing = true
	for id, m := range g.members {
		m.assignment = assignments[id]
	}
}

// stored is called when the assignment of a generation is in the log, or could not be written.
func (g *classicGroup) stored(generation int32, err *kerr.Error, now time.Time) {
	if g.state != groupCompleting || g.generation != generation || !g.storing {
		return
	}
	g.storing = false
	if err != nil {
		for _, m := range g.members {
			m.answerSync(synced{err: err})
		}
		g.prepare(now)
		return
	}
	g.state, g.deadline = groupStable, time.Time{}
	for _, m := range g.members {
		g.touch(m, now)
		m.answerSync(g.syncedAs(m))
	}
}

func (g *classicGroup) syncedAs(m *classicMember) synced {
	return synced{protocolType: g.protocolType, protocol: g.protocol, assignment: m.assignment}
}

// touch begins m's session anew.
func (g *classicGroup) touch(m *classicMember, now time.Time) { m.deadline = now.Add(m.session) }

// next is when tick must be called; zero if never.
func (g *classicGroup) next() time.Time {
	at := g.deadline
	earlier := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	for _, m := range g.members {
		if m.join == nil && m.sync == nil {
			earlier(m.deadline)
		}
	}
	for _, until := range g.pending {
		earlier(until)
	}
	return at
}

// tick does what is due.
func (g *classicGroup) tick(now time.Time) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	for id, until := range g.pending {
		if due(until) {
			delete(g.pending, id)
		}
	}
	for _, m := range slices.Collect(maps.Values(g.members)) {
		if g.members[m.id] == m && m.join == nil && m.sync == nil && due(m.deadline) {
			g.remove(m, kerr.UnknownMemberID, now)
		}
	}
	switch {
	case g.state == groupPreparing && due(g.deadline):
		g.complete(now)
	case g.state == groupPreparing:
		g.tryComplete(now) // a pending id has gone
	case g.state == groupCompleting && due(g.deadline) && !g.storing:
		for _, m := range slices.Collect(maps.Values(g.members)) {
			if m.sync == nil {
				g.drop(m, kerr.UnknownMemberID)
			}
		}
		g.prepare(now)
	}
}
