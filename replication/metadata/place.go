package metadata

import "slices"

// place makes records for n partitions numbered from first, each on up to replicas of the active brokers. Leaders go round the brokers; of a topic that is not spread (Topic.Spread) the
// node on which the queries run leads, if there is one. Followers are spread over the others by a shift that grows with each round, as Kafka's assignment does (KIP-36 without racks).
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
	count := min(int(replicas), len(active))
	queries, chosen := b.img.QueryNode()
	chosen = chosen && !spread && slices.ContainsFunc(active, func(k *Broker) bool { return k.ID == queries })
	out := make([]Partition, n)
	for i := range out {
		slot := b.start() + b.placed
		b.placed++
		p := Partition{ID: first + int32(i)}
		for r := range len(active) {
			k := active[follower(slot, r, len(active))]
			at := len(p.Replicas)
			if chosen && k.ID == queries {
				at = 0
			}
			p.Replicas = slices.Insert(p.Replicas, at, k.ID)
			p.Directories = slices.Insert(p.Directories, at, k.Directory)
		}
		p.Replicas, p.Directories = p.Replicas[:count:count], p.Directories[:count:count]
		p.ISR = p.Replicas
		p.Leader = p.Replicas[0]
		out[i] = p
	}
	return out, nil
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
