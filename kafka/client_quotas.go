package kafka

import (
	"context"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of entities that quotas are about.
const (
	entityUser     = "user"
	entityClientID = "client-id"
)

// describeClientQuotas answers key 48, versions 0 and 1 (KIP-546).
func describeClientQuotas(c *conn, _ context.Context, req *kmsg.DescribeClientQuotasRequest) *kmsg.DescribeClientQuotasResponse {
	resp := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
	err := checkQuotaFilter(req)
	if !c.mayCluster(kmsg.ACLOperationDescribeConfigs) {
		err = kerr.ClusterAuthorizationFailed
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp
	}
	table := c.server.config.Quotas.Table()
	if table == nil {
		return resp
	}
	at := map[string]int{}
	for _, q := range table.all {
		if !quotaMatches(req, q.Entity) {
			continue
		}
		i, ok := at[q.Entity.key()]
		if !ok {
			i = len(resp.Entries)
			at[q.Entity.key()] = i
			entry := kmsg.NewDescribeClientQuotasResponseEntry()
			entry.Entity = describedEntity(q.Entity)
			resp.Entries = append(resp.Entries, entry)
		}
		value := kmsg.NewDescribeClientQuotasResponseEntryValue()
		value.Key, value.Value = q.Name, q.Value
		resp.Entries[i].Values = append(resp.Entries[i].Values, value)
	}
	return resp
}

func checkQuotaFilter(req *kmsg.DescribeClientQuotasRequest) error {
	twice := duplicates(req.Components, func(f kmsg.DescribeClientQuotasRequestComponent) string { return f.EntityType })
	for _, f := range req.Components {
		switch {
		case twice[f.EntityType]:
			return fmt.Errorf("%w: entity type %q comes up more than once", kerr.InvalidRequest, f.EntityType)
		case f.MatchType < kmsg.QuotasMatchTypeExact || f.MatchType > kmsg.QuotasMatchTypeAny:
			return fmt.Errorf("%w: match type %d; allowed: 0 exact, 1 default, 2 any", kerr.InvalidRequest, f.MatchType)
		case f.MatchType == kmsg.QuotasMatchTypeExact && f.Match == nil:
			return fmt.Errorf("%w: nothing to match %q with", kerr.InvalidRequest, f.EntityType)
		}
	}
	return nil
}

// quotaMatches reports whether a filter matches an entity: each of its parts, and if it is strict, no part besides.
func quotaMatches(req *kmsg.DescribeClientQuotasRequest, e QuotaEntity) bool {
	parts := map[string]*string{entityUser: e.User, entityClientID: e.ClientID}
	for _, f := range req.Components {
		have := parts[f.EntityType]
		delete(parts, f.EntityType)
		switch {
		case have == nil:
			return false
		case f.MatchType == kmsg.QuotasMatchTypeExact && (*have == "" || *have != *f.Match), f.MatchType == kmsg.QuotasMatchTypeDefault && *have != "":
			return false
		}
	}
	for _, other := range parts {
		if req.Strict && other != nil {
			return false
		}
	}
	return true
}

// nameOf is the name of an entity in requests, where whoever has no quota of its own is null.
func nameOf(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

func describedEntity(e QuotaEntity) (out []kmsg.DescribeClientQuotasResponseEntryEntity) {
	add := func(kind string, name *string) {
		if name == nil {
			return
		}
		part := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		part.Type, part.Name = kind, nameOf(name)
		out = append(out, part)
	}
	add(entityUser, e.User)
	add(entityClientID, e.ClientID)
	return out
}

// alterClientQuotas answers key 49, versions 0 and 1. The limits of one entity are changed together or not at all.
func alterClientQuotas(c *conn, _ context.Context, req *kmsg.AlterClientQuotasRequest) *kmsg.AlterClientQuotasResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	for _, entry := range req.Entries {
		set, remove, err := quotaChange(entry)
		if !c.mayCluster(kmsg.ACLOperationAlter) {
			err = kerr.ClusterAuthorizationFailed
		}
		if err == nil && !req.ValidateOnly {
			err = c.server.config.Quotas.Change(ctx, set, remove)
		}
		out := kmsg.NewAlterClientQuotasResponseEntry()
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		for _, part := range entry.Entity {
			p := kmsg.NewAlterClientQuotasResponseEntryEntity()
			p.Type, p.Name = part.Type, part.Name
			out.Entity = append(out.Entity, p)
		}
		resp.Entries = append(resp.Entries, out)
	}
	return resp
}

func quotaChange(entry kmsg.AlterClientQuotasRequestEntry) (set, remove []Quota, err error) {
	entity, err := quotaEntity(entry)
	if err != nil {
		return nil, nil, err
	}
	twice := duplicates(entry.Ops, func(op kmsg.AlterClientQuotasRequestEntryOp) string { return op.Key })
	for _, op := range entry.Ops {
		unit := quotaUnit(op.Key)
		switch {
		case unit == "":
			return nil, nil, fmt.Errorf("%w: there is no quota %q; allowed: %s", kerr.InvalidRequest, op.Key, quotaNames)
		case twice[op.Key]:
			return nil, nil, fmt.Errorf("%w: %s comes up more than once", kerr.InvalidRequest, op.Key)
		case op.Remove:
			remove = append(remove, Quota{Entity: entity, Name: op.Key})
			continue
		case math.IsNaN(op.Value) || math.IsInf(op.Value, 0) || op.Value <= 0:
			return nil, nil, fmt.Errorf("%w: %s = %v; allowed: more than 0 %s", kerr.InvalidRequest, op.Key, op.Value, unit)
		case op.Key != quotaRequest && op.Value != math.Trunc(op.Value):
			return nil, nil, fmt.Errorf("%w: %s = %v; allowed: a whole number of %s", kerr.InvalidRequest, op.Key, op.Value, unit)
		}
		set = append(set, Quota{Entity: entity, Name: op.Key, Value: op.Value})
	}
	return set, remove, nil
}

func quotaEntity(entry kmsg.AlterClientQuotasRequestEntry) (e QuotaEntity, err error) {
	for _, part := range entry.Entity {
		name := ""
		if part.Name != nil {
			if name = *part.Name; name == "" {
				return e, fmt.Errorf("%w: an entity has a name, or null for the default", kerr.InvalidRequest)
			}
		}
		to := &e.User
		switch part.Type {
		case entityUser:
		case entityClientID:
			to = &e.ClientID
		default:
			return e, fmt.Errorf("%w: entity type %q; allowed: %s, %s", kerr.InvalidRequest, part.Type, entityUser, entityClientID)
		}
		if *to != nil {
			return e, fmt.Errorf("%w: entity type %q comes up more than once", kerr.InvalidRequest, part.Type)
		}
		*to = &name
	}
	if e == (QuotaEntity{}) {
		return e, fmt.Errorf("%w: a quota is about a %s or a %s", kerr.InvalidRequest, entityUser, entityClientID)
	}
	return e, nil
}
