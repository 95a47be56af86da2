package pgcatalog

import (
	"strconv"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// fillClass fills pg_class: every relation, and every index.
func (c *catalog) fillClass(t *table) {
	schemas, role := c.schemaOIDs(), c.roleOIDs()
	for _, r := range c.relations() {
		am, replident := uint32(0), "n"
		if r.kind == 'r' || r.kind == 'm' {
			am = oidHeap
		}
		if r.OID >= firstUserOID && am != 0 {
			replident = "d"
		}
		indexes := r.indexes()
		t.add(row{
			"oid": oid(r.OID), "relname": text(r.Name), "relnamespace": oid(schemas[r.Schema]), "relowner": oid(role(r.Owner)), "relam": oid(am),
			"relfilenode": oid(filenode(r)), "reltuples": types.FloatDatum(-1), "relhasindex": flag(len(indexes) > 0), "relchecks": num(int64(len(r.Checks))), "relpersistence": r.persistence(), "relkind": text(string(r.kind)),
			"relnatts": num(int64(r.width())), "relispopulated": flag(true), "relreplident": text(replident),
			"reloptions": r.options(), "relacl": c.acl(r),
		})
		for _, ix := range indexes {
			t.add(row{
				"oid": oid(ix.oid), "relname": text(ix.name), "relnamespace": oid(schemas[r.Schema]), "relowner": oid(role(r.Owner)),
				"relam": oid(oidBtree), "relfilenode": oid(ix.oid), "relpersistence": r.persistence(), "relkind": text("i"), "relnatts": num(int64(len(ix.cols))),
				"relispopulated": flag(true), "relreplident": text("n"),
			})
		}
	}
}

func (r relation) persistence() types.Datum {
	if r.Schema == schemaTemp {
		return text("t")
	}
	return text("p")
}

// options are the topic behind a relation, and its formats, as psql's \d+ shows them. They are NULL for an ordinary table: it has a topic too, but nobody
// reads or writes it by that.
func (r relation) options() types.Datum {
	if r.Topic == "" || r.Ordinary {
		return types.NullDatum
	}
	return texts(types.Text, []string{
		"topic=" + r.Topic, "partitions=" + strconv.Itoa(int(r.Partitions)), "key_format=" + r.KeyFormat, "value_format=" + r.ValueFormat,
	})
}

// firstUserOID is the first OID of objects that users make.
const firstUserOID = 16384

// filenode is the OID of what holds rows, 0 of what holds none.
func filenode(r relation) uint32 {
	if r.kind == 'v' || r.Kind == planner.Virtual {
		return 0
	}
	return r.OID
}

// fillNamespace fills pg_namespace.
func (c *catalog) fillNamespace(t *table) {
	role := c.roleOIDs()
	for _, s := range c.w.Schemas() {
		t.add(row{"oid": oid(s.OID), "nspname": text(s.Name), "nspowner": oid(role(s.Owner)), "nspacl": c.schemaACL(s)})
	}
}
