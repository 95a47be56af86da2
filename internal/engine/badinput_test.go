package engine_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clients/sent"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/sql"
)

// hijacked is a session whose messages a test writes itself.
type hijacked struct {
	t  *testing.T
	fe *pgproto3.Frontend
	nc net.Conn
}

// hijack connects; nothing that the session runs lasts longer than limit, or writes.
func hijack(t *testing.T, limit string) *hijacked {
	t.Helper()
	cfg, err := pgconn.ParseConfig(nodetest.ConnString(shared))
	require.NoError(t, err)
	for name, value := range map[string]string{"statement_timeout": limit, "push_query_timeout": limit, "read_wait": limit, "default_transaction_read_only": "on"} {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgconn.ConnectConfig(context.Background(), cfg)
	require.NoError(t, err)
	h, err := conn.Hijack()
	require.NoError(t, err)
	require.NoError(t, h.Conn.SetDeadline(time.Now().Add(commandTime)))
	return &hijacked{t: t, fe: h.Frontend, nc: h.Conn}
}

// answer sends messages and returns the SQLSTATEs of the errors that come back before ReadyForQuery.
func (h *hijacked) answer(msgs ...pgproto3.FrontendMessage) []string {
	h.t.Helper()
	for _, m := range msgs {
		h.fe.Send(m)
	}
	require.NoError(h.t, h.fe.Flush())
	var codes []string
	for {
		m, err := h.fe.Receive()
		require.NoError(h.t, err)
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			require.NotEqual(h.t, "XX000", m.Code, "an internal error: %s %s\n%s", m.Message, m.Detail, &problems)
			require.NotEqual(h.t, "FATAL", m.Severity, m.Message)
			codes = append(codes, m.Code)
		case *pgproto3.CopyInResponse:
			h.fe.Send(&pgproto3.CopyFail{Message: "no data"})
			require.NoError(h.t, h.fe.Flush())
		case *pgproto3.ReadyForQuery:
			return codes
		}
	}
}

// goesOn holds that the session is there still, however slowly it answers.
func (h *hijacked) goesOn() {
	h.t.Helper()
	if codes := h.answer(&pgproto3.Query{String: "SELECT 1"}); len(codes) > 0 {
		require.Equal(h.t, []string{"57014"}, codes)
	}
}

func (h *hijacked) close() {
	h.fe.Send(&pgproto3.Terminate{})
	_ = h.fe.Flush()
	_ = h.nc.Close()
}

func TestBadInputIsAnErrorAndTheSessionGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		codes []string
	}{
		"invalid UTF-8":        {"SELECT '\xff\xfe'", []string{"22021"}},
		"unterminated string":  {"SELECT 'abc", []string{"42601"}},
		"unterminated comment": {"/* /* */ SELECT 1", []string{"42601"}},
		"dollar quote":         {"SELECT $x$abc", []string{"42601"}},
		"nothing but bytes":    {"\x01\x02\x7f", []string{"42601"}},
		"deep parentheses":     {"SELECT " + strings.Repeat("(", 200_000) + "1" + strings.Repeat(")", 200_000), []string{"54001", "54000"}},
		"deep subqueries":      {strings.Repeat("SELECT * FROM (", 50_000) + "SELECT 1" + strings.Repeat(") x", 50_000), []string{"54001", "54000"}},
		"deep NOT":             {"SELECT " + strings.Repeat("NOT ", 200_000) + "true", []string{"54001", "54000"}},
		"deep CASE":            {"SELECT " + strings.Repeat("CASE WHEN true THEN ", 50_000) + "1" + strings.Repeat(" END", 50_000), []string{"54001", "54000"}},
		"long chain of plus":   {"SELECT 1" + strings.Repeat("+1", 100_000), []string{"54001", "54000"}},
		"deep unary minus":     {"SELECT " + strings.Repeat("- ", 200_000) + "1", []string{"54001", "54000"}},
		"16 MiB literal":       {"SELECT length('" + strings.Repeat("x", 16<<20) + "')", []string{"54000"}},
		"huge number":          {"SELECT 1" + strings.Repeat("0", 200_000), []string{"22003", "54000"}},
		"huge LIMIT":           {"SELECT 1 LIMIT 99999999999999999999", []string{"22003", "42601", "42804"}},
		"long identifier":      {"SELECT * FROM " + strings.Repeat("a", 1<<20), []string{"42P01", "42622"}},
		"many columns":         {"SELECT 1" + strings.Repeat(",1", 100_000), []string{"54011"}},
		"large array":          {"SELECT ARRAY[1" + strings.Repeat(",1", 100_000) + "]", nil},
		"repeat":               {"SELECT repeat('x', 2000000000)", []string{"54000", "53200"}},
		"parameter too far":    {"SELECT $99999999999", []string{"42601", "42P02"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := hijack(t, "50ms")
			defer h.close()
			check := func(codes []string) {
				t.Helper()
				switch {
				case len(codes) == 0:
					require.Nil(t, c.codes, "no error")
				case codes[0] != "57014": // a time-out is a fair answer to so much
					require.Contains(t, c.codes, codes[0])
				}
			}
			check(h.answer(&pgproto3.Query{String: c.text}))
			check(h.answer(&pgproto3.Parse{Query: c.text}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}))
			h.goesOn()
		})
	}
}

