package demo_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/pgtest"
)

// fiveMinutes are the SQL blocks of the README's five minutes, in order.
func fiveMinutes(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(readme), "## Five minutes")
	require.True(t, ok)
	rest, _, _ = strings.Cut(rest, "\n## ")
	var blocks []string
	for {
		_, after, ok := strings.Cut(rest, "```sql\n")
		if !ok {
			break
		}
		block, after, ok := strings.Cut(after, "```")
		require.True(t, ok)
		blocks, rest = append(blocks, block), after
	}
	require.Len(t, blocks, 4)
	return blocks
}

func TestFiveMinutesRunInPsql(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil && os.Getenv(pgtest.Optional) == "1" {
		t.Skip("psql is not installed")
	}
	require.NoError(t, err)
	n := nodetest.Start(t, node.Config{})
	cmd := exec.CommandContext(t.Context(), psql, "-X", "-v", "ON_ERROR_STOP=1", "--csv", nodetest.ConnString(n))
	cmd.Stdin = strings.NewReader(strings.Join(fiveMinutes(t), "\n") + "\nSELECT count(*) AS errors FROM millrace.errors;\n\\d room_minutes\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, want := range []string{
		"kitchen,2026-01-01 12:00:00+00,2,22,22.5\n", // look-up
		"room,max\ncellar,11\nkitchen,22.5\n",
		"errors\n0\n",
	} {
		require.Contains(t, string(out), want)
	}
	require.Regexp(t, `room,minute,readings,hottest\n(.*\n)*kitchen,2026-01-01 12:00:00\+00,2,22.5\n`, string(out), "the push query's rows")
}

// setUp runs what the five minutes create and insert, through the extended protocol where it can be.
func setUp(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for _, block := range fiveMinutes(t)[:2] {
		for _, q := range strings.Split(block, ";\n") {
			if strings.TrimSpace(q) != "" {
				_, err := conn.Exec(t.Context(), q)
				require.NoError(t, err, q)
			}
		}
	}
}

type minute struct {
	room     string
	start    time.Time
	readings int64
	mean     float64
	hottest  float64
}

func TestFiveMinutesRunInPgxWithParametersInTextAndBinary(t *testing.T) {
	n := nodetest.Start(t, node.Config{})
	conn := nodetest.Connect(t, nodetest.ConnString(n))
	setUp(t, conn)
	at := time.Date(2026, 1, 1, 12, 0, 50, 0, time.UTC)
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		_, err := conn.Exec(t.Context(), "INSERT INTO readings VALUES ($1, $2, $3)", mode, 1, 30.5+float64(i), at)
		require.NoError(t, err)
		for _, format := range []int16{pgx.TextFormatCode, pgx.BinaryFormatCode} {
			var m minute
			err = conn.QueryRow(t.Context(), "SELECT room, minute, readings, mean, hottest FROM room_minutes WHERE room = $1 AND minute = $2",
				mode, pgx.QueryResultFormats{format}, "kitchen", at.Truncate(time.Minute)).Scan(&m.room, &m.start, &m.readings, &m.mean, &m.hottest)
			require.NoError(t, err)
			require.Equal(t, "kitchen", m.room)
			require.True(t, m.start.Equal(at.Truncate(time.Minute)))
			require.EqualValues(t, 3+i, m.readings)
			require.InDelta(t, 30.5+float64(i), m.hottest, 0)
		}
	}
}

func TestPushQueryIsStreamedAndCancelled(t *testing.T) {
	n := nodetest.Start(t, node.Config{})
	conn := nodetest.Connect(t, nodetest.ConnString(n))
	setUp(t, conn)

	push := nodetest.Connect(t, nodetest.ConnString(n))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	rows, err := push.Query(ctx, "SELECT room, readings FROM room_minutes EMIT CHANGES", pgx.QueryExecModeExec)
	require.NoError(t, err)
	// The rows that are there, and then a change as it happens.
	next := func() (room string, readings int64) {
		require.True(t, rows.Next(), "%v", rows.Err())
		require.NoError(t, rows.Scan(&room, &readings))
		return room, readings
	}
	first, _ := next()
	second, _ := next()
	require.ElementsMatch(t, []string{"kitchen", "cellar"}, []string{first, second})
	_, err = conn.Exec(ctx, "INSERT INTO readings VALUES (2, 12, '2026-01-01 12:00:59Z')")
	require.NoError(t, err)
	room, readings := next()
	require.Equal(t, "cellar", room)
	require.EqualValues(t, 2, readings)

	// A cancel request goes over a connection of its own, as psql's Ctrl-C does.
	require.NoError(t, push.PgConn().CancelRequest(ctx))
	require.False(t, rows.Next())
	var pg *pgconn.PgError
	require.ErrorAs(t, rows.Err(), &pg)
	require.Equal(t, "57014", pg.Code)
	var one int
	require.NoError(t, push.QueryRow(ctx, "SELECT 1").Scan(&one), "the session goes on")
}
