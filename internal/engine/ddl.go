package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// apply makes a batch of catalog changes durable: wholly or not at all.
func (e *Engine) apply(ctx context.Context, b *metadata.Batch) (metadata.Result, error) {
	r, err := e.meta.Apply(ctx, b)
	return r, ddlError(err)
}

// ddlError gives a refusal of the metadata its SQLSTATE. Where nothing was changed it is one after which the statement can be sent again.
func ddlError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, metadata.ErrVersionConflict), errors.Is(err, metadata.ErrNotFound), errors.Is(err, metadata.ErrStaleEpoch):
		return sqlerr.New(sqlerr.SerializationFailure, "the catalog was changed by another session meanwhile: %w", err).WithHint("Run the statement again.")
	case errors.Is(err, metadata.ErrExists):
		// A statement looks for its names first, so another session has just made it.
		return sqlerr.New(sqlerr.DuplicateTable, "%w", err)
	case errors.Is(err, metadata.ErrDependents):
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "%w", err)
	case errors.Is(err, metadata.ErrInvalid):
		return sqlerr.New(sqlerr.InvalidParameterValue, "%w", err)
	case errors.Is(err, metadata.ErrTooLarge):
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%w", err).WithHint("Make the statement shorter, or change less in one transaction.")
	case errors.Is(err, metadata.ErrFeatureLevel):
		return sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "%w", err).WithHint("All nodes must run a release that knows it: see SHOW NODES and SHOW feature_level.")
	case errors.Is(err, metadata.ErrUnknownOutcome):
		return sqlerr.New(sqlerr.StatementCompletionUnknown, "%w", err).WithHint("Look whether it is there before you send it again.")
	case errors.Is(err, metadata.ErrNoLeader):
		return sqlerr.New(sqlerr.CannotConnectNow, "the metadata quorum has no leader: fewer than half of its voters can be reached").WithDetail("Nothing was changed.").
			WithHint("Start or reconnect nodes until most of the voters are there, then send the statement again.")
	case errors.Is(err, metadata.ErrClosed):
		return sqlerr.New(sqlerr.AdminShutdown, "the node is stopping").WithDetail("Nothing was changed.").WithHint("Send the statement again, to another node.")
	default:
		return err
	}
}

// newOIDs takes n OIDs for objects that must name each other.
func (e *Engine) newOIDs(ctx context.Context, n uint32) (metadata.OID, error) {
	b := e.meta.NewBatch()
	ref := b.TakeOIDs(n)
	r, err := e.apply(ctx, b)
	if err != nil {
		return 0, err
	}
	return r.OID(ref), nil
}

func createTag(q *sql.CreateRelation) string { return "CREATE " + string(q.Kind) }

// createRelation runs CREATE STREAM, TABLE, MATERIALIZED VIEW and VIEW.
func (s *session) createRelation(ctx context.Context, p *portal, q *sql.CreateRelation) (string, error) {
	tag := createTag(q)
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	if q.Kind != sql.KindView && s.e.opts.DiskLow != nil && s.e.opts.DiskLow() {
		return "", errDiskFull
	}
	if temp, err := s.tempSchema(q.Temporary, q.Name); err != nil {
		return "", err
	} else if temp {
		return s.createTemporary(ctx, p, q)
	}
	cat := s.catalog()
	schema, err := s.creationSchema(cat, q.Name.Schema())
	if err != nil {
		return "", err
	}
	name := q.Name.Object()
	if old, ok := cat.img.ObjectByName(spaceRelation, schema, name); ok {
		switch {
		case q.IfNotExists:
			s.notice(sqlerr.DuplicateTable, "relation %q already exists, skipping", name)
			return tag, nil
		case q.OrReplace && q.Kind == sql.KindView && old.Kind == kindView:
			return tag, s.storeRelation(ctx, q, p.st.parsed.Text, schema, old)
		case q.OrReplace && q.Query != nil && q.Kind != sql.KindView:
			return tag, s.replaceQuery(ctx, q, p.st.parsed.Text, old)
		case q.OrReplace && q.Query == nil && q.Kind != sql.KindView:
			return tag, s.replaceSource(ctx, q, p.st.parsed.Text, old)
		case q.OrReplace:
			return "", sqlerr.New(sqlerr.WrongObjectType, "%q is not a %s", name, strings.ToLower(string(q.Kind))).WithDetail("It is %s.", article(kindWord(old.Kind))).
				WithHint("DROP it first, or choose another name.").At(q.Name.Offset())
		}
		return "", sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", name)
	}
	return tag, s.storeRelation(ctx, q, p.st.parsed.Text, schema, nil)
}

