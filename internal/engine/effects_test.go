package engine

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/pgwire"
)

// sent is what a client sends, as a relay keeps it.
func sent(t *testing.T, messages ...pgproto3.FrontendMessage) (out []pgwire.Message) {
	t.Helper()
	for _, m := range messages {
		b, err := m.Encode(nil)
		require.NoError(t, err)
		out = append(out, pgwire.Message{Type: b[0], Body: b[5:]})
	}
	return out
}

func TestWhatWasNotAnsweredIsJudgedOnTheSafeSide(t *testing.T) {
	writes, commits, givesUp := pgwire.Effects{Writes: true}, pgwire.Effects{Commits: true}, pgwire.Effects{GivesUp: true}
	for text, want := range map[string]pgwire.Effects{
		"SELECT 1":                              {},
		"SELECT v FROM t EMIT CHANGES":          {},
		"SELECT nextval('s')":                   {}, // a number that nobody gets
		"SELECT pg_notify('c', 'x')":            writes,
		"SELECT setval('s', 1)":                 writes,
		"SELECT v INTO other FROM t":            writes,
		"VALUES (1)":                            {},
		"SHOW TimeZone":                         {},
		"SET TimeZone = 'UTC'":                  {},
		"LISTEN c":                              {},
		"NOTIFY c":                              writes,
		"BEGIN":                                 {},
		"BEGIN; SELECT 1":                       {},
		"COMMIT":                                commits,
		"END":                                   commits,
		"/* a comment */ COMMIT":                commits,
		"SELECT 1; COMMIT":                      commits,
		"INSERT INTO t VALUES (1); COMMIT":      {Writes: true, Commits: true},
		"ROLLBACK":                              givesUp,
		"ROLLBACK; SELECT 1":                    {},
		"ROLLBACK; INSERT INTO t VALUES (1)":    writes,
		"ROLLBACK AND CHAIN":                    {},
		"ROLLBACK TO s":                         {},
		"INSERT INTO t VALUES (1)":              writes,
		"COPY t FROM STDIN":                     writes,
		"COPY t TO STDOUT":                      {},
		"CREATE TABLE x (id INT PRIMARY KEY)":   writes,
		"EXPLAIN SELECT 1":                      {},
		"PREPARE p AS INSERT INTO t VALUES (1)": {},
		"EXECUTE unknown":                       {Writes: true, Commits: true},
		"EXECUTE byid (1)":                      {},
		"EXECUTE add (1)":                       writes,
		"not SQL at all":                        {},
	} {
		state := pgwire.State{
			stateStatement + "byid": "1\x0023\x00sql\x000\x00PREPARE byid (int) AS SELECT v FROM t WHERE id = $1",
			stateStatement + "add":  "1\x0023\x00\x000\x00INSERT INTO t VALUES ($1)",
		}
		require.Equal(t, want, Judge(state, sent(t, &pgproto3.Query{String: text})), text)
		if text == "EXECUTE byid (1)" {
			require.Equal(t, pgwire.Effects{}, Judge(state, sent(t, &pgproto3.Bind{PreparedStatement: "byid"}, &pgproto3.Execute{}, &pgproto3.Sync{})))
			require.Equal(t, writes, Judge(state, sent(t, &pgproto3.Bind{PreparedStatement: "add"}, &pgproto3.Execute{}, &pgproto3.Sync{})))
		}
	}
	extended := func(text string) []pgwire.Message {
		return sent(t, &pgproto3.Parse{Name: "x", Query: text}, &pgproto3.Describe{ObjectType: 'S', Name: "x"}, &pgproto3.Bind{PreparedStatement: "x"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	}
	require.Equal(t, pgwire.Effects{}, Judge(nil, extended("SELECT $1::int")))
	require.Equal(t, writes, Judge(nil, extended("INSERT INTO t VALUES ($1)")))
	require.Equal(t, givesUp, Judge(nil, extended("ROLLBACK")))
	unknown := pgwire.Effects{Writes: true, Commits: true}
	require.Equal(t, unknown, Judge(nil, []pgwire.Message{{Type: 'Q'}}), "too long to be kept")
	require.Equal(t, unknown, Judge(nil, []pgwire.Message{{}}))
	require.Equal(t, unknown, Judge(nil, []pgwire.Message{{Type: 'B', Body: []byte("rubbish")}}))
	require.Equal(t, pgwire.Effects{}, Judge(nil, sent(t, &pgproto3.Sync{})))
}
