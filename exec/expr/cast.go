package expr

import (
	"math"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// castFunc converts one value that is not NULL.
type castFunc func(env *Env, from, to types.Type, d types.Datum) (types.Datum, error)

func compileCast(e *planner.Cast) (node, error) {
	n, err := compile(e.Arg)
	if err != nil {
		return nil, err
	}
	from, to := e.Arg.Type(), e.To
	if f := intCast(from.Kind, to.Kind); f != nil {
		return strictVector(to, []node{n}, f), nil
	}
	conv := castFor(from, to)
	if conv == nil {
		return nil, sqlerr.New(sqlerr.CannotCoerce, "cannot cast type %s to %s", from, to)
	}
	return boxed(to, []node{n}, func(r *run, a []types.Datum) (types.Datum, error) {
		if a[0].Null {
			return types.NullDatum, nil
		}
		d, err := conv(r.env, from, to, a[0])
		if err != nil || to.Mod < 0 {
			return d, err
		}
		return types.ApplyMod(to, d, e.Explicit)
	}), nil
}

// CastDatum converts d from one type to another, as an assignment cast if explicit is false.
func CastDatum(env *Env, from, to types.Type, d types.Datum, explicit bool) (types.Datum, error) {
	conv := castFor(from, to)
	if conv == nil {
		return types.NullDatum, sqlerr.New(sqlerr.CannotCoerce, "cannot cast type %s to %s", from, to)
	}
	if d.Null {
		return d, nil
	}
	d, err := conv(env, from, to, d)
	if err != nil || to.Mod < 0 {
		return d, err
	}
	return types.ApplyMod(to, d, explicit)
}

// intCast is the vector form of a cast between machine integers and floats that cannot lose more than range.
func intCast(from, to types.Kind) vecFunc {
	var target *intKind
	for i := range intKinds {
		if kindOfInt(to) == intKinds[i].rank {
			target = &intKinds[i]
		}
	}
	switch {
	case kindOfInt(from) > 0 && target != nil:
		return intUnary(*target, func(x int64) (int64, bool) { return x, true })
	case kindOfInt(from) > 0 && to == types.Float8:
		return func(args []*vec.Vector, sel []int32, out *vec.Vector, _ *Errors) {
			for _, i := range sel {
				out.F64[i] = float64(args[0].I64[i])
			}
		}
	case from == types.Float4 && to == types.Float8:
		return floatUnary(func(x float64) float64 { return x })
	default:
		return nil
	}
}

func kindOfInt(k types.Kind) int {
	switch k {
	case types.Int2:
		return 1
	case types.Int4:
		return 2
	case types.Int8:
		return 3
	default:
		return 0
	}
}

func isText(k types.Kind) bool {
	switch k {
	case types.Text, types.Varchar, types.Unknown, types.Name:
		return true
	default:
		return false
	}
}

func isOIDLike(k types.Kind) bool {
	switch k {
	case types.OID, types.Regclass, types.Regtype, types.Regproc, types.Regnamespace, types.Regrole, types.Regprocedure, types.Regoperator:
		return true
	default:
		return false
	}
}

// castFor returns the conversion between two types, nil if there is none.
func castFor(from, to types.Type) castFunc {
	f, t := from.Kind, to.Kind
	switch {
	case isText(t) && f == types.Bool:
		return func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
			if d.I != 0 {
				return types.BytesDatum("true"), nil
			}
			return types.BytesDatum("false"), nil
		}
	case isText(f) && t == types.Char:
		return func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
			return types.BytesDatum(d.S[:min(1, len(d.S))]), nil
		}
	case isText(f) && t == types.Name:
		return func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
			return types.BytesDatum(d.S[:min(63, len(d.S))]), nil
		}
	case isText(f) && isText(t):
		return keep
	case isText(f):
		return func(env *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
			return types.ParseText(to, d.S, env.Text)
		}
	case isRow(f) && isRow(t) && len(to.Fields) > 0:
		return castRow(from, to)
	case f == types.Map && t == types.Map && !from.Elem.Equal(*to.Elem):
		return castMap(*from.Elem, *to.Elem)
	case f == t && f != types.Array:
		return keep
	case f == types.JSONB && (t == types.Map || t == types.Struct):
		return func(_ *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
			return types.DatumFromJSON(to, []byte(d.S))
		}
	case f == types.Array && t == types.Array:
		return castArray(*from.Elem, *to.Elem)
	case (f == types.Int2Vector || f == types.OIDVector) && t == types.Array:
		return keep
	case isText(t):
		return func(env *Env, from, _ types.Type, d types.Datum) (types.Datum, error) {
			return types.BytesDatum(types.FormatText(from, d, env.Text)), nil
		}
	}
	if c, ok := casts[[2]types.Kind{f, t}]; ok {
		return c
	}
	if (isOIDLike(f) || kindOfInt(f) > 0) && (isOIDLike(t) || kindOfInt(t) > 0) {
		return castToInt
	}
	return nil
}

