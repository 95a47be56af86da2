package planner

import (
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// coerce converts x to t if ctx allows it: untyped literals are read as t, an undecided parameter becomes t, everything else gets a
// Cast. pos is where an error points.
func (b *binder) coerce(x Expr, t types.Type, ctx CastContext, pos sql.Pos) (Expr, error) {
	from := x.Type()
	if from.Equal(t) && (t.Mod < 0 || from.Mod == t.Mod || ctx == CastImplicit) {
		return x, nil
	}
	if from.Kind == types.Unknown {
		if y, done, err := b.coerceUnknown(x, t, ctx, pos); done || err != nil {
			return y, err
		}
	}
	if c, ok := x.(*Const); ok && isInteger(from.Kind) && t.Mod < 0 && !c.Val.Null {
		if y := widenInteger(c, t); y != nil {
			return y, nil
		}
	}
	if row, ok := x.(*RowExpr); ok && t.Kind == types.Struct && len(row.Fields) == len(t.Fields) {
		return b.coerceRow(row, t, ctx, pos)
	}
	narrowest, ok := CastAllowed(from, t)
	if !ok || narrowest > ctx {
		return nil, sqlerr.New(sqlerr.CannotCoerce, "cannot cast type %s to %s", from, t).At(pos.Offset())
	}
	return &Cast{Arg: x, To: t, Explicit: ctx == CastExplicit}, nil
}

// widenInteger makes an integer constant one of a wider numeric type; nil if t is not wider.
func widenInteger(c *Const, t types.Type) *Const {
	switch {
	case isInteger(t.Kind) && t.Kind > c.Typ.Kind:
		return &Const{t, c.Val}
	case t.Kind == types.Numeric:
		return &Const{t, types.BytesDatum(strconv.FormatInt(c.Val.I, 10))}
	case t.Kind == types.Float8:
		return &Const{t, types.FloatDatum(float64(c.Val.I))}
	}
	return nil
}

func (b *binder) coerceUnknown(x Expr, t types.Type, ctx CastContext, pos sql.Pos) (y Expr, done bool, err error) {
	switch x := x.(type) {
	case *Const:
		if x.Val.Null {
			return nullConst(t), true, nil
		}
		y, err := b.readLiteral(x.Val.S, t, ctx, pos)
		return y, true, err
	case *Param:
		b.st.decideParam(x, t)
		x.Typ = b.st.params[x.Index]
		if x.Typ.Equal(t) && t.Mod < 0 {
			return x, true, nil
		}
		y, err := b.coerce(x, t, ctx, pos)
		return y, true, err
	}
	return nil, false, nil
}

// readLiteral reads an untyped literal as t. What only the session knows (the name of a relation, say) is left to a cast at run time.
func (b *binder) readLiteral(s string, t types.Type, ctx CastContext, pos sql.Pos) (Expr, error) {
	set := b.st.p.Settings.Text
	if t.Kind >= types.Regclass && t.Kind <= types.Regoperator && (set == nil || set.RegOID == nil) {
		if !isNumber(s) {
			return &Cast{Arg: textConst(s), To: t, Explicit: true}, nil
		}
	}
	plain := t
	if ctx != CastImplicit && t.Kind == types.Varchar {
		plain.Mod = -1 // an assignment must fail where an explicit cast cuts
	}
	if plain.Kind == types.Record || plain.Kind >= types.Any {
		return nil, sqlerr.New(sqlerr.IndeterminateDatatype, "could not determine the type of a literal").At(pos.Offset())
	}
	c, err := b.parseConst(s, plain, pos)
	if err != nil || plain.Mod == t.Mod {
		return c, err
	}
	return &Cast{Arg: c, To: t, Explicit: ctx == CastExplicit}, nil
}

// isNumber reports whether s can be an OID.
func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

func (b *binder) coerceRow(row *RowExpr, t types.Type, ctx CastContext, pos sql.Pos) (Expr, error) {
	out := &RowExpr{Typ: t, Fields: make([]Expr, len(row.Fields))}
	for i, f := range row.Fields {
		x, err := b.coerce(f, t.Fields[i].Type, max(ctx, CastAssignment), pos)
		if err != nil {
			return nil, err
		}
		out.Fields[i] = x
	}
	return out, nil
}

// settle gives an untyped literal the type text; an undecided parameter stays so, for a later use may decide it.
func (b *binder) settle(x Expr) Expr {
	if c, ok := x.(*Const); ok && c.Typ.Kind == types.Unknown {
		return &Const{types.Of(types.Text), c.Val}
	}
	return x
}

// assign converts x to the type of a column that it is stored in.
func (b *binder) assign(x Expr, c *Column, pos sql.Pos) (Expr, error) {
	y, err := b.coerce(x, c.Type, CastAssignment, pos)
	if sqlerr.CodeOf(err) == sqlerr.CannotCoerce {
		return nil, sqlerr.New(sqlerr.DatatypeMismatch, "column %q is of type %s but expression is of type %s", c.Name, c.Type, x.Type()).
			WithHint("You will need to rewrite or cast the expression.").At(pos.Offset())
	}
	return y, err
}

// resolveType finds the type that a name stands for.
func (st *statement) resolveType(n *sql.TypeName) (types.Type, error) {
	t, err := st.resolveBaseType(n)
	if err != nil {
		return t, err
	}
	for range n.ArrayDims {
		if t.Kind == types.Array {
			break // as in PostgreSQL, int[][] is int[]
		}
		t = types.ArrayOf(t)
	}
	return t, nil
}

func (st *statement) resolveBaseType(n *sql.TypeName) (types.Type, error) {
	switch {
	case n.Name == "interval" && n.Schema == "" && (n.Interval != "" || len(n.Mods) > 0):
		precision := -1
		if len(n.Mods) > 0 {
			if precision = n.Mods[0]; precision < 0 {
				return types.Type{}, sqlerr.New(sqlerr.InvalidParameterValue, "INTERVAL(%d) precision must not be negative", precision).At(n.Offset())
			}
		}
		return types.IntervalTypeOf(n.Interval, precision), nil
	case n.Setof || n.PercentType:
		return types.Type{}, sqlerr.New(sqlerr.FeatureNotSupported, "SETOF and %%TYPE are not supported here").At(n.Offset())
	case n.Name == "array" && n.Elem != nil:
		elem, err := st.resolveType(n.Elem)
		return types.ArrayOf(elem), err
	case n.Name == "map" && n.Elem != nil:
		return st.resolveMap(n)
	case (n.Name == "struct" || n.Name == "row") && len(n.Fields) > 0:
		return st.resolveStruct(n.Fields)
	}
	if n.Schema == "" || n.Schema == "pg_catalog" {
		if t, ok := types.Lookup(n.Name); ok && t.Kind < types.Void && t.Kind != types.Unknown {
			return withMods(t, n)
		}
	}
	if t, ok := st.p.Catalog.Type(st.ctx, n.Schema, n.Name); ok {
		return t, nil
	}
	name := n.Name
	if n.Schema != "" {
		name = n.Schema + "." + name
	}
	return types.Type{}, sqlerr.New(sqlerr.UndefinedObject, "type %q does not exist", name).At(n.Offset())
}

func (st *statement) resolveMap(n *sql.TypeName) (types.Type, error) {
	key, err := st.resolveType(n.Key)
	if err != nil {
		return key, err
	}
	if !isString(key.Kind) {
		return key, sqlerr.New(sqlerr.FeatureNotSupported, "map keys must be TEXT, not %s", key).At(n.Key.Offset())
	}
	elem, err := st.resolveType(n.Elem)
	return types.MapOf(elem), err
}

func (st *statement) resolveStruct(defs []*sql.FieldDef) (types.Type, error) {
	seen := map[string]bool{}
	var fs []types.Field
	for _, d := range defs {
		if seen[d.Name] {
			return types.Type{}, sqlerr.New(sqlerr.DuplicateColumn, "field %q specified more than once", d.Name).At(d.Offset())
		}
		seen[d.Name] = true
		t, err := st.resolveType(d.Type)
		if err != nil {
			return t, err
		}
		fs = append(fs, types.Field{Name: d.Name, Type: t})
	}
	return types.StructOf(fs...), nil
}

func withMods(t types.Type, n *sql.TypeName) (types.Type, error) {
	bad := func(format string, args ...any) (types.Type, error) {
		return t, sqlerr.New(sqlerr.InvalidParameterValue, format, args...).At(n.Offset())
	}
	if len(n.Mods) == 0 {
		return t, nil
	}
	m := n.Mods[0]
	switch t.Kind {
	case types.Varchar:
		if m < 1 || m > 10_485_760 {
			return bad("length for type varchar must be between 1 and 10485760")
		}
		return types.VarcharOf(m), nil
	case types.Numeric:
		scale := 0
		if len(n.Mods) > 1 {
			scale = n.Mods[1]
		}
		if m < 1 || m > 1000 {
			return bad("NUMERIC precision %d must be between 1 and 1000", m)
		}
		if scale < -1000 || scale > 1000 {
			return bad("NUMERIC scale %d must be between -1000 and 1000", scale)
		}
		return types.NumericOf(m, scale), nil
	case types.Time, types.Timestamp, types.TimestampTZ:
		if m < 0 {
			return bad("%s(%d) precision must not be negative", strings.ToUpper(t.Name()), m)
		}
		t.Mod = int32(min(m, 6))
		return t, nil
	}
	return t, sqlerr.New(sqlerr.SyntaxError, "type modifier is not allowed for type %q", t.Name()).At(n.Offset())
}

func fieldName(i int) string { return "f" + strconv.Itoa(i+1) }
