package coordinator

import (
	"bytes"
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberIDVersion is the first version of JoinGroup whose clients take an id before they join (KIP-394), skipVersion the first whose
// leader can be told not to assign.
const (
	memberIDVersion = 4
	// noProtocolVersion is the first version whose refusals name no protocol (KIP-559).
	noProtocolVersion = 7
	skipVersion       = 9
)

// StartJoin takes a JoinGroup request (key 11) and returns a function that waits for the answer, as long as ctx lasts. Nothing of req is kept.
func (gs *Groups) StartJoin(ctx context.Context, req *kmsg.JoinGroupRequest, clientID, host string) func() *kmsg.JoinGroupResponse {
	answer := make(chan joined, 1)
	if kerror := gs.join(req, clientID, host, answer); kerror != nil {
		answer <- joined{err: kerror, memberID: req.MemberID}
	}
	return func() *kmsg.JoinGroupResponse {
		select {
		case j := <-answer:
			if j.after.part != nil {
				if err := j.after.part.WaitHighWatermark(ctx, j.after.end); err != nil {
					j = joined{err: coordinatorError(err), memberID: req.MemberID}
				}
			}
			return joinResponse(req, j)
		case <-gs.ctx.Done():
			return joinResponse(req, joined{err: kerr.NotCoordinator, memberID: req.MemberID})
		case <-ctx.Done():
			return joinResponse(req, joined{err: kerr.RebalanceInProgress, memberID: req.MemberID})
		}
	}
}

func joinResponse(req *kmsg.JoinGroupRequest, j joined) *kmsg.JoinGroupResponse {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.MemberID, resp.Generation = j.memberID, -1
	if req.Version < noProtocolVersion {
		resp.Protocol = kmsg.StringPtr("")
	}
	if j.err != nil {
		resp.ErrorCode = j.err.Code
		return resp
	}
	resp.Generation, resp.LeaderID, resp.SkipAssignment = j.generation, j.leader, j.skipAssignment
	resp.ProtocolType, resp.Protocol = kmsg.StringPtr(j.protocolType), kmsg.StringPtr(j.protocol)
	for _, m := range j.members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ProtocolMetadata = m.id, m.instance, m.metadata
		resp.Members = append(resp.Members, rm)
	}
	return resp
}

// join puts a join into the group, whose answer comes through the channel, or refuses it.
func (gs *Groups) join(req *kmsg.JoinGroupRequest, clientID, host string, answer chan joined) *kerr.Error {
	if kerror := gs.check(req.Group); kerror != nil {
		return kerror
	}
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	rebalance := time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond
	if req.RebalanceTimeoutMillis <= 0 {
		rebalance = session
	}
	switch {
	case session < minSessionTimeout || session > maxSessionTimeout:
		return kerr.InvalidSessionTimeout
	case req.ProtocolType == "" || len(req.Protocols) == 0:
		return kerr.InconsistentGroupProtocol
	}
	m := &classicMember{
		id: req.MemberID, instance: req.InstanceID, clientID: clientID, host: host, session: session, rebalance: min(rebalance, maxRebalanceTime), join: answer,
	}
	for _, p := range req.Protocols {
		m.protocols = append(m.protocols, groupProtocolOf{p.Name, p.Metadata})
	}
	m.protocols = cloneProtocols(m.protocols)
	gs.mu.Lock()
	defer gs.mu.Unlock()
	defer gs.wakeUp()
	if g := gs.mu.consumers[req.Group]; g != nil {
		return gs.joinMixedLocked(g, m, req)
	}
	if kerror := gs.toClassicLocked(req.Group); kerror != nil {
		return kerror
	}
	g := gs.groupLocked(req.Group, true)
	defer gs.doneLocked(g)
	if !g.agrees(req.ProtocolType, m.protocols, req.MemberID) {
		return kerr.InconsistentGroupProtocol
	}
	if req.MemberID == "" {
		return gs.joinNewLocked(g, m, req)
	}
	return gs.joinAgainLocked(g, m, req)
}

