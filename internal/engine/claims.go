package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// A node claims the partitions of all tasks that it is to take up in one go, whatever queries they are of: a claim is written, is on all replicas and is answered with the others, so that
// hundreds of queries move as quickly as one.

// maxClaims bounds the groups that one question claims partitions of.
const maxClaims = 1024

// groupClaim are partitions that a node is to own in a group of a query.
type groupClaim struct {
	Query      uint64   `json:"query"`
	Group      string   `json:"group"`
	Partitions []endsAt `json:"partitions"` // without offsets
}

// claimed is what came of a claim: its generation, or why there is none. Code is the SQLSTATE.
type claimed struct {
	Generation int32  `json:"generation,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
}

func (c *claimed) err() error {
	if c.Code == "" {
		return nil
	}
	return sqlerr.New(sqlerr.Code(c.Code), "%s", c.Message)
}

func notClaimed(err error) claimed {
	se := sqlerr.From(err)
	return claimed{Code: string(se.Code), Message: se.Message}
}

// memberName is a node as a member of the groups of queries.
func memberName(node int32) string { return fmt.Sprintf("node-%d", node) }

// claimOf is a claim of what the tasks of a query read in one of its groups.
func claimOf(oid metadata.OID, group string, tps []exec.TopicPartition) groupClaim {
	c := groupClaim{Query: uint64(oid), Group: group, Partitions: make([]endsAt, len(tps))}
	for i, tp := range tps {
		c.Partitions[i] = endsAt{Topic: tp.Topic, Partition: tp.Partition}
	}
	return c
}

// claim makes this node the owner of partitions in groups of queries, at their coordinator, and returns what came of each claim.
func (e *Engine) claim(ctx context.Context, claims []groupClaim) []claimed {
	if e.opts.Worker {
		return e.claimAfar(ctx, claims)
	}
	return e.claimHere(ctx, memberName(e.opts.NodeID), claims)
}

// claimHere is claim for a member that may be another node; the coordinator is here.
func (e *Engine) claimHere(ctx context.Context, member string, claims []groupClaim) []claimed {
	if len(claims) == 0 {
		return nil // all were refused: there may be no coordinator here
	}
	of := make([]coordinator.GroupClaim, len(claims))
	for i, c := range claims {
		of[i] = coordinator.GroupClaim{Group: c.Group, Member: member}
		for _, p := range c.Partitions {
			of[i].Partitions = append(of[i].Partitions, coordinator.TopicPartition{Topic: p.Topic, Partition: p.Partition})
		}
	}
	out := make([]claimed, len(claims))
	for i, c := range e.opts.Groups.Claim(ctx, of) {
		if out[i].Generation = c.Generation; c.Err != nil {
			out[i] = notClaimed(c.Err)
		}
	}
	return out
}

// claimAfar is claim for a node that does not coordinate: the engine of the query node does it.
func (e *Engine) claimAfar(ctx context.Context, claims []groupClaim) []claimed {
	node, ok := e.meta.Image().QueryNode()
	if !ok {
		return slices.Repeat([]claimed{notClaimed(exec.ErrUnavailable)}, len(claims))
	}
	out := make([]claimed, 0, len(claims))
	for some := range slices.Chunk(claims, maxClaims) {
		out = append(out, e.askClaims(ctx, node, some)...)
	}
	return out
}

func (e *Engine) askClaims(ctx context.Context, node int32, claims []groupClaim) []claimed {
	a, err := e.ask(ctx, node, question{Kind: "claims", Member: memberName(e.opts.NodeID), Claims: claims})
	if err == nil && len(a.Claims) != len(claims) {
		err = exec.ErrUnavailable
	}
	switch {
	case err == nil:
		return a.Claims
	case sqlerr.From(err).Code == sqlerr.FeatureNotSupported:
		return e.askClaimsEach(ctx, node, claims)
	}
	return slices.Repeat([]claimed{notClaimed(err)}, len(claims))
}

// askClaimsEach asks a node of an earlier release, which takes one claim at a time.
func (e *Engine) askClaimsEach(ctx context.Context, node int32, claims []groupClaim) []claimed {
	out := make([]claimed, len(claims))
	for i, c := range claims {
		a, err := e.ask(ctx, node, question{Kind: "claim", Query: c.Query, Group: c.Group, Member: memberName(e.opts.NodeID), Ends: c.Partitions})
		if out[i].Generation = a.Generation; err != nil {
			out[i] = notClaimed(err)
		}
	}
	return out
}

// answerClaims refuses claims of queries that are no more, for they would make the group anew, and of those that are being replaced.
func (e *Engine) answerClaims(ctx context.Context, member string, claims []groupClaim) []claimed {
	out := make([]claimed, len(claims))
	var may []groupClaim
	var at []int
	for i, c := range claims {
		if err := e.mayClaim(c.Query); err != nil {
			out[i] = notClaimed(err)
			continue
		}
		may, at = append(may, c), append(at, i)
	}
	for i, c := range e.claimHere(ctx, member, may) {
		out[at[i]] = c
	}
	return out
}

// answerClaim answers a node of an earlier release.
func (e *Engine) answerClaim(ctx context.Context, q question) (int32, error) {
	c := e.answerClaims(ctx, q.Member, []groupClaim{{Query: q.Query, Group: q.Group, Partitions: q.Ends}})[0]
	return c.Generation, c.err()
}

func (e *Engine) mayClaim(query uint64) error {
	o, ok := e.queryObject(uint32(query))
	if !ok || e.opts.Worker {
		return sqlerr.New(sqlerr.UndefinedObject, "this node does not coordinate query %d", query)
	}
	if def, err := e.defs.query(o); err != nil || def.State == stateReplacing {
		return errors.Join(err, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "query %s is being replaced", o.Name))
	}
	return nil
}
