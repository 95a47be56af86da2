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

// Claim makes a node the owner of partitions that the tasks of a persistent query read, and returns the generation of the claim when that is durable. From then on nobody commits offsets of them
// under an older claim; the claims of other partitions stay as they are.
func (o *Offsets) Claim(ctx context.Context, groupID, member string, tps []TopicPartition) (generation int32, err error) {
	l, kerror := o.lease(groupID)
	if kerror != nil {
		return 0, kerror
	}
	if !isQueryGroup(groupID) || len(tps) == 0 {
		return 0, kerr.InvalidRequest
	}
	generation, next, err := l.claim(ctx, groupID, member, tps, o.clock.Now().UnixMilli())
	if err != nil {
		return 0, err
	}
	return generation, l.part.WaitHighWatermark(ctx, next)
}

func (l *offsetLease) claim(ctx context.Context, groupID, member string, tps []TopicPartition, now int64) (generation int32, next int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	generation = 1
	owners := map[TopicPartition]ownership{}
	if g := l.mu.groups[groupID]; g != nil {
		generation = g.generation + 1
		maps.Copy(owners, g.owners)
	}
	for _, tp := range tps {
		owners[tp] = ownership{member, generation}
	}
	members := claimants(owners)
	how := groupProtocols{groupProtocolType, groupProtocol, members[0].ID}
	set := newRecordSet(now)
	set.addGroup(groupID, generation, how, members)
	if next, err = l.appendSet(ctx, set); err != nil {
		return 0, 0, err
	}
	l.groupLocked(groupID).setMembers(generation, how, members)
	return generation, next, nil
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
