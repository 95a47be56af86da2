package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errNoAccess answers changes and listings of rules where nobody is asked who they are: there is nobody to name in a rule.
var errNoAccess = fmt.Errorf("%w: there is no access control without --require-password", kerr.SecurityDisabled)

// describeACLs answers key 29, versions 1 to 3. Version 1 adds prefixes (KIP-290).
func describeACLs(c *conn, _ context.Context, req *kmsg.DescribeACLsRequest) *kmsg.DescribeACLsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
	resp.Resources = []kmsg.DescribeACLsResponseResource{}
	if c.server.config.Access == nil {
		resp.ErrorCode, resp.ErrorMessage = code(errNoAccess), message(errNoAccess)
		return resp
	}
	f := ruleFilter{req.ResourceType, req.ResourceName, req.ResourcePatternType, req.Principal, req.Host, req.Operation, req.PermissionType}
	for _, r := range c.matching(f) {
		n := len(resp.Resources)
		if n == 0 || resp.Resources[n-1].ResourceType != r.Resource || resp.Resources[n-1].ResourceName != r.Name || resp.Resources[n-1].ResourcePatternType != r.Pattern {
			res := kmsg.NewDescribeACLsResponseResource()
			res.ResourceType, res.ResourceName, res.ResourcePatternType = r.Resource, r.Name, r.Pattern
			resp.Resources = append(resp.Resources, res)
			n++
		}
		acl := kmsg.NewDescribeACLsResponseResourceACL()
		acl.Principal, acl.Host, acl.Operation, acl.PermissionType = r.Principal, r.Host, r.Operation, r.Permission
		resp.Resources[n-1].ACLs = append(resp.Resources[n-1].ACLs, acl)
	}
	return resp
}

// createACLs answers key 30, versions 1 to 3.
func createACLs(c *conn, _ context.Context, req *kmsg.CreateACLsRequest) *kmsg.CreateACLsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	var add []Rule
	errs := make([]error, len(req.Creations))
	for i, rc := range req.Creations {
		r := Rule{rc.ResourceType, rc.ResourceName, rc.ResourcePatternType, rc.Principal, rc.Host, rc.Operation, rc.PermissionType}
		if errs[i] = r.check(); c.server.config.Access == nil {
			errs[i] = errNoAccess
		}
		if errs[i] == nil {
			add = append(add, r)
		}
	}
	var failed error
	if len(add) > 0 {
		failed = c.server.config.Access.ChangeRules(ctx, add, nil)
	}
	for i := range req.Creations {
		if errs[i] == nil {
			errs[i] = failed
		}
		result := kmsg.NewCreateACLsResponseResult()
		result.ErrorCode, result.ErrorMessage = code(errs[i]), message(errs[i])
		resp.Results = append(resp.Results, result)
	}
	return resp
}

// check refuses rules that could not match anything.
func (r *Rule) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{kerr.InvalidRequest}, args...)...)
	}
	switch {
	case r.Resource != kmsg.ACLResourceTypeTopic && r.Resource != kmsg.ACLResourceTypeGroup && r.Resource != kmsg.ACLResourceTypeCluster &&
		r.Resource != kmsg.ACLResourceTypeTransactionalId:
		return bad("resource type %v; allowed: topic, group, cluster, transactional id", r.Resource)
	case r.Resource == kmsg.ACLResourceTypeCluster && r.Name != clusterName:
		return bad("the cluster is named %s", clusterName)
	case r.Name == "":
		return bad("the resource has no name")
	case r.Pattern != kmsg.ACLResourcePatternTypeLiteral && r.Pattern != kmsg.ACLResourcePatternTypePrefixed:
		return bad("pattern type %v; allowed: literal, prefixed", r.Pattern)
	case !strings.HasPrefix(r.Principal, "User:") || r.Principal == "User:":
		return bad("principal %q; allowed: User:NAME, User:*", r.Principal)
	case r.Host == "":
		return bad("the rule has no host; allowed: an address, or * for all")
	case r.Operation < kmsg.ACLOperationAll || r.Operation > kmsg.ACLOperationIdempotentWrite:
		return bad("operation %v", r.Operation)
	case r.Permission != kmsg.ACLPermissionTypeAllow && r.Permission != kmsg.ACLPermissionTypeDeny:
		return bad("permission %v; allowed: allow, deny", r.Permission)
	}
	return nil
}

// deleteACLs answers key 31, versions 1 to 3.
func deleteACLs(c *conn, _ context.Context, req *kmsg.DeleteACLsRequest) *kmsg.DeleteACLsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	for _, rf := range req.Filters {
		result := kmsg.NewDeleteACLsResponseResult()
		result.MatchingACLs = []kmsg.DeleteACLsResponseResultMatchingACL{}
		err := errNoAccess
		if c.server.config.Access != nil {
			rules := c.matching(ruleFilter{rf.ResourceType, rf.ResourceName, rf.ResourcePatternType, rf.Principal, rf.Host, rf.Operation, rf.PermissionType})
			if err = nil; len(rules) > 0 {
				err = c.server.config.Access.ChangeRules(ctx, nil, rules)
			}
			for _, r := range rules {
				m := kmsg.NewDeleteACLsResponseResultMatchingACL()
				m.ResourceType, m.ResourceName, m.ResourcePatternType, m.Principal, m.Host, m.Operation, m.PermissionType =
					r.Resource, r.Name, r.Pattern, r.Principal, r.Host, r.Operation, r.Permission
				result.MatchingACLs = append(result.MatchingACLs, m)
			}
		}
		result.ErrorCode, result.ErrorMessage = code(err), message(err)
		resp.Results = append(resp.Results, result)
	}
	return resp
}

// ruleFilter is which rules a request is about. Nil and the word any match everything.
type ruleFilter struct {
	resource   kmsg.ACLResourceType
	name       *string
	pattern    kmsg.ACLResourcePatternType
	principal  *string
	host       *string
	operation  kmsg.ACLOperation
	permission kmsg.ACLPermissionType
}

func (f *ruleFilter) matches(r *Rule) bool {
	is := func(want *string, have string) bool { return want == nil || *want == have }
	return (f.resource == kmsg.ACLResourceTypeAny || f.resource == r.Resource) && f.matchesName(r) && is(f.principal, r.Principal) && is(f.host, r.Host) &&
		(f.operation == kmsg.ACLOperationAny || f.operation == r.Operation) && (f.permission == kmsg.ACLPermissionTypeAny || f.permission == r.Permission)
}

// matchesName compares the resource. Pattern "match" wants the rules that would be looked at for a resource of the name (KIP-290).
func (f *ruleFilter) matchesName(r *Rule) bool {
	switch {
	case f.pattern == kmsg.ACLResourcePatternTypeMatch:
		return f.name == nil || r.covers(*f.name)
	case f.pattern != kmsg.ACLResourcePatternTypeAny && f.pattern != r.Pattern:
		return false
	}
	return f.name == nil || *f.name == r.Name
}

// matching lists the rules that a filter matches, those of a resource together.
func (c *conn) matching(f ruleFilter) []Rule {
	var all []Rule
	for r := range c.server.config.Access.Rules() {
		if f.matches(&r) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Rule) int {
		return strings.Compare(fmt.Sprint(int(a.Resource), a.Name, int(a.Pattern), a), fmt.Sprint(int(b.Resource), b.Name, int(b.Pattern), b))
	})
	return all
}
