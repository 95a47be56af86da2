package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// maxColumns of a result, as in PostgreSQL; the wire counts them in 16 bits.
const maxColumns = 1664

// analyze resolves names and types of a statement and says what it returns, without running any of it.
func (s *session) analyze(ctx context.Context, text string, parsed sql.Parsed, hints []types.Type) (*statement, error) {
	st := &statement{text: text, parsed: parsed, kind: pgwire.PortalCommand, path: s.namePath(), temp: s.temp.version}
	if parsed.Statement == nil {
		st.kind = pgwire.PortalEmpty
		return st, nil
	}
	if err := s.checkFailed(st); err != nil {
		return nil, err
	}
	st.image = s.imageIndex() // before the catalog is taken, so that a plan is at least as new as it says
	cat := s.catalog()
	cat.used = &accesses{}
	if err := s.analyzeStatement(ctx, cat, st, hints); err != nil {
		return nil, err
	}
	if err := s.checkAccess(cat.used, st.changes()); err != nil {
		return nil, err
	}
	if len(st.cols) > maxColumns {
		return nil, sqlerr.New(sqlerr.TooManyColumns, "a result can have at most %d columns, and this one has %d", maxColumns, len(st.cols))
	}
	st.wire = wireColumns(st.cols)
	if st.cols != nil && st.kind == pgwire.PortalCommand {
		st.kind = pgwire.PortalRows
	}
	if _, ok := parsed.Statement.(*sql.Prepare); ok {
		return st, nil // its parameters are those of the statement that it names
	}
	for i := len(st.params); i < parsed.Params; i++ {
		t := types.Of(types.Text)
		if i < len(hints) && hints[i].Kind != types.Unknown {
			t = hints[i]
		}
		st.params = append(st.params, t)
	}
	return st, nil
}

func (s *session) analyzeStatement(ctx context.Context, cat *catalog, st *statement, hints []types.Type) error {
	p := s.planner(cat)
	switch q := st.parsed.Statement.(type) {
	case *sql.Query:
		if body, ok := q.Body.(*sql.Select); ok && body.Into != nil {
			create, err := selectInto(q, body)
			if err != nil {
				return err
			}
			st.parsed.Statement = create
			return s.analyzeCreate(ctx, p, st, create, hints)
		}
		return s.analyzeQuery(ctx, p, st, q, hints)
	case *sql.Insert:
		if q.Query != nil && q.Query.Emit != nil {
			st.verb = "CREATE QUERY"
			return nil
		}
		dml, err := p.PlanInsert(ctx, q, hints)
		return analyzeDML(st, dml, s.nameWriter(cat, q.Table, err))
	case *sql.Update:
		dml, err := p.PlanUpdate(ctx, q, hints)
		return analyzeDML(st, dml, s.nameWriter(cat, q.Table.Name, err))
	case *sql.Delete:
		dml, err := p.PlanDelete(ctx, q, hints)
		return analyzeDML(st, dml, s.nameWriter(cat, q.Table.Name, err))
	case *sql.CreateRelation:
		return s.analyzeCreate(ctx, p, st, q, hints)
	case *sql.Copy:
		return s.analyzeCopy(ctx, p, st, q)
	case *sql.DeclareCursor:
		plan, err := p.PlanQuery(ctx, q.Query, hints)
		if err != nil {
			return err
		}
		if err := plan.RefuseChanges("DECLARE CURSOR"); err != nil {
			return err
		}
		st.params = plan.Params
	case *sql.Explain:
		st.cols, st.verb = textColumns("QUERY PLAN"), "EXPLAIN"
	case *sql.Show:
		return s.analyzeShow(st, q)
	case *sql.ShowObjects, *sql.Describe, *sql.ShowCreate:
		return s.analyzeLook(ctx, p, st)
	case *sql.Print:
		s.analyzePrint(st, q)
	case *sql.Fetch:
		s.analyzeFetch(st, q)
	case *sql.Execute:
		target, err := s.preparedStatement(ctx, q.Name)
		if err != nil {
			return err
		}
		st.cols, st.verb, st.counts = target.cols, target.verb, target.counts
	}
	return nil
}

