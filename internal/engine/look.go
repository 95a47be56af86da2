package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
)

// showQueries are SHOW's forms as queries over the schema millrace: what SHOW prints is also a table.
var showQueries = map[string]string{
	"TABLES":     "SELECT schema, name, topic, partitions, key_format, value_format, query, error_rows FROM millrace.relations WHERE kind = 'table'",
	"STREAMS":    "SELECT schema, name, topic, partitions, key_format, value_format, query FROM millrace.relations WHERE kind = 'stream'",
	"VIEWS":      "SELECT schema, name, owner FROM millrace.relations WHERE kind = 'view'",
	"QUERIES":    "SELECT id, sink, state, rows_in, rows_out, late_rows, error_rows, lag, nodes, error FROM millrace.queries",
	"TOPICS":     "SELECT name, partitions, owner, cleanup_policy FROM millrace.topics",
	"FUNCTIONS":  "SELECT name, arguments, result, kind FROM millrace.functions",
	"TYPES":      "SELECT name, oid, definition FROM millrace.types",
	"NODES":      "SELECT id, state, queries, votes, controller, rack, pg, kafka, peer, release, epoch FROM millrace.nodes",
	"MOVES":      `SELECT topic, partition, node, change, asked, records, "left" FROM millrace.moves`,
	"PARTITIONS": "SELECT topic, partition, leader, leader_epoch, log_start, high_watermark, last_stable, replicas, isr, state FROM millrace.partitions",
	"QUOTAS":     "SELECT user_name, client_id, name, value FROM millrace.quotas",
	"GROUPS":     "SELECT group_id, generation, members FROM millrace.groups",
	"SETTINGS":   settingsQuery,
	"PROPERTIES": settingsQuery, // ksqlDB's name
	"SCHEMAS":    "SELECT nspname AS name, pg_catalog.pg_get_userbyid(nspowner) AS owner FROM pg_catalog.pg_namespace",
	"ROLES":      "SELECT rolname AS name, rolsuper AS superuser, rolcanlogin AS login FROM pg_catalog.pg_roles",
}

const settingsQuery = "SELECT name, value, default_value, description FROM millrace.settings"

// describeQuery is DESCRIBE as a query; %d is the relation's OID.
const describeQuery = `SELECT name AS column, type, CASE WHEN key THEN 'KEY' || coalesce(', ' || window_bound, '') WHEN not_null THEN 'NOT NULL' ELSE '' END AS attributes
FROM millrace.columns WHERE relation_oid = %d AND NOT hidden ORDER BY position`

// describeExtended is DESCRIBE EXTENDED: after the columns what else there is to know of a relation, in the same form, as Hive and Spark have it. %[1]d is the OID, %[2]s and %[3]s are schema and
// name.
const describeExtended = `SELECT "column", type, attributes FROM (
SELECT 0 AS part, position AS n, name AS "column", type, CASE WHEN key THEN 'KEY' || coalesce(', ' || window_bound, '') WHEN not_null THEN 'NOT NULL' ELSE '' END AS attributes
FROM millrace.columns WHERE relation_oid = %[1]d AND NOT hidden
UNION ALL SELECT 1, p.n, p.name, p.value, '' FROM millrace.relations r LEFT JOIN millrace.topics t ON t.name = r.topic LEFT JOIN millrace.queries q ON q.id = r.query,
LATERAL (VALUES (0, '', ''), (1, '# ' || r.kind, r.schema || '.' || r.name), (2, 'owner', r.owner), (3, 'comment', r.comment), (4, 'topic', r.topic), (5, 'partitions', r.partitions::text),
(6, 'cleanup policy', t.cleanup_policy), (7, 'key format', r.key_format), (8, 'value format', r.value_format), (9, 'rowtime', r.rowtime), (10, 'idle timeout', r.idle_timeout),
(11, 'max future', r.max_future), (12, 'ttl', r.ttl), (13, 'history', r.history), (14, 'error rows', r.error_rows::text), (15, 'query', r.query), (16, 'query state', q.state),
(17, 'query rows in', q.rows_in::text), (18, 'query rows out', q.rows_out::text), (19, 'query late rows', q.late_rows::text), (20, 'query error rows', q.error_rows::text), (21, 'query lag', q.lag::text)
) p(n, name, value) WHERE r.schema = %[2]s AND r.name = %[3]s AND p.value IS NOT NULL) x ORDER BY part, n`

