package pgcatalog

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// OIDs of built-in objects that rows refer to: PostgreSQL's own.
const (
	oidHeap         = 2    // pg_am
	oidBtree        = 403  // pg_am
	oidInternal     = 12   // pg_language
	oidBootstrap    = 10   // the first role
	oidDatabase     = 5    // pg_database: PostgreSQL's postgres
	oidTablespace   = 1663 // pg_default
	oidDefault      = 100  // pg_collation
	oidC            = 950  // pg_collation
	oidPgClass      = 1259
	oidPgAttrdef    = 2604
	oidPgNamespace  = 2615
	oidPgType       = 1247
	oidSchemaSystem = 11 // pg_catalog
)

// catalog is one call's view of the world.
type catalog struct {
	ctx context.Context
	w   World
	s   Session
}

// indexOID is the OID of the index of a table's primary key, and of its constraint. Tables are numbered from 16384 up, never so far as the upper half.
func indexOID(table uint32) uint32 { return table | 1<<31 }

// tableOfIndex inverts indexOID.
func tableOfIndex(oid uint32) (table uint32, ok bool) { return oid &^ (1 << 31), oid>>31 == 1 }

// attrdefOID is the OID of a column's default. Nothing refers to it, so it need only be told apart from its neighbours.
func attrdefOID(table uint32, attnum int) uint32 {
	return 1<<30 | (table*maxColumns+uint32(attnum))&(1<<30-1)
}

// maxColumns is PostgreSQL's limit of columns in a table.
const maxColumns = 1600

// relation is a relation as pg_class shows it.
type relation struct {
	*planner.Relation
	kind byte // relkind
}

// relations returns the virtual relations and the world's.
func (c *catalog) relations() []relation {
	out := make([]relation, 0, len(shapes.all))
	for _, v := range shapes.all {
		out = append(out, relation{v.rel, v.relkind[0]})
	}
	return append(out, c.userRelations()...)
}

// userRelations returns the world's relations: only those have keys, defaults and comments.
func (c *catalog) userRelations() []relation {
	all := c.w.Relations()
	out := make([]relation, len(all))
	for i, r := range all {
		out[i] = relation{r, relkind(r)}
	}
	return out
}

// relkind tells what of PostgreSQL's a relation is most like. A stream is a view to clients: it has columns and rows, but no key and no updates.
func relkind(r *planner.Relation) byte {
	switch {
	case r.Kind == planner.Virtual:
		return shapes.byOID[r.OID].relkind[0]
	case r.Kind == planner.Sequence:
		return 'S'
	case r.Kind != planner.Table:
		return 'v'
	case r.Query != 0:
		return 'm'
	default:
		return 'r'
	}
}

func (c *catalog) relationByOID(o uint32) (relation, bool) {
	if v := shapes.byOID[o]; v != nil {
		return relation{v.rel, v.relkind[0]}, true
	}
	if r := c.w.RelationByOID(o); r != nil {
		return relation{r, relkind(r)}, true
	}
	return relation{}, false
}

func (c *catalog) relationByName(schema, name string) (relation, bool) {
	if v := shapes.byName[qname{schema, name}]; v != nil {
		return relation{v.rel, v.relkind[0]}, true
	}
	if r := c.w.RelationByName(schema, name); r != nil {
		return relation{r, relkind(r)}, true
	}
	return relation{}, false
}

// columns are the columns that a client can see, by ordinal.
func (r relation) columns() iter.Seq2[int, planner.Column] {
	return func(yield func(int, planner.Column) bool) {
		for i, c := range r.Columns {
			if !c.Hidden && !yield(i, c) {
				return
			}
		}
	}
}

// width is the number of the last column that a client can see.
func (r relation) width() int {
	n := 0
	for i := range r.columns() {
		n = i + 1
	}
	return n
}

