package vec

import "github.com/millracedb/millrace/sql/types"

// NoRow in a selection given to AppendGather stands for a row of NULLs, the missing side of an outer join.
const NoRow int32 = -1

// AppendRow appends row i of src, a vector of the same storage.
func (v *Vector) AppendRow(src *Vector, i int) {
	if src.IsNull(i) {
		v.AppendNull()
		return
	}
	switch v.store {
	case types.StoreInt:
		v.AppendInt(src.I64[i])
	case types.StoreFloat:
		v.AppendFloat(src.F64[i])
	case types.StoreBytes:
		v.AppendBytes(src.Bytes(i))
	}
}

// SetRow makes row i a copy of row j of src, a vector of the same storage.
func (v *Vector) SetRow(i int, src *Vector, j int) {
	if src.IsNull(j) {
		v.SetNull(i)
		return
	}
	switch v.store {
	case types.StoreInt:
		v.I64[i] = src.I64[j]
	case types.StoreFloat:
		v.F64[i] = src.F64[j]
	case types.StoreBytes:
		v.Spans[i] = v.keep(src.Bytes(j))
	}
	v.SetValid(i)
}

// AppendRange appends rows lo to hi (exclusive) of src, a vector of the same storage.
func (v *Vector) AppendRange(src *Vector, lo, hi int) {
	from := v.n
	switch v.store {
	case types.StoreInt:
		v.I64 = append(v.I64, src.I64[lo:hi]...)
	case types.StoreFloat:
		v.F64 = append(v.F64, src.F64[lo:hi]...)
	case types.StoreBytes:
		for _, s := range src.Spans[lo:hi] {
			v.Spans = append(v.Spans, v.keep(src.Data[s.Off:s.Off+s.Len]))
		}
	}
	v.extend(hi - lo)
	if src.Valid == nil {
		return
	}
	for i := lo; i < hi; i++ {
		if !src.Valid.Get(i) {
			v.SetNull(from + i - lo)
		}
	}
}

// AppendGather appends the rows of src that sel names, in its order; NoRow appends a NULL.
func (v *Vector) AppendGather(src *Vector, sel []int32) {
	from := v.n
	missing := false
	switch v.store {
	case types.StoreInt:
		for _, i := range sel {
			if i == NoRow {
				missing = true
				v.I64 = append(v.I64, 0)
				continue
			}
			v.I64 = append(v.I64, src.I64[i])
		}
	case types.StoreFloat:
		for _, i := range sel {
			if i == NoRow {
				missing = true
				v.F64 = append(v.F64, 0)
				continue
			}
			v.F64 = append(v.F64, src.F64[i])
		}
	case types.StoreBytes:
		for _, i := range sel {
			if i == NoRow {
				missing = true
				v.Spans = append(v.Spans, Span{})
				continue
			}
			s := src.Spans[i]
			v.Spans = append(v.Spans, v.keep(src.Data[s.Off:s.Off+s.Len]))
		}
	}
	v.extend(len(sel))
	if !missing && src.Valid == nil {
		return
	}
	for k, i := range sel {
		if i == NoRow || src.IsNull(int(i)) {
			v.SetNull(from + k)
		}
	}
}

// extend records n more rows, none NULL, after their values were appended.
func (v *Vector) extend(n int) {
	from := v.n
	v.n += n
	if v.Valid == nil {
		return
	}
	v.Valid = v.Valid.resized(v.n)
	for i := from; i < v.n; i++ {
		v.Valid.Set(i)
	}
}

// Clone returns a copy that shares nothing with v.
func (v *Vector) Clone() *Vector {
	c := NewVector(v.Type, v.n)
	c.AppendRange(v, 0, v.n)
	return c
}
