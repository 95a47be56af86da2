package bounded

import (
	"math"
	"slices"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

const (
	// groupBytes is what a group is charged beyond its key and values, groupIntBytes where the key is an integer, with it.
	groupBytes    = 256
	groupIntBytes = intEntryBytes + 2*4
	// fastCallBytes is what the values of a call that runs over vectors are charged in a group, callBytes those of another.
	fastCallBytes = 48
	callBytes     = 64
)

// aggregator groups the rows of its input: each row gets the number of its group, then each call takes the whole batch.
type aggregator struct {
	q     *Query
	n     *planner.Aggregate
	keys  []*expr.Program
	calls []*aggCall

	// byKey finds groups by their encoded key, and values has their keys. Where the only key is an integer byInt has its number, ints the group of each
	// number, and nullGroup is the NULL one, -1 without.
	byKey     map[string]int32
	values    [][]types.Datum
	byInt     *intIndex
	ints      []int32
	nullGroup int32

	groups  int        // how many there are
	windows [][2]int64 // by group: start and end in ms; with a window
	ids     []int32    // the group of each row of the batch
	in      []int32    // the rows that are in a group
	errs    expr.Errors
	sel     []int32
	buf     []byte
}

func (q *Query) openAggregate(n *planner.Aggregate) (Iter, error) {
	a := &aggregator{q: q, n: n, byKey: map[string]int32{}, nullGroup: -1}
	if err := a.compile(); err != nil {
		return nil, err
	}
	in, err := q.open(n.In)
	if err != nil {
		return nil, err
	}
	if n.Window != nil && n.Window.Kind == planner.Session {
		if err := a.addSessions(in); err != nil {
			return nil, err
		}
		return a.result()
	}
	defer in.Close()
	for {
		b, err := in.Next()
		if err != nil {
			return nil, err
		}
		if b == nil {
			break
		}
		if err := a.add(b); err != nil {
			return nil, err
		}
	}
	return a.result()
}

func (a *aggregator) compile() error {
	var err error
	if a.keys, err = expr.CompileAll(a.n.Keys); err != nil {
		return err
	}
	if len(a.keys) == 1 && a.n.Sets == nil && a.n.Window == nil && a.keys[0].Type().Kind.Storage() == types.StoreInt {
		a.byInt = &intIndex{}
	}
	for _, g := range a.n.Aggs {
		c, err := a.q.newAggCall(g)
		if err != nil {
			return err
		}
		a.calls = append(a.calls, c)
	}
	return nil
}

func (a *aggregator) add(b *vec.Batch) error {
	cols := a.eval(b)
	if err := a.errs.First(); err != nil {
		return err
	}
	hops := 1
	if a.n.Window != nil {
		hops = int(a.n.Window.MaxWindows())
	}
	for s, set := range a.sets() {
		for hop := range hops {
			if err := a.assign(b, cols, s, set, hop); err != nil {
				return err
			}
			if err := a.addCalls(); err != nil {
				return err
			}
		}
	}
	return nil
}

// eval computes keys and arguments of a batch; what fails is in a.errs.
func (a *aggregator) eval(b *vec.Batch) (keys []*vec.Vector) {
	a.errs.Reset(b.Len())
	a.sel = vec.All(a.sel[:0], b.Len())
	keys = make([]*vec.Vector, len(a.keys))
	for i, p := range a.keys {
		keys[i] = p.Eval(a.q.Env, b, a.sel, &a.errs)
	}
	for _, c := range a.calls {
		c.eval(b, a.sel, &a.errs)
	}
	return keys
}

func (a *aggregator) sets() [][]int {
	if a.n.Sets == nil {
		return [][]int{nil}
	}
	return a.n.Sets
}

// addCalls adds the rows a.in to their groups a.ids.
func (a *aggregator) addCalls() error {
	for _, c := range a.calls {
		if err := c.add(a.in, a.ids, a.groups); err != nil {
			return err
		}
	}
	return nil
}

// assign finds the group of every row in grouping set number s, and in its window number hop, counted from the newest.
func (a *aggregator) assign(b *vec.Batch, cols []*vec.Vector, s int, set []int, hop int) error {
	n := b.Len()
	a.ids = slices.Grow(a.ids[:0], n)[:n]
	a.in = append(a.in[:0], a.sel...)
	switch {
	case len(cols) == 0 && a.n.Window == nil && a.n.Sets == nil:
		if a.groups == 0 {
			a.groups, a.values = 1, [][]types.Datum{nil}
		}
		clear(a.ids)
		return nil
	case a.byInt != nil:
		return a.assignInts(cols[0])
	}
	if a.n.Window != nil {
		if b.Rowtime == nil {
			return errNoRowtime()
		}
		a.inHop(b, hop)
	}
	for _, row := range a.in {
		if err := a.assignRow(b, cols, int(row), s, set, hop); err != nil {
			return err
		}
	}
	return nil
}

func errNoRowtime() error {
	return sqlerr.New(sqlerr.FeatureNotSupported, "WINDOW needs rows with an event time").
		WithHint("Rows of streams have one, and rows that a join makes of a stream's.")
}

// inHop keeps the rows that have a window number hop.
func (a *aggregator) inHop(b *vec.Batch, hop int) {
	a.in = slices.DeleteFunc(a.in, func(row int32) bool {
		all, _ := a.n.Window.Covering(b.Rowtime[row], math.MinInt64)
		return int64(hop) >= all
	})
}

func (a *aggregator) assignInts(v *vec.Vector) error {
	nulls := v.HasNulls()
	for i, x := range v.I64[:len(a.ids)] {
		if nulls && v.IsNull(i) {
			if a.nullGroup < 0 {
				id, err := a.newGroup(groupIntBytes)
				if err != nil {
					return err
				}
				a.nullGroup = id
			}
			a.ids[i] = a.nullGroup
			continue
		}
		n, fresh := a.byInt.add(x)
		if fresh {
			id, err := a.newGroup(groupIntBytes)
			if err != nil {
				return err
			}
			a.ints = append(a.ints, id)
		}
		a.ids[i] = a.ints[n]
	}
	return nil
}

// newGroup counts one more group, which takes so many bytes beside the values of the calls.
func (a *aggregator) newGroup(bytes int) (int32, error) {
	a.groups++
	for _, c := range a.calls {
		if c.fast != nil {
			bytes += fastCallBytes
		} else {
			bytes += callBytes
		}
	}
	return int32(a.groups - 1), a.q.Memory.grow(bytes)
}

// newKeyGroup is newGroup for one with its keys, and its window if there is one.
func (a *aggregator) newKeyGroup(keys []types.Datum, window [2]int64, bytes int) (int32, error) {
	a.values = append(a.values, keys)
	if a.n.Window != nil {
		a.windows = append(a.windows, window)
	}
	return a.newGroup(groupBytes + bytes)
}

func (a *aggregator) assignRow(b *vec.Batch, cols []*vec.Vector, row, s int, set []int, hop int) error {
	a.key(cols, row, s, set)
	var window [2]int64
	if w := a.n.Window; w != nil {
		start := w.Start(b.Rowtime[row]) - int64(hop)*w.Step()
		window = [2]int64{start, start + w.SizeMs}
		a.buf = types.AppendKey(a.buf, types.Of(types.Int8), types.IntDatum(start))
	}
	id, ok := a.byKey[string(a.buf)]
	if !ok {
		var err error
		if id, err = a.newKeyGroup(a.keysOf(cols, row, set), window, 2*len(a.buf)); err != nil {
			return err
		}
		a.byKey[string(a.buf)] = id
	}
	a.ids[row] = id
	return nil
}

// key puts the key of a row in grouping set number s into a.buf.
func (a *aggregator) key(cols []*vec.Vector, row, s int, set []int) {
	a.buf = append(a.buf[:0], byte(s))
	for k, v := range cols {
		d := types.NullDatum
		if a.grouped(k, set) {
			d = v.View(row)
		}
		a.buf = types.AppendKey(a.buf, a.keys[k].Type(), d)
	}
}

// keysOf are the values of the keys in a row's group.
func (a *aggregator) keysOf(cols []*vec.Vector, row int, set []int) []types.Datum {
	keys := make([]types.Datum, len(cols))
	for k, v := range cols {
		keys[k] = types.NullDatum
		if a.grouped(k, set) {
			keys[k] = v.Datum(row)
		}
	}
	return keys
}

// grouped reports whether key k is in a grouping set.
func (a *aggregator) grouped(k int, set []int) bool {
	return a.n.Sets == nil || slices.Contains(set, k)
}

func (a *aggregator) result() (Iter, error) {
	a.emptyGroups()
	for _, c := range a.calls {
		if err := c.grow(a.groups); err != nil {
			return nil, err
		}
	}
	if a.byInt != nil {
		return &groupIter{a: a, ints: a.intOfGroup(), out: vec.NewBatch(schema(a.n), min(a.groups, batchRows))}, nil
	}
	return &groupIter{a: a, out: vec.NewBatch(schema(a.n), min(a.groups, batchRows))}, nil
}

// intOfGroup returns the integer key of each group; that of the NULL one says nothing.
func (a *aggregator) intOfGroup() []int64 {
	keys := make([]int64, a.groups)
	for n, id := range a.ints {
		keys[id] = a.byInt.keys[n]
	}
	a.byInt, a.ints = nil, nil
	return keys
}

// groupIter yields the rows of the groups.
type groupIter struct {
	a    *aggregator
	ints []int64 // the keys, where they are integers
	next int
	out  *vec.Batch
}

func (it *groupIter) Next() (*vec.Batch, error) {
	it.out.Reset()
	for ; it.next < it.a.groups && it.out.Len() < batchRows; it.next++ {
		if err := it.append(it.next); err != nil {
			return nil, err
		}
	}
	if it.out.Len() == 0 {
		return nil, nil
	}
	return it.out, nil
}

func (it *groupIter) Close() {}

func (it *groupIter) append(i int) error {
	a, c := it.a, 0
	next := func(d types.Datum) {
		it.out.Cols[c].AppendDatum(d)
		c++
	}
	switch {
	case it.ints == nil:
		for _, d := range a.values[i] {
			next(d)
		}
	case int32(i) == a.nullGroup:
		next(types.NullDatum)
	default:
		next(types.IntDatum(it.ints[i]))
	}
	if a.n.Window != nil {
		next(types.IntDatum(a.windows[i][0] * 1000))
		next(types.IntDatum(a.windows[i][1] * 1000))
	}
	for _, call := range a.calls {
		d, err := call.result(i)
		if err != nil {
			return err
		}
		next(d)
	}
	it.out.SetLen(it.out.Len() + 1)
	return nil
}

// emptyGroups adds the row of an aggregate without GROUP BY over no rows, and that of each empty grouping set.
func (a *aggregator) emptyGroups() {
	if a.groups > 0 || a.n.Window != nil {
		return
	}
	n := 0
	if len(a.n.Keys) == 0 && a.n.Sets == nil {
		n = 1
	}
	for _, set := range a.n.Sets {
		if len(set) == 0 {
			n++
		}
	}
	for range n {
		var keys []types.Datum
		for range a.n.Keys {
			keys = append(keys, types.NullDatum)
		}
		a.values = append(a.values, keys)
		a.groups++
	}
}
