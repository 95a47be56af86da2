package sql

// call parses the arguments of a function call and what may follow them.
func (p *parser) call(c *FuncCall) Expr {
	p.expectPunct("(")
	switch {
	case p.acceptPunct("*"):
		c.Star = true
	case p.isPunct(")"):
	default:
		if p.accept("distinct") {
			c.Distinct = true
		} else {
			p.accept("all")
		}
		p.list(func() { c.Args = append(c.Args, p.arg()) })
		if p.isWord("order") {
			c.OrderBy = p.orderBy()
		}
	}
	if p.isWord("ignore") || p.isWord("respect") { // Flink's place for it
		p.nulls(c)
	}
	p.expectPunct(")")
	p.callTail(c)
	return c
}

// callTail parses WITHIN GROUP, FILTER, IGNORE NULLS and OVER.
func (p *parser) callTail(c *FuncCall) {
	if p.isWords("within", "group") {
		p.expect("within", "group")
		p.expectPunct("(")
		c.WithinGroup = true
		c.OrderBy = p.orderBy()
		p.expectPunct(")")
	}
	if p.isWord("filter") && p.peek(1).is(p.src, "(") {
		p.next()
		p.expectPunct("(")
		p.expect("where")
		p.exprTo(&c.Filter)
		p.expectPunct(")")
	}
	p.nulls(c)
	if !p.isWord("over") {
		return
	}
	if next := p.peek(1); !next.is(p.src, "(") && !isName(next, notColumn) {
		return
	}
	p.next()
	if p.isPunct("(") {
		c.Over = p.windowSpec("")
	} else {
		c.Over = &WindowDef{Pos: p.pos(), Ref: true, Name: p.name()}
	}
}

// nulls parses IGNORE NULLS and RESPECT NULLS.
func (p *parser) nulls(c *FuncCall) {
	switch {
	case p.accept("ignore", "nulls"):
		c.NullsIgnore = Yes
	case p.accept("respect", "nulls"):
		c.NullsIgnore = No
	}
}

// arg parses one argument: [VARIADIC] [name :=] value, or a lambda.
func (p *parser) arg() *Arg {
	a := &Arg{Pos: p.pos()}
	a.Variadic = p.accept("variadic")
	if isName(p.tok(), wordReserved) && p.peek(1).is(p.src, ":=") {
		a.Name = p.label()
		p.next()
	}
	if p.isLambda() {
		a.Value = p.lambda()
	} else {
		p.exprTo(&a.Value)
	}
	return a
}

// isLambda reports whether x => or (x, y) => stands at the cursor.
func (p *parser) isLambda() bool {
	if isName(p.tok(), wordReserved) {
		return p.peek(1).is(p.src, "=>")
	}
	m := p.tok().match
	return p.isPunct("(") && m >= 0 && p.toks[m+1].is(p.src, "=>")
}

func (p *parser) lambda() Expr {
	l := &Lambda{Pos: p.pos()}
	if p.isPunct("(") {
		p.inParens(func() { l.Params = append(l.Params, p.label()) })
	} else {
		l.Params = []string{p.label()}
	}
	p.expectPunct("=>")
	if p.isLambda() {
		l.Body = p.nestedLambda()
	} else {
		p.exprTo(&l.Body)
	}
	return l
}

// nestedLambda parses a lambda that is the body of another one.
func (p *parser) nestedLambda() Expr {
	defer p.leave()
	if !p.enter() {
		return nil
	}
	return p.lambda()
}

// specialCall parses a call whose name is a word with a grammar of its own (PostgreSQL 15, chapter 9).
func (p *parser) specialCall(pos Pos) Expr {
	c := &FuncCall{Pos: pos}
	w, ok := p.acceptOneOf("coalesce", "nullif", "greatest", "least", "grouping", "extract", "position", "overlay",
		"substring", "trim", "normalize", "treat")
	if !ok {
		p.next()
		p.unexpected()
		return c
	}
	c.Name = w
	p.expectPunct("(")
	switch w {
	case "extract":
		p.extract(c)
	case "position":
		p.position(c)
	case "overlay":
		p.keywordArgs(c, "placing", "from", "for")
	case "substring":
		p.substring(c)
	case "trim":
		p.trim(c)
	default:
		p.restArgs(c)
	}
	p.expectPunct(")")
	return c
}

