package pgcatalog

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// The letters of all privileges on a kind of object, in PostgreSQL's order (docs, chapter 5.7).
const (
	allOfRelation = "arwdDxt"
	allOfSequence = "rwU"
	allOfSchema   = "UC"
)

func (r relation) privileges() string {
	if r.kind == 'S' {
		return allOfSequence
	}
	return allOfRelation
}

// acl is a relation's access list as pg_class has it: NULL while nothing was granted.
func (c *catalog) acl(r relation) types.Datum {
	if r.OID < firstUserOID {
		return types.NullDatum
	}
	return accessList(c.w.Grants(r.OID), c.owner(r), r.privileges())
}

func (c *catalog) schemaACL(s Schema) types.Datum {
	return accessList(c.w.Grants(s.OID), s.Owner, allOfSchema)
}

// accessList prints an access list, the owner first.
func accessList(grants []Grant, owner, all string) types.Datum {
	if grants == nil {
		return types.NullDatum
	}
	items := []string{accessItem(Grant{Grantee: owner, Grantor: owner, Privileges: all})}
	for _, g := range grants {
		items = append(items, accessItem(g))
	}
	return texts(types.Text, items)
}

// accessItem prints an entry as an aclitem: grantee=letters/grantor, a star after what may be granted on.
func accessItem(g Grant) string {
	out := ""
	if g.Grantee != "" {
		out = sql.QuoteIdent(g.Grantee)
	}
	out += "="
	for _, letter := range g.Privileges {
		out += string(letter)
		for _, o := range g.Options {
			if o == letter {
				out += "*"
			}
		}
	}
	return out + "/" + sql.QuoteIdent(g.Grantor)
}

// defaultACL answers acldefault: what is granted on an object of a kind while nothing was said (PostgreSQL docs, chapter 5.7). The kinds are those of
// pg_dump: relations, sequences, databases, functions, languages, large objects, schemas, parameters, tablespaces, foreign data wrappers and servers, types.
func defaultACL(c *catalog, args []types.Datum) (types.Datum, error) {
	kinds := map[string]struct{ owner, everybody string }{
		"r": {owner: allOfRelation}, "s": {owner: allOfSequence}, "d": {"CTc", "Tc"}, "f": {"X", "X"}, "l": {"U", "U"}, "L": {owner: "rw"}, "n": {owner: allOfSchema},
		"p": {owner: "sA"}, "t": {owner: "C"}, "F": {owner: "U"}, "S": {owner: "U"}, "T": {"U", "U"},
	}
	kind, ok := kinds[args[0].S]
	if !ok {
		return types.NullDatum, sqlerr.New(sqlerr.InternalError, "unrecognized object type abbreviation: %q", args[0].S)
	}
	owner := userByOID(c, uint32(args[1].I)).S
	var items []string
	if kind.everybody != "" {
		items = append(items, accessItem(Grant{Grantor: owner, Privileges: kind.everybody}))
	}
	return texts(types.Text, append(items, accessItem(Grant{Grantee: owner, Grantor: owner, Privileges: kind.owner}))), nil
}
