package controller

import (
	"slices"

	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/metadata"
)

// settingUnclean is Kafka's setting that lets a replica lead that may lack committed records.
const settingUnclean = "unclean.leader.election.enable"

// view is an image with the questions that the decisions ask of it.
type view struct {
	img *metadata.Image
	// queries is the node that leads what is not spread, as far as it can; -1 if there is none.
	queries int32
	// balance: the cluster has been steady, so leaderships may go back to the replicas that are to have them.
	balance bool
	// informed reports whether a broker has acted on all leaderships that were given out so far; nil: all have.
	informed func(int32) bool
}

func newView(img *metadata.Image) view { return view{img: img, queries: chooseQueryNode(img)} }

// live: the broker is in touch.
func (v view) live(id int32) bool {
	k, ok := v.img.Broker(id)
	return ok && !k.Fenced
}

// active: it is in touch and not on its way out.
func (v view) active(id int32) bool {
	k, ok := v.img.Broker(id)
	return ok && !k.Fenced && !k.Draining
}

// mayLead: it is active, has room on its disk, and no operator wants it to lead nothing.
func (v view) mayLead(id int32) bool {
	return v.active(id) && !v.img.Drained(id) && !v.img.Full(id)
}

// chooseQueryNode keeps the present node while it may lead; else it is the one of those which may that is in sync for the most partitions, the lowest number among equals. If none may, an
// active one does.
func chooseQueryNode(img *metadata.Image) int32 {
	v := view{img: img}
	if id := v.bestQueryNode(v.mayLead); id >= 0 {
		return id
	}
	return v.bestQueryNode(v.active)
}

func (v view) bestQueryNode(may func(int32) bool) int32 {
	img := v.img
	if now, ok := img.QueryNode(); ok && may(now) {
		return now
	}
	inSync := map[int32]int{}
	for t := range img.Topics() {
		for i := range t.Partitions {
			for _, id := range t.Partitions[i].ISR {
				inSync[id]++
			}
		}
	}
	best := int32(-1)
	for k := range img.Brokers() {
		if may(k.ID) && (best < 0 || inSync[k.ID] > inSync[best]) {
			best = k.ID
		}
	}
	return best
}

// next is the record that should follow p, and whether its leadership is a new one; changed is false if p can stay.
func (v view) next(t *metadata.Topic, p metadata.Partition) (n metadata.Partition, newEpoch, changed bool) {
	n = p
	v.leave(t, &n)
	v.settle(t, &n)
	v.grow(t, &n)
	v.shrink(t, &n)
	v.elect(t, &n)
	newEpoch = n.Leader != p.Leader
	changed = newEpoch || !slices.Equal(n.ISR, p.ISR) || !slices.Equal(n.ELR, p.ELR) || !slices.Equal(n.Replicas, p.Replicas) || !slices.Equal(n.Target, p.Target)
	return n, newEpoch, changed
}

// grow gives a partition that has fewer replicas than its topic wants others on active brokers; one that is not spread has one on the query node first. Racks with fewer replicas come before others. They count when they are in sync.
func (v view) grow(t *metadata.Topic, n *metadata.Partition) {
	add := func(k *metadata.Broker) {
		n.Replicas = append(slices.Clone(n.Replicas), k.ID)
		n.Directories = append(slices.Clone(n.Directories), k.Directory)
		n.Adding = append(slices.Clone(n.Adding), k.ID)
	}
	if k, ok := v.img.Broker(v.queries); ok && !t.Spread() && !slices.Contains(n.Replicas, k.ID) && t.Wants(n) > 1 {
		add(k)
	}
	missing := t.Wants(n) - len(v.staying(n.Replicas))
	if missing <= 0 || n.Target != nil {
		return
	}
	var free []*metadata.Broker
	var racks metadata.Racks
	for k := range v.img.Brokers() {
		switch {
		case !slices.Contains(n.Replicas, k.ID):
			if v.mayLead(k.ID) {
				free = append(free, k)
			}
		case !v.img.Drained(k.ID) && !v.gone(k.ID):
			racks.Add(k.Rack)
		}
	}
	if len(free) == 0 {
		return
	}
	first := int(n.ID) % len(free)
	free = slices.Concat(free[first:], free[:first])
	for range min(missing, len(free)) {
		add(racks.Take(&free))
	}
	if t.Spread() {
		v.order(t, n)
	}
}

// order puts the replicas of a partition that has grown into the order that they would have if it were made now: the first is the one that is to lead, as in Kafka.
func (v view) order(t *metadata.Topic, n *metadata.Partition) {
	var on []*metadata.Broker
	for _, id := range slices.Sorted(slices.Values(n.Replicas)) {
		k, ok := v.img.Broker(id)
		if !ok {
			k = &metadata.Broker{ID: id} // removed, and not replaced yet
		}
		on = append(on, k)
	}
	const slots = 1 << 30 // more than any cluster has partitions, and an int everywhere
	ids, dirs := make([]int32, len(on)), make([]metadata.UUID, len(on))
	for i, k := range metadata.Arrange(on, int((t.CreatedAt+uint64(n.ID))%slots)) {
		ids[i], dirs[i] = k.ID, n.Directories[slices.Index(n.Replicas, k.ID)]
	}
	n.Replicas, n.Directories = ids, dirs
}

