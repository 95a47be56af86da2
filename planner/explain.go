package planner

import (
	"fmt"
	"sort"
	"strings"
)

// EXPLAIN prints a plan as a tree, the last operator first. Continuous plans carry on every line what flows out of the operator: the
// change mode, the change key and the partition key.

// planLine is one operator: the tree on the left, what flows out of it on the right.
type planLine struct {
	left, right string
}

type explainer struct {
	lines  []planLine
	stream bool // show modes and keys
}

// ExplainQuery returns the plan of a query, one operator a line.
func ExplainQuery(q *Query) string {
	e := &explainer{stream: q.Unbounded}
	e.tree(q.Root, "", "")
	var b strings.Builder
	b.WriteString(e.text())
	if q.LimitRows >= 0 {
		fmt.Fprintf(&b, "Ends after %d rows\n", q.LimitRows)
	}
	if q.ForInterval > 0 {
		fmt.Fprintf(&b, "Ends after %s\n", formatMs(q.ForInterval))
	}
	return b.String()
}

// ExplainPersistent returns the plan of a persistent query: its fragments from the sources to the sink, and its internal topics.
func ExplainPersistent(p *Persistent) string {
	var b strings.Builder
	for i, f := range p.Fragments {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "Fragment %d: %d tasks", f.ID, f.Partitions)
		if f.Changelog != "" {
			fmt.Fprintf(&b, ", state in %s", f.Changelog)
		}
		b.WriteByte('\n')
		e := &explainer{stream: true}
		e.tree(f.Root, "  ", "  ")
		b.WriteString(e.text())
	}
	topics := append([]TopicSpec(nil), p.Topics...)
	if p.SinkTopic != nil {
		topics = append(topics, *p.SinkTopic)
	}
	if len(topics) > 0 {
		b.WriteString("\nTopics\n")
		for _, t := range topics {
			fmt.Fprintf(&b, "  %s: %d partitions, %s\n", t.Name, t.Partitions, t.Configs["cleanup.policy"])
		}
	}
	return b.String()
}

// ExplainDML returns the plan of an INSERT, UPDATE or DELETE: what is done with the rows of its source.
func ExplainDML(d *DML) string {
	var b strings.Builder
	word := map[DMLKind]string{DMLInsert: "Insert into", DMLUpdate: "Update", DMLDelete: "Delete from"}[d.Kind]
	fmt.Fprintf(&b, "%s %s", word, relationName(d.Rel))
	if d.Kind == DMLUpdate {
		var set []string
		for _, t := range d.Targets {
			set = append(set, d.Rel.Columns[t].Name+" = "+FormatExpr(d.New[t]))
		}
		fmt.Fprintf(&b, " set %s", strings.Join(set, ", "))
	}
	if c := d.OnConflict; c != nil {
		what := "do nothing"
		if !c.DoNothing {
			what = "do update"
		}
		fmt.Fprintf(&b, " on conflict %s", what)
	}
	if len(d.Returning) > 0 {
		p := exprPrinter{}
		p.list(d.Returning, ", ")
		fmt.Fprintf(&b, " returning %s", p.b.String())
	}
	b.WriteByte('\n')
	e := &explainer{}
	e.tree(d.Source.Root, "└─ ", "   ")
	b.WriteString(e.text())
	return b.String()
}

