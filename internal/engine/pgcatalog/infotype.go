package pgcatalog

import "github.com/millracedb/millrace/sql/types"

// bytesPerCharacter is the most that a character of UTF-8 takes, and unlimitedBytes what PostgreSQL calls the length of a text without limit.
const (
	bytesPerCharacter = 4
	unlimitedBytes    = 1 << 30
)

// describeType adds what information_schema tells of a type.
func describeType(cells row, db types.Datum, t types.Type) {
	cells["data_type"] = text(dataType(t))
	cells["udt_catalog"], cells["udt_schema"], cells["udt_name"] = db, text(udtSchema(t)), text(udtName(t))
	precision := func(bits int64) {
		cells["numeric_precision"], cells["numeric_precision_radix"] = num(bits), num(2)
	}
	integer := func(bits int64) {
		precision(bits)
		cells["numeric_scale"] = num(0)
	}
	switch t.Kind {
	case types.Int2:
		integer(16)
	case types.Int4:
		integer(32)
	case types.Int8:
		integer(64)
	case types.Float4:
		precision(24)
	case types.Float8:
		precision(53)
	case types.Numeric:
		cells["numeric_precision_radix"] = num(10)
		if p, s, ok := t.NumericMod(); ok {
			cells["numeric_precision"], cells["numeric_scale"] = num(int64(p)), num(int64(s))
		}
	case types.Text:
		cells["character_octet_length"] = num(unlimitedBytes)
	case types.Varchar:
		cells["character_octet_length"] = num(unlimitedBytes)
		if n := int64(t.Mod) - 4; n > 0 {
			cells["character_maximum_length"], cells["character_octet_length"] = num(n), num(n*bytesPerCharacter)
		}
	case types.Date:
		cells["datetime_precision"] = num(0)
	case types.Time, types.Timestamp, types.TimestampTZ:
		cells["datetime_precision"] = num(6)
		if t.Mod >= 0 {
			cells["datetime_precision"] = num(int64(t.Mod))
		}
	case types.Interval:
		cells["datetime_precision"] = num(6)
		if p := t.Mod & 0xFFFF; t.Mod >= 0 && p != 0xFFFF {
			cells["datetime_precision"] = num(int64(p))
		}
	}
}

// dataType is the standard's name of a type.
func dataType(t types.Type) string {
	switch t.Kind {
	case types.Array, types.Int2Vector, types.OIDVector:
		return "ARRAY"
	case types.Map, types.Struct:
		return types.JSONB.String()
	case types.EnumKind:
		return "USER-DEFINED"
	default:
		return t.Kind.String()
	}
}

// udtSchema is the schema of a type: an array is in that of its elements.
func udtSchema(t types.Type) string {
	if t.Kind == types.Array && t.Elem != nil {
		return udtSchema(*t.Elem)
	}
	if t.Kind == types.EnumKind {
		return t.Enum.Schema
	}
	return schemaPgCatalog
}

// udtName is pg_type's name of a type.
func udtName(t types.Type) string {
	if t.Kind == types.Map || t.Kind == types.Struct {
		return types.Of(types.JSONB).Name()
	}
	return t.Name()
}
