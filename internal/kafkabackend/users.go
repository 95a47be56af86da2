package kafkabackend

import (
	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/metadata"
)

// scramMechanism is that of the verifiers that CREATE ROLE ... PASSWORD makes.
const scramMechanism = "SCRAM-SHA-256"

// Users implements kafka.Users: the roles of the database that may log in.
type Users struct{ Meta *metadata.Store }

// Verifier implements kafka.Users.
func (u Users) Verifier(name string) (kafka.Verifier, bool) {
	user, ok := u.Meta.Image().User(name)
	if !ok || !user.Login {
		return kafka.Verifier{}, false
	}
	for _, v := range user.Verifiers {
		if v.Mechanism == scramMechanism {
			return kafka.Verifier{Salt: v.Salt, Iterations: int(v.Iterations), StoredKey: v.StoredKey, ServerKey: v.ServerKey}, true
		}
	}
	return kafka.Verifier{}, false
}
