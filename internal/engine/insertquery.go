package engine

import (
	"context"
	"fmt"

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
	if sink.OID < uint32(metadata.FirstOID) && sink.OID != notifyOID {
		return "", sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: %q is a system relation", sink.Name)
	}
	first, err := s.e.newOIDs(ctx, 1)
	if err != nil {
		return "", err
	}
	stored := s.definitionSettings()
	d := s.beginDDL()
	plan, err := s.e.bindInsert(ctx, d.img, q, stored, uint32(first))
	if err != nil {
		return "", err
	}
	var reads []metadata.OID
	for _, r := range plan.Reads {
		if r.OID >= uint32(metadata.FirstOID) {
			reads = append(reads, metadata.OID(r.OID))
		}
	}
	if err := addQuery(d.batch, plan, first, metadata.OID(sink.OID), "insert_"+sink.Name, p.st.parsed.Text, stored, reads); err != nil {
		d.cancel()
		return "", err
	}
	d.after = func(ctx context.Context) error { return s.awaitQuery(ctx, uint32(first)) }
	return fmt.Sprintf("CREATE QUERY insert_%s_%d", sink.Name, first), d.end(ctx)
}

// bindInsert plans a persistent INSERT under stored settings. oid makes the names of its topics its own.
func (e *Engine) bindInsert(ctx context.Context, img *metadata.Image, q *sql.Insert, stored map[string]string, oid uint32) (*planner.Persistent, error) {
	return e.storedPlanner(img, stored).PlanInsertPersistent(ctx, q, fmt.Sprintf("%s_%d", q.Table.Object(), oid))
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
	dml, err := s.planner(s.catalog()).PlanDelete(ctx, &sql.Delete{Pos: name.Pos, Table: &sql.Table{Pos: name.Pos, Name: name}}, nil)
	if err != nil {
		return err
	}
	_, err = s.change(ctx, &portal{s: s, st: &statement{dml: dml}})
	return err
}
