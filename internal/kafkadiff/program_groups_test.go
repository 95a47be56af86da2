package kafkadiff

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func offsetCommit(v int16, group, member string, generation int32, topic string, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation, req.RetentionTimeMillis = v, group, member, generation, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Offset, rp.LeaderEpoch, rp.Metadata = offset, -1, ptr("note")
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// offsetFetch asks for the partitions 0 and 1 of a topic, or with an empty topic for all that the group has.
func offsetFetch(v int16, group, topic string) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Group = v, group
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	if topic != "" {
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0, 1}}}
		rg.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, Partitions: []int32{0, 1}}}
	}
	if v >= 8 {
		req.Groups = append(req.Groups, rg)
	}
	return req
}

func (s *session) groups() {
	s.makeTopic("grouped", 2)
	s.each(kmsg.OffsetCommit, func(v int16) {
		if v >= topicIDCommit {
			return
		}
		group := fmt.Sprintf("simple-%d", v)
		s.ask("without members", offsetCommit(v, group, "", -1, "grouped", 5))
		s.ask("a member that does not exist", offsetCommit(v, group, "nobody", 3, "grouped", 5))
		s.ask("a generation without a member", offsetCommit(v, group, "", 3, "grouped", 5))
		s.ask("an unknown topic", offsetCommit(v, group, "", -1, "nobody", 5))
		s.ask("an empty group", offsetCommit(v, "", "", -1, "grouped", 5))
		s.ask("a negative offset", offsetCommit(v, group, "", -1, "grouped", -9))
		long := offsetCommit(v, group, "", -1, "grouped", 6)
		long.Topics[0].Partitions[0].Metadata = ptr(strings.Repeat("x", 5000))
		s.ask("a long note", long)
		far := offsetCommit(v, group, "", -1, "grouped", 6)
		far.Topics[0].Partitions[0].Partition = 9
		s.ask("an unknown partition", far)
	})
	s.each(kmsg.OffsetFetch, func(v int16) {
		if v >= topicIDCommit {
			return
		}
		s.ask("a topic", offsetFetch(v, "simple-5", "grouped"))
		s.ask("an unknown topic", offsetFetch(v, "simple-5", "nobody"))
		s.ask("an unknown group", offsetFetch(v, "nobody", "grouped"))
		s.ask("an empty group", offsetFetch(v, "", "grouped"))
		if v >= 2 {
			s.ask("everything", offsetFetch(v, "simple-5", ""))
			s.ask("everything of an unknown group", offsetFetch(v, "nobody", ""))
		}
	})
	s.each(kmsg.JoinGroup, func(v int16) { s.member(v) })
	s.staticMember()
	s.groupLists()
	s.each(kmsg.OffsetDelete, func(v int16) {
		ask := func(name, group, topic string) {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Version, req.Group = v, group
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = topic
			rt.Partitions = append(rt.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: 0})
			req.Topics = append(req.Topics, rt)
			s.ask(name, req)
		}
		ask("an offset", "simple-6", "grouped")
		ask("an unknown topic", "simple-6", "nobody")
		ask("an unknown group", "nobody", "grouped")
	})
	s.each(kmsg.DeleteGroups, func(v int16) {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Version, req.Groups = v, []string{fmt.Sprintf("simple-%d", v+2), "nobody", ""}
		s.ask("one and an unknown one", req)
	})
}

// topicIDCommit is the first version of OffsetCommit and OffsetFetch with topic ids, which this program does not fill in.
const topicIDCommit = 10

func joinGroup(v int16, group, member, kind string, protocols ...string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = v, group, member, kind
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30_000, 30_000
	for _, p := range protocols {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: p, Metadata: []byte("meta")})
	}
	return req
}

func syncGroup(v int16, group, member string, generation int32) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = v, group, member, generation
	if v >= 5 {
		req.ProtocolType, req.Protocol = ptr("consumer"), ptr("range")
	}
	req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("yours")}}
	return req
}

func heartbeat(v int16, group, member string, generation int32) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = v, group, member, generation
	return req
}

