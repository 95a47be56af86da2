package exec

import (
	"time"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
)

// Limits of an exchange's writer.
const (
	exchangeBlockRows  = 4096
	exchangeBlockBytes = 512 << 10
	// exchangeTimeEvery is how often a writer without rows tells its stream time.
	exchangeTimeEvery = 100 * time.Millisecond
)

// exchangeWriter deals rows over the partitions of a repartition topic by murmur2 over the key encoding of By, as the sink of
// a relation with these key columns would. The halves of an update whose keys differ become a delete and an insert.
type exchangeWriter struct {
	cx      *opContext
	out     *roundOutput
	clock   clock.Clock
	topic   string
	parts   []exchangePart
	header  blockHeader
	closing bool
	more    bool  // the task has more to read when it commits
	held    int64 // how far behind the task's time the rows may be, ms
	all     bool  // every row goes to every partition
	by      *evaluator
	enc     format.Encoder
	dest    []int32
	buf     []byte
	lastAt  time.Time
	lastIs  blockHeader // what was told last
}

type exchangePart struct {
	rows  *vec.Batch
	clock []int64
	told  bool // had a block in this round
	more  bool // was told last that more comes
}

func newExchangeWriter(cx *opContext, n *planner.Exchange, t *taskEnv) (*exchangeWriter, error) {
	by, err := newEvaluator(cx, n.By)
	if err != nil {
		return nil, err
	}
	enc, err := exchangeKeyEncoder(n.By)
	if err != nil {
		return nil, err
	}
	w := &exchangeWriter{
		cx: cx, out: &t.output, clock: t.clock, topic: n.Topic, closing: n.Closing, all: n.Broadcast, held: outputDelay(n.In), by: by, enc: enc,
		header: blockHeader{epoch: t.planEpoch, writer: t.partition, writers: t.partitions, time: noTime},
	}
	w.lastIs = w.header
	for range t.counts[n.Topic] {
		w.parts = append(w.parts, exchangePart{rows: vec.NewBatch(schemaOf(n), 0)})
	}
	return w, nil
}

func (w *exchangeWriter) push(in chunk, _ int) error {
	cols := w.by.evalAll(in.Batch)
	w.by.reportAdds(in.Batch)
	w.dest = w.dest[:0]
	for i := range in.Len() {
		p := int32(-1)
		if !w.by.errs.Has(int32(i)) {
			p = 0
			if len(cols) > 0 {
				var err error
				if w.buf, err = w.enc.AppendRow(w.buf[:0], cols, i); err != nil {
					return err
				}
				p = record.PartitionForKey(w.buf, int32(len(w.parts)))
			}
		}
		w.dest = append(w.dest, p)
	}
	for i, p := range w.dest {
		if p < 0 {
			continue
		}
		first, last := p, p
		if w.all {
			first, last = 0, int32(len(w.parts))-1
		}
		for p := first; p <= last; p++ {
			if err := w.deal(p, in, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// deal adds row i to the block of partition p.
func (w *exchangeWriter) deal(p int32, in chunk, i int) error {
	part := &w.parts[p]
	part.rows.AppendRow(in.Batch, i, w.opOf(in.Batch, i))
	if in.clock != nil {
		part.clock = append(part.clock, in.clock[i])
	}
	if part.rows.Len() >= exchangeBlockRows || part.rows.Len()%64 == 0 && usedBytes(part.rows) > exchangeBlockBytes {
		return w.block(p, true)
	}
	return nil
}

// opOf is the row's operation, mended where its other half goes elsewhere or nowhere.
func (w *exchangeWriter) opOf(in *vec.Batch, i int) vec.Op {
	op := in.Op(i)
	if op == vec.UpdateDelete && (i+1 >= in.Len() || w.dest[i+1] != w.dest[i]) {
		return vec.Delete
	}
	if op == vec.UpdateInsert && i > 0 && in.Op(i-1) == vec.UpdateDelete && w.dest[i-1] != w.dest[i] {
		return vec.Insert
	}
	return op
}

// block writes the rows gathered for partition p, and whether more comes.
func (w *exchangeWriter) block(p int32, more bool) error {
	part := &w.parts[p]
	c := chunk{part.rows, nil}
	if len(part.clock) == part.rows.Len() && len(part.clock) > 0 {
		c.clock = part.clock
	}
	h := w.header
	h.more, part.more = more, more
	if part.rows.Len() > 0 {
		h.idle = false
	}
	w.buf = appendBlock(w.buf[:0], h, c)
	timestamp := h.time
	if part.rows.Len() > 0 {
		timestamp = part.rows.Rowtime[0]
	}
	part.rows.Reset()
	part.clock, part.told = part.clock[:0], true
	return w.out.add(TopicPartition{Topic: w.topic, Partition: p}, timestamp, nil, w.buf)
}

// flush writes what is gathered, and where nothing is, the time alone. Who was told that more comes must hear when that is over.
func (w *exchangeWriter) flush(now int64) error {
	w.header.time = heldBack(now, w.held)
	for p := range w.parts {
		w.parts[p].told = false
		if w.parts[p].rows.Len() > 0 || w.parts[p].more && !w.more {
			if err := w.block(int32(p), w.more); err != nil {
				return err
			}
		}
	}
	if w.closing && w.tellsTime() {
		for p := range w.parts {
			if !w.parts[p].told || w.header.idle {
				if err := w.block(int32(p), w.more); err != nil {
					return err
				}
			}
		}
		w.lastAt, w.lastIs = w.clock.Now(), w.header
	}
	return nil
}

// wantsTime reports whether readers do not know that the task's time is now.
func (w *exchangeWriter) wantsTime(now int64, idle bool) bool {
	return w.closing && (heldBack(now, w.held) != w.lastIs.time || idle != w.lastIs.idle)
}

func (w *exchangeWriter) tellsTime() bool {
	if !w.closing || w.header == w.lastIs {
		return false
	}
	return w.header.idle != w.lastIs.idle || w.clock.Since(w.lastAt) >= exchangeTimeEvery
}

// usedBytes is about what the rows of b take when they are written.
func usedBytes(b *vec.Batch) int {
	size := 0
	for _, c := range b.Cols {
		size += 4*c.Len() + len(c.Data)
	}
	return size
}
