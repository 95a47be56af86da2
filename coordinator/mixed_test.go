package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// migration is a group whose members are of both protocols.
type migration struct {
	t       *testing.T
	log     *memLog
	topics  *fakeTopics
	broker  *Broker
	gs      *Groups
	members []*mover
}

// mover is a client that can be of either protocol, one at a time.
type mover struct {
	*migration
	name     string
	instance *string
	id       string
	epoch    int32 // or generation
	owned    assignment

	consumer bool // it speaks the consumer protocol
	eager    bool // by the classic protocol it gives up everything before it joins
	joined   bool // by the classic protocol: it has its assignment
	joins    chan *kmsg.JoinGroupResponse
	syncs    chan *kmsg.SyncGroupResponse
}

func newMigration(t *testing.T, partitions int32) *migration {
	m := &migration{t: t, log: newMemLog(testTopics()), topics: &fakeTopics{topics: map[string]TopicInfo{}}}
	m.topics.set("a", partitions)
	m.open()
	return m
}

func (m *migration) open() {
	m.broker = New(Config{
		Partitions: m.log, AllocateIDs: (&ids{}).allocate, Clock: clock.Real, InternalPartitions: testPartitions, Logger: slog.New(slog.DiscardHandler),
		Topics: func() TopicsView { return m.topics },
	})
	require.NoError(m.t, m.broker.Lead(m.t.Context(), allPartitions))
	m.gs = NewGroups(GroupsConfig{Offsets: m.broker.Offsets, Clock: clock.Real, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
}

func (m *migration) close() {
	m.gs.Close()
	require.NoError(m.t, m.broker.Close())
	synctest.Wait()
}

// reopen is a restart of the coordinator; the members go on with what they have.
func (m *migration) reopen() {
	m.close()
	m.open()
}

func (m *migration) client(name string) *mover {
	c := &mover{migration: m, name: name, id: "", owned: assignment{}}
	m.members = append(m.members, c)
	return c
}

func (c *mover) strategy() string {
	if c.eager {
		return "range"
	}
	return "cooperative-sticky"
}

// step does what a client of its protocol does next.
func (c *mover) step() {
	switch {
	case c.consumer:
		c.beat()
	case c.joins != nil:
		c.hearJoin()
	case c.syncs != nil:
		c.hearSync()
	case !c.joined:
		c.join()
	default:
		c.stay()
	}
}

func (c *mover) beat() {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch, req.InstanceID = 1, "g", c.id, c.epoch, c.instance
	req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 60_000, []string{"a"}, topicsOf(c.owned)
	resp := c.gs.StartConsumerHeartbeat(c.t.Context(), req, ConsumerCaller{ClientID: c.name, Host: "/h", Visible: everyTopic})()
	switch resp.ErrorCode {
	case 0:
		c.epoch = resp.MemberEpoch
		if resp.Assignment != nil {
			c.owned = assignment{}
			for _, t := range resp.Assignment.Topics {
				c.owned[t.TopicID] = t.Partitions
			}
		}
	case kerr.CoordinatorLoadInProgress.Code:
	case kerr.UnknownMemberID.Code, kerr.FencedMemberEpoch.Code, kerr.GroupIDNotFound.Code:
		c.epoch, c.owned = 0, assignment{}
	default:
		require.NoError(c.t, kerr.ErrorForCode(resp.ErrorCode), "%s", *resp.ErrorMessage)
	}
}

func (c *mover) subscription() []byte {
	meta := kmsg.ConsumerMemberMetadata{Version: 1, Topics: []string{"a"}}
	for _, parts := range c.owned {
		meta.OwnedPartitions = append(meta.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: "a", Partitions: parts})
	}
	return meta.AppendTo(nil)
}

func (c *mover) joinRequest() *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.ProtocolType = 9, "g", c.id, c.instance, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30_000, 60_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: c.strategy(), Metadata: c.subscription()}}
	return req
}

func (c *mover) join() {
	if c.eager {
		c.owned = assignment{}
	}
	finish := c.gs.StartJoin(c.t.Context(), c.joinRequest(), c.name, "/h")
	c.joins = make(chan *kmsg.JoinGroupResponse, 1)
	go func(answer chan<- *kmsg.JoinGroupResponse) { answer <- finish() }(c.joins)
}

