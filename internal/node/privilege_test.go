package node_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// as connects as a role.
func as(t *testing.T, n *node.Node, role string) *pgx.Conn {
	t.Helper()
	return nodetest.Connect(t, fmt.Sprintf("postgres://%s@%s/millrace?sslmode=disable", role, n.PGAddr()))
}

// refused runs statements that must fail with an SQLSTATE, each on its own.
func refused(t *testing.T, conn *pgx.Conn, code string, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := conn.Exec(t.Context(), s)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, s)
		require.Equal(t, code, pg.Code, "%s: %s", s, pg.Message)
	}
}

func TestPrivilegesDecideWhoReadsAndWrites(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn,
		"CREATE ROLE readers", "CREATE ROLE ann LOGIN IN ROLE readers", "CREATE ROLE bob LOGIN", "CREATE SCHEMA app",
		"CREATE TABLE t (id SERIAL PRIMARY KEY, v TEXT)", "CREATE TABLE i (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v TEXT)",
		"CREATE STREAM s (a INT)", "CREATE TABLE app.u (id INT PRIMARY KEY)", "INSERT INTO t (v) VALUES ('one')",
		"CREATE VIEW narrow AS SELECT v FROM t", "CREATE MATERIALIZED VIEW kept AS SELECT id FROM t",
	)
	ann, bob := as(t, n, "ann"), as(t, n, "bob")
	refused(t, ann, "42501",
		"SELECT * FROM t", "SELECT * FROM narrow", "SELECT * FROM kept", "SELECT 1 FROM s EMIT CHANGES", "INSERT INTO t (v) VALUES ('x')", "UPDATE t SET v = 'x'",
		"DELETE FROM t", "TRUNCATE t", "COPY t TO STDOUT", "COPY t FROM STDIN", "EXPLAIN SELECT * FROM t", "SELECT (SELECT max(v) FROM t)",
		"CREATE TABLE mine (id INT)", "CREATE SCHEMA mine", "CREATE SEQUENCE q", "CREATE VIEW w AS SELECT * FROM t",
		"DROP TABLE t", "ALTER TABLE t ADD COLUMN x INT", "COMMENT ON TABLE t IS 'x'", "GRANT SELECT ON t TO ann", "PAUSE QUERY kept", "SELECT nextval('t_id_seq')",
		"SELECT * FROM app.u", "SELECT * FROM millrace.errors", "CREATE ROLE more", "ALTER ROLE bob SUPERUSER", "GRANT readers TO bob",
		"PREPARE p AS SELECT * FROM t", "INSERT INTO s SELECT a + 1 FROM s EMIT CHANGES",
	)

	exec(t, conn, "GRANT SELECT ON t, narrow TO readers", "GRANT INSERT ON t, i TO bob", "GRANT USAGE ON SEQUENCE t_id_seq TO bob", "GRANT SELECT ON ALL TABLES IN SCHEMA app TO PUBLIC")
	require.Equal(t, []string{"one"}, texts(t, ann, "SELECT v FROM t"))
	require.Equal(t, []string{"one"}, texts(t, ann, "SELECT v FROM narrow"))
	refused(t, ann, "42501", "INSERT INTO t (v) VALUES ('x')", "UPDATE t SET v = 'x'", "SELECT * FROM app.u")
	exec(t, conn, "GRANT USAGE ON SCHEMA app TO ann")
	require.Empty(t, texts(t, ann, "SELECT id FROM app.u"))

	exec(t, bob, "INSERT INTO t (v) VALUES ('two')", "INSERT INTO i (v) VALUES ('own number')")
	refused(t, bob, "42501", "SELECT * FROM t", "INSERT INTO t (v) VALUES ('x') RETURNING id", "INSERT INTO t (id, v) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'x'",
		"INSERT INTO t (v) SELECT v FROM t", "SELECT setval('t_id_seq', 1)")

	// A view is read with the rights of its owner, a plan that was made before a REVOKE is not run after it.
	exec(t, conn, "GRANT SELECT ON narrow TO bob")
	require.Equal(t, []string{"one", "two"}, texts(t, bob, "SELECT v FROM narrow ORDER BY v"))
	exec(t, ann, "PREPARE p AS SELECT v FROM t ORDER BY v")
	require.Equal(t, []string{"one", "two"}, texts(t, ann, "EXECUTE p"))
	exec(t, conn, "REVOKE SELECT ON t FROM readers")
	refused(t, ann, "42501", "EXECUTE p")

	// Owners may do everything, and grant it.
	exec(t, conn, "GRANT CREATE ON SCHEMA public TO bob")
	exec(t, bob, "CREATE TABLE mine (id INT PRIMARY KEY)", "INSERT INTO mine VALUES (1)", "ALTER TABLE mine ADD COLUMN x INT", "GRANT SELECT ON mine TO ann WITH GRANT OPTION")
	exec(t, ann, "GRANT SELECT ON mine TO readers")
	refused(t, bob, "2BP01", "REVOKE SELECT ON mine FROM ann")
	exec(t, bob, "REVOKE SELECT ON mine FROM ann CASCADE")
	refused(t, ann, "42501", "SELECT * FROM mine")
	refused(t, conn, "2BP01", "DROP ROLE bob")
	refused(t, conn, "0LP01", "GRANT ann TO readers", "GRANT USAGE ON t TO ann")
	refused(t, conn, "0A000", "GRANT SELECT (v) ON t TO ann", "GRANT readers TO bob WITH ADMIN OPTION")

	privileges := "SELECT has_table_privilege('bob', 't', 'INSERT'), has_table_privilege('bob', 't', 'SELECT'), has_schema_privilege('ann', 'app', 'USAGE'), pg_has_role('ann', 'readers', 'MEMBER')"
	require.Equal(t, []string{"t f t t"}, texts(t, conn, privileges))
	require.Equal(t, []string{"{millrace=arwdDxt/millrace,bob=a/millrace}"}, texts(t, conn, "SELECT relacl FROM pg_class WHERE relname = 't'"))

	shut(t, n, conn)
	n, conn = open(t, fs)
	require.Equal(t, []string{"t f t t"}, texts(t, conn, privileges))
	bob = as(t, n, "bob")
	refused(t, bob, "42501", "SELECT * FROM t")
	exec(t, conn, "ALTER ROLE bob CONNECTION LIMIT 1")
	_, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://bob@%s/millrace?sslmode=disable", n.PGAddr()))
	require.ErrorContains(t, err, "53300")
	require.NoError(t, bob.Close(t.Context()))
	shut(t, n, conn)
}

func TestAnExpiredPasswordDoesNotLogIn(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn, "CREATE ROLE late LOGIN PASSWORD 'sesame' VALID UNTIL '2001-01-01'", "CREATE ROLE early LOGIN PASSWORD 'sesame' VALID UNTIL 'infinity'")
	shut(t, n, conn)
	n, err := nodetest.Open(t.Context(), node.Config{FS: fs, RequirePassword: true})
	require.NoError(t, err)
	login := func(user, password string) (*pgx.Conn, error) {
		return pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@%s/millrace?sslmode=disable", user, password, n.PGAddr()))
	}
	_, err = login("late", "sesame")
	require.ErrorContains(t, err, "28P01")
	conn, err = login("early", "sesame")
	require.NoError(t, err)
	exec(t, conn, "ALTER ROLE early PASSWORD 'simsim'")
	refused(t, conn, "42501", "ALTER ROLE early SUPERUSER", "ALTER ROLE late PASSWORD 'simsim'")
	require.NoError(t, conn.Close(t.Context()))
	conn, err = login("early", "simsim")
	require.NoError(t, err)
	shut(t, n, conn)
}
