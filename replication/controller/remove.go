package controller

import (
	"context"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/millracedb/millrace/replication/metadata"
)

// staying are the replicas on nodes that are to keep them.
func (v view) staying(replicas []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(replicas), func(id int32) bool { return v.img.Drained(id) || v.gone(id) })
}

// gone: the node is out of touch and to be forgotten.
func (v view) gone(id int32) bool { return v.img.Removed(id) && !v.live(id) }

// leave takes replicas off nodes that are to be forgotten, and off drained ones once as many others as the topic wants are in sync. The last replica in sync stays: it has what is committed.
func (v view) leave(t *metadata.Topic, n *metadata.Partition) {
	covered := len(v.staying(n.ISR)) >= t.Wants(n)
	for _, id := range n.Replicas {
		others := slices.DeleteFunc(slices.Clone(n.ISR), func(in int32) bool { return in == id })
		if len(others) > 0 && (v.gone(id) || covered && v.img.Drained(id)) {
			if slices.Contains(n.Target, id) {
				stay(t, n, v)
			}
			if slices.Contains(n.Replicas, id) {
				takeReplica(n, id)
			}
		}
	}
}

// takeReplica takes a replica off a record. A partition that was to be moved to nothing else is not moved any more.
func takeReplica(n *metadata.Partition, id int32) {
	at := slices.Index(n.Replicas, id)
	n.Replicas = slices.Delete(slices.Clone(n.Replicas), at, at+1)
	n.Directories = slices.Delete(slices.Clone(n.Directories), at, at+1)
	for _, ids := range []*[]int32{&n.ISR, &n.ELR, &n.LastKnownELR, &n.Adding, &n.Removing, &n.Target} {
		*ids = slices.DeleteFunc(slices.Clone(*ids), func(in int32) bool { return in == id })
	}
	if len(n.Target) == 0 {
		n.Target, n.Removing = nil, nil
	}
}

// forget ends the membership of nodes that are to be forgotten and hold nothing any more. One that has come back is kept.
func (c *Controller) forget(ctx context.Context) error {
	img := c.opts.Meta.Image()
	for k := range img.Brokers() {
		if !img.Removed(k.ID) {
			continue
		}
		b := c.opts.Meta.NewBatch()
		b.Keep(k.ID)
		if k.Fenced {
			if names(img, k.ID) {
				continue
			}
			if err := c.expel(ctx, k); err != nil {
				return err
			}
			c.opts.Logger.Info("controller: a node is forgotten", "node", k.ID, "directory", k.Directory)
			b.UnregisterBroker(k.ID, k.Epoch)
			if img.Drained(k.ID) {
				b.Undrain(k.ID)
			}
			if img.Full(k.ID) {
				b.SetFull(k.ID, false)
			}
		}
		if err := c.apply(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// expel takes a node out of the metadata group.
func (c *Controller) expel(ctx context.Context, k *metadata.Broker) error {
	members, err := c.opts.Meta.Members()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(members, func(m raft.Server) bool { return string(m.ID) == k.Directory.String() })
	if at < 0 {
		return nil
	}
	return c.opts.Meta.RemoveMember(ctx, members[at])
}

// names reports whether a partition has a replica on the broker.
func names(img *metadata.Image, id int32) bool {
	for t := range img.Topics() {
		for i := range t.Partitions {
			if slices.Contains(t.Partitions[i].Replicas, id) {
				return true
			}
		}
	}
	return false
}
