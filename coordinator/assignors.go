package coordinator

import (
	"cmp"
	"slices"
	"strings"
)

// The assignors of KIP-848; the first is the default.
const (
	assignorUniform = "uniform"
	assignorRange   = "range"
)

func knownAssignor(name string) bool { return name == assignorUniform || name == assignorRange }

// topicRef is a topic that a member subscribes to.
type topicRef struct {
	name       string
	id         topicID
	partitions int32
}

// assignee is a member as an assignor sees it.
type assignee struct {
	id       string
	instance *string
	topics   []topicRef // sorted by name
	had      assignment // what it was to have before
}

// assign divides the partitions among the members; the result is in their order. Each partition goes to one of those that subscribe to its topic.
func assign(assignor string, members []assignee) []assignment {
	if assignor == assignorRange {
		return assignByRange(members)
	}
	return assignUniformly(members)
}

// assignByRange gives each member neighbouring partitions of each topic, in the order of the members: static ones by their instance id, then the others by their id. So members with
// the same topics have the same partition numbers of all of them.
func assignByRange(members []assignee) []assignment {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareForRange(&members[a], &members[b]) })
	out := make([]assignment, len(members))
	readers := map[topicRef][]int{}
	for _, i := range order {
		out[i] = assignment{}
		for _, t := range members[i].topics {
			readers[t] = append(readers[t], i)
		}
	}
	for t, all := range readers {
		n := int32(len(all))
		next := int32(0)
		for k, i := range all {
			size := t.partitions / n
			if int32(k) < t.partitions%n {
				size++
			}
			for p := next; p < next+size; p++ {
				out[i][t.id] = append(out[i][t.id], p)
			}
			next += size
		}
	}
	return out
}

func compareForRange(a, b *assignee) int {
	switch {
	case a.instance != nil && b.instance != nil:
		return strings.Compare(*a.instance, *b.instance)
	case a.instance != nil:
		return -1
	case b.instance != nil:
		return 1
	}
	return strings.Compare(a.id, b.id)
}

// uniform is the work of assignUniformly.
type uniform struct {
	members []assignee
	owner   map[topicPart]int // index of the member
	count   []int
}

// assignUniformly gives members numbers of partitions that differ by one at most, as far as their subscriptions allow, and moves as few partitions as it can.
func assignUniformly(members []assignee) []assignment {
	u := &uniform{members: members, owner: map[topicPart]int{}, count: make([]int, len(members))}
	parts, readers, same := u.gather()
	u.keep(readers)
	if same {
		u.shed(len(parts))
	}
	u.give(parts, readers)
	if !same {
		u.level(parts, readers)
	}
	out := make([]assignment, len(members))
	for i := range out {
		out[i] = assignment{}
	}
	for _, tp := range parts { // in order, so each list is sorted
		if i, ok := u.owner[tp]; ok {
			out[i][tp.topic] = append(out[i][tp.topic], tp.partition)
		}
	}
	return out
}

// gather lists all partitions, by topic and number, and who reads each topic; same says that everybody reads all of them.
func (u *uniform) gather() (parts []topicPart, readers map[topicID][]int, same bool) {
	readers = map[topicID][]int{}
	var topics []topicRef
	for i := range u.members {
		for _, t := range u.members[i].topics {
			if readers[t.id] == nil {
				topics = append(topics, t)
			}
			readers[t.id] = append(readers[t.id], i)
		}
	}
	slices.SortFunc(topics, func(a, b topicRef) int { return cmp.Compare(a.name, b.name) })
	same = true
	for _, t := range topics {
		same = same && len(readers[t.id]) == len(u.members)
		for p := range t.partitions {
			parts = append(parts, topicPart{t.id, p})
		}
	}
	return parts, readers, same
}

// keep leaves partitions where they are, if they still exist and are subscribed to.
func (u *uniform) keep(readers map[topicID][]int) {
	for i := range u.members {
		sizes := make(map[topicID]int32, len(u.members[i].topics))
		for _, t := range u.members[i].topics {
			sizes[t.id] = t.partitions
		}
		for tp := range u.members[i].had.all {
			if _, taken := u.owner[tp]; !taken && tp.partition < sizes[tp.topic] && readers[tp.topic] != nil {
				u.owner[tp] = i
				u.count[i]++
			}
		}
	}
}

// shed takes from members, who all read the same, what is above their share. Those who have most may keep one more.
func (u *uniform) shed(total int) {
	order := make([]int, len(u.members))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(u.count[b], u.count[a]) })
	for k, i := range order {
		share := total / len(u.members)
		if k < total%len(u.members) {
			share++
		}
		if u.count[i] <= share {
			continue
		}
		for tp := range u.members[i].had.all {
			if owner, ok := u.owner[tp]; ok && owner == i && u.count[i] > share {
				delete(u.owner, tp)
				u.count[i]--
			}
		}
	}
}

// give hands out what nobody has, each to the reader who has least.
func (u *uniform) give(parts []topicPart, readers map[topicID][]int) {
	for _, tp := range parts {
		if _, ok := u.owner[tp]; !ok {
			i := u.least(readers[tp.topic])
			u.owner[tp] = i
			u.count[i]++
		}
	}
}

// level moves partitions to readers who have less by two or more, until there are none. Each move makes the sum of squares smaller, so it ends.
func (u *uniform) level(parts []topicPart, readers map[topicID][]int) {
	for moved := true; moved; {
		moved = false
		for _, tp := range parts {
			from, to := u.owner[tp], u.least(readers[tp.topic])
			if u.count[from] >= u.count[to]+2 {
				u.owner[tp] = to
				u.count[from]--
				u.count[to]++
				moved = true
			}
		}
	}
}

// least is who of some members has least; of equals the first.
func (u *uniform) least(among []int) int {
	best := among[0]
	for _, i := range among[1:] {
		if u.count[i] < u.count[best] {
			best = i
		}
	}
	return best
}
