package controller

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/metadata"
)

// Moving a partition to other replicas while it is read and written (KIP-455): the new ones are added, copy what there is, and join the in-sync set like any that was behind; then the old
// ones go. Until the end the partition has as many in-sync replicas as before.

// Reassign returns the record of a partition that is to be moved to the given replicas, of which the first is to lead, and whether its leadership is a new one. One that is being moved goes to
// these instead; replicas are taken off by the controller alone. Errors: INVALID_REPLICA_ASSIGNMENT.
func Reassign(img *metadata.Image, t *metadata.Topic, p metadata.Partition, target []int32) (n metadata.Partition, newEpoch bool, err error) {
	v := newView(img)
	if err := v.checkTarget(t, target); err != nil {
		return p, false, err
	}
	n = p
	original := p.Original()
	for _, id := range p.Adding {
		if !slices.Contains(target, id) && !slices.Contains(p.ISR, id) {
			takeReplica(&n, id) // of no use any more
		}
	}
	n.Adding, n.Removing, n.Target = nil, nil, slices.Clone(target)
	for _, id := range target {
		if slices.Contains(original, id) {
			continue
		}
		n.Adding = append(n.Adding, id)
		if k, ok := img.Broker(id); ok && !slices.Contains(n.Replicas, id) {
			n.Replicas, n.Directories = append(slices.Clone(n.Replicas), id), append(slices.Clone(n.Directories), k.Directory)
		}
	}
	for _, id := range n.Replicas {
		if !slices.Contains(target, id) {
			n.Removing = append(n.Removing, id)
		}
	}
	if n.Wanted = int32(len(target)); n.Wanted == t.WantedReplicas {
		n.Wanted = 0
	}
	if len(n.Removing) == 0 {
		v.settle(t, &n)
	}
	return n, n.Leader != p.Leader, nil
}

// checkTarget refuses replicas that a partition cannot be moved to.
func (v view) checkTarget(t *metadata.Topic, target []int32) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: replicas %v: %s", kerr.InvalidReplicaAssignment, target, fmt.Sprintf(format, args...))
	}
	if len(target) == 0 {
		return bad("a partition has at least one")
	}
	for i, id := range target {
		switch _, ok := v.img.Broker(id); {
		case slices.Contains(target[:i], id):
			return bad("node %d is named twice", id)
		case !ok:
			return bad("there is no node %d", id)
		case v.img.Drained(id):
			return bad("node %d is drained; ALTER NODE %d UNDRAIN comes first", id, id)
		case v.img.Removed(id):
			return bad("node %d is being removed", id)
		}
	}
	if !t.Spread() && v.queries >= 0 && !slices.Contains(target, v.queries) {
		return bad("node %d leads this topic and must be among them, for the queries run there", v.queries)
	}
	return nil
}

// CancelReassignment returns the record of a partition that is to stay with the replicas it had before it was to be moved. Errors: NO_REASSIGNMENT_IN_PROGRESS; INVALID_REPLICA_ASSIGNMENT if
// none of those is in sync any more, for they may lack what is committed.
func CancelReassignment(img *metadata.Image, t *metadata.Topic, p metadata.Partition) (n metadata.Partition, newEpoch bool, err error) {
	if p.Target == nil {
		return p, false, fmt.Errorf("%w: the partition is not being moved", kerr.NoReassignmentInProgress)
	}
	original := p.Original()
	if !slices.ContainsFunc(p.ISR, func(id int32) bool { return slices.Contains(original, id) }) {
		return p, false, fmt.Errorf("%w: it must go on, for none of the replicas %v is in sync", kerr.InvalidReplicaAssignment, original)
	}
	v := newView(img)
	n = p
	stay(t, &n, v)
	v.elect(t, &n)
	return n, n.Leader != p.Leader, nil
}

// stay ends the move of a partition where it began, as far as somebody stays in sync.
func stay(t *metadata.Topic, n *metadata.Partition, v view) {
	original, added := int32(len(n.Original())), n.Adding
	n.Target, n.Removing, n.Adding, n.Wanted = nil, nil, nil, 0
	for _, id := range added {
		if !slices.Equal(n.ISR, []int32{id}) {
			takeReplica(n, id)
		}
	}
	if original > t.WantedReplicas || original < t.WantedReplicas && int(original) < v.count(v.mayLead) {
		n.Wanted = original // it was so by an earlier move
	}
}

