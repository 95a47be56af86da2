package sqllogictest

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

var answers = map[string]answer{
	"two":    {names: []string{"a", "b"}, oids: []uint32{int4, text}, rows: [][]string{{"2", "x"}, {"1", "\x00"}}, tag: "SELECT 2"},
	"odd":    {oids: []uint32{text}, rows: [][]string{{""}, {"NULL"}, {" a"}, {"a | b"}, {"a\nb"}, {`"`}}, tag: "SELECT 6"},
	"three":  {tag: "UPDATE 3"},
	"wrong":  {code: "22012"},
	"begin":  {tag: "BEGIN", tx: 'T'},
	"inside": {tag: "INSERT 0 1", tx: 'T'},
	"commit": {tag: "COMMIT"},
	"push":   {oids: []uint32{int4}, rows: [][]string{{"1"}, {"2"}, {"3"}}, hang: true},
	"ends":   {oids: []uint32{int4}, rows: [][]string{{"1"}}, tag: "SELECT 1"},
	"x = 2":  {tag: "DELETE 1"},
	"in":     {copyIn: "1,a\n2,b\n", tag: "COPY 2"},
	"in bad": {copyIn: "1,a\n", code: "22P02"},
	"out":    {copyOut: []string{"2,b\n", "1,a\n"}, tag: "COPY 2"},
	"later":  {first: "57P03", tag: "UPDATE 1"},
	"lost":   {first: "40003", tag: "UPDATE 1"},
	"late":   {code: "57P03"},

	"CREATE moved": {first: "40001", tag: "CREATE TABLE"},

	"SELECT moved": {first: "57P01", oids: []uint32{int4}, rows: [][]string{{"1"}}, tag: "SELECT 1"},

	"silent": {oids: []uint32{int4}, hang: true},
}

func parse(t *testing.T, script string) *Script {
	t.Helper()
	s, err := Parse(fstest.MapFS{
		"dir/main.slt": {Data: []byte(script)},
		"dir/more.inc": {Data: []byte("statement count 3\nthree\n")},
		"dir/self.inc": {Data: []byte("include self.inc\n")},
	}, "dir/main.slt")
	require.NoError(t, err)
	return s
}

// runScript returns what failed, and what the server was asked.
func runScript(t *testing.T, script string, change func(*Options)) (fails []string, asked []string, restarts int) {
	t.Helper()
	srv := newServer(t, answers)
	opts := Options{Engine: "millrace", Fresh: srv.fresh(&restarts), Vars: map[string]string{"partitions": "4"}}
	if change != nil {
		change(&opts)
	}
	failures, err := parse(t, script).Run(t.Context(), opts)
	require.NoError(t, err)
	for _, f := range failures {
		fails = append(fails, f.Error())
	}
	return fails, srv.asked(), restarts
}

// held are records that the scripted server satisfies.
var held = []string{
	"statement ok\nthree",
	"statement count 3\nthree",
	"statement error 22012\nwrong",
	"statement error 22012 of 2+0\nwrong",
	"query IT\ntwo\n----\n2 | x\n1 | NULL",
	"query I?\ntwo\n----\n2 | x\n1 | NULL",
	"query IT rowsort\ntwo\n----\n1 | NULL\n2 | x",
	"query IT valuesort\ntwo\n----\n1\n2\nNULL\nx",
	"query IT names\ntwo\n----\na | b\n2 | x\n1 | NULL",
	"query T\nodd\n----\n\"\"\n\"NULL\"\n\" a\"\n\"a | b\"\n\"a\\nb\"\n\"\\\"\"",
	"push 2 I\npush\n----\n1\n2",
	"push 1 I\nends\n----\n1",
	"include more.inc",
	"let $id\ntwo\n\nstatement ok\nx = $id\n\nstatement ok\nx = ${id}",
	"query I\nends\n----\n1\n\nquery I a\nends\n----\n1\n\nquery I a\nends\n----\n1",
	"skipif millrace\nstatement ok\nwrong",
	"onlyif postgres\nstatement ok\nwrong",
	"halt\n\nstatement ok\nwrong",
	"copy count 2\nin\n----\n1,a\n2,b",
	"copy error 22P02\nin bad\n----\n1,a",
	"copy error 22012\nwrong\n----\n1,a",
	"copyout\nout\n----\n2,b\n1,a",
	"copyout rowsort\nout\n----\n1,a\n2,b",
}

