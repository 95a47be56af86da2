package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

const (
	// maxOffsetMetadata bounds the metadata of a committed offset, in bytes (Kafka's offset.metadata.max.bytes).
	maxOffsetMetadata = 4096
	// offsetsRetention is how long the offsets of a group without members are kept (Kafka's offsets.retention.minutes).
	offsetsRetention = 7 * 24 * time.Hour
	// offsetsExpireInterval is how often they are looked through.
	offsetsExpireInterval = 10 * time.Minute
	// queryGroupPrefix names the groups of persistent queries. A query may be paused for longer than the retention, so its offsets go
	// only with the query.
	queryGroupPrefix = "millrace-query-"
)

// Offsets keeps the committed offsets of the groups whose partition this node leads, and what their members'
// claims are checked against.
type Offsets struct {
	partitions Partitions
	txns       *Transactions // set by New: a commit inside a transaction is part of it
	topics     func() TopicsView
	clock      clock.Clock
	log        *slog.Logger

	leases leaseTable[offsetLease, *offsetLease]

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// offsetLease is one term as leader of a partition of a group coordinators' topic.
type offsetLease struct {
	tenure
	topics func() TopicsView

	mu struct {
		sync.Mutex
		groups  map[string]*group
		pending map[int64]pendingOffsets // by producer id
		changed chan struct{}            // closed and replaced when pending offsets are settled
	}
}

// offsetKey names one offset.
type offsetKey struct {
	group string
	TopicPartition
}

// pendingOffsets are those of an open transaction.
type pendingOffsets struct {
	epoch   int16 // of the producer
	offsets map[offsetKey]committed
}

// committed is an offset as committed.
type committed struct {
	offset       int64
	leaderEpoch  int32
	metadata     string
	commitMillis int64
	position     int64 // of the record in the log; the highest counts, whenever its transaction ended
}

// group is what is known of a consumer group.
type group struct {
	known      bool // has metadata, not only offsets
	generation int32
	protocol   groupProtocols
	members    map[string]GroupMember
	owners     map[TopicPartition]ownership // of a persistent query's group
	consumer   *consumerRecord              // of the consumer protocol; nil if it is a classic group or none
	offsets    map[TopicPartition]committed
	unstable   map[TopicPartition]int // number of open transactions with an offset for it
}

// GroupMember is a member of a group. Subscription and Assignment are opaque here; clients of the consumer protocol read them.
type GroupMember struct {
	ID                       string
	ClientID, ClientHost     string
	Subscription, Assignment []byte
	// InstanceID is that of a static member (KIP-345), else nil. The time-outs are kept for a coordinator that takes over; 0 if there are none.
	InstanceID                       *string
	SessionTimeout, RebalanceTimeout time.Duration
}

// groupProtocols is how the members of a group came to their assignment.
type groupProtocols struct {
	protocolType, protocol, leader string
}

func newOffsets(cfg Config) *Offsets {
	o := &Offsets{
		partitions: cfg.Partitions,
		topics:     cfg.Topics,
		clock:      cfg.Clock,
		log:        cfg.Logger,
		leases:     newLeaseTable[offsetLease](cfg),
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.wg.Go(o.expireLoop)
	return o
}

func (o *Offsets) close() {
	o.cancel()
	o.leases.close()
	o.wg.Wait()
}

func (o *Offsets) resign(tp TopicPartition) { o.leases.swap(tp, nil) }

// serving is the lease of a partition that is loaded here; nil if it is not.
func (o *Offsets) serving(tp TopicPartition) *offsetLease {
	if l := o.leases.at(tp); l != nil && l.ready.Load() {
		return l
	}
	return nil
}

func (o *Offsets) partitionOf(groupID string) TopicPartition {
	return OffsetsPartition(groupID, o.leases.slots.count)
}

// lease returns the lease that owns the group.
func (o *Offsets) lease(groupID string) (*offsetLease, *kerr.Error) {
	if groupID == "" {
		return nil, kerr.InvalidGroupID
	}
	return o.leases.serving(o.partitionOf(groupID))
}

func (l *offsetLease) groupLocked(id string) *group {
	g := l.mu.groups[id]
	if g == nil {
		g = &group{offsets: map[TopicPartition]committed{}, unstable: map[TopicPartition]int{}}
		l.mu.groups[id] = g
	}
	return g
}

// applyLocked makes an offset count unless a later record has.
func (l *offsetLease) applyLocked(key offsetKey, c committed) {
	g := l.groupLocked(key.group)
	if old, ok := g.offsets[key.TopicPartition]; !ok || old.position < c.position {
		g.offsets[key.TopicPartition] = c
	}
}

// pendLocked keeps an offset until its producer's transaction ends. What is left of a transaction with an older epoch never was: the log has aborted it.
func (l *offsetLease) pendLocked(producerID int64, epoch int16, key offsetKey, c committed) {
	p, open := l.mu.pending[producerID]
	if open && p.epoch < epoch {
		l.settleLocked(producerID, false)
		open = false
	}
	if !open {
		p = pendingOffsets{epoch, map[offsetKey]committed{}}
		l.mu.pending[producerID] = p
	}
	if _, again := p.offsets[key]; !again {
		l.groupLocked(key.group).unstable[key.TopicPartition]++
	}
	p.offsets[key] = c
}

// settleLocked ends a producer's transaction: its pending offsets count, or never were.
func (l *offsetLease) settleLocked(producerID int64, commit bool) {
	for key, c := range l.mu.pending[producerID].offsets {
		g := l.groupLocked(key.group)
		if g.unstable[key.TopicPartition]--; g.unstable[key.TopicPartition] == 0 {
			delete(g.unstable, key.TopicPartition)
		}
		if commit {
			l.applyLocked(key, c)
		}
	}
	delete(l.mu.pending, producerID)
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
}

// finish is called when the marker of a transaction is below the high watermark.
func (l *offsetLease) finish(mk record.Marker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch p, open := l.mu.pending[mk.ProducerID]; {
	case !open:
	case mk.Ends(p.epoch):
		l.settleLocked(mk.ProducerID, mk.Commit)
	case p.epoch < mk.ProducerEpoch:
		l.settleLocked(mk.ProducerID, false) // the log has aborted it
	}
}

// claim is what a member says of itself when it commits.
type claim struct {
	group      string
	member     string
	generation int32 // or the member's epoch
	version    int16 // of OffsetCommit, which is of no use to members of the consumer protocol below memberEpochVersion
}

// memberEpochVersion is the first version of OffsetCommit whose clients know of member epochs (KIP-848).
const memberEpochVersion = 9

// checkLocked refuses a claim that is out of date. An offset may be committed without a claim only while nobody else can have one:
// the group has no members, or the commit is inside a transaction by a client that sends none.
func (l *offsetLease) checkLocked(c claim, transactional bool, tps []TopicPartition) *kerr.Error {
	g := l.mu.groups[c.group]
	unclaimed := c.member == "" && c.generation < 0
	switch {
	case unclaimed && (transactional || g == nil || len(g.members) == 0 && !g.consumer.live()):
		return nil
	case g != nil && g.consumer.live():
		m := g.consumer.members[c.member]
		if !transactional && c.version < memberEpochVersion && (m == nil || m.classic == nil) {
			return kerr.UnsupportedVersion
		}
		kerror := g.consumer.checkCommit(c.member, c.generation, tps, l.topics)
		if transactional && kerror == kerr.StaleMemberEpoch {
			return kerr.IllegalGeneration // TxnOffsetCommit has no other
		}
		return kerror
	case g == nil || !g.known:
		return kerr.IllegalGeneration
	case len(g.owners) > 0 && isQueryGroup(c.group):
		return g.checkOwner(c, tps)
	}
	if _, ok := g.members[c.member]; !ok {
		return kerr.UnknownMemberID
	}
	if c.generation != g.generation {
		return kerr.IllegalGeneration
	}
	return nil
}

// SetGroup makes members the whole of the group in generation, and returns when that is durable: from then on commits with an
// older claim are refused. Generations must not go down.
func (o *Offsets) SetGroup(ctx context.Context, groupID string, generation int32, members []GroupMember) error {
	how := groupProtocols{protocolType: groupProtocolType}
	if len(members) > 0 {
		how.protocol, how.leader = groupProtocol, members[0].ID
	}
	return o.setGroup(ctx, groupID, generation, how, members)
}

func (o *Offsets) setGroup(ctx context.Context, groupID string, generation int32, how groupProtocols, members []GroupMember) error {
	l, kerror := o.lease(groupID)
	if kerror != nil {
		return kerror
	}
	set := newRecordSet(o.clock.Now().UnixMilli())
	set.addGroup(groupID, generation, how, members)
	next, err := func() (int64, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if g := l.mu.groups[groupID]; g != nil && g.known && g.generation > generation {
			return 0, fmt.Errorf("group %q is in generation %d, beyond %d: %w", groupID, g.generation, generation, kerr.IllegalGeneration)
		}
		next, err := l.appendSet(ctx, set)
		if err != nil {
			return 0, err
		}
		l.groupLocked(groupID).setMembers(generation, how, members)
		return next, nil
	}()
	if err != nil {
		return err
	}
	return l.part.WaitHighWatermark(ctx, next)
}

func (g *group) setMembers(generation int32, how groupProtocols, members []GroupMember) {
	g.known = true
	g.generation, g.protocol = generation, how
	g.members = make(map[string]GroupMember, len(members))
	for _, m := range members {
		g.members[m.ID] = m
	}
	g.owners = nil
	if how.protocol == groupProtocol {
		g.owners = ownersIn(members)
	}
}

// Group returns the generation and the members of a group; ok is false for one that never had members.
func (o *Offsets) Group(groupID string) (generation int32, members []GroupMember, ok bool, err error) {
	l, kerror := o.lease(groupID)
	if kerror != nil {
		return 0, nil, false, kerror
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.groups[groupID]
	if g == nil || !g.known {
		return 0, nil, false, nil
	}
	for _, m := range g.members {
		members = append(members, m)
	}
	return g.generation, members, true, nil
}

// DeleteGroup forgets a group with all its offsets, and returns when that is durable. A group with an open transaction is
// refused with NON_EMPTY_GROUP; so is one with members, unless force is set. An unknown group is GROUP_ID_NOT_FOUND.
func (o *Offsets) DeleteGroup(ctx context.Context, groupID string, force bool) error {
	l, kerror := o.lease(groupID)
	if kerror != nil {
		return kerror
	}
	next, err := l.deleteGroup(ctx, groupID, force, o.clock.Now().UnixMilli())
	if err != nil {
		return err
	}
	return l.part.WaitHighWatermark(ctx, next)
}

func (l *offsetLease) deleteGroup(ctx context.Context, groupID string, force bool, now int64) (next int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.groups[groupID]
	switch {
	case g == nil:
		return 0, kerr.GroupIDNotFound
	case len(g.unstable) > 0 || (len(g.members) > 0 || g.consumer.live()) && !force:
		return 0, kerr.NonEmptyGroup
	}
	set := newRecordSet(now)
	for tp := range g.offsets {
		set.addKey(encodeOffsetKey(offsetKey{groupID, tp}))
	}
	if g.consumer != nil {
		set.addGroupEnd(groupID, g.consumer)
	} else {
		set.addKey(encodeGroupKey(groupID))
	}
	if next, err = l.appendSet(ctx, set); err != nil {
		return 0, err
	}
	delete(l.mu.groups, groupID)
	return next, nil
}

// expireLoop forgets offsets of groups that nobody uses.
func (o *Offsets) expireLoop() {
	for clock.Wait(o.ctx, o.clock, offsetsExpireInterval) {
		for l := range o.leases.loaded() {
			o.expire(l)
		}
	}
}

func (o *Offsets) expire(l *offsetLease) {
	now := o.clock.Now().UnixMilli()
	for _, id := range l.expired(now) {
		if _, err := l.deleteGroup(o.ctx, id, false, now); err != nil {
			o.log.Warn("offsets cannot be expired yet", "group", id, "err", err)
		}
	}
}

// expired lists the groups without members all of whose offsets are older than the retention.
func (l *offsetLease) expired(now int64) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, g := range l.mu.groups {
		old := len(g.members) == 0 && !g.consumer.live() && len(g.unstable) == 0 && !isQueryGroup(id)
		for _, c := range g.offsets {
			old = old && now-c.commitMillis > offsetsRetention.Milliseconds()
		}
		if old {
			ids = append(ids, id)
		}
	}
	return ids
}

// AwaitStable returns when no open transaction has an offset for any of tps in the group (KIP-447).
func (o *Offsets) AwaitStable(ctx context.Context, groupID string, tps []TopicPartition) error {
	l, kerror := o.lease(groupID)
	if kerror != nil {
		return kerror
	}
	for {
		stable, changed := l.stable(groupID, tps)
		if stable {
			return nil
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return kerr.NotCoordinator
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *offsetLease) stable(groupID string, tps []TopicPartition) (bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.mu.groups[groupID]; g != nil {
		for _, tp := range tps {
			if g.unstable[tp] > 0 {
				return false, l.mu.changed
			}
		}
	}
	return true, nil
}