// lose is what a client does that is not a member any more.
func (c *mover) lose(code int16) {
	switch code {
	case kerr.RebalanceInProgress.Code, kerr.NotCoordinator.Code, kerr.CoordinatorLoadInProgress.Code, kerr.InconsistentGroupProtocol.Code:
	case kerr.UnknownMemberID.Code:
		c.id, c.owned = "", assignment{}
	case kerr.IllegalGeneration.Code:
		c.owned = assignment{}
	default:
		require.NoError(c.t, kerr.ErrorForCode(code), c.name)
	}
}

func (c *mover) hearJoin() {
	var resp *kmsg.JoinGroupResponse
	select {
	case resp = <-c.joins:
		c.joins = nil
	default:
		return
	}
	switch {
	case resp.ErrorCode == kerr.MemberIDRequired.Code:
		c.id = resp.MemberID
		return
	case resp.ErrorCode != 0:
		c.lose(resp.ErrorCode)
		return
	}
	c.id, c.epoch = resp.MemberID, resp.Generation
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID, req.Protocol = 5, "g", c.id, c.epoch, c.instance, resp.Protocol
	if resp.LeaderID == c.id {
		req.GroupAssignment = c.lead(resp.Members)
	}
	finish := c.gs.StartSync(c.t.Context(), req)
	c.syncs = make(chan *kmsg.SyncGroupResponse, 1)
	go func(answer chan<- *kmsg.SyncGroupResponse) { answer <- finish() }(c.syncs)
}

// lead assigns for a classic group: to each in turn, and what another one still has to nobody.
func (c *mover) lead(members []kmsg.JoinGroupResponseMember) []kmsg.SyncGroupRequestGroupAssignment {
	owner := map[int32]string{}
	for _, m := range members {
		sub, err := readSubscription(m.ProtocolMetadata, c.topics)
		require.NoError(c.t, err)
		for tp := range sub.owned.all {
			owner[tp.partition] = m.MemberID
		}
	}
	parts := map[string][]int32{}
	for p := range c.topics.topics["a"].Partitions {
		to := members[int(p)%len(members)].MemberID
		if o := owner[p]; o == "" || o == to {
			parts[to] = append(parts[to], p)
		}
	}
	var out []kmsg.SyncGroupRequestGroupAssignment
	for _, m := range members {
		a := kmsg.ConsumerMemberAssignment{Version: 1, Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: "a", Partitions: parts[m.MemberID]}}}
		out = append(out, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: a.AppendTo(nil)})
	}
	return out
}

func (c *mover) hearSync() {
	var resp *kmsg.SyncGroupResponse
	select {
	case resp = <-c.syncs:
		c.syncs = nil
	default:
		return
	}
	if resp.ErrorCode != 0 {
		c.lose(resp.ErrorCode)
		return
	}
	next, err := decodeAssignment(resp.MemberAssignment, c.topics)
	require.NoError(c.t, err)
	_, given := c.owned.split(func(tp topicPart) bool { return next.has(tp.topic, tp.partition) })
	c.owned = next
	c.joined = c.eager || given.count() == 0 // a cooperative member that has given something up joins again
}

func (c *mover) stay() {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.InstanceID = 4, "g", c.id, c.epoch, c.instance
	if resp := c.gs.Heartbeat(req); resp.ErrorCode != 0 {
		c.joined = false
		c.lose(resp.ErrorCode)
	}
}

// restart ends the client and starts it again, of the other protocol or the same.
func (c *mover) restart(consumer bool) {
	switch {
	case c.consumer && c.epoch > 0:
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Version, req.Group, req.MemberID, req.MemberEpoch, req.InstanceID = 1, "g", c.id, epochLeave, c.instance
		if c.instance != nil {
			req.MemberEpoch = epochLeaveStatic
		}
		c.gs.StartConsumerHeartbeat(c.t.Context(), req, ConsumerCaller{ClientID: c.name, Host: "/h", Visible: everyTopic})()
	case !c.consumer && c.instance == nil:
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group = 3, "g"
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.id}}
		c.gs.LeaveGroup(req)
	}
	c.consumer, c.joined, c.joins, c.syncs = consumer, false, nil, nil
	c.id, c.epoch, c.owned = "", 0, assignment{}
	if consumer {
		var b [8]byte
		_, _ = rand.Read(b[:])
		c.id = hex.EncodeToString(b[:])
	}
}

