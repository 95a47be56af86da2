package kafka_test

import (
	"fmt"
	"slices"
	"strings"
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

// TestHeadersGoOnIntoWhatAQueryWrites reads results as a Kafka client does: of queries that make a row of one record, also where the rows are dealt anew, and of such that make one of several.
func TestHeadersGoOnIntoWhatAQueryWrites(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "calls", 2, nil)
	db := nodetest.Connect(t, nodetest.ConnString(n))
	for _, query := range []string{
		`CREATE STREAM calls (word TEXT, n BIGINT) WITH (topic = 'calls')`,
		`CREATE TABLE words (word TEXT PRIMARY KEY, id INT)`,
		`INSERT INTO words VALUES ('a', 1), ('b', 2)`,
		`CREATE STREAM loud AS SELECT upper(word) AS word, n FROM calls WHERE n >= 0`,
		`CREATE STREAM keyed AS SELECT word, n FROM loud PARTITION BY word`,
		`CREATE STREAM joined AS SELECT c.word, w.id FROM calls c JOIN words w ON c.word = w.word`,
		`CREATE STREAM twice AS SELECT word, unnest(ARRAY[1, 2]) AS copy FROM calls`,
		`CREATE STREAM target (word TEXT, n BIGINT) WITH (topic = 'target', value_format = 'json', partitions = 1)`,
		`INSERT INTO target SELECT word, n FROM keyed UNION ALL SELECT word, n FROM calls EMIT CHANGES`,
		`CREATE TABLE latest (word TEXT PRIMARY KEY, n BIGINT) WITH (topic = 'latest', value_format = 'json', partitions = 1)`,
		`INSERT INTO latest SELECT word, n FROM keyed EMIT CHANGES`,
		`CREATE TABLE counted AS SELECT word, count(*) AS n FROM calls GROUP BY word`,
	} {
		_, err := db.Exec(t.Context(), query)
		require.NoError(t, err, query)
	}
	trace := []kgo.RecordHeader{{Key: "trace", Value: []byte("t1")}, {Key: "empty", Value: []byte{}}, {Key: "null"}, {Key: "trace", Value: []byte("t2")}}
	own := kgo.RecordHeader{Key: "millrace.time", Value: []byte{2}}
	for _, r := range []*kgo.Record{
		{Value: []byte(`{"word":"a","n":1}`), Headers: append(slices.Clone(trace), own)},
		{Value: []byte(`{"word":"b","n":2}`)},
	} {
		r.Topic = "calls"
		require.NoError(t, cl.ProduceSync(t.Context(), r).FirstErr())
	}
	// of reads so many records of a topic and returns the headers of each by the part of its value or key that names it, without the node's own.
	of := func(topic string, records int) map[string][]kgo.RecordHeader {
		t.Helper()
		reader := client(t, n, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer reader.Close()
		got := map[string][]kgo.RecordHeader{}
		for read := 0; read < records; {
			fetches := reader.PollFetches(t.Context())
			require.NoError(t, fetches.Err())
			fetches.EachRecord(func(r *kgo.Record) {
				read++
				own := func(h kgo.RecordHeader) bool { return strings.HasPrefix(h.Key, "millrace.") }
				got[fmt.Sprintf("%s %s", r.Key, r.Value)] = slices.DeleteFunc(r.Headers, own)
			})
		}
		return got
	}
	for topic, want := range map[string]map[string][]kgo.RecordHeader{
		"loud":    {` {"word":"A","n":1}`: trace, ` {"word":"B","n":2}`: {}},
		"keyed":   {`A {"n":1}`: trace, `B {"n":2}`: {}},
		"joined":  {` {"word":"a","id":1}`: trace, ` {"word":"b","id":2}`: {}},
		"twice":   {` {"word":"a","copy":1}`: trace, ` {"word":"a","copy":2}`: trace, ` {"word":"b","copy":1}`: {}, ` {"word":"b","copy":2}`: {}},
		"target":  {` {"word":"a","n":1}`: trace, ` {"word":"b","n":2}`: {}, ` {"word":"A","n":1}`: trace, ` {"word":"B","n":2}`: {}},
		"latest":  {`A {"n":1}`: trace, `B {"n":2}`: {}},
		"counted": {`a {"n":1}`: {}, `b {"n":1}`: {}},
	} {
		got := of(topic, len(want))
		for key, headers := range want {
			if len(headers) == 0 {
				require.Empty(t, got[key], "%s: %s of %v", topic, key, got)
			} else {
				require.Equal(t, headers, got[key], "%s: %s of %v", topic, key, got)
			}
		}
		require.Len(t, got, len(want), topic)
	}
}
