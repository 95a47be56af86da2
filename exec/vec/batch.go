package vec

import (
	"fmt"
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// Batch is a run of changes: columns of one length and, per row, its operation, event time and provenance. The
// optional parts are nil when the plan does not use them, and then cost nothing.
type Batch struct {
	// Cols are the columns. All have Len rows.
	Cols []*Vector
	// Ops is what each row does; nil means that every row is an Insert.
	Ops []Op
	// Rowtime is each row's event time in ms since 1970-01-01 UTC; nil in bounded plans that do not use it.
	Rowtime []int64
	// Source is where each row came from, or nil.
	Source *Source

	n        int
	spareOps []Op // the memory of Ops while it is nil
}

// Source is the provenance of a batch's rows: the position in the log that each came from. Ordinal tells rows of one
// record apart. Headers, a column of BYTEA, are the headers that go on with the rows, in a form of the scan's and NULL for none; nil while no row has any.
type Source struct {
	Partition []int32
	Offset    []int64
	Ordinal   []int32
	Headers   *Vector
}

// SetHeaders gives the headers of row i, the last one; nil for none.
func (s *Source) SetHeaders(i int, headers []byte) {
	if s.Headers == nil {
		if headers == nil {
			return
		}
		s.Headers = NewVector(types.Of(types.Bytea), 0)
	}
	for s.Headers.Len() < i {
		s.Headers.AppendNull()
	}
	if headers == nil {
		s.Headers.AppendNull()
	} else {
		s.Headers.AppendBytes(headers)
	}
}

// HeadersOf returns the headers that go on with row i, nil for none. They alias the column.
func (s *Source) HeadersOf(i int) []byte {
	if s == nil || s.Headers == nil || i >= s.Headers.Len() || s.Headers.IsNull(i) {
		return nil
	}
	return s.Headers.Bytes(i)
}

// NewBatch returns an empty batch of columns of the given types with room for capacity rows, without optional parts.
func NewBatch(schema []types.Type, capacity int) *Batch {
	b := &Batch{Cols: make([]*Vector, len(schema))}
	for i, t := range schema {
		b.Cols[i] = NewVector(t, capacity)
	}
	return b
}

// Has reports whether there is provenance, of row i too. A batch whose rows come from several places may have it in memory and not in use.
func (s *Source) Has(i int) bool { return s != nil && i < len(s.Partition) }

// Len returns the number of rows.
func (b *Batch) Len() int { return b.n }

// SetLen states the number of rows, after columns and the parts in use were given that many.
func (b *Batch) SetLen(n int) { b.n = n }

// Op returns the operation of row i.
func (b *Batch) Op(i int) Op {
	if b.Ops == nil {
		return Insert
	}
	return b.Ops[i]
}

// Schema returns the types of the columns.
func (b *Batch) Schema() []types.Type {
	schema := make([]types.Type, len(b.Cols))
	for i, c := range b.Cols {
		schema[i] = c.Type
	}
	return schema
}

// AppendOp records the operation of the row being appended, number b.Len() so far; Ops comes into being with the
// first row that is not an Insert. Call it before SetLen.
func (b *Batch) AppendOp(op Op) {
	if b.Ops == nil {
		if op == Insert {
			return
		}
		b.needOps()
	}
	b.Ops = append(b.Ops, op)
}

// needOps makes Ops exist, with an Insert for every row so far.
func (b *Batch) needOps() {
	b.Ops, b.spareOps = append(b.spareOps[:0], make([]Op, b.n)...), nil
	if b.Ops == nil {
		b.Ops = []Op{}
	}
}

// Reset empties the batch and keeps its memory. Ops becomes nil; Rowtime and Source stay in use if they were.
func (b *Batch) Reset() {
	for _, c := range b.Cols {
		c.Reset()
	}
	if b.Ops != nil {
		b.spareOps, b.Ops = b.Ops[:0], nil
	}
	b.Rowtime = b.Rowtime[:0]
	if s := b.Source; s != nil {
		s.Partition, s.Offset, s.Ordinal = s.Partition[:0], s.Offset[:0], s.Ordinal[:0]
		if s.Headers != nil {
			s.Headers.Reset()
		}
	}
	b.n = 0
}

// AppendRow appends row i of src, a batch of the same schema, with op and every part that src has.
func (b *Batch) AppendRow(src *Batch, i int, op Op) {
	for c, col := range b.Cols {
		col.AppendRow(src.Cols[c], i)
	}
	b.AppendOp(op)
	if src.Rowtime != nil {
		b.Rowtime = append(b.Rowtime, src.Rowtime[i])
	}
	if src.Source.Has(i) {
		b.needSource()
		b.Source.appendRow(src.Source, i)
	}
	b.n++
	b.padSource()
}

// AppendGather appends the rows of src that sel names, with every part that src has.
func (b *Batch) AppendGather(src *Batch, sel []int32) {
	for c, col := range b.Cols {
		col.AppendGather(src.Cols[c], sel)
	}
	b.appendMeta(src, sel)
}

// appendMeta appends operations, times and provenance of the rows of src that sel names.
func (b *Batch) appendMeta(src *Batch, sel []int32) {
	if src.Ops != nil && b.Ops == nil {
		b.needOps()
	}
	if b.Ops != nil {
		for _, i := range sel {
			b.Ops = append(b.Ops, src.Op(int(i)))
		}
	}
	if src.Rowtime != nil {
		for _, i := range sel {
			b.Rowtime = append(b.Rowtime, src.Rowtime[i])
		}
	}
	if src.Source.Has(src.n - 1) {
		b.needSource()
		for _, i := range sel {
			b.Source.appendRow(src.Source, int(i))
		}
	}
	b.n += len(sel)
	b.padSource()
}

// needSource makes Source exist, with no place for every row so far.
func (b *Batch) needSource() {
	if b.Source == nil {
		b.Source = &Source{}
	}
	b.padSource()
}

// padSource gives rows without provenance, beside such that have it, no place: partition and offset -1.
func (b *Batch) padSource() {
	s := b.Source
	if s == nil {
		return
	}
	for len(s.Partition) < b.n {
		s.Partition, s.Offset, s.Ordinal = append(s.Partition, -1), append(s.Offset, -1), append(s.Ordinal, 0)
	}
	for s.Headers != nil && s.Headers.Len() < b.n {
		s.Headers.AppendNull()
	}
}

func (s *Source) appendRow(src *Source, i int) {
	s.Partition = append(s.Partition, src.Partition[i])
	s.Offset = append(s.Offset, src.Offset[i])
	s.Ordinal = append(s.Ordinal, src.Ordinal[i])
	if src.Headers == nil {
		return
	}
	if s.Headers == nil {
		s.Headers = NewVector(src.Headers.Type, 0)
		for range len(s.Partition) - 1 {
			s.Headers.AppendNull()
		}
	}
	s.Headers.AppendRow(src.Headers, i)
}

// Row returns row i boxed.
func (b *Batch) Row(i int) []types.Datum {
	row := make([]types.Datum, len(b.Cols))
	for c, col := range b.Cols {
		row[c] = col.Datum(i)
	}
	return row
}

// AppendDatums appends a boxed row with its operation and, when the batch carries times, its rowtime.
func (b *Batch) AppendDatums(row []types.Datum, op Op, rowtime int64) {
	for c, col := range b.Cols {
		col.AppendDatum(row[c])
	}
	b.AppendOp(op)
	b.Rowtime = append(b.Rowtime, rowtime)
	b.n++
}

// MemSize returns the bytes of memory held, used or not.
func (b *Batch) MemSize() int {
	size := cap(b.Ops) + cap(b.spareOps) + 8*cap(b.Rowtime)
	for _, c := range b.Cols {
		size += c.MemSize()
	}
	if s := b.Source; s != nil {
		size += 4*cap(s.Partition) + 8*cap(s.Offset) + 4*cap(s.Ordinal)
		if s.Headers != nil {
			size += s.Headers.MemSize()
		}
	}
	return size
}

// String prints the batch a row a line, for tests and debugging: op, rowtime, then raw values.
func (b *Batch) String() string {
	var out strings.Builder
	for i := range b.n {
		out.WriteString(b.Op(i).String())
		if b.Rowtime != nil {
			fmt.Fprintf(&out, " @%d", b.Rowtime[i])
		}
		for _, c := range b.Cols {
			out.WriteByte(' ')
			switch {
			case c.IsNull(i):
				out.WriteString("NULL")
			case c.store == types.StoreInt:
				fmt.Fprintf(&out, "%d", c.I64[i])
			case c.store == types.StoreFloat:
				fmt.Fprintf(&out, "%v", c.F64[i])
			default:
				fmt.Fprintf(&out, "%q", c.Bytes(i))
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}