func keep(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) { return d, nil }

// castToInt checks the range of the target.
func castToInt(_ *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
	if r := kindOfInt(to.Kind); r > 0 {
		if k := intKinds[r-1]; d.I < k.min || d.I > k.max {
			return d, k.outOfRange()
		}
	} else if d.I < 0 && d.I >= math.MinInt32 {
		d.I = int64(uint32(d.I))
	} else if d.I < 0 || d.I > math.MaxUint32 {
		return d, sqlerr.New(sqlerr.NumericValueOutOfRange, "OID out of range")
	}
	return d, nil
}

func castFloatToInt(_ *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
	k := intKinds[kindOfInt(to.Kind)-1]
	f := math.RoundToEven(d.F)
	if math.IsNaN(f) || f < float64(k.min) || f >= -float64(k.min) {
		return d, k.outOfRange()
	}
	return types.IntDatum(int64(f)), nil
}

func castNumericToInt(_ *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
	i, err := types.DecimalOf(d.S).Int(to.Kind)
	return types.IntDatum(i), err
}

func castIntToNumeric(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
	return types.NewDecimal(d.I, 0).Datum(), nil
}

func castFloatToNumeric(_ *Env, from, _ types.Type, d types.Datum) (types.Datum, error) {
	var z types.Decimal
	err := z.SetFloat(d.F, from.Kind)
	return z.Datum(), err
}

func castNumericToFloat(_ *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
	f, err := types.DecimalOf(d.S).Float64()
	if err != nil || to.Kind == types.Float8 {
		return types.FloatDatum(f), err
	}
	return castToFloat4(nil, types.Of(types.Float8), to, types.FloatDatum(f))
}

func castToFloat4(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
	f := float64(float32(d.F))
	switch {
	case math.IsInf(f, 0) && !math.IsInf(d.F, 0):
		return d, errFloatOverflow
	case f == 0 && d.F != 0:
		return d, errFloatUnderflow
	}
	return types.FloatDatum(f), nil
}

const (
	microsPerDay    = 24 * 60 * 60 * 1_000_000
	minDateInfinity = math.MinInt32
	maxDateInfinity = math.MaxInt32
)

func castDateToTimestamp(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
	switch d.I {
	case minDateInfinity:
		return types.IntDatum(types.TimestampNegInfinity), nil
	case maxDateInfinity:
		return types.IntDatum(types.TimestampInfinity), nil
	}
	return types.IntDatum(d.I * microsPerDay), nil
}

