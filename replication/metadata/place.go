package metadata

import (
	"maps"
	"slices"
)

// place makes records for n partitions numbered from first, each on up to replicas of the active brokers. Leaders go round the brokers; of a topic that is not spread (Topic.Spread) the
// node on which the queries run leads, if there is one. Followers are spread over the others by a shift that grows with each round, and over the racks: as in Kafka's assignment (KIP-36) the
// brokers stand in an order in which racks alternate, and a rack gets another replica only when each has as many. Brokers without a rack are a rack together.
func (b *Batch) place(first, n, replicas int32, spread bool) ([]Partition, error) {
	var active, drained []*Broker
	for k := range b.img.Brokers() {
		switch {
		case k.Fenced || k.Draining:
		case b.img.Drained(k.ID), b.img.Full(k.ID):
			drained = append(drained, k)
		default:
			active = append(active, k)
		}
	}
	if len(active) == 0 {
		active = drained
	}
	if len(active) == 0 {
		return nil, &Error{ErrInvalid, "topic", "", "no broker is active to hold its partitions"}
	}
	active = alternate(active)
	count := min(int(replicas), len(active))
	queries, chosen := b.img.QueryNode()
	at := slices.IndexFunc(active, func(k *Broker) bool { return k.ID == queries })
	out := make([]Partition, n)
	for i := range out {
		slot := b.start() + b.placed
		b.placed++
		order := rotate(active, slot)
		if chosen && !spread && at >= 0 {
			order = slices.DeleteFunc(order, func(k *Broker) bool { return k.ID == queries })
			order = slices.Insert(order, 0, active[at])
		}
		p := Partition{ID: first + int32(i)}
		var racks Racks
		for len(p.Replicas) < count {
			k := racks.Take(&order)
			p.Replicas, p.Directories = append(p.Replicas, k.ID), append(p.Directories, k.Directory)
		}
		p.ISR = p.Replicas
		p.Leader = p.Replicas[0]
		out[i] = p
	}
	return out, nil
}

// alternate orders brokers so that each is of another rack than the one before, as far as that goes: the first of each rack, then the second of each.
func alternate(brokers []*Broker) []*Broker {
	of := map[string][]*Broker{}
	for _, k := range brokers {
		of[k.Rack] = append(of[k.Rack], k)
	}
	racks := slices.Sorted(maps.Keys(of))
	out := make([]*Broker, 0, len(brokers))
	for i := 0; len(out) < len(brokers); i++ {
		for _, r := range racks {
			if i < len(of[r]) {
				out = append(out, of[r][i])
			}
		}
	}
	return out
}

// Racks counts the replicas of a partition by rack.
type Racks map[string]int

// Add counts a replica.
func (r *Racks) Add(rack string) {
	if *r == nil {
		*r = Racks{}
	}
	(*r)[rack]++
}

// Take takes the first of the brokers whose rack has the fewest replicas out of free, which is not empty, and counts it.
func (r *Racks) Take(free *[]*Broker) *Broker {
	best := 0
	for i, k := range *free {
		if (*r)[k.Rack] < (*r)[(*free)[best].Rack] {
			best = i
		}
	}
	k := (*free)[best]
	*free = slices.Delete(*free, best, best+1)
	r.Add(k.Rack)
	return k
}

// Arrange is the order in which brokers hold the replicas of the partition in the given slot, the leader first: that of place, for replicas that have been chosen already. The leaders of
// consecutive slots go round the brokers, and those that a broker leads have their second replicas on all others in turn, so that all take a part of what it leads when it dies.
func Arrange(brokers []*Broker, slot int) []*Broker {
	free := rotate(alternate(brokers), slot)
	out := make([]*Broker, 0, len(free))
	for racks := (Racks{}); len(free) > 0; {
		out = append(out, racks.Take(&free))
	}
	return out
}

// rotate is the order of brokers for the partition in the given slot, racks left aside.
func rotate(brokers []*Broker, slot int) []*Broker {
	order := make([]*Broker, len(brokers))
	for r := range order {
		order[r] = brokers[follower(slot, r, len(brokers))]
	}
	return order
}

// start is where this batch begins in the round of brokers: it differs from one batch to the next.
func (b *Batch) start() int { return int(b.img.index & (1<<30 - 1)) }

// follower is which of n brokers holds replica r of the partition in the given slot; replica 0 is the leader.
func follower(slot, r, n int) int {
	if r == 0 {
		return slot % n
	}
	shift := 1 + (slot/n+r-1)%(n-1)
	return (slot + shift) % n
}

// maxElections bounds the partitions of one batch of elections, so that it stays far below MaxEntryBytes.
const maxElections = 4096

// elections returns batches that give, to every partition that names broker id among its replicas and that id leads or nobody does, a leader and a
// new leader epoch: the first replica in assignment order that is in sync and active. A partition that id led already is among them, for a
// restarted leader may have lost what followers have read.
func elections(img *Image, id int32, newBatch func() *Batch) []*Batch {
	var out []*Batch
	for t := range img.Topics() {
		for _, was := range t.Partitions {
			if !Has(was.Replicas, id) || was.Leader != NoLeader && was.Leader != id {
				continue
			}
			next := was
			if next.Leader = elect(img, was); next.Leader == NoLeader {
				continue
			}
			if len(out) == 0 || out[len(out)-1].Len() == maxElections {
				out = append(out, newBatch())
			}
			out[len(out)-1].ChangePartition(t.ID, was, next, true, nil)
		}
	}
	return out
}

func elect(img *Image, p Partition) int32 {
	for _, r := range p.Replicas {
		if k, ok := img.Broker(r); ok && !k.Fenced && !k.Draining && Has(p.ISR, r) {
			return r
		}
	}
	return NoLeader
}
