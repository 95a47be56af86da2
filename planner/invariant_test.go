package planner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clients/sent"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// checkPlan verifies what the executor relies on: every reference names a column that is there and has its type, every placeholder of the
// binder is gone, every node describes as many columns as it gives.
func checkPlan(n Node, outer [][]Col) error {
	var failed error
	fail := func(format string, args ...any) {
		if failed == nil {
			failed = fmt.Errorf("%s: %s", nodeName(n), fmt.Sprintf(format, args...))
		}
	}
	for i, in := range n.Inputs() {
		rows := outer
		if j, ok := n.(*Join); ok && j.Lateral && i == 1 {
			rows = append([][]Col{j.L.Props().Cols}, outer...)
		}
		if err := checkPlan(in, rows); err != nil {
			return err
		}
	}
	check := func(e Expr, row []Col) {
		VisitExpr(e, func(x Expr) {
			switch x := x.(type) {
			case *ColumnRef:
				if x.Ord < 0 || x.Ord >= len(row) {
					fail("column #%d of %d", x.Ord, len(row))
				} else if !row[x.Ord].Type.Equal(x.Typ) {
					fail("column #%d %s is %s, not %s", x.Ord, x.Name, row[x.Ord].Type, x.Typ)
				}
			case *OuterRef:
				if x.Level < 1 || x.Level > len(outer) || x.Ord >= len(outer[x.Level-1]) {
					fail("outer reference %d.%d", x.Level, x.Ord)
				} else if !outer[x.Level-1][x.Ord].Type.Equal(x.Typ) {
					fail("outer reference %s is %s, not %s", x.Name, outer[x.Level-1][x.Ord].Type, x.Typ)
				}
			case *Subquery:
				if err := checkPlan(x.Plan, append([][]Col{row}, outer...)); err != nil {
					fail("%v", err)
				}
			case *Call:
				if want, ok := spread(x.Func, len(x.Args)); !ok || len(want) != len(x.Args) {
					fail("%s with %d arguments", x.Func.ID(), len(x.Args))
				}
			case *aggRef, *windowRef, *windowBound:
				fail("placeholder %T", x)
			case nil:
				fail("nil expression")
			}
			if x != nil && (x.Type().Kind == types.Unknown || x.Type().Kind >= types.Any) {
				fail("%s has type %s", FormatExpr(x), x.Type())
			}
		})
	}
	rowOf := func() []Col {
		if len(n.Inputs()) == 1 {
			return n.Inputs()[0].Props().Cols
		}
		return n.Props().Cols
	}
	width := -1
	switch x := n.(type) {
	case *Scan:
		width = len(x.Cols)
	case *Project:
		width = len(x.Exprs)
	case *Filter, *Sort, *Limit, *Distinct, *Normalize, *Materialize:
		width = len(rowOf())
	case *Values:
		for _, r := range x.Rows {
			width = len(r)
		}
		if len(x.Rows) == 0 {
			width = len(x.P.Cols)
		}
	case *Join:
		width = len(x.L.Props().Cols)
		switch {
		case x.Mark:
			width++
		case x.Kind != SemiJoin && x.Kind != AntiJoin:
			width += len(x.R.Props().Cols)
		}
		both := append(append([]Col(nil), x.L.Props().Cols...), x.R.Props().Cols...)
		for i := range x.LKeys {
			check(x.LKeys[i], x.L.Props().Cols)
			check(x.RKeys[i], x.R.Props().Cols)
			if !x.LKeys[i].Type().Equal(x.RKeys[i].Type()) {
				fail("key %d: %s with %s", i, x.LKeys[i].Type(), x.RKeys[i].Type())
			}
		}
		if x.Cond != nil {
			check(x.Cond, both)
		}
	}
	if width >= 0 && width != len(n.Props().Cols) {
		fail("%d columns described as %d", width, len(n.Props().Cols))
	}
	for _, ord := range append(append([]int(nil), n.Props().ChangeKey...), n.Props().PartitionKey...) {
		if ord < 0 || ord >= len(n.Props().Cols) {
			fail("key column #%d", ord)
		}
	}
	if _, ok := n.(*Join); !ok {
		mapOwnExprs(n, func(e Expr) Expr { check(e, rowOf()); return e })
	}
	return failed
}

