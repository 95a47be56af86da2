package planner

import "github.com/millracedb/millrace/sql/types"

// CastContext says where a cast may be applied without being asked for. A larger context allows what a smaller one does.
type CastContext uint8

// The contexts, as pg_cast.castcontext has them.
const (
	CastImplicit   CastContext = iota // anywhere in an expression
	CastAssignment                    // on the way into a column
	CastExplicit                      // only with CAST or ::
)

// casts lists the contexts of the casts between kinds; what is not listed follows the general rules of CastAllowed.
// PostgreSQL 15, catalog pg_cast.
var casts = buildCasts()

type castPair struct{ from, to types.Kind }

func buildCasts() map[castPair]CastContext {
	m := map[castPair]CastContext{}
	add := func(ctx CastContext, from types.Kind, to ...types.Kind) {
		for _, t := range to {
			m[castPair{from, t}] = ctx
		}
	}
	regs := []types.Kind{types.Regclass, types.Regtype, types.Regproc, types.Regnamespace, types.Regrole, types.Regprocedure, types.Regoperator}
	add(CastImplicit, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.OID)
	add(CastImplicit, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.OID)
	add(CastAssignment, types.Int4, types.Int2)
	add(CastExplicit, types.Int4, types.Bool, types.Char)
	add(CastImplicit, types.Int8, types.Float4, types.Float8, types.Numeric, types.OID)
	add(CastAssignment, types.Int8, types.Int2, types.Int4)
	add(CastImplicit, types.Numeric, types.Float4, types.Float8)
	add(CastAssignment, types.Numeric, types.Int2, types.Int4, types.Int8)
	add(CastImplicit, types.Float4, types.Float8)
	add(CastAssignment, types.Float4, types.Int2, types.Int4, types.Int8, types.Numeric)
	add(CastAssignment, types.Float8, types.Int2, types.Int4, types.Int8, types.Float4, types.Numeric)
	add(CastExplicit, types.Bool, types.Int4)
	add(CastImplicit, types.OID, types.Int8)
	add(CastAssignment, types.OID, types.Int4)
	for _, r := range regs {
		add(CastImplicit, types.OID, r)
		add(CastImplicit, types.Int2, r)
		add(CastImplicit, types.Int4, r)
		add(CastImplicit, types.Int8, r)
		add(CastImplicit, r, types.OID)
		add(CastAssignment, r, types.Int4, types.Int8)
	}
	add(CastImplicit, types.Regproc, types.Regprocedure)
	add(CastImplicit, types.Regprocedure, types.Regproc)
	add(CastAssignment, types.Text, types.Regclass)
	add(CastAssignment, types.Varchar, types.Regclass)
	add(CastImplicit, types.Text, types.Varchar, types.Name)
	add(CastAssignment, types.Text, types.Char)
	add(CastImplicit, types.Varchar, types.Text, types.Name)
	add(CastAssignment, types.Varchar, types.Char)
	add(CastImplicit, types.Name, types.Text)
	add(CastAssignment, types.Name, types.Varchar)
	add(CastImplicit, types.Char, types.Text)
	add(CastAssignment, types.Char, types.Varchar)
	add(CastExplicit, types.Char, types.Int4)
	add(CastImplicit, types.Date, types.Timestamp, types.TimestampTZ)
	add(CastImplicit, types.Timestamp, types.TimestampTZ)
	add(CastAssignment, types.Timestamp, types.Date, types.Time)
	add(CastAssignment, types.TimestampTZ, types.Date, types.Time, types.Timestamp)
	add(CastImplicit, types.Time, types.Interval)
	add(CastAssignment, types.Interval, types.Time)
	add(CastAssignment, types.JSON, types.JSONB)
	add(CastAssignment, types.JSONB, types.JSON)
	add(CastExplicit, types.JSONB, types.Bool, types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric)
	add(CastAssignment, types.Map, types.JSONB, types.JSON)
	add(CastAssignment, types.Struct, types.JSONB, types.JSON)
	add(CastAssignment, types.Record, types.JSONB, types.JSON)
	add(CastExplicit, types.JSONB, types.Map, types.Struct)
	return m
}

