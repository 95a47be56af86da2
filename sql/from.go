package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// fromList parses FROM items joined by commas.
func (p *parser) fromList() []FromItem {
	var out []FromItem
	p.list(func() { out = append(out, p.fromItem()) })
	return out
}

// fromItem parses one item with its joins.
func (p *parser) fromItem() FromItem {
	left := p.fromPrimary()
	for p.err == nil {
		j := p.joinKind()
		if j == nil {
			return left
		}
		left = p.join(j, left)
	}
	return left
}

// joinKind takes the words of a join, or nothing.
func (p *parser) joinKind() *Join {
	j, start := &Join{Pos: p.pos()}, p.i
	j.Natural = p.accept("natural")
	switch {
	case p.accept("cross"):
		j.Kind = CrossJoin
	case p.accept("inner"):
	case p.accept("left"):
		j.Kind = LeftJoin
		switch {
		case p.accept("semi"):
			j.Kind = SemiJoin
		case p.accept("anti"):
			j.Kind = AntiJoin
		default:
			p.accept("outer")
		}
	case p.accept("right"):
		j.Kind = RightJoin
		p.accept("outer")
	case p.accept("full"):
		j.Kind = FullJoin
		p.accept("outer")
	case p.isClauseWord() && p.accept("asof"):
		j.AsOf = true
		if p.accept("left") {
			j.Kind = LeftJoin
		}
	case p.isClauseWord() && p.accept("semi"):
		j.Kind = SemiJoin
	case p.isClauseWord() && p.accept("anti"):
		j.Kind = AntiJoin
	}
	if p.i == start && !p.isWord("join") {
		return nil
	}
	p.expect("join")
	return j
}

// join parses the right side and the condition. A right side that is followed by a join instead of a condition is a join
// itself: a JOIN b JOIN c ON .. ON ..
func (p *parser) join(j *Join, left FromItem) FromItem {
	defer p.leave()
	if !p.enter() {
		return j
	}
	j.Left, j.Right = left, p.fromPrimary()
	if j.Kind != CrossJoin && !j.Natural {
		for p.err == nil {
			if _, ok := p.isOneOf("on", "using", "within"); ok {
				break
			}
			inner := p.joinKind()
			if inner == nil {
				p.unexpected()
				return j
			}
			j.Right = p.join(inner, j.Right)
		}
		p.joinCondition(j)
	}
	p.raise(1)
	return j
}

// joinCondition parses [WITHIN ..] ON e | USING (..) [AS alias].
func (p *parser) joinCondition(j *Join) {
	if p.isWord("within") {
		j.Within = p.within()
	}
	switch {
	case p.accept("on"):
		p.exprTo(&j.On)
	case p.accept("using"):
		j.Using = p.nameList()
		if p.accept("as") {
			j.UsingAlias = p.name()
		}
	default:
		p.unexpected()
	}
}

// fromPrimary parses a table, a function, a query or a joined table in parentheses.
func (p *parser) fromPrimary() FromItem {
	pos := p.pos()
	lateral := p.accept("lateral")
	switch {
	case p.isPunct("("):
		if p.startsQuery(p.i) {
			d := &Derived{Pos: pos, Lateral: lateral, Query: p.parenQuery()}
			d.Alias = p.alias(false)
			return d
		}
		if lateral {
			p.unexpected()
		}
		return p.joinedTable()
	case p.isWords("rows", "from") && p.peek(2).is(p.src, "("):
		return p.rowsFrom(pos, lateral)
	case p.isFunction():
		f := &TableFunc{Pos: pos, Lateral: lateral, Calls: []*FuncCall{p.tableCall()}}
		p.ordinality(f)
		return f
	case lateral:
		p.unexpected()
		return nil
	}
	return p.table(true)
}

// joinedTable parses ( a JOIN b .. ) [alias].
func (p *parser) joinedTable() FromItem {
	defer p.leave()
	if !p.enter() {
		return nil
	}
	p.expectPunct("(")
	item := p.fromItem()
	j, ok := item.(*Join)
	if !ok {
		p.unexpected() // PostgreSQL has no parentheses around single tables
		return item
	}
	p.expectPunct(")")
	if a := p.alias(false); a != nil {
		if j.Alias != nil {
			p.unexpectedAt(a.Pos)
		}
		j.Alias = a
	}
	return j
}

