package kafkabackend

import (
	"context"
	"iter"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/metadata"
)

// Users implements kafka.Users: the roles of the database that may log in.
type Users struct{ Meta *metadata.Store }

// MayLogin implements kafka.Users.
func (u Users) MayLogin(name string) bool {
	user, ok := u.Meta.Image().User(name)
	return ok && user.Login
}

// Verifier implements kafka.Users.
func (u Users) Verifier(name, mechanism string) (kafka.Verifier, bool) {
	user, ok := u.Meta.Image().User(name)
	if !ok || !user.Login {
		return kafka.Verifier{}, false
	}
	for _, v := range user.Verifiers {
		if v.Mechanism == mechanism {
			return kafka.Verifier{Salt: v.Salt, Iterations: int(v.Iterations), StoredKey: v.StoredKey, ServerKey: v.ServerKey}, true
		}
	}
	return kafka.Verifier{}, false
}

// Access implements kafka.Access over the rules in the metadata. Roles that are superusers of the database are superusers here.
type Access struct{ Cluster *Cluster }

// Superuser implements kafka.Access.
func (a Access) Superuser(name string) bool {
	user, ok := a.Cluster.Meta.Image().User(name)
	return ok && user.Superuser
}

// Rules implements kafka.Access.
func (a Access) Rules() iter.Seq[kafka.Rule] {
	return func(yield func(kafka.Rule) bool) {
		for r := range a.Cluster.Meta.Image().ACLs() {
			rule := kafka.Rule{
				Resource: kmsg.ACLResourceType(r.ResourceType), Name: r.ResourceName, Pattern: kmsg.ACLResourcePatternType(r.PatternType),
				Principal: r.Principal, Host: r.Host, Operation: kmsg.ACLOperation(r.Operation), Permission: kmsg.ACLPermissionType(r.Permission),
			}
			if !yield(rule) {
				return
			}
		}
	}
}

// ChangeRules implements kafka.Access.
func (a Access) ChangeRules(ctx context.Context, add, remove []kafka.Rule) error {
	return a.Cluster.apply(ctx, func(b *metadata.Batch) error {
		for _, r := range add {
			b.PutACL(stored(r))
		}
		for _, r := range remove {
			b.DeleteACL(stored(r))
		}
		return nil
	})
}

func stored(r kafka.Rule) metadata.ACL {
	return metadata.ACL{
		ResourceType: int8(r.Resource), ResourceName: r.Name, PatternType: int8(r.Pattern), Principal: r.Principal, Host: r.Host, Operation: int8(r.Operation),
		Permission: int8(r.Permission),
	}
}
