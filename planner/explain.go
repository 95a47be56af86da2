package planner

import (
	"fmt"
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
	stream bool              // show modes and keys
	actual func(Node) string // nil, or what an operator has done
}

// ExplainQuery returns the plan of a query, one operator a line.
func ExplainQuery(q *Query) string { return ExplainActual(q, nil) }

// ExplainActual is ExplainQuery with what actual says of each operator.
func ExplainActual(q *Query, actual func(Node) string) string {
	e := &explainer{stream: q.Unbounded, actual: actual}
	e.tree(q.Root, "", "")
	var b strings.Builder
	b.WriteString(e.text())
	explainChanges(&b, q, actual)
	if q.Each {
		b.WriteString("Emits each change\n")
	}
	if q.LimitRows >= 0 {
		fmt.Fprintf(&b, "Ends after %d rows\n", q.LimitRows)
	}
	if q.ForInterval > 0 {
		fmt.Fprintf(&b, "Ends after %s\n", FormatMillis(q.ForInterval))
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
	if p.Each {
		b.WriteString("\nEmits each change\n")
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
func ExplainDML(d *DML) string { return ExplainActualDML(d, nil) }

// ExplainActualDML is ExplainDML with what actual says of each operator.
func ExplainActualDML(d *DML, actual func(Node) string) string {
	var b strings.Builder
	explainDML(&b, d, actual)
	explainChanges(&b, d.Source, actual)
	return b.String()
}

// explainChanges adds the changes in WITH, which run first.
func explainChanges(b *strings.Builder, q *Query, actual func(Node) string) {
	for _, c := range q.Changes {
		fmt.Fprintf(b, "With %s, first\n", quoteName(c.Name))
		explainDML(b, c.DML, actual)
	}
}

func explainDML(b *strings.Builder, d *DML, actual func(Node) string) {
	word := map[DMLKind]string{DMLInsert: "Insert into", DMLUpdate: "Update", DMLDelete: "Delete from"}[d.Kind]
	fmt.Fprintf(b, "%s %s", word, relationName(d.Rel))
	if d.Kind == DMLUpdate {
		var set []string
		for _, t := range d.Targets {
			set = append(set, d.Rel.Columns[t].Name+" = "+FormatExpr(d.New[t]))
		}
		fmt.Fprintf(b, " set %s", strings.Join(set, ", "))
	}
	if c := d.OnConflict; c != nil {
		what := "do nothing"
		if !c.DoNothing {
			what = "do update"
		}
		fmt.Fprintf(b, " on conflict %s", what)
	}
	if len(d.Returning) > 0 {
		p := exprPrinter{}
		p.list(d.Returning, ", ")
		fmt.Fprintf(b, " returning %s", p.b.String())
	}
	b.WriteByte('\n')
	e := &explainer{actual: actual}
	e.tree(d.Source.Root, "└─ ", "   ")
	b.WriteString(e.text())
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
	if e.actual != nil {
		l.right = e.actual(n)
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
		VisitExpr(x, func(y Expr) {
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
	if r.TTLMs > 0 {
		b.WriteString("  ttl " + FormatMillis(r.TTLMs) + "\n")
	}
	if r.HistoryMs > 0 {
		b.WriteString("  history " + FormatMillis(r.HistoryMs) + "\n")
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
