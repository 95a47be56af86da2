package exec

import (
	"cmp"
	"time"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// rowTimes gives rows of a relation their event time: that of the column that the relation names for it. It must lie between 1970 and future ahead
// of the clock: anything else would close windows that are not over.
type rowTimes struct {
	name    string
	ord     int         // -1 without such a column
	pattern timePattern // how the column, a text, is read; nil for a column of time
	clock   clock.Clock
	future  time.Duration
	latest  int64 // the last time that is no error, as of some time ago, ms
}

func newRowTimes(rel *planner.Relation, c clock.Clock) (rowTimes, error) {
	t := rowTimes{ord: rel.TimestampColumn, clock: c, future: cmp.Or(rel.MaxFuture, planner.DefaultMaxFuture)}
	if t.ord < 0 {
		return t, nil
	}
	t.name = rel.Columns[t.ord].Name
	if rel.TimestampFormat == "" {
		return t, nil
	}
	var err error
	t.pattern, err = parseTimePattern(rel)
	return t, err
}

// of returns the time, in ms, that col gives row i.
func (t *rowTimes) of(col *vec.Vector, i int) (int64, error) {
	if col.IsNull(i) {
		return 0, sqlerr.New(sqlerr.NotNullViolation, "column %q, which gives the row's time, is NULL", t.name)
	}
	if t.pattern == nil {
		return eventTime(col, i), nil
	}
	us, err := t.pattern.Parse(col.Str(i), time.UTC)
	return floorMillis(us), err
}

// check refuses a time that no row can have.
func (t *rowTimes) check(at int64) error {
	if at > t.latest {
		t.latest = t.clock.Now().Add(t.future).UnixMilli() // the clock is not read for each row
	}
	if at < 0 || at > t.latest {
		return sqlerr.New(sqlerr.DatetimeFieldOverflow, "the row's time, %s, is before 1970 or more than %s ahead of the clock",
			time.UnixMilli(at).UTC().Format(time.RFC3339), planner.FormatMillis(t.future.Milliseconds()))
	}
	return nil
}

// set gives the rows that join a batch their time.
func (t *rowTimes) set(rows *vec.Batch) error {
	if t.ord < 0 {
		return nil
	}
	for i := range rows.Len() {
		if i == len(rows.Rowtime) {
			rows.Rowtime = append(rows.Rowtime, t.clock.Now().UnixMilli())
		}
		if err := t.setRow(rows, i); err != nil {
			return err
		}
	}
	return nil
}

// setRow is set for one row, which has a rowtime.
func (t *rowTimes) setRow(rows *vec.Batch, i int) error {
	if t.ord < 0 || !rows.Op(i).Adds() {
		return nil
	}
	at, err := t.of(rows.Cols[t.ord], i)
	if err != nil {
		return err
	}
	rows.Rowtime[i] = at
	return t.check(at)
}