// isFunction reports whether a function call stands at the cursor.
func (p *parser) isFunction() bool {
	n := 0
	for n < 2*maxNameParts && isName(p.peek(n), wordReserved) && p.peek(n+1).is(p.src, ".") {
		n += 2
	}
	if t := p.tok(); t.kind == tokWord && specialCallable(t.text(p.src)) {
		return true
	}
	return isName(p.peek(n), wordReserved) && p.peek(n+1).is(p.src, "(") &&
		(n > 0 || p.tok().class&wordColumn == 0 || p.isWord("coalesce"))
}

// specialCallable reports whether w is one of the functions without parentheses, which FROM takes too.
func specialCallable(w string) bool {
	if len(w) < len("user") || len(w) > longestKeyword {
		return false
	}
	_, ok := specialValues[foldLower(w)]
	return ok
}

// tableCall parses the call of a table function.
func (p *parser) tableCall() *FuncCall {
	pos := p.pos()
	o := p.primary()
	switch n := o.node.(type) {
	case *FuncCall:
		return n
	case *SpecialValue:
		return &FuncCall{Pos: pos, Name: n.Name}
	}
	p.unexpectedAt(pos)
	return nil
}

// rowsFrom parses ROWS FROM ( f(..) [AS (defs)], .. ).
func (p *parser) rowsFrom(pos Pos, lateral bool) FromItem {
	f := &TableFunc{Pos: pos, Lateral: lateral, RowsFrom: true}
	p.accept("rows", "from")
	some := false
	p.inParens(func() {
		f.Calls = append(f.Calls, p.tableCall())
		var defs []*ColumnDef
		if p.accept("as") {
			defs = p.columnDefs()
			some = true
		}
		f.Defs = append(f.Defs, defs)
	})
	if !some {
		f.Defs = nil
	}
	p.ordinality(f)
	return f
}

func (p *parser) ordinality(f *TableFunc) {
	f.Ordinality = p.accept("with", "ordinality")
	f.Alias = p.alias(true)
}

// columnDefs parses ( a int, b text ).
func (p *parser) columnDefs() []*ColumnDef {
	var out []*ColumnDef
	p.inParens(func() {
		c := &ColumnDef{Pos: p.pos(), Name: p.name()}
		c.Type = p.typeName()
		out = append(out, c)
	})
	return out
}

// table parses [ONLY] name [*] [FOR SYSTEM_TIME AS OF e] [alias].
func (p *parser) table(alias bool) *Table {
	t := &Table{Pos: p.pos()}
	if t.Only = p.accept("only"); t.Only && p.acceptPunct("(") {
		t.Name = p.qualifiedName()
		p.expectPunct(")")
	} else {
		t.Name = p.qualifiedName()
		p.acceptPunct("*")
	}
	if p.isWords("for", "system_time") {
		p.next()
		p.next()
		p.expect("as", "of")
		p.exprTo(&t.AsOf)
	}
	if alias {
		t.Alias = p.alias(false)
		if p.isWord("tablesample") {
			p.unsupported(p.pos(), "TABLESAMPLE is not supported")
		}
	}
	return t
}

// alias parses [AS] name [(columns)]; for a function the parentheses may hold definitions, with or without a name.
func (p *parser) alias(defs bool) *Alias {
	a := &Alias{Pos: p.pos()}
	as := p.accept("as")
	switch {
	case as && defs && p.isPunct("("):
		a.Defs = p.columnDefs()
		return a
	case as:
		a.Name = p.name()
	case isName(p.tok(), notColumn) && !p.isClauseWord():
		a.Name = p.name()
	default:
		return nil
	}
	switch {
	case !p.isPunct("("):
	case defs && !p.peek(2).is(p.src, ",") && !p.peek(2).is(p.src, ")"):
		a.Defs = p.columnDefs()
	default:
		a.Columns = p.nameList()
	}
	return a
}