// joinNewLocked is a join by somebody without an id.
func (gs *Groups) joinNewLocked(g *classicGroup, m *classicMember, req *kmsg.JoinGroupRequest) *kerr.Error {
	id, err := gs.newMemberID(m.clientID)
	if err != nil {
		return kerr.UnknownServerError
	}
	m.id = id
	now := gs.clock.Now()
	if m.instance != nil {
		if old, ok := g.static[*m.instance]; ok {
			g.replaceStatic(old, m, req.Version >= skipVersion, now)
			return nil
		}
	}
	switch {
	case len(g.members) >= maxGroupMembers:
		return kerr.GroupMaxSizeReached
	case m.instance == nil && req.Version >= memberIDVersion:
		if len(g.pending) >= maxPendingMembers {
			return kerr.GroupMaxSizeReached
		}
		g.pending[id] = now.Add(m.session)
		m.answerJoin(joined{err: kerr.MemberIDRequired, memberID: id})
	default:
		g.add(m, req.ProtocolType, now)
	}
	return nil
}

// joinAgainLocked is a join by a member, or by somebody who was given an id.
func (gs *Groups) joinAgainLocked(g *classicGroup, m *classicMember, req *kmsg.JoinGroupRequest) *kerr.Error {
	now := gs.clock.Now()
	if _, ok := g.pending[m.id]; ok && m.instance == nil {
		if len(g.members) >= maxGroupMembers {
			return kerr.GroupMaxSizeReached
		}
		g.add(m, req.ProtocolType, now)
		return nil
	}
	old, kerror := g.find(m.id, m.instance)
	if kerror != nil {
		return kerror
	}
	old.answerJoin(joined{err: kerr.RebalanceInProgress, memberID: old.id}) // of a connection that is gone
	old.join, old.session, old.rebalance = m.join, m.session, m.rebalance
	g.rejoin(old, m.protocols, now)
	return nil
}

// StartSync takes a SyncGroup request (key 14) and returns a function that waits for the assignment, as long as ctx lasts. Nothing of req is kept.
func (gs *Groups) StartSync(ctx context.Context, req *kmsg.SyncGroupRequest) func() *kmsg.SyncGroupResponse {
	answer := make(chan synced, 1)
	if kerror := gs.sync(req, answer); kerror != nil {
		answer <- synced{err: kerror}
	}
	return func() *kmsg.SyncGroupResponse {
		resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
		resp.MemberAssignment = []byte{}
		s := synced{err: kerr.RebalanceInProgress}
		select {
		case s = <-answer:
		case <-gs.ctx.Done():
			s.err = kerr.NotCoordinator
		case <-ctx.Done():
		}
		if s.err != nil {
			resp.ErrorCode = s.err.Code
			return resp
		}
		resp.ProtocolType, resp.Protocol = kmsg.StringPtr(s.protocolType), kmsg.StringPtr(s.protocol)
		resp.MemberAssignment = append(resp.MemberAssignment, s.assignment...)
		return resp
	}
}

func (gs *Groups) sync(req *kmsg.SyncGroupRequest, answer chan synced) *kerr.Error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	defer gs.wakeUp()
	if g := gs.mu.consumers[req.Group]; g != nil {
		s, kerror := gs.syncMixedLocked(g, req)
		if kerror == nil {
			answer <- s
		}
		return kerror
	}
	g, m, kerror := gs.memberLocked(req.Group, req.MemberID, req.InstanceID, req.Generation)
	if kerror != nil {
		return kerror
	}
	defer gs.doneLocked(g)
	if req.ProtocolType != nil && *req.ProtocolType != g.protocolType || req.Protocol != nil && *req.Protocol != g.protocol {
		return kerr.InconsistentGroupProtocol
	}
	switch g.state {
	case groupPreparing:
		return kerr.RebalanceInProgress
	case groupStable:
		answer <- g.syncedAs(m)
		return nil
	}
	m.answerSync(synced{err: kerr.RebalanceInProgress}) // of a connection that is gone
	m.sync = answer
	if m.id == g.leader && !g.storing {
		assignments := make(map[string][]byte, len(req.GroupAssignment))
		for _, a := range req.GroupAssignment {
			assignments[a.MemberID] = bytes.Clone(a.MemberAssignment)
		}
		g.assign(assignments)
	}
	return nil
}