func TestRecordsThatHoldPass(t *testing.T) {
	for _, script := range held {
		fails, _, _ := runScript(t, script, nil)
		require.Empty(t, fails, script)
	}
}

// broken are records that the scripted server does not satisfy, with a part of the report.
var broken = map[string]string{
	"statement ok\nwrong":                                                "dir/main.slt:1:\n    wrong\n22012: message of 22012",
	"statement count 2\nthree":                                           "3 rows were touched; want 2",
	"statement error 22003\nwrong":                                       "want 22003",
	"statement error 22012 nothing like\nwrong":                          `want a message that matches "nothing like"`,
	"statement error 22012\nthree":                                       "no error; want 22012",
	"query IT\nwrong\n----":                                              "22012",
	"query TT\ntwo\n----\n2 | x\n1 | NULL":                               `types "IT"; want "TT"`,
	"query IT\ntwo\n----\n1 | NULL\n2 | x":                               "    - 1 | NULL\n      2 | x\n    + 1 | NULL\n",
	"query IT\ntwo\n----\n2 | x":                                         "    + 1 | NULL",
	"query IT names\ntwo\n----\na | c\n2 | x\n1 | NULL":                  "    - a | c\n    + a | b",
	"push 2 I\nends\n----\n1\n2":                                         "the query ended by itself after 1 rows",
	"push 2 I\nwrong\n----\n1\n2":                                        "22012",
	"push 2 I\npush\n----\n1\n3":                                         "    - 3\n    + 2",
	"let $a\nthree":                                                      "gave no row",
	"query I a\nends\n----\n1\n\nquery IT a\ntwo\n----\n2 | x\n1 | NULL": "label a: rows differ from those at dir/main.slt:1",
	"copy count 3\nin\n----\n1,a\n2,b":                                   "2 rows were touched; want 3",
	"copy ok\nin bad\n----\n1,a":                                         "22P02",
	"copyout\nout\n----\n1,a\n2,b":                                       "    - 1,a\n      2,b\n    + 1,a",
	"copyout\nwrong\n----":                                               "22012",
	"statement ok\nthree\n\ntimeout 20ms\n\nquery I\nsilent\n----":       "no answer in 20ms", // it has a connection before
}

func TestRecordsThatDoNotHoldAreReported(t *testing.T) {
	for script, want := range broken {
		fails, _, _ := runScript(t, script, nil)
		require.Len(t, fails, 1, script)
		require.Contains(t, fails[0], want, script)
	}
}

func TestScriptGoesOnAfterATimeout(t *testing.T) {
	const script = "timeout 2m\n\nstatement ok\nthree\n\ntimeout 20ms\n\nquery I\nsilent\n----\n\ntimeout 2m\n\nstatement ok\nthree"
	fails, asked, _ := runScript(t, script, nil)
	require.Len(t, fails, 1)
	require.Equal(t, []string{"three", "silent", "three"}, asked)
}

// bad are scripts that do not parse.
var bad = map[string]string{
	"statement":                  "main.slt:1: want: ok | count n",
	"statement maybe\nx":         "want: ok | count n",
	"statement ok":               "SQL is missing",
	"statement error 2201\nx":    "want: ok | count n",
	"statement error 22012 (\nx": "missing closing )",
	"\n\nfrobnicate":             `main.slt:3: unknown directive "frobnicate"`,
	"push x I\nq":                `"x" is no number of rows`,
	"query I a b\nq":             "two labels",
	"let id\nq":                  `"id" is no variable`,
	"timeout soon":               "invalid duration",
	"connection":                 "want: connection name",
	"include none.inc":           "none.inc",
	"include self.inc":           "more than 8 deep",
	"onlyif":                     "want: onlyif engine",
}

