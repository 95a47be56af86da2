package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// relationCache holds bound relations and plans by object and version, so that a statement does not bind them again.
type relationCache struct {
	mu struct {
		sync.Mutex
		relations map[relationKey]cachedRelation
	}
}

// forget drops what is not in the catalog any more.
func (c *relationCache) forget(img *metadata.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.mu.relations {
		if _, ok := img.Object(k.oid); !ok {
			delete(c.mu.relations, k)
		}
	}
}

// relationKey names a relation as it was after so many of its alterations, -1 for all.
type relationKey struct {
	oid    metadata.OID
	alters int
}

// present stands for all of a relation's alterations.
const present = -1

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
	return e.boundAt(ctx, img, o, present)
}

// boundAt is bound for a relation as it was after the first alterations.
func (e *Engine) boundAt(ctx context.Context, img *metadata.Image, o *metadata.Object, alters int) (cachedRelation, error) {
	key := relationKey{o.OID, alters}
	e.cache.mu.Lock()
	c, ok := e.cache.mu.relations[key]
	e.cache.mu.Unlock()
	// A block's own objects are in no image that others see, and may never be.
	applied, known := e.meta.Image().Object(o.OID)
	shared := known && applied == o || isTemp(o.OID)
	if ok && shared && c.version == o.Version {
		return c, nil
	}
	c, err := e.bind(ctx, img, o, alters)
	if err != nil {
		return cachedRelation{}, fmt.Errorf("loading %s %q: %w", o.Kind, o.Name, err)
	}
	if !shared {
		return c, nil
	}
	e.cache.mu.Lock()
	e.cache.mu.relations[key] = c
	e.cache.mu.Unlock()
	return c, nil
}

// bind binds a relation as it was after the first alterations.
func (e *Engine) bind(ctx context.Context, img *metadata.Image, o *metadata.Object, alters int) (cachedRelation, error) {
	if o.Kind == kindSequence {
		return cachedRelation{version: o.Version, rel: sequenceRelation(o, e.userName(img, o.Owner))}, nil
	}
	def, err := relationDef(o)
	if err != nil {
		return cachedRelation{}, err
	}
	parsed, err := sql.ParseOne(def.Statement, newSettings(def.Settings).reading())
	if err != nil {
		return cachedRelation{}, err
	}
	create, ok := parsed.Statement.(*sql.CreateRelation)
	if !ok {
		return cachedRelation{}, sqlerr.New(sqlerr.DataCorrupted, "its definition is no CREATE statement")
	}
	home := def.Home
	if home == "" {
		home = o.Schema
	}
	bc, err := e.bindCreate(ctx, img, createSpec{create: create, schema: home, settings: def.Settings, text: def.Statement, queryName: def.QueryName, names: def.Names})
	if err != nil {
		return cachedRelation{}, err
	}
	rel := bc.rel
	if def.Topic != "" {
		rel.Topic = def.Topic
	}
	if err := setSequences(rel, def); err != nil {
		return cachedRelation{}, err
	}
	rel.Generation = def.Generation
	since := alters - len(def.Shapes) // alterations of what the last CREATE OR REPLACE made
	if alters < len(def.Shapes) {
		since = present
	}
	if rel, err = e.altered(ctx, img, rel, def, since); err != nil {
		return cachedRelation{}, err
	}
	if alters != present && alters < len(def.Shapes) {
		rel = shaped(rel, def.Shapes[alters])
	}
	setIndexes(img, rel, def)
	rel.OID, rel.Schema, rel.Name, rel.Comment = uint32(o.OID), o.Schema, o.Name, o.Comment
	for ord, text := range def.Comments {
		if ord < len(rel.Columns) {
			rel.Columns[ord].Comment = text
		}
	}
	rel.Query, rel.Definition, rel.Owner = def.Query, def.Statement, e.userName(img, o.Owner)
	if t, ok := img.Topic(rel.Topic); ok {
		rel.Partitions = int32(len(t.Partitions))
	}
	if bc.plan != nil {
		bc.plan.Sink.Rel = rel
	}
	return cachedRelation{version: o.Version, rel: rel, plan: bc.plan}, nil
}

// altered applies a relation's alterations, all or the first ones. Also as it was, a relation has the rows of today.
func (e *Engine) altered(ctx context.Context, img *metadata.Image, rel *planner.Relation, def definition, alters int) (*planner.Relation, error) {
	var was *planner.Relation
	for i, a := range def.Alters {
		if i == alters {
			was = rel
		}
		parsed, err := sql.ParseOne(a.Statement, sql.Options{})
		if err != nil {
			return nil, err
		}
		stmt, ok := parsed.Statement.(*sql.Alter)
		if !ok || len(stmt.Actions) != 1 {
			return nil, sqlerr.New(sqlerr.DataCorrupted, "its definition has an alteration that is none")
		}
		if rel, err = e.storedPlanner(img, a.Settings, def.Names, nil).Alter(ctx, rel, stmt.Actions[0]); err != nil {
			return nil, err
		}
		if a.Missing != nil {
			if err := setMissing(rel, *a.Missing); err != nil {
				return nil, err
			}
		}
		if err := setSequences(rel, def); err != nil {
			return nil, err
		}
	}
	if was == nil {
		return rel, nil
	}
	shape := *was
	shape.Generation, shape.Rules = rel.Generation, rel.Rules
	return &shape, nil
}

