package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// selectCore parses SELECT up to its WINDOW clause.
func (p *parser) selectCore() QueryBody {
	s := &Select{Pos: p.pos()}
	p.expect("select")
	if p.accept("distinct") {
		s.Distinct = true
		if p.accept("on") {
			p.expectPunct("(")
			s.DistinctOn = p.exprList()
			p.expectPunct(")")
		}
	} else {
		p.accept("all")
	}
	if !p.endsTargets() {
		s.Targets = p.targetList()
	}
	if p.accept("into") {
		s.IntoTemp = p.temporary()
		p.accept("table")
		s.Into = p.qualifiedName()
	}
	if p.accept("from") {
		s.From = p.fromList()
	}
	p.streamWindow(s)
	if p.accept("where") {
		p.exprTo(&s.Where)
	}
	p.streamWindow(s)
	if p.isWord("group") {
		s.GroupBy = p.groupBy()
	}
	if s.GroupBy != nil && p.isWord("window") && p.peek(2).is(p.src, "(") {
		p.unexpected().Hint = "The window comes before GROUP BY."
		return s
	}
	if p.accept("partition", "by") {
		s.PartitionBy = p.exprList()
	}
	if p.accept("having") {
		p.exprTo(&s.Having)
	}
	if p.accept("window") {
		p.list(func() {
			pos, name := p.pos(), p.name()
			p.expect("as")
			w := p.windowSpec(name)
			w.Pos = pos
			s.Windows = append(s.Windows, w)
		})
	}
	return s
}

// endsTargets reports whether the list of targets is empty, as PostgreSQL allows.
func (p *parser) endsTargets() bool {
	if p.tok().kind == tokEOF || p.isPunct(";") || p.isPunct(")") {
		return true
	}
	_, ok := p.isOneOf("from", "into", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit",
		"offset", "fetch", "for")
	return ok
}

// targetList parses output columns, of SELECT and of RETURNING.
func (p *parser) targetList() []*Target {
	var out []*Target
	p.list(func() { out = append(out, p.target()) })
	return out
}

func (p *parser) target() *Target {
	t := &Target{Pos: p.pos()}
	if p.isPunct("*") {
		t.Expr = &Star{Pos: p.pos()}
		p.next()
		return t
	}
	p.exprTo(&t.Expr)
	switch next := p.tok(); {
	case p.accept("as"):
		t.Alias = p.label()
	case isName(next, wordNeedsAs) && !p.isClauseWord():
		t.Alias = p.label()
	}
	return t
}

// isClauseWord reports whether a clause begins here with a word that PostgreSQL would take for an alias.
func (p *parser) isClauseWord() bool {
	next := p.peek(1)
	switch {
	case p.tok().kind != tokWord:
		return false
	case p.isWord("emit"):
		return p.isEmit()
	case p.isWord("partition"):
		return next.isWord(p.src, "by")
	case p.isWord("within"):
		return next.kind == tokInteger || next.is(p.src, "(") || next.isWord(p.src, "interval")
	case p.isWord("asof"), p.isWord("semi"), p.isWord("anti"):
		return next.isWord(p.src, "join") || next.isWord(p.src, "left") && p.peek(2).isWord(p.src, "join")
	}
	return false
}

// groupBy parses GROUP BY [ALL|DISTINCT] items.
func (p *parser) groupBy() *GroupBy {
	g := &GroupBy{Pos: p.pos()}
	p.expect("group", "by")
	if p.accept("distinct") {
		g.Distinct = true
	} else {
		p.accept("all")
	}
	p.list(func() { g.Items = append(g.Items, p.groupItem()) })
	return g
}

func (p *parser) groupItem() *GroupItem {
	g := &GroupItem{Pos: p.pos()}
	defer p.leave()
	if !p.enter() {
		return g
	}
	call := p.peek(1).is(p.src, "(")
	switch {
	case p.isPunct("(") && p.peek(1).is(p.src, ")"):
		g.Kind = GroupEmpty
		p.next()
		p.next()
		return g
	case call && p.accept("rollup"):
		g.Kind = GroupRollup
	case call && p.accept("cube"):
		g.Kind = GroupCube
	case p.accept("grouping", "sets"):
		g.Kind = GroupSets
	default:
		p.exprTo(&g.Expr)
		return g
	}
	p.inParens(func() { g.Items = append(g.Items, p.groupItem()) })
	p.raise(1)
	return g
}

// windowSpec parses ( [base] [PARTITION BY] [ORDER BY] [frame] ).
func (p *parser) windowSpec(name string) *WindowDef {
	w := &WindowDef{Pos: p.pos(), Name: name}
	p.expectPunct("(")
	if isName(p.tok(), notColumn) && !p.isWords("partition", "by") && !p.isFrame() {
		w.Base = p.name()
	}
	if p.accept("partition", "by") {
		w.PartitionBy = p.exprList()
	}
	if p.isWord("order") {
		w.OrderBy = p.orderBy()
	}
	if p.isFrame() {
		w.Frame = p.frame()
	}
	p.expectPunct(")")
	return w
}

// isFrame reports whether a frame clause begins here; its words are ordinary names otherwise.
func (p *parser) isFrame() bool {
	if _, ok := p.isOneOf("range", "rows", "groups"); !ok {
		return false
	}
	next := p.peek(1)
	return !next.is(p.src, ")") && !next.isWord(p.src, "order") && !next.isWord(p.src, "partition")
}

var frameModes = map[string]FrameMode{"range": FrameRange, "rows": FrameRows, "groups": FrameGroups}

func (p *parser) frame() *Frame {
	f := &Frame{Pos: p.pos()}
	w, _ := p.acceptOneOf("range", "rows", "groups")
	f.Mode = frameModes[w]
	if p.accept("between") {
		f.Start = p.bound()
		p.expect("and")
		f.End = p.bound()
	} else {
		f.Start = p.bound()
		f.End = &Bound{Pos: f.Start.Pos, Kind: CurrentRow}
	}
	if p.err == nil && !validFrame(f.Start.Kind, f.End.Kind) {
		p.failAt(f.Pos, sqlerr.WindowingError, "frame cannot begin or end there: it starts after its end")
	}
	if p.accept("exclude") {
		switch {
		case p.accept("current", "row"):
			f.Exclude = "CURRENT ROW"
		case p.accept("group"):
			f.Exclude = "GROUP"
		case p.accept("ties"):
			f.Exclude = "TIES"
		case p.accept("no", "others"):
			f.Exclude = "NO OTHERS"
		default:
			p.unexpected()
		}
	}
	return f
}

// validFrame reports whether a frame may begin and end so.
func validFrame(start, end BoundKind) bool {
	return start != UnboundedFollowing && end != UnboundedPreceding && start <= end
}

func (p *parser) bound() *Bound {
	b := &Bound{Pos: p.pos()}
	switch {
	case p.accept("unbounded", "preceding"):
		b.Kind = UnboundedPreceding
	case p.accept("unbounded", "following"):
		b.Kind = UnboundedFollowing
	case p.accept("current", "row"):
		b.Kind = CurrentRow
	default:
		p.exprTo(&b.Value)
		if p.accept("preceding") {
			b.Kind = Preceding
		} else {
			p.expect("following")
			b.Kind = Following
		}
	}
	return b
}
