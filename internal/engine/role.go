package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
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
	if !ownPassword(q, s.currentUser()) {
		if err := s.checkSuperuser(tag); err != nil {
			return "", err
		}
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
	var members []string
	for _, o := range q.Options {
		switch {
		case o.Name == "role":
			members = append(members, o.List...)
		case o.Name == "in role":
			for _, name := range o.List {
				role, err := s.role(d.img, name)
				if err == nil && role.Superuser && !s.isSuperuser() {
					err = sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to alter superusers")
				}
				if err == nil {
					err = s.changeMember(d.img, &u, role, false)
				}
				if err != nil {
					return "", sqlerr.From(err).At(o.Offset())
				}
			}
		default:
			if err := s.e.roleOption(&u, o); err != nil {
				return "", err
			}
		}
	}
	if u.Superuser && !s.isSuperuser() {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to create superusers")
	}
	if len(members) > 0 && u.OID == 0 {
		oid, err := s.e.newOIDs(ctx, 1)
		if err != nil {
			return "", err
		}
		u.OID = oid
	}
	d.batch.PutUser(u)
	for _, name := range members {
		member, err := s.role(d.img, name)
		if err != nil {
			return "", err
		}
		next := *member
		next.MemberOf = append(slices.Clone(member.MemberOf), u.OID)
		d.batch.PutUser(next)
	}
	return tag, d.end(ctx)
}

// ownPassword tells whether a role does no more than change its own password, which every role may.
func ownPassword(q *sql.CreateRole, me string) bool {
	return q.Alter && q.Name == me && !slices.ContainsFunc(q.Options, func(o *sql.Option) bool { return o.Name != "password" })
}

func (s *session) isSuperuser() bool {
	u, ok := s.e.meta.Image().User(s.currentUser())
	return ok && u.Superuser
}

func (s *session) checkSuperuser(what string) error {
	if u, ok := s.e.meta.Image().User(s.currentUser()); ok && (u.Superuser || u.CreateRole) {
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
	case "connection limit":
		n, err := strconv.ParseInt(o.Value.Text, 10, 32)
		if err != nil || n < -1 {
			return sqlerr.New(sqlerr.InvalidParameterValue, "invalid connection limit: %s", o.Value.Text).At(o.Offset())
		}
		u.ConnLimit = int32(n)
	case "valid until":
		d, err := types.ParseText(types.Of(types.TimestampTZ), o.Value.Text, nil)
		if err != nil {
			return sqlerr.From(err).At(o.Offset())
		}
		if u.ValidUntil = floorMillis(d.I); strings.EqualFold(strings.TrimSpace(o.Value.Text), "infinity") {
			u.ValidUntil = 0
		}
	default:
		return sqlerr.New(sqlerr.SyntaxError, "unrecognized role option %q", o.Name).
			WithHint("Known are LOGIN, SUPERUSER, CREATEROLE, CREATEDB with NO in front, PASSWORD, VALID UNTIL, CONNECTION LIMIT, IN ROLE and ROLE.").At(o.Offset())
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

// renameRole runs ALTER ROLE ... RENAME TO.
func (s *session) renameRole(ctx context.Context, q *sql.Alter) error {
	if err := s.checkSuperuser("ALTER ROLE"); err != nil {
		return err
	}
	d := s.beginDDL()
	u, ok := d.img.User(q.Name.Object())
	switch act := q.Actions[0]; {
	case !ok:
		return sqlerr.New(sqlerr.UndefinedObject, "role %q does not exist", q.Name.Object()).At(q.Name.Offset())
	case act.Op != sql.RenameTo || len(q.Actions) != 1:
		return sqlerr.New(sqlerr.FeatureNotSupported, "this change of a role is not supported").At(act.Offset())
	case u.Name == superuser || u.Name == s.currentUser():
		return sqlerr.New(sqlerr.ObjectInUse, "role %q cannot be renamed", u.Name).WithDetail("It is the first role, or the one you are.")
	case u.Superuser && !s.isSuperuser():
		return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to rename superusers")
	default:
		if _, taken := d.img.User(act.NewName); taken {
			return sqlerr.New(sqlerr.DuplicateObject, "role %q already exists", act.NewName).At(act.Offset())
		}
		next := *u
		next.Name = act.NewName
		d.batch.PutUser(next)
	}
	return d.end(ctx)
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
		case u.Name == superuser || u.Name == s.currentUser():
			return sqlerr.New(sqlerr.ObjectInUse, "role %q cannot be dropped", u.Name).WithDetail("It is the first role, or the one you are.")
		}
		if u.Superuser && !s.isSuperuser() {
			return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to drop superusers")
		}
		for o := range d.img.Objects() {
			if slices.ContainsFunc(o.ACL, func(g metadata.Grant) bool { return g.Grantee == u.OID || g.Grantor == u.OID }) {
				return sqlerr.New(sqlerr.DependentObjectsStillExist, "role %q cannot be dropped because some objects depend on it", u.Name).
					WithDetail("privileges for %s %s", kindWord(o.Kind), qualified(o.Schema, o.Name)).WithHint("REVOKE them first.")
			}
			if o.Owner == u.OID {
				return sqlerr.New(sqlerr.DependentObjectsStillExist, "role %q cannot be dropped because some objects depend on it", u.Name).
					WithDetail("owner of %s %s", kindWord(o.Kind), qualified(o.Schema, o.Name))
			}
		}
		for m := range d.img.Users() {
			if slices.Contains(m.MemberOf, u.OID) {
				next := *m
				next.MemberOf = slices.DeleteFunc(slices.Clone(m.MemberOf), func(o metadata.OID) bool { return o == u.OID })
				d.batch.PutUser(next)
			}
		}
		d.batch.DeleteUser(u.OID, u.Version)
	}
	return d.end(ctx)
}
