package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// startsQuery reports whether the parenthesis at token i opens a query and not an expression or a joined table.
func (p *parser) startsQuery(i int) bool {
	for n := 0; n < maxDepth && p.toks[i].is(p.src, "("); n++ {
		t := &p.toks[i+1]
		if t.isWord(p.src, "select") || t.isWord(p.src, "with") || t.isWord(p.src, "values") || t.isWord(p.src, "table") {
			return true
		}
		if t.match < 0 || !p.continuesQuery(int(t.match)+1) {
			return false
		}
		i++
	}
	return false
}

// continuesQuery reports whether what stands at token i may follow a query in parentheses within a query.
func (p *parser) continuesQuery(i int) bool {
	t := &p.toks[i]
	if t.is(p.src, ")") {
		return true
	}
	for _, w := range [...]string{"union", "intersect", "except", "order", "limit", "offset", "fetch", "for"} {
		if t.isWord(p.src, w) {
			return true
		}
	}
	return false
}

// parenQuery parses ( query ).
func (p *parser) parenQuery() *Query {
	p.expectPunct("(")
	q := p.query()
	p.expectPunct(")")
	return q
}

// query parses a query with its WITH, ORDER BY, LIMIT, EMIT and locking.
func (p *parser) query() *Query {
	var w *With
	if p.isWord("with") {
		w = p.with()
	}
	return p.queryAfter(w)
}

// queryAfter parses a query whose WITH has been parsed.
func (p *parser) queryAfter(w *With) *Query {
	q := &Query{Pos: p.pos(), With: w}
	if w != nil {
		q.Pos = w.Pos
	}
	defer p.leave()
	if !p.enter() {
		return q
	}
	q.Body = p.setOps()
	p.queryTail(q)
	p.raise(1)
	if inner, ok := q.Body.(*Query); ok && isBare(q) {
		return inner
	}
	return q
}

// isBare reports whether q is nothing but its body.
func isBare(q *Query) bool {
	return q.With == nil && q.OrderBy == nil && q.Limit == nil && q.Skip == nil && q.Emit == nil && q.Locking == nil
}

// queryTail parses what follows the body.
func (p *parser) queryTail(q *Query) {
	if p.isWord("order") {
		q.OrderBy = p.orderBy()
	}
	for limited, skipped := false, false; p.err == nil; {
		switch {
		case !limited && p.isWord("limit"):
			limited = true
			p.limit(q)
		case !limited && p.isWord("fetch"):
			limited = true
			p.fetchFirst(q)
		case !skipped && p.accept("offset"):
			skipped = true
			p.exprTo(&q.Skip)
			p.acceptOneOf("row", "rows")
		case q.Emit == nil && p.isEmit():
			q.Emit = p.emitClause()
		case p.isWord("for"):
			p.locking(q)
		default:
			return
		}
	}
}

// limit parses LIMIT.
func (p *parser) limit(q *Query) {
	pos := p.pos()
	p.next()
	if p.accept("all") || p.peek(1).kind != tokOperator && p.accept("null") {
		return
	}
	p.exprTo(&q.Limit)
	if p.isPunct(",") {
		_ = p.failAt(pos, sqlerr.SyntaxError, "LIMIT #,# syntax is not supported").
			WithHint("Use separate LIMIT and OFFSET clauses.")
	}
}

// fetchFirst parses FETCH FIRST|NEXT [n] ROW|ROWS ONLY|WITH TIES.
func (p *parser) fetchFirst(q *Query) {
	pos := p.pos()
	p.next()
	if _, ok := p.acceptOneOf("first", "next"); !ok {
		p.unexpected()
	}
	if _, ok := p.isOneOf("row", "rows"); ok {
		q.Limit = &Literal{Pos: pos, Kind: IntegerLiteral, Text: "1"}
	} else {
		p.exprTo(&q.Limit)
	}
	if _, ok := p.acceptOneOf("row", "rows"); !ok {
		p.unexpected()
	}
	if p.accept("with", "ties") {
		q.WithTies = true
		return
	}
	p.expect("only")
}

func (p *parser) isEmit() bool { return p.isWords("emit", "changes") || p.isWords("emit", "final") }

// emitClause parses EMIT CHANGES|FINAL [FOR INTERVAL d].
func (p *parser) emitClause() *Emit {
	e := &Emit{Pos: p.pos()}
	p.next()
	e.Final = p.next().isWord(p.src, "final")
	if p.isWords("for", "interval") {
		p.next()
		e.Interval = p.duration()
	}
	return e
}