// planAnything plans a statement of any kind, and checks the plan if there is one.
func planAnything(h *harness, stmt sql.Statement, text string) error {
	ctx := context.Background()
	switch q := stmt.(type) {
	case *sql.Query:
		plan, err := h.p.PlanQuery(ctx, q, nil)
		if err == nil {
			ExplainQuery(plan)
			return checkPlan(plan.Root, nil)
		}
	case *sql.Insert:
		if q.Query != nil && q.Query.Emit != nil {
			if plan, err := h.p.PlanInsertPersistent(ctx, q, "q"); err == nil {
				return checkFragments(plan)
			}
			return nil
		}
		d, err := h.p.PlanInsert(ctx, q, nil)
		return checkDML(d, err)
	case *sql.Update:
		d, err := h.p.PlanUpdate(ctx, q, nil)
		return checkDML(d, err)
	case *sql.Delete:
		d, err := h.p.PlanDelete(ctx, q, nil)
		return checkDML(d, err)
	case *sql.CreateRelation:
		switch {
		case q.Kind == sql.KindView:
			_, _ = h.p.BindView(ctx, q, text)
		case q.Query != nil:
			if plan, _, err := h.p.PlanPersistent(ctx, PersistentSpec{Create: q}); err == nil {
				return checkFragments(plan)
			}
		case q.Kind == sql.KindStream || q.Kind == sql.KindTable:
			if rel, _, err := h.p.BindDefinition(ctx, q); err == nil {
				DescribeRelation(rel)
			}
		}
	}
	return nil
}

func checkDML(d *DML, err error) error {
	if d == nil {
		return nil // refused, which is fine: err says why
	}
	if err != nil {
		return fmt.Errorf("a plan with an error: %w", err)
	}
	ExplainDML(d)
	if have, want := len(d.Source.Root.Props().Cols), len(d.Rel.Columns)+d.Extra; have != want {
		return fmt.Errorf("the source gives %d columns, not %d", have, want)
	}
	return checkPlan(d.Source.Root, nil)
}

func checkFragments(p *Persistent) error {
	ExplainPersistent(p)
	ids := map[uint32]bool{}
	for _, f := range p.Fragments {
		if err := checkPlan(f.Root, nil); err != nil {
			return err
		}
		var dup error
		visitNodes(f.Root, func(n Node) {
			if id := n.Props().OpID; id != 0 {
				if ids[id] {
					dup = fmt.Errorf("operator id %d given twice", id)
				}
				ids[id] = true
			}
		})
		if dup != nil {
			return dup
		}
	}
	return nil
}

// seedStatements are the statements of the golden files and of the captured clients.
func seedStatements(t testing.TB) []string {
	var out []string
	files, err := filepath.Glob("testdata/plans/*")
	require.NoError(t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, block := range strings.Split(string(text), "\n----") {
			if _, after, ok := strings.Cut(block, "\nplan"); ok {
				_, body, _ := strings.Cut(after, "\n")
				out = append(out, body)
			}
			if _, after, ok := strings.Cut(block, "\ntypes\n"); ok {
				out = append(out, after)
			}
		}
	}
	all, err := sent.All()
	require.NoError(t, err)
	for _, s := range all {
		out = append(out, s.Numbered())
	}
	return out
}

func invariantHarness(t *testing.T) *harness {
	h := pgCatalog(t)
	for _, ddl := range []string{
		"CREATE STREAM clicks (user_id int KEY, page text, ms bigint, at timestamptz) WITH (topic = 'clicks', partitions = 6)",
		"CREATE STREAM own (user_id int KEY, page text) WITH (partitions = 6)",
		"CREATE TABLE cities (name text PRIMARY KEY, country text) WITH (topic = 'cities', partitions = 3)",
		"CREATE TABLE per_minute AS SELECT page, windowstart, count(*) AS n FROM clicks WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY page",
	} {
		one, err := sql.ParseOne(ddl, sql.Options{})
		require.NoError(t, err)
		_, err = h.create("ddl", one.Statement.(*sql.CreateRelation), ddl)
		require.NoError(t, err)
	}
	return h
}

func TestPlansHoldTheirInvariants(t *testing.T) {
	h := invariantHarness(t)
	n := 0
	for _, text := range seedStatements(t) {
		stmts, err := sql.Parse(text, sql.Options{})
		if err != nil {
			continue
		}
		for _, s := range stmts {
			n++
			if err := planAnything(h, s.Statement, s.Text); err != nil {
				t.Errorf("%s\n%v", s.Text, err)
			}
		}
	}
	require.Greater(t, n, 400)
}

func FuzzPlan(f *testing.F) {
	for _, s := range seedStatements(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		stmts, err := sql.Parse(text, sql.Options{})
		if err != nil {
			return
		}
		h := invariantHarness(t)
		for _, s := range stmts {
			if err := planAnything(h, s.Statement, s.Text); err != nil {
				t.Fatalf("%s\n%v", s.Text, err)
			}
		}
	})
}
