package exec

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// errorKind says why a row took no part.
type errorKind string

const (
	errLate   errorKind = "late"   // its window had closed
	errEval   errorKind = "eval"   // an expression failed
	errDecode errorKind = "decode" // the record does not decode
)

// ErrorRow is one row of millrace.errors, the dead-letter stream, as it is written: a JSON object with these members. Payload is the
// value of the record that the row came from as text, or base64 in Payload64 if it is not UTF-8; a row that stands for several records has none. A record that takes no part in the rows of the
// table over its topic is of no query.
type ErrorRow struct {
	At        time.Time `json:"at"`
	Query     uint64    `json:"query_id,omitempty"`
	Name      string    `json:"query,omitempty"`
	Kind      string    `json:"kind"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	SQLState  string    `json:"sqlstate"`
	Reason    string    `json:"reason"`
	Payload   string    `json:"payload,omitempty"`
	Payload64 []byte    `json:"payload_base64,omitempty"`
}

// Limits of error rows: what comes faster than maxErrorRate is counted and not kept, and so are bytes beyond maxErrorPayload.
const (
	maxErrorRate    = 1000 // a second and task
	maxErrorPayload = 64 << 10
)

// ErrorCounts are rows that took no part, for ever.
type ErrorCounts struct {
	Late, Eval, Decode int64
	Unkept             int64 // of these, counted only
}

func (c *ErrorCounts) add(d ErrorCounts) {
	c.Late += d.Late
	c.Eval += d.Eval
	c.Decode += d.Decode
	c.Unkept += d.Unkept
}

// all are the counters, in the order in which a mark keeps them.
func (c *ErrorCounts) all() [4]*int64 { return [4]*int64{&c.Late, &c.Eval, &c.Decode, &c.Unkept} }

// errorRows gathers a round's error rows.
type errorRows struct {
	clock  clock.Clock
	query  uint64
	name   string
	origin string // topic of the rows' provenance
	// payload reads the value of the record that a row came from; nil where rows are only counted.
	payload func(tp TopicPartition, offset int64) []byte
	rows    []ErrorRow
	counts  ErrorCounts // of this round

	second  time.Time
	inTotal int // rows kept in that second
}

// row keeps row i of b.
func (e *errorRows) row(kind errorKind, b *vec.Batch, i int, err error) {
	e.rowOf(e.origin, kind, b, i, err)
}

// rowOf keeps row i of b, whose provenance speaks of topic.
func (e *errorRows) rowOf(topic string, kind errorKind, b *vec.Batch, i int, err error) {
	r := ErrorRow{Topic: topic, Partition: -1, Offset: -1}
	if s := b.Source; s != nil && i < len(s.Offset) {
		r.Partition, r.Offset = s.Partition[i], s.Offset[i]
	}
	e.keep(kind, r, err)
}

// plain keeps an error that belongs to no row.
func (e *errorRows) plain(kind errorKind, err error) {
	e.keep(kind, ErrorRow{Topic: e.origin, Partition: -1, Offset: -1}, err)
}

// record keeps a record that does not decode.
func (e *errorRows) record(tp TopicPartition, offset int64, payload []byte, err error) {
	r := ErrorRow{Topic: tp.Topic, Partition: tp.Partition, Offset: offset}
	r.setPayload(payload)
	e.keep(errDecode, r, err)
}

func (r *ErrorRow) setPayload(payload []byte) {
	payload = payload[:min(len(payload), maxErrorPayload)]
	if utf8.Valid(payload) {
		r.Payload = string(payload)
	} else {
		r.Payload64 = append([]byte(nil), payload...)
	}
}

func (e *errorRows) keep(kind errorKind, r ErrorRow, err error) {
	switch kind {
	case errLate:
		e.counts.Late++
	case errEval:
		e.counts.Eval++
	case errDecode:
		e.counts.Decode++
	}
	now := e.clock.Now()
	if now.Sub(e.second) >= time.Second {
		e.second, e.inTotal = now, 0
	}
	if e.inTotal++; e.inTotal > maxErrorRate {
		e.counts.Unkept++
		return
	}
	if e.payload != nil && kind != errDecode && r.Offset >= 0 {
		r.setPayload(e.payload(TopicPartition{r.Topic, r.Partition}, r.Offset))
	}
	r.At, r.Query, r.Name, r.Kind = now.UTC(), e.query, e.name, string(kind)
	r.Reason = err.Error()
	r.SQLState = string(sqlerr.DataException)
	if se := sqlerr.From(err); se.Code != sqlerr.InternalError {
		r.SQLState, r.Reason = string(se.Code), se.Message
	}
	e.rows = append(e.rows, r)
}

// encode returns the rows as JSON.
func (e *errorRows) encode() ([][]byte, error) {
	values := make([][]byte, len(e.rows))
	for i := range e.rows {
		v, err := json.Marshal(&e.rows[i])
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// reset begins the next round.
func (e *errorRows) reset() {
	e.rows, e.counts = e.rows[:0], ErrorCounts{}
}
