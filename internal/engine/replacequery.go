package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// CREATE OR REPLACE of what a query writes. Where the new query can go on with the positions and the state of the old one, as of a stream it must, the
// definition alone changes. Else the new query runs beside the old one, into a topic of its own; when it has taken in what its sources held, both
// stop, the difference is written into the topic that there is, and the new query goes on in the place of the old one (swap.go). So those who
// read the relation, queries and Kafka consumers, see nothing but changes of rows.

// replacement is a CREATE OR REPLACE ... AS in progress.
type replacement struct {
	s      *session
	q      *sql.CreateRelation
	text   string
	old    *metadata.Object
	oldDef definition
	was    cachedRelation
	img    *metadata.Image
	def    definition
	next   boundCreate
}

func (s *session) replaceQuery(ctx context.Context, q *sql.CreateRelation, text string, old *metadata.Object) error {
	if s.tx.stages() {
		return sqlerr.New(sqlerr.ActiveSQLTransaction, "CREATE OR REPLACE ... AS cannot run inside a transaction block").At(q.Offset())
	}
	r := &replacement{s: s, q: q, text: text, old: old, img: s.e.meta.Image()}
	if err := r.check(ctx); err != nil {
		return err
	}
	stands := r.next.plan.GoesOn(r.was.plan, old.Kind != kindStream)
	switch {
	case stands == "":
		return r.inPlace(ctx)
	case old.Kind == kindStream:
		return sqlerr.New(sqlerr.FeatureNotSupported, "the new query of stream %q cannot go on where the old one stands", old.Name).
			WithDetail("Reason: %s; and what the stream holds already cannot be taken back.", stands).
			WithHint("What works: other columns and conditions over the same sources, groups and joins. For another query DROP the stream and CREATE it, or CREATE one of another name.")
	}
	return r.beside(ctx)
}

// check binds the new query under the names of the old one and refuses what its readers could not follow.
func (r *replacement) check(ctx context.Context) (err error) {
	s := r.s
	if r.oldDef, err = relationDef(r.old); err != nil {
		return err
	}
	if r.was, err = s.e.bound(ctx, r.img, r.old); err != nil {
		return err
	}
	if r.was.plan == nil || r.old.Kind != objectKind(r.q) {
		return sqlerr.New(sqlerr.WrongObjectType, "%q is not a %s that a query writes", r.old.Name, strings.ToLower(string(r.q.Kind))).
			WithHint("DROP it first, or choose another name.").At(r.q.Name.Offset())
	}
	name, err := r.oldDef.queryName()
	if err != nil {
		return err
	}
	r.def = definition{Statement: r.text, Settings: s.definitionSettings(), Home: r.old.Schema, Names: names{}, QueryName: name}
	if err := r.bind(ctx); err != nil {
		return err
	}
	if err := readsTemp(r.next.plan.Reads); err != nil {
		return err
	}
	if err := s.checkNames(r.img, r.def.Names); err != nil {
		return err
	}
	if err := s.checkReplaced(ctx, r.img, r.old, r.next.rel); err != nil {
		return err
	}
	if err := r.checkCircle(); err != nil {
		return err
	}
	return r.checkReaders()
}

// bind binds the statement under def's name for topics, into the relation's own topic.
func (r *replacement) bind(ctx context.Context) (err error) {
	spec := createSpec{create: r.q, schema: r.def.Home, settings: r.def.Settings, text: r.text, queryName: r.def.QueryName, record: r.def.Names}
	if r.next, err = r.s.e.bindCreate(ctx, r.img, spec); err != nil {
		return err
	}
	r.next.rel.Topic = r.was.rel.Topic
	r.next.plan.Sink.Rel = r.next.rel
	return nil
}

// queryName is the name of the internal topics of the relation's query.
func (d *definition) queryName() (string, error) {
	if d.QueryName != "" {
		return d.QueryName, nil
	}
	parsed, err := sql.ParseOne(d.Statement, newSettings(d.Settings).reading())
	if err != nil {
		return "", err
	}
	create, ok := parsed.Statement.(*sql.CreateRelation)
	if !ok {
		return "", sqlerr.New(sqlerr.DataCorrupted, "its definition is no CREATE statement")
	}
	return qualified(d.Home, create.Name.Object()), nil
}

// checkCircle refuses a query that reads what is made from its own result.
func (r *replacement) checkCircle() error {
	set := &dropSet{img: r.img, objects: map[metadata.OID]*metadata.Object{}}
	if err := set.gather(r.old); err != nil {
		return err
	}
	for _, oid := range r.def.Names.oids(0) {
		if o, ok := set.objects[oid]; ok {
			return sqlerr.New(sqlerr.InvalidObjectDefinition, "the new query of %q would read %q, which is made from it", r.old.Name, o.Name).
				WithHint("CREATE it under another name.")
		}
	}
	return nil
}

