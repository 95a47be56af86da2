package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerAnswersAndIsTheVersionThatMillraceFollows(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), pgtest.Start(t))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	var major, zone, collation string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT (current_setting('server_version_num')::int / 10000)::text, current_setting('TimeZone'),
		(SELECT datcollate FROM pg_database WHERE datname = current_database())`).Scan(&major, &zone, &collation))
	require.Equal(t, pgtest.Version, major)
	require.Equal(t, "UTC", zone)
	require.Equal(t, "C", collation)
}
