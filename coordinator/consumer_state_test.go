package coordinator

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// fakeTopics is a TopicsView.
type fakeTopics struct {
	index  uint64
	topics map[string]TopicInfo
}

func (f *fakeTopics) set(name string, partitions int32) {
	f.index++
	f.topics[name] = TopicInfo{Name: name, ID: topicID{1: name[0]}, Partitions: partitions}
}

func (f *fakeTopics) Index() uint64                       { return f.index }
func (f *fakeTopics) Topic(name string) (TopicInfo, bool) { t, ok := f.topics[name]; return t, ok }
func (f *fakeTopics) Topics() iter.Seq[TopicInfo]         { return maps.Values(f.topics) }

func (f *fakeTopics) TopicByID(id [16]byte) (TopicInfo, bool) {
	for _, t := range f.topics {
		if t.ID == id {
			return t, true
		}
	}
	return TopicInfo{}, false
}

// consumerTest drives a group with clients that do what they are told at their next heartbeat.
type consumerTest struct {
	t      *testing.T
	g      *consumerGroup
	topics *fakeTopics
	now    time.Time
	log    consumerRecord // what the log has been given
}

func newConsumerTest(t *testing.T) *consumerTest {
	return &consumerTest{
		t: t, g: newConsumerGroup("g"), topics: &fakeTopics{topics: map[string]TopicInfo{}}, now: time.Unix(1000, 0),
		log: consumerRecord{members: map[string]*memberRecord{}},
	}
}

// consumerClient is a client of the group, as the protocol asks it to be.
type consumerClient struct {
	*consumerTest
	id       string
	instance *string
	names    []string
	pattern  *string
	assignor string
	epoch    int32
	owned    assignment // what it uses
	target   assignment // what it was last told
	silent   bool       // it says nothing of what it owns
	keeps    bool       // it does not give up what it is told to
}

func (c *consumerTest) client(id string, names ...string) *consumerClient {
	return &consumerClient{consumerTest: c, id: id, names: names}
}

func topicsOf(a assignment) []kmsg.ConsumerGroupHeartbeatRequestTopic {
	out := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for id, parts := range a {
		out = append(out, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: parts})
	}
	return out
}

func (c *consumerClient) request() *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch, req.InstanceID = 1, "g", c.id, c.epoch, c.instance
	if c.epoch == 0 || !c.silent {
		req.RebalanceTimeoutMillis = 60_000
		req.SubscribedTopicNames, req.SubscribedTopicRegex = c.names, c.pattern
		if c.names == nil && c.pattern == nil {
			req.SubscribedTopicNames = []string{}
		}
		req.Topics = topicsOf(c.owned)
	}
	if c.assignor != "" {
		req.ServerAssignor = &c.assignor
	}
	return req
}

// send carries a request out and has the log take what it has changed.
func (c *consumerTest) send(req *kmsg.ConsumerGroupHeartbeatRequest) (beaten, error) {
	b := &beat{
		ConsumerGroupHeartbeatRequest: req, clientID: "client", host: "/127.0.0.1", now: c.now, session: consumerSession,
		visible: func(topic string) bool { return topic[0] != '_' },
	}
	if err := b.check(); err != nil {
		return beaten{}, err
	}
	out, err := c.g.heartbeat(b, c.topics)
	if err == nil {
		c.write()
	}
	return out, err
}

// write takes the group's changes through their records.
func (c *consumerTest) write() {
	set := newRecordSet(c.now.UnixMilli())
	set.addChanges(c.g)
	c.g.changes = groupChanges{members: map[string]memberChange{}}
	require.NoError(c.t, set.err)
	if set.b.Len() == 0 {
		return
	}
	batch, err := set.b.Finish(nil)
	require.NoError(c.t, err)
	var it record.Iterator
	require.NoError(c.t, it.Reset(batch))
	for it.Next() {
		kind, group, member, ok, err := decodeConsumerKey(it.Record.Key)
		require.NoError(c.t, err)
		require.True(c.t, ok)
		require.Equal(c.t, "g", group)
		if it.Record.Value == nil {
			c.log.forget(kind, member)
		} else {
			require.NoError(c.t, c.log.replay(kind, member, it.Record.Value))
		}
	}
	require.NoError(c.t, it.Err())
}

func (c *consumerClient) beat() {
	out, err := c.send(c.request())
	require.NoError(c.t, err, c.id)
	c.epoch = out.epoch
	if out.assigned != nil {
		c.target = out.assigned
	}
	if !c.keeps {
		c.owned = c.target
	}
}

func (c *consumerClient) leave(epoch int32) {
	req := c.request()
	req.MemberEpoch = epoch
	_, err := c.send(req)
	require.NoError(c.t, err)
	c.epoch, c.owned, c.target = 0, nil, nil
}

