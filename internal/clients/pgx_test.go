//go:build clients

package clients

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// item is a row of the tables of the programs in Go.
type item struct {
	ID    int32
	Big   *int64
	Price pgtype.Numeric
	Name  *string
	At    *time.Time
	Raw   []byte
	Tags  []string
	Code  pgtype.UUID
	Doc   *string
}

const itemColumns = "id INT PRIMARY KEY, big BIGINT, price NUMERIC(12,2), name TEXT, at TIMESTAMPTZ, raw BYTEA, tags TEXT[], code UUID, doc JSONB"

func pointer[T any](v T) *T { return &v }

func testPgx(t *testing.T, env environment) {
	modes := map[string]pgx.QueryExecMode{
		"cache statement": pgx.QueryExecModeCacheStatement, "cache describe": pgx.QueryExecModeCacheDescribe, "describe exec": pgx.QueryExecModeDescribeExec,
		"exec": pgx.QueryExecModeExec, "simple": pgx.QueryExecModeSimpleProtocol,
	}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) { pgxWorks(t, env, mode) })
	}
	t.Run("pool", func(t *testing.T) {
		pool, err := pgxpool.New(t.Context(), env.url())
		require.NoError(t, err)
		defer pool.Close()
		require.NoError(t, pool.Ping(t.Context()))
		var n int
		require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pgx_items").Scan(&n))
	})
}

func pgxConnect(t *testing.T, env environment, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(env.url())
	require.NoError(t, err)
	config.DefaultQueryExecMode = mode
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func pgxWorks(t *testing.T, env environment, mode pgx.QueryExecMode) {
	ctx := t.Context()
	conn := pgxConnect(t, env, mode)
	for _, s := range []string{
		"DROP TABLE IF EXISTS pgx_items CASCADE", "DROP STREAM IF EXISTS pgx_events CASCADE DELETE TOPIC",
		"CREATE TABLE pgx_items (" + itemColumns + ")", "CREATE STREAM pgx_events (n INT, word TEXT)",
		"INSERT INTO pgx_events VALUES (1, 'one'), (2, 'two'), (3, 'three')",
	} {
		_, err := conn.Exec(ctx, s)
		require.NoError(t, err, s)
	}
	want := item{
		ID: 7, Big: pointer(int64(9007199254740993)), Name: pointer("naïve ☃ 'quoted' \\"), At: pointer(time.Date(2026, 3, 1, 12, 30, 15, 250e6, time.UTC)),
		Raw: []byte{0, 1, 254, 255}, Tags: []string{"a", "b,c", `d"e`}, Doc: pointer(`{"k": [1, null, "x"]}`),
	}
	require.NoError(t, want.Price.Scan("12345.67"))
	require.NoError(t, want.Code.Scan("6f1c1c64-8f3a-4d7b-9e55-0a4b6a2d9f10"))
	const insert = "INSERT INTO pgx_items VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	values := func(i item) []any { return []any{i.ID, i.Big, i.Price, i.Name, i.At, i.Raw, i.Tags, i.Code, i.Doc} }
	_, err := conn.Exec(ctx, insert, values(want)...)
	require.NoError(t, err)

	batch := &pgx.Batch{}
	batch.Queue(insert, values(item{ID: 8})...)
	batch.Queue("SELECT count(*) FROM pgx_items").QueryRow(func(row pgx.Row) error {
		var n int
		require.NoError(t, row.Scan(&n))
		require.Equal(t, 2, n)
		return nil
	})
	require.NoError(t, conn.SendBatch(ctx, batch).Close())

	for range 3 {
		rows, err := conn.Query(ctx, "SELECT * FROM pgx_items WHERE id = ANY($1::int[]) ORDER BY id", []int32{7, 8})
		require.NoError(t, err)
		got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[item])
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.WithinDuration(t, *want.At, *got[0].At, 0)
		got[0].At = want.At
		require.Equal(t, want, got[0])
		require.Equal(t, item{ID: 8}, got[1])
	}

	n, err := conn.CopyFrom(ctx, pgx.Identifier{"pgx_items"}, []string{"id", "name", "price", "at"}, pgx.CopyFromSlice(250, func(i int) ([]any, error) {
		return []any{100 + i, "copied", want.Price, want.At}, nil
	}))
	require.NoError(t, err)
	require.EqualValues(t, 250, n)

	pgxErrors(t, conn, insert, values(want))
	pgxCursor(t, conn)
	pgxPushes(t, env, conn)
	pgxListens(t, env, conn)
}

