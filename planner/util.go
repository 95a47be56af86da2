package planner

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func itoa(i int) string { return strconv.Itoa(i) }

// atoi reads digits; anything too large for an int32 gives -1.
func atoi(s string) int {
	i, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return -1
	}
	return int(i)
}

// notePos remembers where a column was named, for errors found after binding.
func (st *statement) notePos(c *ColumnRef, pos sql.Pos) {
	if st.positions == nil {
		st.positions = map[*ColumnRef]sql.Pos{}
	}
	st.positions[c] = pos
}

func (st *statement) posOf(e Expr, otherwise sql.Pos) sql.Pos {
	if c, ok := e.(*ColumnRef); ok {
		if pos, ok := st.positions[c]; ok {
			return pos
		}
	}
	return otherwise
}

// intervalOfMillis makes the value of an interval; see types.Interval for the layout.
func intervalOfMillis(ms int64) types.Datum {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(ms*1000))
	return types.BytesDatum(string(b[:]))
}

// unitMillis are the lengths of the units that have a fixed one.
var unitMillis = map[sql.Unit]int64{
	sql.Milliseconds: 1, sql.Seconds: 1000, sql.Minutes: 60_000, sql.Hours: 3_600_000, sql.Days: 86_400_000, sql.Weeks: 604_800_000,
}

// durationMs reads a length of time in milliseconds. Months and years have no fixed length and are refused.
func (st *statement) durationMs(d *sql.Duration) (int64, error) {
	if d.Interval != nil {
		v, err := types.ParseText(types.Of(types.Interval), d.Interval.Text, st.p.Settings.Text)
		if err != nil {
			return 0, sqlerr.From(err).At(d.Offset())
		}
		return intervalMs(v, d.Offset())
	}
	ms, ok := unitMillis[d.Unit]
	if !ok {
		return 0, notFixed(d.Offset())
	}
	if d.Count < 0 || d.Count > math.MaxInt64/1000/ms {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "the length of time is out of range").At(d.Offset())
	}
	return d.Count * ms, nil
}

func notFixed(pos int) error {
	return sqlerr.New(sqlerr.InvalidParameterValue, "a window's length must be fixed; months and years are not").
		WithHint("Use DAYS.").At(pos)
}

func intervalMs(v types.Datum, pos int) (int64, error) {
	b := []byte(v.S)
	if len(b) != 16 {
		return 0, sqlerr.New(sqlerr.InternalError, "malformed interval")
	}
	micros := int64(binary.LittleEndian.Uint64(b))
	days := int64(int32(binary.LittleEndian.Uint32(b[8:])))
	if binary.LittleEndian.Uint32(b[12:]) != 0 {
		return 0, notFixed(pos)
	}
	if micros < 0 || days < 0 || days > math.MaxInt64/unitMillis[sql.Days]/2 {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "the length of time is out of range").At(pos)
	}
	return micros/1000 + days*unitMillis[sql.Days], nil
}
