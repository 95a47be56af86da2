package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// The engine on the query node has the sessions and tables; it asks the others, which run tasks, how far those have come, and gives them the partitions that they claim.

// Peers is the way to the engines of other nodes.
type Peers interface {
	// Ask sends a question to the engine of a node and returns its answer.
	Ask(ctx context.Context, node int32, question []byte) ([]byte, error)
}

const (
	// askTimeout bounds a question; reachedWait is how long the other side waits for what is asked for.
	askTimeout  = 3 * time.Second
	reachedWait = time.Second
	// askPause is the wait before a question is asked again that nobody has answered.
	askPause = 20 * time.Millisecond
)

// question is what one engine asks of another: reached (have the tasks of a fragment there taken in everything below these ends?), stats (what have the tasks there counted?), claims (of partitions
// in groups of queries; claim is the same of one group, which earlier releases ask), acted (has the node acted on the metadata of this index?), replicas (where do its replicas of these partitions
// end?), copies (of which tables does it keep the rows?), knows (has it heard of the metadata of this index?), groups (which are those of queries?).
type question struct {
	Kind     string   `json:"kind"`
	Query    uint64   `json:"query,omitempty"`
	Fragment uint32   `json:"fragment,omitempty"`
	Ends     []endsAt `json:"ends,omitempty"`
	Index    uint64   `json:"index,omitempty"`
	Group    string   `json:"group,omitempty"`
	Member   string   `json:"member,omitempty"`

	Claims []groupClaim `json:"claims,omitempty"`
}

type endsAt struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// answer is what it hears. Code is the SQLSTATE of an error.
type answer struct {
	Done       bool                   `json:"done,omitempty"`
	Generation int32                  `json:"generation,omitempty"`
	Stats      map[uint64][]taskCount `json:"stats,omitempty"`
	Ends       []endsAt               `json:"ends,omitempty"`
	Copies     []tableCopy            `json:"copies,omitempty"`
	Claims     []claimed              `json:"claims,omitempty"`
	Groups     []pgcatalog.Group      `json:"groups,omitempty"`
	Code       string                 `json:"code,omitempty"`
	Message    string                 `json:"message,omitempty"`
	Hint       string                 `json:"hint,omitempty"`
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
	case "reached":
		a.Done, err = e.answerReached(ctx, q)
	case "replicas":
		a.Ends = e.replicaEnds(q.Ends)
	case "acted":
		a.Done = e.answerActed(ctx, q.Index)
	case "stats":
		a.Stats = e.ownStats()
	case "copies":
		a.Copies = e.ownCopies()
	case "claims":
		a.Claims = e.answerClaims(ctx, q.Member, q.Claims)
	case "knows":
		a.Done = e.answerKnows(ctx, q.Index)
	case "groups":
		if !e.opts.Worker {
			a.Groups = e.groups(e.meta.Image())
		}
	case "claim":
		a.Generation, err = e.answerClaim(ctx, q)
	default:
		err = sqlerr.New(sqlerr.FeatureNotSupported, "a question of another release: %q", q.Kind)
	}
	if err != nil {
		se := sqlerr.From(err)
		a = answer{Code: string(se.Code), Message: se.Message, Hint: se.Hint}
	}
	return json.Marshal(a)
}

// askReached asks a node whether its tasks of a fragment have taken in everything below the positions; it waits a while for that.
func (e *Engine) askReached(ctx context.Context, node int32, oid, fragment uint32, due []exec.PartitionOffset) (bool, error) {
	q := question{Kind: "reached", Query: uint64(oid), Fragment: fragment}
	for _, o := range due {
		q.Ends = append(q.Ends, endsAt{o.Topic, o.Partition, o.Offset})
	}
	a, err := e.ask(ctx, node, q)
	return a.Done, err
}

func (e *Engine) answerReached(ctx context.Context, q question) (bool, error) {
	r, ok := e.super.query(uint32(q.Query))
	if !ok {
		return false, nil // not yet, or not any more: who asks will see
	}
	due := make([]exec.PartitionOffset, len(q.Ends))
	for i, end := range q.Ends {
		due[i] = exec.PartitionOffset{TopicPartition: tpOf(end.Topic, end.Partition), Offset: end.Offset}
	}
	ctx, cancel := context.WithTimeout(ctx, reachedWait)
	defer cancel()
	ctx, stop := mergeDone(ctx, e.super.placed(r))
	defer stop()
	err := e.runner.WaitFrontier(ctx, q.Query, q.Fragment, due)
	if ctx.Err() != nil || errors.Is(err, exec.ErrUnavailable) || errors.Is(err, exec.ErrNotHere) {
		return false, nil
	}
	return err == nil, err
}

// groups are the groups of queries, on the node that coordinates them.
func (e *Engine) groups(img *metadata.Image) []pgcatalog.Group {
	var out []pgcatalog.Group
	for _, o := range queries(img) {
		g := groupName(o.OID)
		generation, members, ok, err := e.opts.Groups.Group(g)
		if err == nil && ok {
			out = append(out, pgcatalog.Group{ID: g, Generation: generation, Members: int32(len(members))})
		}
	}
	return out
}

// groupsAfar are the same, on another node; none if the one that coordinates them does not answer.
func (e *Engine) groupsAfar(img *metadata.Image) []pgcatalog.Group {
	node, ok := img.QueryNode()
	if !ok {
		return nil
	}
	a, err := e.ask(e.super.ctx, node, question{Kind: "groups"})
	if err != nil {
		e.logger.Debug("the groups of queries are not known", "node", node, "err", err)
	}
	return a.Groups
}