func (p *parser) restArgs(c *FuncCall) {
	p.list(func() { c.Args = append(c.Args, p.arg()) })
}

// addArg parses one plain argument.
func (p *parser) addArg(c *FuncCall) {
	a := &Arg{Pos: p.pos()}
	p.exprTo(&a.Value)
	c.Args = append(c.Args, a)
}

// addLiteral adds an argument that the special form implies.
func addLiteral(c *FuncCall, pos Pos, kind LiteralKind, text string) {
	c.Args = append(c.Args, &Arg{Pos: pos, Value: &Literal{Pos: pos, Kind: kind, Text: text}})
}

// extract parses EXTRACT(field FROM x).
func (p *parser) extract(c *FuncCall) {
	pos := p.pos()
	if next := p.peek(1); next.isWord(p.src, "from") {
		if p.isString() {
			addLiteral(c, pos, StringLiteral, p.stringLit())
		} else {
			addLiteral(c, pos, StringLiteral, p.lowerLabel())
		}
		p.expect("from")
		p.addArg(c)
		return
	}
	p.restArgs(c)
}

// position parses POSITION(a IN b), which is position(b, a).
func (p *parser) position(c *FuncCall) {
	a := &Arg{Pos: p.pos()}
	p.fillFrom(&a.Value, p.slot(bindCompare))
	c.Args = append(c.Args, a)
	if p.acceptPunct(",") {
		p.restArgs(c)
		return
	}
	p.expect("in")
	b := &Arg{Pos: p.pos()}
	p.fillFrom(&b.Value, p.slot(bindCompare))
	c.Args = []*Arg{b, a}
}

// keywordArgs parses x WORD y WORD z, or a plain list. Words after the first two may be left out.
func (p *parser) keywordArgs(c *FuncCall, words ...string) {
	p.addArg(c)
	if p.acceptPunct(",") {
		p.restArgs(c)
		return
	}
	for i, w := range words {
		if i < 2 && !p.isWord(w) {
			p.unexpected()
		}
		if p.accept(w) {
			p.addArg(c)
		}
	}
}

// substring parses SUBSTRING(x FROM a [FOR b]), (x FOR b [FROM a]), (x SIMILAR p ESCAPE e) and the plain list.
func (p *parser) substring(c *FuncCall) {
	if p.isPunct(")") {
		return
	}
	c.Args = append(c.Args, p.arg())
	switch {
	case p.acceptPunct(","):
		p.restArgs(c)
	case p.accept("from"):
		p.addArg(c)
		if p.accept("for") {
			p.addArg(c)
		}
	case p.isWord("for"):
		pos := p.pos()
		p.next()
		p.addArg(c)
		if n := len(c.Args) - 1; p.accept("from") {
			p.addArg(c)
			c.Args[n], c.Args[n+1] = c.Args[n+1], c.Args[n]
		} else {
			addLiteral(c, pos, IntegerLiteral, "1")
			c.Args[n], c.Args[n+1] = c.Args[n+1], c.Args[n]
		}
	case p.accept("similar"):
		p.addArg(c)
		p.expect("escape")
		p.addArg(c)
	}
}

// trim parses TRIM([LEADING|TRAILING|BOTH] [chars] FROM x), which is ltrim, rtrim or btrim of (x, chars).
func (p *parser) trim(c *FuncCall) {
	c.Name = "btrim"
	switch {
	case p.accept("leading"):
		c.Name = "ltrim"
	case p.accept("trailing"):
		c.Name = "rtrim"
	default:
		p.accept("both")
	}
	if p.accept("from") {
		p.restArgs(c)
		return
	}
	p.restArgs(c)
	if n := len(c.Args); p.accept("from") {
		p.restArgs(c)
		c.Args = append(c.Args[n:], c.Args[:n]...)
	}
}