func pgxErrors(t *testing.T, conn *pgx.Conn, insert string, values []any) {
	fails := func(code string, err error) *pgconn.PgError {
		t.Helper()
		var pe *pgconn.PgError
		require.ErrorAs(t, err, &pe)
		require.Equal(t, code, pe.Code, pe.Message)
		return pe
	}
	_, err := conn.Exec(t.Context(), insert, values...)
	require.Equal(t, "pgx_items_pkey", fails("23505", err).ConstraintName)
	_, err = conn.Exec(t.Context(), "SELECT * FROM nowhere")
	require.EqualValues(t, 15, fails("42P01", err).Position)
	err = pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "SELECT 1 / $1::int", 0)
		fails("22012", err)
		_, err = tx.Exec(t.Context(), "SELECT 1")
		return err
	})
	fails("25P02", err)
}

func pgxCursor(t *testing.T, conn *pgx.Conn) {
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "DECLARE c CURSOR FOR SELECT id FROM pgx_items WHERE id >= 100 ORDER BY id"); err != nil {
			return err
		}
		for want := 100; want < 350; want += 50 {
			rows, err := tx.Query(t.Context(), "FETCH 50 FROM c")
			if err != nil {
				return err
			}
			got, err := pgx.CollectRows(rows, pgx.RowTo[int])
			if err != nil {
				return err
			}
			require.Len(t, got, 50)
			require.Equal(t, want, got[0])
		}
		return nil
	})
	require.NoError(t, err)
}

// pgxPushes takes rows as they come, and ends the query by its context, which ends the connection.
func pgxPushes(t *testing.T, env environment, other *pgx.Conn) {
	conn := pgxConnect(t, env, pgx.QueryExecModeCacheDescribe)
	_, err := conn.Exec(t.Context(), "SET auto_offset_reset = 'earliest'")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := conn.Query(ctx, "SELECT n, word FROM pgx_events EMIT CHANGES")
	require.NoError(t, err)
	seen := map[int]string{}
	for rows.Next() {
		var n int
		var word string
		require.NoError(t, rows.Scan(&n, &word))
		seen[n] = word
		if len(seen) == 3 {
			_, err := other.Exec(t.Context(), "INSERT INTO pgx_events VALUES ($1, $2)", 4, "four")
			require.NoError(t, err)
		}
		if len(seen) == 4 {
			cancel()
		}
	}
	require.ErrorIs(t, rows.Err(), context.Canceled)
	require.Equal(t, map[int]string{1: "one", 2: "two", 3: "three", 4: "four"}, seen)

	// CancelRequest leaves the connection as it is.
	conn = pgxConnect(t, env, pgx.QueryExecModeCacheDescribe)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT n FROM pgx_events WHERE n > 4 EMIT CHANGES")
		done <- err
	}()
	for {
		require.NoError(t, conn.PgConn().CancelRequest(t.Context()))
		select {
		case err = <-done:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	var pe *pgconn.PgError
	require.True(t, errors.As(err, &pe) && pe.Code == "57014", err)
	require.NoError(t, conn.Ping(t.Context()))
}

func pgxListens(t *testing.T, env environment, conn *pgx.Conn) {
	_, err := conn.Exec(t.Context(), "LISTEN pgx_news")
	require.NoError(t, err)
	other := pgxConnect(t, env, pgx.QueryExecModeExec)
	_, err = other.Exec(t.Context(), "SELECT pg_notify('pgx_news', $1)", "hello")
	require.NoError(t, err)
	n, err := conn.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.Equal(t, &pgconn.Notification{PID: other.PgConn().PID(), Channel: "pgx_news", Payload: "hello"}, n)
}