func castTimestampToDate(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
	switch d.I {
	case types.TimestampNegInfinity:
		return types.IntDatum(minDateInfinity), nil
	case types.TimestampInfinity:
		return types.IntDatum(maxDateInfinity), nil
	}
	return types.IntDatum(floorDiv(d.I, microsPerDay)), nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func toLocal(env *Env, us int64) int64 {
	if types.IsInfinite(us) {
		return us
	}
	return types.UTCToLocal(us, zoneOf(env))
}

func toUTC(env *Env, local int64) int64 {
	if types.IsInfinite(local) {
		return local
	}
	return types.LocalToUTC(local, zoneOf(env))
}

func castTimestampToTime(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
	if types.IsInfinite(d.I) {
		return types.NullDatum, nil
	}
	return types.IntDatum(d.I - floorDiv(d.I, microsPerDay)*microsPerDay), nil
}

// casts are the conversions that are neither from nor to text.
var casts = map[[2]types.Kind]castFunc{}

func init() {
	ints := []types.Kind{types.Int2, types.Int4, types.Int8}
	for _, i := range ints {
		casts[[2]types.Kind{i, types.Numeric}] = castIntToNumeric
		casts[[2]types.Kind{types.Numeric, i}] = castNumericToInt
		casts[[2]types.Kind{i, types.Float4}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
			return types.FloatDatum(float64(float32(d.I))), nil
		}
		casts[[2]types.Kind{i, types.Float8}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
			return types.FloatDatum(float64(d.I)), nil
		}
		for _, f := range []types.Kind{types.Float4, types.Float8} {
			casts[[2]types.Kind{f, i}] = castFloatToInt
		}
	}
	for _, f := range []types.Kind{types.Float4, types.Float8} {
		casts[[2]types.Kind{f, types.Numeric}] = castFloatToNumeric
		casts[[2]types.Kind{types.Numeric, f}] = castNumericToFloat
	}
	casts[[2]types.Kind{types.Float8, types.Float4}] = castToFloat4
	casts[[2]types.Kind{types.Float4, types.Float8}] = keep
	casts[[2]types.Kind{types.Bool, types.Int4}] = keep
	casts[[2]types.Kind{types.Int4, types.Bool}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		return types.BoolDatum(d.I != 0), nil
	}
	casts[[2]types.Kind{types.Int4, types.Char}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		if d.I < -128 || d.I > 127 {
			return d, sqlerr.New(sqlerr.NumericValueOutOfRange, `"char" out of range`)
		}
		return types.BytesDatum(string([]byte{byte(d.I)})), nil
	}
	casts[[2]types.Kind{types.Char, types.Int4}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		if d.S == "" {
			return types.IntDatum(0), nil
		}
		return types.IntDatum(int64(int8(d.S[0]))), nil
	}
	initTimeCasts()
	casts[[2]types.Kind{types.JSON, types.JSONB}] = func(env *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
		return types.ParseText(to, d.S, env.Text)
	}
	for _, k := range []types.Kind{types.JSONB, types.Map, types.Struct} {
		for _, t := range []types.Kind{types.JSON, types.JSONB} {
			if k == t {
				continue
			}
			casts[[2]types.Kind{k, t}] = func(env *Env, from, to types.Type, d types.Datum) (types.Datum, error) {
				return types.ParseText(to, types.FormatText(from, d, env.Text), env.Text)
			}
		}
	}
	for _, t := range []types.Kind{types.Bool, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric} {
		casts[[2]types.Kind{types.JSONB, t}] = castJSONB
	}
}

func initTimeCasts() {
	casts[[2]types.Kind{types.Date, types.Timestamp}] = castDateToTimestamp
	casts[[2]types.Kind{types.Timestamp, types.Date}] = castTimestampToDate
	casts[[2]types.Kind{types.Timestamp, types.Time}] = castTimestampToTime
	casts[[2]types.Kind{types.Date, types.TimestampTZ}] = func(env *Env, from, to types.Type, d types.Datum) (types.Datum, error) {
		d, err := castDateToTimestamp(env, from, to, d)
		return types.IntDatum(toUTC(env, d.I)), err
	}
	casts[[2]types.Kind{types.Timestamp, types.TimestampTZ}] = func(env *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		return types.IntDatum(toUTC(env, d.I)), nil
	}
	casts[[2]types.Kind{types.TimestampTZ, types.Timestamp}] = func(env *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		return types.IntDatum(toLocal(env, d.I)), nil
	}
	casts[[2]types.Kind{types.TimestampTZ, types.Date}] = func(env *Env, from, to types.Type, d types.Datum) (types.Datum, error) {
		return castTimestampToDate(env, from, to, types.IntDatum(toLocal(env, d.I)))
	}
	casts[[2]types.Kind{types.TimestampTZ, types.Time}] = func(env *Env, from, to types.Type, d types.Datum) (types.Datum, error) {
		return castTimestampToTime(env, from, to, types.IntDatum(toLocal(env, d.I)))
	}
	casts[[2]types.Kind{types.Time, types.Interval}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		return types.IntervalValue{Micros: d.I}.Datum(), nil
	}
	casts[[2]types.Kind{types.Interval, types.Time}] = func(_ *Env, _, _ types.Type, d types.Datum) (types.Datum, error) {
		us := types.IntervalOf(d).Micros
		return types.IntDatum(us - floorDiv(us, microsPerDay)*microsPerDay), nil
	}
}

// castJSONB turns a jsonb scalar into an SQL one.
func castJSONB(env *Env, _, to types.Type, d types.Datum) (types.Datum, error) {
	switch {
	case to.Kind == types.Bool && (d.S == "true" || d.S == "false"):
		return types.BoolDatum(d.S == "true"), nil
	case to.Kind != types.Bool && d.S != "" && (d.S[0] == '-' || d.S[0] >= '0' && d.S[0] <= '9'):
		n, err := types.ParseText(types.Of(types.Numeric), d.S, env.Text)
		if err != nil || to.Kind == types.Numeric {
			return n, err
		}
		return CastDatum(env, types.Of(types.Numeric), to, n, true)
	}
	return d, sqlerr.New(sqlerr.InvalidParameterValue, "cannot cast jsonb %s to type %s", jsonKindName(d.S), types.Of(to.Kind))
}

func jsonKindName(s string) string {
	switch s[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	default:
		return "numeric"
	}
}
