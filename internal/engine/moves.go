package engine

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/replication/metadata"
)

// Moves implements pgcatalog.World: the replicas that partitions get and lose, and how far those have come that copy.
func (w *world) Moves() []pgcatalog.Move {
	ctx, cancel := context.WithTimeout(context.Background(), boundsTimeout)
	defer cancel()
	var out []pgcatalog.Move
	copying := map[int32][]endsAt{} // by node
	for t := range w.img.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			for _, id := range p.Adding {
				out = append(out, pgcatalog.Move{Topic: t.Name, Partition: p.ID, Node: id, Change: "adding", Asked: p.Target != nil, Records: -1, Left: -1})
				copying[id] = append(copying[id], endsAt{Topic: t.Name, Partition: p.ID})
			}
			for _, id := range goingFrom(w.img, p) {
				out = append(out, pgcatalog.Move{Topic: t.Name, Partition: p.ID, Node: id, Change: "removing", Asked: p.Target != nil, Records: -1, Left: -1})
			}
		}
	}
	for node, parts := range copying {
		ends := w.e.endsOn(ctx, node, parts)
		for _, end := range ends {
			i := slices.IndexFunc(out, func(m pgcatalog.Move) bool {
				return m.Topic == end.Topic && m.Partition == end.Partition && m.Node == node
			})
			if o, err := w.e.log.Offsets(ctx, tpOf(end.Topic, end.Partition)); err == nil && i >= 0 {
				out[i].Records = o.HighWatermark - o.LogStart
				out[i].Left = max(o.HighWatermark-max(end.Offset, o.LogStart), 0)
			}
		}
	}
	return out
}

// goingFrom are the nodes that lose their replica of a partition: those that a move takes off, and drained ones whose place others take.
func goingFrom(img *metadata.Image, p *metadata.Partition) []int32 {
	if p.Target != nil {
		return p.Removing
	}
	if len(p.Adding) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Replicas), func(id int32) bool { return !img.Drained(id) })
}

// endsOn asks a node where its replicas end; what it does not tell is left out.
func (e *Engine) endsOn(ctx context.Context, node int32, parts []endsAt) []endsAt {
	if node == e.opts.NodeID {
		return e.replicaEnds(parts)
	}
	if e.opts.Peers == nil {
		return nil
	}
	a, err := e.ask(ctx, node, question{Kind: "replicas", Ends: parts})
	if err != nil {
		return nil
	}
	return a.Ends
}

// replicaEnds is where this node's replicas of the partitions end; those that it does not have are left out.
func (e *Engine) replicaEnds(parts []endsAt) []endsAt {
	var out []endsAt
	for _, x := range parts {
		if e.opts.ReplicaEnd == nil {
			break
		}
		if end, err := e.opts.ReplicaEnd(x.Topic, x.Partition); err == nil {
			x.Offset = end
			out = append(out, x)
		}
	}
	return out
}
