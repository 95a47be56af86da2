package kafka

import (
	"context"
	"iter"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Access is who may do what: Kafka's access control lists.
type Access interface {
	// Superuser reports whether a user may do everything.
	Superuser(user string) bool
	// Rules visits all rules, in no meaningful order.
	Rules() iter.Seq[Rule]
	// ChangeRules adds rules and removes others; those that are there, or are not, are no error.
	ChangeRules(ctx context.Context, add, remove []Rule) error
}

// Rule allows or denies an operation on resources to a principal (KIP-11; KIP-290: prefixes).
type Rule struct {
	Resource   kmsg.ACLResourceType
	Name       string // of the resource, or what its name begins with; a literal * is every name
	Pattern    kmsg.ACLResourcePatternType
	Principal  string // User:NAME, or User:* for everybody
	Host       string // an address, or *
	Operation  kmsg.ACLOperation
	Permission kmsg.ACLPermissionType
}

const (
	anybody  = "User:*"
	anything = "*"
	// clusterName is the name of the one resource of type cluster.
	clusterName = "kafka-cluster"
)

// implied are the operations whose permission is also one for the key.
var implied = map[kmsg.ACLOperation][]kmsg.ACLOperation{
	kmsg.ACLOperationDescribe:        {kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDelete, kmsg.ACLOperationAlter},
	kmsg.ACLOperationDescribeConfigs: {kmsg.ACLOperationAlterConfigs},
}

// may reports whether the client may do op. A deny wins; an allow is enough; a resource that rules name is closed to those whom none allows; one that no rule names is open,
// but for changes of the cluster itself, which are the superusers' until a rule says otherwise.
func (c *conn) may(op kmsg.ACLOperation, resource kmsg.ACLResourceType, name string) bool {
	return may(c.server.config.Access, c.user, c.host, op, resource, name)
}

func may(access Access, user string, host func() string, op kmsg.ACLOperation, resource kmsg.ACLResourceType, name string) bool {
	if access == nil || access.Superuser(user) {
		return true
	}
	allowed, named := false, false
	for r := range access.Rules() {
		if r.Resource != resource || !r.covers(name) {
			continue
		}
		named = true
		if !r.concerns("User:"+user, host()) {
			continue
		}
		switch {
		case r.Permission == kmsg.ACLPermissionTypeDeny:
			if r.Operation == op || r.Operation == kmsg.ACLOperationAll {
				return false
			}
		case r.allows(op):
			allowed = true
		}
	}
	closed := resource == kmsg.ACLResourceTypeCluster && op == kmsg.ACLOperationAlter
	return allowed || !named && !closed
}

func (r *Rule) covers(name string) bool {
	if r.Pattern == kmsg.ACLResourcePatternTypePrefixed {
		return strings.HasPrefix(name, r.Name)
	}
	return r.Name == name || r.Name == anything
}

func (r *Rule) concerns(principal, host string) bool {
	return (r.Principal == principal || r.Principal == anybody) && (r.Host == host || r.Host == anything)
}

func (r *Rule) allows(op kmsg.ACLOperation) bool {
	if r.Operation == op || r.Operation == kmsg.ACLOperationAll {
		return true
	}
	for _, other := range implied[op] {
		if r.Operation == other {
			return true
		}
	}
	return false
}

// host is the client's address, as rules name it.
func (c *conn) host() string {
	host, _, err := net.SplitHostPort(c.raw.RemoteAddr().String())
	if err != nil {
		return c.raw.RemoteAddr().String()
	}
	return host
}

func (c *conn) mayTopic(op kmsg.ACLOperation, name string) bool {
	return c.may(op, kmsg.ACLResourceTypeTopic, name)
}

func (c *conn) mayGroup(op kmsg.ACLOperation, name string) bool {
	return c.may(op, kmsg.ACLResourceTypeGroup, name)
}

func (c *conn) mayTxn(op kmsg.ACLOperation, id string) bool {
	return c.may(op, kmsg.ACLResourceTypeTransactionalId, id)
}

func (c *conn) mayCluster(op kmsg.ACLOperation) bool {
	return c.may(op, kmsg.ACLResourceTypeCluster, clusterName)
}

func (c *conn) mayCreate(topic string) bool {
	return c.mayTopic(kmsg.ACLOperationCreate, topic) && (c.server.config.Access == nil || c.mayCluster(kmsg.ACLOperationCreate) || c.namedTopic(topic))
}

// namedTopic reports whether a rule lets the client make just this topic, which counts more than what is said of the cluster.
func (c *conn) namedTopic(topic string) bool {
	for r := range c.server.config.Access.Rules() {
		if r.Resource == kmsg.ACLResourceTypeTopic && r.Permission == kmsg.ACLPermissionTypeAllow && r.covers(topic) && r.concerns("User:"+c.user, c.host()) &&
			r.allows(kmsg.ACLOperationCreate) {
			return true
		}
	}
	return false
}

// partition looks up a partition for a client that wants to do op with its topic.
func (c *conn) partition(op kmsg.ACLOperation, topic string, id int32) (Partition, error) {
	if !c.mayTopic(op, topic) {
		return nil, kerr.TopicAuthorizationFailed
	}
	return c.server.config.Partitions.Partition(topic, id)
}
