package vec

import (
	"math"
	"slices"
	"unsafe"

	"github.com/millracedb/millrace/sql/types"
)

// Span is where one value of a byte column lies in Vector.Data.
type Span struct{ Off, Len uint32 }

// Vector is a column of values of one type. Which array holds them follows from Type.Kind.Storage: I64, F64, or Spans
// into Data; the others are nil. Kernels read and write the arrays directly and keep to these rules:
//   - all arrays in use have length Len; Valid is nil when no row is NULL, and has Words(Len) words otherwise;
//   - the value of a NULL row is unspecified (but its span is within Data);
//   - spans may share and overlap bytes of Data and come in any order; bytes of Data once written are never changed,
//     only Reset and Rollback take them away.
type Vector struct {
	Type  types.Type
	Valid Bitmap
	I64   []int64
	F64   []float64
	Spans []Span
	Data  []byte

	n     int
	store types.Storage
	spare Bitmap // the bitmap's memory while Valid is nil
}

// NewVector returns an empty vector of t with room for capacity rows.
func NewVector(t types.Type, capacity int) *Vector {
	v := &Vector{Type: t, store: t.Kind.Storage()}
	switch v.store {
	case types.StoreInt:
		v.I64 = make([]int64, 0, capacity)
	case types.StoreFloat:
		v.F64 = make([]float64, 0, capacity)
	case types.StoreBytes:
		v.Spans = make([]Span, 0, capacity)
	}
	return v
}

// Len returns the number of rows.
func (v *Vector) Len() int { return v.n }

// Storage returns which array holds the values.
func (v *Vector) Storage() types.Storage { return v.store }

// Reset empties the vector and keeps its memory.
func (v *Vector) Reset() {
	v.Resize(0)
	v.Data = v.Data[:0]
}

// ResetType empties the vector and makes it one of t, keeping what memory it can.
func (v *Vector) ResetType(t types.Type) {
	v.Reset()
	v.Type, v.store = t, t.Kind.Storage()
}

// Resize makes the length n for a kernel that is about to write every row it is asked for: no row is NULL, values are
// unspecified (spans of rows that were not there before are empty). Data is kept.
func (v *Vector) Resize(n int) {
	if v.Valid != nil {
		v.spare, v.Valid = v.Valid, nil
	}
	switch v.store {
	case types.StoreInt:
		v.I64 = resize(v.I64, n)
	case types.StoreFloat:
		v.F64 = resize(v.F64, n)
	case types.StoreBytes:
		had := min(len(v.Spans), n)
		v.Spans = resize(v.Spans, n)
		clear(v.Spans[had:])
	}
	v.n = n
}

// ResetLen is Reset followed by Resize, and leaves every span of a byte column empty: what a kernel does to its output.
func (v *Vector) ResetLen(n int) {
	v.Reset()
	v.Resize(n)
}

func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return append(s[:len(s):len(s)], make([]T, n-len(s))...)
}

// HasNulls reports whether a row may be NULL. False means that none is.
func (v *Vector) HasNulls() bool { return v.Valid != nil }

// IsNull reports whether row i is NULL.
func (v *Vector) IsNull(i int) bool { return v.Valid != nil && !v.Valid.Get(i) }

// SetNull makes row i NULL.
func (v *Vector) SetNull(i int) {
	v.needValid()
	v.Valid.Clear(i)
}

// SetValid makes row i not NULL; its value is what the array holds.
func (v *Vector) SetValid(i int) {
	if v.Valid != nil {
		v.Valid.Set(i)
	}
}

// EnsureValid gives the vector a bitmap, all rows not NULL if it had none, and returns it.
func (v *Vector) EnsureValid() Bitmap {
	v.needValid()
	return v.Valid
}

func (v *Vector) needValid() {
	if v.Valid == nil {
		v.Valid = v.spare.resized(max(v.n, 1))[:Words(v.n)]
		v.spare = nil
		v.Valid.Fill(true)
	}
}

// grown records one more row with its validity, after its value was appended.
func (v *Vector) grown(valid bool) {
	i := v.n
	v.n++
	if v.Valid != nil {
		v.Valid = v.Valid.resized(v.n)
		v.Valid.Put(i, valid)
	} else if !valid {
		v.needValid()
		v.Valid.Clear(i)
	}
}

// AppendNull appends a NULL.
func (v *Vector) AppendNull() {
	switch v.store {
	case types.StoreInt:
		v.I64 = append(v.I64, 0)
	case types.StoreFloat:
		v.F64 = append(v.F64, 0)
	case types.StoreBytes:
		v.Spans = append(v.Spans, Span{})
	}
	v.grown(false)
}

