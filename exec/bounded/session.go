package bounded

import (
	"cmp"
	"slices"

	"github.com/millracedb/millrace/sql/types"
)

// sessionRow is a row on its way into a session: the number of its key, and when it was.
type sessionRow struct {
	rowtime int64
	key     int32
	ref     rowRef
}

const sessionRowBytes = 24

// addSessions groups the rows of in by key and session: rows of a key that are no further apart than the gap are together. It holds all
// rows, for any of them may join two sessions.
func (a *aggregator) addSessions(in Iter) error {
	rows, err := a.q.all(in, schema(a.n.In))
	if err != nil {
		return err
	}
	for s, set := range a.sets() {
		if err := a.addSessionsOf(rows, s, set); err != nil {
			return err
		}
	}
	return nil
}

// addSessionsOf does it for grouping set number s.
func (a *aggregator) addSessionsOf(rows *rowSet, s int, set []int) error {
	order, keys, err := a.sessionOrder(rows, s, set)
	if err != nil {
		return err
	}
	ids := make([][]int32, len(rows.batches))
	for i, b := range rows.batches {
		ids[i] = make([]int32, b.Len())
	}
	var id int32
	for i, r := range order {
		if i == 0 || r.key != order[i-1].key || r.rowtime-order[i-1].rowtime > a.n.Window.SizeMs {
			if id, err = a.newKeyGroup(keys[r.key], [2]int64{r.rowtime, r.rowtime}, 0); err != nil {
				return err
			}
		}
		a.windows[id][1] = r.rowtime
		ids[r.ref.batch][r.ref.row] = id
	}
	for i, b := range rows.batches {
		a.eval(b)
		a.in, a.ids = append(a.in[:0], a.sel...), ids[i]
		if err := a.addCalls(); err != nil {
			return err
		}
	}
	return nil
}

// sessionOrder returns all rows by key and time, and the values of the keys.
func (a *aggregator) sessionOrder(rows *rowSet, s int, set []int) (order []sessionRow, keys [][]types.Datum, err error) {
	numbers := map[string]int32{}
	for i, b := range rows.batches {
		if b.Rowtime == nil {
			return nil, nil, errNoRowtime()
		}
		cols := a.eval(b)
		if err := a.errs.First(); err != nil {
			return nil, nil, err
		}
		if err := a.q.Memory.grow(sessionRowBytes * b.Len()); err != nil {
			return nil, nil, err
		}
		for row := range b.Len() {
			a.key(cols, row, s, set)
			n, ok := numbers[string(a.buf)]
			if !ok {
				n = int32(len(keys))
				numbers[string(a.buf)] = n
				keys = append(keys, a.keysOf(cols, row, set))
				if err := a.q.Memory.grow(groupBytes + 2*len(a.buf)); err != nil {
					return nil, nil, err
				}
			}
			order = append(order, sessionRow{b.Rowtime[row], n, rowRef{int32(i), int32(row)}})
		}
	}
	slices.SortFunc(order, func(x, y sessionRow) int {
		return cmp.Or(cmp.Compare(x.key, y.key), cmp.Compare(x.rowtime, y.rowtime))
	})
	return order, keys, nil
}
