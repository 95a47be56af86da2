package planner

import (
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// FuncKind tells scalar functions from aggregates and set-returning functions.
type FuncKind uint8

// The kinds of function.
const (
	ScalarFunc FuncKind = iota
	AggregateFunc
	SetFunc
	// WindowOnlyFunc is row_number and its like: only with OVER.
	WindowOnlyFunc
	// OrderedSetFunc is an aggregate with WITHIN GROUP. Its declared arguments are the direct ones, then those of WITHIN GROUP; of a variadic
	// one they are direct arguments, for which WITHIN GROUP has one expression each.
	OrderedSetFunc
)

// Volatility is PostgreSQL's: what a function's result may depend on.
type Volatility uint8

// The volatilities.
const (
	Immutable Volatility = iota // arguments only; may be folded
	Stable                      // also the session and the start of the statement
	Volatile                    // anything
)

// Func is one overload of a function, operator or aggregate: its signature. exec implements it under ID(); a test pairs the two.
type Func struct {
	Name string // lower case; an operator's symbol
	Args []types.Type
	// Variadic: the last of Args may repeat.
	Variadic bool
	Ret      types.Type
	// NotStrict: the function sees NULL arguments. All others return NULL for any NULL argument without being called.
	NotStrict  bool
	Volatility Volatility
	Kind       FuncKind
	// Ordered: the result of the aggregate depends on the order of its rows.
	Ordered bool
	// Session: the implementation needs the session (current_user, pg_table_is_visible, set_config...): it is evaluated through
	// the environment and never in a persistent query.
	Session bool
	// Columns are a set-returning function's result columns when there are several.
	Columns []types.Field
}

// ID names the overload for the executor: the name and the argument kinds, as in "+(int4,int4)", "lower(text)", "count()".
func (f *Func) ID() string {
	var b strings.Builder
	b.WriteString(f.Name)
	b.WriteByte('(')
	for i, a := range f.Args {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(kindID(a))
	}
	if f.Variadic {
		b.WriteString("...")
	}
	b.WriteByte(')')
	return b.String()
}

func kindID(t types.Type) string {
	if t.Kind == types.Array && t.Elem != nil {
		return kindID(*t.Elem) + "[]"
	}
	return kindNames[t.Kind]
}

// kindNames are the short names used in function IDs.
var kindNames = map[types.Kind]string{
	types.Unknown: "unknown", types.Bool: "bool", types.Int2: "int2", types.Int4: "int4", types.Int8: "int8", types.Float4: "float4",
	types.Float8: "float8", types.Numeric: "numeric", types.Text: "text", types.Varchar: "varchar", types.Bytea: "bytea", types.Date: "date",
	types.Time: "time", types.Timestamp: "timestamp", types.TimestampTZ: "timestamptz", types.Interval: "interval", types.UUID: "uuid",
	types.JSONB: "jsonb", types.JSON: "json", types.Array: "array", types.Map: "map", types.Struct: "struct", types.Record: "record", types.OID: "oid",
	types.Name: "name", types.Char: "char", types.Regclass: "regclass", types.Regtype: "regtype", types.Regproc: "regproc",
	types.Regnamespace: "regnamespace", types.Regrole: "regrole", types.Regprocedure: "regprocedure", types.Regoperator: "regoperator", types.Int2Vector: "int2vector", types.OIDVector: "oidvector",
	types.Void: "void", types.Any: "any", types.AnyElement: "anyelement", types.AnyArray: "anyarray",
	types.JSONPath: "jsonpath", types.EnumKind: "enum", types.AnyEnum: "anyenum",
}
