package pgcatalog

import (
	_ "embed"
	"strings"
	"time"

	"github.com/millracedb/millrace/sql/types"
)

// zoneNames are the names of the zone database, one a line. The library that knows the zones cannot list them.
//
//go:embed zones.txt
var zoneNames string

// timezoneNames returns name, abbreviation, offset and daylight saving of each zone at the start of the transaction.
func (c *catalog) timezoneNames() [][]types.Datum {
	now := time.UnixMicro(c.s.StartMicros())
	var out [][]types.Datum
	for name := range strings.FieldsSeq(zoneNames) {
		loc, err := types.LookupZone(name)
		if err != nil {
			continue
		}
		at := now.In(loc)
		abbrev, offset := at.Zone()
		iv := types.IntervalValue{Micros: int64(offset) * 1e6}
		out = append(out, []types.Datum{text(name), text(abbrev), iv.Datum(), flag(at.IsDST())})
	}
	return out
}

// fillTimezoneNames fills pg_timezone_names.
func (c *catalog) fillTimezoneNames(t *table) { t.rows = append(t.rows, c.timezoneNames()...) }