func (m *migration) requireApart() {
	users := map[topicPart]string{}
	for _, c := range m.members {
		for tp := range c.owned.all {
			require.Empty(m.t, users[tp], "%v is used by %s and %s", tp, users[tp], c.name)
			users[tp] = c.name
		}
	}
}

// settle has the clients do things until all partitions are in use, fairly.
func (m *migration) settle() {
	fair := func() bool {
		var n []int
		for _, c := range m.members {
			n = append(n, c.owned.count())
		}
		return sum(n) == int(m.topics.topics["a"].Partitions) && slices.Max(n)-slices.Min(n) <= 1
	}
	quiet := 0
	for range 500 {
		for _, c := range m.members {
			c.step()
		}
		advance(100 * time.Millisecond)
		m.requireApart()
		if quiet++; !fair() {
			quiet = 0
		}
		if quiet > 20 {
			return
		}
	}
	for _, c := range m.members {
		m.t.Logf("%s: consumer %v, joined %v, id %q, epoch %d, %v", c.name, c.consumer, c.joined, c.id, c.epoch, c.owned)
	}
	require.FailNow(m.t, "the group does not come to rest")
}

// kind is the type and state of the group as ListGroups tells.
func (m *migration) kind() string {
	req := kmsg.NewPtrListGroupsRequest()
	req.Version = 5
	resp := m.gs.ListGroups(req)
	require.Len(m.t, resp.Groups, 1)
	return resp.Groups[0].GroupType + " " + resp.Groups[0].GroupState
}

func TestAGroupMovesToTheConsumerProtocolAndBackWhileItIsRead(t *testing.T) {
	for name, set := range map[string]func(*mover){
		"eager":              func(c *mover) { c.eager = true },
		"cooperative":        func(*mover) {},
		"static":             func(c *mover) { c.eager, c.instance = true, &c.name },
		"static cooperative": func(c *mover) { c.instance = &c.name },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMigration(t, 7)
				defer func() { m.close() }()
				for i := range 3 {
					set(m.client(fmt.Sprint("m", i)))
				}
				m.settle()
				require.Equal(t, "classic Stable", m.kind())
				for i, c := range m.members {
					c.restart(true)
					m.settle()
					require.Equal(t, "consumer Stable", m.kind())
					require.Equal(t, 2-i, m.classicMembers(), "the rest speaks the classic protocol")
					m.reopen()
					m.settle()
				}
				for i, c := range m.members {
					c.restart(false)
					m.settle()
					want := "consumer Stable"
					if i == 2 {
						want = "classic Stable"
					}
					require.Equal(t, want, m.kind())
					m.reopen()
					m.settle()
				}
			})
		})
	}
}

// classicMembers is how many ConsumerGroupDescribe tells of.
func (m *migration) classicMembers() (n int) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Version, req.Groups = 1, []string{"g"}
	for _, dm := range m.gs.ConsumerGroupDescribe(req).Groups[0].Members {
		if dm.MemberType == 0 {
			n++
		}
	}
	return n
}

func TestNoPartitionIsUsedByTwoWhileProtocolsAreMixed(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := mathrand.New(mathrand.NewPCG(seed, 1))
				m := newMigration(t, 1+rnd.Int32N(8))
				defer func() { m.close() }()
				eager := rnd.IntN(2) == 0
				for i := range 4 {
					m.client(fmt.Sprint("m", i)).eager = eager
				}
				for range 300 {
					c := m.members[rnd.IntN(len(m.members))]
					switch rnd.IntN(40) {
					case 0:
						c.restart(true)
					case 1:
						c.restart(false)
					case 2:
						m.reopen()
					case 3:
						m.topics.set("a", m.topics.topics["a"].Partitions+1)
					default:
						c.step()
					}
					advance(time.Duration(rnd.IntN(100)) * time.Millisecond)
					m.requireApart()
				}
				for _, c := range m.members {
					c.restart(seed%2 == 0)
				}
				m.settle()
			})
		})
	}
}

