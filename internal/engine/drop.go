package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// dropSet is what a DROP takes with it.
type dropSet struct {
	img     *metadata.Image
	objects map[metadata.OID]*metadata.Object
	order   []*metadata.Object
}

func (d *dropSet) add(o *metadata.Object) bool {
	if _, ok := d.objects[o.OID]; ok {
		return false
	}
	d.objects[o.OID] = o
	d.order = append(d.order, o)
	return true
}

// drop runs DROP of relations, schemas and roles.
func (s *session) drop(ctx context.Context, q *sql.Drop) (string, error) {
	tag := "DROP " + string(q.Kind)
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	switch q.Kind {
	case sql.KindStream, sql.KindTable, sql.KindView, sql.KindMaterializedView, sql.KindSequence:
		return tag, s.dropRelations(ctx, q)
	case sql.KindIndex:
		return tag, s.dropIndexes(ctx, q)
	case sql.KindType:
		return tag, s.dropTypes(ctx, q)
	case sql.KindSchema:
		return tag, s.dropSchema(ctx, q)
	case sql.KindRole:
		return tag, s.dropRole(ctx, q)
	default:
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "%s is not supported yet", tag)
	}
}

func (s *session) dropRelations(ctx context.Context, q *sql.Drop) error {
	cat := s.catalog()
	set := &dropSet{img: cat.img, objects: map[metadata.OID]*metadata.Object{}}
	for _, name := range q.Names {
		o, err := cat.anyObject(name)
		if err != nil {
			if q.IfExists {
				s.notice(sqlerr.SuccessfulCompletion, "%s %q does not exist, skipping", strings.ToLower(string(q.Kind)), name.Object())
				continue
			}
			return err
		}
		if err := checkKind("DROP", q.Kind, o); err != nil {
			return err
		}
		if err := s.checkOwner(o); err != nil {
			return err
		}
		if user := sequenceUser(cat.img, o); o.Kind == kindSequence && user != "" {
			return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop sequence %s because other objects depend on it", o.Name).
				WithDetail("%s depends on sequence %s", user, o.Name).WithHint("DROP the column, or its table.")
		}
		if err := set.gather(o); err != nil {
			return err
		}
	}
	if extra := set.others(cat, q); len(extra) > 0 && !q.Cascade {
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop %s because other objects depend on it", q.Names[0].Object()).
			WithDetail("%s", strings.Join(extra, "\n")).WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
	} else if len(extra) > 0 {
		s.notice(sqlerr.SuccessfulCompletion, "drop cascades to %s", strings.Join(extra, ", "))
	}
	return s.dropAll(ctx, set, q.DeleteTopic)
}

// checkKind refuses a statement whose word for an object is the wrong one.
func checkKind(verb string, k sql.ObjectKind, o *metadata.Object) error {
	want := map[sql.ObjectKind][]string{
		sql.KindStream: {kindStream}, sql.KindView: {kindView}, sql.KindSequence: {kindSequence}, sql.KindIndex: {kindIndex},
		sql.KindTable: {kindTable, kindMatview}, sql.KindMaterializedView: {kindTable, kindMatview},
	}[k]
	result := o.Kind == kindMatview || writerOf(o) != 0
	if slices.Contains(want, o.Kind) && (k != sql.KindMaterializedView || result) {
		return nil
	}
	return sqlerr.New(sqlerr.WrongObjectType, "%q is not a %s", o.Name, strings.ToLower(string(k))).WithHint("Use %s %s.", verb, strings.ToUpper(kindWord(o.Kind)))
}

func kindWord(kind string) string {
	if kind == kindMatview {
		return "materialized view"
	}
	return kind
}

// gather adds an object and all that depends on it: views and queries over a relation, and with a query the relation that its CREATE made.
func (d *dropSet) gather(o *metadata.Object) error {
	if !d.add(o) {
		return nil
	}
	if o.Space == spaceQuery {
		def, err := queryDef(o)
		if err != nil {
			return err
		}
		sink, ok := d.img.Object(metadata.OID(def.Sink))
		if ok && writerOf(sink) == uint32(o.OID) {
			if err := d.gather(sink); err != nil {
				return err
			}
		}
	}
	for _, oid := range d.img.Dependents(o.OID) {
		if dep, ok := d.img.Object(oid); ok {
			if err := d.gather(dep); err != nil {
				return err
			}
		}
	}
	return nil
}

