package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// Name spaces and kinds of catalog objects.
const (
	spaceRelation = "relation"
	spaceQuery    = "query"
	spaceSchema   = "schema"

	kindStream  = "stream"
	kindTable   = "table"
	kindMatview = "matview"
	kindView    = "view"
	kindQuery   = "query"
	kindSchema  = "schema"

	kindSequence = "sequence"
	kindIndex    = "index"

	// spaceReplacement has results that are being made beside those whose place they will take.
	spaceReplacement = "replacement"

	spaceType = "type"
	kindType  = "type"

	schemaPublic = "public"
)

// definition is the payload of a relation: the statement that made it with the settings that give it meaning. The relation is bound from
// it again whenever a node loads the catalog.
type definition struct {
	Statement string            `json:"statement"`
	Settings  map[string]string `json:"settings"`
	// Query is the OID of the persistent query that writes it, 0 for none.
	Query uint32 `json:"query,omitempty"`
	// OwnsTopic: the statement made the topic, so DROP deletes it.
	OwnsTopic bool `json:"owns_topic,omitempty"`
	// Partitions are fixed when the relation is made.
	Partitions int32 `json:"partitions,omitempty"`
	// Topic is the relation's topic, and Home the schema that it was made in; neither follows a RENAME. QueryName names the internal topics of
	// its query where its own name was taken.
	Topic string `json:"topic,omitempty"`
	// TopicGiven: WITH (topic) named it.
	TopicGiven bool   `json:"topic_given,omitempty"`
	Home       string `json:"home,omitempty"`
	QueryName  string `json:"query_name,omitempty"`
	// Names are what the names in the statement stood for.
	Names names `json:"names,omitempty"`
	// Alters are the changes of columns and constraints since, in order.
	Alters []alteration `json:"alters,omitempty"`
	// Sequences are those of serial and identity columns, Comments those of columns, by ordinal.
	Sequences map[int]uint32 `json:"sequences,omitempty"`
	Comments  map[int]string `json:"comments,omitempty"`
	// Indexes are those beside the primary key; IndexRules counts how often they have changed.
	Indexes    []indexDefinition `json:"indexes,omitempty"`
	IndexRules uint32            `json:"index_rules,omitempty"`
	// Shapes are the names of the columns at each alteration before the last CREATE OR REPLACE, Generation counts the rows' shapes until then.
	Shapes     [][]string `json:"shapes,omitempty"`
	Generation uint32     `json:"generation,omitempty"`
	// Replaces is the relation that this one is to take the place of, Swapping that it has begun to.
	Replaces uint32 `json:"replaces,omitempty"`
	Swapping bool   `json:"swapping,omitempty"`
	// OnCommit is that of a temporary table.
	OnCommit sql.OnCommit `json:"on_commit,omitempty"`
}

// alteration is one action of an ALTER.
type alteration struct {
	Statement string            `json:"statement"`
	Settings  map[string]string `json:"settings"`
	// Missing is the text of what rows that were there got in the new column, nil for NULL.
	Missing *string `json:"missing,omitempty"`
}

// names are relations by the name that a statement has for them: schema, a dot, name. A stored statement means them for ever.
type names map[string]named

// named is a relation as it was after so many of its alterations: what was added or renamed since does not change the statement.
type named struct {
	OID    uint32 `json:"oid"`
	Alters int    `json:"alters,omitempty"`
}

// queryDefinition is the payload of a persistent query.
type queryDefinition struct {
	Statement string            `json:"statement"`
	Settings  map[string]string `json:"settings"`
	Sink      uint32            `json:"sink"`
	State     string            `json:"state"`
	SQLState  string            `json:"sqlstate,omitempty"`
	Error     string            `json:"error,omitempty"`
	PlanVer   int               `json:"plan_version"`
	Names     names             `json:"names,omitempty"`
	// Start is where auto_offset_reset = 'latest' has the query begin: offsets by topic and partition.
	Start map[string][]int64 `json:"start,omitempty"`
	// Revision counts the plans that it has had.
	Revision int `json:"revision,omitempty"`
}

// The states of a persistent query.
const (
	stateRunning = "running"
	statePaused  = "paused"
	stateFailed  = "failed"
	// stateReplacing: it or another is about to take over, and neither runs.
	stateReplacing = "replacing"
)