// locking parses one FOR UPDATE clause or one of its kin.
func (p *parser) locking(q *Query) {
	l := &Locking{Pos: p.pos()}
	p.next()
	switch {
	case p.accept("read", "only"):
		return
	case p.accept("update"):
		l.Strength = "UPDATE"
	case p.accept("no", "key", "update"):
		l.Strength = "NO KEY UPDATE"
	case p.accept("share"):
		l.Strength = "SHARE"
	case p.accept("key", "share"):
		l.Strength = "KEY SHARE"
	default:
		p.unexpected()
	}
	if p.accept("of") {
		l.Of = p.qualifiedNames()
	}
	switch {
	case p.accept("nowait"):
		l.Wait = "NOWAIT"
	case p.accept("skip", "locked"):
		l.Wait = "SKIP LOCKED"
	}
	q.Locking = append(q.Locking, l)
}

// with parses WITH [RECURSIVE] and its common table expressions.
func (p *parser) with() *With {
	w := &With{Pos: p.pos()}
	p.expect("with")
	w.Recursive = p.accept("recursive")
	p.list(func() { w.CTEs = append(w.CTEs, p.cte()) })
	return w
}

func (p *parser) cte() *CTE {
	c := &CTE{Pos: p.pos(), Name: p.name()}
	if p.isPunct("(") {
		c.Columns = p.nameList()
	}
	p.expect("as")
	switch {
	case p.accept("materialized"):
		c.Materialized = Yes
	case p.accept("not", "materialized"):
		c.Materialized = No
	}
	p.expectPunct("(")
	switch w, _ := p.isOneOf("insert", "update", "delete"); w {
	case "":
		c.Statement = p.query()
	default:
		c.Statement = p.dml(nil)
	}
	p.expectPunct(")")
	if _, ok := p.isOneOf("search", "cycle"); ok {
		p.unsupported(p.pos(), "SEARCH and CYCLE are not supported")
	}
	return c
}

// setOps parses UNION and EXCEPT, INTERSECT binding tighter.
func (p *parser) setOps() QueryBody {
	left := p.intersects()
	for p.err == nil {
		s := &SetOp{Pos: p.pos(), Left: left}
		switch {
		case p.accept("union"):
		case p.accept("except"):
			s.Kind = Except
		default:
			return left
		}
		p.all(s)
		s.Right = p.intersects()
		p.raise(1)
		left = s
	}
	return left
}

func (p *parser) intersects() QueryBody {
	left := p.queryPrimary()
	for p.err == nil && p.isWord("intersect") {
		s := &SetOp{Pos: p.pos(), Kind: Intersect, Left: left}
		p.next()
		p.all(s)
		s.Right = p.queryPrimary()
		p.raise(1)
		left = s
	}
	return left
}

func (p *parser) all(s *SetOp) {
	if !p.accept("distinct") {
		s.All = p.accept("all")
	}
}

// queryPrimary parses SELECT, VALUES, TABLE or ( query ).
func (p *parser) queryPrimary() QueryBody {
	switch {
	case p.isWord("select"):
		return p.selectCore()
	case p.isWord("values"):
		return p.values()
	case p.isWord("table"):
		return p.tableQuery()
	case p.isPunct("("):
		if q := p.parenQuery(); p.err != nil || !isBare(q) {
			return q
		} else {
			return q.Body
		}
	}
	p.unexpected()
	return nil
}

// tableQuery reads TABLE t as SELECT * FROM t.
func (p *parser) tableQuery() QueryBody {
	pos := p.pos()
	p.next()
	star := &Target{Pos: pos, Expr: &Star{Pos: pos}}
	return &Select{Pos: pos, Targets: []*Target{star}, From: []FromItem{&Table{Pos: p.pos(), Name: p.qualifiedName()}}}
}

// values parses VALUES (..), (..).
func (p *parser) values() QueryBody {
	v := &Values{Pos: p.pos()}
	p.next()
	p.list(func() {
		p.expectPunct("(")
		base := len(p.operands)
		p.list(func() { p.push(p.exprOrDefault()) })
		p.expectPunct(")")
		v.Rows = append(v.Rows, p.takeOperands(base))
	})
	return v
}

// exprOrDefault parses an expression or DEFAULT.
func (p *parser) exprOrDefault() operand {
	if p.isWord("default") {
		pos := p.pos()
		p.next()
		return operand{node: &Default{Pos: pos}}
	}
	return p.expr()
}

// orderBy parses ORDER BY.
func (p *parser) orderBy() []*OrderItem {
	p.expect("order", "by")
	var out []*OrderItem
	p.list(func() { out = append(out, p.orderItem()) })
	return out
}

func (p *parser) orderItem() *OrderItem {
	o := &OrderItem{Pos: p.pos()}
	p.exprTo(&o.Expr)
	switch {
	case p.accept("desc"):
		o.Desc = true
	case p.accept("asc"):
	case p.accept("using"):
		if p.tok().kind != tokOperator && !p.isOperatorCall() {
			p.unexpected()
			return o
		}
		_, o.Using = p.operatorName()
	}
	switch {
	case p.accept("nulls", "first"):
		o.NullsFirst = Yes
	case p.accept("nulls", "last"):
		o.NullsFirst = No
	}
	return o
}