// analyzeLook plans SHOW, DESCRIBE and SHOW CREATE.
func (s *session) analyzeLook(ctx context.Context, p *planner.Planner, st *statement) error {
	text := ""
	verb := "SHOW"
	switch q := st.parsed.Statement.(type) {
	case *sql.ShowObjects:
		base, ok := showQueries[strings.ToUpper(q.What)]
		if !ok {
			err := sqlerr.New(sqlerr.FeatureNotSupported, "SHOW %s is not supported yet", q.What)
			if strings.EqualFold(q.What, "errors") {
				err = err.WithHint("SELECT * FROM millrace.errors lists the rows that took no part.")
			}
			return err
		}
		text = "SELECT * FROM (" + base + ") s"
		var conds []string
		if q.Like != "" {
			conds = append(conds, "s.name LIKE "+quoteLiteral(q.Like))
		}
		if q.From != nil {
			conds = append(conds, "s.schema = "+quoteLiteral(q.From.Object()))
		}
		if len(conds) > 0 {
			text += " WHERE " + strings.Join(conds, " AND ")
		}
		text += " ORDER BY 1, 2"
	case *sql.ShowCreate:
		st.cols, st.verb = textColumns("statement"), verb
		return nil
	case *sql.Describe:
		r, err := p.Catalog.Relation(ctx, q.Name.Schema(), q.Name.Object())
		if err != nil {
			return sqlerr.From(err).At(q.Name.Offset())
		}
		if q.Kind == sql.KindFunction {
			return sqlerr.New(sqlerr.FeatureNotSupported, "DESCRIBE FUNCTION is not supported yet").WithHint("SHOW FUNCTIONS LIKE '%s'.", q.Name.Object())
		}
		text, verb = fmt.Sprintf(describeQuery, r.OID), "DESCRIBE"
		if q.Extended {
			text = fmt.Sprintf(describeExtended, r.OID, quoteLiteral(r.Schema), quoteLiteral(r.Name))
		}
	}
	parsed, err := sql.ParseOne(text, sql.Options{})
	if err != nil {
		return err
	}
	own := *p
	own.Settings.KSQL = false // the query is not in the session's dialect
	if err := s.analyzeQuery(ctx, &own, st, parsed.Statement.(*sql.Query), nil); err != nil {
		return err
	}
	st.verb, st.counts, st.kind = verb, false, pgwire.PortalRows
	return nil
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// showObjects runs what analyzeLook planned.
func (s *session) showObjects(ctx context.Context, p *portal) (rows, error) {
	return s.openQuery(ctx, p)
}

// explain runs EXPLAIN: the plan of a statement, or with ANALYZE or a query's id what a running query does.
func (s *session) explain(ctx context.Context, p *portal, q *sql.Explain) (rows, error) {
	text, err := s.explainText(ctx, p, q)
	if err != nil {
		return nil, err
	}
	var lines [][]string
	for _, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, []string{l})
	}
	return textRows(textColumns("QUERY PLAN"), lines), nil
}

func (s *session) explainText(ctx context.Context, p *portal, q *sql.Explain) (string, error) {
	if q.QueryID != "" {
		o, err := s.findQuery(s.e.meta.Image(), q.QueryID)
		if err != nil {
			return "", err
		}
		return s.explainRunning(o)
	}
	opts, err := readExplain(q)
	if err != nil {
		return "", err
	}
	cat := s.catalog()
	cat.used = &accesses{}
	pl := s.planner(cat)
	switch st := q.Statement.(type) {
	case *sql.Query:
		began := s.e.clock.Now()
		plan, err := pl.PlanQuery(ctx, st, p.st.params)
		if err == nil {
			err = s.checkAccess(cat.used, (&statement{query: plan}).changes())
		}
		if err != nil {
			return "", err
		}
		if opts.analyze {
			return s.explainAnalyze(ctx, plan, nil, p.args, opts, began)
		}
		return planner.ExplainQuery(plan), nil
	case *sql.CreateRelation:
		if opts.analyze {
			return "", sqlerr.New(sqlerr.FeatureNotSupported, "EXPLAIN ANALYZE of CREATE is not supported").
				WithHint("Leave ANALYZE out, or create it and then EXPLAIN ANALYZE QUERY its name.").At(q.Offset())
		}
		if st.Query == nil {
			return "", sqlerr.New(sqlerr.FeatureNotSupported, "EXPLAIN needs a query; this CREATE has none")
		}
		plan, _, err := pl.PlanPersistent(ctx, planner.PersistentSpec{Create: st})
		if err == nil {
			err = s.checkAccess(cat.used, nil)
		}
		if err != nil {
			return "", err
		}
		return planner.ExplainPersistent(plan), nil
	case *sql.Insert, *sql.Update, *sql.Delete:
		inner := p.st.parsed
		inner.Statement = q.Statement
		began := s.e.clock.Now()
		target, err := s.analyze(ctx, p.st.text, inner, p.st.params)
		if err != nil {
			return "", err
		}
		if opts.analyze {
			return s.explainAnalyze(ctx, target.dml.Source, target.dml, p.args, opts, began)
		}
		return planner.ExplainDML(target.dml), nil
	default:
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "EXPLAIN of this statement is not supported").WithHint("Explain a SELECT, a CREATE ... AS, an INSERT, UPDATE or DELETE, or a query's id.")
	}
}