// AppendInt appends to a StoreInt column.
func (v *Vector) AppendInt(x int64) {
	v.I64 = append(v.I64, x)
	v.grown(true)
}

// AppendFloat appends to a StoreFloat column.
func (v *Vector) AppendFloat(x float64) {
	v.F64 = append(v.F64, x)
	v.grown(true)
}

// AppendBytes appends a copy of b to a StoreBytes column.
func (v *Vector) AppendBytes(b []byte) {
	v.Spans = append(v.Spans, v.keep(b))
	v.grown(true)
}

// AppendString appends a copy of s to a StoreBytes column.
func (v *Vector) AppendString(s string) {
	v.Spans = append(v.Spans, v.keep(unsafe.Slice(unsafe.StringData(s), len(s))))
	v.grown(true)
}

// AppendSpan appends a row whose bytes are already in Data, as after appending to Data in place.
func (v *Vector) AppendSpan(s Span) {
	v.Spans = append(v.Spans, s)
	v.grown(true)
}

// SetBytes makes row i a copy of b, and not NULL.
func (v *Vector) SetBytes(i int, b []byte) {
	v.Spans[i] = v.keep(b)
	v.SetValid(i)
}

// SetString makes row i a copy of s, and not NULL.
func (v *Vector) SetString(i int, s string) {
	v.SetBytes(i, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// SetSince makes row i the bytes that were appended to Data since its length was mark, and not NULL. It is how a kernel
// that builds its result writes it once: mark := len(v.Data); v.Data = append(v.Data, ...); v.SetSince(i, mark).
func (v *Vector) SetSince(i, mark int) {
	v.Spans[i] = v.since(mark)
	v.SetValid(i)
}

// AppendSince appends a row of the bytes that were appended to Data since its length was mark.
func (v *Vector) AppendSince(mark int) { v.AppendSpan(v.since(mark)) }

func (v *Vector) since(mark int) Span {
	if uint64(len(v.Data)) > math.MaxUint32 {
		panic("vec: a column's bytes exceed 4 GiB; batches are bounded far below")
	}
	return Span{Off: uint32(mark), Len: uint32(len(v.Data) - mark)}
}

// keep copies b into Data.
func (v *Vector) keep(b []byte) Span {
	mark := len(v.Data)
	v.Data = append(v.Data, b...)
	return v.since(mark)
}

// Bytes returns the value of row i of a StoreBytes column. It aliases the vector: do not change it, and copy it to keep
// it past the vector's next Reset or Rollback.
func (v *Vector) Bytes(i int) []byte {
	s := v.Spans[i]
	return v.Data[s.Off : s.Off+s.Len : s.Off+s.Len]
}

// Str returns the value of row i of a StoreBytes column as a string that aliases the vector, as Bytes does.
func (v *Vector) Str(i int) string {
	s := v.Spans[i]
	if s.Len == 0 {
		return ""
	}
	return unsafe.String(&v.Data[s.Off], int(s.Len))
}

// Bool returns the value of row i of a Bool column; false for NULL.
func (v *Vector) Bool(i int) bool { return v.I64[i] != 0 && !v.IsNull(i) }

// Mark is a length of a vector to go back to.
type Mark struct{ rows, data int }

// Mark returns the present length.
func (v *Vector) Mark() Mark { return Mark{v.n, len(v.Data)} }

// Rollback takes away all rows and bytes appended since m.
func (v *Vector) Rollback(m Mark) {
	v.Truncate(m.rows)
	v.Data = v.Data[:m.data]
}

// Truncate keeps the first n rows. Their bytes stay, and so do the others' until Reset.
func (v *Vector) Truncate(n int) {
	switch v.store {
	case types.StoreInt:
		v.I64 = v.I64[:n]
	case types.StoreFloat:
		v.F64 = v.F64[:n]
	case types.StoreBytes:
		v.Spans = v.Spans[:n]
	}
	if v.Valid != nil {
		v.Valid = v.Valid[:Words(n)]
	}
	v.n = n
}

// Grow makes room for n more rows and, in a byte column, for data more bytes.
func (v *Vector) Grow(n, data int) {
	switch v.store {
	case types.StoreInt:
		v.I64 = slices.Grow(v.I64, n)
	case types.StoreFloat:
		v.F64 = slices.Grow(v.F64, n)
	case types.StoreBytes:
		v.Spans = slices.Grow(v.Spans, n)
		v.Data = slices.Grow(v.Data, data)
	}
}

// MemSize returns the bytes of memory held, used or not.
func (v *Vector) MemSize() int {
	return int(unsafe.Sizeof(*v)) + 8*(cap(v.I64)+cap(v.F64)+cap(v.Spans)+cap(v.Valid)+cap(v.spare)) + cap(v.Data)
}
