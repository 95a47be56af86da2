package exec

import (
	"errors"
	"fmt"
	"time"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// scanDecoder turns a relation's records into rows: append for a stream, upserts for a table. It decodes the columns that the
// plan reads and those that give time, and no others.
type scanDecoder struct {
	rel     *planner.Relation
	cx      *opContext
	table   bool
	key     format.Decoder // nil when no key column is read
	value   format.Decoder
	keys    []*vec.Vector // columns that key fills
	values  []*vec.Vector
	pseudo  []pseudoCol
	absent  []*vec.Vector // columns that are not in the records, and so NULL: those dropped
	headers []headerCol
	pairs   []record.Pair
	passes  bool        // headers go on with the rows
	raw     []byte      // of the record at hand
	time    *vec.Vector // the column that gives rowtime, nil for the record's timestamp
	times   rowTimes
	byOrd   []*vec.Vector
	extra   []*vec.Vector // decoded, but not part of the rows
	vouched bool          // who wrote a row has looked at its time: the cluster alone writes the topic
	mark    *expr.Program // WATERMARK, nil for rowtime
	proved  []int64       // what each row of the batch proves, ms; used where mark is nil
	errs    expr.Errors
	sel     []int32
}

type pseudoCol struct {
	which int
	col   *vec.Vector
}

// newScanSource makes s read n's relation.
func newScanSource(s *source, n *planner.Scan, cx *opContext, c clock.Clock) error {
	d := &scanDecoder{rel: n.Rel, cx: cx, table: n.Rel.Kind == planner.Table, byOrd: make([]*vec.Vector, len(n.Rel.Columns)), passes: n.PassHeaders}
	s.batch = vec.NewBatch(schemaOf(n), 0) // it grows to what comes: most partitions see few rows at a time
	for i, ord := range n.Cols {
		if ord == planner.PseudoHeaders {
			d.headers = append(d.headers, headerCol{col: s.batch.Cols[i]})
			continue
		}
		if ord < 0 {
			d.pseudo = append(d.pseudo, pseudoCol{ord, s.batch.Cols[i]})
			continue
		}
		d.byOrd[ord] = s.batch.Cols[i]
	}
	var err error
	if d.times, err = newRowTimes(n.Rel, c); err != nil {
		return err
	}
	d.vouched = n.Rel.Ordinary || n.Rel.Query != 0 && n.Rel.TimestampColumn < 0
	if n.Rel.TimestampColumn >= 0 {
		d.time = d.want(n.Rel.TimestampColumn)
	}
	if n.Rel.Watermark != nil {
		for ord := range n.Rel.Columns { // the expression may name any of them
			d.want(ord)
		}
		if d.mark, err = expr.Compile(n.Rel.Watermark); err != nil {
			return err
		}
	}
	s.decode = d
	return d.decoders(n.Rel)
}

// timePattern reads a text as microseconds since 1970.
type timePattern interface {
	Parse(text string, zone *time.Location) (int64, error)
}

// parseTimePattern reads timestamp_format: a pattern of to_timestamp, in the dialect ksql one of Java's.
func parseTimePattern(rel *planner.Relation) (timePattern, error) {
	if rel.KSQL {
		return types.ParseJavaPattern(rel.TimestampFormat)
	}
	return types.ParseDatePattern(rel.TimestampFormat), nil
}

// want makes sure that column ord is decoded.
func (d *scanDecoder) want(ord int) *vec.Vector {
	if d.byOrd[ord] == nil {
		d.byOrd[ord] = vec.NewVector(d.rel.Columns[ord].Type, 0)
		d.extra = append(d.extra, d.byOrd[ord])
	}
	return d.byOrd[ord]
}

// decoders splits the wanted columns into those of the key and those of the value. A table's key is always decoded: it says
// whose row a record is.
func (d *scanDecoder) decoders(rel *planner.Relation) (err error) {
	var keys, values []int
	for pos, ord := range rel.Key {
		if d.table {
			d.want(ord)
		}
		if d.byOrd[ord] != nil {
			keys = append(keys, pos)
			d.keys = append(d.keys, d.byOrd[ord])
		}
	}
	for pos, ord := range valueOrdinals(rel) {
		if d.byOrd[ord] != nil {
			values = append(values, pos)
			d.values = append(d.values, d.byOrd[ord])
		}
	}
	for ord, c := range rel.Columns {
		switch col := d.byOrd[ord]; {
		case col == nil:
		case c.Dropped:
			d.absent = append(d.absent, col)
		case c.Headers:
			d.headers = append(d.headers, headerCol{c.HeaderKey, col})
		}
	}
	if len(keys) > 0 {
		if d.key, err = format.NewDecoder(keySchema(rel), keys); err != nil {
			return err
		}
	}
	if len(values) > 0 {
		d.value, err = format.NewDecoder(valueSchema(rel), values)
	}
	return err
}

var errNullKey = errors.New("a record of a table has no key")

func (d *scanDecoder) record(s *source, r *record.Record) error {
	if d.table && r.Key == nil {
		d.cx.errors.record(s.tp, r.Offset, r.Value, errNullKey)
		return nil
	}
	if d.table && r.Value == nil && d.rel.Query != 0 && r.Offset >= s.begun && isExpiry(r) {
		return nil
	}
	n := s.batch.Len()
	if err := d.decodeRow(r, n); err != nil {
		d.cx.errors.record(s.tp, r.Offset, r.Value, err)
		return nil
	}
	rowtime, err := d.rowtime(r, n)
	if err != nil {
		d.rollback(n)
		d.cx.errors.record(s.tp, r.Offset, r.Value, err)
		return nil
	}
	op := vec.Insert
	if d.table {
		op = vec.UpdateInsert
		if r.Value == nil {
			op = vec.Delete
		}
	}
	for _, p := range d.pseudo {
		appendPseudo(p, s.tp, r, rowtime, op)
	}
	for _, c := range d.absent {
		c.AppendNull()
	}
	if len(d.headers) > 0 {
		d.appendHeaders(r)
	}
	if s.batch.Source == nil {
		s.batch.Source = &vec.Source{}
	}
	src := s.batch.Source
	src.Partition, src.Offset, src.Ordinal = append(src.Partition, s.tp.Partition), append(src.Offset, r.Offset), append(src.Ordinal, 0)
	if d.passes {
		src.SetHeaders(n, d.passOn(r))
	}
	proved := provedTime(r, rowtime)
	if d.time != nil && op == vec.Delete {
		proved = noTime // a delete has the time at which it was made, which is not the rows' time
	}
	d.proved = append(d.proved, proved)
	finishRow(s.batch, op, rowtime)
	return nil
}

// decodeRow appends key and value columns; on an error none has grown.
func (d *scanDecoder) decodeRow(r *record.Record, n int) error {
	if d.key != nil {
		if err := d.key.Append(d.keys, r.Key); err != nil {
			return err
		}
	}
	if d.value != nil {
		if err := d.value.Append(d.values, r.Value); err != nil {
			d.rollback(n)
			return err
		}
	}
	return nil
}

// rollback takes away what was decoded of row n.
func (d *scanDecoder) rollback(n int) {
	for _, c := range d.keys {
		c.Truncate(n)
	}
	for _, c := range d.values {
		c.Truncate(min(n, c.Len()))
	}
}

// rowtime is the event time of the row that is row n of the columns, in ms. A table's delete has no columns, so the record's time counts.
func (d *scanDecoder) rowtime(r *record.Record, n int) (int64, error) {
	t := r.Timestamp
	if deleted := d.table && r.Value == nil; d.time != nil && !deleted {
		var err error
		if t, err = d.times.of(d.time, n); err != nil {
			return 0, err
		}
	}
	if d.vouched { // it was acknowledged, and this node's clock may be hours behind that of the one that did
		return t, nil
	}
	return t, d.times.check(t)
}

// eventTime reads row i of a column as ms: timestamps hold microseconds, dates days, integers ms.
func eventTime(v *vec.Vector, i int) int64 {
	switch v.Type.Kind {
	case types.Timestamp, types.TimestampTZ:
		return floorMillis(v.I64[i])
	case types.Date:
		return v.I64[i] * 24 * time.Hour.Milliseconds()
	default:
		return v.I64[i]
	}
}

func appendPseudo(p pseudoCol, tp TopicPartition, r *record.Record, rowtime int64, op vec.Op) {
	switch p.which {
	case planner.PseudoRowtime:
		p.col.AppendInt(rowtime * microsPerMilli)
	case planner.PseudoRowPartition:
		p.col.AppendInt(int64(tp.Partition))
	case planner.PseudoRowOffset:
		p.col.AppendInt(r.Offset)
	case planner.PseudoOp:
		p.col.AppendString(op.String())
	default:
		p.col.AppendNull()
	}
}

// finish is called before the batch leaves: it moves stream time row by row.
func (d *scanDecoder) finish(s *source) {
	if d.mark == nil {
		for i, t := range s.batch.Rowtime {
			if d.proved[i] < t && d.proved[i] != noTime {
				s.times.ahead = max(s.times.ahead, t)
			}
			s.times.heard(0, d.proved[i], false)
			s.clock = append(s.clock, max(s.times.now, s.times.writers[0].time))
		}
	} else {
		d.finishMarked(s)
	}
	d.proved = d.proved[:0]
	for _, c := range d.extra {
		c.Reset()
	}
}

// finishMarked is finish where WATERMARK FOR says what time a row proves. A row for which that fails or is NULL proves nothing.
func (d *scanDecoder) finishMarked(s *source) {
	view := &vec.Batch{Cols: d.byOrd}
	view.SetLen(s.batch.Len())
	d.errs.Reset(view.Len())
	d.sel = vec.All(d.sel[:0], view.Len())
	v := d.mark.Eval(d.cx.env, view, d.sel, &d.errs)
	for i := range view.Len() {
		if !d.errs.Has(int32(i)) && !v.IsNull(i) {
			s.times.heard(0, eventTime(v, i), false)
		}
		s.clock = append(s.clock, max(s.times.now, s.times.writers[0].time))
	}
}

// exchangeDecoder turns blocks of a repartition topic into rows.
type exchangeDecoder struct {
	epoch uint64
}

func newExchangeSource(s *source, n *planner.Exchange, epoch uint64) {
	s.batch = vec.NewBatch(schemaOf(n), 0)
	s.decode = &exchangeDecoder{epoch: epoch}
}

func (d *exchangeDecoder) record(s *source, r *record.Record) error {
	if r.Value == nil {
		return nil
	}
	h, clock, err := decodeBlock(r.Value, s.batch)
	if err != nil {
		return fmt.Errorf("%s-%d at %d: %w", s.tp.Topic, s.tp.Partition, r.Offset, err)
	}
	s.times.resize(int(h.writers))
	if h.epoch < d.epoch || h.writer >= h.writers {
		s.batch.Reset() // of a plan that was replaced
		s.batch.Source = nil
		return nil
	}
	others := s.times.others(int(h.writer))
	for i := range s.batch.Len() {
		t := s.times.writers[h.writer].time
		if clock != nil {
			t = max(t, clock[i])
		}
		s.clock = append(s.clock, max(s.times.now, min(others, t)))
	}
	if err := s.sendBatch(); err != nil {
		return err
	}
	s.times.heard(int(h.writer), h.time, h.idle)
	s.more = growTo(s.more, int(h.writers))
	s.more[h.writer] = h.more
	return nil
}

func (d *exchangeDecoder) finish(*source) {}