// count is how many brokers are so.
func (v view) count(so func(int32) bool) (n int) {
	for k := range v.img.Brokers() {
		if so(k.ID) {
			n++
		}
	}
	return n
}

// settle ends the move of a partition when the replicas it goes to are in sync and enough for writes. One of them that it had before and that is out of touch is not waited for.
func (v view) settle(t *metadata.Topic, n *metadata.Partition) {
	if n.Target == nil {
		return
	}
	to := slices.Clone(n.Target)
	if !t.Spread() && slices.Contains(n.Replicas, v.queries) && !slices.Contains(to, v.queries) {
		to = append(to, v.queries) // the queries have come there since
	}
	after := *n
	after.Target, after.Adding, after.Removing = nil, nil, nil
	for _, id := range n.Replicas {
		if !slices.Contains(to, id) {
			takeReplica(&after, id)
		}
	}
	for _, id := range to {
		if !slices.Contains(n.ISR, id) && (slices.Contains(n.Adding, id) || v.live(id)) {
			return
		}
	}
	if len(after.ISR) == 0 || len(after.ISR) < min(replication.MinISR(t, after), len(to)) || !v.mayTake(n, to) {
		return
	}
	after.Leader = n.Leader
	dirs := make([]metadata.UUID, len(to))
	for i, id := range to {
		dirs[i] = after.Directories[slices.Index(after.Replicas, id)]
	}
	after.Replicas, after.Directories = to, dirs
	*n = after
}

// mayTake reports whether the replicas that are not among to may go: none leads, or may believe that it does. A leader among them hands over first and stays in sync until it has heard so (see
// shrink).
func (v view) mayTake(n *metadata.Partition, to []int32) bool {
	if n.Leader != metadata.NoLeader && !slices.Contains(to, n.Leader) {
		at := slices.IndexFunc(to, func(id int32) bool { return v.mayLead(id) && slices.Contains(n.ISR, id) })
		if at < 0 {
			return false
		}
		n.Leader = to[at]
		return v.informed == nil
	}
	return !slices.ContainsFunc(n.Replicas, func(id int32) bool {
		return !slices.Contains(to, id) && v.live(id) && v.informed != nil && !v.informed(id)
	})
}

// Elect returns the record of a partition that is to be led by its first replica, or with unclean, of one that nobody leads, by any that is in touch: then what the others have more is lost.
// It is asked for by operators (ElectLeaders, KIP-183 and KIP-460). Errors: ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE.
func Elect(img *metadata.Image, t *metadata.Topic, p metadata.Partition, unclean bool) (n metadata.Partition, err error) {
	v := newView(img)
	n = p
	if unclean {
		if p.Leader != metadata.NoLeader {
			return p, fmt.Errorf("%w: the partition has a leader", kerr.ElectionNotNeeded)
		}
		if !v.electUnclean(&n) {
			return p, fmt.Errorf("%w: no replica is in touch", kerr.EligibleLeadersNotAvailable)
		}
		return n, nil
	}
	preferred := p.Replicas[0]
	if !t.Spread() {
		preferred = v.queries
	}
	switch {
	case p.Leader == preferred:
		return p, fmt.Errorf("%w: the preferred replica leads", kerr.ElectionNotNeeded)
	case !v.mayLead(preferred) || !slices.Contains(p.ISR, preferred):
		return p, fmt.Errorf("%w: node %d is not in sync, not in touch, or drained", kerr.PreferredLeaderNotAvailable, preferred)
	}
	n.Leader = preferred
	return n, nil
}

// electUnclean makes any replica lead that is in touch; false if there is none.
func (v view) electUnclean(n *metadata.Partition) bool {
	for _, id := range n.Replicas {
		if v.live(id) {
			n.Leader, n.ISR, n.ELR, n.RecoveryState = id, []int32{id}, nil, metadata.Recovering
			return true
		}
	}
	return false
}
