package expr

import (
	"github.com/millracedb/millrace/sql/types"
)

// (a, b) OVERLAPS (c, d): whether two spans of time share a moment, each given by its ends or by its start and length (PostgreSQL docs, 9.9). A span
// includes its start and not its end; one of no length is its moment.

func init() {
	for name, add := range map[string]func(c *Call, at types.Datum, iv types.IntervalValue) (int64, error){
		"timestamp": func(_ *Call, at types.Datum, iv types.IntervalValue) (int64, error) {
			return types.AddInterval(at.I, iv)
		},
		"timestamptz": func(c *Call, at types.Datum, iv types.IntervalValue) (int64, error) {
			return types.AddIntervalTZ(at.I, iv, zoneOf(c.Env))
		},
		"time": func(_ *Call, at types.Datum, iv types.IntervalValue) (int64, error) {
			us := at.I + iv.Micros
			return us - floorDiv(us, microsPerDay)*microsPerDay, nil
		},
	} {
		for _, left := range []string{name, "interval"} {
			for _, right := range []string{name, "interval"} {
				row("overlaps("+name+","+left+","+name+","+right+")", func(c *Call, a []types.Datum) (types.Datum, error) {
					ends := [4]types.Datum{a[0], a[1], a[2], a[3]}
					for i, kind := range map[int]string{1: left, 3: right} {
						if kind != "interval" {
							continue
						}
						if ends[i] = types.NullDatum; a[i].Null || a[i-1].Null {
							continue
						}
						at, err := add(c, a[i-1], types.IntervalOf(a[i]))
						if err != nil {
							return types.NullDatum, err
						}
						ends[i] = types.IntDatum(at)
					}
					return overlap(ends), nil
				})
			}
		}
	}
}

// overlap decides for the spans e[0] to e[1] and e[2] to e[3]. An end that is NULL is unknown: the answer is NULL unless the others decide.
func overlap(e [4]types.Datum) types.Datum {
	for _, s := range []int{0, 2} {
		from, to := &e[s], &e[s+1]
		switch {
		case from.Null && to.Null:
			return types.NullDatum
		case from.Null, !to.Null && from.I > to.I:
			*from, *to = *to, *from
		}
	}
	if e[0].I > e[2].I {
		e[0], e[1], e[2], e[3] = e[2], e[3], e[0], e[1]
	}
	if e[0].I == e[2].I { // two spans that begin together share that moment, if it is in both
		if e[1].Null || e[3].Null {
			return types.NullDatum
		}
		return types.BoolDatum(true)
	}
	switch {
	case !e[1].Null && e[2].I < e[1].I:
		return types.BoolDatum(true)
	case e[1].Null || e[3].Null:
		return types.NullDatum
	}
	return types.BoolDatum(false)
}
