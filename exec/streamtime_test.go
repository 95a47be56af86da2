package exec_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRowsInOrderAreNotLateBehindAQueryThatDealsThemAnew has one partition's twenty days arrive before the other's, through a join by a key
// that is not the stream's and the stream that it writes, at a window with a day of grace.
func TestRowsInOrderAreNotLateBehindAQueryThatDealsThemAnew(t *testing.T) {
	h := newHarness(t, 2)
	h.run(`CREATE TABLE names (k INT PRIMARY KEY, name TEXT) WITH (topic = 'names')`)
	h.run(`CREATE STREAM s (k INT) WITH (topic = 's')`)
	h.run(`CREATE STREAM named AS SELECT n.name FROM s JOIN names n ON s.k = n.k`)
	h.run(`CREATE TABLE days AS SELECT name, count(*) AS n FROM named WINDOW TUMBLING (SIZE 1 DAY) GROUP BY name`)
	for k := range 8 {
		h.put("names", fmt.Sprintf(`{"k":%d,"name":"n%d"}`, k, k%4))
	}
	h.settle("names")
	const day, days = 86_400_000, 20
	for partition := range 2 {
		for d := range days {
			for k := range 8 {
				h.put("s", fmt.Sprintf(`{"k":%d,"_t":%d}`, k, d*day+2*k+partition))
			}
		}
		h.settle("days")
	}
	require.Len(t, h.table("days"), 4*days)
	for _, row := range h.table("days") {
		require.Regexp(t, `\b4\b`, row, "two rows of each partition")
	}
}
