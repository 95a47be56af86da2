package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// Persistent queries are dealt out to the nodes, each as a whole: every node works out from the metadata which are its own, takes a new generation of their groups, and runs their tasks. The
// engine on the query node has the sessions and tables; it asks the others how far their queries have come.

// Peers is the way to the engines of other nodes.
type Peers interface {
	// Ask sends a question to the engine of a node and returns its answer.
	Ask(ctx context.Context, node int32, question []byte) ([]byte, error)
}

const (
	// askTimeout bounds a question; throughWait is how long the other side waits for what is asked for.
	askTimeout  = 3 * time.Second
	throughWait = time.Second
	// askPause is the wait before a question is asked again that nobody has answered.
	askPause = 20 * time.Millisecond
)

// question is what one engine asks of another: through (has a query brought through everything below these ends?), stats (what have the queries there counted?), group and claim (the
// generation of a group; a new one).
type question struct {
	Kind       string   `json:"kind"`
	Query      uint64   `json:"query,omitempty"`
	Ends       []endsAt `json:"ends,omitempty"`
	Group      string   `json:"group,omitempty"`
	Generation int32    `json:"generation,omitempty"`
	Members    []string `json:"members,omitempty"`
}

type endsAt struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// answer is what it hears. Code is the SQLSTATE of an error.
type answer struct {
	Done       bool                        `json:"done,omitempty"`
	Generation int32                       `json:"generation,omitempty"`
	Members    []string                    `json:"members,omitempty"`
	Stats      map[uint64][]exec.TaskStats `json:"stats,omitempty"`
	Code       string                      `json:"code,omitempty"`
	Message    string                      `json:"message,omitempty"`
	Hint       string                      `json:"hint,omitempty"`
}

// owner is the node that runs a query: of the active ones that with the highest hash of itself and the query (rendezvous hashing), so that a node that comes takes its share of queries, one
// that goes leaves its own, and no other moves. A query that writes into an ordinary table runs where its owner is.
func (e *Engine) owner(img *metadata.Image, oid metadata.OID, plan *planner.Persistent) int32 {
	if e.opts.Peers == nil {
		return e.opts.NodeID
	}
	queries, ok := img.QueryNode()
	if !ok {
		return metadata.NoLeader
	}
	if plan.Sink == nil || plan.Sink.Rel.Ordinary || plan.Sink.Rel.OID < uint32(metadata.FirstOID) {
		return queries
	}
	best, score := queries, uint64(0)
	for k := range img.Brokers() {
		if k.Fenced || k.Draining || img.Drained(k.ID) {
			continue
		}
		h := fnv.New64a()
		var b [8]byte
		binary.BigEndian.PutUint32(b[:4], uint32(oid))
		binary.BigEndian.PutUint32(b[4:], uint32(k.ID))
		_, _ = h.Write(b[:]) // it never fails
		if s := mix(h.Sum64()); s > score {
			best, score = k.ID, s
		}
	}
	return best
}

// mix spreads the differences of short inputs over all bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// ask sends a question to a node. An error that the other side has met comes as it was.
func (e *Engine) ask(ctx context.Context, node int32, q question) (a answer, err error) {
	data, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if data, err = e.opts.Peers.Ask(ctx, node, data); err != nil {
		return a, fmt.Errorf("%w (node %d: %w)", exec.ErrUnavailable, node, err)
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, err
	}
	if a.Code != "" {
		return a, sqlerr.New(sqlerr.Code(a.Code), "%s", a.Message).WithHint("%s", a.Hint)
	}
	return a, nil
}

// Answer answers another node's engine.
func (e *Engine) Answer(ctx context.Context, data []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	var a answer
	var err error
	switch q.Kind {
	case "through":
		a.Done, err = e.answerThrough(ctx, q)
	case "stats":
		a.Stats = e.ownStats()
	case "group":
		var members []coordinator.GroupMember
		a.Generation, members, a.Done, err = e.opts.Groups.Group(q.Group)
		for _, m := range members {
			a.Members = append(a.Members, m.ID)
		}
	case "claim":
		err = e.opts.Groups.SetGroup(ctx, q.Group, q.Generation, groupMembers(q.Members))
	default:
		err = sqlerr.New(sqlerr.FeatureNotSupported, "a question of another release: %q", q.Kind)
	}
	if err != nil {
		se := sqlerr.From(err)
		a = answer{Code: string(se.Code), Message: se.Message, Hint: se.Hint}
	}
	return json.Marshal(a)
}

// answerThrough waits a while for a query of this node.
func (e *Engine) answerThrough(ctx context.Context, q question) (bool, error) {
	r, ok := e.super.query(uint32(q.Query))
	if !ok || e.runner.Frontier(q.Query) == nil {
		return false, nil // not yet, or not any more: who asks will see
	}
	base := positions{}
	for _, end := range q.Ends {
		base[tpOf(end.Topic, end.Partition)] = end.Offset
	}
	ctx, cancel := context.WithTimeout(ctx, throughWait)
	defer cancel()
	ctx, stop := mergeDone(ctx, r.life)
	defer stop()
	_, err := e.runner.WaitThrough(ctx, r.plan, q.Query, base)
	if ctx.Err() != nil || errors.Is(err, exec.ErrUnavailable) {
		return false, nil
	}
	return err == nil, err
}