// writerOf returns the OID of the query that a relation's CREATE ... AS made.
func writerOf(o *metadata.Object) uint32 {
	def, err := relationDef(o)
	if err != nil {
		return 0
	}
	return def.Query
}

// others names what is dropped beyond what the user named; a relation's own query goes without saying.
func (d *dropSet) others(cat *catalog, q *sql.Drop) []string {
	named := map[metadata.OID]bool{}
	for _, n := range q.Names {
		if o, err := cat.anyObject(n); err == nil {
			named[o.OID] = true
			named[metadata.OID(writerOf(o))] = true
		}
	}
	var out []string
	for _, o := range d.order {
		if named[o.OID] {
			continue
		}
		if o.Space == spaceQuery && d.writesDropped(o) || d.ownedByDropped(o) {
			continue
		}
		out = append(out, fmt.Sprintf("%s %s", kindWord(o.Kind), qualified(o.Schema, o.Name)))
	}
	return out
}

// writesDropped tells whether a query goes with the relation that it was made for.
func (d *dropSet) writesDropped(o *metadata.Object) bool {
	def, err := queryDef(o)
	if err != nil {
		return false
	}
	sink, ok := d.objects[metadata.OID(def.Sink)]
	return ok && writerOf(sink) == uint32(o.OID)
}

// ownedByDropped tells whether a sequence or an index goes with its table.
func (d *dropSet) ownedByDropped(o *metadata.Object) bool {
	if o.Kind == kindIndex {
		table, err := indexTable(o)
		return err == nil && d.objects[metadata.OID(table)] != nil
	}
	if o.Kind != kindSequence {
		return false
	}
	def, err := sequenceDef(o)
	if err != nil || def.Table == 0 {
		return false
	}
	_, ok := d.objects[metadata.OID(def.Table)]
	return ok
}

// dropAll removes objects, and the topics that came with them, in one entry. In the dialect ksql the topics of relations stay unless deleteTopic
// says so, and are anybody's.
func (s *session) dropAll(ctx context.Context, set *dropSet, deleteTopic bool) error {
	d := s.beginDDL()
	gone := map[metadata.UUID]bool{}
	remove := func(t *metadata.Topic) {
		if !gone[t.ID] {
			gone[t.ID] = true
			d.batch.DeleteTopic(t.ID)
		}
	}
	keep := s.set.ksql() && !deleteTopic
	for _, o := range set.order {
		if isRelation(o) && o.Kind != kindView {
			t, err := s.ownTopic(ctx, set.img, o, deleteTopic)
			if err != nil {
				d.cancel()
				return err
			}
			switch {
			case t == nil:
			case keep:
				gone[t.ID] = true
				if t.Owner.Kind == metadata.OwnerSQL {
					d.batch.SetTopicOwner(t.ID, t.Owner, metadata.Owner{})
				}
			default:
				remove(t)
			}
		}
		for t := range set.img.TopicsOwnedBy(o.OID) {
			remove(t)
		}
		d.batch.DeleteObject(o.OID, o.Version)
	}
	d.drops = set.order
	return d.end(ctx)
}

// ownTopic is the topic that came with a relation, with anyTopic also one that it found; nil if there is none.
func (s *session) ownTopic(ctx context.Context, img *metadata.Image, o *metadata.Object, anyTopic bool) (*metadata.Topic, error) {
	def, err := relationDef(o)
	if err != nil || !def.OwnsTopic && !anyTopic {
		return nil, err
	}
	rel, err := s.e.relation(ctx, img, o)
	if err != nil {
		return nil, err
	}
	t, ok := img.Topic(rel.Topic)
	if !ok {
		return nil, nil
	}
	return t, nil
}

