package slt

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/pgtest"
	"github.com/millracedb/millrace/sqllogictest"
)

// emptied makes the database as it was at first: a new one for each script would cost PostgreSQL some six hundred files each.
const emptied = `
DO $$
DECLARE name text;
BEGIN
	PERFORM pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
	FOR name IN SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', name);
	END LOOP;
END $$;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
COMMENT ON SCHEMA public IS 'standard public schema'`

// TestPostgresGivesWhatTheScriptsSay holds the corpus to its oracle.
func TestPostgresGivesWhatTheScriptsSay(t *testing.T) {
	server := pgtest.Start(t)
	admin, err := pgx.Connect(t.Context(), server)
	require.NoError(t, err)
	defer admin.Close(context.Background())
	fresh := func(ctx context.Context) (sqllogictest.Target, error) {
		_, err := admin.PgConn().Exec(ctx, emptied).ReadAll()
		return sqllogictest.Target{ConnString: server, Close: func() error { return nil }}, err
	}
	for _, name := range scripts(t, "scalar", "snapshot", "pending/scalar", "pending/snapshot") {
		t.Run(name, func(t *testing.T) {
			run(t, parse(t, name), sqllogictest.Options{Engine: "postgres", Fresh: fresh, Vars: map[string]string{"partitions": "1"}})
		})
	}
}
