package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// tempSchema says whether a new object is to be temporary: by the word, by its schema, or because search_path begins with pg_temp.
func (s *session) tempSchema(word bool, name *sql.Name) (bool, error) {
	switch schema := name.Schema(); {
	case schema == schemaTemp:
		return true, nil
	case schema != "" && word:
		return false, sqlerr.New(sqlerr.InvalidTableDefinition, "cannot create temporary relation in non-temporary schema").At(name.Offset())
	case schema != "":
		return false, nil
	}
	path := s.set.searchPath()
	return word || len(path) > 0 && path[0] == schemaTemp, nil
}

// createTemporary runs CREATE TEMPORARY TABLE and VIEW.
func (s *session) createTemporary(ctx context.Context, p *portal, q *sql.CreateRelation) (string, error) {
	tag := createTag(q)
	if q.Kind == sql.KindMaterializedView || q.Kind == sql.KindStream {
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "a %s cannot be temporary", kindWord(objectKind(q))).
			WithDetail("Its rows are a topic, which all sessions see.").WithHint("CREATE TEMPORARY TABLE ... AS holds what the query gives now.").At(q.Offset())
	}
	name := q.Name.Object()
	old, ok := s.image().ObjectByName(spaceRelation, schemaTemp, name)
	replace := ok && q.OrReplace && q.Kind == sql.KindView && old.Kind == kindView
	switch {
	case ok && q.IfNotExists:
		s.notice(sqlerr.DuplicateTable, "relation %q already exists, skipping", name)
		return tag, nil
	case ok && !replace:
		return "", sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", name)
	}
	if !replace {
		old = nil
	}
	q = temporaryCopy(q)
	if q.Kind == sql.KindTable && q.Query != nil {
		return s.createTempAs(ctx, p, q)
	}
	return tag, s.storeRelation(ctx, q, sql.String(q), schemaTemp, old)
}

// temporaryCopy is a statement that says that what it makes is temporary, and no schema.
func temporaryCopy(q *sql.CreateRelation) *sql.CreateRelation {
	c := *q
	c.Temporary, c.Name = true, &sql.Name{Pos: q.Name.Pos, Parts: []string{q.Name.Object()}}
	return &c
}

// createTempAs runs CREATE TEMPORARY TABLE ... AS: a table of the query's columns with the rows that it gives now.
func (s *session) createTempAs(ctx context.Context, p *portal, q *sql.CreateRelation) (string, error) {
	if q.Query.Emit != nil {
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "a temporary table cannot be the result of a query that goes on").
			WithDetail("EMIT makes the query endless.").WithHint("Leave EMIT out, or CREATE MATERIALIZED VIEW.").At(q.Query.Offset())
	}
	plan, err := s.planner(s.catalog()).PlanQuery(ctx, q.Query, p.st.params)
	if err != nil {
		return "", err
	}
	if err := plan.RefuseChanges("CREATE TABLE AS"); err != nil {
		return "", err
	}
	table := *q
	table.Query, table.NoData = nil, false
	if table.Columns, err = columnsOf(q, queryColumns(plan)); err != nil {
		return "", err
	}
	table.Aliases = nil
	if err := s.storeRelation(ctx, &table, sql.String(&table), schemaTemp, nil); err != nil || q.NoData {
		return createTag(q), err
	}
	ins := &sql.Insert{Pos: q.Pos, Table: &sql.Name{Pos: q.Name.Pos, Parts: []string{schemaTemp, q.Name.Object()}}, Query: q.Query}
	dml, err := s.planner(s.catalog()).PlanInsert(ctx, ins, p.st.params)
	if err != nil {
		return "", err
	}
	c, err := s.change(ctx, &portal{s: s, st: &statement{dml: dml}, args: p.args})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("SELECT %d", c.count), nil
}

// columnsOf are definitions of a query's columns, by the names that the statement gives them.
func columnsOf(q *sql.CreateRelation, cols []column) ([]*sql.ColumnDef, error) {
	if len(q.Aliases) > len(cols) {
		return nil, sqlerr.New(sqlerr.SyntaxError, "too many column names were specified").At(q.Offset())
	}
	if len(q.Columns) > 0 {
		return nil, sqlerr.New(sqlerr.SyntaxError, "CREATE TABLE ... AS takes column names without types").At(q.Columns[0].Offset())
	}
	out := make([]*sql.ColumnDef, len(cols))
	for i, c := range cols {
		name, t := c.name, c.typ
		if i < len(q.Aliases) {
			name = q.Aliases[i]
		}
		if t.Kind == types.Unknown {
			t = types.Of(types.Text)
		}
		parsed, err := sql.ParseOne(fmt.Sprintf("CREATE TABLE t (%s %s)", sql.QuoteIdent(name), t), sql.Options{})
		if err != nil {
			return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "column %q has pseudo-type %s", name, t)
		}
		out[i] = parsed.Statement.(*sql.CreateRelation).Columns[0]
	}
	return out, nil
}

// selectInto is SELECT ... INTO TEMPORARY as the CREATE TABLE AS that it stands for.
func selectInto(q *sql.Query, body *sql.Select) (*sql.CreateRelation, error) {
	if !body.IntoTemp && body.Into.Schema() != schemaTemp {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "SELECT INTO is not supported").WithHint("Write CREATE TABLE %s AS SELECT ...", body.Into.Object())
	}
	core, query := *body, *q
	core.Into, core.IntoTemp = nil, false
	query.Body = &core
	return &sql.CreateRelation{Pos: q.Pos, Kind: sql.KindTable, Temporary: true, Name: body.Into, Query: &query}, nil
}

// readsTemp refuses a query that goes on over rows that only this session has.
func readsTemp(reads []*planner.Relation) error {
	i := slices.IndexFunc(reads, func(r *planner.Relation) bool { return isTemp(r.OID) })
	if i < 0 {
		return nil
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "a continuous query cannot read temporary relation %q", reads[i].Name).
		WithDetail("Its changes are not in the log.").WithHint("Use an ordinary table.")
}

// newOIDs takes OIDs for objects of a schema that must name each other.
func (s *session) newOIDs(ctx context.Context, schema string, n uint32) (metadata.OID, error) {
	if schema != schemaTemp {
		return s.e.newOIDs(ctx, n)
	}
	first := s.e.temps.oid()
	for range n - 1 {
		s.e.temps.oid()
	}
	return first, nil
}

// overTemp finishes the definition of what reads temporary objects: a view becomes temporary too, all else is refused.
func (s *session) overTemp(ctx context.Context, q *sql.CreateRelation, bc boundCreate, old *metadata.Object) error {
	switch {
	case bc.plan != nil:
		if err := readsTemp(bc.plan.Reads); err != nil {
			return err
		}
	case q.Kind == sql.KindView && old == nil:
		if _, ok := s.image().ObjectByName(spaceRelation, schemaTemp, q.Name.Object()); ok {
			return sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", q.Name.Object()).At(q.Name.Offset())
		}
		s.notice(sqlerr.SuccessfulCompletion, "view %q will be a temporary view", q.Name.Object())
		q = temporaryCopy(q)
		return s.storeRelation(ctx, q, sql.String(q), schemaTemp, nil)
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "%q cannot use temporary objects: it would outlive them", q.Name.Object()).
		WithHint("CREATE TEMPORARY %s.", q.Kind).At(q.Offset())
}