func TestScriptsThatDoNotParseNameTheLine(t *testing.T) {
	for script, want := range bad {
		_, err := Parse(fstest.MapFS{"main.slt": {Data: []byte(script)}, "self.inc": {Data: []byte("include self.inc")}}, "main.slt")
		require.ErrorContains(t, err, want, script)
	}
}

func TestUnknownVariableInBracesEndsTheScript(t *testing.T) {
	restarts := 0
	_, err := parse(t, "statement ok\nx = ${nothing}").Run(t.Context(), Options{Fresh: newServer(t, answers).fresh(&restarts)})
	require.ErrorContains(t, err, "dir/main.slt:1: no variable ${nothing}")
}

func TestVariablesLeaveParametersAndQuotesAlone(t *testing.T) {
	_, asked, _ := runScript(t, "statement ok\n$1 $$a$$ $b$c$b$ $partitions ${partitions}", nil)
	require.Equal(t, []string{"$1 $$a$$ $b$c$b$ 4 4"}, asked)
}

func TestConnectionsAreApart(t *testing.T) {
	_, asked, _ := runScript(t, "statement ok\nbegin\n\nconnection other\n\nstatement ok\nthree\n\nconnection default\n\nstatement ok\ncommit", nil)
	require.Equal(t, []string{"begin", "three", "commit"}, asked)
}

func TestRestartGivesConnectionsTheirSettingsBack(t *testing.T) {
	script := "statement ok\nSET a = 1\n\nstatement ok\nSET LOCAL b = 1\n\nstatement ok\nRESET a\n\nrestart\n\nstatement ok\nthree"
	_, asked, restarts := runScript(t, script, nil)
	require.Equal(t, 1, restarts)
	require.Equal(t, []string{"SET a = 1", "SET LOCAL b = 1", "RESET a", "SET a = 1", "RESET a", "three"}, asked)
}

func TestChosenRestartWaitsForTheEndOfATransaction(t *testing.T) {
	script := "statement ok\nSET a = 1\n\nstatement ok\nbegin\n\nstatement ok\ninside\n\nstatement ok\ncommit\n\nstatement ok\nthree"
	require.Equal(t, 5, parse(t, script).Statements())
	_, asked, restarts := runScript(t, script, func(o *Options) { o.RestartAt = 3 })
	require.Equal(t, 1, restarts)
	require.Equal(t, []string{"SET a = 1", "begin", "inside", "commit", "SET a = 1", "three"}, asked)
}

func TestHarnessWithoutRestartLeavesItOut(t *testing.T) {
	srv := newServer(t, answers)
	fresh := func(context.Context) (Target, error) { return Target{ConnString: srv.connString()}, nil }
	failures, err := parse(t, "statement ok\nSET a = 1\n\nrestart\n\nstatement ok\nthree").Run(t.Context(), Options{Fresh: fresh, RestartAt: 2})
	require.NoError(t, err)
	require.Empty(t, failures)
	require.Equal(t, []string{"SET a = 1", "three"}, srv.asked())
}

// killed runs a script whose connections are dealt over two servers, the first of which is killed before a statement.
func killed(t *testing.T, script string, at int) (failures []Failure, first, second []string, err error) {
	t.Helper()
	a, b := newServer(t, answers), newServer(t, answers)
	failures, err = parse(t, script).Run(t.Context(), Options{KillAt: at, Fresh: func(context.Context) (Target, error) {
		return Target{ConnStrings: []string{a.connString(), b.connString()}, Kill: func(context.Context) ([]string, error) {
			a.kill()
			return []string{b.connString()}, nil
		}}, nil
	}})
	return failures, a.asked(), b.asked(), err
}

