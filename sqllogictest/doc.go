// Package sqllogictest runs scripts of SQL statements with the results they must give, against any server that speaks PostgreSQL's wire protocol.
// It is a black box: it knows a connection string and nothing else of the server.
//
// A script is a text file of records, separated by blank lines. Lines that begin with # are comments. Each script runs in a database of its
// own. parse.go reads scripts, run.go runs them, exec.go talks to the server, value.go says how a row is written, rewrite.go writes what the
// server gave into the script. When a record fails, the report has its file and line, the SQL, and the difference of the rows.
//
// # Statements
//
// A statement must succeed; or succeed and touch n rows; or fail with an SQLSTATE and, if given, a message that a regular expression finds.
//
//	statement ok
//	CREATE TABLE t (a INT PRIMARY KEY, b TEXT)
//
//	statement count 2
//	INSERT INTO t VALUES (1, 'one'), (2, NULL)
//
//	statement error 23505 duplicate key
//	INSERT INTO t VALUES (1, 'uno')
//
// # Queries
//
// A query names the types of its columns, one letter each, and after a line of four dashes the rows, one a line, columns parted by " | ".
//
//	query IT rowsort
//	SELECT a, b FROM t
//	----
//	1 | one
//	2 | NULL
//
// The letters are B boolean, I integers, N numeric, F floats, T text, D dates, times and intervals, X bytea, U uuid, J json, A arrays, O anything
// else; ? in the script accepts any type. Values are as the server writes them in text. NULL is the SQL null; a value that is empty, that is
// the text NULL, that begins or ends with a blank or a double quote, or that has a line break, a control character or " | " in it is written as a
// Go string in double quotes. After the types come, in any order:
//
//	nosort      rows in the order given (the default)
//	rowsort     rows sorted on both sides, for a query without ORDER BY
//	valuesort   all values of all rows sorted, one a line
//	names       the first line holds the names of the columns
//	label       any other word: all queries of a script with the same label must give the same rows
//
// A query that is not expected to end by itself is a push: the runner reads n rows, cancels, and expects the server to end it with 57014.
//
//	push 2 IT rowsort
//	SELECT a, b FROM t EMIT CHANGES
//	----
//	1 | one
//	2 | NULL
//
// COPY has two directives: one sends the lines after the dashes, the other compares what the server sends. Lines are as they are on the wire.
//
//	copy count 2
//	COPY t FROM STDIN WITH (FORMAT csv)
//	----
//	3,three
//	4,
//
//	copy error 22P02
//	COPY t FROM STDIN WITH (FORMAT csv)
//	----
//	five,5
//
//	copyout rowsort
//	COPY t TO STDOUT WITH (FORMAT csv)
//	----
//	3,three
//	4,
//
// # Sessions
//
// Records run on the connection "default" until told otherwise; a connection is opened when it is first named.
//
//	connection second
//
//	statement ok
//	BEGIN
//
//	connection default
//
// # Restarts
//
// restart asks the harness to stop the server in order and start it again, with the same data. All connections are opened anew, and the SET and RESET
// statements that each had run run again. A harness without such a hook (PostgreSQL) leaves it out. norestart says that the script holds state of a session (a prepared statement,
// a cursor, LISTEN) and that a harness must not restart the server at a place of its own choosing.
//
//	restart
//
//	norestart
//
// # Variables
//
// $name and ${name} in SQL and in expected rows stand for a value: one that the harness gave (partitions), or the first value that a let read.
// Names begin with a letter, so $1 is a parameter and $$ a quote. ${name} must exist; $name stays as it is if it does not.
//
//	let $id
//	SELECT max(a) FROM t
//
//	statement ok
//	DELETE FROM t WHERE a = $id
//
// # The rest
//
// skipif and onlyif hold for the next record, and name an engine (millrace, postgres). include runs the records of another file, found beside
// this one. timeout bounds each of the following records (default 30s). halt ends the script.
//
//	skipif postgres
//	statement ok
//	SET emit = 'each'
//
//	include tables.inc
//
//	timeout 5s
//
//	halt
package sqllogictest
