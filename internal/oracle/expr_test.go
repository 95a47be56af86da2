package oracle

import (
	"fmt"
	"strings"
)

// column picks a column of the kind, or a constant if there is none.
func (g *gen) column(s scope, k kind) string {
	if cols := s.of(k); len(cols) > 0 {
		return pick(g, cols...)
	}
	return g.constant(k)
}

func (g *gen) constant(k kind) string {
	switch k {
	case integer:
		return fmt.Sprint(g.IntN(7))
	case double:
		return fmt.Sprintf("%v::double precision", float64(g.IntN(16))/4)
	case numeric:
		return fmt.Sprintf("%d.%02d", g.IntN(5), g.IntN(100))
	case text:
		return fmt.Sprintf("'x%d'", g.IntN(5))
	case boolean:
		return pick(g, "true", "false")
	default:
		return fmt.Sprintf("timestamptz '2026-01-01 %02d:%02d:00Z'", g.IntN(12), g.IntN(60))
	}
}

// expr is a scalar expression of the kind. It never fails to evaluate: what rows that fail do is another test's matter.
func (g *gen) expr(s scope, k kind, depth int) string {
	if depth == 0 || g.one(3) {
		return g.column(s, k)
	}
	sub := func(k kind) string { return g.expr(s, k, depth-1) }
	if g.one(5) {
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", sub(boolean), sub(k), sub(k))
	}
	if g.one(5) {
		return fmt.Sprintf("coalesce(%s, %s)", sub(k), g.constant(k))
	}
	switch k {
	case integer:
		return fmt.Sprintf(pick(g, "(%s + 1)", "(%s * 2)", "(%s %% 3)", "abs(%s - 3)", "(- %s)", "(%s / 2)"), sub(integer))
	case double:
		return fmt.Sprintf(pick(g, "(%s * 2)", "(%s + 0.5)", "floor(%s)", "abs(%s - 1)"), sub(double))
	case numeric:
		return fmt.Sprintf(pick(g, "(%s + 1)", "(%s * 2)", "round(%s, 1)", "(%s - 0.25)", "abs(%s)"), sub(numeric))
	case text:
		return fmt.Sprintf(pick(g, "upper(%s)", "(%s || '-')", "substr(%s, 1, 2)", "replace(%s, 'x', 'yz')", "left(%s, -1)"), sub(text))
	case boolean:
		return g.condition(s, depth)
	default:
		return fmt.Sprintf(pick(g, "(%s + interval '1 hour')", "date_trunc('hour', %s)"), sub(instant))
	}
}

func (g *gen) condition(s scope, depth int) string {
	if depth > 1 && g.one(3) {
		return fmt.Sprintf("(%s %s %s)", g.condition(s, depth-1), pick(g, "AND", "OR"), g.condition(s, depth-1))
	}
	if depth > 1 && g.one(6) {
		return fmt.Sprintf("(NOT %s)", g.condition(s, depth-1))
	}
	k := pick(g, integer, integer, text, numeric, double)
	if len(s.of(k)) == 0 {
		k = s[g.IntN(len(s))].kind
	}
	left := g.expr(s, k, depth-1)
	switch {
	case g.one(6):
		return fmt.Sprintf("(%s IS %sNULL)", left, pick(g, "", "NOT "))
	case k == boolean:
		return left
	case g.one(6):
		return fmt.Sprintf("(%s IN (%s, %s))", left, g.constant(k), g.constant(k))
	case k == text && g.one(4):
		return fmt.Sprintf("(%s LIKE '%%%d%%')", left, g.IntN(4))
	case g.one(8):
		return fmt.Sprintf("(%s IS DISTINCT FROM %s)", left, g.expr(s, k, depth-1))
	}
	return fmt.Sprintf("(%s %s %s)", left, pick(g, "<", "<=", "=", "<>", ">=", ">"), g.expr(s, k, depth-1))
}

// aggregate is a call of an aggregate function over rows of s, and the kind of its result.
func (g *gen) aggregate(s scope) (string, kind) {
	filter := ""
	if g.one(6) {
		filter = fmt.Sprintf(" FILTER (WHERE %s)", g.condition(s, 1))
	}
	if g.one(4) {
		return "count(*)" + filter, integer
	}
	if g.one(3) {
		return g.keptAggregate(s, filter)
	}
	k := pick(g, integer, integer, double, numeric, text)
	if len(s.of(k)) == 0 {
		k = integer
	}
	arg := g.expr(s, k, 1)
	if k == text {
		return fmt.Sprintf("%s(%s)%s", pick(g, "min", "max"), arg, filter), text
	}
	if g.one(6) {
		arg = "DISTINCT " + arg
	}
	switch f := pick(g, "count", "sum", "min", "max", "avg"); f {
	case "count":
		return fmt.Sprintf("count(%s)%s", arg, filter), integer
	case "avg":
		if k == integer {
			k = numeric
		}
		return fmt.Sprintf("avg(%s)%s", arg, filter), k
	case "sum":
		// The sum of integers is cast, for it is numeric or bigint by the argument's width, and a view above should not depend on it.
		if k == integer {
			return fmt.Sprintf("sum(%s)%s::bigint", arg, filter), integer
		}
		return fmt.Sprintf("sum(%s)%s", arg, filter), k
	default:
		return fmt.Sprintf("%s(%s)%s", f, arg, filter), k
	}
}