// planVersion is written into stored plans.
const planVersion = 1

// catalog is one metadata image as the planner sees it, under one search path.
type catalog struct {
	img  *metadata.Image
	e    *Engine
	path []string
	text *types.Settings
	// names, if set, are those of a stored statement; record, if set, collects them.
	names, record names
	// used, if set, collects the relations that a statement names; as is the role whose rights count for them, 0 for the session's.
	used *accesses
	as   metadata.OID
	// ksql: unquoted names came in upper case.
	ksql bool
}

var _ planner.Catalog = (*catalog)(nil)

// catalog returns the newest image under the session's search path.
func (s *session) catalog() *catalog {
	return &catalog{img: s.image(), e: s.e, path: s.set.searchPath(), text: s.text(), ksql: s.set.ksql()}
}

// Relation implements planner.Catalog. In the dialect ksql a name that is not there in upper case is looked for in lower case: system tables,
// and what was made in the other dialect.
func (c *catalog) Relation(ctx context.Context, schema, name string) (*planner.Relation, error) {
	lowerSchema, lower := strings.ToLower(schema), strings.ToLower(name)
	if !c.ksql || lower == name && lowerSchema == schema {
		return c.relationAs(ctx, schema, name)
	}
	_, asWritten := c.names[schema+"."+name]
	if _, stored := c.names[lowerSchema+"."+lower]; stored && !asWritten {
		return c.relationAs(ctx, lowerSchema, lower)
	}
	r, err := c.relationAs(ctx, schema, name)
	if sqlerr.CodeOf(err) == sqlerr.UndefinedTable {
		if found, lowerErr := c.relationAs(ctx, lowerSchema, lower); lowerErr == nil {
			return found, nil
		}
	}
	return r, err
}

// relationAs finds a relation by a name as it is.
func (c *catalog) relationAs(ctx context.Context, schema, name string) (*planner.Relation, error) {
	if n, ok := c.names[schema+"."+name]; ok {
		return c.namedRelation(ctx, n, name)
	}
	if r := c.e.system.byName(schema, name); r != nil {
		if c.used != nil && r.OID == errorsOID {
			c.used.errors = true
		}
		return r, nil
	}
	path := []string{schema}
	if schema == "" {
		path = pgcatalog.LookupPath(c.path)
	}
	for _, p := range path {
		if r := pgcatalog.Lookup(p, name); r != nil {
			return r, nil
		}
		if o, ok := relationObject(c.img, p, name); ok {
			return c.found(ctx, o, schema+"."+name)
		}
	}
	switch {
	case schema == "" && name == c.e.system.notify.Name:
		return c.e.system.notify, nil
	case schema == "":
		return nil, c.unknown(name)
	case !c.hasSchema(schema):
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", schema+"."+name).WithDetail("There is no schema %q.", schema)
	}
	return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", schema+"."+name)
}

// relationObject finds what has rows: a stream, table or view, or a sequence.
func relationObject(img *metadata.Image, schema, name string) (*metadata.Object, bool) {
	o, ok := img.ObjectByName(spaceRelation, schema, name)
	return o, ok && o.Kind != kindIndex
}

// isRelation tells streams, tables and views from what else is in the catalog.
func isRelation(o *metadata.Object) bool {
	return o.Space == spaceRelation && o.Kind != kindSequence && o.Kind != kindIndex
}

// found binds a relation and notes what the name stood for.
func (c *catalog) found(ctx context.Context, o *metadata.Object, as string) (*planner.Relation, error) {
	c.use(o)
	if c.record != nil {
		def, err := relationDef(o)
		if err != nil {
			return nil, err
		}
		c.record[as] = named{OID: uint32(o.OID), Alters: def.level()}
	}
	return c.e.relation(ctx, c.img, o)
}

// use notes that a statement names an object.
func (c *catalog) use(o *metadata.Object) {
	if c.used != nil {
		c.used.list = append(c.used.list, access{o, c.as})
	}
}

