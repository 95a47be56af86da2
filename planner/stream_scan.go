package planner

import "github.com/millracedb/millrace/sql/types"

func firstPartitions(n Node) int32 {
	if s, ok := n.(*Scan); ok && s.Rel.Partitions > 0 {
		return s.Rel.Partitions
	}
	for _, in := range n.Inputs() {
		if p := firstPartitions(in); p > 0 {
			return p
		}
	}
	return 0
}

func (s *streamer) lowerScan(x *Scan) (Node, []int, error) {
	if x.Rel.Kind == Virtual || x.Rel.Kind == Sequence {
		return nil, nil, notYet("a continuous query over "+x.Rel.Schema+"."+x.Rel.Name, "catalog tables do not announce their changes",
			"the query without EMIT", -1)
	}
	at := sameColumns(len(x.Cols))
	want := []int(nil)
	if x.Rel.Kind == Table {
		want = x.Rel.Key
	} else if s.identify {
		want = []int{PseudoRowPartition, PseudoRowOffset}
	}
	key := make([]int, len(want))
	for i, ord := range want {
		key[i] = x.output(ord)
	}
	x.Latest = s.latest && x.Rel.Kind == Stream
	e := edge{count: x.Rel.Partitions}
	if x.Rel.Kind == Table {
		x.P.Mode, x.P.ChangeKey = ModeUpsert, key
		if x.Rel.Placement && dealtAsExchange(x.Rel) {
			x.P.PartitionKey = x.present(x.Rel.Key)
		}
	} else {
		if s.identify {
			e.ident = key
		}
		e.streamKey = x.present(x.Rel.Key)
		if x.Rel.Placement && len(x.Rel.Key) > 0 && dealtAsExchange(x.Rel) {
			x.P.PartitionKey = e.streamKey
		}
	}
	s.edges[x] = e
	return x, at, nil
}

// output returns the ordinal at which the scan gives column ord of its relation, added as a hidden column if need be.
func (x *Scan) output(ord int) int {
	for i, o := range x.Cols {
		if o == ord {
			return i
		}
	}
	col := Col{Hidden: true}
	if ord >= 0 {
		col.Name, col.Type = x.Rel.Columns[ord].Name, x.Rel.Columns[ord].Type
	} else {
		for _, p := range pseudoColumns {
			if p.ord == ord {
				col.Name, col.Type = p.name, p.typ
			}
		}
	}
	x.Cols = append(x.Cols, ord)
	x.P.Cols = append(append([]Col(nil), x.P.Cols...), col)
	return len(x.Cols) - 1
}

// present returns where the columns ords are in the output, nil unless all are.
func (x *Scan) present(ords []int) []int {
	out := make([]int, 0, len(ords))
	for _, ord := range ords {
		for i, o := range x.Cols {
			if o == ord {
				out = append(out, i)
				break
			}
		}
	}
	if len(out) < len(ords) {
		return nil
	}
	return out
}

// dealtAsExchange reports whether the relation's keys are written as an exchange by its key columns writes them, so that equal values are in
// the same partition number of both.
func dealtAsExchange(rel *Relation) bool {
	format := "json"
	if len(rel.Key) == 1 {
		switch rel.Columns[rel.Key[0]].Type.Kind {
		case types.Int4, types.Int8, types.Float8, types.Text:
			format = "kafka"
		}
	}
	return len(rel.Key) == 0 || rel.KeyFormat == format
}
