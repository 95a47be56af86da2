package planner

import (
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// defaultGraceMs is a window's grace without EMIT FINAL, with which it is 0.
const defaultGraceMs = 24 * 3_600_000

// streamer turns a bound plan into one that runs for ever: it gives every edge its change mode and keys and puts Normalize and
// Exchange where operators need old rows or other placement.
type streamer struct {
	final  bool // EMIT FINAL
	latest bool // streams start at their end
	// partitions is the number of partitions of every exchange: that of the first source unless the sink's is given.
	partitions int32
	// identify: rows of append edges must carry (partition, offset), for a view whose key is derived from them.
	identify bool
	// edges holds what Props has no field for.
	edges    map[Node]edge
	finalled bool // the aggregate that EMIT FINAL means was found
}

// edge describes the rows that leave a node, beside Props.
type edge struct {
	// count is the number of partitions the rows are dealt over.
	count int32
	// ident are the columns that identify a row of an append edge, nil if they were not asked for.
	ident []int
	// streamKey are the columns of the source stream's key, nil when not all of them are there.
	streamKey []int
}

func newStreamer(n Node, final bool) *streamer {
	s := &streamer{final: final, edges: map[Node]edge{}}
	s.partitions = firstPartitions(n)
	return s
}

// lower returns the node for continuous execution and where its old columns are now.
func (s *streamer) lower(n Node) (Node, []int, error) {
	switch x := n.(type) {
	case *Scan:
		return s.lowerScan(x)
	case *Filter:
		return s.lowerFilter(x)
	case *Project:
		return s.lowerProject(x)
	case *Aggregate:
		return s.lowerAggregate(x)
	case *Join:
		return s.lowerJoin(x)
	case *SetOp:
		return s.lowerSetOp(x)
	case *Distinct:
		if len(x.On) == 0 {
			return s.lower(distinctRows(x.In))
		}
		return s.lowerDistinctOn(x)
	case *Limit:
		return s.lowerLimit(x)
	case *WindowFunc:
		return s.lowerOver(x)
	case *Values, *FuncScan:
		return nil, nil, notYet("a continuous query over rows that never change", "it has no stream or table to follow",
			"SELECT without EMIT; for a table with these rows CREATE TABLE t (...), and INSERT INTO t SELECT", -1)
	}
	return nil, nil, sqlerr.New(sqlerr.FeatureNotSupported, "%s has no incremental form in a continuous query", nodeName(n))
}

func (s *streamer) lowerFilter(x *Filter) (Node, []int, error) {
	if n, at, ok, err := s.lowerFirstOf(x); ok || err != nil {
		return n, at, err
	}
	in, at, err := s.lower(x.In)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkVolatile(in, x.Cond); err != nil {
		return nil, nil, err
	}
	out := &Filter{P: *in.Props(), In: in, Cond: moved(x.Cond, at)}
	out.P.OpID = 0
	s.edges[out] = s.edges[in]
	return out, at, nil
}

// checkVolatile refuses volatile functions over updating input: the old row could not be computed again.
func (s *streamer) checkVolatile(in Node, es ...Expr) error {
	if in.Props().Mode == ModeAppend {
		return nil
	}
	for _, e := range es {
		if e != nil && pinned(e) {
			return sqlerr.New(sqlerr.FeatureNotSupported, "volatile and set-returning functions cannot run over rows that change").
				WithDetail("Reason: when a row is taken back, its old result could not be computed again.").
				WithHint("What works: the function over a stream, or a column that stores its result.")
		}
	}
	return nil
}

// lowerProject keeps the columns that identify a row, hidden where they were not selected.
func (s *streamer) lowerProject(x *Project) (Node, []int, error) {
	in, at, err := s.lower(x.In)
	if err != nil {
		return nil, nil, err
	}
	in, exprs, err := s.expandTargets(in, movedAll(append([]Expr(nil), x.Exprs...), at))
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkVolatile(in, exprs...); err != nil {
		return nil, nil, err
	}
	ip, ie := in.Props(), s.edges[in]
	out := newProject(in, exprs, append([]Col(nil), x.P.Cols...))
	place := func(ord int) int {
		for i, e := range out.Exprs {
			if c, ok := e.(*ColumnRef); ok && c.Ord == ord {
				return i
			}
		}
		return -1
	}
	keep := func(ords []int) []int {
		if ords == nil {
			return nil
		}
		kept := make([]int, len(ords))
		for i, ord := range ords {
			if kept[i] = place(ord); kept[i] < 0 {
				col := ip.Cols[ord]
				col.Hidden = true
				out.Exprs = append(out.Exprs, &ColumnRef{Ord: ord, Typ: col.Type, Name: col.Name})
				out.P.Cols = append(out.P.Cols, col)
				kept[i] = len(out.Exprs) - 1
			}
		}
		return kept
	}
	find := func(ords []int) []int {
		if ords == nil {
			return nil
		}
		found := make([]int, len(ords))
		for i, ord := range ords {
			if found[i] = place(ord); found[i] < 0 {
				return nil
			}
		}
		return found
	}
	out.P.Mode = ip.Mode
	out.P.ChangeKey = keep(ip.ChangeKey)
	e := edge{count: ie.count, ident: keep(ie.ident)}
	e.streamKey = find(ie.streamKey)
	out.P.PartitionKey = find(ip.PartitionKey)
	s.edges[out] = e
	return out, sameColumns(len(x.Exprs)), nil
}

// computed makes sure that exprs are columns of n and returns their ordinals.
func (s *streamer) computed(n Node, exprs []Expr) (Node, []int) {
	ords := make([]int, len(exprs))
	var extra []Expr
	width := len(n.Props().Cols)
	for i, e := range exprs {
		if c, ok := e.(*ColumnRef); ok {
			ords[i] = c.Ord
			continue
		}
		ords[i] = width + len(extra)
		extra = append(extra, e)
	}
	if len(extra) == 0 {
		return n, ords
	}
	cols := append([]Col(nil), n.Props().Cols...)
	for i, e := range extra {
		cols = append(cols, Col{Name: keyName(e, i), Type: e.Type(), Hidden: true})
	}
	p := newProject(n, append(identity(n), extra...), cols)
	p.P.Mode, p.P.ChangeKey, p.P.PartitionKey = n.Props().Mode, n.Props().ChangeKey, n.Props().PartitionKey
	s.edges[p] = s.edges[n]
	return p, ords
}

func refs(n Node, ords []int) []Expr {
	out := make([]Expr, len(ords))
	for i, o := range ords {
		c := n.Props().Cols[o]
		out[i] = &ColumnRef{Ord: o, Typ: c.Type, Name: c.Name}
	}
	return out
}

func contains(set []int, x int) bool {
	for _, y := range set {
		if x == y {
			return true
		}
	}
	return false
}

func subset(a, b []int) bool {
	for _, x := range a {
		if !contains(b, x) {
			return false
		}
	}
	return true
}

func sameOrds(a, b []int) bool {
	if len(a) != len(b) || a == nil {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// normalize gives updating rows their old rows.
func (s *streamer) normalize(n Node) Node {
	if n.Props().Mode != ModeUpsert {
		return n
	}
	out := &Normalize{P: *n.Props(), In: n}
	out.P.Mode, out.P.OpID = ModeRetract, 0
	s.edges[out] = s.edges[n]
	return out
}

// placedWithin reports whether rows with equal columns ords are in one partition already, because some of those columns decide it.
func placedWithin(n Node, ords []int) bool {
	by := n.Props().PartitionKey
	return by != nil && subset(by, ords)
}

// dealtByNames reports whether rows may still be where a relation's topic has them. A key of several columns is encoded with the names of the
// columns, so that equal values are in the same partition number only of topics whose key columns have the same names; exchanges name none.
func dealtByNames(n Node) bool {
	switch n.(type) {
	case *Exchange:
		return false
	case *Scan:
		return true
	}
	return slices.ContainsFunc(n.Inputs(), dealtByNames)
}

// placeBy makes sure that rows with equal columns ords are in one partition out of s.partitions. Rows that move away from their change key
// need their old rows with them, and are from then on identified by both.
func (s *streamer) placeBy(n Node, ords []int) Node {
	e := s.edges[n]
	if sameOrds(n.Props().PartitionKey, ords) && e.count == s.partitions && (len(ords) < 2 || !dealtByNames(n)) {
		return n
	}
	if n.Props().Mode == ModeUpsert && !subset(ords, n.Props().ChangeKey) {
		n = s.normalize(n)
	}
	out := &Exchange{P: *n.Props(), In: n, By: refs(n, ords)}
	out.P.PartitionKey, out.P.OpID = ords, 0
	if out.P.Mode != ModeAppend {
		out.P.ChangeKey = mergeSets(out.P.ChangeKey, ords)
	}
	e.count = s.partitions
	s.edges[out] = e
	return out
}

func (s *streamer) lowerAggregate(x *Aggregate) (Node, []int, error) {
	if x.Sets != nil {
		return s.lowerSets(x)
	}
	identify := s.identify
	s.identify = false // groups identify the result, not the rows that made it
	in, at, err := s.lower(x.In)
	s.identify = identify
	if err != nil {
		return nil, nil, err
	}
	keys, aggs := movedAll(append([]Expr(nil), x.Keys...), at), copyAggs(x.Aggs)
	moveAggs(aggs, at)
	if err := checkSession(x.Window, in); err != nil {
		return nil, nil, err
	}
	for _, g := range aggs {
		if err := s.checkAggregate(in, g); err != nil {
			return nil, nil, err
		}
	}
	if err := s.checkVolatile(in, keys...); err != nil {
		return nil, nil, err
	}
	in = s.normalize(in)
	in, ords := s.computed(in, keys)
	if !placedWithin(in, ords) {
		in = s.placeBy(in, ords)
	}
	out := &Aggregate{P: Props{Cols: x.P.Cols}, In: in, Keys: refs(in, ords), Aggs: aggs}
	out.P.Mode = ModeRetract
	out.P.ChangeKey = sameColumns(len(keys))
	out.P.PartitionKey = []int{}
	for _, o := range in.Props().PartitionKey {
		out.P.PartitionKey = append(out.P.PartitionKey, indexOf(ords, o))
	}
	e := edge{count: s.edges[in].count}
	if x.Window != nil {
		w := *x.Window
		for i := range w.bounds() {
			out.P.ChangeKey = append(out.P.ChangeKey, len(keys)+i)
		}
		if w.GraceMs < 0 {
			w.GraceMs = defaultGraceMs
			if s.final {
				w.GraceMs = 0
			}
		}
		if err := w.checkRetention(); err != nil {
			return nil, nil, err
		}
		out.Window = &w
		if s.final {
			out.Final, s.finalled = true, true
			e.streamKey, e.ident = out.P.ChangeKey, out.P.ChangeKey
			out.P.Mode, out.P.ChangeKey = ModeAppend, nil
		}
	}
	s.edges[out] = e
	return out, sameColumns(len(x.P.Cols)), nil
}

func copyAggs(aggs []Agg) []Agg {
	out := append([]Agg(nil), aggs...)
	for i := range out {
		out[i].Args = append([]Expr(nil), out[i].Args...)
		out[i].OrderBy = append([]SortKey(nil), out[i].OrderBy...)
	}
	return out
}

func (s *streamer) checkAggregate(in Node, g Agg) error {
	es := append([]Expr{g.Filter}, g.Args...)
	for _, k := range g.OrderBy {
		es = append(es, k.Expr)
	}
	if err := checkConstants(g); err != nil {
		return err
	}
	return s.checkVolatile(in, es...)
}
