package demo_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/demo"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/pgtest"
)

// onPostgreSQL is what the demonstration computes, asked of PostgreSQL in its own words.
var onPostgreSQL = []string{
	`CREATE TABLE airports (iata TEXT PRIMARY KEY, name TEXT, city TEXT, state TEXT, country TEXT, latitude DOUBLE PRECISION, longitude DOUBLE PRECISION)`,
	`CREATE TABLE flight_lines (line TEXT)`,
	`CREATE VIEW departures AS
	SELECT to_timestamp(f.line::jsonb ->> 'date', 'YYYY/MM/DD HH24:MI') AS at, (f.line::jsonb ->> 'delay')::int AS delay, a.state
	FROM flight_lines f JOIN airports a ON f.line::jsonb ->> 'origin' = a.iata`,
	`CREATE VIEW delays AS
	SELECT state, date_bin('1 day', at, 'epoch') AS day, count(*) AS flights, sum(delay) AS minutes, avg(delay) AS mean_delay, max(delay) AS worst
	FROM departures GROUP BY 1, 2`,
}

// delays is all that the second query of the demonstration keeps.
const delays = `SELECT state, day, flights, minutes, mean_delay, worst FROM delays ORDER BY state, day`

// postgreSQL starts a server that holds the demonstration's files.
func postgreSQL(t *testing.T) *pgx.Conn {
	t.Helper()
	conn := nodetest.Connect(t, pgtest.Start(t))
	for _, q := range onPostgreSQL {
		_, err := conn.Exec(t.Context(), q)
		require.NoError(t, err, q)
	}
	airports, err := demo.Airports()
	require.NoError(t, err)
	_, err = conn.PgConn().CopyFrom(t.Context(), bytes.NewReader(airports), "COPY airports FROM STDIN WITH (FORMAT csv, HEADER)")
	require.NoError(t, err)
	flights, err := demo.Flights()
	require.NoError(t, err)
	tag, err := conn.PgConn().CopyFrom(t.Context(), bytes.NewReader(flights), "COPY flight_lines FROM STDIN")
	require.NoError(t, err)
	require.EqualValues(t, 20_000, tag.RowsAffected())
	return conn
}

func texts(t *testing.T, conn *pgx.Conn, query string) [][]string {
	t.Helper()
	rows, err := nodetest.Texts(t.Context(), conn, query)
	require.NoError(t, err, query)
	return rows
}

func TestDemonstrationComputesWhatPostgreSQLDoes(t *testing.T) {
	oracle := postgreSQL(t)
	wantDelays, wantResults := texts(t, oracle, delays), texts(t, oracle, demo.Results)
	require.Len(t, wantResults, 10)
	for _, partitions := range []int{1, 4} {
		t.Run(fmt.Sprint("partitions=", partitions), func(t *testing.T) {
			connString := nodetest.ConnString(nodetest.Start(t, node.Config{Partitions: int32(partitions)}))
			var out strings.Builder
			require.NoError(t, demo.Run(t.Context(), demo.Options{Conn: connString, Out: &out, Partitions: partitions, Clock: clock.Real}))

			conn := nodetest.Connect(t, connString)
			require.Equal(t, wantDelays, texts(t, conn, delays))
			require.Equal(t, wantResults, texts(t, conn, demo.Results))
			require.Equal(t, [][]string{{"1"}}, texts(t, conn, `SELECT count(*) FROM millrace.errors WHERE payload::text LIKE '%very%'`))
			require.Equal(t, [][]string{{"1"}}, texts(t, conn, `SELECT count(*) FROM millrace.errors`))
			requirePrinted(t, out.String(), wantResults)
		})
	}
}

// requirePrinted looks for the rows, in order, at the end of what the demonstration printed.
func requirePrinted(t *testing.T, out string, rows [][]string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Greater(t, len(lines), len(rows))
	for i, row := range rows {
		var cells []string
		for _, c := range strings.Split(lines[len(lines)-1-len(rows)+i], "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		require.Equal(t, row, cells)
	}
	require.Equal(t, fmt.Sprintf("(%d rows)", len(rows)), lines[len(lines)-1])
}