// shrink takes brokers that are out of touch or on their way out off the in-sync set. The last ones stay: they have what is committed. One on its way out stays too, until it leads nothing and has
// heard so: what is in sync must follow the new leader for anything to be committed there, so nothing is before the old one has stopped to answer for the partition. While the set is below
// min.insync.replicas nothing is committed, so those that leave it stay eligible (KIP-966).
func (v view) shrink(t *metadata.Topic, n *metadata.Partition) {
	may := v.live
	if slices.ContainsFunc(n.ISR, v.active) {
		may = func(id int32) bool {
			return v.active(id) || v.live(id) && (id == n.Leader || v.informed != nil && !v.informed(id))
		}
	}
	stay := slices.DeleteFunc(slices.Clone(n.ISR), func(id int32) bool { return !may(id) })
	if len(stay) > 0 && len(stay) < len(n.ISR) {
		replication.SetISR(n, stay, replication.MinISR(t, *n))
	}
}

// elect sees that somebody leads who may: of a partition that is not spread, the query node if it is in sync; of one that is, the first replica, once the cluster is steady; else whoever
// does, else the first replica that is in sync, else one that is eligible, else any if the topic allows it.
func (v view) elect(t *metadata.Topic, n *metadata.Partition) {
	leads := func(id int32) bool { return v.mayLead(id) && slices.Contains(n.ISR, id) }
	switch {
	case !t.Spread() && leads(v.queries):
		n.Leader = v.queries
		return
	case t.Spread() && v.balance && n.Target == nil && leads(n.Replicas[0]):
		n.Leader = n.Replicas[0]
		return
	case leads(n.Leader):
		return
	}
	inSync := func(may func(int32) bool) int32 {
		for _, id := range n.Replicas {
			if may(id) && slices.Contains(n.ISR, id) {
				return id
			}
		}
		return metadata.NoLeader
	}
	if id := inSync(v.mayLead); id != metadata.NoLeader {
		n.Leader = id
		return
	}
	if v.active(n.Leader) && slices.Contains(n.ISR, n.Leader) {
		return // it is drained, and goes on, for there is nobody else
	}
	if id := inSync(v.active); id != metadata.NoLeader {
		n.Leader = id
		return
	}
	if v.live(n.Leader) && slices.Contains(n.ISR, n.Leader) {
		return // it is draining, and goes on, for there is nobody else
	}
	if id := inSync(v.live); id != metadata.NoLeader {
		n.Leader = id
		return
	}
	n.Leader = metadata.NoLeader
	for _, id := range n.Replicas {
		if v.live(id) && slices.Contains(n.ELR, id) {
			was := n.ISR
			n.Leader, n.ISR = id, []int32{id}
			n.ELR = slices.DeleteFunc(slices.Concat(was, n.ELR), func(e int32) bool { return e == id })
			return
		}
	}
	if t.Configs[settingUnclean] == "true" {
		v.electUnclean(n)
	}
}

// Review returns the batches that make the partitions of img what they should be, and choose the node that runs the queries; none if nothing is to be done. With balance, leaderships go
// back to the replicas that are to have them. informed reports whether a broker has acted on all leaderships that were given out so far; nil: all have. moved is how many leaderships are new.
func Review(img *metadata.Image, newBatch func() *metadata.Batch, balance bool, informed func(int32) bool) (batches []*metadata.Batch, moved int) {
	v := newView(img)
	v.balance, v.informed = balance, informed
	add := func() *metadata.Batch {
		if n := len(batches); n == 0 || batches[n-1].Len() >= batchPartitions {
			batches = append(batches, newBatch())
		}
		return batches[len(batches)-1]
	}
	if now, ok := img.QueryNode(); v.queries >= 0 && (!ok || now != v.queries) {
		add().SetQueryNode(v.queries)
	}
	for t := range img.Topics() {
		for _, p := range t.Partitions {
			n, newEpoch, changed := v.next(t, p)
			if !changed {
				continue
			}
			if newEpoch {
				moved++
			}
			add().ChangePartition(t.ID, p, n, newEpoch, nil)
		}
	}
	if len(batches) == 0 && balance {
		v.fill(add)
	}
	return batches, moved
}

// Released reports whether nothing is left of what a fenced broker held that others can take: a registration that has just come may follow one that led.
func Released(img *metadata.Image, id int32) bool {
	return !holds(img, id, func(p metadata.Partition, _ metadata.Partition) bool { return p.Leader == id })
}

// mayStop reports whether a broker on its way out holds nothing any more that others can take.
func mayStop(img *metadata.Image, id int32) bool {
	return !holds(img, id, func(p, next metadata.Partition) bool { return p.Leader == id && next.Leader != id }) && newView(img).queries != id
}

// handing reports whether a broker in touch is on its way out and holds something that others can take.
func handing(img *metadata.Image) bool {
	for k := range img.Brokers() {
		if k.Draining && !k.Fenced && !mayStop(img, k.ID) {
			return true
		}
	}
	return false
}

// holds reports whether a broker is in an in-sync set that it is about to be taken out of, or leads so that it matters.
func holds(img *metadata.Image, id int32, leads func(p, next metadata.Partition) bool) bool {
	v := newView(img)
	for t := range img.Topics() {
		for _, p := range t.Partitions {
			if p.Leader != id && !metadata.Has(p.ISR, id) {
				continue
			}
			next, _, _ := v.next(t, p)
			if leads(p, next) || metadata.Has(p.ISR, id) && !metadata.Has(next.ISR, id) {
				return true
			}
		}
	}
	return false
}
