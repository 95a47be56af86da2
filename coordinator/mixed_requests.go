package coordinator

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// durable is up to where the log must be safe before an answer is sent.
type durable struct {
	part Partition // nil if nothing has been written
	end  int64
}

// joinMixedLocked is a join by the classic protocol into a group of which others speak the consumer protocol. It is answered at once: the coordinator assigns.
func (gs *Groups) joinMixedLocked(g *consumerGroup, m *classicMember, req *kmsg.JoinGroupRequest) *kerr.Error {
	if !g.agrees(req.ProtocolType, m.protocols, m.id) {
		return kerr.InconsistentGroupProtocol
	}
	view := gs.offsets.topics()
	sub, err := readSubscription(m.protocols[0].metadata, view)
	if err != nil {
		return kerr.InconsistentGroupProtocol
	}
	fresh := m.id == ""
	if fresh {
		if m.id, err = gs.newMemberID(m.clientID); err != nil {
			return kerr.UnknownServerError
		}
		if m.instance == nil && req.Version >= memberIDVersion {
			m.answerJoin(joined{err: kerr.MemberIDRequired, memberID: m.id})
			return nil
		}
	}
	b := classicBeat(m, &sub)
	b.fresh, b.now = fresh, gs.clock.Now()
	out, err := g.heartbeat(b, view)
	if err == nil {
		err = gs.writeLocked(g)
	}
	if err != nil {
		return groupError(err)
	}
	if c := gs.mu.groups[g.id]; c != nil { // it took the place of the last member of the consumer protocol
		c.members[m.id].join = m.join
		c.tryComplete(b.now)
		gs.doneLocked(c)
		return nil
	}
	m.answerJoin(joined{memberID: m.id, generation: out.epoch, protocolType: groupProtocolType, protocol: m.protocols[0].name, after: durable{g.part, g.written}})
	return nil
}

// classicBeat is a classic join as the heartbeat that says the same.
func classicBeat(m *classicMember, sub *subscription) *beat {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.MemberID, req.MemberEpoch, req.InstanceID, req.RackID = m.id, 0, m.instance, sub.rack
	req.RebalanceTimeoutMillis = int32(m.rebalance / time.Millisecond)
	req.SubscribedTopicNames, req.SubscribedTopicRegex = append([]string{}, sub.topics...), kmsg.StringPtr("")
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for id, parts := range sub.owned {
		req.Topics = append(req.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: parts})
	}
	return &beat{
		ConsumerGroupHeartbeatRequest: req, clientID: m.clientID, host: m.host, visible: everyTopic, session: m.session,
		classic: &classicMembership{m.session, m.protocols},
	}
}

// syncMixedLocked answers a classic member of a consumer group that asks for its assignment.
func (gs *Groups) syncMixedLocked(g *consumerGroup, req *kmsg.SyncGroupRequest) (synced, *kerr.Error) {
	m, kerror := g.findClassic(req.MemberID, req.InstanceID, req.Generation)
	if kerror != nil {
		return synced{}, kerror
	}
	protocol := m.classic.protocols[0].name
	if req.ProtocolType != nil && *req.ProtocolType != groupProtocolType || req.Protocol != nil && *req.Protocol != protocol {
		return synced{}, kerr.InconsistentGroupProtocol
	}
	if kerror := g.syncClassic(m, gs.clock.Now()); kerror != nil {
		return synced{}, kerror
	}
	return synced{protocolType: groupProtocolType, protocol: protocol, assignment: m.classicAssignment(gs.offsets.topics())}, nil
}

func (gs *Groups) beatMixedLocked(g *consumerGroup, req *kmsg.HeartbeatRequest) *kerr.Error {
	m, kerror := g.findClassic(req.MemberID, req.InstanceID, req.Generation)
	if kerror != nil {
		return kerror
	}
	return g.beatClassic(m, gs.clock.Now())
}

// undoLocked gives a group that the log has not taken back the state that the log has.
func (gs *Groups) undoLocked(g *consumerGroup, err error) error {
	if gs.mu.consumers[g.id] != g {
		return err // it was about to become one of the consumer protocol
	}
	delete(gs.mu.consumers, g.id)
	again, restore := gs.storedConsumerLocked(g.id)
	if restore == nil {
		gs.mu.consumers[g.id] = again
	}
	return errors.Join(err, restore)
}