func TestBinaryParametersOfWrongLengthAreRefused(t *testing.T) {
	h := hijack(t, "10min")
	defer h.close()
	for _, typ := range []string{"bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timestamp", "timestamptz", "interval", "uuid", "int4[]", "jsonb", "text", "bytea"} {
		for _, value := range [][]byte{{}, {1}, {1, 2, 3}, bytes.Repeat([]byte{0xff}, 5), bytes.Repeat([]byte{0xff}, 33), bytes.Repeat([]byte{0x7f}, 70)} {
			codes := h.answer(&pgproto3.Parse{Query: "SELECT $1::" + typ}, &pgproto3.Bind{ParameterFormatCodes: []int16{1}, Parameters: [][]byte{value}},
				&pgproto3.Execute{}, &pgproto3.Sync{})
			if len(codes) > 0 {
				require.Contains(t, []string{"22P03", "08P01", "22021", "22003", "22008", "22P02", "54000", "42804"}, codes[0], "%s %x", typ, value)
			} else {
				require.Contains(t, []string{"bool", "text", "bytea", "jsonb"}, typ, "%x", value)
			}
		}
	}
	require.Equal(t, []string{"22021"}, h.answer(&pgproto3.Parse{Query: "SELECT $1::text"}, &pgproto3.Bind{Parameters: [][]byte{[]byte("a\x00b")}}, &pgproto3.Execute{}, &pgproto3.Sync{}))
	require.Empty(t, h.answer(&pgproto3.Query{String: "SELECT 1"}))
}

// seedStatements are the examples of docs/sql, statements and calls of functions, and what clients have been seen to send.
func seedStatements(tb testing.TB) []string {
	pages, err := filepath.Glob("../../docs/sql/*.md")
	require.NoError(tb, err)
	require.NotEmpty(tb, pages)
	code := regexp.MustCompile("(?s)\n```sql\n(.*?)\n```|`([^`\n]+)`")
	var out []string
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(tb, err)
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			if m[2] != "" {
				out = append(out, "SELECT "+m[2])
			} else if all, err := sql.Parse(m[1], sql.Options{}); err == nil {
				for _, s := range all {
					out = append(out, s.Text)
				}
			}
		}
	}
	all, err := sent.All()
	require.NoError(tb, err)
	for _, s := range all {
		out = append(out, s.Numbered())
	}
	return out
}

// FuzzSession sends any text by the simple and the extended protocol: each gets an answer, never an internal error, and the session
// goes on.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"SELECT 1", "SELECT * FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1 LIMIT 3", "BEGIN; SAVEPOINT a; ROLLBACK TO a; COMMIT",
		"SELECT $1::int + $2", "COPY (SELECT 1) TO STDOUT (FORMAT binary)", "COPY t FROM STDIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH 3 FROM c; CLOSE c",
		"PREPARE p AS SELECT $1; EXECUTE p ('x'); DEALLOCATE p", "SELECT query FROM millrace.errors EMIT CHANGES", "EXPLAIN SELECT 1", "SHOW ALL", "SHOW TABLES LIKE 'x'",
		"SET search_path = 'a', b", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT DEFAULT 'x')", "CREATE STREAM s (a INT KEY) WITH (topic = 'x')",
		"CREATE TABLE t AS SELECT k, count(*) FROM s WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY k", "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
		"SELECT array_agg(x) FILTER (WHERE x > 1) OVER (ORDER BY x) FROM generate_series(1, 3) x", "SELECT '{\"a\": [1]}'::jsonb #> '{a,0}'", "DROP TABLE IF EXISTS a CASCADE",
		"SELECT to_char(now(), 'YYYY'), '1 day'::interval, 'x'::bytea, ARRAY[[1]]", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING *", "DESCRIBE millrace.errors",
		"SELECT pg_sleep(9)", "FETCH 1 FROM c WITH (timeout = '1s')", "TERMINATE ALL", "SELECT CASE WHEN 1/0 = 1 THEN 2 END", "VALUES (1), ('x')", ";;", "DISCARD ALL",
		"SELECT A()OVER()", "SELECT coalesce(1) OVER (ORDER BY a())", "SELECT a() WITHIN GROUP (ORDER BY 1)",
	} {
		f.Add(s)
	}
	for _, s := range seedStatements(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := hijack(t, "50ms")
		defer h.close()
		text = strings.ReplaceAll(text, "\x00", " ") // it would end the message
		h.answer(&pgproto3.Query{String: text})
		h.answer(&pgproto3.Query{String: "ROLLBACK"})
		h.answer(&pgproto3.Parse{Query: text}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'},
			&pgproto3.Execute{MaxRows: 3}, &pgproto3.Execute{MaxRows: 3}, &pgproto3.Sync{})
		h.answer(&pgproto3.Query{String: "ROLLBACK"})
		h.goesOn()
	})
}