// settle has the clients send heartbeats until nothing changes.
func (c *consumerTest) settle(clients ...*consumerClient) {
	for range 10 {
		for _, client := range clients {
			client.beat()
		}
	}
	require.Equal(c.t, "Stable", c.g.state())
}

func counts(clients ...*consumerClient) (n []int) {
	for _, c := range clients {
		n = append(n, c.owned.count())
	}
	return n
}

func TestAMemberGivesUpBeforeAnotherTakes(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("a", 4)
	a, b := c.client("A", "a"), c.client("B", "a")
	a.beat()
	require.Equal(t, []int32{0, 1, 2, 3}, a.owned[c.topics.topics["a"].ID])
	a.keeps = true
	b.beat()
	require.Zero(t, b.owned.count())
	a.beat()
	require.Equal(t, int32(1), a.epoch, "it is not done with the epoch before")
	require.Equal(t, 2, a.target.count())
	b.beat()
	require.Zero(t, b.owned.count(), "A has not said that it has given up")
	a.keeps = false
	a.owned = a.target
	a.beat()
	require.Equal(t, int32(2), a.epoch)
	b.beat()
	require.Equal(t, []int{2, 2}, counts(a, b))
	require.Equal(t, "Stable", c.g.state())
}

func TestAMemberThatDoesNotGiveUpInTimeIsPutOut(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("a", 4)
	a, b := c.client("A", "a"), c.client("B", "a")
	a.beat()
	b.beat()
	a.keeps = true
	for range 7 {
		a.beat()
		b.beat()
		c.now = c.now.Add(10 * time.Second)
	}
	c.g.tick(c.now)
	c.write()
	_, err := c.send(a.request())
	require.ErrorIs(t, err, kerr.UnknownMemberID)
	c.settle(b)
	require.Equal(t, []int{4}, counts(b))
}

func TestAMemberThatIsSilentForASessionIsPutOut(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("a", 4)
	a, b := c.client("A", "a"), c.client("B", "a")
	c.settle(a, b)
	c.now = c.now.Add(consumerSession - time.Second)
	b.beat()
	require.Equal(t, c.now.Add(time.Second), c.g.next())
	c.now = c.now.Add(time.Second)
	c.g.tick(c.now)
	c.write()
	c.settle(b)
	require.Equal(t, []int{4}, counts(b))
	a.beat0()
	c.settle(a, b)
	require.Equal(t, []int{2, 2}, counts(a, b))
}

// beat0 joins again with the same id.
func (c *consumerClient) beat0() {
	c.epoch, c.owned = 0, nil
	c.beat()
}

func TestEpochsFence(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("a", 4)
	a := c.client("A", "a")
	a.beat()
	before := a.request()
	c.topics.set("a", 6)
	a.beat()
	require.Equal(t, int32(2), a.epoch)
	_, err := c.send(before)
	require.NoError(t, err, "the answer may be lost: the epoch before is good if it owns nothing else")
	foreign := *before
	foreign.Topics = topicsOf(assignment{{9}: {1}})
	_, err = c.send(&foreign)
	require.ErrorIs(t, err, kerr.FencedMemberEpoch)
	unsaid := *before
	unsaid.Topics = nil
	_, err = c.send(&unsaid)
	require.ErrorIs(t, err, kerr.FencedMemberEpoch)
	for _, epoch := range []int32{3, 100} {
		future := *before
		future.MemberEpoch = epoch
		_, err = c.send(&future)
		require.ErrorIs(t, err, kerr.FencedMemberEpoch)
	}
	stranger := *before
	stranger.MemberID = "B"
	_, err = c.send(&stranger)
	require.ErrorIs(t, err, kerr.UnknownMemberID)
}

func TestAStaticMemberComesBackToWhatItHad(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("a", 4)
	one, two := "one", "two"
	a, b := c.client("A", "a"), c.client("B", "a")
	a.instance, b.instance = &one, &two
	c.settle(a, b)
	had, epoch := a.owned, c.g.epoch

	again := c.client("A2", "a")
	again.instance = &one
	_, err := c.send(again.request())
	require.ErrorIs(t, err, kerr.UnreleasedInstanceID)

	a.leave(epochLeaveStatic)
	b.beat()
	require.Equal(t, []int{2}, counts(b))
	again.beat()
	require.Equal(t, had, again.owned)
	require.Equal(t, epoch, c.g.epoch, "nobody else hears of it")
	c.topics.index++ // something else has changed
	b.beat()
	require.Equal(t, epoch, c.g.epoch)
	a.epoch = epoch
	_, err = c.send(a.request())
	require.ErrorIs(t, err, kerr.FencedInstanceID)

	again.leave(epochLeave)
	c.settle(b)
	require.Equal(t, []int{4}, counts(b))
}