// through waits until a query has brought everything below base through, on whichever node it runs.
func (w *waiter) through(ctx context.Context, q *runningQuery, oid uint32, base positions) error {
	ask := question{Kind: "through", Query: uint64(oid)}
	for tp, at := range base {
		ask.Ends = append(ask.Ends, endsAt{tp.Topic, tp.Partition, at})
	}
	for {
		node, paused := w.e.super.where(q)
		if node == w.e.opts.NodeID {
			wctx, stop := mergeDone(ctx, w.e.super.stayed(q))
			_, err := w.e.runner.WaitThrough(wctx, q.plan, uint64(oid), base)
			stop()
			if now, _ := w.e.super.where(q); err == nil || ctx.Err() != nil || now == node && w.e.super.stayed(q).Err() == nil {
				return err
			}
		} else {
			a, err := w.e.ask(ctx, node, ask)
			switch {
			case a.Done || err != nil && !errors.Is(err, exec.ErrUnavailable):
				return err
			case paused:
				return w.notRunning(oid)
			}
		}
		timer := w.e.clock.NewTimer(askPause)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// ownStats are the counters of the queries that run here.
func (e *Engine) ownStats() map[uint64][]exec.TaskStats {
	out := map[uint64][]exec.TaskStats{}
	for oid := range e.super.queries() {
		for _, s := range e.runner.Stats(uint64(oid)) {
			s.Operators = nil // they name nodes of the plan
			out[uint64(oid)] = append(out[uint64(oid)], s)
		}
	}
	return out
}

// stats are the counters of a query, wherever it runs; of a node that does not answer there are none.
func (e *Engine) stats(oid uint64) []exec.TaskStats {
	q, ok := e.super.query(uint32(oid))
	if !ok {
		return nil
	}
	node, _ := e.super.where(q)
	if node == e.opts.NodeID {
		return e.runner.Stats(oid)
	}
	return e.far.of(e, node)[oid]
}

// farStatsAge is how old the counters of other nodes may be that one statement sees.
const farStatsAge = 50 * time.Millisecond

// farStats remembers the counters of other nodes for a moment, for a statement asks for those of many queries.
type farStats struct {
	mu struct {
		sync.Mutex
		by map[int32]nodeStats
	}
}

type nodeStats struct {
	at    time.Time
	stats map[uint64][]exec.TaskStats
}

// of returns the counters of a node.
func (f *farStats) of(e *Engine, node int32) map[uint64][]exec.TaskStats {
	f.mu.Lock()
	defer f.mu.Unlock() // so that one asks and the others wait for it
	if s, ok := f.mu.by[node]; ok && e.clock.Since(s.at) < farStatsAge {
		return s.stats
	}
	a, err := e.ask(e.super.ctx, node, question{Kind: "stats"})
	if err != nil {
		e.logger.Debug("counters of queries are not known", "node", node, "err", err)
	}
	if f.mu.by == nil {
		f.mu.by = map[int32]nodeStats{}
	}
	f.mu.by[node] = nodeStats{e.clock.Now(), a.Stats}
	return a.Stats
}

// farGroups is Groups for a node that does not coordinate: the engine of the query node does it.
type farGroups struct{ e *Engine }

func (g farGroups) coordinator() (int32, error) {
	if node, ok := g.e.meta.Image().QueryNode(); ok {
		return node, nil
	}
	return 0, exec.ErrUnavailable
}

// Group implements Groups.
func (g farGroups) Group(group string) (int32, []coordinator.GroupMember, bool, error) {
	node, err := g.coordinator()
	if err != nil {
		return 0, nil, false, err
	}
	a, err := g.e.ask(g.e.super.ctx, node, question{Kind: "group", Group: group})
	return a.Generation, groupMembers(a.Members), a.Done, err
}

// SetGroup implements Groups.
func (g farGroups) SetGroup(ctx context.Context, group string, generation int32, members []coordinator.GroupMember) error {
	node, err := g.coordinator()
	if err != nil {
		return err
	}
	q := question{Kind: "claim", Group: group, Generation: generation}
	for _, m := range members {
		q.Members = append(q.Members, m.ID)
	}
	_, err = g.e.ask(ctx, node, q)
	return err
}

// DeleteGroup implements Groups: groups are deleted where they are coordinated.
func (farGroups) DeleteGroup(context.Context, string, bool) error { return nil }

func groupMembers(ids []string) []coordinator.GroupMember {
	members := make([]coordinator.GroupMember, len(ids))
	for i, id := range ids {
		members[i] = coordinator.GroupMember{ID: id, ClientID: "millrace"}
	}
	return members
}
