package planner

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// testCatalog is a catalog filled by statements and by the dump of pg_catalog's columns.
type testCatalog struct {
	rels map[string]*Relation
	oid  uint32
}

func (c *testCatalog) Relation(_ context.Context, schema, name string) (*Relation, error) {
	path := []string{schema}
	if schema == "" {
		path = []string{"", "public", "pg_catalog"}
	}
	for _, s := range path {
		if r := c.rels[s+"."+name]; r != nil {
			return r, nil
		}
	}
	full := name
	if schema != "" {
		full = schema + "." + name
	}
	return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", full)
}

func (c *testCatalog) Type(context.Context, string, string) (types.Type, bool) {
	return types.Type{}, false
}

func (c *testCatalog) Inside(*Relation) Catalog { return c }

func (c *testCatalog) add(r *Relation) {
	c.oid++
	r.OID = c.oid
	if r.Schema == "" {
		r.Schema = "public"
	}
	c.rels[r.Schema+"."+r.Name] = r
}

// addVirtual reads one line "name(column type, ...)".
func (c *testCatalog) addVirtual(t testing.TB, schema, line string) {
	name, cols, ok := strings.Cut(strings.TrimSuffix(line, ")"), "(")
	require.True(t, ok, line)
	r := &Relation{Schema: schema, Name: name, Kind: Virtual, TimestampColumn: -1}
	for _, col := range strings.Split(cols, ", ") {
		n, typ, _ := strings.Cut(col, " ")
		ty, ok := types.Lookup(typ)
		require.True(t, ok, "%s: type %s", name, typ)
		r.Columns = append(r.Columns, Column{Name: n, Type: ty})
	}
	c.add(r)
}

// smallEvaluator folds what the tests fold: integer arithmetic and widening casts.
type smallEvaluator struct{}

func (smallEvaluator) Eval(e Expr) (types.Datum, error) {
	switch x := e.(type) {
	case *Cast:
		c := x.Arg.(*Const)
		if c.Val.Null {
			return types.NullDatum, nil
		}
		return types.ParseText(x.To, types.FormatText(c.Typ, c.Val, nil), nil)
	case *Call:
		if len(x.Args) == 2 && x.Typ.Kind.Category() == 'N' && x.Typ.Kind.Storage() == types.StoreInt {
			a, b := x.Args[0].(*Const).Val, x.Args[1].(*Const).Val
			switch x.Func.Name {
			case "+":
				return types.IntDatum(a.I + b.I), nil
			case "*":
				return types.IntDatum(a.I * b.I), nil
			case "/":
				if b.I != 0 {
					return types.IntDatum(a.I / b.I), nil
				}
			}
		}
	}
	return types.NullDatum, fmt.Errorf("not folded here")
}

type harness struct {
	t   *testing.T
	cat *testCatalog
	p   *Planner
}

func newHarness(t *testing.T) *harness {
	cat := &testCatalog{rels: map[string]*Relation{}, oid: 100}
	return &harness{t: t, cat: cat, p: &Planner{Catalog: cat, Evaluator: smallEvaluator{}}}
}

func (h *harness) run(d *datadriven.TestData) string {
	h.p.Settings = Settings{}
	if d.HasArg("latest") {
		h.p.Settings.Latest = true
	}
	if d.HasArg("show-changes") {
		h.p.Settings.ShowChanges = true
	}
	stmts, err := sql.Parse(d.Input, sql.Options{})
	if err != nil {
		return formatError(err)
	}
	var out strings.Builder
	for _, s := range stmts {
		text, err := h.statement(d.Cmd, s)
		if err != nil {
			text = formatError(err)
		}
		out.WriteString(text)
	}
	if out.Len() == 0 {
		return "ok\n"
	}
	return out.String()
}

