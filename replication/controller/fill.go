package controller

import (
	"cmp"
	"slices"

	"github.com/millracedb/millrace/replication/metadata"
)

// fill begins to move replicas to nodes that are to be filled, until each has its share of all replicas, and ends their filling when nothing is left to be begun. It takes from the nodes that
// have the most, never where a partition would be on fewer racks, and a few of each topic rather than all of one. No more is begun at a time than one entry holds.
func (v view) fill(add func() *metadata.Batch) {
	for k := range v.img.Brokers() {
		if !v.img.Filling(k.ID) {
			continue
		}
		if v.img.Drained(k.ID) {
			add().Filled(k.ID)
			continue
		}
		if !v.mayLead(k.ID) {
			continue // it is waited for
		}
		moves := v.planFill(k)
		for i, m := range moves {
			if i == batchPartitions-1 {
				return
			}
			n, newEpoch, err := Reassign(v.img, m.topic, m.p, m.target)
			if err == nil {
				add().ChangePartition(m.topic.ID, m.p, n, newEpoch, nil)
			}
		}
		add().Filled(k.ID)
		return // others are filled by what is then
	}
}

// fillMove is a replica to be moved.
type fillMove struct {
	topic  *metadata.Topic
	p      metadata.Partition
	target []int32
}

// planFill chooses what is moved to k.
func (v view) planFill(k *metadata.Broker) []fillMove {
	held := map[int32]int{k.ID: 0}
	var free []fillMove
	total := 0
	for t := range v.img.Topics() {
		for _, p := range t.Partitions {
			to := p.Target
			if to == nil {
				to = p.Replicas
			}
			for _, id := range to {
				held[id]++
				total++
			}
			if p.Target == nil && len(p.Adding) == 0 && !slices.Contains(p.Replicas, k.ID) {
				free = append(free, fillMove{topic: t, p: p})
			}
		}
	}
	share := total / max(v.count(v.mayLead), 1)
	slices.SortStableFunc(free, func(a, b fillMove) int { return cmp.Compare(a.p.ID, b.p.ID) })
	var moves []fillMove
	for _, m := range free {
		if held[k.ID] >= share {
			break
		}
		from := v.donor(m.topic, &m.p, k, held)
		if from < 0 {
			continue
		}
		m.target = slices.Clone(m.p.Replicas)
		m.target[slices.Index(m.target, from)] = k.ID
		held[from]--
		held[k.ID]++
		moves = append(moves, m)
	}
	return moves
}

// donor is the node that gives its replica of a partition to k: the one that has the most replicas, and more than k; -1 if there is none.
func (v view) donor(t *metadata.Topic, p *metadata.Partition, k *metadata.Broker, held map[int32]int) int32 {
	var racks metadata.Racks
	rackOf := func(id int32) string {
		if b, ok := v.img.Broker(id); ok {
			return b.Rack
		}
		return ""
	}
	for _, id := range p.Replicas {
		racks.Add(rackOf(id))
	}
	best := int32(-1)
	for _, id := range p.Replicas {
		switch rack := rackOf(id); {
		case !t.Spread() && id == v.queries, held[id] <= held[k.ID]+1:
		case rack != k.Rack && racks[k.Rack] >= racks[rack]:
		case best < 0 || held[id] > held[best]:
			best = id
		}
	}
	return best
}