// checkReaders refuses what cannot change in the topic that the relation keeps, and for those who read it.
func (r *replacement) checkReaders() error {
	was, next := r.was.rel, r.next.rel
	refuse := func(what, before, after string) error {
		return sqlerr.New(sqlerr.FeatureNotSupported, "CREATE OR REPLACE cannot change %s of %q from %s to %s", what, r.old.Name, before, after).
			WithDetail("Reason: the topic %s keeps its records, and those who read them.", was.Topic).
			WithHint("What works: DROP it and CREATE it, or CREATE one of another name.")
	}
	if topic := r.next.topic.Name; hasOption(r.q, "topic", "kafka_topic") && topic != was.Topic {
		return refuse("the topic", was.Topic, topic)
	}
	if n := r.next.topic.Partitions; n != was.Partitions {
		e := sqlerr.From(refuse("the partitions", fmt.Sprint(was.Partitions), fmt.Sprint(n)))
		return e.WithHint("Say WITH (partitions = %d), or DROP it and CREATE it.", was.Partitions)
	}
	if b, a := valueText(was), valueText(next); b != a {
		return refuse("the value format", b, a)
	}
	columns := len(visibleColumns(next)) - len(visibleColumns(was))
	if columns > 0 && next.ValueFormat != "json" {
		return refuse("the columns", fmt.Sprint(len(was.Columns)), fmt.Sprint(len(next.Columns)))
	}
	for _, c := range was.Columns {
		if !c.Hidden && c.FieldName() != c.Name {
			return sqlerr.New(sqlerr.FeatureNotSupported, "column %q of %q was renamed, and its records say %q", c.Name, r.old.Name, c.FieldName()).
				WithHint("Rename it back, CREATE OR REPLACE with that name, and rename it again.")
		}
	}
	if k, n := keyText(was), keyText(next); k != n {
		if readers := r.readers(); len(readers) > 0 {
			return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot change the key of %q from %s to %s because other objects depend on it", r.old.Name, k, n).
				WithDetail("%s depends on it.", strings.Join(readers, ", ")).WithHint("DROP those first, or keep the key.")
		}
	}
	return nil
}

// valueText describes how a relation's values are written.
func valueText(r *planner.Relation) string {
	out := r.ValueFormat
	if r.ValueDelimiter != 0 {
		out += fmt.Sprintf(" with %q", r.ValueDelimiter)
	}
	if !r.WrapSingleValue {
		out += ", not wrapped"
	}
	return out
}

// keyText describes what tells the rows of a relation apart, and how it is written.
func keyText(r *planner.Relation) string {
	var cols []string
	for _, k := range r.Key {
		cols = append(cols, r.Columns[k].Name+" "+r.Columns[k].Type.String())
	}
	out := "(" + strings.Join(cols, ", ") + ") as " + r.KeyFormat
	if r.KeyDelimiter != 0 {
		out += fmt.Sprintf(" with %q", r.KeyDelimiter)
	}
	if r.Window != nil {
		out += fmt.Sprintf(", window of %d ms", r.Window.SizeMs)
	}
	return out
}

// readers names the persistent queries that read the relation.
func (r *replacement) readers() []string {
	set := &dropSet{img: r.img, objects: map[metadata.OID]*metadata.Object{}}
	if set.gather(r.old) != nil {
		return nil
	}
	var out []string
	for _, o := range set.order {
		if o.OID != metadata.OID(r.oldDef.Query) && o.Space == spaceQuery {
			out = append(out, "query "+o.Name)
		}
	}
	return out
}

// inPlace gives the query its new definition; its tasks start again from where they are.
func (r *replacement) inPlace(ctx context.Context) error {
	query, ok := r.img.Object(metadata.OID(r.oldDef.Query))
	if !ok {
		return sqlerr.New(sqlerr.UndefinedObject, "query %d was dropped meanwhile", r.oldDef.Query)
	}
	qd, err := queryDef(query)
	if err != nil {
		return err
	}
	relation, err := r.s.e.replaced(ctx, r.img, r.old, r.def)
	if err != nil {
		return err
	}
	qd.Statement, qd.Settings, qd.Names, qd.State, qd.SQLState, qd.Error = r.def.Statement, r.def.Settings, r.def.Names, stateRunning, "", ""
	qd.Revision++
	nextQuery := *query
	nextQuery.DependsOn = append(r.def.Names.oids(r.old.OID), r.old.OID)
	if nextQuery.Payload, err = json.Marshal(qd); err != nil {
		return err
	}
	b := r.s.e.meta.NewBatch()
	b.PutObject(relation)
	b.PutObject(nextQuery)
	if err := r.s.e.commitDDL(ctx, b, nil); err != nil {
		return err
	}
	return r.s.awaitQuery(ctx, uint32(query.OID))
}