func (h *harness) statement(cmd string, s sql.Parsed) (string, error) {
	ctx := context.Background()
	switch q := s.Statement.(type) {
	case *sql.Query:
		plan, err := h.p.PlanQuery(ctx, q, nil)
		if err != nil {
			return "", err
		}
		if cmd == "types" {
			return describeTypes(plan), nil
		}
		return ExplainQuery(plan), nil
	case *sql.Insert:
		if q.Query != nil && q.Query.Emit != nil {
			plan, err := h.p.PlanInsertPersistent(ctx, q, "insert_1")
			if err != nil {
				return "", err
			}
			return ExplainPersistent(plan), nil
		}
		return explained(h.p.PlanInsert(ctx, q, nil))
	case *sql.Update:
		return explained(h.p.PlanUpdate(ctx, q, nil))
	case *sql.Delete:
		return explained(h.p.PlanDelete(ctx, q, nil))
	case *sql.CreateRelation:
		return h.create(cmd, q, s.Text)
	}
	return "", fmt.Errorf("no test for %T", s.Statement)
}

func explained(d *DML, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return ExplainDML(d), nil
}

func (h *harness) create(cmd string, q *sql.CreateRelation, text string) (string, error) {
	ctx := context.Background()
	switch {
	case q.Kind == sql.KindView:
		rel, err := h.p.BindView(ctx, q, text)
		if err == nil {
			h.cat.add(rel)
		}
		return "", err
	case q.Query != nil:
		plan, rel, err := h.p.PlanPersistent(ctx, PersistentSpec{Create: q})
		if err != nil {
			return "", err
		}
		if cmd == "ddl" {
			rel.Query = 900
			h.cat.add(rel)
			return "", nil
		}
		return ExplainPersistent(plan) + DescribeRelation(rel), nil
	}
	rel, topics, err := h.p.BindDefinition(ctx, q)
	if err != nil {
		return "", err
	}
	h.cat.add(rel)
	if cmd == "ddl" {
		return "", nil
	}
	return DescribeRelation(rel) + fmt.Sprintf("  topic %s: %d partitions, %d replicas, %v\n", topics[0].Name, topics[0].Partitions, topics[0].Replicas, topics[0].Configs), nil
}

func describeTypes(q *Query) string {
	var b strings.Builder
	for _, c := range q.Columns {
		col := q.Root.Props().Cols[c]
		fmt.Fprintf(&b, "%s %s\n", col.Name, col.Type)
	}
	for i, p := range q.Params {
		fmt.Fprintf(&b, "$%d %s\n", i+1, p)
	}
	return b.String()
}

func formatError(err error) string {
	e := sqlerr.From(err)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Code, e.Message)
	if e.Position > 0 {
		fmt.Fprintf(&b, " @%d", e.Position)
	}
	b.WriteByte('\n')
	if e.Detail != "" {
		b.WriteString("  DETAIL: " + e.Detail + "\n")
	}
	if e.Hint != "" {
		b.WriteString("  HINT: " + e.Hint + "\n")
	}
	return b.String()
}

func TestPlans(t *testing.T) {
	datadriven.Walk(t, "testdata/plans", func(t *testing.T, path string) {
		h := newHarness(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return h.run(d) })
	})
}

// pgCatalog adds the relations of pg_catalog and the schema that the captured queries were run against.
func pgCatalog(t *testing.T) *harness {
	h := newHarness(t)
	text, err := os.ReadFile("testdata/pg_catalog")
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		h.cat.addVirtual(t, "pg_catalog", line)
	}
	for _, ddl := range []string{
		`CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL, vip boolean DEFAULT false, created timestamptz DEFAULT now())`,
		`CREATE TABLE orders (id bigint PRIMARY KEY, user_id integer, amount numeric(12,2), ratio double precision, ok boolean, at timestamptz,
			ts timestamp, d date, j jsonb, b bytea, u uuid, tags text[], m text, note text, iv interval, f4 real, i2 smallint, js json, t time)`,
		`CREATE VIEW big_orders AS SELECT * FROM orders WHERE amount > 100`,
		`CREATE MATERIALIZED VIEW per_user AS SELECT user_id, count(*) AS n, sum(amount) AS s FROM orders GROUP BY user_id`,
	} {
		one, err := sql.ParseOne(ddl, sql.Options{})
		require.NoError(t, err)
		_, err = h.create("ddl", one.Statement.(*sql.CreateRelation), ddl)
		require.NoError(t, err, ddl)
	}
	return h
}
