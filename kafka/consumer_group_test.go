package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// serverSide are the options of a member of a group whose coordinator assigns (KIP-848).
func serverSide(group, topic string) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()), kgo.DisableAutoCommit(),
	}
}

// drain has members read and commit until all of want has come, and requires that it came once.
func drain(t *testing.T, n *node.Node, members int, want []string, opts ...kgo.Opt) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range members {
		member := client(t, n, opts...)
		wg.Go(func() {
			defer member.Close()
			for ctx.Err() == nil {
				fetches := member.PollFetches(ctx)
				mu.Lock()
				fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
				all := len(got) >= len(want)
				mu.Unlock()
				if err := member.CommitUncommittedOffsets(t.Context()); err == nil && all {
					cancel()
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, slices.Compact(got))
}

func TestTheCoordinatorAssignsToMembers(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 4, nil)
	want := values("v", 400)
	for _, v := range want {
		cl.Produce(t.Context(), &kgo.Record{Topic: "a", Key: []byte(v), Value: []byte(v)}, nil)
	}
	require.NoError(t, cl.Flush(t.Context()))
	drain(t, n, 3, want, serverSide("g", "a")...)

	described := describeConsumer(t, cl, "g")
	require.Equal(t, "Empty", described.State)
	list := kmsg.NewPtrListGroupsRequest()
	list.TypesFilter = []string{"Consumer"}
	listed, err := list.RequestWith(t.Context(), cl)
	require.NoError(t, err)
	require.Len(t, listed.Groups, 1)
	require.Equal(t, "consumer", listed.Groups[0].GroupType)
	old, err := kadm.NewClient(cl).DescribeGroups(t.Context(), "g")
	require.NoError(t, err)
	require.True(t, old["g"].State == "Dead" || old["g"].Err != nil, "it is no group of the classic protocol: %+v", old["g"])
	gone, err := kadm.NewClient(cl).DeleteGroups(t.Context(), "g")
	require.NoError(t, err)
	require.NoError(t, gone.Error())
	require.Equal(t, kerr.GroupIDNotFound.Code, describeConsumer(t, cl, "g").ErrorCode)
}

func describeConsumer(t *testing.T, cl *kgo.Client, group string) kmsg.ConsumerGroupDescribeResponseGroup {
	t.Helper()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(t.Context(), cl)
	require.NoError(t, err)
	require.Len(t, resp.Groups, 1)
	return resp.Groups[0]
}

// member is a member of group "g" without a client behind it.
type member struct {
	t     *testing.T
	cl    *kgo.Client
	id    string
	epoch int32
	owned []kmsg.ConsumerGroupHeartbeatRequestTopic
}

func (m *member) beat() *kmsg.ConsumerGroupHeartbeatResponse {
	m.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = "g", m.id, m.epoch, 60_000
	req.SubscribedTopicNames, req.Topics = []string{"a"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if m.epoch > 0 {
		req.Topics = append(req.Topics, m.owned...)
	}
	resp, err := req.RequestWith(m.t.Context(), m.cl)
	require.NoError(m.t, err)
	if resp.ErrorCode == 0 {
		m.epoch, m.owned = resp.MemberEpoch, nil
		for _, topic := range resp.Assignment.Topics {
			m.owned = append(m.owned, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: topic.TopicID, Partitions: topic.Partitions})
		}
	}
	return resp
}

func (m *member) commit(epoch int32) int16 {
	m.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = "g", m.id, epoch
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "a"
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Offset = 7
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(m.t.Context(), m.cl)
	require.NoError(m.t, err)
	return resp.Topics[0].Partitions[0].ErrorCode
}

func TestMembersGoOnAfterARestartOfTheirCoordinator(t *testing.T) {
	fs := fsys.NewMem()
	var a, b *member
	func() {
		n, err := nodetest.Open(t.Context(), node.Config{FS: fs, Kafka: "127.0.0.1:0"})
		require.NoError(t, err)
		defer func() { require.NoError(t, n.Close()) }()
		cl := client(t, n)
		defer cl.Close()
		createTopic(t, cl, "a", 4, nil)
		a, b = &member{t: t, cl: cl, id: "A"}, &member{t: t, cl: cl, id: "B"}
		for range 3 {
			require.Zero(t, a.beat().ErrorCode)
			require.Zero(t, b.beat().ErrorCode)
		}
		require.Len(t, a.owned[0].Partitions, 2)
		require.Len(t, b.owned[0].Partitions, 2)
		require.Zero(t, a.commit(a.epoch))
	}()
	n := nodetest.Start(t, node.Config{FS: fs, Kafka: "127.0.0.1:0"})
	a.cl = client(t, n)
	b.cl = a.cl
	epoch, owned := a.epoch, a.owned
	require.Zero(t, a.beat().ErrorCode)
	require.Zero(t, b.beat().ErrorCode)
	require.Equal(t, epoch, a.epoch, "nothing has happened")
	require.Equal(t, owned, a.owned)
	require.Zero(t, a.commit(a.epoch))
	described := describeConsumer(t, a.cl, "g")
	require.Equal(t, "Stable", described.State)
	require.Len(t, described.Members, 2)
	require.Equal(t, "a", described.Members[0].Assignment.TopicPartitions[0].Topic)
}

func TestOffsetsOfMembersAreFenced(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	a, b := &member{t: t, cl: cl, id: "A"}, &member{t: t, cl: cl, id: "B"}
	require.Zero(t, a.beat().ErrorCode)
	joined := a.epoch
	require.Zero(t, b.beat().ErrorCode)
	require.Zero(t, a.beat().ErrorCode)
	require.Greater(t, a.epoch, joined)
	require.Zero(t, a.commit(joined), "the partition has been its own since then")
	require.Equal(t, kerr.StaleMemberEpoch.Code, b.commit(b.epoch-1))
	require.Equal(t, kerr.StaleMemberEpoch.Code, a.commit(a.epoch+1))
	require.Equal(t, kerr.UnknownMemberID.Code, (&member{t: t, cl: cl, id: "C"}).commit(1))
	require.Equal(t, kerr.UnknownMemberID.Code, (&member{t: t, cl: cl}).commit(-1), "offsets are kept from outside only while there are no members")

	fetch := func(m *member, epoch int32) int16 {
		req := kmsg.NewPtrOffsetFetchRequest()
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group, group.MemberID, group.MemberEpoch = "g", &m.id, epoch
		req.Groups = append(req.Groups, group)
		resp, err := req.RequestWith(t.Context(), cl)
		require.NoError(t, err)
		return resp.Groups[0].ErrorCode
	}
	require.Zero(t, fetch(a, a.epoch))
	require.Equal(t, kerr.StaleMemberEpoch.Code, fetch(a, joined))
	require.Equal(t, kerr.UnknownMemberID.Code, fetch(&member{id: "C"}, 1))

	topic := kadm.NewClient(cl)
	offsets, err := topic.FetchOffsets(t.Context(), "g")
	require.NoError(t, err)
	require.Equal(t, int64(7), offsets["a"][0].At)
}

func TestAGroupOfTheConsumerProtocolThatIsEmptyBecomesAClassicOne(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 2, nil)
	produce(t, cl, "a", values("v", 3))
	a := &member{t: t, cl: cl, id: "A"}
	require.Zero(t, a.beat().ErrorCode)
	require.Zero(t, a.commit(a.epoch))
	a.epoch = -1
	require.Equal(t, int32(-1), a.beatLeave().MemberEpoch)
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 10_000, 10_000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{}}}
	resp, err := join.RequestWith(t.Context(), cl)
	require.NoError(t, err)
	require.Equal(t, kerr.MemberIDRequired.Code, resp.ErrorCode)
	require.Equal(t, kerr.GroupIDNotFound.Code, describeConsumer(t, cl, "g").ErrorCode)
	offsets, err := kadm.NewClient(cl).FetchOffsets(t.Context(), "g")
	require.NoError(t, err)
	require.NotEmpty(t, offsets, "offsets outlast the change")
}