// analyzeCreate finds the parameters of a CREATE TEMPORARY TABLE ... AS, which runs its query as any SELECT.
func (s *session) analyzeCreate(ctx context.Context, p *planner.Planner, st *statement, q *sql.CreateRelation, hints []types.Type) error {
	if q.Kind != sql.KindTable || q.Query == nil || st.parsed.Params == 0 {
		return nil
	}
	if temp, err := s.tempSchema(q.Temporary, q.Name); !temp || err != nil {
		return err
	}
	plan, err := p.PlanQuery(ctx, q.Query, hints)
	if err == nil {
		st.params = plan.Params
	}
	return err
}

// analyzeQuery plans a SELECT.
func (s *session) analyzeQuery(ctx context.Context, p *planner.Planner, st *statement, q *sql.Query, hints []types.Type) error {
	plan, err := p.PlanQuery(ctx, q, hints)
	if err != nil {
		return err
	}
	if plan.Unbounded {
		if err := readsTemp(plan.Reads); err != nil {
			return err
		}
	}
	st.query, st.params, st.verb, st.counts = plan, plan.Params, "SELECT", true
	st.point = newPointRead(plan)
	st.cols, st.kind = queryColumns(plan), pgwire.PortalRows
	if st.showOp = plan.Unbounded && plan.ShowOp; st.showOp {
		st.cols = append(textColumns("op"), st.cols...)
	}
	if plan.Unbounded && s.set.must("push_output") == "copy" {
		st.kind = pgwire.PortalCopyOut
	}
	return nil
}

// nameWriter names the query that writes a relation in a refusal to change it; the planner knows but its OID.
func (s *session) nameWriter(cat *catalog, name *sql.Name, err error) error {
	if sqlerr.CodeOf(err) != sqlerr.WrongObjectType {
		return err
	}
	o, unknown := cat.object(name)
	if unknown != nil {
		return err
	}
	q, ok := cat.img.Object(metadata.OID(writerOf(o)))
	if !ok {
		return err
	}
	return sqlerr.From(err).WithDetail("It is the result of query %q.", q.Name)
}

func analyzeDML(st *statement, dml *planner.DML, err error) error {
	if err != nil {
		return err
	}
	st.dml, st.params = dml, dml.Params
	for _, c := range dml.ReturningCols {
		st.cols = append(st.cols, column{name: c.Name, typ: c.Type, tableOID: c.TableOID, attNum: c.AttNum})
	}
	return nil
}

// planner returns a planner over an image with the session's settings.
func (s *session) planner(cat *catalog) *planner.Planner {
	return &planner.Planner{Catalog: cat, Settings: s.plannerSettings(), Evaluator: folder{text: s.text()}}
}

// ownPlanner is planner for statements that the engine itself writes: they are not in the session's dialect.
func (s *session) ownPlanner(cat *catalog) *planner.Planner {
	p := s.planner(cat)
	p.Settings.KSQL = false
	return p
}

func (s *session) plannerSettings() planner.Settings {
	return planner.Settings{
		Text: s.text(), Latest: s.set.must("auto_offset_reset") == "latest", ShowChanges: s.set.on("show_changes"), Each: s.set.must("emit") == "each", KSQL: s.set.ksql(),
		IdleTimeout: s.set.duration("idle_timeout"), MaxFuture: s.set.duration("max_future"), Partitions: s.e.opts.DefaultPartitions, Replicas: metadata.DefaultReplicas,
	}
}

// open runs a statement that returns rows.
func (s *session) open(ctx context.Context, p *portal) (rows, string, error) {
	if err := s.beginStatement(p.st); err != nil {
		return nil, "", err
	}
	switch q := p.st.parsed.Statement.(type) {
	case *sql.Query:
		r, err := s.openQuery(ctx, p)
		return r, "", err
	case *sql.Insert, *sql.Update, *sql.Delete:
		return s.runDML(ctx, p)
	case *sql.Explain:
		r, err := s.explain(ctx, p, q)
		return r, "EXPLAIN", err
	case *sql.Show:
		r, err := s.show(q)
		return r, "SHOW", err
	case *sql.ShowObjects:
		r, err := s.showObjects(ctx, p)
		return r, "SHOW", err
	case *sql.Describe:
		r, err := s.showObjects(ctx, p)
		return r, "DESCRIBE", err
	case *sql.ShowCreate:
		r, err := s.showCreate(ctx, q)
		return r, "SHOW", err
	case *sql.Print:
		r, err := s.print(ctx, p, q)
		return r, "", err
	case *sql.Fetch:
		r, err := s.fetchCursor(ctx, q)
		return r, "", err
	case *sql.Execute:
		return s.executeRows(ctx, p, q)
	default:
		panic(fmt.Sprintf("engine: %T returns no rows", q))
	}
}

