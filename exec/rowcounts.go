package exec

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// RowCounts are what a task has read and written, for ever: whoever runs it next goes on from what was committed.
type RowCounts struct {
	RowsIn     int64
	RowsOut    int64
	SourceRows int64 // of RowsIn, those of streams and tables rather than of exchanges
	SinkRows   int64 // of RowsOut, those for the query's result
}

// all are the counters, in the order in which they are kept.
func (c *RowCounts) all() [4]*int64 {
	return [4]*int64{&c.RowsIn, &c.RowsOut, &c.SourceRows, &c.SinkRows}
}

// wrote adds records of the task's output. Those of its changelog are no rows.
func (t *task) wrote(c *RowCounts, tp TopicPartition, records int64) {
	if tp == t.changelog.TopicPartition {
		return
	}
	c.RowsOut += records
	if s := t.pipe.sink; s != nil && tp.Topic == s.topic {
		c.SinkRows += records
	}
}

// counted are the counters as they will be when the round in progress is committed.
func (t *task) counted() (ErrorCounts, RowCounts) {
	errs, rows := t.stats.Errors, t.stats.RowCounts
	errs.add(t.cx.errors.counts)
	for _, p := range t.env.output.order {
		t.wrote(&rows, p.tp, p.records)
	}
	if s := t.pipe.table; s != nil {
		rows.RowsOut, rows.SinkRows = rows.RowsOut+s.seen, rows.SinkRows+s.seen
	}
	return errs, rows
}

// countsText is the counters as they are committed with the offsets of a task without a changelog; empty if all are nought.
func countsText(errs ErrorCounts, rows RowCounts) string {
	if errs == (ErrorCounts{}) && rows == (RowCounts{}) {
		return ""
	}
	e, r := errs.all(), rows.all()
	var words []string
	for _, n := range append(e[:], r[:]...) {
		words = append(words, strconv.FormatInt(*n, 10))
	}
	return strings.Join(words, " ")
}

// parseCounts reads what countsText gives, now or in releases that did not count rows for ever. Any other text, which an administrator may have committed, leaves the counters as they are.
func parseCounts(text string, errs *ErrorCounts, rows *RowCounts) {
	var e ErrorCounts
	r := *rows
	ee, rr := e.all(), r.all()
	into := append(ee[:], rr[:]...)
	words := strings.Fields(text)
	if len(words) != len(into) && len(words) != len(ee) {
		return
	}
	for i, w := range words {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return
		}
		*into[i] = n
	}
	*errs, *rows = e, r
}

// rowsMark ends a task's own part of a mark that has row counts: they stand before it, with their length in a byte, where releases that do not know them read no further.
const rowsMark = "rows"

func appendRowCounts(dst []byte, c RowCounts) []byte {
	at := len(dst)
	for _, n := range c.all() {
		dst = binary.AppendVarint(dst, *n)
	}
	dst = append(dst, byte(len(dst)-at))
	return append(dst, rowsMark...)
}

// cutRowCounts takes the row counts off the end of src, if there are any.
func cutRowCounts(src []byte) (rest []byte, c RowCounts) {
	end := len(src) - len(rowsMark) - 1
	if end < 0 || string(src[end+1:]) != rowsMark || int(src[end]) > end {
		return src, c
	}
	rest, body := src[:end-int(src[end])], src[end-int(src[end]):end]
	var err error
	for _, p := range c.all() {
		if *p, body, err = takeVarint(body); err != nil {
			return src, RowCounts{}
		}
	}
	if len(body) > 0 {
		return src, RowCounts{}
	}
	return rest, c
}
