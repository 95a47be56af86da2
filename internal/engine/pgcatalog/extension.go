package pgcatalog

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
)

// PostgreSQL's tools leave the members of an extension alone: pg_dump does not write them out, for CREATE EXTENSION makes them. What PostgreSQL has no statement
// for (the schema millrace, streams, tables over topics, results of queries, and views over those) is shown as made by the extension millrace. It is built in, so
// that there is no statement for the extension either, and a dump is one that PostgreSQL reads too.
const (
	oidExtension   = 13998 // of millrace: below the first OID of a user's object, as pg_dump knows a built-in one
	oidPgExtension = 3079
)

// fillExtension fills pg_extension.
func (c *catalog) fillExtension(t *table) {
	t.add(row{
		"oid": oid(oidExtension), "extname": text("millrace"), "extowner": oid(c.roleOIDs()(c.bootstrap())), "extnamespace": oid(c.schemaOIDs()["millrace"]),
		"extversion": text(c.s.Release()),
	})
}

// fillMembers adds the members of the extension to pg_depend.
func (c *catalog) fillMembers(t *table) {
	member := func(class, object uint32) {
		t.add(row{"classid": oid(class), "objid": oid(object), "refclassid": oid(oidPgExtension), "refobjid": oid(oidExtension), "deptype": text("e")})
	}
	member(oidPgNamespace, c.schemaOIDs()["millrace"])
	for _, v := range shapes.all {
		if v.rel.Schema == "millrace" {
			member(oidPgClass, v.rel.OID)
		}
	}
	f := foreigners{c: c, known: map[uint32]bool{}}
	for _, r := range c.userRelations() {
		if f.has(r.OID) {
			member(oidPgClass, r.OID)
		}
	}
}

// foreigners finds the relations that PostgreSQL has no statement for.
type foreigners struct {
	c     *catalog
	known map[uint32]bool
}

func (f *foreigners) has(o uint32) bool {
	is, ok := f.known[o]
	if !ok {
		is = f.find(o)
		f.known[o] = is
	}
	return is
}

func (f *foreigners) find(o uint32) bool {
	r, ok := f.c.relationByOID(o)
	switch {
	case !ok || r.Kind == planner.Sequence: // also types, which views need too
		return false
	case r.Kind == planner.Table:
		return !r.Ordinary
	case r.Kind == planner.View:
		return readsSystem(r) || slices.ContainsFunc(f.c.w.Needs(o), f.has)
	}
	return true
}

// readsSystem tells whether a view names a relation of the schema millrace. Those are not among what it needs.
func readsSystem(r relation) bool {
	if !strings.Contains(r.ViewText, "millrace") {
		return false
	}
	parsed, err := sql.ParseOne(r.ViewText, sql.Options{})
	if err != nil {
		return false
	}
	found := false
	sql.Inspect(parsed.Statement, func(n sql.Node) {
		if t, ok := n.(*sql.Table); ok && t.Name.Schema() == "millrace" {
			found = true
		}
	})
	return found
}
