package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestColumnsShowTheHeadersOfRecords reads them as columns, as a pseudo column, in a push query and in a persistent query.
func TestColumnsShowTheHeadersOfRecords(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "orders", 1, nil)
	for _, headers := range [][]kgo.RecordHeader{
		{{Key: "trace", Value: []byte("t1")}, {Key: "source", Value: []byte("shop")}, {Key: "trace", Value: []byte("t2")}},
		{{Key: "source"}, {Key: "bad\xff", Value: []byte{0}}},
		nil,
	} {
		require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(`{"amount":1}`), Headers: headers}).FirstErr())
	}
	db := nodetest.Connect(t, nodetest.ConnString(n))
	run := func(query string) {
		t.Helper()
		_, err := db.Exec(t.Context(), query)
		require.NoError(t, err, query)
	}
	texts := func(query string) [][]string {
		t.Helper()
		rows, err := nodetest.Texts(t.Context(), db, query)
		require.NoError(t, err, query)
		return rows
	}
	run(`CREATE STREAM orders (amount BIGINT, h ARRAY<STRUCT<key TEXT, value BYTEA>> HEADERS, source BYTEA HEADER('source'), trace BYTEA HEADER('trace')) WITH (topic = 'orders')`)
	require.Equal(t, [][]string{
		{"1", "3", "shop", "t2"},
		{"1", "2", "NULL", "NULL"},
		{"1", "0", "NULL", "NULL"},
	}, texts(`SELECT amount, cardinality(h), coalesce(convert_from(source, 'UTF8'), 'NULL'), coalesce(convert_from(trace, 'UTF8'), 'NULL') FROM orders ORDER BY rowoffset`))
	require.Equal(t, [][]string{{"bad\uFFFD", `\x00`}}, texts(`SELECT (h[2]).key, (h[2]).value FROM orders WHERE rowoffset = 1`))
	require.Equal(t, [][]string{{"trace", "3"}}, texts(`SELECT (headers[1]).key, cardinality(headers) FROM orders WHERE cardinality(headers) = 3`))

	run(`SET auto_offset_reset = 'earliest'`)
	require.Equal(t, [][]string{{"3"}, {"2"}, {"0"}}, texts(`SELECT cardinality(h) FROM orders EMIT CHANGES LIMIT 3`))
	run(`CREATE TABLE by_source AS SELECT coalesce(convert_from(source, 'UTF8'), 'none') AS source, count(*) AS n FROM orders GROUP BY coalesce(convert_from(source, 'UTF8'), 'none')`)
	require.Equal(t, [][]string{{"none", "2"}, {"shop", "1"}}, texts(`SELECT source, n FROM by_source ORDER BY source`))

	run(`INSERT INTO orders VALUES (7)`)
	require.Equal(t, [][]string{{"7", "0"}}, texts(`SELECT amount, cardinality(h) FROM orders WHERE amount = 7`))
	for query, code := range map[string]string{
		`INSERT INTO orders (amount, source) VALUES (8, 'x')`:                           "42P10",
		`CREATE STREAM x (a INT, h TEXT HEADERS) WITH (topic = 'orders')`:               "42P16",
		`CREATE STREAM x (a INT, h TEXT HEADER('k')) WITH (topic = 'orders')`:           "42P16",
		`CREATE STREAM x (a INT, h BYTEA HEADER('')) WITH (topic = 'orders')`:           "42P16",
		`CREATE STREAM x (a INT, h BYTEA NOT NULL HEADER('k')) WITH (topic = 'orders')`: "42P16",
		`CREATE TABLE x (a INT PRIMARY KEY, h BYTEA HEADER('k'))`:                       "42P16",
	} {
		_, err := db.Exec(t.Context(), query)
		require.ErrorContains(t, err, code, query)
	}
}