func (s *session) dropSchema(ctx context.Context, q *sql.Drop) error {
	cat := s.catalog()
	set := &dropSet{img: cat.img, objects: map[metadata.OID]*metadata.Object{}}
	for _, name := range q.Names {
		o, ok := cat.img.ObjectByName(spaceSchema, "", name.Object())
		if !ok {
			if q.IfExists {
				s.notice(sqlerr.SuccessfulCompletion, "schema %q does not exist, skipping", name.Object())
				continue
			}
			return sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", name.Object())
		}
		if o.Name == schemaPublic {
			return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop schema %s: it is built in", o.Name)
		}
		if err := s.checkOwner(o); err != nil {
			return err
		}
		set.add(o)
		for r := range objectsOf(cat.img, name.Object()) {
			if !q.Cascade {
				return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop schema %s because other objects depend on it", name.Object()).
					WithDetail("%s %s.%s depends on it.", kindWord(r.Kind), name.Object(), r.Name).WithHint("Use DROP SCHEMA ... CASCADE to drop them too.")
			}
			if err := set.gather(r); err != nil {
				return err
			}
		}
	}
	return s.dropAll(ctx, set, q.DeleteTopic)
}

// objectsOf are the relations, sequences and types of a schema.
func objectsOf(img *metadata.Image, schema string) iter.Seq[*metadata.Object] {
	return func(yield func(*metadata.Object) bool) {
		for _, space := range []string{spaceRelation, spaceType} {
			for o := range img.ObjectsIn(space, schema) {
				if !yield(o) {
					return
				}
			}
		}
	}
}

// queryControl runs PAUSE, RESUME and TERMINATE.
func (s *session) queryControl(ctx context.Context, q *sql.QueryControl) (string, error) {
	if err := s.checkDDL(q.Action); err != nil {
		return "", err
	}
	d := s.beginDDL()
	img := d.img
	var targets []*metadata.Object
	if q.ID == "" {
		targets = queries(img)
	} else {
		o, err := s.findQuery(img, q.ID)
		if err != nil {
			return "", err
		}
		targets = []*metadata.Object{o}
	}
	for _, o := range targets {
		if err := s.checkOwner(o); err != nil {
			if q.ID == "" {
				continue // ALL are all of one's own
			}
			return "", err
		}
		if err := controlQuery(d.batch, img, o, q.Action); err != nil {
			d.cancel()
			return "", err
		}
	}
	d.after = s.awaitEverywhere
	return q.Action, d.end(ctx)
}

// findQuery finds a persistent query by its id, or by the name of the relation that it writes, which may name its schema.
func (s *session) findQuery(img *metadata.Image, id string) (*metadata.Object, error) {
	if o, ok := img.ObjectByName(spaceQuery, "", strings.ToLower(id)); ok {
		return o, nil
	}
	path, name := s.set.searchPath(), id
	if schema, rest, ok := strings.Cut(id, "."); ok {
		path, name = []string{schema}, rest
	}
	for _, schema := range path {
		r, ok := relationObject(img, schema, name)
		if !ok {
			continue
		}
		if o, ok := img.Object(metadata.OID(writerOf(r))); ok {
			return o, nil
		}
	}
	return nil, sqlerr.New(sqlerr.UndefinedObject, "query %q does not exist", id).WithHint("SHOW QUERIES lists them.")
}

func controlQuery(b *metadata.Batch, img *metadata.Image, o *metadata.Object, action string) error {
	def, err := queryDef(o)
	if err != nil {
		return err
	}
	if def.State == stateReplacing {
		return sqlerr.New(sqlerr.ObjectInUse, "query %q is being replaced", o.Name).WithHint("Try again in a moment.")
	}
	switch action {
	case "PAUSE":
		def.State = statePaused
	case "RESUME":
		def.State, def.SQLState, def.Error = stateRunning, "", ""
	default:
		return terminate(b, img, o, def)
	}
	next := *o
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	b.PutObject(next)
	return nil
}

// terminate removes a query; what it wrote stays as a relation that nothing writes any more.
func terminate(b *metadata.Batch, img *metadata.Image, o *metadata.Object, def queryDefinition) error {
	for t := range img.TopicsOwnedBy(o.OID) {
		b.DeleteTopic(t.ID)
	}
	b.DeleteObject(o.OID, o.Version)
	sink, ok := img.Object(metadata.OID(def.Sink))
	if !ok || writerOf(sink) != uint32(o.OID) {
		return nil
	}
	var rel definition
	if err := json.Unmarshal(sink.Payload, &rel); err != nil {
		return err
	}
	rel.Query = 0
	next := *sink
	var err error
	if next.Payload, err = json.Marshal(rel); err != nil {
		return err
	}
	b.PutObject(next)
	return nil
}
