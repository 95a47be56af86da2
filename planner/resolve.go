package planner

import "github.com/millracedb/millrace/sql/types"

// candidate is an overload with its declared argument types spread over the actual arguments.
type candidate struct {
	f    *Func
	args []types.Type
}

// resolveOverload picks the overload for the argument types as PostgreSQL does (docs, 10.2 and 10.3). It returns nil and whether
// that was for ambiguity.
func resolveOverload(fs []*Func, actual []types.Type, operator bool) (f *Func, ambiguous bool) {
	var cands []candidate
	for _, f := range fs {
		if args, ok := spread(f, len(actual)); ok {
			cands = append(cands, candidate{f, args})
		}
	}
	if f := exactMatch(cands, actual); f != nil {
		return f, false
	}
	if operator && len(actual) == 2 {
		if assumed, ok := assumeSame(actual); ok {
			if f := exactMatch(cands, assumed); f != nil {
				return f, false
			}
		}
	}
	cands = keep(cands, func(c candidate) bool { return accepts(c, actual) })
	if len(cands) > 1 {
		cands = narrow(cands, actual)
	}
	switch len(cands) {
	case 0:
		return nil, false
	case 1:
		return cands[0].f, false
	}
	return nil, true
}

func spread(f *Func, n int) ([]types.Type, bool) {
	if !f.Variadic {
		return f.Args, len(f.Args) == n
	}
	if n < len(f.Args) {
		return nil, false
	}
	args := append([]types.Type(nil), f.Args...)
	for len(args) < n {
		args = append(args, f.Args[len(f.Args)-1])
	}
	return args, true
}

func exactMatch(cands []candidate, actual []types.Type) *Func {
next:
	for _, c := range cands {
		for i, a := range c.args {
			if !a.Equal(actual[i]) {
				continue next
			}
		}
		return c.f
	}
	return nil
}

// assumeSame gives unknown arguments the type of the known ones, if those are all of one type.
func assumeSame(actual []types.Type) ([]types.Type, bool) {
	known, unknown := types.Of(types.Unknown), false
	for _, t := range actual {
		switch {
		case t.Kind == types.Unknown:
			unknown = true
		case known.Kind == types.Unknown:
			known = t
		case !known.Equal(t):
			return nil, false
		}
	}
	if !unknown || known.Kind == types.Unknown {
		return nil, false
	}
	out := make([]types.Type, len(actual))
	for i := range out {
		out[i] = known
	}
	return out, true
}

// accepts reports whether every argument fits as it is or through an implicit cast.
func accepts(c candidate, actual []types.Type) bool {
	elem, ok := polyElem(c.args, actual)
	if !ok {
		return false
	}
	for i, a := range c.args {
		if a.Kind == types.AnyEnum && elem.Kind != types.EnumKind {
			return false // a type must be named
		}
		switch t := actual[i]; a.Kind {
		case types.Any:
			if c.f.Name == "||" && t.Kind != types.Unknown && t.Kind.Category() == 'A' {
				return false
			}
		case types.AnyElement, types.AnyArray, types.AnyEnum: // polyElem has looked
		case types.Map: // polyElem has looked
		default:
			if !implicit(t, a) {
				return false
			}
		}
	}
	return true
}

// polyElem finds what anyelement stands for. Unknown means that nothing but unknown arguments decides it. An element may convert to the
// element type of an array beside it.
func polyElem(declared, actual []types.Type) (elem types.Type, ok bool) {
	elem = types.Of(types.Unknown)
	fromArray := false
	for i, d := range declared {
		if d.Kind != types.AnyArray && !anyMap(d) || actual[i].Kind == types.Unknown {
			continue
		}
		if anyMap(d) != (actual[i].Kind == types.Map) || d.Kind == types.AnyArray && actual[i].Kind.Category() != 'A' {
			return elem, false
		}
		e := elemType(actual[i])
		if fromArray && !elem.Equal(e) {
			return elem, false
		}
		elem, fromArray = e, true
	}
	for i, d := range declared {
		if d.Kind == types.AnyEnum && actual[i].Kind != types.Unknown {
			if actual[i].Kind != types.EnumKind || elem.Kind != types.Unknown && !elem.Equal(actual[i]) {
				return elem, false
			}
			elem = actual[i]
		}
		if d.Kind != types.AnyElement || actual[i].Kind == types.Unknown {
			continue
		}
		switch {
		case elem.Kind == types.Unknown:
			elem = actual[i]
		case fromArray && !implicit(actual[i], elem), !fromArray && !elem.Equal(actual[i]) && !implicit(actual[i], elem):
			return elem, false
		}
	}
	return elem, true
}

