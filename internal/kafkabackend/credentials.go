package kafkabackend

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/metadata"
)

// Credentials implements kafka.Credentials over the roles of the database.
type Credentials struct{ Cluster *Cluster }

// Names implements kafka.Credentials.
func (c Credentials) Names() []string {
	var names []string
	for u := range c.Cluster.Meta.Image().Users() {
		if len(u.Verifiers) > 0 {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Iterations implements kafka.Credentials.
func (c Credentials) Iterations(user string) (map[string]int, bool) {
	u, ok := c.Cluster.Meta.Image().User(user)
	if !ok {
		return nil, false
	}
	all := map[string]int{}
	for _, v := range u.Verifiers {
		all[v.Mechanism] = int(v.Iterations)
	}
	return all, true
}

// SetVerifiers implements kafka.Credentials.
func (c Credentials) SetVerifiers(ctx context.Context, user string, verifiers map[string]*kafka.Verifier) error {
	return c.Cluster.apply(ctx, func(b *metadata.Batch) error {
		u := metadata.User{Name: user, Login: true, ConnLimit: -1}
		if old, ok := b.Image().User(user); ok {
			u = *old
		} else if strings.HasPrefix(user, "pg_") {
			return fmt.Errorf("%w: names that begin with pg_ are the system's", kerr.UnacceptableCredential)
		}
		next := slices.Clone(u.Verifiers)
		for _, mechanism := range slices.Sorted(maps.Keys(verifiers)) {
			v := verifiers[mechanism]
			n := len(next)
			next = slices.DeleteFunc(next, func(x metadata.Verifier) bool { return x.Mechanism == mechanism })
			if v == nil && n == len(next) {
				return fmt.Errorf("%w: user %q has no password for %s", kerr.ResourceNotFound, user, mechanism)
			}
			if v != nil {
				next = append(next, metadata.Verifier{Mechanism: mechanism, Salt: v.Salt, Iterations: uint32(v.Iterations), StoredKey: v.StoredKey, ServerKey: v.ServerKey})
			}
		}
		u.Verifiers = next
		b.PutUser(u)
		return nil
	})
}
