package coordinator

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The members of a persistent query's group are nodes. A node claims the partitions of the tasks that it takes up, and a commit is held against the last claim of each of its partitions instead
// of the group's generation: a task that stays where it is neither stops nor hears of those that move (KIP-1251 does so with assignment epochs).

// ownership is who has claimed a partition last.
type ownership struct {
	member string
	since  int32 // the generation of the claim
}

// bytesPerClaim is what a partition takes in the user data of an assignment: the generation of the claim, big-endian, in the order of the assignment.
const bytesPerClaim = 4

func isQueryGroup(id string) bool { return strings.HasPrefix(id, queryGroupPrefix) }

// GroupClaim are partitions of a query's group that a node is to own.
type GroupClaim struct {
	Group, Member string
	Partitions    []TopicPartition
}

// Claimed is what came of a GroupClaim: the generation that commits are to name, or why there is none.
type Claimed struct {
	Generation int32
	Err        error
}

// claimBatchBytes is the size at which a batch of claims is appended and another one begun.
const claimBatchBytes = 256 << 10

// Claim makes nodes the owners of partitions that the tasks of persistent queries read, and returns what came of each claim when all are durable. From then on nobody commits offsets of those
// partitions under an older claim; the claims of other partitions stay as they are. The claims of groups that are kept in one partition are written together and waited for once: after a crash in
// the middle some hold and others do not, each group's as a whole, and whoever was not answered claims again.
func (o *Offsets) Claim(ctx context.Context, claims []GroupClaim) []Claimed {
	out := make([]Claimed, len(claims))
	byLease := map[*offsetLease][]int{}
	for i, c := range claims {
		l, kerror := o.lease(c.Group)
		switch {
		case kerror != nil:
			out[i].Err = kerror
		case !isQueryGroup(c.Group) || len(c.Partitions) == 0:
			out[i].Err = kerr.InvalidRequest
		default:
			byLease[l] = append(byLease[l], i)
		}
	}
	ends := map[*offsetLease]int64{}
	for l, indexes := range byLease { // all are written before any is waited for
		if next := l.claim(ctx, claims, indexes, out, o.clock.Now().UnixMilli()); next > 0 {
			ends[l] = next
			l.part.Flush(next)
		}
	}
	for l, next := range ends {
		if err := l.part.WaitHighWatermark(ctx, next); err != nil {
			for _, i := range byLease[l] {
				out[i] = Claimed{Err: coordinatorError(err)}
			}
		}
	}
	return out
}

// claim writes the claims with these indexes, fills in what came of them, and returns the end of what it has written, 0 if that is nothing.
func (l *offsetLease) claim(ctx context.Context, claims []GroupClaim, indexes []int, out []Claimed, now int64) (next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(indexes) > 0 {
		batch := l.claimBatchLocked(claims, indexes, now)
		end, err := l.appendSet(ctx, batch.set)
		for n, i := range indexes[:len(batch.groups)] {
			if err != nil {
				out[i].Err = err
				continue
			}
			g := batch.groups[n]
			l.groupLocked(claims[i].Group).setMembers(g.generation, g.how, g.members)
			out[i].Generation = g.generation
		}
		if err == nil {
			next = end
		}
		indexes = indexes[len(batch.groups):]
	}
	return next
}

// claimBatch are the first of some claims, as one record batch.
type claimBatch struct {
	set    *recordSet
	groups []claimedGroup // as the claims leave them
}

type claimedGroup struct {
	generation int32
	how        groupProtocols
	members    []GroupMember
}

// claimBatchLocked takes as many claims as fit a batch, at least one, and none of a group that is in the batch already.
func (l *offsetLease) claimBatchLocked(claims []GroupClaim, indexes []int, now int64) claimBatch {
	batch := claimBatch{set: newRecordSet(now)}
	taken := map[string]bool{}
	for _, i := range indexes {
		c := &claims[i]
		if taken[c.Group] || batch.set.b.Size() > claimBatchBytes {
			break
		}
		taken[c.Group] = true
		g := l.claimedLocked(c)
		batch.set.addGroup(c.Group, g.generation, g.how, g.members)
		batch.groups = append(batch.groups, g)
	}
	return batch
}

