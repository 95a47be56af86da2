package expr

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Functions of enumerated types (PostgreSQL docs, chapter 9.10). Their arguments say which type is meant, and may be NULL.

func init() {
	row("enum_first(anyenum)", func(c *Call, _ []types.Datum) (types.Datum, error) {
		return enumEnd(c, func(labels []types.EnumLabel) types.EnumLabel { return labels[0] })
	})
	row("enum_last(anyenum)", func(c *Call, _ []types.Datum) (types.Datum, error) {
		return enumEnd(c, func(labels []types.EnumLabel) types.EnumLabel { return labels[len(labels)-1] })
	})
	row("enum_range(anyenum)", func(c *Call, _ []types.Datum) (types.Datum, error) {
		return enumRange(c, types.NullDatum, types.NullDatum), nil
	})
	row("enum_range(anyenum,anyenum)", func(c *Call, a []types.Datum) (types.Datum, error) {
		return enumRange(c, a[0], a[1]), nil
	})
}

// enumLabels are those of the type of the first argument.
func enumLabels(c *Call) []types.EnumLabel {
	if c.Args[0].Enum == nil {
		return nil
	}
	return c.Args[0].Enum.Labels.All()
}

// enumEnd is the first or last value.
func enumEnd(c *Call, pick func([]types.EnumLabel) types.EnumLabel) (types.Datum, error) {
	labels := enumLabels(c)
	if len(labels) == 0 {
		return types.NullDatum, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "enum %s contains no values", c.Args[0])
	}
	return types.IntDatum(pick(labels).Order), nil
}

// enumRange is the array of the values from one to another; NULL is the end of the type.
func enumRange(c *Call, from, to types.Datum) types.Datum {
	var out []types.Datum
	for _, l := range enumLabels(c) {
		if (from.Null || l.Order >= from.I) && (to.Null || l.Order <= to.I) {
			out = append(out, types.IntDatum(l.Order))
		}
	}
	return types.ArrayDatum(c.Args[0], out)
}
