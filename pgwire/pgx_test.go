package pgwire

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func connectPgx(t *testing.T, addr string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), "postgres://alice@"+addr+"/db?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestPgxQueriesInAllModes(t *testing.T) {
	_, addr := serveFake(t)
	conn := connectPgx(t, addr)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec,
	} {
		for range 2 {
			var n int32
			require.NoError(t, conn.QueryRow(t.Context(), "select $1::int4", mode, int32(42)).Scan(&n), mode)
			require.Equal(t, int32(42), n)
			var s string
			require.NoError(t, conn.QueryRow(t.Context(), "select $1::text", mode, "héllo").Scan(&s), mode)
			require.Equal(t, "héllo", s)
			var missing *string
			require.NoError(t, conn.QueryRow(t.Context(), "select $1::text", mode, nil).Scan(&missing), mode)
			require.Nil(t, missing)
		}
	}
	rows, err := conn.Query(t.Context(), "select generate_series(1,1000)", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	require.NoError(t, err)
	require.Len(t, numbers, 1000)
	require.NoError(t, conn.Ping(t.Context()))
}

func TestPgxPipelinesAndCopies(t *testing.T) {
	_, addr := serveFake(t)
	conn := connectPgx(t, addr)
	var batch pgx.Batch
	for i := range 500 { // more messages than the inbox holds
		batch.Queue("select $1::int4", i).QueryRow(func(row pgx.Row) error {
			var got int
			err := row.Scan(&got)
			require.Equal(t, i, got)
			return err
		})
	}
	require.NoError(t, conn.SendBatch(t.Context(), &batch).Close())

	lines := strings.Repeat("line\n", 100_000)
	tag, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader(lines), "copy t from stdin")
	require.NoError(t, err)
	require.Equal(t, int64(100_000), tag.RowsAffected())
	var out strings.Builder
	_, err = conn.PgConn().CopyTo(t.Context(), &out, "copy t to stdout")
	require.NoError(t, err)
	require.Equal(t, lines, out.String())
}

func TestPgxContextCancelsAPushQuery(t *testing.T) {
	b, addr := serveFake(t)
	conn := connectPgx(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.feed <- "a" // Query returns with the first row
	rows, err := conn.Query(ctx, "select emit changes")
	require.NoError(t, err)
	require.True(t, rows.Next())
	cancel()
	require.False(t, rows.Next())
	require.ErrorIs(t, rows.Err(), context.Canceled)
	receive(t, b.closed)
}

func TestErrorFieldsReachPgx(t *testing.T) {
	_, addr := serveFake(t)
	conn := connectPgx(t, addr)
	_, err := conn.Exec(t.Context(), "select x")
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, "42703", pgErr.Code)
	require.Equal(t, int32(8), pgErr.Position)
}

func TestPgxLogsInWithSCRAM(t *testing.T) {
	b, addr, client := serveTLS(t)
	requireSCRAM(t, b, "secret")
	config, err := pgx.ParseConfig("postgres://alice:secret@" + addr + "/db?sslmode=disable")
	require.NoError(t, err)
	config.TLSConfig = client
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	require.NoError(t, conn.Ping(t.Context()))
}