func TestConnectionsAreDealtOverServers(t *testing.T) {
	failures, first, second, err := killed(t, "statement ok\nthree\n\nconnection other\n\nstatement ok\nx = 2\n\nconnection default\n\nstatement ok\ncommit", 0)
	require.NoError(t, err)
	require.Empty(t, failures)
	require.Equal(t, []string{"three", "commit"}, first)
	require.Equal(t, []string{"x = 2"}, second)
}

func TestAfterAKillAStatementGoesToAnotherServer(t *testing.T) {
	failures, first, second, err := killed(t, "statement ok\nSET a = 1\n\nstatement count 3\nthree\n\nstatement count 1\nlater\n\nstatement ok\ncommit", 3)
	require.NoError(t, err)
	require.Empty(t, failures)
	require.Equal(t, []string{"SET a = 1", "three"}, first)
	require.Equal(t, []string{"SET a = 1", "later", "later", "commit"}, second)
}

func TestOnSeveralServersWhatADriverMaySendAgainIsSentAgainAsOftenAsItTakes(t *testing.T) {
	failures, first, _, err := killed(t, "statement count 1\nlater\n\nquery I\nSELECT moved\n----\n1\n\nstatement error 57P03\nlate", 0)
	require.NoError(t, err)
	require.Empty(t, failures)
	require.Equal(t, []string{"later", "later", "SELECT moved", "SELECT moved", "late"}, first)
}

func TestWhatNobodyKnowsTheOutcomeOfEndsARunOverSeveralServers(t *testing.T) {
	for script, killAt := range map[string]int{
		"statement ok\nlost":                                      0, // a write
		"statement ok\nCREATE moved":                              0, // a definition
		"statement ok\nbegin\n\nquery I\nSELECT moved\n----\n1":   0, // in a transaction
		"norestart\n\nstatement ok\nthree\n\nstatement ok\nthree": 2, // a session that has more than settings
	} {
		_, _, _, err := killed(t, script, killAt)
		require.ErrorIs(t, err, ErrBrokenOff, script)
	}
}

func TestOnOneServerNothingIsSentAgain(t *testing.T) {
	fails, asked, _ := runScript(t, "statement ok\nlater", nil)
	require.Len(t, fails, 1)
	require.Equal(t, []string{"later"}, asked)
}

func TestRewrittenHasWhatTheServerGave(t *testing.T) {
	script := strings.Join([]string{
		"# a comment", "query", "two", "", "query TT rowsort # no", "two", "----", "old", "rows", "", "push 2", "push", "----", "", "include more.inc", "",
		"query ??", "two", "----", "", "query I", "wrong", "----", "stays",
	}, "\n") + "\n"
	script = strings.Replace(script, " # no", "", 1)
	s := parse(t, script)
	restarts := 0
	failures, err := s.Run(t.Context(), Options{Fresh: newServer(t, answers).fresh(&restarts), Rewrite: true})
	require.NoError(t, err)
	require.Len(t, failures, 1, "a query that fails has no rows to write")
	want := strings.Join([]string{
		"# a comment", "query IT", "two", "----", "2 | x", "1 | NULL", "", "query IT rowsort", "two", "----", "1 | NULL", "2 | x", "",
		"push 2 I", "push", "----", "1", "2", "", "include more.inc", "", "query ??", "two", "----", "2 | x", "1 | NULL", "", "query I", "wrong", "----", "stays",
	}, "\n") + "\n"
	require.Equal(t, want, string(s.Rewritten()))
	// What was written is held by the same server.
	again := parse(t, strings.Split(want, "\nquery I\n")[0])
	failures, err = again.Run(t.Context(), Options{Fresh: newServer(t, answers).fresh(&restarts)})
	require.NoError(t, err)
	require.Empty(t, failures)
}
