//go:build clients

package clients

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// psqlCommand is psql with statements, each sent by itself. The first that fails ends it.
func psqlCommand(statements ...string) []string {
	args := []string{"psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	return args
}

func testPsql(t *testing.T, env environment) {
	out := run(t, env, `
DROP TABLE IF EXISTS psql_items CASCADE;
DROP STREAM IF EXISTS psql_events CASCADE DELETE TOPIC;
CREATE TABLE psql_items (id INT PRIMARY KEY, name TEXT);
CREATE STREAM psql_events (n INT, word TEXT);
INSERT INTO psql_events VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO psql_items VALUES (7, $$seven's$$), (8, NULL);
\copy psql_items from pstdin with (format csv)
9,nine
10,"ten ""x"""
\.
\echo rows
SELECT * FROM psql_items ORDER BY id;
\copy (SELECT * FROM psql_items WHERE id > 8 ORDER BY id) to stdout csv header
\echo several
SELECT 1 \; SELECT 2 \; SELECT 3;
\echo in the end
SELECT count(*) FROM psql_items \gset n_
\echo :n_count
\echo described
SELECT 1 AS one, 'x'::varchar(3) AS x \gdesc
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM psql_items ORDER BY id;
FETCH 2 FROM c;
ROLLBACK;
\set VERBOSITY sqlstate
\echo errors
SELECT * FROM nowhere;
INSERT INTO psql_items VALUES (7, 'again');
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1/0;
SELECT 'goes on';
COMMIT;
\set ON_ERROR_ROLLBACK off
LISTEN psql_news;
NOTIFY psql_news, 'hello';
`, "psql", "-X", "-q", "-At")
	for _, want := range []string{
		"rows\n7|seven's\n8|\n9|nine\n10|ten \"x\"\nid,name\n9,nine\n10,\"ten \"\"x\"\"\"\n", "several\n1\n2\n3\n", "in the end\n4\n",
		"described\none|integer\nx|character varying(3)\n7\n8\n", "42P01\n", "23505\n", "22012\ngoes on\n",
		`Asynchronous notification "psql_news" with payload "hello" received`,
	} {
		require.Contains(t, out, want)
	}
	psqlStreams(t, env)
}

// psqlStreams watches a push query row by row on a terminal, and interrupts it with Ctrl-C.
func psqlStreams(t *testing.T, env environment) {
	for name, setting := range map[string]string{"FETCH_COUNT": `\set FETCH_COUNT 1`, "push_output": "SET push_output = 'copy';"} {
		t.Run(name, func(t *testing.T) {
			terminal := newTerminal(t, env, "psql", "-X", "-q", "-t", "-P", "pager=off")
			terminal.enter(setting + "\nSET auto_offset_reset = 'earliest';\nSELECT n, word FROM psql_events EMIT CHANGES;\n")
			terminal.expect("three")
			sql(t, env, "INSERT INTO psql_events VALUES (4, '"+name+"-row')")
			terminal.expect(name + "-row")
			terminal.enter("\x03")
			terminal.expect("canceling statement due to user request")
			terminal.enter("\\q\n")
			terminal.end()
		})
	}
}
