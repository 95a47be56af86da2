package planner

// maxLookupKeys bounds the keys that one IN list, or a product of several, looks up; beyond it the table is scanned.
const maxLookupKeys = 1_000

// lookupKeys turns equalities on all key columns of a table into key look-ups. The filter stays and decides again.
func lookupKeys(s *Scan) {
	if s.Filter == nil || s.Rel.Kind != Table || len(s.Rel.Key) == 0 || s.Keys != nil {
		return
	}
	tuples := [][]Expr{{}}
	for _, k := range s.Rel.Key {
		values := keyValues(s, k)
		if values == nil || len(tuples)*len(values) > maxLookupKeys {
			return
		}
		var next [][]Expr
		for _, t := range tuples {
			for _, v := range values {
				next = append(next, append(append([]Expr(nil), t...), v))
			}
		}
		tuples = next
	}
	s.Keys = tuples
}

// keyValues are the values that the filter leaves for one column, nil if it does not pin the column down.
func keyValues(s *Scan, col int) []Expr {
	isCol := func(e Expr) bool {
		c, ok := e.(*ColumnRef)
		return ok && s.Cols[c.Ord] == col
	}
	for _, c := range conjuncts(s.Filter) {
		switch x := c.(type) {
		case *Call:
			if x.Func.Name != "=" || len(x.Args) != 2 {
				continue
			}
			for i := range 2 {
				if v := x.Args[1-i]; isCol(x.Args[i]) && fixed(v) && v.Type().Equal(x.Args[i].Type()) {
					return []Expr{v}
				}
			}
		case *InList:
			if x.Negated || !isCol(x.Arg) {
				continue
			}
			all := true
			for _, v := range x.List {
				all = all && fixed(v) && v.Type().Equal(x.Arg.Type())
			}
			if all {
				return x.List
			}
		}
	}
	return nil
}

// fixed reports whether e has one value for the whole statement.
func fixed(e Expr) bool {
	return !anyExpr(e, func(x Expr) bool {
		switch x := x.(type) {
		case *ColumnRef, *OuterRef, *Subquery:
			return true
		case *Call:
			return x.Func.Volatility == Volatile
		}
		return false
	})
}