// storeRelation binds a definition and puts it into the catalog with its topics, as one entry. old is the view that is replaced, or nil.
func (s *session) storeRelation(ctx context.Context, q *sql.CreateRelation, text, schema string, old *metadata.Object) error {
	first, err := s.newOIDs(ctx, schema, 2)
	if err != nil {
		return err
	}
	d := s.beginDDL()
	o := metadata.Object{OID: first, Kind: objectKind(q), Space: spaceRelation, Schema: schema, Name: q.Name.Object(), Owner: s.userOID()}
	if old != nil {
		o.OID, o.Version, o.Owner, o.Comment, o.ACL = old.OID, old.Version, old.Owner, old.Comment, old.ACL
	}
	bc, def, err := s.define(ctx, d, q, text, schema, first+1)
	if err == nil && schema != schemaTemp && slices.ContainsFunc(def.Names.oids(0), isTemp[metadata.OID]) {
		d.cancel()
		return s.overTemp(ctx, q, bc, old)
	}
	if err == nil {
		err = s.checkNames(d.img, def.Names)
	}
	if err == nil && old != nil {
		err = s.checkReplaced(ctx, d.img, old, bc.rel)
	}
	if err == nil {
		o.DependsOn = def.Names.oids(o.OID)
		err = s.putRelation(ctx, d, bc, o, q, def)
	}
	if err != nil {
		d.cancel()
		return err
	}
	d.made = append(d.made, o.OID)
	if bc.plan != nil {
		d.after = func(ctx context.Context) error { return s.awaitQuery(ctx, uint32(first+1)) }
	}
	return d.end(ctx)
}

// define binds a new definition. Names of internal topics that another relation, renamed since, still has are told apart by the query's OID.
func (s *session) define(ctx context.Context, d *ddl, q *sql.CreateRelation, text, schema string, query metadata.OID) (boundCreate, definition, error) {
	def := definition{Statement: text, Settings: s.definitionSettings(), Home: schema, Names: names{}, OnCommit: q.OnCommit}
	spec := createSpec{create: q, schema: schema, settings: def.Settings, text: text, record: def.Names}
	bc, err := s.e.bindCreate(ctx, d.img, spec)
	if err != nil {
		return bc, def, err
	}
	if bc.plan == nil {
		return bc, def, nil
	}
	def.Query = uint32(query)
	for _, t := range bc.plan.Topics {
		if _, taken := d.img.Topic(t.Name); taken {
			def.QueryName = fmt.Sprintf("%s_%d", qualified(schema, q.Name.Object()), query)
			spec.queryName = def.QueryName
			bc, err = s.e.bindCreate(ctx, d.img, spec)
			break
		}
	}
	return bc, def, err
}

// oids are the objects that the names stand for, without the relation itself.
func (n names) oids(self metadata.OID) []metadata.OID {
	var out []metadata.OID
	for _, r := range n {
		oid := metadata.OID(r.OID)
		if oid >= metadata.FirstOID && oid != self && !slices.Contains(out, oid) {
			out = append(out, oid)
		}
	}
	slices.Sort(out)
	return out
}

