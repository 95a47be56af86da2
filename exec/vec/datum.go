package vec

import (
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// Datum returns row i boxed. It owns its bytes.
func (v *Vector) Datum(i int) types.Datum {
	d := v.View(i)
	d.S = strings.Clone(d.S)
	return d
}

// View returns row i boxed without a copy: S aliases the vector, so the Datum is good until the vector's next Reset or
// Rollback. It lets every function of package types that takes a Datum work on a row without allocating.
func (v *Vector) View(i int) types.Datum {
	if v.IsNull(i) {
		return types.NullDatum
	}
	switch v.store {
	case types.StoreInt:
		return types.IntDatum(v.I64[i])
	case types.StoreFloat:
		return types.FloatDatum(v.F64[i])
	default:
		return types.BytesDatum(v.Str(i))
	}
}

// AppendDatum appends d, a value of the vector's type.
func (v *Vector) AppendDatum(d types.Datum) {
	if d.Null {
		v.AppendNull()
		return
	}
	switch v.store {
	case types.StoreInt:
		v.AppendInt(d.I)
	case types.StoreFloat:
		v.AppendFloat(d.F)
	case types.StoreBytes:
		v.AppendString(d.S)
	}
}

// SetDatum makes row i d, a value of the vector's type.
func (v *Vector) SetDatum(i int, d types.Datum) {
	if d.Null {
		v.SetNull(i)
		return
	}
	switch v.store {
	case types.StoreInt:
		v.I64[i] = d.I
	case types.StoreFloat:
		v.F64[i] = d.F
	case types.StoreBytes:
		v.SetString(i, d.S)
		return
	}
	v.SetValid(i)
}

// Fill makes the vector n rows of d, a value of its type. A byte column holds the bytes once.
func (v *Vector) Fill(d types.Datum, n int) {
	v.ResetLen(n)
	if d.Null {
		v.EnsureValid().Fill(false)
		return
	}
	switch v.store {
	case types.StoreInt:
		for i := range v.I64 {
			v.I64[i] = d.I
		}
	case types.StoreFloat:
		for i := range v.F64 {
			v.F64[i] = d.F
		}
	case types.StoreBytes:
		v.Data = append(v.Data, d.S...)
		s := v.since(0)
		for i := range v.Spans {
			v.Spans[i] = s
		}
	}
}
