package planner

import (
	"fmt"
	"strconv"
	"strings"
)

// NodeName is what EXPLAIN calls a node.
func NodeName(n Node) string { return nodeName(n) }

func nodeName(n Node) string { name, _ := describe(n); return name }

func relationName(r *Relation) string {
	if r.Schema == "" || r.Schema == "public" || r.Schema == "pg_catalog" {
		return quoteName(r.Name)
	}
	return quoteName(r.Schema) + "." + quoteName(r.Name)
}

// describe names an operator with its arguments; details go on lines of their own.
func describe(n Node) (string, []string) {
	switch x := n.(type) {
	case *Scan:
		return describeScan(x)
	case *Values:
		if len(x.Rows) == 1 {
			return "Values (" + exprList(x.Rows[0]) + ")", nil
		}
		return fmt.Sprintf("Values: %d rows", len(x.Rows)), nil
	case *FuncScan:
		name := "Function " + x.Func.Name + "(" + exprList(x.Args) + ")"
		if x.Ordinality {
			name += " with ordinality"
		}
		return name, nil
	case *Filter:
		return "Filter " + bare(x.Cond), nil
	case *Project:
		return describeProject(x), nil
	case *Aggregate:
		return describeAggregate(x)
	case *Join:
		return describeJoin(x)
	case *SetOp:
		word := map[SetOpKind]string{Union: "Union", Intersect: "Intersect", Except: "Except"}[x.Kind]
		if x.All {
			word += " all"
		}
		return word, nil
	case *Distinct:
		if len(x.On) > 0 {
			return "Distinct on " + exprList(x.On), nil
		}
		return "Distinct", nil
	case *Sort:
		p := exprPrinter{}
		p.sortKeys(x.By)
		return "Sort by " + p.b.String(), nil
	case *Limit:
		return describeLimit(x), nil
	case *RecursiveUnion:
		if x.All {
			return "Recursive union all", nil
		}
		return "Recursive union", nil
	case *WorkScan:
		if x.Name != "" {
			return "Rows returned by " + quoteName(x.Name), nil
		}
		return "Scan of the last round", nil
	case *WindowFunc:
		return describeWindow(x)
	case *Normalize:
		return "Normalize", nil
	case *Materialize:
		return "Materialize", nil
	case *Expire:
		return "Expire " + FormatMillis(x.Rel.TTLMs) + " after the row's time", nil
	case *Exchange:
		return describeExchange(x), nil
	case *TopN:
		return describeTopN(x), nil
	case *Repeat:
		return "Repeat " + quoteName(x.In.Props().Cols[x.Count].Name) + " times", nil
	case *Expand:
		return describeExpand(x), nil
	case *Sink:
		return describeSink(x), nil
	}
	return fmt.Sprintf("%T", n), nil
}

func describeProject(x *Project) string {
	var out []string
	for i, e := range x.Exprs {
		c := x.P.Cols[i]
		s := FormatExpr(e)
		if ref, ok := e.(*ColumnRef); !ok || ref.Name != c.Name {
			s += " AS " + quoteName(c.Name)
		}
		if c.Hidden {
			s = "[" + s + "]"
		}
		out = append(out, s)
	}
	return "Project " + strings.Join(out, ", ")
}

func describeLimit(x *Limit) string {
	var parts []string
	if x.Limit != nil {
		parts = append(parts, FormatExpr(x.Limit))
	}
	if x.Offset != nil {
		parts = append(parts, "offset "+FormatExpr(x.Offset))
	}
	if x.WithTies {
		parts = append(parts, "with ties")
	}
	return "Limit " + strings.Join(parts, " ")
}

func describeExchange(x *Exchange) string {
	if x.In == nil {
		return "Read " + x.Topic
	}
	name := "Exchange by (" + exprList(x.By) + ")"
	if x.Broadcast {
		name = "Exchange to all"
	}
	if x.Topic != "" {
		name += " to " + x.Topic
	}
	return name
}

func describeSink(x *Sink) string {
	name := "Write " + relationName(x.Rel) + " (topic " + x.Rel.Topic
	if x.Rel.HistoryMs > 0 {
		name += ", history " + FormatMillis(x.Rel.HistoryMs)
	}
	return name + ")"
}

func exprList(es []Expr) string {
	p := exprPrinter{}
	p.list(es, ", ")
	return p.b.String()
}

// bare drops the parentheses around a whole condition.
func bare(e Expr) string {
	s := FormatExpr(e)
	switch e.(type) {
	case *And, *Or, *Call:
		if strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")") {
			return s[1 : len(s)-1]
		}
	}
	return s
}

func describeScan(x *Scan) (string, []string) {
	kind := map[RelationKind]string{Stream: "stream", Table: "table", Virtual: "catalog", View: "view"}[x.Rel.Kind]
	var cols []string
	for _, c := range x.P.Cols {
		if c.Hidden {
			cols = append(cols, "["+quoteName(c.Name)+"]")
		} else {
			cols = append(cols, quoteName(c.Name))
		}
	}
	name := "Scan " + kind + " " + relationName(x.Rel) + " (" + strings.Join(cols, ", ") + ")"
	if x.Latest {
		name += " from its end"
	}
	var details []string
	if x.Rel.TTLMs > 0 {
		details = append(details, "ttl "+FormatMillis(x.Rel.TTLMs))
	}
	if x.Index != nil {
		var on []string
		for _, ord := range x.Index.Cols[:len(x.Keys[0])] {
			on = append(on, quoteName(x.Rel.Columns[ord].Name))
		}
		details = append(details, "index "+quoteName(x.Index.Name)+" on ("+strings.Join(on, ", ")+")")
	}
	if x.Keys != nil {
		if len(x.Keys) == 1 {
			p := exprPrinter{}
			p.list(x.Keys[0], ", ")
			details = append(details, "key ("+p.b.String()+")")
		} else {
			details = append(details, fmt.Sprintf("%d keys", len(x.Keys)))
		}
	}
	if x.Filter != nil {
		details = append(details, "where "+bare(x.Filter))
	}
	return name, details
}

