//go:build clients

package clients

import (
	"context"
	gosql "database/sql"
	"errors"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// testLibpq runs lib/pq through database/sql, with its parameters in text and in binary.
func testLibpq(t *testing.T, env environment) {
	for _, more := range []string{"", "&binary_parameters=yes"} {
		t.Run("lib/pq"+more, func(t *testing.T) { libpqWorks(t, env.url()+more) })
	}
}

func libpqWorks(t *testing.T, url string) {
	db, err := gosql.Open("postgres", url)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.Ping())
	for _, s := range []string{
		"DROP TABLE IF EXISTS libpq_items CASCADE", "DROP STREAM IF EXISTS libpq_events CASCADE DELETE TOPIC",
		"CREATE TABLE libpq_items (" + itemColumns + ")", "CREATE STREAM libpq_events (n INT, word TEXT)",
		"INSERT INTO libpq_events VALUES (1, 'one'), (2, 'two'), (3, 'three')",
	} {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
	at := time.Date(2026, 3, 1, 12, 30, 15, 250e6, time.UTC)
	const insert = "INSERT INTO libpq_items (id, big, price, name, at, raw, tags) VALUES ($1, $2, $3, $4, $5, $6, $7)"
	_, err = db.Exec(insert, 7, int64(9007199254740993), "12345.67", "naïve ☃ 'quoted'", at, []byte{0, 1, 254, 255}, pq.Array([]string{"a", "b,c"}))
	require.NoError(t, err)
	_, err = db.Exec(insert, 8, nil, nil, nil, nil, nil, nil)
	require.NoError(t, err)
	var have struct {
		big         int64
		price, name string
		at          time.Time
		raw         []byte
		tags        pq.StringArray
	}
	read, err := db.Prepare("SELECT big, price, name, at, raw, tags FROM libpq_items WHERE id = $1")
	require.NoError(t, err)
	defer read.Close()
	require.NoError(t, read.QueryRow(7).Scan(&have.big, &have.price, &have.name, &have.at, &have.raw, &have.tags))
	require.True(t, at.Equal(have.at))
	require.Equal(t, []any{int64(9007199254740993), "12345.67", "naïve ☃ 'quoted'", []byte{0, 1, 254, 255}, pq.StringArray{"a", "b,c"}},
		[]any{have.big, have.price, have.name, have.raw, have.tags})

	_, err = db.Exec(insert, 7, nil, nil, nil, nil, nil, nil)
	var pe *pq.Error
	require.ErrorAs(t, err, &pe)
	require.Equal(t, "unique_violation", pe.Code.Name())
	_, err = db.Exec("SELECT * FROM nowhere")
	require.ErrorAs(t, err, &pe)
	require.EqualValues(t, "42P01", pe.Code)
	libpqCopiesAndFetches(t, db)
	libpqPushes(t, db)
	libpqListens(t, db, url)
}

func libpqCopiesAndFetches(t *testing.T, db *gosql.DB) {
	tx, err := db.Begin()
	require.NoError(t, err)
	in, err := tx.Prepare("COPY libpq_items (id, name) FROM STDIN")
	require.NoError(t, err)
	for i := range 250 {
		_, err := in.Exec(100+i, "copied")
		require.NoError(t, err)
	}
	_, err = in.Exec()
	require.NoError(t, err)
	require.NoError(t, in.Close())
	_, err = tx.Exec("DECLARE c CURSOR FOR SELECT id FROM libpq_items WHERE id >= 100 ORDER BY id")
	require.NoError(t, err)
	rows, err := tx.Query("FETCH 100 FROM c")
	require.NoError(t, err)
	n := 0
	for rows.Next() {
		n++
	}
	require.NoError(t, rows.Err())
	require.Equal(t, 100, n)
	require.NoError(t, tx.Commit())
}

func libpqPushes(t *testing.T, db *gosql.DB) {
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET auto_offset_reset = 'earliest'")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := conn.QueryContext(ctx, "SELECT n FROM libpq_events EMIT CHANGES")
	require.NoError(t, err)
	defer rows.Close()
	seen := map[int]bool{}
	for rows.Next() {
		var n int
		require.NoError(t, rows.Scan(&n))
		seen[n] = true
		if len(seen) == 3 {
			_, err := db.Exec("INSERT INTO libpq_events VALUES ($1, $2)", 4, "four")
			require.NoError(t, err)
		}
		if len(seen) == 4 {
			cancel()
		}
	}
	var pe *pq.Error
	require.True(t, errors.Is(rows.Err(), context.Canceled) || errors.As(rows.Err(), &pe) && pe.Code == "57014", rows.Err())
	require.Len(t, seen, 4)
}

func libpqListens(t *testing.T, db *gosql.DB, url string) {
	l := pq.NewListener(url, time.Second, time.Minute, nil)
	defer l.Close()
	require.NoError(t, l.Listen("libpq_news"))
	_, err := db.Exec("SELECT pg_notify('libpq_news', $1)", "hello")
	require.NoError(t, err)
	n := <-l.Notify
	require.Equal(t, []string{"libpq_news", "hello"}, []string{n.Channel, n.Extra})
}