// anyMap reports whether a declared type is a map of anything.
func anyMap(t types.Type) bool { return t.Kind == types.Map && t.Elem == nil }

func keep(cands []candidate, ok func(candidate) bool) []candidate {
	var out []candidate
	for _, c := range cands {
		if ok(c) {
			out = append(out, c)
		}
	}
	return out
}

// keepBest keeps the candidates with the highest score.
func keepBest(cands []candidate, score func(candidate) int) []candidate {
	best := -1
	var out []candidate
	for _, c := range cands {
		switch s := score(c); {
		case s > best:
			best, out = s, []candidate{c}
		case s == best:
			out = append(out, c)
		}
	}
	return out
}

func narrow(cands []candidate, actual []types.Type) []candidate {
	cands = keepBest(cands, func(c candidate) int {
		n := 0
		for i, a := range c.args {
			if a.Equal(actual[i]) {
				n++
			}
		}
		return n
	})
	if len(cands) > 1 {
		cands = keepBest(cands, func(c candidate) int {
			n := 0
			for i, a := range c.args {
				k := actual[i].Kind
				if k != types.Unknown && (a.Kind == k || a.Kind.Preferred() && category(a.Kind) == category(k)) {
					n++
				}
			}
			return n
		})
	}
	for i := 0; i < len(actual) && len(cands) > 1; i++ {
		if actual[i].Kind == types.Unknown {
			cands = narrowUnknown(cands, i)
		}
	}
	if len(cands) > 1 {
		if assumed, ok := assumeSame(actual); ok {
			if left := keep(cands, func(c candidate) bool { return accepts(c, assumed) }); len(left) > 0 {
				cands = left
			}
		}
	}
	if len(cands) > 1 { // a concrete signature before one that takes anything
		cands = keepBest(cands, func(c candidate) int {
			n := 0
			for _, a := range c.args {
				if a.Kind < types.Any {
					n++
				}
			}
			return n
		})
	}
	return cands
}

// narrowUnknown picks the category for an untyped literal at position i: string if any candidate takes a string, else the one category
// that all share; then the preferred type of the category, if a candidate has it.
func narrowUnknown(cands []candidate, i int) []candidate {
	cat, mixed := byte(0), false
	for _, c := range cands {
		switch k := category(c.args[i].Kind); {
		case k == 'S':
			cat, mixed = 'S', false
		case cat == 0:
			cat = k
		case cat != k && cat != 'S':
			mixed = true
		}
	}
	if mixed {
		return cands
	}
	inCat := keep(cands, func(c candidate) bool { return category(c.args[i].Kind) == cat })
	preferred := keep(inCat, func(c candidate) bool { return c.args[i].Kind.Preferred() })
	if len(preferred) > 0 {
		return preferred
	}
	return inCat
}

// resultType is the overload's result for the resolved element type.
func resultType(ret, elem types.Type) types.Type {
	switch ret.Kind {
	case types.AnyElement, types.AnyEnum:
		return elem
	case types.AnyArray:
		return types.ArrayOf(elem)
	case types.Map:
		return types.MapOf(elem)
	}
	return ret
}

// widenFloat4 settles operators that mix real with another number: PostgreSQL has operators of mixed floats whose result is double
// precision; here the real is widened first.
func widenFloat4(actual []types.Type) []types.Type {
	if len(actual) != 2 || actual[0].Kind == actual[1].Kind {
		return actual
	}
	for i, t := range actual {
		other := actual[1-i].Kind
		if t.Kind == types.Float4 && other.Category() == 'N' {
			return []types.Type{types.Of(types.Float8), types.Of(types.Float8)}
		}
	}
	return actual
}