// setMissing gives the last column the value of rows that were there before it.
func setMissing(rel *planner.Relation, text string) error {
	c := &rel.Columns[len(rel.Columns)-1]
	d, err := types.ParseText(c.Type, text, nil)
	c.Missing = &d
	return err
}

// boundCreate is a CREATE statement bound under stored settings.
type boundCreate struct {
	rel   *planner.Relation
	plan  *planner.Persistent // nil without AS query, and for a view
	topic *planner.TopicSpec  // the relation's own topic; nil for a view
}

// createSpec is a CREATE statement to be bound: as it was stored, or with record set for the first time.
type createSpec struct {
	create   *sql.CreateRelation
	schema   string // the statement need not name it
	settings map[string]string
	text     string
	// queryName names internal topics; "" is the relation's name.
	queryName     string
	names, record names
}

// bindCreate binds a CREATE statement of a relation under stored settings.
func (e *Engine) bindCreate(ctx context.Context, img *metadata.Image, spec createSpec) (boundCreate, error) {
	q := *spec.create
	q.Name = &sql.Name{Pos: q.Name.Pos, Parts: []string{spec.schema, q.Name.Object()}}
	if spec.queryName == "" {
		spec.queryName = qualified(spec.schema, q.Name.Object())
	}
	return bindStatement(ctx, e.storedPlanner(img, spec.settings, spec.names, spec.record), &q, spec.queryName, spec.text)
}

func bindStatement(ctx context.Context, p *planner.Planner, q *sql.CreateRelation, queryName, text string) (boundCreate, error) {
	var b boundCreate
	var err error
	switch {
	case q.Kind == sql.KindView:
		if b.rel, err = p.BindView(ctx, q, text); err != nil {
			return b, err
		}
	case q.Query != nil:
		if b.plan, b.rel, err = p.PlanPersistent(ctx, planner.PersistentSpec{Create: q, QueryName: queryName}); err != nil {
			return b, err
		}
		b.topic = b.plan.SinkTopic
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

// storedPlanner is a planner under the settings that a definition keeps. Names mean what stored says; what else is looked up is noted in record,
// if that is not nil.
func (e *Engine) storedPlanner(img *metadata.Image, settings map[string]string, stored, record names) *planner.Planner {
	set := newSettings(settings)
	text := set.text(e.clock.Now())
	cat := &catalog{img: img, e: e, path: set.searchPath(), text: text, names: stored, record: record, ksql: set.ksql()}
	text.RegOID, text.RegName = cat.regOID, cat.regName
	return &planner.Planner{
		Catalog:   cat,
		Evaluator: folder{text: text},
		Settings:  planner.Settings{Text: text, IdleTimeout: set.duration("idle_timeout"), MaxFuture: set.duration("max_future"), Each: set.must("emit") == "each", KSQL: set.ksql(), Partitions: e.opts.DefaultPartitions, Replicas: metadata.DefaultReplicas},
	}
}

// storedNames is the session of a stored statement: it has nothing but a search path.
type storedNames struct {
	pgcatalog.Session
	path []string
}

// SearchPath implements pgcatalog.Session.
func (n storedNames) SearchPath() []string { return n.path }

// regOID resolves the name of an object in a stored statement, nextval('q') for one.
func (c *catalog) regOID(k types.Kind, name string) (uint32, error) {
	as := "regclass " + name
	if n, ok := c.names[as]; ok && k == types.Regclass {
		return n.OID, nil
	}
	oid, err := pgcatalog.RegOID(&world{e: c.e, img: c.img}, storedNames{path: c.path}, k, name)
	if err == nil && k == types.Regclass && c.record != nil {
		c.record[as] = named{OID: oid}
	}
	return oid, err
}

func (c *catalog) regName(k types.Kind, oid uint32) (string, bool) {
	return pgcatalog.RegName(&world{e: c.e, img: c.img}, storedNames{path: c.path}, k, oid)
}

// definitionSettings are the settings that a definition keeps.
var definitionSettings = []string{"search_path", "timezone", "datestyle", "intervalstyle", "dialect", "emit", "idle_timeout", "max_future", "num_standby_replicas"}

func (s *session) definitionSettings() map[string]string {
	out := map[string]string{}
	for _, k := range definitionSettings {
		out[k] = s.set.must(k)
	}
	return out
}
