package planner

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/sql"
)

func benchmarkPlan(b *testing.B, text string) {
	cat := &testCatalog{rels: map[string]*Relation{}}
	p := &Planner{Catalog: cat, Evaluator: smallEvaluator{}}
	h := &harness{cat: cat, p: p}
	for _, ddl := range []string{
		"CREATE TABLE users (id int PRIMARY KEY, name text, city text, age int)",
		"CREATE TABLE orders (id bigint PRIMARY KEY, user_id int, amount numeric(12,2), at timestamptz)",
	} {
		one, err := sql.ParseOne(ddl, sql.Options{})
		require.NoError(b, err)
		_, err = h.create("ddl", one.Statement.(*sql.CreateRelation), ddl)
		require.NoError(b, err)
	}
	one, err := sql.ParseOne(text, sql.Options{})
	require.NoError(b, err)
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		switch q := one.Statement.(type) {
		case *sql.Query:
			_, err = p.PlanQuery(ctx, q, nil)
		case *sql.Insert:
			_, err = p.PlanInsert(ctx, q, nil)
		}
		require.NoError(b, err)
	}
}

func BenchmarkKeyLookup(b *testing.B) { benchmarkPlan(b, "SELECT name FROM users WHERE id = $1") }

func BenchmarkJoin(b *testing.B) {
	benchmarkPlan(b, "SELECT u.city, sum(o.amount) FROM users u JOIN orders o ON o.user_id = u.id WHERE u.age > 3 GROUP BY u.city ORDER BY 2 DESC LIMIT 10")
}

func BenchmarkInsertThousandRows(b *testing.B) {
	benchmarkPlan(b, "INSERT INTO orders VALUES "+strings.Repeat("(1, 2, 3.5, '2026-01-01 00:00:00Z'),", 999)+"(1, 2, 3.5, NULL)")
}
