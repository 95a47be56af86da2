package pgcatalog

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// RegName returns what a value of a reg type prints as: a name as the user would have to write it, with its schema where the bare
// name would not find it. It is false for an OID of nothing, which prints as a number (PostgreSQL docs, chapter 8.19).
func RegName(w World, s Session, k types.Kind, oid uint32) (string, bool) {
	c := &catalog{w: w, s: s}
	switch k {
	case types.Regclass:
		return c.className(oid)
	case types.Regtype:
		if t, ok := c.typeByOID(oid); ok {
			return t.String(), true
		}
		for _, u := range w.Types() {
			if u.OID == oid {
				return c.typeName(u), true
			}
		}
	case types.Regproc:
		return procName(oid)
	case types.Regprocedure:
		if p := procs().byOID[oid]; p != nil {
			return signature(sql.QuoteIdent(p.name), p.f.Args), true
		}
	case types.Regoperator:
		return operatorName(oid)
	case types.Regnamespace:
		for _, n := range w.Schemas() {
			if n.OID == oid {
				return sql.QuoteIdent(n.Name), true
			}
		}
	case types.Regrole:
		if r, ok := c.roleByOID(oid); ok {
			return sql.QuoteIdent(r.Name), true
		}
	}
	return "", false
}

// signature is a function's or an operator's name with the types of its arguments.
func signature(name string, args []types.Type) string {
	list := make([]string, len(args))
	for i, t := range args {
		list[i] = t.String()
	}
	return name + "(" + strings.Join(list, ",") + ")"
}

// operatorName is an operator with its operands; one without a left operand has NONE for it.
func operatorName(oid uint32) (string, bool) {
	for _, f := range planner.Functions() {
		if !f.IsOperator() || funcOID(f) != oid {
			continue
		}
		if len(f.Args) == 1 {
			return f.Name + "(NONE," + f.Args[0].String() + ")", true
		}
		return signature(f.Name, f.Args), true
	}
	return "", false
}

// className is the name of a relation or of an index.
func (c *catalog) className(oid uint32) (string, bool) {
	r, ix, ok := c.classByOID(oid)
	if !ok {
		return "", false
	}
	name := r.Name
	if ix != nil {
		name = ix.name
	}
	if c.visible(r.Relation) {
		return sql.QuoteIdent(name), true
	}
	return sql.QuoteIdent(r.Schema) + "." + sql.QuoteIdent(name), true
}

// RegOID resolves the text of a reg type that is no number. Errors are PostgreSQL's.
func RegOID(w World, s Session, k types.Kind, name string) (uint32, error) {
	return (&catalog{w: w, s: s}).regOID(k, name)
}

func (c *catalog) regOID(k types.Kind, name string) (uint32, error) {
	switch k {
	case types.Regtype:
		return c.typeOID(name)
	case types.Regprocedure:
		return c.procedureOID(name)
	}
	parts, err := splitName(name)
	if err != nil {
		return 0, err
	}
	switch k {
	case types.Regclass:
		return c.classOID(parts)
	case types.Regproc:
		return procOID(parts)
	case types.Regnamespace, types.Regrole:
		if len(parts) != 1 {
			return 0, errNameSyntax()
		}
		if k == types.Regrole {
			return c.roleOID(parts[0])
		}
		if o := c.schemaOID(parts[0]); o != 0 {
			return o, nil
		}
		return 0, sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", parts[0])
	}
	return 0, sqlerr.New(sqlerr.FeatureNotSupported, "names of type %s cannot be resolved", k)
}

func errNameSyntax() error { return sqlerr.New(sqlerr.InvalidName, "invalid name syntax") }

func (c *catalog) roleOID(name string) (uint32, error) {
	for _, r := range c.roles() {
		if r.Name == name {
			return r.OID, nil
		}
	}
	return 0, sqlerr.New(sqlerr.UndefinedObject, "role %q does not exist", name)
}

// classOID finds a relation, or an index, by one or two names; a database's name may stand before them.
func (c *catalog) classOID(parts []string) (uint32, error) {
	full := strings.Join(parts, ".")
	if len(parts) == 3 && parts[0] == c.w.Database() {
		parts = parts[1:]
	}
	schemas := c.path()
	switch len(parts) {
	case 1:
	case 2:
		schemas = parts[:1]
		if c.schemaOID(parts[0]) == 0 {
			return 0, sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", parts[0])
		}
	case 3:
		return 0, sqlerr.New(sqlerr.FeatureNotSupported, "cross-database references are not implemented: %q", full)
	default:
		return 0, sqlerr.New(sqlerr.SyntaxError, "improper relation name (too many dotted names): %s", full)
	}
	name := parts[len(parts)-1]
	for _, schema := range schemas {
		if r, ok := c.relationByName(schema, name); ok {
			return r.OID, nil
		}
		if o, ok := c.indexByName(schema, name); ok {
			return o, nil
		}
	}
	return 0, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", full)
}