// CastAllowed returns the narrowest context in which a value of from converts to to; ok is false if it never does. Besides the
// listed pairs: a type converts to itself; arrays convert as their elements do; every type becomes text by assignment; text
// becomes every type if asked (PostgreSQL docs, CREATE CAST, on I/O conversion casts). Modifiers play no part.
func CastAllowed(from, to types.Type) (ctx CastContext, ok bool) {
	if from.Equal(to) || from.Kind == types.Unknown {
		return CastImplicit, true
	}
	switch {
	case from.Kind == types.Array && to.Kind == types.Array && from.Elem != nil && to.Elem != nil:
		return CastAllowed(*from.Elem, *to.Elem)
	case isVector(from.Kind) && to.Kind == types.Array && to.Elem != nil:
		return CastAllowed(elemType(from), *to.Elem)
	case from.Kind == to.Kind && from.Kind == types.Map:
		return CastAllowed(*from.Elem, *to.Elem)
	case isRow(from.Kind) && isRow(to.Kind):
		return castRow(from, to)
	}
	if ctx, ok = casts[castPair{from.Kind, to.Kind}]; ok {
		return ctx, true
	}
	if from.Kind == types.Void || to.Kind == types.Void || to.Kind == types.Unknown || to.Kind >= types.Any {
		return 0, false
	}
	if to.Kind == types.Text || to.Kind == types.Varchar {
		return CastAssignment, true
	}
	if isString(from.Kind) {
		return CastExplicit, true
	}
	return 0, false
}

func castRow(from, to types.Type) (CastContext, bool) {
	if to.Kind == types.Record && len(to.Fields) == 0 {
		return CastImplicit, true
	}
	if len(from.Fields) != len(to.Fields) {
		return 0, false
	}
	widest := CastAssignment
	for i := range from.Fields {
		ctx, ok := CastAllowed(from.Fields[i].Type, to.Fields[i].Type)
		if !ok {
			return 0, false
		}
		widest = max(widest, ctx)
	}
	return widest, true
}

func isString(k types.Kind) bool {
	return k == types.Text || k == types.Varchar || k == types.Name || k == types.Char
}
func isVector(k types.Kind) bool { return k == types.Int2Vector || k == types.OIDVector }
func isRow(k types.Kind) bool    { return k == types.Struct || k == types.Record }
func isInteger(k types.Kind) bool {
	return k == types.Int2 || k == types.Int4 || k == types.Int8
}

// elemType is the element type of an array or vector, the value type of a map; Unknown for anything else.
func elemType(t types.Type) types.Type {
	switch {
	case (t.Kind == types.Array || t.Kind == types.Map) && t.Elem != nil:
		return *t.Elem
	case t.Kind == types.Int2Vector:
		return types.Of(types.Int2)
	case t.Kind == types.OIDVector:
		return types.Of(types.OID)
	}
	return types.Of(types.Unknown)
}

// commonType resolves the types of UNION, CASE, ARRAY, VALUES, GREATEST and the like (PostgreSQL docs, 10.5): all the same type, else the
// last preferred type of one category that the others convert to. All unknown gives text. ok is false if the types cannot be matched.
func commonType(ts []types.Type) (t types.Type, ok bool) {
	best := types.Of(types.Unknown)
	for _, t := range ts {
		switch {
		case t.Kind == types.Unknown:
		case best.Kind == types.Unknown:
			best = t
		case best.Equal(t):
			if best.Mod != t.Mod {
				best.Mod = -1
			}
		case category(best.Kind) != category(t.Kind):
			return t, false
		case !best.Kind.Preferred() && implicit(best, t) && !implicit(t, best), best.Kind == types.Varchar && t.Kind == types.Text:
			best = t
			best.Mod = -1
		default:
			best.Mod = -1
		}
	}
	if best.Kind == types.Unknown {
		return types.Of(types.Text), true
	}
	for _, t := range ts {
		if !implicit(t, best) {
			return t, false
		}
	}
	return best, true
}

func category(k types.Kind) byte {
	if k == types.Char {
		return 'S' // PostgreSQL has it apart; text still wins against it here
	}
	return k.Category()
}

func implicit(from, to types.Type) bool {
	ctx, ok := CastAllowed(from, to)
	return ok && ctx == CastImplicit
}
