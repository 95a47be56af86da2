package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// grant runs GRANT and REVOKE.
func (s *session) grant(ctx context.Context, q *sql.Grant) (string, error) {
	tag := "GRANT"
	if q.Revoke {
		tag = "REVOKE"
	}
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	d := s.beginDDL()
	var err error
	if q.Kind == "" {
		err = s.grantRoles(d, q)
	} else {
		err = s.grantObjects(d, q)
	}
	if err != nil {
		d.cancel()
		return "", err
	}
	return tag, d.end(ctx)
}

// grantRoles changes memberships.
func (s *session) grantRoles(d *ddl, q *sql.Grant) error {
	if q.WithOption || q.OptionOnly {
		return sqlerr.New(sqlerr.FeatureNotSupported, "ADMIN OPTION is not supported").
			WithDetail("Reason: memberships are given by superusers and roles with CREATEROLE.").At(q.Offset())
	}
	if err := s.checkSuperuser("GRANT of a role"); err != nil {
		return err
	}
	for _, grantee := range q.Grantees {
		member, err := s.role(d.img, grantee)
		if err != nil {
			return err
		}
		next := *member
		next.MemberOf = slices.Clone(member.MemberOf)
		for _, p := range q.Privileges {
			role, err := s.role(d.img, p.Name)
			if err != nil {
				return sqlerr.From(err).At(p.Offset())
			}
			if role.Superuser && !s.isSuperuser() {
				return sqlerr.New(sqlerr.InsufficientPrivilege, "must be superuser to alter superusers").At(p.Offset())
			}
			if err := s.changeMember(d.img, &next, role, q.Revoke); err != nil {
				return sqlerr.From(err).At(p.Offset())
			}
		}
		d.batch.PutUser(next)
	}
	return nil
}

func (s *session) changeMember(img *metadata.Image, member, role *metadata.User, revoke bool) error {
	has := slices.Contains(member.MemberOf, role.OID)
	switch {
	case revoke && !has:
		s.warn(sqlerr.Warning, "role %q is not a member of role %q", member.Name, role.Name)
	case revoke:
		member.MemberOf = slices.DeleteFunc(member.MemberOf, func(o metadata.OID) bool { return o == role.OID })
	case has:
		s.notice(sqlerr.SuccessfulCompletion, "role %q is already a member of role %q", member.Name, role.Name)
	case slices.Contains(rolesOf(img, role), member.OID):
		return sqlerr.New(sqlerr.InvalidGrantOperation, "role %q is a member of role %q", role.Name, member.Name)
	default:
		member.MemberOf = append(member.MemberOf, role.OID)
	}
	return nil
}

// role finds a role by name, also by the words for the session's own.
func (s *session) role(img *metadata.Image, name string) (*metadata.User, error) {
	switch name {
	case "session_user":
		name = s.info.User
	case "current_user", "current_role":
		name = s.currentUser()
	}
	u, ok := img.User(name)
	if !ok {
		return nil, sqlerr.New(sqlerr.UndefinedObject, "role %q does not exist", name)
	}
	return u, nil
}

// grantObjects changes access lists.
func (s *session) grantObjects(d *ddl, q *sql.Grant) error {
	objects, err := s.grantTargets(d, q)
	if err != nil {
		return err
	}
	var grantees []metadata.OID
	for _, name := range q.Grantees {
		if name == "public" {
			if q.WithOption {
				return sqlerr.New(sqlerr.InvalidGrantOperation, "grant options can only be granted to roles").At(q.Offset())
			}
			grantees = append(grantees, publicRole)
			continue
		}
		u, err := s.role(d.img, name)
		if err != nil {
			return err
		}
		grantees = append(grantees, u.OID)
	}
	for _, o := range objects {
		letters, err := grantLetters(q, o)
		if err != nil {
			return err
		}
		if err := s.changeACL(d, q, o, letters, grantees); err != nil {
			return err
		}
	}
	return nil
}

// grantTargets finds the objects of a GRANT.
func (s *session) grantTargets(d *ddl, q *sql.Grant) ([]*metadata.Object, error) {
	cat := s.catalog()
	var out []*metadata.Object
	for _, name := range q.Objects {
		switch {
		case q.AllInSchema:
			if !cat.hasSchema(name.Object()) {
				return nil, sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", name.Object()).At(name.Offset())
			}
			for o := range d.img.ObjectsIn(spaceRelation, name.Object()) {
				if o.Kind != kindIndex && (o.Kind == kindSequence) == (q.Kind == sql.KindSequence) && (q.Kind != sql.KindStream || o.Kind == kindStream) {
					out = append(out, o)
				}
			}
		case q.Kind == sql.KindSchema:
			o, err := cat.schemaForGrant(name)
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		case q.Kind == sql.KindSequence:
			o, err := cat.sequenceObject(name)
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		case q.Kind == sql.KindTable, q.Kind == sql.KindStream, q.Kind == sql.KindView, q.Kind == sql.KindMaterializedView:
			o, err := cat.anyObject(name) // as in PostgreSQL, TABLE takes sequences too
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		default:
			return nil, sqlerr.New(sqlerr.FeatureNotSupported, "privileges on a %s are not kept", strings.ToLower(string(q.Kind))).
				WithHint("What works: privileges on tables, streams, views, sequences and schemas.").At(q.Offset())
		}
	}
	return out, nil
}