// within parses WITHIN d | WITHIN (before, after), and [GRACE PERIOD d].
func (p *parser) within() *Within {
	w := &Within{Pos: p.pos()}
	p.next()
	if p.acceptPunct("(") {
		w.Before = p.duration()
		p.expectPunct(",")
		w.After = p.duration()
		p.expectPunct(")")
	} else {
		w.Before = p.duration()
		w.After = w.Before
	}
	if p.accept("grace") {
		p.expect("period")
		w.Grace = p.duration()
	}
	return w
}

// streamWindow parses WINDOW [name] TUMBLING|HOPPING|SESSION (..) if it stands here.
func (p *parser) streamWindow(s *Select) {
	if !p.isWord("window") {
		return
	}
	n := 1
	if p.peek(2).kind == tokWord && p.peek(3).is(p.src, "(") {
		n = 2
	}
	t := p.peek(n)
	if !p.peek(n+1).is(p.src, "(") {
		return
	}
	w := &StreamWindow{Pos: p.pos()}
	switch {
	case t.isWord(p.src, "tumbling"):
	case t.isWord(p.src, "hopping"):
		w.Kind = Hopping
	case t.isWord(p.src, "session"):
		w.Kind = Session
	default:
		return
	}
	if s.Window != nil {
		p.unexpected()
		return
	}
	p.next()
	if n == 2 {
		w.Name = p.name()
	}
	p.next()
	p.windowBounds(w)
	s.Window = w
}

// windowHints say how a stream window is written.
var windowHints = map[WindowKind]string{
	Tumbling: "Write WINDOW TUMBLING (SIZE 1 HOUR [, GRACE PERIOD 10 MINUTES] [, RETENTION 1 DAY]).",
	Hopping:  "Write WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 10 MINUTES [, GRACE PERIOD 10 MINUTES] [, RETENTION 1 DAY]).",
	Session:  "Write WINDOW SESSION (30 SECONDS [, GRACE PERIOD 10 MINUTES] [, RETENTION 1 DAY]).",
}

// windowBounds parses what stands in the parentheses of a stream window.
func (p *parser) windowBounds(w *StreamWindow) {
	pos := p.pos()
	p.inParens(func() {
		dst := &w.Size
		switch {
		case w.Kind == Session && w.Size == nil:
		case p.accept("size"):
		case w.Kind == Hopping && p.accept("advance", "by"):
			dst = &w.Advance
		case p.accept("retention"):
			dst = &w.Retention
		case p.accept("grace", "period"):
			dst = &w.Grace
		default:
			p.unexpected().Hint = windowHints[w.Kind]
			return
		}
		if *dst != nil {
			p.failAt(p.pos(), sqlerr.SyntaxError, "conflicting or redundant options")
			return
		}
		*dst = p.duration()
	})
	if p.err == nil && (w.Size == nil || w.Kind == Hopping && w.Advance == nil) {
		p.failAt(pos, sqlerr.SyntaxError, "a window needs a SIZE, and a hopping window an ADVANCE BY too")
	}
}

var units = map[string]Unit{
	"millisecond": Milliseconds, "second": Seconds, "minute": Minutes, "hour": Hours, "day": Days, "week": Weeks,
	"month": Months, "year": Years,
}

// duration parses n unit, or an interval literal.
func (p *parser) duration() *Duration {
	d := &Duration{Pos: p.pos()}
	if p.isWord("interval") {
		l, ok := p.typedLiteral().(*TypedLiteral)
		if ok {
			d.Interval = l
		}
		return d
	}
	d.Count = p.integer()
	t := p.tok()
	if t.kind == tokWord {
		w := foldLower(t.text(p.src))
		if u, ok := units[w]; ok {
			d.Unit = u
			p.next()
			return d
		}
		if n := len(w) - 1; n > 0 && w[n] == 's' {
			if u, ok := units[w[:n]]; ok {
				d.Unit = u
				p.next()
				return d
			}
		}
	}
	p.unexpected()
	return d
}