// claimedLocked is what a claim makes of its group.
func (l *offsetLease) claimedLocked(c *GroupClaim) claimedGroup {
	generation := int32(1)
	owners := map[TopicPartition]ownership{}
	if g := l.mu.groups[c.Group]; g != nil {
		generation = g.generation + 1
		maps.Copy(owners, g.owners)
	}
	for _, tp := range c.Partitions {
		owners[tp] = ownership{c.Member, generation}
	}
	members := claimants(owners)
	return claimedGroup{generation, groupProtocols{groupProtocolType, groupProtocol, members[0].ID}, members}
}

// claimants are the owners as members of the group, by name, with assignments that Kafka's tools read.
func claimants(owners map[TopicPartition]ownership) []GroupMember {
	byMember := map[string][]TopicPartition{}
	for tp, o := range owners {
		byMember[o.member] = append(byMember[o.member], tp)
	}
	var members []GroupMember
	for _, id := range slices.Sorted(maps.Keys(byMember)) {
		tps := byMember[id]
		slices.SortFunc(tps, func(a, b TopicPartition) int {
			return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		meta, a := kmsg.NewConsumerMemberMetadata(), kmsg.NewConsumerMemberAssignment()
		for _, tp := range tps {
			if n := len(a.Topics); n == 0 || a.Topics[n-1].Topic != tp.Topic {
				meta.Topics = append(meta.Topics, tp.Topic)
				a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: tp.Topic})
			}
			last := &a.Topics[len(a.Topics)-1]
			last.Partitions = append(last.Partitions, tp.Partition)
			a.UserData = binary.BigEndian.AppendUint32(a.UserData, uint32(owners[tp].since))
		}
		members = append(members, GroupMember{ID: id, ClientID: "millrace", Subscription: meta.AppendTo(nil), Assignment: a.AppendTo(nil)})
	}
	return members
}

// ownersIn reads the claims out of the members of a group; nil if they have made none, as in groups of releases that claimed a query as a whole.
func ownersIn(members []GroupMember) map[TopicPartition]ownership {
	owners := map[TopicPartition]ownership{}
	for _, m := range members {
		a := kmsg.NewConsumerMemberAssignment()
		if a.ReadFrom(m.Assignment) != nil {
			return nil
		}
		since := a.UserData
		for _, t := range a.Topics {
			if len(since) < bytesPerClaim*len(t.Partitions) {
				return nil
			}
			for _, p := range t.Partitions {
				owners[TopicPartition{t.Topic, p}] = ownership{m.ID, int32(binary.BigEndian.Uint32(since))}
				since = since[bytesPerClaim:]
			}
		}
	}
	return owners
}

// holds reports whether a claim of a query's group is the last one of a partition.
func (g *group) holds(c claim, tp TopicPartition) bool {
	o, ok := g.owners[tp]
	return ok && o.member == c.member && o.since <= c.generation && c.generation <= g.generation
}

// checkOwner refuses a claim some of whose partitions were claimed again since.
func (g *group) checkOwner(c claim, tps []TopicPartition) *kerr.Error {
	for _, tp := range tps {
		if !g.holds(c, tp) {
			return kerr.IllegalGeneration
		}
	}
	return nil
}

// notTried tells which offsets of a refused commit are those of claims that hold: they were left out only since they came with others that do not.
func (o *Offsets) notTried(c claim, tp TopicPartition) bool {
	l, kerror := o.lease(c.group)
	if kerror != nil || !isQueryGroup(c.group) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.mu.groups[c.group]
	return g != nil && g.holds(c, tp)
}
