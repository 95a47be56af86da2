// Package types holds the SQL types of Millrace with their PostgreSQL identity (OID, length, typmod), the boxed
// value of one column of one row (Datum), and the text and binary input and output functions of each type, which
// follow PostgreSQL 15.
//
// From the bottom: type.go and datum.go (what a value is), catalog.go (names and OIDs), then a file or two per family of types for
// its forms (numeric.go, datetimein.go, datetimeout.go, interval.go, jsonb.go, array.go, ...) and its arithmetic (numericops.go,
// datetimemath.go), and over them what works on every type: text.go, binary.go, jsonio.go, compare.go and key.go.
// There is no state but a cache of time zones. To see what PostgreSQL makes of a text, add it to testdata/values.txt and
// run the tests with -pg.
//
// It is a leaf: the parser, the planner, the executor and the engine share it. Columns of many values are
// exec/vec.Vector, which lays the same representations out in arrays.
package types

// Kind names a family of types; with Mod, Elem and Fields it makes a Type.
type Kind uint8

// The kinds. The comment gives the representation in a Datum and, in brackets, in a vec.Vector.
const (
	Unknown      Kind = iota // an untyped literal or NULL: S holds its text [bytes]
	Bool                     // I is 0 or 1 [int64]
	Int2                     // I [int64]
	Int4                     // I [int64]
	Int8                     // I [int64]
	Float4                   // F, already rounded to float32 [float64]
	Float8                   // F [float64]
	Numeric                  // S: canonical decimal text with its scale, "-12.30", "NaN", "Infinity", "-Infinity" [bytes]
	Text                     // S, valid UTF-8 without NUL [bytes]
	Varchar                  // S [bytes]; Mod is n+4, or -1
	Bytea                    // S, raw bytes [bytes]
	Date                     // I: days since 1970-01-01; MinInt32/MaxInt32 are -infinity/infinity [int64]
	Time                     // I: microseconds since midnight [int64]
	Timestamp                // I: microseconds since 1970-01-01 00:00; MinInt64/MaxInt64 are -infinity/infinity [int64]
	TimestampTZ              // I: microseconds since 1970-01-01 00:00 UTC, as above [int64]
	Interval                 // S: 16 bytes little endian: int64 microseconds, int32 days, int32 months [bytes]
	UUID                     // S: 16 bytes [bytes]
	JSONB                    // S: canonical text as PostgreSQL prints jsonb [bytes]
	JSON                     // S: text as given [bytes]
	JSONPath                 // S: the path as PostgreSQL prints it, see jsonpath.go [bytes]
	EnumKind                 // I: the order of the label, see enum.go [int64]
	Array                    // S: see array.go [bytes]
	Map                      // S: canonical JSONB object text; on the wire jsonb [bytes]
	Struct                   // S: one encoded Datum per field, see array.go; on the wire jsonb [bytes]
	Record                   // S: as Struct; an anonymous row, PostgreSQL's record [bytes]
	OID                      // I [int64]
	Name                     // S [bytes]
	Char                     // S: one byte, PostgreSQL's "char" [bytes]
	Regclass                 // I: an OID that prints as a relation's name [int64]
	Regtype                  // I [int64]
	Regproc                  // I [int64]
	Regnamespace             // I [int64]
	Regrole                  // I [int64]
	Regprocedure             // I: an OID that prints as a function with its argument types [int64]
	Regoperator              // I: the same of an operator [int64]
	Int2Vector               // S: as Array of Int2, subscripts from 0 [bytes]
	OIDVector                // S: as Array of OID, subscripts from 0 [bytes]
	Void                     // no value
	Any                      // only in signatures: matches every type
	AnyElement               // only in signatures: one type per call
	AnyArray                 // only in signatures: array of AnyElement
	AnyEnum                  // only in signatures: one enumerated type per call
)

// Type is one SQL type. Types are values: compare them with Equal.
type Type struct {
	Kind Kind
	// Mod is PostgreSQL's type modifier: varchar(n) is n+4, numeric(p,s) is ((p<<16)|s)+4, -1 for none.
	Mod int32
	// Elem is the element type of an Array and the value type of a Map.
	Elem *Type
	// Fields are the members of a Struct or Record, in order.
	Fields []Field
	// Enum is the enumeration of an EnumKind.
	Enum *Enum
}

// Field is one member of a Struct.
type Field struct {
	Name string
	Type Type
}

// Of returns the type of kind k without modifier.
func Of(k Kind) Type { return Type{Kind: k, Mod: -1} }

// ArrayOf returns the type of arrays of elem.
func ArrayOf(elem Type) Type { return Type{Kind: Array, Mod: -1, Elem: &elem} }

// Equal reports whether t and u are the same type, modifiers aside.
func (t Type) Equal(u Type) bool {
	if t.Kind != u.Kind || (t.Elem == nil) != (u.Elem == nil) || len(t.Fields) != len(u.Fields) {
		return false
	}
	if t.Kind == EnumKind && t.enumOID() != u.enumOID() {
		return false
	}
	if t.Elem != nil && !t.Elem.Equal(*u.Elem) {
		return false
	}
	for i := range t.Fields {
		if t.Fields[i].Name != u.Fields[i].Name || !t.Fields[i].Type.Equal(u.Fields[i].Type) {
			return false
		}
	}
	return true
}

// enumOID is the OID of the enumeration, 0 if there is none.
func (t Type) enumOID() uint32 {
	if t.Enum == nil {
		return 0
	}
	return t.Enum.OID
}

// Storage is how a kind's values are held: which member of Datum, which array of a Vector.
type Storage uint8

// The storages.
const (
	StoreInt   Storage = iota // Datum.I
	StoreFloat                // Datum.F
	StoreBytes                // Datum.S
)

// Storage returns how values of k are held.
func (k Kind) Storage() Storage {
	switch k {
	case Bool, Int2, Int4, Int8, Date, Time, Timestamp, TimestampTZ, OID, Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator, EnumKind:
		return StoreInt
	case Float4, Float8:
		return StoreFloat
	default:
		return StoreBytes
	}
}