// putRelation puts a relation, its topic, its sequences and its query into the batch.
func (s *session) putRelation(ctx context.Context, d *ddl, bc boundCreate, o metadata.Object, q *sql.CreateRelation, def definition) error {
	var err error
	if bc.topic != nil {
		if def.OwnsTopic, def.Partitions, err = addTopic(d, bc, o.OID, q); err != nil {
			return err
		}
		def.Topic, def.TopicGiven = bc.topic.Name, hasOption(q, "topic", "kafka_topic")
	}
	if bc.plan != nil {
		query := storedQuery{oid: metadata.OID(def.Query), sink: o.OID, name: "ctas_" + o.Name, owner: o.Owner, reads: o.DependsOn}
		start, err := s.e.latest(ctx, bc.plan)
		if err != nil {
			return err
		}
		query.def = queryDefinition{Start: start, Statement: def.Statement, Settings: def.Settings, Names: def.Names}
		if err := addQuery(d.batch, bc.plan, query); err != nil {
			return err
		}
	}
	if err := s.addSequences(ctx, d, bc.rel, q.Columns, 0, o, &def); err != nil {
		return err
	}
	if err := s.addUniques(ctx, d, bc.rel, o, &def); err != nil {
		return err
	}
	if o.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	d.batch.PutObject(o)
	return nil
}

func objectKind(q *sql.CreateRelation) string {
	switch q.Kind {
	case sql.KindStream:
		return kindStream
	case sql.KindView:
		return kindView
	case sql.KindMaterializedView:
		return kindMatview
	default:
		return kindTable
	}
}

// addTopic makes the relation's topic, or adopts the one that WITH (topic) names.
func addTopic(d *ddl, bc boundCreate, oid metadata.OID, q *sql.CreateRelation) (owns bool, partitions int32, err error) {
	spec := bc.topic
	owner := metadata.Owner{}
	if bc.rel.Ordinary || q.Query != nil {
		owner = metadata.Owner{Kind: metadata.OwnerSQL, OID: oid}
	}
	if err := metadata.CheckTopicName(spec.Name); err != nil {
		if !bc.rel.Ordinary {
			return false, 0, sqlerr.New(sqlerr.InvalidName, "%q cannot be the name of a topic", spec.Name).WithDetail("%s.", capitalize(err.Error())).
				WithHint("Name the topic with WITH (topic = ...).")
		}
		spec.Name = fmt.Sprintf("table_%d", oid) // nobody but Millrace writes it
	}
	if !hasOption(q, "topic", "kafka_topic") && renamedAway(d.img, spec.Name) {
		spec.Name = fmt.Sprintf("%s_%d", spec.Name, oid)
	}
	if t, ok := d.img.Topic(spec.Name); ok {
		if !hasOption(q, "topic", "kafka_topic") {
			return false, 0, sqlerr.New(sqlerr.DuplicateTable, "topic %q already exists", spec.Name).WithHint("To use it, write WITH (topic = '%s').", spec.Name)
		}
		if t.Owner.Kind == metadata.OwnerNone && q.Query != nil {
			return false, 0, sqlerr.New(sqlerr.ObjectInUse, "topic %q has records already", spec.Name).
				WithDetail("The topic of a query's result holds that result alone.").
				WithHint("Choose another name with WITH (topic = ...). CREATE STREAM over the topic, then DROP STREAM ... DELETE TOPIC, deletes it.")
		}
		if t.Owner.Kind != metadata.OwnerNone {
			return false, 0, sqlerr.New(sqlerr.ObjectInUse, "topic %q is written by another relation", spec.Name).WithHint("Choose another name with WITH (topic = ...).")
		}
		return false, int32(len(t.Partitions)), nil
	}
	d.batch.CreateTopic(metadata.TopicSpec{Name: spec.Name, Partitions: spec.Partitions, Replicas: int32(spec.Replicas), Owner: owner, Configs: spec.Configs})
	return true, spec.Partitions, nil
}

func hasOption(q *sql.CreateRelation, names ...string) bool {
	for _, o := range q.Options {
		for _, n := range names {
			if strings.EqualFold(o.Name, n) {
				return true
			}
		}
	}
	return false
}

// renamedAway tells whether a topic is that of a relation which was named after it once.
func renamedAway(img *metadata.Image, topic string) bool {
	for o := range img.Objects() {
		if !isRelation(o) || !bytes.Contains(o.Payload, []byte(topic)) { // its characters are those that JSON leaves as they are
			continue
		}
		if def, err := relationDef(o); err == nil && def.OwnsTopic && !def.TopicGiven && def.Topic == topic {
			return true
		}
	}
	return false
}

// storedQuery is a persistent query to be put into the catalog.
type storedQuery struct {
	oid, sink, owner metadata.OID
	name             string // without the number
	reads            []metadata.OID
	def              queryDefinition // but for what addQuery fills in
}

