package planner

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clients/sent"
	"github.com/millracedb/millrace/sql"
)

// TestCapturedClientQueriesBind binds every query that real clients sent, psql's and the drivers' catalog queries among them, over the
// columns of PostgreSQL 15's catalogs.
func TestCapturedClientQueriesBind(t *testing.T) {
	h := pgCatalog(t)
	all, err := sent.All()
	require.NoError(t, err)
	bound := 0
	for _, s := range all {
		bound += bindCaptured(t, h, s.File, s.Numbered())
	}
	t.Logf("%d queries", bound)
	require.Greater(t, bound, 280)
}

// knownGaps are relations and columns that the test's small schema lacks; the queries that name them cannot bind anywhere.
var knownGaps = []string{"nosuch", "pgbench_", `"ct"`, "pg_stat_", "pg_statio_", "information_schema."}

func bindCaptured(t *testing.T, h *harness, file, text string) int {
	stmts, err := sql.Parse(text, sql.Options{})
	if err != nil {
		return 0 // the parser's own test says which do not parse
	}
	n := 0
	for _, s := range stmts {
		q, ok := s.Statement.(*sql.Query)
		if !ok {
			continue
		}
		if _, err := h.p.PlanQuery(context.Background(), q, nil); err != nil {
			known := false
			for _, g := range knownGaps {
				known = known || strings.Contains(s.Text, g)
			}
			if !known {
				t.Errorf("%s: %s\n%s", file, formatError(err), s.Text)
			}
			continue
		}
		n++
	}
	return n
}
