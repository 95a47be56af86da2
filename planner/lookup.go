package planner

import (
	"math"

	"github.com/millracedb/millrace/sql/types"
)

// maxLookupKeys bounds the keys that one IN list, or a product of several, looks up; beyond it the table is scanned.
const maxLookupKeys = 1_000

// lookupKeys turns equalities on all key columns of a table, or on the first columns of an index, into look-ups. The filter stays and decides again.
func lookupKeys(s *Scan) {
	if s.Filter == nil || s.Rel.Kind != Table || len(s.Rel.Key) == 0 || s.Keys != nil {
		return
	}
	if s.Keys = pinnedDown(s, s.Rel.Key); s.Keys != nil {
		return
	}
	for i := range s.Rel.Indexes {
		ix := &s.Rel.Indexes[i]
		n := len(ix.Cols)
		tuples := pinnedDown(s, ix.Cols)
		for tuples == nil && n > 1 {
			n--
			tuples = pinnedDown(s, ix.Cols[:n])
		}
		// All columns of a unique index find one row; else the more columns are pinned down, the fewer rows there are.
		switch whole := tuples != nil && ix.Unique && n == len(ix.Cols); {
		case whole:
			s.Index, s.Keys = ix, tuples
			return
		case tuples != nil && (s.Keys == nil || n > len(s.Keys[0])):
			s.Index, s.Keys = ix, tuples
		}
	}
}

// pinnedDown are the tuples of values that the filter leaves for some columns, nil if it does not pin them down.
func pinnedDown(s *Scan, cols []int) [][]Expr {
	tuples := [][]Expr{{}}
	for _, k := range cols {
		values := keyValues(s, k)
		if values == nil || len(tuples)*len(values) > maxLookupKeys {
			return nil
		}
		var next [][]Expr
		for _, t := range tuples {
			for _, v := range values {
				next = append(next, append(append([]Expr(nil), t...), v))
			}
		}
		tuples = next
	}
	return tuples
}

// keyValues are the values that the filter leaves for one column, nil if it does not pin the column down.
func keyValues(s *Scan, col int) []Expr {
	for _, c := range conjuncts(s.Filter) {
		switch x := c.(type) {
		case *Call:
			if x.Func.Name != "=" || len(x.Args) != 2 {
				continue
			}
			for i := range 2 {
				if v := keyValue(s, col, x.Args[i], x.Args[1-i]); v != nil {
					return []Expr{v}
				}
			}
		case *InList:
			if x.Negated {
				continue
			}
			out := make([]Expr, 0, len(x.List))
			for _, v := range x.List {
				if k := keyValue(s, col, x.Arg, v); k != nil {
					out = append(out, k)
				}
			}
			if len(out) == len(x.List) {
				return onceEach(out)
			}
		}
	}
	return nil
}

// maxVariableKeys bounds the elements of an IN list with parameters whose key is looked up: each is compared with those before it.
const maxVariableKeys = 200

// onceEach keeps a row from being looked up twice: constants are listed once, and an element that is known only at run time becomes NULL, which no
// key equals, if one before it has its value. It returns nil where that would cost too much.
func onceEach(values []Expr) []Expr {
	var out []Expr
	seen := map[string]bool{}
	variable := 0
	for _, v := range values {
		key := exprKey(v)
		if seen[key] {
			continue
		}
		seen[key] = true
		if _, ok := v.(*Const); !ok {
			variable++
		}
		out = append(out, v)
	}
	if variable > maxVariableKeys || variable > 0 && len(out) > 2*maxVariableKeys {
		return nil
	}
	raw := append([]Expr(nil), out...)
	for i := 1; i < len(out) && variable > 0; i++ {
		t := raw[i].Type()
		out[i] = &Case{Whens: []When{{Cond: equalsAny(raw[i], raw[:i]), Then: nullConst(t)}}, Else: raw[i], Typ: t}
	}
	return out
}

func equalsAny(v Expr, list []Expr) Expr {
	kind := v.Type().Kind
	asText := func(e Expr) Expr { return e }
	if kind == types.Varchar { // compares as text
		kind = types.Text
		asText = func(e Expr) Expr { return &Cast{Arg: e, To: types.Of(types.Text)} }
	}
	name := kindNames[kind]
	if kind == types.EnumKind {
		name = kindNames[types.AnyEnum]
	}
	in := &InList{Arg: asText(v), Eq: findFunc("=(" + name + "," + name + ")")}
	for _, e := range list {
		in.List = append(in.List, asText(e))
	}
	return in
}

// keyValue restates side = v as a value of column col, nil if side is not the column or v varies by row. The column may stand under a
// cast that widens it for the comparison.
func keyValue(s *Scan, col int, side, v Expr) Expr {
	widened := false
	if cast, ok := side.(*Cast); ok && !cast.Explicit {
		side, widened = cast.Arg, true
	}
	c, ok := side.(*ColumnRef)
	if !ok || s.Cols[c.Ord] != col || !fixed(v) {
		return nil
	}
	t := c.Typ
	t.Mod = -1
	switch {
	case v.Type().Equal(t):
		return v
	case !widened:
		return nil
	case t.Kind == types.Varchar && v.Type().Kind == types.Text:
		if k, ok := v.(*Const); ok {
			return &Const{t, k.Val}
		}
		return &Cast{Arg: v, To: t}
	case isInteger(t.Kind) && isInteger(v.Type().Kind):
		return narrowInteger(v, t)
	}
	return nil
}

// narrowInteger converts v to the narrower type t; NULL, which no key equals, where it does not fit.
func narrowInteger(v Expr, t types.Type) Expr {
	lo, hi := int64(math.MinInt32), int64(math.MaxInt32)
	if t.Kind == types.Int2 {
		lo, hi = math.MinInt16, math.MaxInt16
	}
	if c, ok := v.(*Const); ok {
		if c.Val.Null || c.Val.I < lo || c.Val.I > hi {
			return nullConst(t)
		}
		return &Const{t, c.Val}
	}
	name := kindNames[v.Type().Kind]
	compare := func(op string, bound int64) Expr {
		limit := &Const{v.Type(), types.IntDatum(bound)}
		return &Call{Func: findFunc(op + "(" + name + "," + name + ")"), Args: []Expr{v, limit}, Typ: types.Of(types.Bool)}
	}
	fits := &And{[]Expr{compare(">=", lo), compare("<=", hi)}}
	return &Case{Whens: []When{{Cond: fits, Then: &Cast{Arg: v, To: t, Explicit: true}}}, Typ: t}
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
