package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// tableCopy is how far a node has come with the rows of a partition of a table.
type tableCopy struct {
	Table     uint32 `json:"table"`
	Partition int32  `json:"partition"`
	Position  int64  `json:"position"` // -1: it does not know yet
	Read      int64  `json:"read"`
	Skipped   int64  `json:"skipped,omitempty"`
}

// ownCopies are the rows of tables that this node keeps.
func (e *Engine) ownCopies() []tableCopy {
	var out []tableCopy
	for _, rel := range e.super.tables() {
		for p := range rel.Partitions {
			if !e.tables.kept.Keeps(rel.OID, p) {
				continue
			}
			c := tableCopy{Table: rel.OID, Partition: p, Position: -1, Read: e.tables.kept.Read(rel.OID, p), Skipped: e.tables.kept.Skipped(rel.OID, p)}
			if at, ok := e.tables.kept.Position(rel.OID, p); ok {
				c.Position = at
			}
			out = append(out, c)
		}
	}
	return out
}

// copies are the rows of tables that each node keeps; of a node that does not answer there are none.
func (e *Engine) copies(ctx context.Context) map[int32][]tableCopy {
	out := map[int32][]tableCopy{e.opts.NodeID: e.ownCopies()}
	if e.opts.Peers == nil {
		return out
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for k := range e.meta.Image().Brokers() {
		if k.ID == e.opts.NodeID || k.Fenced {
			continue
		}
		wg.Go(func() {
			a, err := e.ask(ctx, k.ID, question{Kind: "copies"})
			if err != nil {
				e.logger.Debug("which tables a node keeps is not known", "node", k.ID, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out[k.ID] = a.Copies
		})
	}
	wg.Wait()
	return out
}

// ErrorRows implements pgcatalog.World.
func (w *world) ErrorRows(r *planner.Relation) (int64, bool) {
	if r.Kind != planner.Table || w.e.tables == nil {
		return 0, false
	}
	return w.e.tables.skipped(r)
}

// TableCopies implements pgcatalog.World.
func (w *world) TableCopies() []pgcatalog.TableCopy {
	ctx, cancel := context.WithTimeout(context.Background(), boundsTimeout)
	defer cancel()
	serves, _ := w.img.QueryNode()
	if w.e.alone(w.img) {
		serves = w.e.opts.NodeID
	}
	ends := positions{}
	var out []pgcatalog.TableCopy
	for node, copies := range w.e.copies(ctx) {
		for _, c := range copies {
			o, ok := w.img.Object(metadata.OID(c.Table))
			rel := w.relation(o, ok)
			if rel == nil {
				continue
			}
			tp := tpOf(rel.Topic, c.Partition)
			end, known := ends[tp]
			if !known {
				end = -1
				if bounds, err := w.e.log.Offsets(ctx, tp); err == nil {
					end = bounds.LastStable
				}
				ends[tp] = end
			}
			x := pgcatalog.TableCopy{Schema: rel.Schema, Name: rel.Name, Partition: c.Partition, Node: node, Serves: node == serves, Position: c.Position, Lag: -1, RowsRead: c.Read, ErrorRows: c.Skipped}
			if end >= 0 && c.Position >= 0 {
				x.Lag = max(end-c.Position, 0)
			}
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b pgcatalog.TableCopy) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Node, b.Node))
	})
	return out
}