func TestMembersHearOfTopics(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("a", 2)
	pattern := "[bc].*"
	a, b := c.client("A", "a", "d"), c.client("B")
	b.pattern = &pattern
	c.settle(a, b)
	require.Equal(t, []int{2, 0}, counts(a, b))
	c.topics.set("b1", 3)
	c.topics.set("xb", 3) // the whole name must match
	c.topics.set("d", 1)
	c.settle(a, b)
	require.Equal(t, []int{3, 3}, counts(a, b))
	c.topics.set("a", 4)
	delete(c.topics.topics, "b1")
	c.topics.set("c", 1)
	c.settle(a, b)
	require.Equal(t, []int{5, 1}, counts(a, b))
	none := ""
	b.pattern, b.names = &none, []string{"d"}
	c.settle(a, b)
	require.Equal(t, []int{4, 1}, counts(a, b))
}

func TestPatternsMeanOnlyWhatTheCallerMayKnowOf(t *testing.T) {
	c := newConsumerTest(t)
	c.topics.set("_hidden", 2)
	c.topics.set("open", 2)
	pattern := ".*"
	a := c.client("A")
	a.pattern = &pattern
	c.settle(a)
	require.Equal(t, assignment{c.topics.topics["open"].ID: {0, 1}}, a.owned)
	c.g = restoreConsumerGroup("g", &c.log, c.now, consumerSession)
	b := c.client("B", "open")
	b.beat()
	b.beat()
	require.Empty(t, b.owned[c.topics.topics["_hidden"].ID])
	c.settle(a, b)
	require.Equal(t, []int{1, 1}, counts(a, b))
}

func TestHeartbeatsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*kmsg.ConsumerGroupHeartbeatRequest)
		err    *kerr.Error
	}{
		"no member id":       {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberID = "" }, kerr.InvalidRequest},
		"empty instance":     {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = new(string) }, kerr.InvalidRequest},
		"epoch":              {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -3 }, kerr.InvalidRequest},
		"static leave":       {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = -2 }, kerr.InvalidRequest},
		"no time-out":        {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 }, kerr.InvalidRequest},
		"owns and joins":     {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = topicsOf(assignment{{1}: {0}}) }, kerr.InvalidRequest},
		"says nothing":       {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil }, kerr.InvalidRequest},
		"subscribes nothing": {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil }, kerr.InvalidRequest},
		"assignor":           {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("sticky") }, kerr.UnsupportedAssignor},
		"pattern":            {func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = kmsg.StringPtr("(") }, kerr.InvalidRegularExpression},
		"unknown leaves": {func(r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.MemberEpoch = epochLeave
		}, kerr.UnknownMemberID},
	} {
		t.Run(name, func(t *testing.T) {
			c := newConsumerTest(t)
			req := c.client("A", "a").request()
			test.change(req)
			_, err := c.send(req)
			require.ErrorIs(t, err, test.err)
			require.Empty(t, c.g.members)
		})
	}
}

func TestAGroupHasABound(t *testing.T) {
	c := newConsumerTest(t)
	for i := range maxGroupMembers {
		c.client(fmt.Sprint(i), "a").beat()
	}
	_, err := c.send(c.client("one more", "a").request())
	require.ErrorIs(t, err, kerr.GroupMaxSizeReached)
}

// TestNoPartitionIsEverUsedByTwo has clients join, leave, fall silent, forget, subscribe to other things and be slow to give up, while topics change and the coordinator is replaced by what
// the log knows. No two of them may ever use a partition, and when they come to rest all partitions are in use.
func TestNoPartitionIsEverUsedByTwo(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			c := newConsumerTest(t)
			for _, name := range []string{"a", "b", "c"} {
				c.topics.set(name, 1+rnd.Int32N(6))
			}
			subscriptions := [][]string{{"a"}, {"a", "b"}, {"b", "c"}, {"a", "b", "c"}, {"d"}}
			clients := make([]*consumerClient, 5)
			for i := range clients {
				clients[i] = c.client(fmt.Sprint("m", i), subscriptions[rnd.IntN(len(subscriptions))]...)
				clients[i].assignor = []string{"", assignorUniform, assignorRange}[rnd.IntN(3)]
			}
			for range 200 {
				m := clients[rnd.IntN(len(clients))]
				switch rnd.IntN(14) {
				case 0:
					if m.epoch > 0 {
						m.leave(epochLeave)
					}
				case 1:
					m.names = subscriptions[rnd.IntN(len(subscriptions))]
				case 2:
					c.topics.set([]string{"a", "b", "c", "d"}[rnd.IntN(4)], 1+rnd.Int32N(8))
				case 3:
					c.g = restoreConsumerGroup("g", &c.log, c.now, consumerSession)
				case 4:
					m.keeps = !m.keeps
				case 5:
					m.silent = !m.silent
				case 6:
					m.epoch, m.owned, m.target = 0, nil, nil // it has been started again
				default:
					m.beat()
				}
				c.requireApart(clients)
			}
			for _, m := range clients {
				m.keeps, m.silent, m.names, m.owned = false, false, []string{"a", "b", "c"}, m.target
			}
			c.settle(clients...)
			total := 0
			for _, name := range []string{"a", "b", "c"} {
				total += int(c.topics.topics[name].Partitions)
			}
			require.Equal(t, total, sum(counts(clients...)))
		})
	}
}

