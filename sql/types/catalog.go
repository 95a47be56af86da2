package types

import (
	"strconv"
	"strings"
)

// kindInfo is what pg_type says of a kind (PostgreSQL 15, catalog pg_type).
type kindInfo struct {
	oid, arrayOID uint32
	typname       string // pg_type.typname
	sqlName       string // as format_type prints it
	length        int16  // pg_type.typlen
	category      byte   // pg_type.typcategory
}

var kinds = [...]kindInfo{
	Unknown:      {705, 0, "unknown", "unknown", -2, 'X'},
	Bool:         {16, 1000, "bool", "boolean", 1, 'B'},
	Int2:         {21, 1005, "int2", "smallint", 2, 'N'},
	Int4:         {23, 1007, "int4", "integer", 4, 'N'},
	Int8:         {20, 1016, "int8", "bigint", 8, 'N'},
	Float4:       {700, 1021, "float4", "real", 4, 'N'},
	Float8:       {701, 1022, "float8", "double precision", 8, 'N'},
	Numeric:      {1700, 1231, "numeric", "numeric", -1, 'N'},
	Text:         {25, 1009, "text", "text", -1, 'S'},
	Varchar:      {1043, 1015, "varchar", "character varying", -1, 'S'},
	Bytea:        {17, 1001, "bytea", "bytea", -1, 'U'},
	Date:         {1082, 1182, "date", "date", 4, 'D'},
	Time:         {1083, 1183, "time", "time without time zone", 8, 'D'},
	Timestamp:    {1114, 1115, "timestamp", "timestamp without time zone", 8, 'D'},
	TimestampTZ:  {1184, 1185, "timestamptz", "timestamp with time zone", 8, 'D'},
	Interval:     {1186, 1187, "interval", "interval", 16, 'T'},
	UUID:         {2950, 2951, "uuid", "uuid", 16, 'U'},
	JSONB:        {3802, 3807, "jsonb", "jsonb", -1, 'U'},
	JSON:         {114, 199, "json", "json", -1, 'U'},
	JSONPath:     {4072, 4073, "jsonpath", "jsonpath", -1, 'U'},
	EnumKind:     {0, 0, "enum", "enum", 4, 'E'},
	Array:        {0, 0, "array", "array", -1, 'A'},
	Map:          {3802, 3807, "jsonb", "map", -1, 'U'},
	Struct:       {3802, 3807, "jsonb", "struct", -1, 'U'},
	Record:       {2249, 2287, "record", "record", -1, 'P'},
	OID:          {26, 1028, "oid", "oid", 4, 'N'},
	Name:         {19, 1003, "name", "name", 64, 'S'},
	Char:         {18, 1002, "char", `"char"`, 1, 'Z'},
	Regclass:     {2205, 2210, "regclass", "regclass", 4, 'N'},
	Regtype:      {2206, 2211, "regtype", "regtype", 4, 'N'},
	Regproc:      {24, 1008, "regproc", "regproc", 4, 'N'},
	Regnamespace: {4089, 4090, "regnamespace", "regnamespace", 4, 'N'},
	Regrole:      {4096, 4097, "regrole", "regrole", 4, 'N'},
	Int2Vector:   {22, 1006, "int2vector", "int2vector", -1, 'A'},
	OIDVector:    {30, 1013, "oidvector", "oidvector", -1, 'A'},
	Regprocedure: {2202, 2207, "regprocedure", "regprocedure", 4, 'N'},
	Regoperator:  {2204, 2209, "regoperator", "regoperator", 4, 'N'},
	Void:         {2278, 0, "void", "void", 4, 'P'},
	Any:          {2276, 0, "any", `"any"`, 4, 'P'},
	AnyElement:   {2283, 0, "anyelement", "anyelement", 4, 'P'},
	AnyArray:     {2277, 0, "anyarray", "anyarray", -1, 'P'},
	AnyEnum:      {3500, 0, "anyenum", "anyenum", 4, 'P'},
}

// BpcharOID is PostgreSQL's blank-padded character type, which drivers may send as a parameter's type. Millrace
// takes it as Varchar.
const BpcharOID = 1042

// Kinds returns every kind that pg_type has a row for, in the order of their numbers: all but Array, Map and Struct, and EnumKind,
// whose types are made by users.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds))
	for k := range kinds {
		if Kind(k) != Array && Kind(k) != Map && Kind(k) != Struct && Kind(k) != EnumKind {
			all = append(all, Kind(k))
		}
	}
	return all
}

// OID returns the type's OID in pg_type. An array type has one by its element type; maps and structs are jsonb to the
// clients.
func (t Type) OID() uint32 {
	if t.Kind == Array {
		if t.Elem == nil {
			return kinds[AnyArray].oid
		}
		return t.Elem.ArrayOID()
	}
	if t.Enum != nil {
		return t.Enum.OID
	}
	return kinds[t.Kind].oid
}

// ArrayOID returns the OID of arrays of the type; 0 if there are none.
func (t Type) ArrayOID() uint32 {
	if t.Enum != nil {
		return t.Enum.ArrayOID
	}
	return kinds[t.Kind].arrayOID
}

// Len returns pg_type.typlen: the size in bytes of a fixed-length type, else -1 (or -2 for a C string).
func (t Type) Len() int16 { return kinds[t.Kind].length }

