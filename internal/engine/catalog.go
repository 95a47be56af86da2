package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

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
}

// queryDefinition is the payload of a persistent query.
type queryDefinition struct {
	Statement string            `json:"statement"`
	Settings  map[string]string `json:"settings"`
	Sink      uint32            `json:"sink"`
	State     string            `json:"state"` // running, paused, failed
	SQLState  string            `json:"sqlstate,omitempty"`
	Error     string            `json:"error,omitempty"`
	PlanVer   int               `json:"plan_version"`
}

// The states of a persistent query.
const (
	stateRunning = "running"
	statePaused  = "paused"
	stateFailed  = "failed"
)

// planVersion is written into stored plans.
const planVersion = 1

// catalog is one metadata image as the planner sees it, under one search path.
type catalog struct {
	img  *metadata.Image
	e    *Engine
	path []string
	text *types.Settings
	// views, if set, collects the views that names stood for: what is made over a view depends on it.
	views *[]*planner.Relation
}

var _ planner.Catalog = (*catalog)(nil)

// catalog returns the newest image under the session's search path.
func (s *session) catalog() *catalog {
	return &catalog{img: s.image(), e: s.e, path: s.set.searchPath(), text: s.text()}
}

// Relation implements planner.Catalog.
func (c *catalog) Relation(ctx context.Context, schema, name string) (*planner.Relation, error) {
	if r := c.e.system.byName(schema, name); r != nil {
		return r, nil
	}
	if schema != "" {
		if r := pgcatalog.Lookup(schema, name); r != nil {
			return r, nil
		}
		if o, ok := c.img.ObjectByName(spaceRelation, schema, name); ok {
			return c.found(ctx, o)
		}
		if !c.hasSchema(schema) {
			return nil, sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", schema)
		}
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", schema+"."+name)
	}
	if r := pgcatalog.Lookup("pg_catalog", name); r != nil {
		return r, nil
	}
	for _, schema := range c.path {
		if r := pgcatalog.Lookup(schema, name); r != nil {
			return r, nil
		}
		if o, ok := c.img.ObjectByName(spaceRelation, schema, name); ok {
			return c.found(ctx, o)
		}
	}
	if name == c.e.system.notify.Name {
		return c.e.system.notify, nil
	}
	return nil, c.unknown(name)
}

// found binds a relation and notes a view.
func (c *catalog) found(ctx context.Context, o *metadata.Object) (*planner.Relation, error) {
	r, err := c.e.relation(ctx, c.img, o)
	if err == nil && c.views != nil && r.Kind == planner.View {
		*c.views = append(*c.views, r)
	}
	return r, err
}

