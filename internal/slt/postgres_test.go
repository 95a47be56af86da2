package slt

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/pgtest"
	"github.com/millracedb/millrace/sqllogictest"
)

// TestPostgresGivesWhatTheScriptsSay holds the corpus to its oracle.
func TestPostgresGivesWhatTheScriptsSay(t *testing.T) {
	admin, err := pgx.Connect(t.Context(), pgtest.Start(t))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	n := 0
	fresh := func(ctx context.Context) (sqllogictest.Target, error) {
		n++
		name := fmt.Sprintf("slt%d", n)
		if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
			return sqllogictest.Target{}, err
		}
		dir := admin.Config().Host
		return sqllogictest.Target{ConnString: pgtest.ConnString(dir, name), Close: func() error {
			_, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
			return err
		}}, nil
	}
	for _, name := range scripts(t, "scalar", "snapshot", "pending/scalar", "pending/snapshot") {
		t.Run(name, func(t *testing.T) {
			run(t, parse(t, name), sqllogictest.Options{Engine: "postgres", Fresh: fresh, Vars: map[string]string{"partitions": "1"}})
		})
	}
}
