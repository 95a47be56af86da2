package pgcatalog

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// privilegeCalls are has_..._privilege and pg_has_role (PostgreSQL docs, chapter 9.26.2). Privileges are kept for relations, sequences and schemas; of other
// objects everybody has them all.
var privilegeCalls = makePrivilegeCalls()

// privilegeWords are the privileges of each kind of object.
var privilegeWords = map[string][]string{
	"database":   {"create", "connect", "temporary", "temp"},
	"schema":     {"create", "usage"},
	"table":      {"select", "insert", "update", "delete", "truncate", "references", "trigger"},
	"column":     {"select", "insert", "update", "references"},
	"sequence":   {"usage", "select", "update"},
	"function":   {"execute"},
	"type":       {"usage"},
	"language":   {"usage"},
	"tablespace": {"create"},
	"role":       {"member", "usage"},
}

func makePrivilegeCalls() map[string]callFunc {
	m := map[string]callFunc{}
	for _, f := range planner.Functions() {
		kind, ok := strings.CutPrefix(f.Name, "has_")
		if !ok {
			continue
		}
		kind, ok = strings.CutSuffix(kind, "_privilege")
		if !ok {
			continue
		}
		m[f.ID()] = hasPrivilege(strings.TrimPrefix(kind, "any_"), f.Args)
	}
	m["acldefault(char,oid)"] = defaultACL
	m["pg_has_role(name,text)"] = hasRole
	m["pg_has_role(oid,text)"] = hasRole
	m["pg_has_role(name,oid,text)"] = hasRole
	m["pg_has_role(name,name,text)"] = hasRole
	return m
}

// hasPrivilege answers has_X_privilege([role,] object, [column,] privilege). A role is a name before the object.
func hasPrivilege(kind string, argTypes []types.Type) callFunc {
	object := 0
	if argTypes[0].Kind == types.Name {
		object = 1
	}
	return func(c *catalog, args []types.Datum) (types.Datum, error) {
		role := c.s.User()
		if object == 1 {
			if role = args[0].S; role != "public" {
				if _, err := c.roleOID(role); err != nil {
					return types.NullDatum, err
				}
			}
		}
		privileges := args[len(args)-1].S
		if err := checkPrivilege(kind, privileges); err != nil {
			return types.NullDatum, err
		}
		if argTypes[object].Kind == types.OID {
			o := uint32(args[object].I)
			if !c.exists(kind, o) {
				return types.NullDatum, nil
			}
			return flag(c.mayUse(role, kind, o, privileges)), nil
		}
		o, err := c.objectOID(kind, args[object].S)
		return flag(c.mayUse(role, kind, o, privileges)), err
	}
}

// wordLetters are the letters of privileges in access lists.
var wordLetters = map[string]string{
	"select": "r", "insert": "a", "update": "w", "delete": "d", "truncate": "D", "references": "x", "trigger": "t", "usage": "U", "create": "C",
}

// mayUse tells whether a role has one of the privileges in a list on an object.
func (c *catalog) mayUse(role, kind string, o uint32, privileges string) bool {
	switch kind {
	case "table", "column", "schema", "sequence":
	default:
		return true
	}
	for _, p := range strings.Split(privileges, ",") {
		word, option := strings.CutSuffix(strings.ToLower(strings.TrimSpace(p)), " with grant option")
		if c.w.Allowed(role, o, wordLetters[word], option) {
			return true
		}
	}
	return false
}

// checkPrivilege checks a list of privileges, each with or without WITH GRANT OPTION.
func checkPrivilege(kind, privileges string) error {
next:
	for _, p := range strings.Split(privileges, ",") {
		word := strings.ToLower(strings.TrimSpace(p))
		word = strings.TrimSuffix(strings.TrimSuffix(word, " with grant option"), " with admin option")
		for _, known := range privilegeWords[kind] {
			if word == known {
				continue next
			}
		}
		return sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized privilege type: %q", strings.TrimSpace(p))
	}
	return nil
}

// exists reports whether there is an object of the kind with that OID.
func (c *catalog) exists(kind string, o uint32) bool {
	switch kind {
	case "database":
		return o == oidDatabase
	case "schema":
		for _, s := range c.w.Schemas() {
			if s.OID == o {
				return true
			}
		}
		return false
	case "table", "column":
		_, _, ok := c.classByOID(o)
		return ok
	case "function":
		return procs().byOID[o] != nil
	case "type":
		_, ok := c.typeByOID(o)
		return ok
	case "tablespace":
		return o == oidTablespace
	case "language":
		return o == oidInternal
	default:
		return false
	}
}

// objectOID finds an object by name. Of databases and functions it only says whether they are there.
func (c *catalog) objectOID(kind, name string) (o uint32, err error) {
	switch kind {
	case "database":
		if name != c.w.Database() {
			err = sqlerr.New(sqlerr.InvalidCatalogName, "database %q does not exist", name)
		}
	case "schema":
		if o = c.schemaOID(name); o == 0 {
			err = sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", name)
		}
	case "table", "column", "sequence":
		o, err = c.regOID(types.Regclass, name)
	case "type":
		o, err = c.regOID(types.Regtype, name)
	case "function":
		bare, _, _ := strings.Cut(name, "(") // the types choose among overloads, and all are executable
		if o, err = c.regOID(types.Regproc, bare); sqlerr.CodeOf(err) == sqlerr.AmbiguousFunction {
			err = nil
		}
	}
	return o, err
}

// memberOf tells whether a role is another or a member of it, directly or not.
func (c *catalog) memberOf(member, role Role) bool {
	roles := c.roles()
	reached := []uint32{member.OID}
	for i := 0; i < len(reached); i++ {
		if reached[i] == role.OID {
			return true
		}
		for _, r := range roles {
			if r.OID != reached[i] {
				continue
			}
			for _, of := range r.MemberOf {
				if !slices.Contains(reached, of) {
					reached = append(reached, of)
				}
			}
		}
	}
	return false
}

// hasRole answers pg_has_role([user,] role, privilege). A user is a member of itself, a superuser of all.
func hasRole(c *catalog, args []types.Datum) (types.Datum, error) {
	member := c.s.User()
	if len(args) == 3 {
		member, args = args[0].S, args[1:]
	}
	if err := checkPrivilege("role", args[1].S); err != nil {
		return types.NullDatum, err
	}
	role := args[0].S
	if r, ok := c.roleByOID(uint32(args[0].I)); role == "" && ok {
		role = r.Name
	}
	m, _ := c.roleByName(member)
	r, ok := c.roleByName(role)
	return flag(member == role || c.superuser(member) || ok && c.memberOf(m, r)), nil
}