// unknown is 42P01 with the nearest name as hint.
func (c *catalog) unknown(name string) error {
	e := sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", name)
	best, bestDist := "", 3
	for _, schema := range c.path {
		for o := range c.img.ObjectsIn(spaceRelation, schema) {
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

// Type implements planner.Catalog.
func (c *catalog) Type(context.Context, string, string) (types.Type, bool) {
	return types.Type{}, false
}

func (c *catalog) hasSchema(name string) bool {
	if slices.Contains(builtinSchemas, name) {
		return true
	}
	_, ok := c.img.ObjectByName(spaceSchema, "", name)
	return ok
}

var builtinSchemas = []string{schemaPublic, "pg_catalog", "information_schema", "millrace"}

// creationSchema is where an unqualified new object goes.
func (c *catalog) creationSchema(schema string) (string, error) {
	if schema == "" {
		for _, p := range c.path {
			if c.hasSchema(p) {
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

// relationCache holds bound relations and plans by object and version, so that a statement does not bind them again.
type relationCache struct {
	mu struct {
		sync.Mutex
		relations map[metadata.OID]cachedRelation
	}
}

// forget drops what is not in the catalog any more.
func (c *relationCache) forget(img *metadata.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for oid := range c.mu.relations {
		if _, ok := img.Object(oid); !ok {
			delete(c.mu.relations, oid)
		}
	}
}

type cachedRelation struct {
	version uint64
	rel     *planner.Relation
	plan    *planner.Persistent // for the result of a persistent query
}

// relation returns the relation of a catalog object.
func (e *Engine) relation(ctx context.Context, img *metadata.Image, o *metadata.Object) (*planner.Relation, error) {
	c, err := e.bound(ctx, img, o)
	return c.rel, err
}

// bound binds a relation from its definition, or finds it bound already.
func (e *Engine) bound(ctx context.Context, img *metadata.Image, o *metadata.Object) (cachedRelation, error) {
	e.cache.mu.Lock()
	c, ok := e.cache.mu.relations[o.OID]
	e.cache.mu.Unlock()
	// A block's own objects are in no image that others see, and may never be.
	applied, known := e.meta.Image().Object(o.OID)
	shared := known && applied == o
	if ok && shared && c.version == o.Version {
		return c, nil
	}
	c, err := e.bind(ctx, img, o)
	if err != nil {
		return cachedRelation{}, fmt.Errorf("loading %s %q: %w", o.Kind, o.Name, err)
	}
	if !shared {
		return c, nil
	}
	e.cache.mu.Lock()
	e.cache.mu.relations[o.OID] = c
	e.cache.mu.Unlock()
	return c, nil
}

func (e *Engine) bind(ctx context.Context, img *metadata.Image, o *metadata.Object) (cachedRelation, error) {
	var def definition
	if err := json.Unmarshal(o.Payload, &def); err != nil {
		return cachedRelation{}, err
	}
	parsed, err := sql.ParseOne(def.Statement, sql.Options{})
	if err != nil {
		return cachedRelation{}, err
	}
	create, ok := parsed.Statement.(*sql.CreateRelation)
	if !ok {
		return cachedRelation{}, sqlerr.New(sqlerr.DataCorrupted, "its definition is no CREATE statement")
	}
	bc, err := e.bindCreate(ctx, img, create, o.Schema, def.Settings, def.Statement)
	if err != nil {
		return cachedRelation{}, err
	}
	rel := bc.rel
	rel.OID, rel.Schema, rel.Name, rel.Comment = uint32(o.OID), o.Schema, o.Name, o.Comment
	rel.Query, rel.Definition, rel.Owner = def.Query, def.Statement, e.userName(img, o.Owner)
	if t, ok := img.Topic(rel.Topic); ok {
		rel.Partitions = int32(len(t.Partitions))
	}
	return cachedRelation{version: o.Version, rel: rel, plan: bc.plan}, nil
}

// boundCreate is a CREATE statement bound under stored settings.
type boundCreate struct {
	rel   *planner.Relation
	plan  *planner.Persistent // nil without AS query, and for a view
	topic *planner.TopicSpec  // the relation's own topic; nil for a view
	reads []*planner.Relation
}

// bindCreate binds a CREATE statement of a relation in schema, which the statement need not name, under stored settings.
func (e *Engine) bindCreate(ctx context.Context, img *metadata.Image, q *sql.CreateRelation, schema string, stored map[string]string, text string) (boundCreate, error) {
	in := *q
	in.Name = &sql.Name{Pos: q.Name.Pos, Parts: []string{schema, q.Name.Object()}}
	q = &in
	p := e.storedPlanner(img, stored)
	var views []*planner.Relation
	if c, ok := p.Catalog.(*catalog); ok {
		c.views = &views
	}
	b, err := bindStatement(ctx, p, q, schema, text)
	b.reads = append(slices.Clone(b.reads), views...)
	return b, err
}

func bindStatement(ctx context.Context, p *planner.Planner, q *sql.CreateRelation, schema, text string) (boundCreate, error) {
	var b boundCreate
	var err error
	switch {
	case q.Kind == sql.KindView:
		if b.rel, err = p.BindView(ctx, q, text); err != nil {
			return b, err
		}
		query, err := p.PlanQuery(ctx, q.Query, nil)
		if err != nil {
			return b, err
		}
		b.reads = query.Reads
	case q.Query != nil:
		if b.plan, b.rel, err = p.PlanPersistent(ctx, planner.PersistentSpec{Create: q, QueryName: qualified(schema, q.Name.Object())}); err != nil {
			return b, err
		}
		b.topic, b.reads = b.plan.SinkTopic, b.plan.Reads
	default:
		var topics []planner.TopicSpec
		if b.rel, topics, err = p.BindDefinition(ctx, q); err != nil {
			return b, err
		}
		if len(topics) > 0 {
			b.topic = &topics[0]
		}
	}
	return b, nil
}

// storedPlanner is a planner under the settings that a definition keeps.
func (e *Engine) storedPlanner(img *metadata.Image, stored map[string]string) *planner.Planner {
	set := newSettings(stored)
	text := set.text(e.clock.Now())
	return &planner.Planner{
		Catalog:   &catalog{img: img, e: e, path: set.searchPath(), text: text},
		Evaluator: folder{text: text},
		Settings:  planner.Settings{Text: text, IdleTimeout: set.duration("idle_timeout"), Partitions: e.opts.DefaultPartitions, Replicas: metadata.DefaultReplicas},
	}
}

// definitionSettings are the settings that a definition keeps.
var definitionSettings = []string{"search_path", "timezone", "datestyle", "intervalstyle", "dialect", "emit", "idle_timeout", "max_future"}

func (s *session) definitionSettings() map[string]string {
	out := map[string]string{}
	for _, k := range definitionSettings {
		out[k] = s.set.must(k)
	}
	return out
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
