package engine

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// Privileges are PostgreSQL's letters (docs, chapter 5.7). An object without grants is its owner's alone, but for schema public, which everybody
// may use. Owners and superusers may do everything.
const (
	privSelect   = 'r'
	privInsert   = 'a'
	privUpdate   = 'w'
	privDelete   = 'd'
	privTruncate = 'D'
	privUsage    = 'U'
	privCreate   = 'C'

	relationPrivileges = "arwdDxt"
	sequencePrivileges = "rwU"
	schemaPrivileges   = "UC"
)

// privilegeLetters are the letters of the words.
var privilegeLetters = map[string]byte{
	"SELECT": privSelect, "INSERT": privInsert, "UPDATE": privUpdate, "DELETE": privDelete, "TRUNCATE": privTruncate, "REFERENCES": 'x', "TRIGGER": 't',
	"USAGE": privUsage, "CREATE": privCreate,
}

// objectPrivileges are the privileges that there are on an object.
func objectPrivileges(o *metadata.Object) string {
	switch {
	case o.Space == spaceSchema:
		return schemaPrivileges
	case o.Kind == kindSequence:
		return sequencePrivileges
	default:
		return relationPrivileges
	}
}

// publicRole stands for everybody in a grant.
const publicRole metadata.OID = 0

// allowed tells whether a role has any of some privileges on an object.
func allowed(img *metadata.Image, u *metadata.User, o *metadata.Object, letters string) bool {
	if u.Superuser {
		return true
	}
	roles := rolesOf(img, u)
	if slices.Contains(roles, ownerOf(o)) {
		return true
	}
	for _, g := range o.ACL {
		if strings.ContainsAny(g.Privileges, letters) && (g.Grantee == publicRole || slices.Contains(roles, g.Grantee)) {
			return true
		}
	}
	return false
}

// schemaAllowed is allowed for a schema by name; those that are built in may be used by everybody.
func schemaAllowed(img *metadata.Image, u *metadata.User, schema string, letter byte) bool {
	o, ok := img.ObjectByName(spaceSchema, "", schema)
	switch {
	case ok:
		return allowed(img, u, o, string(letter))
	case letter == privUsage:
		return true
	default:
		return u.Superuser
	}
}

func denied(o *metadata.Object) error {
	kind := kindWord(o.Kind)
	if o.Kind == kindMatview {
		kind = "materialized view"
	}
	return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for %s %s", kind, o.Name)
}

// checkPrivilege refuses the session what it may not do with an object.
func (s *session) checkPrivilege(o *metadata.Object, letters string) error {
	img := s.image()
	u, err := s.me(img)
	if err != nil {
		return err
	}
	return checkRole(img, u, o, letters)
}

func checkRole(img *metadata.Image, u *metadata.User, o *metadata.Object, letters string) error {
	if o.Schema != "" && !schemaAllowed(img, u, o.Schema, privUsage) {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for schema %s", o.Schema)
	}
	if !allowed(img, u, o, letters) {
		return denied(o)
	}
	return nil
}

// creationSchema is where a new object goes that is named with the schema, or with none: a schema in which the session may make objects.
func (s *session) creationSchema(cat *catalog, schema string) (string, error) {
	schema, err := cat.creationSchema(schema)
	if err != nil {
		return "", err
	}
	return schema, s.checkCreate(cat.img, schema)
}

// checkCreate refuses to make objects in a schema to those who may not.
func (s *session) checkCreate(img *metadata.Image, schema string) error {
	u, err := s.me(img)
	if err != nil || schemaAllowed(img, u, schema, privCreate) {
		return err
	}
	return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for schema %s", schema).
		WithHint("GRANT CREATE ON SCHEMA %s TO %s gives it.", schema, u.Name)
}

// accesses are the relations that a statement names, and as whom: what stands in a view is read with the rights of the view's owner.
type accesses struct {
	list   []access
	errors bool // millrace.errors is read, which holds rows of everything
}

type access struct {
	o  *metadata.Object
	as metadata.OID
}

// checkAccess refuses a statement that reads or writes what its role may not.
func (s *session) checkAccess(a *accesses, changes []*planner.DML) error {
	img := s.image()
	u, err := s.me(img)
	if err != nil {
		return err
	}
	if a.errors && !u.Superuser {
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for stream errors").
			WithDetail("It holds rows of all relations, so only superusers read it.")
	}
	for _, x := range a.list {
		need, as := string(privSelect), u
		if x.as != 0 {
			owner, ok := img.UserByOID(x.as)
			if !ok {
				return denied(x.o)
			}
			as = owner
		} else if i := slices.IndexFunc(changes, func(d *planner.DML) bool { return d.Rel.OID == uint32(x.o.OID) }); i >= 0 {
			if err := checkWrites(img, u, x.o, changes[i]); err != nil {
				return err
			}
			changes = slices.Delete(changes, i, i+1) // named again, it is read
			continue
		}
		if err := checkRole(img, as, x.o, need); err != nil {
			return err
		}
	}
	return nil
}

// checkWrites checks the target of a data change: what it does, and SELECT where it looks at rows that are there.
func checkWrites(img *metadata.Image, u *metadata.User, o *metadata.Object, dml *planner.DML) error {
	need := map[planner.DMLKind][]byte{planner.DMLInsert: {privInsert}, planner.DMLUpdate: {privUpdate}, planner.DMLDelete: {privDelete}}[dml.Kind]
	if dml.OnConflict != nil && !dml.OnConflict.DoNothing {
		need = append(need, privUpdate, privSelect)
	}
	if len(dml.Returning) > 0 || dml.Where != nil {
		need = append(need, privSelect)
	}
	for _, letter := range need {
		if err := checkRole(img, u, o, string(letter)); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses a definition that reads what its role may not.
func (s *session) checkNames(img *metadata.Image, n names) error {
	for _, r := range n {
		o, ok := img.Object(metadata.OID(r.OID))
		if !ok || o.Space != spaceRelation {
			continue
		}
		letters := string(privSelect)
		if o.Kind == kindSequence {
			letters = string(privUsage) + string(privUpdate)
		}
		if err := s.checkPrivilege(o, letters); err != nil {
			return err
		}
	}
	return nil
}
