package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// insertQuery runs INSERT INTO relation SELECT ... EMIT CHANGES: a persistent query into a relation that exists.
func (s *session) insertQuery(ctx context.Context, p *portal, q *sql.Insert) (string, error) {
	if err := s.checkDDL("INSERT ... EMIT CHANGES"); err != nil {
		return "", err
	}
	sink, err := s.catalog().Relation(ctx, q.Table.Schema(), q.Table.Object())
	if err != nil {
		return "", sqlerr.From(err).At(q.Table.Offset())
	}
	if sink.Temporary {
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "a continuous query cannot write temporary table %q", sink.Name).
			WithDetail("Only this session has it.").WithHint("INSERT INTO ... SELECT without EMIT, or use an ordinary table.").At(q.Table.Offset())
	}
	if slices.ContainsFunc(sink.Indexes, func(ix planner.Index) bool { return ix.Unique }) {
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "a continuous query cannot write %q, which has a unique index", sink.Name).
			WithDetail("Its rows replace those of the same primary key only.").WithHint("Leave UNIQUE out, or INSERT INTO ... SELECT without EMIT.").At(q.Table.Offset())
	}
	if sink.OID < uint32(metadata.FirstOID) && sink.OID != notifyOID {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: %q is a system relation", sink.Name)
	}
	first, err := s.e.newOIDs(ctx, 1)
	if err != nil {
		return "", err
	}
	def := queryDefinition{Statement: p.st.parsed.Text, Settings: s.definitionSettings(), Names: names{}}
	d := s.beginDDL()
	plan, err := s.e.bindInsert(ctx, d.img, q, def, def.Names, uint32(first))
	if err == nil {
		err = readsTemp(plan.Reads)
	}
	if err != nil {
		return "", err
	}
	if o, ok := d.img.Object(metadata.OID(sink.OID)); ok {
		if err := s.checkPrivilege(o, string(privInsert)); err != nil {
			return "", err
		}
	}
	reads := maps.Clone(def.Names)
	maps.DeleteFunc(reads, func(_ string, n named) bool { return n.OID == sink.OID && !readsRelation(plan, n.OID) })
	if err := s.checkNames(d.img, reads); err != nil {
		return "", err
	}
	if def.Start, err = s.e.latest(ctx, plan); err != nil {
		d.cancel()
		return "", err
	}
	query := storedQuery{
		oid: first, sink: metadata.OID(sink.OID), name: "insert_" + sink.Name, owner: s.userOID(), reads: def.Names.oids(metadata.OID(sink.OID)), def: def,
	}
	if err := addQuery(d.batch, plan, query); err != nil {
		d.cancel()
		return "", err
	}
	d.after = func(ctx context.Context) error { return s.awaitQuery(ctx, uint32(first)) }
	return fmt.Sprintf("CREATE QUERY insert_%s_%d", sink.Name, first), d.end(ctx)
}

// readsRelation tells whether a query reads a relation, which it may also write.
func readsRelation(plan *planner.Persistent, oid uint32) bool {
	return slices.ContainsFunc(plan.Reads, func(r *planner.Relation) bool { return r.OID == oid })
}

// latest are the ends of the streams that a new query reads from their end: every later start of it goes by them, so nothing that comes after
// the statement is left out.
func (e *Engine) latest(ctx context.Context, plan *planner.Persistent) (map[string][]int64, error) {
	var out map[string][]int64
	for _, r := range plan.LatestStreams() {
		if out == nil {
			out = map[string][]int64{}
		}
		out[r.Topic] = nil
		for _, tp := range topicPartitions(r) {
			o, err := e.log.Offsets(ctx, tp)
			if err != nil {
				return nil, err
			}
			out[r.Topic] = append(out[r.Topic], o.LastStable)
		}
	}
	return out, nil
}

// bindInsert plans a persistent INSERT as it was stored, or with record for the first time. oid makes the names of its topics its own.
func (e *Engine) bindInsert(ctx context.Context, img *metadata.Image, q *sql.Insert, def queryDefinition, record names, oid uint32) (*planner.Persistent, error) {
	stored := def.Names
	if record != nil {
		stored = nil
	}
	return e.storedPlanner(img, def.Settings, stored, record).PlanInsertPersistent(ctx, q, fmt.Sprintf("%s_%d", q.Table.Object(), oid))
}

// defaults computes the values of the columns that a COPY does not fill, by ordinal; those it does fill are left out.
func (s *session) defaults(ctx context.Context, rel *planner.Relation, targets []int) (map[int]types.Datum, error) {
	given := map[int]bool{}
	for _, ord := range targets {
		given[ord] = true
	}
	out := map[int]types.Datum{}
	for ord, col := range rel.Columns {
		if given[ord] {
			continue
		}
		if planner.IsVolatile(col.Default) {
			continue
		}
		out[ord] = types.NullDatum
		if col.Default == nil {
			continue
		}
		d, err := expr.Eval(col.Default, s.env(ctx, nil))
		if err != nil {
			return nil, err
		}
		out[ord] = d
	}
	return out, nil
}

// volatileDefaults are the columns that a COPY does not fill and whose default is another for each row.
func volatileDefaults(rel *planner.Relation, targets []int) []int {
	var out []int
	for ord, col := range rel.Columns {
		if !slices.Contains(targets, ord) && planner.IsVolatile(col.Default) {
			out = append(out, ord)
		}
	}
	return out
}

// truncate runs TRUNCATE: every row is deleted, so that the queries that read the table see it go.
func (s *session) truncate(ctx context.Context, q *sql.Truncate) (string, error) {
	for _, name := range q.Names {
		if err := s.truncateOne(ctx, name); err != nil {
			return "", err
		}
	}
	return "TRUNCATE TABLE", nil
}

func (s *session) truncateOne(ctx context.Context, name *sql.Name) error {
	if o, err := s.catalog().object(name); err != nil {
		return err
	} else if err := s.checkPrivilege(o, string(privTruncate)); err != nil {
		return err
	}
	dml, err := s.planner(s.catalog()).PlanDelete(ctx, &sql.Delete{Pos: name.Pos, Table: &sql.Table{Pos: name.Pos, Name: name}}, nil)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, &portal{s: s, st: &statement{dml: dml}})
	return err
}