// keptAggregate is a call of an aggregate that is not made of sums alone. Its result does not depend on the order of rows that are equal.
func (g *gen) keptAggregate(s scope, filter string) (string, kind) {
	i, x := g.expr(s, integer, 1), g.column(s, text)+"::text"
	switch g.IntN(15) {
	case 10, 11, 12, 13:
		return g.ksqlAggregate(x, filter), text
	case 0:
		return fmt.Sprintf("string_agg(%s, ',' ORDER BY %s%s)", x, x, pick(g, "", " DESC")) + filter, text
	case 1:
		return fmt.Sprintf("string_agg(DISTINCT %s, '+')", x) + filter, text
	case 2:
		return fmt.Sprintf("array_to_string(array_agg(%s ORDER BY %s%s)%s, ',', '?')", i, i, pick(g, "", " DESC", " NULLS FIRST", " DESC NULLS LAST"), filter), text
	case 3:
		return fmt.Sprintf("jsonb_agg(%s ORDER BY %s)%s::text", x, x, filter), text
	case 4:
		return fmt.Sprintf("percentile_disc(%s) WITHIN GROUP (ORDER BY %s)", pick(g, "0", "0.3", "0.5", "1"), i) + filter, integer
	case 5:
		return fmt.Sprintf("percentile_cont(%s) WITHIN GROUP (ORDER BY %s)", pick(g, "0.25", "0.5"), i) + filter, double
	case 6:
		return fmt.Sprintf("mode() WITHIN GROUP (ORDER BY %s)", x) + filter, text
	case 7:
		return fmt.Sprintf("%s(%s)", pick(g, "bit_and", "bit_or"), i) + filter, integer
	case 8:
		return fmt.Sprintf("round(%s(%s)%s, 6)", pick(g, "var_pop", "stddev_samp"), i, filter), numeric
	case 9:
		return fmt.Sprintf("%s(%s)", pick(g, "bool_and", "bool_or"), g.condition(s, 1)) + filter, boolean
	default:
		return fmt.Sprintf("rank(3) WITHIN GROUP (ORDER BY %s)", i) + filter, integer
	}
}

// ksqlAggregate is a call of an aggregate that PostgreSQL does not have, of texts, as a text.
func (g *gen) ksqlAggregate(x, filter string) string {
	all := filter
	if filter == "" {
		all = " FILTER (WHERE true)"
	}
	some := strings.TrimSuffix(all, ")") + fmt.Sprintf(" AND (%s) IS NOT NULL)", x)
	joined := func(call string) string { return fmt.Sprintf("coalesce(array_to_string(%s, ','), '')", call) }
	n := 1 + g.IntN(3)
	switch g.IntN(5) {
	case 0:
		return joined(fork(fmt.Sprintf("array_sort(collect_set(%s)%s)", x, filter), fmt.Sprintf("array_agg(DISTINCT %s)%s", x, some)))
	case 1:
		return joined(fork(fmt.Sprintf("array_sort(collect_list(%s)%s)", x, filter), fmt.Sprintf("array_agg(%s ORDER BY %s)%s", x, x, some)))
	case 2:
		return joined(fork(fmt.Sprintf("topk(%s, %d)%s", x, n, filter), fmt.Sprintf("(array_agg(%s ORDER BY %s DESC)%s)[1:%d]", x, x, some, n)))
	case 3:
		return joined(fork(fmt.Sprintf("topkdistinct(%s, %d)%s", x, n, filter), fmt.Sprintf("(array_agg(DISTINCT %s ORDER BY %s DESC)%s)[1:%d]", x, x, some, n)))
	default:
		return fmt.Sprintf("%s%s::text", fork("count_distinct("+x+")", "count(DISTINCT "+x+")"), filter)
	}
}

func (g *gen) where(s scope) string {
	if g.one(2) {
		return ""
	}
	return " WHERE " + g.condition(s, 2)
}

func list(items []string) string { return strings.Join(items, ", ") }