// command runs a statement that returns no rows and gives its tag.
func (s *session) command(ctx context.Context, p *portal) (string, error) {
	if t, ok := p.st.parsed.Statement.(*sql.Transaction); ok {
		return s.transaction(ctx, t)
	}
	if err := s.beginStatement(p.st); err != nil {
		return "", err
	}
	switch q := p.st.parsed.Statement.(type) {
	case *sql.Insert:
		if q.Query != nil && q.Query.Emit != nil {
			return s.insertQuery(ctx, p, q)
		}
		return s.commandDML(ctx, p)
	case *sql.Update, *sql.Delete:
		return s.commandDML(ctx, p)
	case *sql.CreateRelation:
		return s.createRelation(ctx, p, q)
	case *sql.CreateSchema:
		return s.createSchema(ctx, q)
	case *sql.CreateRole:
		return s.createRole(ctx, q)
	case *sql.CreateIndex:
		return s.createIndex(ctx, q)
	case *sql.CreateType:
		return s.createType(ctx, q)
	case *sql.CreateSequence:
		return s.createSequence(ctx, q)
	case *sql.Alter:
		return s.alter(ctx, q)
	case *sql.Drop:
		return s.drop(ctx, q)
	case *sql.Grant:
		return s.grant(ctx, q)
	case *sql.Comment:
		return s.comment(ctx, q)
	case *sql.AlterSystem:
		return s.alterSystem(ctx, q)
	case *sql.AlterNode:
		return s.alterNode(ctx, q)
	case *sql.Truncate:
		return s.truncate(ctx, q)
	case *sql.QueryControl:
		return s.queryControl(ctx, q)
	case *sql.Set, *sql.Reset, *sql.SetTransaction, *sql.Discard:
		return s.setting(q)
	case *sql.Prepare:
		return s.prepare(ctx, p, q)
	case *sql.Deallocate:
		return s.deallocate(q)
	case *sql.Execute:
		return s.executeCommand(ctx, p, q)
	case *sql.DeclareCursor:
		return s.declare(ctx, p, q)
	case *sql.Fetch:
		return s.move(ctx, q)
	case *sql.CloseCursor:
		return s.closeCursor(q)
	case *sql.Listen, *sql.Unlisten:
		return s.listen(q)
	case *sql.Notify:
		return "NOTIFY", s.notify(q.Channel, q.Payload)
	case *sql.LockTable, *sql.Maintenance, *sql.SetConstraints, *sql.Refresh:
		return s.accepted(q)
	default:
		return "", unsupported(q)
	}
}

// unsupported names a statement that parses but does not run yet.
func unsupported(q sql.Statement) error {
	name := map[string]string{
		"*sql.CreateDatabase": "CREATE DATABASE",
	}[fmt.Sprintf("%T", q)]
	if name == "" {
		name = fmt.Sprintf("%T", q)[len("*sql."):]
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "%s is not supported yet", name)
}

// accepted answers statements that have nothing to do here, so that tools that send them go on.
func (s *session) accepted(q sql.Statement) (string, error) {
	switch q := q.(type) {
	case *sql.LockTable:
		return "LOCK TABLE", nil
	case *sql.Maintenance:
		tag, _, _ := strings.Cut(q.Command, " ")
		return tag, nil
	case *sql.SetConstraints:
		return "SET CONSTRAINTS", nil
	case *sql.Refresh:
		s.client.Notice(&sqlerr.Error{Severity: "NOTICE", Code: sqlerr.SuccessfulCompletion, Message: "materialized views are always up to date; REFRESH has nothing to do"})
		return "REFRESH MATERIALIZED VIEW", nil
	default:
		return "", unsupported(q)
	}
}
