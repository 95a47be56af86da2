package engine

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

const (
	scramMechanism     = "SCRAM-SHA-256"
	scramLongMechanism = "SCRAM-SHA-512"
	scramIterations    = 4096 // what PostgreSQL 15 uses
	scramSaltBytes     = 16
)

// createRole runs CREATE ROLE, CREATE USER and ALTER ROLE.
func (s *session) createRole(ctx context.Context, q *sql.CreateRole) (string, error) {
	tag := "CREATE ROLE"
	if q.Alter {
		tag = "ALTER ROLE"
	}
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	if err := s.checkSuperuser(tag); err != nil {
		return "", err
	}
	d := s.beginDDL()
	u := metadata.User{Name: q.Name, Login: q.User, ConnLimit: -1}
	old, exists := d.img.User(q.Name)
	switch {
	case exists && q.Alter:
		u = *old
	case exists && q.IfNotExists:
		s.notice(sqlerr.DuplicateObject, "role %q already exists, skipping", q.Name)
		return tag, nil
	case exists:
		return "", sqlerr.New(sqlerr.DuplicateObject, "role %q already exists", q.Name)
	case q.Alter:
		return "", sqlerr.New(sqlerr.UndefinedObject, "role %q does not exist", q.Name)
	}
	if exists && old.Superuser && !s.isSuperuser() {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to alter superuser roles")
	}
	for _, o := range q.Options {
		if err := s.e.roleOption(&u, o); err != nil {
			return "", err
		}
	}
	if u.Superuser && !s.isSuperuser() {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to create superusers")
	}
	d.batch.PutUser(u)
	return tag, d.end(ctx)
}

func (s *session) isSuperuser() bool {
	u, ok := s.e.meta.Image().User(s.user)
	return ok && u.Superuser
}

func (s *session) checkSuperuser(what string) error {
	if u, ok := s.e.meta.Image().User(s.user); ok && (u.Superuser || u.CreateRole) {
		return nil
	}
	return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: %s needs a superuser or CREATEROLE", what)
}

func (e *Engine) roleOption(u *metadata.User, o *sql.Option) error {
	name := strings.ToLower(o.Name)
	on := !strings.HasPrefix(name, "no")
	switch name {
	case "login", "nologin":
		u.Login = on
	case "superuser", "nosuperuser":
		u.Superuser = on
	case "createrole", "nocreaterole":
		u.CreateRole = on
	case "createdb", "nocreatedb":
		u.CreateDB = on
	case "inherit", "noinherit", "replication", "noreplication", "bypassrls", "nobypassrls", "encrypted":
	case "password":
		if o.Value == nil || o.Value.Kind == sql.NullLiteral {
			u.Verifiers = nil
			return nil
		}
		var err error
		if u.Verifiers, err = e.verifiers(u.Name, o.Value.Text); err != nil {
			return err
		}
	default:
		return sqlerr.New(sqlerr.SyntaxError, "unrecognized role option %q", o.Name).
			WithHint("Known are LOGIN, SUPERUSER, CREATEROLE, CREATEDB with NO in front, and PASSWORD.")
	}
	return nil
}

// verifiers derives what is kept of a password: for SCRAM-SHA-256, which PostgreSQL clients use, and for SCRAM-SHA-512, which some Kafka clients are configured for.
func (e *Engine) verifiers(role, password string) ([]metadata.Verifier, error) {
	salt := make([]byte, scramSaltBytes)
	if _, err := io.ReadFull(e.opts.Rand, salt); err != nil {
		return nil, fmt.Errorf("salt for a password: %w", err)
	}
	v, err := pgwire.NewVerifier(password, salt, scramIterations)
	if err != nil {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "password of role %q: %w", role, err)
	}
	all := []metadata.Verifier{{Mechanism: scramMechanism, Salt: v.Salt, Iterations: uint32(v.Iterations), StoredKey: v.StoredKey, ServerKey: v.ServerKey}}
	client, err := scram.SHA512.NewClient("", password, "")
	if err != nil { // SASLprep refuses it: it is taken as it is, as PostgreSQL does
		client, err = scram.SHA512.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "password of role %q: %w", role, err)
	}
	long, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		return nil, sqlerr.New(sqlerr.InvalidParameterValue, "password of role %q: %w", role, err)
	}
	return append(all, metadata.Verifier{
		Mechanism: scramLongMechanism, Salt: salt, Iterations: scramIterations, StoredKey: long.StoredKey, ServerKey: long.ServerKey,
	}), nil
}

func (s *session) dropRole(ctx context.Context, q *sql.Drop) error {
	if err := s.checkSuperuser("DROP ROLE"); err != nil {
		return err
	}
	d := s.beginDDL()
	for _, name := range q.Names {
		u, ok := d.img.User(name.Object())
		switch {
		case !ok && q.IfExists:
			s.notice(sqlerr.SuccessfulCompletion, "role %q does not exist, skipping", name.Object())
			continue
		case !ok:
			return sqlerr.New(sqlerr.UndefinedObject, "role %q does not exist", name.Object())
		case u.Name == superuser || u.Name == s.user:
			return sqlerr.New(sqlerr.ObjectInUse, "role %q cannot be dropped", u.Name).WithDetail("It is the first role, or the one you are.")
		}
		if u.Superuser && !s.isSuperuser() {
			return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to drop superusers")
		}
		for o := range d.img.Objects() {
			if o.Owner == u.OID {
				return sqlerr.New(sqlerr.DependentObjectsStillExist, "role %q cannot be dropped because some objects depend on it", u.Name).
					WithDetail("owner of %s %s", kindWord(o.Kind), qualified(o.Schema, o.Name))
			}
		}
		d.batch.DeleteUser(u.OID, u.Version)
	}
	return d.end(ctx)
}
