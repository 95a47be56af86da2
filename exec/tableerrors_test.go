package exec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// badRecords appends records of keys from to below end that do not decode.
func (h *harness) badRecords(name string, from, end int) {
	for i := from; i < end; i++ {
		h.append(h.rels[name], fmt.Appendf(nil, "\x00\x00\x00%c", i), fmt.Appendf(nil, "no row %d", i), 1000)
	}
}

// errorsOf are the payloads of the rows of millrace.errors that are of no query, sorted.
func (h *harness) errorsOf(topic string) (payloads []string) {
	for _, v := range h.records(errorsTopic) {
		if !strings.Contains(v, `"query`) {
			require.Contains(h.t, v, fmt.Sprintf(`"topic":%q`, topic))
			_, rest, ok := strings.Cut(v, `"payload":"`)
			require.True(h.t, ok, v)
			payload, _, _ := strings.Cut(rest, `"`)
			payloads = append(payloads, payload)
		}
	}
	slices.Sort(payloads)
	return payloads
}

func (k *keeper) skipped(name string) (n int64) {
	rel := k.h.rels[name]
	for p := range rel.Partitions {
		n += k.tables.Skipped(rel.OID, p)
	}
	return n
}

func noRows(from, end int) (payloads []string) {
	for i := from; i < end; i++ {
		payloads = append(payloads, fmt.Sprint("no row ", i))
	}
	slices.Sort(payloads)
	return payloads
}

// TestRecordsThatATableCannotDecodeAreKeptOnce: whoever reads them, and however often.
func TestRecordsThatATableCannotDecodeAreKeptOnce(t *testing.T) {
	h := newHarness(t, 3)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (topic = 'theirs', key_format = 'kafka', value_format = 'json')`)
	serving := &keeper{h: h, state: h.w.state, tables: h.w.tables}
	k := h.newKeeper()
	k.follow(h.rels["t"])
	h.put("t", `{"id":1,"v":"a"}`)
	h.badRecords("t", 10, 20)
	h.put("t", `{"id":2,"v":"b"}`)
	rows := []string{"1|a", "2|b"}
	require.Equal(t, rows, serving.rows(h.rels["t"]))
	require.Equal(t, rows, k.rows(h.rels["t"]))
	require.Equal(t, noRows(10, 20), h.errorsOf("theirs"), "a standby writes none")
	require.EqualValues(t, 10, serving.skipped("t"))
	require.EqualValues(t, 10, k.skipped("t"))

	for _, keepState := range []bool{true, false} {
		h.restart(keepState)
		serving.state, serving.tables = h.w.state, h.w.tables
		require.Equal(t, rows, serving.rows(h.rels["t"]))
		require.Equal(t, noRows(10, 20), h.errorsOf("theirs"))
		require.EqualValues(t, 10, serving.skipped("t"))
	}

	h.w.close() // it goes before it has read what comes now, and the standby has
	h.badRecords("t", 20, 40)
	require.Equal(t, rows, k.rows(h.rels["t"]))
	require.Equal(t, noRows(10, 20), h.errorsOf("theirs"))
	k.open(false)
	k.follow(h.rels["t"])
	require.Equal(t, rows, k.rows(h.rels["t"]))
	require.Equal(t, noRows(10, 40), h.errorsOf("theirs"))
	require.EqualValues(t, 30, k.skipped("t"))
}

// TestAStandbyKeepsFewRecordsThatDoNotDecode: it does not hear what was written of them.
func TestAStandbyKeepsFewRecordsThatDoNotDecode(t *testing.T) {
	h := newHarness(t, 1)
	h.run(`CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (topic = 'theirs', key_format = 'kafka', value_format = 'json')`)
	h.w.close()
	k := h.newKeeper()
	k.follow(h.rels["t"])
	h.badRecords("t", 0, 120)
	require.Empty(t, k.rows(h.rels["t"]))
	require.EqualValues(t, 120, k.skipped("t"))
	k.open(false)
	k.follow(h.rels["t"])
	require.Empty(t, k.rows(h.rels["t"]))
	require.Equal(t, noRows(20, 120), h.errorsOf("theirs"), "the newest")
	require.EqualValues(t, 120, k.skipped("t"))
}