// replaced is the object of a relation that goes over to a new definition.
func (e *Engine) replaced(ctx context.Context, img *metadata.Image, o *metadata.Object, def definition) (metadata.Object, error) {
	out := *o
	old, err := relationDef(o)
	if err != nil {
		return out, err
	}
	rel, err := e.relation(ctx, img, o)
	if err != nil {
		return out, err
	}
	if def.Shapes, err = e.shapes(ctx, img, o, old); err != nil {
		return out, err
	}
	if def.Query == 0 {
		def.Query = old.Query
	}
	def.Topic, def.OwnsTopic, def.TopicGiven, def.Partitions = rel.Topic, old.OwnsTopic, old.TopicGiven, old.Partitions
	def.Comments, def.Indexes, def.IndexRules = old.Comments, old.Indexes, old.IndexRules
	def.Replaces, def.Swapping = 0, false
	if def.Generation = rel.Generation; def.Query != old.Query { // the rows have other columns
		def.Generation++
	}
	out.DependsOn = def.Names.oids(o.OID)
	out.Payload, err = json.Marshal(def)
	return out, err
}

// shapes are the names of the relation's visible columns, before each of its alterations and after all: what was stored goes by them.
func (e *Engine) shapes(ctx context.Context, img *metadata.Image, o *metadata.Object, def definition) ([][]string, error) {
	out := slices.Clone(def.Shapes)
	for n := range len(def.Alters) + 1 {
		alters := present
		if n < len(def.Alters) {
			alters = len(def.Shapes) + n
		}
		b, err := e.boundAt(ctx, img, o, alters)
		if err != nil {
			return nil, err
		}
		var cols []string
		for _, c := range visibleColumns(b.rel) {
			cols = append(cols, c.Name)
		}
		out = append(out, cols)
	}
	if len(out) > maxAlterations {
		return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "%q was altered and replaced %d times", o.Name, maxAlterations).WithHint("DROP it and CREATE it.")
	}
	return out, nil
}

// level is how often the relation was altered and replaced.
func (d *definition) level() int { return len(d.Shapes) + len(d.Alters) }

// shaped is a relation as it was when its visible columns had these names; those that it has got since are hidden.
func shaped(rel *planner.Relation, shape []string) *planner.Relation {
	out := *rel
	out.Columns = slices.Clone(rel.Columns)
	n := 0
	for i := range out.Columns {
		c := &out.Columns[i]
		if c.Hidden {
			continue
		}
		c.Field = c.FieldName()
		if n < len(shape) {
			c.Name = shape[n]
		} else {
			c.Name, c.Hidden = fmt.Sprintf("........added.%d........", i+1), true
		}
		n++
	}
	return &out
}

// beside starts the new query beside the old one, waits until it has taken in what its sources hold, and lets it take over.
func (r *replacement) beside(ctx context.Context) error {
	s := r.s
	first, err := s.e.newOIDs(ctx, 2)
	if err != nil {
		return err
	}
	r.def.QueryName, r.def.Query, r.def.Replaces = fmt.Sprintf("%s_%d", qualified(r.old.Schema, r.old.Name), first+1), uint32(first+1), uint32(r.old.OID)
	if err := r.bind(ctx); err != nil {
		return err
	}
	topic := *r.next.topic
	topic.Name = fmt.Sprintf("_millrace_replacement_%d", first)
	r.def.Topic, r.def.OwnsTopic, r.def.Partitions = topic.Name, true, topic.Partitions
	start, err := s.e.latest(ctx, r.next.plan)
	if err != nil {
		return err
	}
	b := s.e.meta.NewBatch()
	b.CreateTopic(metadata.TopicSpec{
		Name: topic.Name, Partitions: topic.Partitions, Replicas: int32(topic.Replicas), Owner: metadata.Owner{Kind: metadata.OwnerSQL, OID: first}, Configs: topic.Configs,
	})
	o := metadata.Object{
		OID: first, Kind: r.old.Kind, Space: spaceReplacement, Schema: r.old.Schema, Name: fmt.Sprintf("%s_%d", r.old.Name, first), Owner: r.old.Owner,
		DependsOn: r.def.Names.oids(first),
	}
	if o.Payload, err = json.Marshal(r.def); err != nil {
		return err
	}
	b.PutObject(o)
	query := storedQuery{oid: first + 1, sink: first, name: "ctas_" + r.old.Name, owner: r.old.Owner, reads: o.DependsOn}
	query.def = queryDefinition{Start: start, Statement: r.def.Statement, Settings: r.def.Settings, Names: r.def.Names}
	if err := addQuery(b, r.next.plan, query); err != nil {
		return err
	}
	s.e.super.replacing.hold(first)
	err = s.e.commitDDL(ctx, b, nil)
	if err == nil {
		err = r.caughtUp(ctx, uint32(first+1))
	}
	if err != nil {
		s.e.super.giveUp(first)
		return cause(ctx, err)
	}
	done := s.e.super.replace(first)
	select {
	case err := <-done:
		if err == nil {
			s.e.awaitKnown(ctx, s.e.meta.Image().Index())
		}
		return err
	case <-ctx.Done():
		s.warn(sqlerr.Warning, "the new query takes over all the same; only the wait for it was cancelled")
		return cause(ctx, ctx.Err())
	}
}

// caughtUp waits until the new query has brought through what its sources held.
func (r *replacement) caughtUp(ctx context.Context, query uint32) error {
	w := &waiter{e: r.s.e, img: r.s.e.meta.Image(), done: map[uint32]positions{}}
	return w.query(ctx, query)
}