// memberLocked finds the member that a request speaks for and begins its session anew.
func (gs *Groups) memberLocked(group, id string, instance *string, generation int32) (*classicGroup, *classicMember, *kerr.Error) {
	if kerror := gs.check(group); kerror != nil {
		return nil, nil, kerror
	}
	g := gs.groupLocked(group, false)
	if g == nil {
		return nil, nil, kerr.UnknownMemberID
	}
	m, kerror := g.find(id, instance)
	if kerror != nil {
		return nil, nil, kerror
	}
	if generation != g.generation {
		return nil, nil, kerr.IllegalGeneration
	}
	g.touch(m, gs.clock.Now())
	return g, m, nil
}

// Heartbeat answers key 12.
func (gs *Groups) Heartbeat(req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if g := gs.mu.consumers[req.Group]; g != nil {
		if kerror := gs.beatMixedLocked(g, req); kerror != nil {
			resp.ErrorCode = kerror.Code
		}
		gs.wakeUp()
		return resp
	}
	g, _, kerror := gs.memberLocked(req.Group, req.MemberID, req.InstanceID, req.Generation)
	switch {
	case kerror != nil:
		resp.ErrorCode = kerror.Code
	case g.state == groupPreparing:
		resp.ErrorCode = kerr.RebalanceInProgress.Code
	}
	return resp
}

// LeaveGroup answers key 13. From version 3 on several members can be named, static ones by their instance alone (KIP-345).
func (gs *Groups) LeaveGroup(req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	if kerror := gs.check(req.Group); kerror != nil {
		resp.ErrorCode = kerror.Code
		return resp
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	defer gs.wakeUp()
	leave, done := gs.leaverLocked(req.Group)
	defer done()
	if req.Version < 3 {
		if kerror := leave(req.MemberID, nil); kerror != nil {
			resp.ErrorCode = kerror.Code
		}
		return resp
	}
	for _, rm := range req.Members {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID = rm.MemberID, rm.InstanceID
		if kerror := leave(rm.MemberID, rm.InstanceID); kerror != nil {
			m.ErrorCode = kerror.Code
		}
		resp.Members = append(resp.Members, m)
	}
	return resp
}

// leaverLocked returns how members leave a group, and what comes after it.
func (gs *Groups) leaverLocked(id string) (leave func(id string, instance *string) *kerr.Error, done func()) {
	if g := gs.mu.consumers[id]; g != nil {
		leave = func(id string, instance *string) *kerr.Error { return gs.removeMemberLocked(g, id, instance) }
		return leave, func() { gs.tickConsumersLocked(gs.clock.Now()) }
	}
	g := gs.groupLocked(id, true)
	leave = func(id string, instance *string) *kerr.Error { return gs.leaveLocked(g, id, instance) }
	return leave, func() { gs.doneLocked(g) }
}

func (gs *Groups) leaveLocked(g *classicGroup, id string, instance *string) *kerr.Error {
	if _, ok := g.pending[id]; ok {
		delete(g.pending, id)
		if g.state == groupPreparing {
			g.tryComplete(gs.clock.Now())
		}
		return nil
	}
	if instance != nil && id == "" {
		id = g.static[*instance]
	}
	m, kerror := g.find(id, instance)
	if kerror == nil {
		g.remove(m, kerr.UnknownMemberID, gs.clock.Now())
	}
	return kerror
}

// OffsetCommit answers key 8 for members and for clients that only keep offsets here.
func (gs *Groups) OffsetCommit(ctx context.Context, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	if kerror := gs.mayCommit(req); kerror != nil {
		return refuseCommit(req, kerror)
	}
	return gs.offsets.OffsetCommit(ctx, req)
}

func (gs *Groups) mayCommit(req *kmsg.OffsetCommitRequest) *kerr.Error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if kerror := gs.check(req.Group); kerror != nil {
		return kerror
	}
	g := gs.groupLocked(req.Group, false)
	if g == nil || len(g.members) == 0 {
		return nil // the offsets know whether this may be
	}
	g, _, kerror := gs.memberLocked(req.Group, req.MemberID, req.InstanceID, req.Generation)
	if kerror == nil && g.state == groupCompleting {
		return kerr.RebalanceInProgress
	}
	return kerror
}

func refuseCommit(req *kmsg.OffsetCommitRequest, kerror *kerr.Error) *kmsg.OffsetCommitResponse {
	resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, rt := range req.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = rp.Partition, kerror.Code
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
