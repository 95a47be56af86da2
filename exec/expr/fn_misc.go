package expr

import (
	"fmt"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// What belongs to no family.

func init() {
	row("greatest(anyelement...)", extremeOf(1))
	row("least(anyelement...)", extremeOf(-1))
	row("num_nulls(any...)", integer(func(a []types.Datum) int64 { return countNulls(a) }))
	row("num_nonnulls(any...)", integer(func(a []types.Datum) int64 { return int64(len(a)) - countNulls(a) }))
	row("gen_random_uuid()", randomUUID)
	row("uuid()", randomUUID)
	row("hashtext(text)", integer(func(a []types.Datum) int64 { return int64(int32(types.HashString(a[0].S))) }))
	row("pg_typeof(any)", func(c *Call, _ []types.Datum) (types.Datum, error) {
		return types.IntDatum(int64(c.Args[0].OID())), nil
	})
	row("pg_column_size(any)", func(c *Call, a []types.Datum) (types.Datum, error) {
		if n := c.Args[0].Len(); n > 0 {
			return types.IntDatum(int64(n)), nil
		}
		return types.IntDatum(int64(len(types.AppendBinary(nil, c.Args[0], a[0])) + 1)), nil
	})
	row("pg_size_pretty(int8)", text(func(a []types.Datum) string { return prettySize(a[0].I) }))
	row("pg_size_pretty(numeric)", textOrError(func(a []types.Datum) (string, error) {
		n, err := types.DecimalOf(a[0].S).Int(types.Int8)
		return prettySize(n), err
	}))
}

// extremeOf returns the largest (sign 1) or smallest argument that is not NULL.
func extremeOf(sign int) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		best := types.NullDatum
		for _, d := range a {
			if !d.Null && (best.Null || types.Compare(c.Ret, d, best)*sign > 0) {
				best = d
			}
		}
		return best, nil
	}
}

func countNulls(a []types.Datum) int64 {
	n := int64(0)
	for _, d := range a {
		n += b2i(d.Null)
	}
	return n
}

// randomUUID is a version 4 UUID (RFC 9562, 5.4).
func randomUUID(c *Call, _ []types.Datum) (types.Datum, error) {
	if c.Env.Random == nil {
		return types.NullDatum, sqlerr.New(sqlerr.FeatureNotSupported, "gen_random_uuid() is not available here")
	}
	var u [16]byte
	for i := range u {
		u[i] = byte(c.Env.Random() * 256)
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return types.BytesDatum(string(u[:])), nil
}

// prettySize halves by rounding as pg_size_pretty does: a unit is left when the value reaches 10 k of it.
func prettySize(n int64) string {
	abs := func(x int64) int64 { return max(x, -x) }
	if abs(n) < 10*1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	n /= 1 << 9 // keep one bit for rounding
	for _, unit := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if abs(n) < 20*1024-1 || unit == "PB" {
			if n < 0 {
				return fmt.Sprintf("%d %s", (n-1)/2, unit)
			}
			return fmt.Sprintf("%d %s", (n+1)/2, unit)
		}
		n /= 1 << 10
	}
	return ""
}
