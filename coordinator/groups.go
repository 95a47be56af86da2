package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
)

// Bounds of what members ask for.
const (
	minSessionTimeout = 100 * time.Millisecond
	maxSessionTimeout = 30 * time.Minute // Kafka's group.max.session.timeout.ms
	maxRebalanceTime  = 30 * time.Minute
	// memberIDBytes is how much randomness is in a member's id.
	memberIDBytes = 16
)

// GroupsConfig is what Groups need. All fields but Partitions and Refuse must be set.
type GroupsConfig struct {
	Offsets *Offsets
	// Partitions are those whose groups they are; nil: all that are loaded. Groups last as long as these are led.
	Partitions []TopicPartition
	// Refuse makes these groups none: whoever asks for one is told this error.
	Refuse *kerr.Error
	Clock  clock.Clock
	Rand   io.Reader // safe for concurrent use
	Logger *slog.Logger
}

// Groups coordinates the consumer groups of Kafka clients, by the classic protocol (group_state.go decides) and by that of KIP-848 (consumer_state.go); this drives them with time and keeps
// what is decided in __consumer_offsets, so that a group goes on where it was after a restart. It answers key 8 and 11 to 16, 42, 47, 68 and 69 (group_requests.go, group_admin.go,
// consumer_requests.go). A classic group becomes one of the consumer protocol when the first member of that joins, and again a classic one when the last has left (mixed_convert.go); in between it has
// members of both (mixed_member.go).
//
// Persistent queries have groups too, but not of this kind: nodes claim their partitions (querygroup.go), and clients cannot join them.
type Groups struct {
	offsets *Offsets
	clock   clock.Clock
	rand    io.Reader
	log     *slog.Logger
	refuse  *kerr.Error
	parts   []TopicPartition // nil: all

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // there is an earlier deadline

	mu struct {
		sync.Mutex
		groups    map[string]*classicGroup
		consumers map[string]*consumerGroup
	}
}

// NewGroups takes up the groups that the log knows; the offsets' partitions have been loaded before. Their members have one session to be heard of.
func NewGroups(cfg GroupsConfig) *Groups {
	gs := &Groups{offsets: cfg.Offsets, clock: cfg.Clock, rand: cfg.Rand, log: cfg.Logger, refuse: cfg.Refuse, parts: cfg.Partitions, wake: make(chan struct{}, 1)}
	gs.ctx, gs.cancel = context.WithCancel(context.Background())
	gs.mu.groups, gs.mu.consumers = map[string]*classicGroup{}, map[string]*consumerGroup{}
	now := gs.clock.Now()
	for _, l := range gs.leases() {
		l.consumerGroups(func(id string, c *consumerRecord) {
			gs.mu.consumers[id] = restoreConsumerGroup(id, c, now, consumerSession)
		})
		l.classicGroups(func(id string, g storedGroup) {
			gs.mu.groups[id] = restoreGroup(id, g, now)
		})
	}
	gs.wg.Go(gs.run)
	return gs
}

// Close ends all that waits and returns when it has ended: whoever asks from then on is told to look for another coordinator. Broker.Close comes after it.
func (gs *Groups) Close() {
	gs.mu.Lock()
	gs.cancel() // under the lock, so that doneLocked begins nothing behind it
	gs.mu.Unlock()
	gs.wg.Wait()
}

// storedGroup is a group as the log knows it.
type storedGroup struct {
	generation int32
	how        groupProtocols
	members    []GroupMember
}

// leases are those of the partitions whose groups these are and that are loaded.
func (gs *Groups) leases() (leases []*offsetLease) {
	if gs.refuse != nil {
		return nil
	}
	for l := range gs.offsets.leases.loaded() {
		if gs.parts == nil || slices.Contains(gs.parts, l.tp) {
			leases = append(leases, l)
		}
	}
	return leases
}

// classicGroups calls f with the groups that have members and are not those of queries.
func (l *offsetLease) classicGroups(f func(id string, s storedGroup)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, g := range l.mu.groups {
		if g.known && !isQueryGroup(id) {
			s := storedGroup{generation: g.generation, how: g.protocol}
			for _, m := range g.members {
				s.members = append(s.members, m)
			}
			f(id, s)
		}
	}
}

func restoreGroup(id string, s storedGroup, now time.Time) *classicGroup {
	g := newClassicGroup(id)
	g.generation, g.protocolType = s.generation, s.how.protocolType
	if len(s.members) == 0 {
		return g
	}
	g.state, g.protocol, g.leader = groupStable, s.how.protocol, s.how.leader
	for _, r := range s.members {
		m := &classicMember{
			id: r.ID, instance: r.InstanceID, clientID: r.ClientID, host: r.ClientHost, session: max(r.SessionTimeout, minSessionTimeout),
			rebalance: r.RebalanceTimeout, assignment: r.Assignment, protocols: []groupProtocolOf{{s.how.protocol, r.Subscription}},
		}
		g.members[m.id] = m
		g.order = append(g.order, m.id)
		if m.instance != nil {
			g.static[*m.instance] = m.id
		}
		g.touch(m, now)
	}
	return g
}