// addQuery puts a persistent query and its internal topics into a batch.
func addQuery(b *metadata.Batch, plan *planner.Persistent, q storedQuery) error {
	for _, t := range plan.Topics {
		b.CreateTopic(metadata.TopicSpec{
			Name: t.Name, Partitions: t.Partitions, Owner: metadata.Owner{Kind: metadata.OwnerSQL, OID: q.oid}, Configs: t.Configs,
		})
	}
	q.def.Sink, q.def.State, q.def.PlanVer = uint32(q.sink), stateRunning, planVersion
	payload, err := json.Marshal(q.def)
	if err != nil {
		return err
	}
	dependsOn := slices.Clone(q.reads)
	if q.sink >= metadata.FirstOID { // system streams are no objects of the catalog
		dependsOn = append(dependsOn, q.sink)
	}
	b.PutObject(metadata.Object{
		OID: q.oid, Kind: kindQuery, Space: spaceQuery, Name: fmt.Sprintf("%s_%d", q.name, q.oid), Owner: q.owner, Payload: payload,
		DependsOn: dependsOn,
	})
	return nil
}

func (s *session) userOID() metadata.OID {
	if u, ok := s.e.meta.Image().User(s.currentUser()); ok {
		return u.OID
	}
	return 0
}

func (s *session) notice(code sqlerr.Code, format string, args ...any) {
	e := sqlerr.New(code, format, args...)
	e.Severity = "NOTICE"
	s.client.Notice(e)
}

// createSchema runs CREATE SCHEMA.
func (s *session) createSchema(ctx context.Context, q *sql.CreateSchema) (string, error) {
	if err := s.checkDDL("CREATE SCHEMA"); err != nil {
		return "", err
	}
	if s.catalog().hasSchema(q.Name) {
		if q.IfNotExists {
			s.notice(sqlerr.DuplicateSchema, "schema %q already exists, skipping", q.Name)
			return "CREATE SCHEMA", nil
		}
		return "", sqlerr.New(sqlerr.DuplicateSchema, "schema %q already exists", q.Name)
	}
	if err := checkSchemaName(q.Name); err != nil {
		return "", err
	}
	d := s.beginDDL()
	owner := s.userOID()
	if u, err := s.me(d.img); err != nil {
		return "", err
	} else if !u.Superuser && !u.CreateDB {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied for database %s", database).
			WithHint("ALTER ROLE %s CREATEDB lets it make schemas.", u.Name)
	}
	if q.Owner != "" {
		var err error
		if owner, err = s.newOwner(d.img, q.Owner); err != nil {
			return "", err
		}
	}
	d.batch.PutObject(metadata.Object{Kind: kindSchema, Space: spaceSchema, Name: q.Name, Owner: owner})
	return "CREATE SCHEMA", d.end(ctx)
}

// object finds the catalog object of a relation's name.
func (c *catalog) object(name *sql.Name) (*metadata.Object, error) {
	o, err := c.anyObject(name)
	if err == nil && !isRelation(o) {
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%q is not a table, stream or view", o.Name).WithDetail("It is %s.", article(o.Kind)).At(name.Offset())
	}
	return o, err
}

func article(kind string) string {
	if strings.ContainsAny(kind[:1], "aeiou") {
		return "an " + kind
	}
	return "a " + kind
}

// anyObject finds what has a name among relations, sequences and indexes.
func (c *catalog) anyObject(name *sql.Name) (*metadata.Object, error) {
	path := pgcatalog.LookupPath(c.path)
	if schema := name.Schema(); schema != "" {
		path = []string{schema}
	}
	for _, schema := range path {
		if o, ok := c.img.ObjectByName(spaceRelation, schema, name.Object()); ok {
			return o, nil
		}
	}
	return nil, sqlerr.From(c.unknown(name.Object())).At(name.Offset())
}

func checkSchemaName(name string) error {
	if strings.HasPrefix(name, "pg_") {
		return sqlerr.New(sqlerr.ReservedName, "unacceptable schema name %q", name).WithDetail(`The prefix "pg_" is reserved for system schemas.`)
	}
	return nil
}