// primaryKey returns the ordinals of the key that clients see as primary key, nil if there is none. A key with a hidden column (the
// start of a window) is none: what remains of it is not unique.
func (r relation) primaryKey() []int {
	if r.Kind != planner.Table {
		return nil
	}
	for _, k := range r.Key {
		if r.Columns[k].Hidden {
			return nil
		}
	}
	return r.Key
}

const (
	keySuffix     = "_pkey"
	maxIdentifier = 63 // bytes
)

// keyName is the name of the primary key and of its index.
func (r relation) keyName() string {
	name := r.Name
	if most := maxIdentifier - len(keySuffix); len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return name + keySuffix
}

// notNull reports whether the column at ordinal i never holds NULL.
func (r relation) notNull(i int) bool {
	return r.Columns[i].NotNull || slices.Contains(r.primaryKey(), i)
}

// schemaOID returns a schema's OID, 0 if there is none.
func (c *catalog) schemaOID(name string) uint32 {
	for _, s := range c.w.Schemas() {
		if s.Name == name {
			return s.OID
		}
	}
	return 0
}

// schemaOIDs returns the OIDs of all schemas by name, for tables that look up many.
func (c *catalog) schemaOIDs() map[string]uint32 {
	m := map[string]uint32{}
	for _, s := range c.w.Schemas() {
		m[s.Name] = s.OID
	}
	return m
}

// bootstrap is the name of the role that owns what is built in.
func (c *catalog) bootstrap() string {
	for _, s := range c.w.Schemas() {
		if s.Name == schemaPgCatalog {
			return s.Owner
		}
	}
	return ""
}

// roles are the world's roles. The first one, which owns what is built in, has PostgreSQL's OID for it.
func (c *catalog) roles() []Role {
	roles, first := slices.Clone(c.w.Roles()), c.bootstrap()
	for i := range roles {
		if roles[i].Name == first {
			was := roles[i].OID
			roles[i].OID = oidBootstrap
			for j := range roles {
				roles[j].MemberOf = slices.Clone(roles[j].MemberOf)
				for n, of := range roles[j].MemberOf {
					if of == was {
						roles[j].MemberOf[n] = oidBootstrap
					}
				}
			}
		}
	}
	return roles
}

// roleOIDs returns a function from a role's name to its OID; what has no owner is the first role's.
func (c *catalog) roleOIDs() func(name string) uint32 {
	m := map[string]uint32{"": oidBootstrap}
	for _, r := range c.roles() {
		m[r.Name] = r.OID
	}
	return func(name string) uint32 { return m[name] }
}

// roleByOID finds a role.
func (c *catalog) roleByOID(o uint32) (Role, bool) {
	for _, r := range c.roles() {
		if r.OID == o {
			return r, true
		}
	}
	return Role{}, false
}

func (c *catalog) roleByName(name string) (Role, bool) {
	for _, r := range c.roles() {
		if r.Name == name {
			return r, true
		}
	}
	return Role{}, false
}

func (c *catalog) path() []string { return LookupPath(c.s.SearchPath()) }

// LookupPath is a search path as names of relations are looked up in it: the temporary ones come first, then pg_catalog, unless the user named
// the schemas (PostgreSQL docs, search_path).
func LookupPath(path []string) []string {
	out := make([]string, 0, len(path)+2)
	for _, implied := range []string{schemaTemp, schemaPgCatalog} {
		if !slices.Contains(path, implied) {
			out = append(out, implied)
		}
	}
	return append(out, path...)
}

// visible reports whether the bare name finds the relation.
func (c *catalog) visible(r *planner.Relation) bool {
	for _, schema := range c.path() {
		if found, ok := c.relationByName(schema, r.Name); ok {
			return found.OID == r.OID
		}
	}
	return false
}

// typeCollation is the collation of values of a type: names compare by bytes, text by the database's collation.
func typeCollation(t types.Type) uint32 {
	if t.Kind == types.Array && t.Elem != nil {
		return typeCollation(*t.Elem)
	}
	switch t.Kind {
	case types.Text, types.Varchar:
		return oidDefault
	case types.Name:
		return oidC
	default:
		return 0
	}
}
