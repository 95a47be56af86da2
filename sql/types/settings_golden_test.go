package types_test

import (
	"testing"

	"github.com/millracedb/millrace/sql/types"
)

func TestSettingsChangeFormsAsInPostgreSQL(t *testing.T) {
	var cases []opCase
	add := func(setting, value, typ, input string, set *types.Settings) {
		query := "v::text from (select " + quote(input) + "::" + typ + " v, set_config(" + quote(setting) + ", " + quote(value) + ", false) offset 0) q"
		if setting == "datestyle" { // must hold before the literal is read
			query = "v::text from (select t::" + typ + " v from (select set_config('datestyle', " + quote(value) + ", false), " + quote(input) + " t offset 0) s offset 0) q"
		}
		cases = append(cases, opCase{query, func() string {
			declared, _ := typeOf(typ)
			d, err := types.ParseText(declared, input, set)
			return orError(types.FormatText(declared, d, set), err)
		}})
	}
	for name, order := range map[string]types.DateOrder{"MDY": types.MDY, "DMY": types.DMY, "YMD": types.YMD} {
		for _, s := range []string{
			"01/02/03", "1999-01-08", "1/18/1999", "18/1/1999", "99-01-08", "08-Jan-99", "99-Jan-08", "Jan-08-1999", "8 Jan 1999", "January 8, 1999", "1999 Jan 8", "20030405",
			"1.2.2003", "990108",
		} {
			add("datestyle", "ISO, "+name, "date", s, &types.Settings{DateOrder: order})
		}
	}
	for _, s := range append(intervalOperands, "1 year", "-00:00:00.5", "1 day -1 hour", "P1Y2M3DT4H5M6.789S") {
		add("intervalstyle", "iso_8601", "interval", s, &types.Settings{IntervalStyle: types.IntervalISO8601})
	}
	for _, s := range []string{`\x00ff`, `a\\b`, `plain`, `\x7f80`, ``} {
		add("bytea_output", "escape", "bytea", s, &types.Settings{ByteaEscape: true})
	}
	sortCases(cases)
	checkGolden(t, "testdata/settings.golden", cases)
}