// schemaForGrant finds a schema. Schema public is built in, and becomes an object of the catalog with its first change.
func (c *catalog) schemaForGrant(name *sql.Name) (*metadata.Object, error) {
	if o, ok := c.img.ObjectByName(spaceSchema, "", name.Object()); ok {
		return o, nil
	}
	if name.Object() == schemaPublic {
		return &metadata.Object{
			Kind: kindSchema, Space: spaceSchema, Name: schemaPublic, Owner: metadata.BootstrapUserOID,
			ACL: []metadata.Grant{{Grantee: publicRole, Grantor: metadata.BootstrapUserOID, Privileges: string(privUsage)}},
		}, nil
	}
	return c.schemaObject(name)
}

// grantLetters are the privileges that a GRANT names, as far as the object has them.
func grantLetters(q *sql.Grant, o *metadata.Object) (string, error) {
	all, out := objectPrivileges(o), ""
	for _, p := range q.Privileges {
		if len(p.Columns) > 0 {
			return "", sqlerr.New(sqlerr.FeatureNotSupported, "privileges on columns are not supported").
				WithHint("What works: a view of the columns, and privileges on the view.").At(p.Offset())
		}
		if p.Name == "ALL" {
			return all, nil
		}
		letter, ok := privilegeLetters[p.Name]
		if !ok {
			return "", sqlerr.New(sqlerr.SyntaxError, "unrecognized privilege type %q", strings.ToLower(p.Name)).At(p.Offset())
		}
		if !strings.ContainsRune(all, rune(letter)) {
			return "", sqlerr.New(sqlerr.InvalidGrantOperation, "invalid privilege type %s for %s", p.Name, kindWord(o.Kind)).At(p.Offset())
		}
		out += string(letter)
	}
	return out, nil
}

// changeACL grants or revokes letters of one object. Who is neither owner nor superuser needs the grant option, and grants in the own name.
func (s *session) changeACL(d *ddl, q *sql.Grant, o *metadata.Object, letters string, grantees []metadata.OID) error {
	u, err := s.me(d.img)
	if err != nil {
		return err
	}
	grantor := ownerOf(o)
	if !hasRole(d.img, u, grantor) {
		if letters = grantable(d.img, u, o, letters); letters == "" {
			return denied(o)
		}
		grantor = u.OID
	}
	next := *o
	next.ACL = slices.Clone(o.ACL)
	for _, g := range grantees {
		if g == ownerOf(o) {
			if q.Revoke {
				return sqlerr.New(sqlerr.FeatureNotSupported, "the owner's own privileges cannot be revoked").
					WithHint("ALTER ... OWNER TO gives the object to another role.").At(q.Offset())
			}
			continue
		}
		if !q.Revoke {
			next.ACL = addGrant(next.ACL, g, grantor, letters, q.WithOption)
		} else if next.ACL, err = revokeGrant(next.ACL, g, grantor, letters, q.OptionOnly, q.Cascade); err != nil {
			return err
		}
	}
	d.batch.PutObject(next)
	return nil
}

// grantable are those of letters that a role holds with the grant option.
func grantable(img *metadata.Image, u *metadata.User, o *metadata.Object, letters string) string {
	roles, out := rolesOf(img, u), ""
	for _, letter := range letters {
		for _, g := range o.ACL {
			if strings.ContainsRune(g.GrantOption, letter) && slices.Contains(roles, g.Grantee) && !strings.ContainsRune(out, letter) {
				out += string(letter)
			}
		}
	}
	return out
}

func addGrant(acl []metadata.Grant, grantee, grantor metadata.OID, letters string, option bool) []metadata.Grant {
	i := slices.IndexFunc(acl, func(g metadata.Grant) bool { return g.Grantee == grantee && g.Grantor == grantor })
	if i < 0 {
		acl, i = append(acl, metadata.Grant{Grantee: grantee, Grantor: grantor}), len(acl)
	}
	acl[i].Privileges = union(acl[i].Privileges, letters)
	if option {
		acl[i].GrantOption = union(acl[i].GrantOption, letters)
	}
	return acl
}

// union adds letters, in the order in which PostgreSQL shows them.
func union(a, b string) string {
	out := ""
	for _, letter := range "arwdDxtUC" {
		if strings.ContainsRune(a, letter) || strings.ContainsRune(b, letter) {
			out += string(letter)
		}
	}
	return out
}

func minus(a, b string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(b, r) {
			return -1
		}
		return r
	}, a)
}

// revokeGrant takes letters, or only their grant option, from a role. What the role has granted on goes with CASCADE, and is an error without.
func revokeGrant(acl []metadata.Grant, grantee, grantor metadata.OID, letters string, optionOnly, cascade bool) ([]metadata.Grant, error) {
	lost := ""
	for i := range acl {
		g := &acl[i]
		if g.Grantee != grantee || g.Grantor != grantor {
			continue
		}
		for _, letter := range letters {
			if strings.ContainsRune(g.GrantOption, letter) {
				lost += string(letter)
			}
		}
		g.GrantOption = minus(g.GrantOption, letters)
		if !optionOnly {
			g.Privileges = minus(g.Privileges, letters)
		}
	}
	for _, letter := range lost {
		still := slices.ContainsFunc(acl, func(g metadata.Grant) bool {
			return g.Grantee == grantee && strings.ContainsRune(g.GrantOption, letter)
		})
		if still || grantee == publicRole {
			continue
		}
		for _, g := range slices.Clone(acl) {
			if g.Grantor != grantee || !strings.ContainsRune(g.Privileges, letter) {
				continue
			}
			if !cascade {
				return nil, sqlerr.New(sqlerr.DependentObjectsStillExist, "dependent privileges exist").WithHint("Use CASCADE to revoke them too.")
			}
			var err error
			if acl, err = revokeGrant(acl, g.Grantee, g.Grantor, string(letter), false, true); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(acl, func(g metadata.Grant) bool { return g.Privileges == "" }), nil
}