func describeAggregate(x *Aggregate) (string, []string) {
	p := exprPrinter{}
	for i, a := range x.Aggs {
		if i > 0 {
			p.s(", ")
		}
		p.agg(a)
	}
	keys := exprPrinter{}
	keys.list(x.Keys, ", ")
	name := "Aggregate " + p.b.String()
	if len(x.Aggs) == 0 {
		name = "Group"
	}
	if len(x.Keys) > 0 {
		name += " by " + keys.b.String()
	}
	var details []string
	if x.Sets != nil {
		var sets []string
		for _, s := range x.Sets {
			var one []string
			for _, k := range s {
				one = append(one, FormatExpr(x.Keys[k]))
			}
			sets = append(sets, "("+strings.Join(one, ", ")+")")
		}
		details = append(details, "sets "+strings.Join(sets, ", "))
	}
	if w := x.Window; w != nil {
		s := "window " + w.String()
		if x.Final {
			s += ", final rows only"
		}
		details = append(details, s)
	}
	return name, details
}

func describeJoin(x *Join) (string, []string) {
	kind := map[JoinKind]string{
		InnerJoin: "Join", LeftJoin: "Left join", RightJoin: "Right join", FullJoin: "Full join", SemiJoin: "Semi join",
		AntiJoin: "Anti join", CrossJoin: "Cross join",
	}[x.Kind]
	switch x.Strategy {
	case StreamTable:
		kind += ", stream with table"
		if x.HistoryMs > 0 {
			kind += " as of the row's time"
		}
	case StreamStream:
		kind += ", stream with stream"
	case TableTable:
		kind += ", table with table"
	}
	if x.Lateral {
		kind += ", per left row"
	}
	if x.Broadcast {
		kind += ", with the one row"
	}
	if x.Mark {
		kind += ", whether there is a match"
	}
	var on []string
	for i := range x.LKeys {
		on = append(on, FormatExpr(x.LKeys[i])+" = "+FormatExpr(x.RKeys[i]))
	}
	if len(on) > 0 {
		kind += " on " + strings.Join(on, " and ")
	}
	var details []string
	if w := x.Within; w != nil {
		details = append(details, describeWithin(w))
	}
	if x.HistoryMs > 0 {
		details = append(details, "history "+FormatMillis(x.HistoryMs))
	}
	if x.Cond != nil {
		details = append(details, "if "+bare(x.Cond))
	}
	return kind, details
}

// describeWithin says when the right row may come, by the left row's time.
func describeWithin(w *Within) string {
	at := func(ms int64) string {
		if ms < 0 {
			return FormatMillis(-ms) + " before"
		}
		return FormatMillis(ms) + " after"
	}
	s := "within " + FormatMillis(w.BeforeMs)
	if w.BeforeMs != w.AfterMs {
		s = "right row from " + at(-w.BeforeMs) + " to " + at(w.AfterMs) + " the left row"
	}
	s += ", grace " + FormatMillis(w.GraceMs)
	if w.Eager {
		s += ", unmatched rows at once"
	}
	return s
}

func describeWindow(x *WindowFunc) (string, []string) {
	p := exprPrinter{}
	for i, a := range x.Calls {
		if i > 0 {
			p.s(", ")
		}
		p.agg(a)
	}
	p.s(" over (")
	if len(x.PartitionBy) > 0 {
		p.s("partition by ")
		p.list(x.PartitionBy, ", ")
	}
	if len(x.OrderBy) > 0 {
		if len(x.PartitionBy) > 0 {
			p.s(" ")
		}
		p.s("order by ")
		p.sortKeys(x.OrderBy)
	}
	p.s(")")
	return "Window " + p.b.String(), nil
}

// FormatMillis prints a length of time in its largest whole unit.
func FormatMillis(ms int64) string {
	units := []struct {
		ms   int64
		name string
	}{{86_400_000, "d"}, {3_600_000, "h"}, {60_000, "min"}, {1000, "s"}}
	for _, u := range units {
		if ms >= u.ms && ms%u.ms == 0 {
			return fmt.Sprintf("%d %s", ms/u.ms, u.name)
		}
	}
	if ms == 0 {
		return "0"
	}
	return fmt.Sprintf("%d ms", ms)
}

func describeTopN(x *TopN) string {
	p := exprPrinter{}
	p.s("Top")
	if x.Limit >= 0 {
		p.s(" ", strconv.FormatInt(x.Limit, 10))
	}
	if x.Offset > 0 {
		p.s(" after ", strconv.FormatInt(x.Offset, 10))
	}
	if x.WithTies {
		p.s(" with ties")
	}
	if len(x.By) > 0 {
		p.s(" by ")
		p.sortKeys(x.By)
	}
	if len(x.Keys) > 0 {
		p.s(" of each ")
		p.list(refs(x.In, x.Keys), ", ")
	}
	return p.b.String()
}

func describeExpand(x *Expand) string {
	calls := make([]string, len(x.Sets))
	for i, set := range x.Sets {
		calls[i] = FormatExpr(set.Call)
	}
	out := "Expand by " + strings.Join(calls, ", ")
	if x.Outer {
		out += ", or once"
	}
	return out
}