// Category returns pg_type.typcategory, which rules what is preferred in overload resolution (PostgreSQL 15 docs, chapter 10).
func (k Kind) Category() byte { return kinds[k].category }

// Preferred reports whether the kind is the preferred one of its category.
func (k Kind) Preferred() bool {
	switch k {
	case Bool, Float8, Text, TimestampTZ, Interval, OID:
		return true
	default:
		return false
	}
}

// Name returns pg_type.typname: "int4", "_int4" for its array.
func (t Type) Name() string {
	if t.Kind == Array && t.Elem != nil {
		return "_" + t.Elem.Name()
	}
	if t.Enum != nil {
		return t.Enum.TypeName
	}
	return kinds[t.Kind].typname
}

// String returns the kind as SQL names it, without modifier.
func (k Kind) String() string { return kinds[k].sqlName }

// String returns the type as PostgreSQL's format_type prints it: "character varying(10)", "numeric(10,2)", "integer[]".
// Maps and structs print in the syntax that declares them.
func (t Type) String() string {
	switch t.Kind {
	case Array:
		if t.Elem == nil {
			return "anyarray"
		}
		return t.Elem.String() + "[]"
	case EnumKind:
		if t.Enum != nil {
			return t.Enum.Name
		}
	case Map:
		if t.Elem == nil {
			return "map"
		}
		return "map<text, " + t.Elem.String() + ">"
	case Struct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = f.Name + " " + f.Type.String()
		}
		return "struct<" + strings.Join(parts, ", ") + ">"
	}
	name := kinds[t.Kind].sqlName
	if t.Mod < 0 {
		return name
	}
	return withModifier(t, name)
}

func withModifier(t Type, name string) string {
	switch t.Kind {
	case Varchar:
		return name + "(" + strconv.Itoa(int(t.Mod-4)) + ")"
	case Numeric:
		precision, scale, _ := t.NumericMod()
		return name + "(" + strconv.Itoa(precision) + "," + strconv.Itoa(scale) + ")"
	case Time, Timestamp, TimestampTZ:
		word, rest, _ := strings.Cut(name, " ")
		return word + "(" + strconv.Itoa(int(t.Mod)) + ") " + rest
	case Interval:
		return t.intervalName(name)
	}
	return name
}

// NumericMod returns the precision and scale of numeric(p,s); ok is false for a numeric without them.
func (t Type) NumericMod() (precision, scale int, ok bool) {
	if t.Kind != Numeric || t.Mod < 4 {
		return 0, 0, false
	}
	m := t.Mod - 4
	scale = int(m & 0x7FF)
	if scale > 1023 { // PostgreSQL 15 keeps the scale in 11 bits, signed
		scale -= 2048
	}
	return int(m>>16) & 0xFFFF, scale, true
}

// NumericOf returns numeric(precision, scale).
func NumericOf(precision, scale int) Type {
	return Type{Kind: Numeric, Mod: (int32(precision)<<16 | int32(scale)&0x7FF) + 4}
}

// VarcharOf returns character varying(n).
func VarcharOf(n int) Type { return Type{Kind: Varchar, Mod: int32(n) + 4} }

// MapOf returns the type of maps from text to elem.
func MapOf(elem Type) Type { return Type{Kind: Map, Mod: -1, Elem: &elem} }

// StructOf returns the type of structs of the fields, which it keeps.
func StructOf(fields ...Field) Type { return Type{Kind: Struct, Mod: -1, Fields: fields} }

// FromOID returns the type of a pg_type OID, as parameters name it.
func FromOID(oid uint32) (Type, bool) {
	if oid == BpcharOID {
		return Of(Varchar), true
	}
	t, ok := byOID[oid]
	return t, ok
}

// Lookup returns the type of a name in lower case: pg_type's names, SQL's names (also of several words), ksqlDB's
// names, and "_int4" or "integer[]" for arrays. It takes no modifiers. "char" is PostgreSQL's one-byte "char"; the parser
// gives the standard's CHAR(n) as "bpchar" or "character".
func Lookup(name string) (Type, bool) {
	if k, ok := byName[name]; ok {
		return Of(k), true
	}
	elem, isArray := strings.CutSuffix(name, "[]")
	if !isArray {
		elem, isArray = strings.CutPrefix(name, "_")
	}
	if !isArray {
		return Type{}, false
	}
	k, ok := byName[elem]
	if !ok || kinds[k].arrayOID == 0 {
		return Type{}, false
	}
	return ArrayOf(Of(k)), true
}

var byOID, byName = indexKinds()

func indexKinds() (map[uint32]Type, map[string]Kind) {
	oids := make(map[uint32]Type, 2*len(kinds))
	names := map[string]Kind{
		"int": Int4, "double": Float8, "float": Float8, "decimal": Numeric, "dec": Numeric, "string": Text,
		"character": Varchar, "bpchar": Varchar, "bytes": Bytea, "xid": Int8, "regoper": Regoperator, "time": Time, "timestamp": Timestamp, "bool": Bool,
	}
	for _, k := range Kinds() {
		info := kinds[k]
		oids[info.oid] = Of(k)
		if info.arrayOID != 0 {
			oids[info.arrayOID] = ArrayOf(Of(k))
		}
		names[info.typname] = k
		names[strings.Trim(info.sqlName, `"`)] = k
	}
	return oids, names
}