// namedRelation is what a name in a stored statement stood for when it was stored.
func (c *catalog) namedRelation(ctx context.Context, n named, name string) (*planner.Relation, error) {
	o, ok := c.img.Object(metadata.OID(n.OID))
	if !ok {
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q was dropped", name)
	}
	def, err := relationDef(o)
	if err != nil {
		return nil, err
	}
	c.use(o)
	if n.Alters == def.level() {
		n.Alters = present
	}
	b, err := c.e.boundAt(ctx, c.img, o, n.Alters)
	if err != nil || b.rel.Name == name {
		return b.rel, err
	}
	was := *b.rel
	was.Name = name
	return &was, nil
}

// Inside implements planner.Catalog.
func (c *catalog) Inside(view *planner.Relation) planner.Catalog {
	in := &catalog{img: c.img, e: c.e, path: c.path, text: c.text, used: c.used}
	o, ok := c.img.Object(metadata.OID(view.OID))
	if !ok {
		return in
	}
	in.as = ownerOf(o)
	if def, err := relationDef(o); err == nil {
		set := newSettings(def.Settings)
		in.names, in.path, in.ksql = def.Names, set.searchPath(), set.ksql()
	}
	return in
}

// unknown is 42P01 with the nearest name as hint.
func (c *catalog) unknown(name string) error {
	e := sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", name)
	best, bestDist := "", 3
	for _, schema := range c.path {
		for o := range c.img.ObjectsIn(spaceRelation, schema) {
			if !isRelation(o) {
				continue
			}
			if d := editDistance(name, o.Name, bestDist); d < bestDist {
				best, bestDist = o.Name, d
			}
		}
	}
	if best != "" {
		return e.WithHint("Perhaps you meant %q.", best)
	}
	return e
}

// editDistance is Levenshtein's, cut off at limit.
func editDistance(a, b string, limit int) int {
	if abs := len(a) - len(b); abs >= limit || -abs >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diag := row[0]
		row[0] = i + 1
		for j := range b {
			next := min(row[j]+1, row[j+1]+1)
			if a[i] == b[j] {
				next = min(next, diag)
			} else {
				next = min(next, diag+1)
			}
			diag, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

func (c *catalog) hasSchema(name string) bool {
	if slices.Contains(builtinSchemas, name) {
		return true
	}
	_, ok := c.img.ObjectByName(spaceSchema, "", name)
	return ok
}

var builtinSchemas = []string{schemaPublic, "pg_catalog", "information_schema", "millrace", schemaTemp}

// creationSchema is where an unqualified new object goes.
func (c *catalog) creationSchema(schema string) (string, error) {
	if schema == "" {
		for _, p := range c.path {
			if p != schemaTemp && c.hasSchema(p) {
				schema = p
				break
			}
		}
	}
	switch {
	case schema == "":
		return "", sqlerr.New(sqlerr.InvalidSchemaName, "no schema has been selected to create in").WithHint("SET search_path TO public.")
	case schema != schemaPublic && slices.Contains(builtinSchemas, schema):
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied to create in schema %q", schema).WithDetail("It is a system schema.")
	case !c.hasSchema(schema):
		return "", sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", schema)
	}
	return schema, nil
}

// userName returns a role's name by OID.
func (e *Engine) userName(img *metadata.Image, oid metadata.OID) string {
	if u, ok := img.UserByOID(oid); ok {
		return u.Name
	}
	return superuser
}

// queries returns the persistent queries of an image, by name.
func queries(img *metadata.Image) []*metadata.Object {
	out := slices.Collect(img.ObjectsIn(spaceQuery, ""))
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func queryDef(o *metadata.Object) (queryDefinition, error) {
	var d queryDefinition
	err := json.Unmarshal(o.Payload, &d)
	return d, err
}

// failure is why the query has failed, nil if it has not.
func (d *queryDefinition) failure() error {
	if d.State != stateFailed {
		return nil
	}
	return errors.New(d.Error)
}

// folder folds constants for the planner.
type folder struct{ text *types.Settings }

// Eval implements planner.Evaluator.
func (f folder) Eval(x planner.Expr) (types.Datum, error) {
	return expr.Eval(x, &expr.Env{Ctx: context.Background(), Text: f.text})
}

// qualified is a relation's name as users write it.
func qualified(schema, name string) string {
	if schema == schemaPublic || schema == "" {
		return name
	}
	return strings.Join([]string{schema, name}, ".")
}

func relationDef(o *metadata.Object) (definition, error) {
	var d definition
	err := json.Unmarshal(o.Payload, &d)
	return d, err
}