func sum(n []int) (total int) {
	for _, x := range n {
		total += x
	}
	return total
}

func (c *consumerTest) requireApart(clients []*consumerClient) {
	users := map[topicPart]string{}
	for _, m := range clients {
		for tp := range m.owned.all {
			require.Empty(c.t, users[tp], "%v is used by %s and %s", tp, users[tp], m.id)
			users[tp] = m.id
		}
	}
}

func TestAssignorsGiveEveryPartitionToOneReader(t *testing.T) {
	for _, assignor := range []string{assignorUniform, assignorRange} {
		for seed := range uint64(100) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			topics := make([]topicRef, 1+rnd.IntN(5))
			for i := range topics {
				topics[i] = topicRef{string(rune('a' + i)), topicID{byte(i + 1)}, rnd.Int32N(20)}
			}
			same := rnd.IntN(2) == 0
			members := make([]assignee, 1+rnd.IntN(8))
			for i := range members {
				members[i].id = fmt.Sprint("m", i)
				for _, topic := range topics {
					if same || rnd.IntN(2) == 0 {
						members[i].topics = append(members[i].topics, topic)
					}
				}
			}
			for range 3 {
				got := assign(assignor, members)
				requireOneReader(t, topics, members, got)
				if same && assignor == assignorUniform {
					n := make([]int, len(got))
					for i := range got {
						n[i] = got[i].count()
					}
					require.LessOrEqual(t, slices.Max(n)-slices.Min(n), 1)
					for i := range members {
						members[i].had = got[i]
					}
					require.Equal(t, got, assign(assignor, members), "nothing moves without a reason")
				}
				topics[rnd.IntN(len(topics))].partitions++
				for i := range members {
					for k := range members[i].topics {
						members[i].topics[k].partitions = topics[members[i].topics[k].id[0]-1].partitions
					}
				}
			}
		}
	}
}

func requireOneReader(t *testing.T, topics []topicRef, members []assignee, got []assignment) {
	owners := map[topicPart]int{}
	for i := range got {
		for tp := range got[i].all {
			owners[tp]++
			require.True(t, slices.ContainsFunc(members[i].topics, func(ref topicRef) bool { return ref.id == tp.topic && tp.partition < ref.partitions }))
		}
		for _, parts := range got[i] {
			require.True(t, slices.IsSorted(parts))
		}
	}
	for _, topic := range topics {
		read := slices.ContainsFunc(members, func(m assignee) bool { return slices.Contains(m.topics, topic) })
		for p := range topic.partitions {
			want := 0
			if read {
				want = 1
			}
			require.Equal(t, want, owners[topicPart{topic.id, p}])
		}
	}
}

func TestUniformMovesAsFewPartitionsAsItCan(t *testing.T) {
	topic := []topicRef{{"a", topicID{1}, 12}}
	members := []assignee{{id: "A", topics: topic}, {id: "B", topics: topic}, {id: "C", topics: topic}}
	for i, a := range assign(assignorUniform, members) {
		members[i].had = a
	}
	members = append(members, assignee{id: "D", topics: topic})
	moved := 0
	for i, a := range assign(assignorUniform, members) {
		_, gone := members[i].had.split(func(tp topicPart) bool { return a.has(tp.topic, tp.partition) })
		moved += gone.count()
	}
	require.Equal(t, 3, moved)
}

func FuzzConsumerRecords(f *testing.F) {
	for kind := range int16(10) {
		f.Add(kind, []byte{0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	}
	f.Fuzz(func(t *testing.T, kind int16, value []byte) {
		c := consumerRecord{members: map[string]*memberRecord{}}
		if c.replay(kind, "m", value) == nil {
			restoreConsumerGroup("g", &c, time.Unix(0, 0), time.Second)
		}
		_, _, _, _, _ = decodeConsumerKey(value)
	})
}