func TestClassicMembersOfAConsumerGroupAreFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMigration(t, 2)
		defer func() { m.close() }()
		old, young := m.client("old"), m.client("young")
		old.eager = true
		m.settleOf(old)
		young.restart(true)
		young.step()
		late := kmsg.NewPtrSyncGroupRequest()
		late.Version, late.Group, late.MemberID, late.Generation, late.Protocol = 5, "g", old.id, old.epoch, kmsg.StringPtr("range")
		require.Equal(t, kerr.RebalanceInProgress.Code, m.gs.StartSync(t.Context(), late)().ErrorCode, "there is another epoch")
		m.settle()

		commit := m.commit
		require.Nil(t, commit(old.id, old.epoch, 7), "as before")
		require.Equal(t, kerr.IllegalGeneration, commit(old.id, old.epoch-1, 7))
		require.Equal(t, kerr.UnsupportedVersion, commit(young.id, young.epoch, 7))
		require.Nil(t, commit(young.id, young.epoch, 9))
		require.Equal(t, kerr.UnknownMemberID, commit("stranger", 1, 9))

		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Version, beat.Group, beat.MemberID, beat.Generation = 4, "g", young.id, young.epoch
		require.Equal(t, kerr.UnknownMemberID.Code, m.gs.Heartbeat(beat).ErrorCode, "it is not of that protocol")
		beat.MemberID, beat.Generation = old.id, old.epoch+1
		require.Equal(t, kerr.IllegalGeneration.Code, m.gs.Heartbeat(beat).ErrorCode)

		join := old.joinRequest()
		join.Protocols[0].Name = "another"
		join.MemberID = ""
		require.Equal(t, kerr.InconsistentGroupProtocol.Code, m.gs.StartJoin(t.Context(), join, "x", "/h")().ErrorCode, "the group could not be a classic one any more")
		join = old.joinRequest()
		join.Protocols[0].Metadata = []byte("x")
		require.Equal(t, kerr.InconsistentGroupProtocol.Code, m.gs.StartJoin(t.Context(), join, "x", "/h")().ErrorCode)
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Version, sync.Group, sync.MemberID, sync.Generation, sync.Protocol = 5, "g", old.id, old.epoch, kmsg.StringPtr("another")
		require.Equal(t, kerr.InconsistentGroupProtocol.Code, m.gs.StartSync(t.Context(), sync)().ErrorCode)

		advance(31 * time.Second) // longer than its session, not than the other's
		young.step()
		require.Zero(t, m.classicMembers(), "it was not heard of")
	})
}

// settleOf is settle with some of the clients.
func (m *migration) settleOf(some ...*mover) {
	all := m.members
	defer func() { m.members = all }()
	m.members = some
	m.settle()
}

func (m *migration) commit(member string, generation int32, version int16) *kerr.Error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = version, "g", member, generation
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "in"
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Offset = 1
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	code := m.gs.OffsetCommit(context.Background(), req).Topics[0].Partitions[0].ErrorCode
	if code == 0 {
		return nil
	}
	return kerr.TypedErrorForCode(code)
}

func TestAGroupThatIsNotOfConsumersStaysClassic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMigration(t, 2)
		defer func() { m.close() }()
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = "g", "connect", 30_000, 30_000
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "default", Metadata: []byte("x")}}
		join := m.gs.StartJoin(t.Context(), req, "c", "/h")
		advance(joinDelay)
		require.Zero(t, join().ErrorCode)
		beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		beat.Version, beat.Group, beat.MemberID, beat.RebalanceTimeoutMillis, beat.SubscribedTopicNames = 1, "g", "m", 1000, []string{"a"}
		beat.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		resp := m.gs.StartConsumerHeartbeat(t.Context(), beat, ConsumerCaller{Visible: everyTopic})()
		require.Equal(t, kerr.GroupIDNotFound.Code, resp.ErrorCode)
		require.Contains(t, *resp.ErrorMessage, "connect")
		require.Equal(t, "classic CompletingRebalance", m.kind())
	})
}

func TestWhoWaitsForAClassicGroupHearsThatItIsOneNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMigration(t, 2)
		defer func() { m.close() }()
		a := m.client("a")
		m.settle()
		b := m.client("b")
		b.step() // gets its id
		synctest.Wait()
		b.step()
		b.step() // waits for a to join again
		synctest.Wait()
		require.Equal(t, "classic PreparingRebalance", m.kind())
		c := m.client("c")
		c.restart(true)
		c.step()
		synctest.Wait()
		require.Equal(t, kerr.RebalanceInProgress.Code, (<-b.joins).ErrorCode)
		b.joins = nil
		require.Len(t, a.owned, 1)
		m.settle()
	})
}