func (e *explainer) text() string {
	width := 0
	for _, l := range e.lines {
		width = max(width, len([]rune(l.left)))
	}
	var b strings.Builder
	for _, l := range e.lines {
		b.WriteString(l.left)
		if l.right != "" {
			b.WriteString(strings.Repeat(" ", width-len([]rune(l.left))+3))
			b.WriteString(l.right)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// tree prints n below the prefix first; rest is the prefix of what belongs to n.
func (e *explainer) tree(n Node, first, rest string) {
	name, details := describe(n)
	l := planLine{left: first + name}
	if _, isSink := n.(*Sink); e.stream && !isSink {
		l.right = flow(n.Props())
	}
	e.lines = append(e.lines, l)
	ins := n.Inputs()
	subs := subplans(n)
	bar := "│  "
	if len(ins)+len(subs) == 0 {
		bar = "   "
	}
	for _, d := range details {
		e.lines = append(e.lines, planLine{left: rest + bar + d})
	}
	for i, in := range ins {
		if i == len(ins)-1 && len(subs) == 0 {
			e.tree(in, rest+"└─ ", rest+"   ")
		} else {
			e.tree(in, rest+"├─ ", rest+"│  ")
		}
	}
	for i, s := range subs {
		word := "subquery, once: "
		if s.Correlated {
			word = "subquery, per row: "
		}
		if i == len(subs)-1 {
			e.tree(s.Plan, rest+"└─ "+word, rest+"   ")
		} else {
			e.tree(s.Plan, rest+"├─ "+word, rest+"│  ")
		}
	}
}

func subplans(n Node) []*Subquery {
	var out []*Subquery
	mapOwnExprs(n, func(x Expr) Expr {
		visitExpr(x, func(y Expr) {
			if s, ok := y.(*Subquery); ok {
				out = append(out, s)
			}
		})
		return x
	})
	return out
}

// flow describes the rows that leave a node.
func flow(p *Props) string {
	names := func(ords []int) string {
		var out []string
		for _, o := range ords {
			out = append(out, quoteName(p.Cols[o].Name))
		}
		return "(" + strings.Join(out, ", ") + ")"
	}
	s := map[ChangeMode]string{ModeAppend: "append", ModeUpsert: "upsert", ModeRetract: "retract"}[p.Mode]
	if p.ChangeKey != nil {
		s += " key " + names(p.ChangeKey)
	}
	if p.PartitionKey != nil {
		s += " by " + names(p.PartitionKey)
	}
	if p.OpID != 0 {
		s += fmt.Sprintf(" state %d", p.OpID)
	}
	return s
}

func nodeName(n Node) string { name, _ := describe(n); return name }

func relationName(r *Relation) string {
	if r.Schema == "" || r.Schema == "public" || r.Schema == "pg_catalog" {
		return quoteName(r.Name)
	}
	return quoteName(r.Schema) + "." + quoteName(r.Name)
}

// describe names an operator with its arguments; details go on lines of their own.
func describe(n Node) (string, []string) {
	list := func(es []Expr) string {
		p := exprPrinter{}
		p.list(es, ", ")
		return p.b.String()
	}
	switch x := n.(type) {
	case *Scan:
		return describeScan(x)
	case *Values:
		if len(x.Rows) == 1 {
			return "Values (" + list(x.Rows[0]) + ")", nil
		}
		return fmt.Sprintf("Values: %d rows", len(x.Rows)), nil
	case *FuncScan:
		name := "Function " + x.Func.Name + "(" + list(x.Args) + ")"
		if x.Ordinality {
			name += " with ordinality"
		}
		return name, nil
	case *Filter:
		return "Filter " + bare(x.Cond), nil
	case *Project:
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
		return "Project " + strings.Join(out, ", "), nil
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
			return "Distinct on " + list(x.On), nil
		}
		return "Distinct", nil
	case *Sort:
		p := exprPrinter{}
		p.sortKeys(x.By)
		return "Sort by " + p.b.String(), nil
	case *Limit:
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
		return "Limit " + strings.Join(parts, " "), nil
	case *RecursiveUnion:
		if x.All {
			return "Recursive union all", nil
		}
		return "Recursive union", nil
	case *WorkScan:
		return "Scan of the last round", nil
	case *WindowFunc:
		return describeWindow(x)
	case *Normalize:
		return "Normalize", nil
	case *Materialize:
		return "Materialize", nil
	case *Exchange:
		if x.In == nil {
			return "Read " + x.Topic, nil
		}
		name := "Exchange by (" + list(x.By) + ")"
		if x.Topic != "" {
			name += " to " + x.Topic
		}
		return name, nil
	case *Sink:
		return "Write " + relationName(x.Rel) + " (topic " + x.Rel.Topic + ")", nil
	}
	return fmt.Sprintf("%T", n), nil
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
		kind := map[WindowKind]string{Tumbling: "tumbling", Hopping: "hopping", Session: "session"}[w.Kind]
		s := "window " + kind + " " + formatMs(w.SizeMs)
		if w.Kind == Hopping {
			s += " every " + formatMs(w.AdvanceMs)
		}
		if w.GraceMs >= 0 {
			s += ", grace " + formatMs(w.GraceMs)
		}
		if w.RetentionMs > 0 {
			s += ", retention " + formatMs(w.RetentionMs)
		}
		if x.Final {
			s += ", final rows only"
		}
		details = append(details, s)
	}
	return name, details
}

func describeJoin(x *Join) (string, []string) {
	kind := map[JoinKind]string{InnerJoin: "Join", LeftJoin: "Left join", RightJoin: "Right join", FullJoin: "Full join", SemiJoin: "Semi join",
		AntiJoin: "Anti join", CrossJoin: "Cross join"}[x.Kind]
	switch x.Strategy {
	case StreamTable:
		kind += ", stream with table"
	case StreamStream:
		kind += ", stream with stream"
	case TableTable:
		kind += ", table with table"
	}
	if x.Lateral {
		kind += ", per left row"
	}
	var on []string
	for i := range x.LKeys {
		on = append(on, FormatExpr(x.LKeys[i])+" = "+FormatExpr(x.RKeys[i]))
	}
	if len(on) > 0 {
		kind += " on " + strings.Join(on, " and ")
	}
	var details []string
	if x.Cond != nil {
		details = append(details, "if "+bare(x.Cond))
	}
	return kind, details
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

// formatMs prints a length of time in its largest whole unit.
func formatMs(ms int64) string {
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

// DescribeRelation lists the columns of a relation with types and keys, for EXPLAIN and tests.
func DescribeRelation(r *Relation) string {
	var b strings.Builder
	kind := map[RelationKind]string{Stream: "stream", Table: "table", View: "view", Virtual: "catalog"}[r.Kind]
	fmt.Fprintf(&b, "%s %s: topic %s, %d partitions, key %s, value %s\n", kind, relationName(r), r.Topic, r.Partitions, r.KeyFormat, r.ValueFormat)
	for i, c := range r.Columns {
		fmt.Fprintf(&b, "  %s %s", quoteName(c.Name), c.Type)
		if k := indexOf(r.Key, i); k >= 0 {
			fmt.Fprintf(&b, " key %d", k+1)
		}
		for _, w := range []struct {
			on   bool
			word string
		}{{c.NotNull, " not null"}, {c.Hidden, " hidden"}, {c.Headers, " headers"}, {i == r.TimestampColumn, " rowtime"}} {
			if w.on {
				b.WriteString(w.word)
			}
		}
		if c.Default != nil {
			b.WriteString(" default " + FormatExpr(c.Default))
		}
		b.WriteByte('\n')
	}
	if r.Watermark != nil {
		b.WriteString("  watermark " + FormatExpr(r.Watermark) + "\n")
	}
	return b.String()
}

func indexOf(set []int, x int) int {
	for i, y := range set {
		if x == y {
			return i
		}
	}
	return -1
}

// formatConfigs prints topic settings in the order of their names.
func formatConfigs(c map[string]string) string {
	var out []string
	for k, v := range c {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}
