package kafkabackend

import (
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