// run calls the groups when their time has come.
func (gs *Groups) run() {
	timer := gs.clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := gs.tick()
		wait := time.Hour
		if !next.IsZero() {
			wait = max(next.Sub(gs.clock.Now()), time.Millisecond)
		}
		timer.Reset(wait)
		select {
		case <-timer.C():
		case <-gs.wake:
		case <-gs.ctx.Done():
			return
		}
	}
}

// tick does what is due and returns when the next is.
func (gs *Groups) tick() (next time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	now := gs.clock.Now()
	for _, g := range gs.mu.groups {
		g.tick(now)
		gs.doneLocked(g)
		if at := g.next(); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if at := gs.tickConsumersLocked(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
		next = at
	}
	return next
}

// doneLocked is called when a group may have changed: it sees to the log and forgets a group of which nothing is left to know. The caller wakes run if there may be
// an earlier deadline.
func (gs *Groups) doneLocked(g *classicGroup) {
	switch {
	case gs.ctx.Err() != nil:
	case (g.changed || g.storing) && g.writing == nil:
		g.writing = make(chan struct{})
		gs.wg.Go(func() { gs.store(g) })
	case g.state == groupEmpty && g.writing == nil && len(g.pending) == 0 && gs.mu.groups[g.id] == g:
		delete(gs.mu.groups, g.id) // the log has its generation
	}
}

func (gs *Groups) wakeUp() {
	select {
	case gs.wake <- struct{}{}:
	default:
	}
}

// store writes a group's members to the log until it has the newest.
func (gs *Groups) store(g *classicGroup) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for g.changed || g.storing {
		storing, generation := g.storing, g.generation
		how, members := g.snapshot()
		g.changed = false
		gs.mu.Unlock()
		err := gs.offsets.setGroup(gs.ctx, g.id, generation, how, members)
		gs.mu.Lock()
		if err != nil && gs.ctx.Err() == nil {
			gs.log.Warn("the members of a consumer group cannot be written", "group", g.id, "err", err)
		}
		if storing {
			g.stored(generation, groupError(err), gs.clock.Now())
		}
		if gs.ctx.Err() != nil {
			break
		}
	}
	close(g.writing)
	g.writing = nil
	gs.doneLocked(g)
	gs.wakeUp()
}

// groupError is what a member is told. That this node leads the log of the groups no more, or that it has too few replicas, is for the coordinator to know: to clients of groups it means to look for the
// coordinator again, and they take no other word for that.
func groupError(err error) *kerr.Error {
	var ke *kerr.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &ke), logErrors[ke]:
		return coordinatorError(err)
	default:
		return ke
	}
}

// snapshot is the group as it goes into the log.
func (g *classicGroup) snapshot() (groupProtocols, []GroupMember) {
	how := groupProtocols{g.protocolType, g.protocol, g.leader}
	members := make([]GroupMember, 0, len(g.members))
	for _, id := range g.order {
		m := g.members[id]
		members = append(members, GroupMember{
			ID: m.id, ClientID: m.clientID, ClientHost: m.host, Subscription: m.metadata(g.protocol), Assignment: m.assignment,
			InstanceID: m.instance, SessionTimeout: m.session, RebalanceTimeout: m.rebalance,
		})
	}
	return how, members
}

// check refuses names of groups that clients cannot have, and those whose coordinator is elsewhere.
func (gs *Groups) check(id string) *kerr.Error {
	if isQueryGroup(id) {
		return kerr.GroupAuthorizationFailed
	}
	if gs.refuse != nil {
		return gs.refuse
	}
	if gs.ctx.Err() != nil {
		return kerr.NotCoordinator
	}
	_, kerror := gs.offsets.lease(id)
	return kerror
}

// groupLocked returns a group with members or about to have some; make makes it, from the generation that the log knows.
func (gs *Groups) groupLocked(id string, create bool) *classicGroup {
	g := gs.mu.groups[id]
	if g == nil && create {
		g = newClassicGroup(id)
		if generation, _, ok, err := gs.offsets.Group(id); ok && err == nil {
			g.generation = generation
		}
		gs.mu.groups[id] = g
	}
	return g
}

func (gs *Groups) newMemberID(clientID string) (string, error) {
	var b [memberIDBytes]byte
	if _, err := io.ReadFull(gs.rand, b[:]); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s-%x", clientID, b), nil
}

func cloneProtocols(all []groupProtocolOf) []groupProtocolOf {
	out := make([]groupProtocolOf, len(all))
	for i, p := range all {
		out[i] = groupProtocolOf{p.name, bytes.Clone(p.metadata)}
	}
	return out
}