// member follows the one member of a group through its life.
func (s *session) member(v int16) {
	group := fmt.Sprintf("joined-%d", v)
	s.ask("an empty group id", joinGroup(v, "", "", "consumer", "range"))
	s.ask("without protocols", joinGroup(v, group, "", "consumer"))
	s.ask("a member that does not exist", joinGroup(v, group, "nobody", "consumer", "range"))
	short := joinGroup(v, group, "", "consumer", "range")
	short.SessionTimeoutMillis = 1
	s.ask("a session that is too short", short)
	short.SessionTimeoutMillis = 1 << 30
	s.ask("a session that is too long", short)
	joined, ok := s.ask("a new member", joinGroup(v, group, "", "consumer", "range", "roundrobin")).(*kmsg.JoinGroupResponse)
	if !ok {
		return
	}
	if joined.MemberID != "" && joined.Generation < 0 {
		joined = s.ask("with its id", joinGroup(v, group, joined.MemberID, "consumer", "range", "roundrobin")).(*kmsg.JoinGroupResponse)
	}
	id, generation := joined.MemberID, joined.Generation
	sv := min(v, 5)
	s.ask("before the assignment", heartbeat(min(v, 4), group, id, generation))
	s.ask("commits before the assignment", offsetCommit(min(v+2, 9), group, id, generation, "grouped", 3))
	s.ask("a wrong generation", syncGroup(sv, group, id, generation+1))
	s.ask("somebody else", syncGroup(sv, group, "nobody", generation))
	s.ask("the assignment", syncGroup(sv, group, id, generation))
	s.ask("the assignment once more", syncGroup(sv, group, id, generation))
	s.ask("a live member", heartbeat(min(v, 4), group, id, generation))
	s.ask("a wrong generation", heartbeat(min(v, 4), group, id, generation+1))
	s.ask("somebody else", heartbeat(min(v, 4), group, "nobody", generation))
	s.ask("an unknown group", heartbeat(min(v, 4), "nobody", id, generation))
	s.ask("another kind of protocol", joinGroup(v, group, "", "connect", "range"))
	s.ask("no protocol in common", joinGroup(v, group, "", "consumer", "other"))
	s.ask("of a member", offsetCommit(min(v+2, 9), group, id, generation, "grouped", 4))
	s.ask("of a member in a wrong generation", offsetCommit(min(v+2, 9), group, id, generation+1, "grouped", 4))
	s.ask("of nobody while there are members", offsetCommit(min(v+2, 9), group, "", -1, "grouped", 4))
	s.groupIs(group, "Stable")
	s.describeGroup(min(v, 6), group)
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Version, del.Groups = min(v, 2), []string{group}
	s.ask("one with members", del)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group, leave.MemberID = min(v, 5), group, "nobody"
	leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: "nobody"}}
	s.ask("somebody else", leave)
	leave.MemberID, leave.Members[0].MemberID = id, id
	s.ask("a member", leave)
	s.ask("the same again", leave)
	s.ask("after leaving", heartbeat(min(v, 4), group, id, generation))
	s.groupIs(group, "Empty")
	s.describeGroup(min(v, 6), group)
}

// groupIs waits until a group is in a state: a coordinator writes it down before it tells of it.
func (s *session) groupIs(group, state string) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	s.until(func() bool { return s.quietly(req).(*kmsg.DescribeGroupsResponse).Groups[0].State == state })
}

func (s *session) describeGroup(v int16, groups ...string) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Version, req.Groups, req.IncludeAuthorizedOperations = v, groups, v >= 3
	s.ask("a group", req)
}

// staticMember replaces a member that has a name of its own (KIP-345).
func (s *session) staticMember() {
	join := func(name, member string) *kmsg.JoinGroupResponse {
		req := joinGroup(7, "static", member, "consumer", "range")
		req.InstanceID = ptr("one")
		return s.ask(name, req).(*kmsg.JoinGroupResponse)
	}
	first := join("a static member", "")
	sync := syncGroup(5, "static", first.MemberID, first.Generation)
	sync.InstanceID = ptr("one")
	s.ask("a static member", sync)
	second := join("it is replaced", "")
	beat := heartbeat(4, "static", first.MemberID, second.Generation)
	beat.InstanceID = ptr("one")
	s.ask("the one that was replaced", beat)
	beat.MemberID = second.MemberID
	s.ask("the one that replaced it", beat)
	commit := offsetCommit(8, "static", first.MemberID, second.Generation, "grouped", 1)
	commit.InstanceID = ptr("one")
	s.ask("the one that was replaced", commit)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Version, leave.Group = 5, "static"
	leave.Members = []kmsg.LeaveGroupRequestMember{{InstanceID: ptr("one")}, {InstanceID: ptr("two")}}
	s.ask("by name", leave)
	s.groupIs("static", "Empty")
}

func (s *session) groupLists() {
	s.each(kmsg.DescribeGroups, func(v int16) { s.describeGroup(v, "simple-5", "nobody", "") })
	s.each(kmsg.ListGroups, func(v int16) {
		req := kmsg.NewPtrListGroupsRequest()
		req.Version = v
		s.ask("all", req)
		if v >= 4 {
			req.StatesFilter = []string{"Stable"}
			s.ask("stable ones", req)
			req.StatesFilter = []string{"nonsense"}
			s.ask("in a state that does not exist", req)
		}
	})
	s.each(kmsg.FindCoordinator, func(v int16) {
		for kind := range int8(3) {
			for _, key := range []string{"g", ""} {
				req := kmsg.NewPtrFindCoordinatorRequest()
				req.Version, req.CoordinatorType = v, kind
				req.CoordinatorKey, req.CoordinatorKeys = key, []string{key}
				if kind == 0 || v > 0 {
					s.ask(fmt.Sprintf("kind %d of %q", kind, key), req)
				}
			}
		}
	})
}