func TestWhoWaitsForAnAssignmentHearsThatTheCoordinatorMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMigration(t, 2)
		join := m.client("a").joinRequest()
		join.Version = memberIDVersion - 1
		first := m.gs.StartJoin(t.Context(), join, "a", "/h")
		second := m.gs.StartJoin(t.Context(), join, "b", "/h")
		advance(joinDelay)
		follower := first()
		if follower.LeaderID == follower.MemberID {
			follower = second()
		}
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.Generation = "g", follower.MemberID, follower.Generation
		sync := m.gs.StartSync(t.Context(), req)
		m.close()
		require.Equal(t, kerr.NotCoordinator.Code, sync().ErrorCode)
	})
}

// TestARequestBehindTheEndOfACoordinatorChangesNothing: another one has loaded the group by then.
func TestARequestBehindTheEndOfACoordinatorChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMigration(t, 2)
		defer func() { m.close() }()
		c := m.client("a")
		m.settle()
		log := m.log.get(OffsetsTopic, m.broker.Offsets.partitionOf("g").Partition)
		end := log.LogEnd()
		m.gs.Close()
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Version, req.Group = 3, "g"
		req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: c.id}}
		require.Equal(t, kerr.NotCoordinator.Code, m.gs.LeaveGroup(req).ErrorCode)
		synctest.Wait()
		require.Equal(t, end, log.LogEnd())
	})
}

func TestAMemberWhoseGroupCannotBeWrittenLooksForTheCoordinatorAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMigration(t, 2)
		join := m.client("a").joinRequest()
		join.Version = memberIDVersion - 1
		answer := m.gs.StartJoin(t.Context(), join, "a", "/h")
		advance(joinDelay)
		leader := answer()
		for _, tp := range allPartitions {
			m.log.get(tp.Topic, tp.Partition).depose()
		}
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.Generation = "g", leader.MemberID, leader.Generation
		req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: leader.MemberID}}
		require.Equal(t, kerr.NotCoordinator.Code, m.gs.StartSync(t.Context(), req)().ErrorCode, "clients of groups know no other error of a log")
		m.close()
	})
}

// TestAClassicMemberIsKeptAsKafkaKeepsIt pins the bytes of the one field that such a member adds.
func TestAClassicMemberIsKeptAsKafkaKeepsIt(t *testing.T) {
	c := &classicMembership{session: time.Second, protocols: []groupProtocolOf{{"range", []byte{7}}}}
	require.Equal(t, "01"+"000003e8"+"02"+"0672616e6765"+"0207"+"00"+"00", hex.EncodeToString(c.encode()))
	require.Equal(t, c, readClassicMembership(&kbin.Reader{Src: c.encode()}))
}

// FuzzClassicMember reads what clients say in the embedded protocol, and what kmsg makes of the same.
func FuzzClassicMember(f *testing.F) {
	rack := "r"
	full := kmsg.ConsumerMemberMetadata{Version: 3, Topics: []string{"b", "a"}, UserData: []byte("u"), Generation: 7, Rack: &rack}
	full.OwnedPartitions = []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "a", Partitions: []int32{1, 0}}, {Topic: "x", Partitions: []int32{1}}}
	f.Add(full.AppendTo(nil))
	f.Add((&kmsg.ConsumerMemberMetadata{Topics: []string{"a"}}).AppendTo(nil))
	f.Add((&kmsg.ConsumerMemberAssignment{Topics: []kmsg.ConsumerMemberAssignmentTopic{{Topic: "a", Partitions: []int32{2}}}}).AppendTo(nil))
	topics := &fakeTopics{topics: map[string]TopicInfo{}}
	topics.set("a", 4)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeAssignment(b, topics)
		_ = readClassicMembership(&kbin.Reader{Src: b})
		got, err := readSubscription(b, topics)
		want := kmsg.NewConsumerMemberMetadata()
		if err != nil || want.ReadFrom(b) != nil {
			return
		}
		require.ElementsMatch(t, slices.Compact(slices.Sorted(slices.Values(want.Topics))), got.topics)
		require.Equal(t, want.Rack, got.rack)
		owned := map[int32]bool{}
		for _, o := range want.OwnedPartitions {
			for _, p := range o.Partitions {
				owned[p] = owned[p] || o.Topic == "a"
			}
		}
		for tp := range got.owned.all {
			require.True(t, owned[tp.partition])
		}
	})
}
