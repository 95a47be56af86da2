package types

import "strconv"

// String prints the path as PostgreSQL does: names quoted, lax left out.
func (x *JSONPathExpr) String() string {
	var b []byte
	if x.Strict {
		b = append(b, "strict "...)
	}
	return string(appendPath(b, x.Root, true))
}

// pathPriority orders operators: what binds less is put into parentheses.
func pathPriority(n *JSONPathNode) int {
	switch n.Op {
	case PathOr:
		return 0
	case PathAnd:
		return 1
	case PathCompare, PathStartsWith, PathLikeRegex:
		return 2
	case PathArithmetic:
		if n.Text == "+" || n.Text == "-" {
			return 3
		}
		return 4
	case PathNegate, PathPlus:
		return 5
	}
	return 6
}

// appendPath appends a node and the accessors after it. An operator at the top of a path, as in PostgreSQL, stands in parentheses.
func appendPath(b []byte, n *JSONPathNode, parentheses bool) []byte {
	binary := func(op string) {
		wrap := parentheses || n.Next != nil
		if wrap {
			b = append(b, '(')
		}
		b = appendPath(b, n.L, pathPriority(n.L) <= pathPriority(n))
		b = append(append(append(b, ' '), op...), ' ')
		if n.R != nil {
			b = appendPath(b, n.R, pathPriority(n.R) <= pathPriority(n))
		} else {
			b = AppendJSONString(b, n.Text)
			if n.Flags != "" {
				b = AppendJSONString(append(b, " flag "...), n.Flags)
			}
		}
		if wrap {
			b = append(b, ')')
		}
	}
	unary := func(sign byte) {
		if parentheses {
			b = append(b, '(')
		}
		b = appendPath(append(b, sign), n.L, pathPriority(n.L) <= pathPriority(n))
		if parentheses {
			b = append(b, ')')
		}
	}
	within := func(before, after string) {
		b = append(appendPath(append(b, before...), n.L, false), after...)
	}
	switch n.Op {
	case PathRoot:
		b = append(b, '$')
	case PathCurrent:
		b = append(b, '@')
	case PathLast:
		b = append(b, "last"...)
	case PathVar:
		b = AppendJSONString(append(b, '$'), n.Text)
	case PathValue:
		b = append(b, n.Text...)
	case PathKey:
		b = AppendJSONString(append(b, '.'), n.Text)
	case PathAnyKey:
		b = append(b, ".*"...)
	case PathAnyDepth:
		b = appendLevels(append(b, ".**"...), n)
	case PathAnyItem:
		b = append(b, "[*]"...)
	case PathSubscript:
		b = append(b, '[')
		for i, r := range n.Subs {
			if i > 0 {
				b = append(b, ',')
			}
			if b = appendPath(b, r.From, false); r.To != nil {
				b = appendPath(append(b, " to "...), r.To, false)
			}
		}
		b = append(b, ']')
	case PathFilter:
		within("?(", ")")
	case PathMethod:
		b = append(append(append(b, '.'), n.Text...), "()"...)
	case PathNegate:
		unary('-')
	case PathPlus:
		unary('+')
	case PathArithmetic, PathCompare:
		binary(n.Text)
	case PathAnd:
		binary("&&")
	case PathOr:
		binary("||")
	case PathStartsWith:
		binary("starts with")
	case PathLikeRegex:
		binary("like_regex")
	case PathNot:
		within("!(", ")")
	case PathIsUnknown:
		within("(", ") is unknown")
	case PathExists:
		within("exists (", ")")
	}
	if n.Next != nil {
		b = appendPath(b, n.Next, true)
	}
	return b
}

func appendLevels(b []byte, n *JSONPathNode) []byte {
	level := func(i int) {
		if i < 0 {
			b = append(b, "last"...)
		} else {
			b = strconv.AppendInt(b, int64(i), 10)
		}
	}
	if n.From == 0 && n.To == -1 {
		return b
	}
	b = append(b, '{')
	level(n.From)
	if n.From != n.To {
		b = append(b, " to "...)
		level(n.To)
	}
	return append(b, '}')
}