// typeOID finds a type by any of its names; modifiers are read over. CHAR without quotes is the standard's type, "char" PostgreSQL's.
func (c *catalog) typeOID(name string) (uint32, error) {
	s := strings.ToLower(strings.TrimSpace(name))
	s = strings.TrimPrefix(s, schemaPgCatalog+".")
	if open, end := strings.IndexByte(s, '('), strings.IndexByte(s, ')'); open >= 0 && end > open {
		s = strings.TrimSpace(s[:open]) + s[end+1:]
	}
	base := strings.TrimSpace(strings.ReplaceAll(s, "[]", ""))
	isArray := strings.Contains(s, "[]")
	if base == "char" {
		base = "character"
	}
	base = strings.Join(strings.Fields(strings.Trim(base, `"`)), " ")
	t, ok := types.Lookup(base)
	if ok && isArray && t.Kind != types.Array {
		t = types.ArrayOf(t)
	}
	if ok && t.OID() != 0 {
		return t.OID(), nil
	}
	if u, ok := c.userType(strings.ReplaceAll(name, "[]", "")); ok && !isArray {
		return u.OID, nil
	} else if ok && u.Type.ArrayOID() != 0 {
		return u.Type.ArrayOID(), nil
	}
	return 0, sqlerr.New(sqlerr.UndefinedObject, "type %q does not exist", name)
}

// userType finds a type that a user made by its name.
func (c *catalog) userType(name string) (UserType, bool) {
	parts, err := splitName(name)
	if err != nil || len(parts) > 2 {
		return UserType{}, false
	}
	schemas := c.path()
	if len(parts) == 2 {
		schemas = parts[:1]
	}
	all := c.w.Types()
	for _, schema := range schemas {
		if i := slices.IndexFunc(all, func(u UserType) bool { return u.Schema == schema && u.Name == parts[len(parts)-1] }); i >= 0 {
			return all[i], true
		}
	}
	return UserType{}, false
}

// procOID finds a function by name. Several of one name are an error, as the name does not tell which.
func procOID(parts []string) (uint32, error) {
	name := parts[len(parts)-1]
	full := strings.Join(parts, ".")
	var found []uint32
	if len(parts) == 1 || len(parts) == 2 && parts[0] == schemaPgCatalog {
		found = procs().byName[name]
	}
	switch len(found) {
	case 0:
		return 0, sqlerr.New(sqlerr.UndefinedFunction, "function %q does not exist", full)
	case 1:
		return found[0], nil
	default:
		return 0, sqlerr.New(sqlerr.AmbiguousFunction, "more than one function named %q", full)
	}
}

// procedureOID finds a function by its name and the types of its arguments, "lower(text)".
func (c *catalog) procedureOID(text string) (uint32, error) {
	head, list, ok := strings.Cut(text, "(")
	list, closed := strings.CutSuffix(strings.TrimSpace(list), ")")
	if !ok {
		return 0, sqlerr.New(sqlerr.InvalidTextRepresentation, "expected a left parenthesis")
	}
	if !closed {
		return 0, sqlerr.New(sqlerr.InvalidTextRepresentation, "expected a right parenthesis")
	}
	parts, err := splitName(head)
	if err != nil {
		return 0, err
	}
	var args []uint32
	for len(strings.TrimSpace(list)) > 0 {
		var arg string
		arg, list, _ = strings.Cut(list, ",")
		oid, err := c.typeOID(arg)
		if err != nil {
			return 0, err
		}
		args = append(args, oid)
	}
	if len(parts) == 1 || len(parts) == 2 && parts[0] == schemaPgCatalog {
		for _, oid := range procs().byName[parts[len(parts)-1]] {
			if f := procs().byOID[oid].f; f != nil && slices.EqualFunc(f.Args, args, func(t types.Type, oid uint32) bool { return t.OID() == oid }) {
				return oid, nil
			}
		}
	}
	return 0, sqlerr.New(sqlerr.UndefinedFunction, "function %q does not exist", text)
}

// procName is a function's name. One that the bare name would not find alone is qualified.
func procName(oid uint32) (string, bool) {
	p := procs().byOID[oid]
	if p == nil {
		return "", false
	}
	name := sql.QuoteIdent(p.name)
	if len(procs().byName[p.name]) > 1 {
		name = schemaPgCatalog + "." + name
	}
	return name, true
}

// splitName reads a possibly qualified name: parts without quotes are folded to lower case.
func splitName(s string) ([]string, error) {
	var parts []string
	for rest := strings.TrimSpace(s); ; {
		var part string
		if strings.HasPrefix(rest, `"`) {
			var ok bool
			if part, rest, ok = cutQuoted(rest[1:]); !ok {
				return nil, errNameSyntax()
			}
		} else {
			n := strings.IndexAny(rest, ". \t\n\"")
			if n < 0 {
				n = len(rest)
			}
			part, rest = strings.ToLower(rest[:n]), rest[n:]
		}
		if part == "" {
			return nil, errNameSyntax()
		}
		parts = append(parts, part)
		rest = strings.TrimSpace(rest)
		if rest == "" {
			return parts, nil
		}
		if rest[0] != '.' {
			return nil, errNameSyntax()
		}
		rest = strings.TrimSpace(rest[1:])
	}
}

// cutQuoted reads a quoted name after its opening quote; a doubled quote stands for one.
func cutQuoted(s string) (name, rest string, ok bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `"`)
		if !found {
			return "", "", false
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, `"`) {
			return b.String(), after, true
		}
		b.WriteByte('"')
		s = after[1:]
	}
}
