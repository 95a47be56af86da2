package pgcatalog

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// privilegeCalls are has_..._privilege and pg_has_role (PostgreSQL docs, chapter 9.26.2). Privileges are not enforced on objects, so whoever is
// logged in has them all; objects, roles and the names of privileges are checked as PostgreSQL does.
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
		if object == 1 {
			if _, err := c.roleOID(args[0].S); err != nil {
				return types.NullDatum, err
			}
		}
		if err := checkPrivilege(kind, args[len(args)-1].S); err != nil {
			return types.NullDatum, err
		}
		if argTypes[object].Kind == types.OID {
			return trueOrNull(c.exists(kind, uint32(args[object].I))), nil
		}
		return flag(true), c.checkObject(kind, args[object].S)
	}
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
		_, ok := types.FromOID(o)
		return ok
	case "tablespace":
		return o == oidTablespace
	case "language":
		return o == oidInternal
	default:
		return false
	}
}

// checkObject fails for the name of an object that is not there.
func (c *catalog) checkObject(kind, name string) error {
	var err error
	switch kind {
	case "database":
		if name != c.w.Database() {
			err = sqlerr.New(sqlerr.InvalidCatalogName, "database %q does not exist", name)
		}
	case "schema":
		if c.schemaOID(name) == 0 {
			err = sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", name)
		}
	case "table", "column", "sequence":
		_, err = c.regOID(types.Regclass, name)
	case "type":
		_, err = c.regOID(types.Regtype, name)
	case "function":
		bare, _, _ := strings.Cut(name, "(") // the types choose among overloads, and all are executable
		_, err = c.regOID(types.Regproc, bare)
		if sqlerr.CodeOf(err) == sqlerr.AmbiguousFunction {
			err = nil
		}
	}
	return err
}

// hasRole answers pg_has_role([user,] role, privilege). There are no memberships: a user is a member of itself, a superuser of all.
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
	return flag(member == role || c.superuser(member)), nil
}
