package pgcatalog

import (
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