// TestAGroupMovesBetweenProtocolsWhileItIsRead has members of one protocol, then of both, then of the other, read a topic that is being written.
func TestAGroupMovesBetweenProtocolsWhileItIsRead(t *testing.T) {
	classic := []kgo.Opt{
		kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.Balancers(kgo.RangeBalancer()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(100 * time.Millisecond),
	}
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 4, nil)
	var mu sync.Mutex
	got := map[string]bool{}
	start := func(opts ...kgo.Opt) (stop func()) {
		member := client(t, n, opts...)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				fetches := member.PollFetches(ctx)
				mu.Lock()
				fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)] = true })
				mu.Unlock()
				_ = member.CommitUncommittedOffsets(t.Context()) // what is not committed comes again
			}
		})
		return func() {
			cancel()
			wg.Wait()
			member.Close()
		}
	}
	wrote := 0
	// flows writes some more and waits until all of it has been read, and the group is of a type and has this many members that the coordinator assigns to.
	flows := func(kind string, members int) {
		for range 100 {
			v := fmt.Sprint("v", wrote)
			wrote++
			cl.Produce(t.Context(), &kgo.Record{Topic: "a", Key: []byte(v), Value: []byte(v)}, nil)
		}
		require.NoError(t, cl.Flush(t.Context()))
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) == wrote
		}, 3*time.Minute, 10*time.Millisecond)
		list := kmsg.NewPtrListGroupsRequest()
		require.Eventually(t, func() bool {
			listed, err := list.RequestWith(t.Context(), cl)
			return err == nil && len(listed.Groups) == 1 && listed.Groups[0].GroupType == kind && listed.Groups[0].GroupState == "Stable" &&
				(members == 0 || len(describeConsumer(t, cl, "g").Members) == members)
		}, 3*time.Minute, 10*time.Millisecond)
	}
	a, b := start(classic...), start(classic...)
	flows("classic", 0)
	c := start(serverSide("g", "a")...)
	flows("consumer", 3)
	a()
	d := start(serverSide("g", "a")...)
	b()
	flows("consumer", 2)
	e := start(classic...)
	flows("consumer", 3)
	c()
	d()
	flows("classic", 0)
	e()
}

func (m *member) beatLeave() *kmsg.ConsumerGroupHeartbeatResponse {
	m.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = "g", m.id, -1
	resp, err := req.RequestWith(m.t.Context(), m.cl)
	require.NoError(m.t, err)
	require.Zero(m.t, resp.ErrorCode)
	return resp
}
