package expr

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// pathBool is what a condition of a path comes to.
type pathBool uint8

const (
	pathFalse pathBool = iota
	pathTrue
	pathUnknown
)

func pathOf(b bool) pathBool {
	if b {
		return pathTrue
	}
	return pathFalse
}

// condition evaluates a predicate. An error of an operand makes it unknown.
func (e *pathEval) condition(n *types.JSONPathNode, item string) (pathBool, error) {
	switch n.Op {
	case types.PathAnd, types.PathOr:
		decided := pathOf(n.Op == types.PathOr)
		l, err := e.condition(n.L, item)
		if err != nil || l == decided {
			return l, err
		}
		r, err := e.condition(n.R, item)
		if err != nil || r == decided || l != pathUnknown {
			return r, err
		}
		return pathUnknown, nil
	case types.PathNot:
		b, err := e.condition(n.L, item)
		if err != nil || b == pathUnknown {
			return b, err
		}
		return pathOf(b == pathFalse), nil
	case types.PathIsUnknown:
		b, err := e.condition(n.L, item)
		return pathOf(b == pathUnknown), err
	case types.PathExists:
		found, err := e.operand(n.L, item, false)
		switch {
		case isFatal(err):
			return pathUnknown, err
		case err != nil && (!e.lax || len(found) == 0):
			return pathUnknown, nil
		}
		return pathOf(len(found) > 0), nil
	}
	test, err := e.test(n)
	if err != nil {
		return pathUnknown, err
	}
	left, err := e.operand(n.L, item, true)
	right := []string{""}
	if err == nil && n.R != nil {
		right, err = e.operand(n.R, item, n.Op == types.PathCompare)
	}
	if isFatal(err) {
		return pathUnknown, err
	}
	if err != nil {
		return pathUnknown, nil //nolint:nilerr // that is what makes it unknown
	}
	return e.some(left, right, test), nil
}

// some reports whether a pair of items passes the test. In strict mode one that cannot be tested makes it unknown whatever the others say.
func (e *pathEval) some(left, right []string, test func(l, r string) pathBool) pathBool {
	found, unknown := false, false
	for _, l := range left {
		for _, r := range right {
			switch test(l, r) {
			case pathUnknown:
				if unknown = true; !e.lax {
					return pathUnknown
				}
			case pathTrue:
				if found = true; e.lax {
					return pathTrue
				}
			}
		}
	}
	switch {
	case found:
		return pathTrue
	case unknown:
		return pathUnknown
	}
	return pathFalse
}

// test returns what a predicate asks of a pair of items.
func (e *pathEval) test(n *types.JSONPathNode) (func(l, r string) pathBool, error) {
	switch n.Op {
	case types.PathStartsWith:
		return func(l, r string) pathBool {
			if jsonKind(l) != '"' || jsonKind(r) != '"' {
				return pathUnknown
			}
			return pathOf(strings.HasPrefix(unquoteJSON(l), unquoteJSON(r)))
		}, nil
	case types.PathLikeRegex:
		re, err := pathRegexp(n)
		if err != nil {
			return nil, fatalPath{err}
		}
		return func(l, _ string) pathBool {
			if jsonKind(l) != '"' {
				return pathUnknown
			}
			return pathOf(re(unquoteJSON(l)))
		}, nil
	}
	return func(l, r string) pathBool { return comparePathItems(n.Text, l, r) }, nil
}

// pathRegexp compiles the pattern of like_regex; its flags are XQuery's.
func pathRegexp(n *types.JSONPathNode) (func(string) bool, error) {
	flags, pattern := "", n.Text
	if strings.Contains(n.Flags, "x") {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "XQuery \"x\" flag (expanded regular expressions) is not implemented")
	}
	if strings.Contains(n.Flags, "i") {
		flags += "i"
	}
	if strings.Contains(n.Flags, "q") {
		flags, pattern = strings.Trim(flags, "q"), "***="+pattern
	}
	dotAll, lines := strings.Contains(n.Flags, "s"), strings.Contains(n.Flags, "m")
	switch {
	case dotAll && lines:
		flags += "w"
	case lines:
		flags += "n"
	case !dotAll:
		flags += "p"
	}
	re, err := compileTester(pattern, flags)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// comparePathItems compares scalars of one kind; null is equal to itself and unlike all else; what is of two kinds, or holds others, is not comparable.
func comparePathItems(op, l, r string) pathBool {
	kind := func(s string) byte {
		if k := jsonKind(s); k != 't' {
			return k
		}
		return 'f'
	}
	kl, kr := kind(l), kind(r)
	if kl != kr {
		if kl == 'n' || kr == 'n' {
			return pathOf(op == "!=")
		}
		return pathUnknown
	}
	c := 0
	switch kl {
	case 'n':
	case 'f':
		c = strings.Compare(l, r) // false is less than true
	case 0:
		c = types.CompareNumeric(l, r)
	case '"':
		c = strings.Compare(unquoteJSON(l), unquoteJSON(r))
	default:
		return pathUnknown
	}
	switch op {
	case "==":
		op = "="
	case "!=":
		op = "<>"
	}
	return pathOf(compareTests[op](c))
}
