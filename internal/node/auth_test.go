package node_test

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/certtest"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestPasswordsAndTLS(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn, "CREATE ROLE jane LOGIN PASSWORD 'sesame' CREATEROLE", "CREATE ROLE nobody PASSWORD 'sesame'", "CREATE USER blank", "GRANT CREATE ON SCHEMA public TO PUBLIC")
	shut(t, n, conn)

	n, err := nodetest.Open(t.Context(), node.Config{
		FS: fs, RequirePassword: true, TLS: &tls.Config{Certificates: []tls.Certificate{certtest.NewAuthority(t).Sign(t, "localhost")}, MinVersion: tls.VersionTLS12},
	})
	require.NoError(t, err)
	login := func(user, password, ssl string) (*pgx.Conn, error) {
		return pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@%s/millrace?sslmode=%s", user, password, n.PGAddr(), ssl))
	}
	for _, ssl := range []string{"require", "disable"} {
		conn, err := login("jane", "sesame", ssl)
		require.NoError(t, err, ssl)
		require.Equal(t, []string{"jane"}, texts(t, conn, "SELECT current_user"))
		require.Equal(t, "off", conn.PgConn().ParameterStatus("is_superuser"))
		require.NoError(t, conn.Close(t.Context()))
		for _, wrong := range [][2]string{{"jane", "open"}, {"nobody", "sesame"}, {"blank", ""}, {"stranger", "sesame"}, {"millrace", ""}} {
			_, err := login(wrong[0], wrong[1], ssl)
			require.ErrorContains(t, err, "28P01", "%v", wrong)
		}
	}
	_, err = pgx.Connect(t.Context(), fmt.Sprintf("postgres://jane:sesame@%s/other?sslmode=disable", n.PGAddr()))
	require.ErrorContains(t, err, "3D000")

	// A role that may make roles may not make itself more than it is.
	conn, err = login("jane", "sesame", "disable")
	require.NoError(t, err)
	for query, want := range map[string]string{
		"ALTER ROLE jane SUPERUSER": "42501", "ALTER ROLE millrace PASSWORD 'mine'": "42501", "CREATE ROLE king SUPERUSER": "42501", "DROP ROLE millrace": "55006",
		"CREATE ROLE jane": "42710", "DROP ROLE stranger": "42704", "ALTER ROLE stranger LOGIN": "42704", "CREATE ROLE x FLYING": "42601",
	} {
		_, err := conn.Exec(t.Context(), query)
		require.Equal(t, want, code(err), query)
	}
	exec(t, conn, "CREATE ROLE joe LOGIN PASSWORD 'joe'")
	joe, err := login("joe", "joe", "disable")
	require.NoError(t, err)
	_, err = joe.Exec(t.Context(), "CREATE ROLE jim")
	require.Equal(t, "42501", code(err))
	exec(t, joe, "CREATE TABLE joes (id INT PRIMARY KEY)")
	_, err = conn.Exec(t.Context(), "DROP ROLE joe")
	require.Equal(t, "2BP01", code(err), "joe owns a table")
	exec(t, joe, "DROP TABLE joes")
	require.NoError(t, joe.Close(t.Context()))
	exec(t, conn, "DROP ROLE joe")
	_, err = login("joe", "joe", "disable")
	require.ErrorContains(t, err, "28P01")
	shut(t, n, conn)
}

func TestLoopbackWithoutPasswordsStillKnowsItsRoles(t *testing.T) {
	n := nodetest.Start(t, node.Config{})
	_, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://stranger@%s/millrace?sslmode=disable", n.PGAddr()))
	require.ErrorContains(t, err, "28000")
	_, err = pgx.Connect(t.Context(), fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable&consistency=sometimes", n.PGAddr()))
	require.ErrorContains(t, err, "22023")
}
