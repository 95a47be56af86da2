package sql

import (
	"strconv"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// primary parses an operand without its postfix operators.
func (p *parser) primary() operand {
	t, pos := p.tok(), p.pos()
	switch t.kind {
	case tokInteger:
		p.next()
		return operand{node: &Literal{Pos: pos, Kind: IntegerLiteral, Text: t.text(p.src)}}
	case tokDecimal:
		p.next()
		return operand{node: &Literal{Pos: pos, Kind: DecimalLiteral, Text: t.text(p.src)}}
	case tokString, tokStringE, tokStringU, tokDollar:
		return operand{node: &Literal{Pos: pos, Kind: StringLiteral, Text: p.stringLit()}}
	case tokBits:
		p.next()
		return operand{node: &Literal{Pos: pos, Kind: BitLiteral, Text: stringBody(t.text(p.src)[1:])}}
	case tokHex:
		p.next()
		return operand{node: &Literal{Pos: pos, Kind: HexLiteral, Text: stringBody(t.text(p.src)[1:])}}
	case tokParam:
		return operand{node: p.param()}
	case tokQuoted, tokQuotedU:
		return operand{node: p.named()}
	case tokWord:
		return p.wordPrimary(t, pos)
	}
	if p.isPunct("(") {
		return p.parenPrimary(pos)
	}
	p.unexpected()
	return operand{}
}

func (p *parser) param() Expr {
	pos, t := p.pos(), p.next()
	n, err := strconv.Atoi(t.text(p.src)[1:])
	if err != nil || n < 1 || n > maxParam {
		p.failAt(pos, sqlerr.UndefinedParameter, "there is no parameter %s", clip(t.text(p.src)))
		return nil
	}
	p.params = max(p.params, n)
	return &Param{Pos: pos, N: n}
}

// parenPrimary parses a subquery, or a parenthesis that has a postfix operator.
func (p *parser) parenPrimary(pos Pos) operand {
	if p.startsQuery(p.i) {
		return operand{node: &Subquery{Pos: pos, Query: p.parenQuery()}}
	}
	if !p.enter() {
		p.leave()
		return operand{}
	}
	base := len(p.building)
	s := scanner{parser: p}
	s.paren(pos)
	p.height = max(p.height, s.highest)
	p.raise(0)
	p.leave()
	return p.closeSlot(base)
}

// wordPrimary parses an operand that begins with an unquoted word.
func (p *parser) wordPrimary(t *token, pos Pos) operand {
	next := p.peek(1)
	call := next.is(p.src, "(")
	switch {
	case t.class&wordReserved != 0:
		return p.reservedPrimary(t, pos)
	case p.isTypedLiteral():
		return operand{node: p.typedLiteral()}
	case call && t.isWord(p.src, "exists"):
		p.next()
		return operand{node: &Subquery{Pos: pos, Kind: ExistsSubquery, Query: p.parenQuery()}}
	case call && t.isWord(p.src, "row"):
		p.next()
		return operand{node: p.row(pos)}
	case call && t.isWord(p.src, "map") && p.isAssigned(2):
		return operand{node: p.mapExpr(pos)}
	case call && t.isWord(p.src, "struct") && p.isAssigned(2):
		return operand{node: p.structExpr(pos)}
	case call && t.class&wordColumn != 0:
		return operand{node: p.specialCall(pos)}
	case t.isWord(p.src, "collation") && next.isWord(p.src, "for"):
		p.accept("collation", "for")
		c := &FuncCall{Pos: pos, Name: "pg_collation_for"}
		p.inParens(func() { c.Args = append(c.Args, p.arg()) })
		return operand{node: c}
	case t.isWord(p.src, "current_schema") && !call:
		p.next()
		return operand{node: &SpecialValue{Pos: pos, Name: "current_schema", Precision: -1}}
	}
	return operand{node: p.named()}
}

// reservedPrimary parses what begins with a reserved word.
func (p *parser) reservedPrimary(t *token, pos Pos) operand {
	switch {
	case p.accept("null"):
		return operand{node: &Literal{Pos: pos, Kind: NullLiteral}}
	case p.accept("true"):
		return operand{node: &Literal{Pos: pos, Kind: BoolLiteral, Text: "true"}}
	case p.accept("false"):
		return operand{node: &Literal{Pos: pos, Kind: BoolLiteral, Text: "false"}}
	case p.isWord("case"):
		return p.caseExpr(pos)
	case p.accept("cast"):
		return operand{node: p.cast(pos)}
	case p.accept("array"):
		return operand{node: p.array(pos)}
	}
	name := foldLower(t.text(p.src))
	precision, ok := specialValues[name]
	if !ok {
		p.unexpected()
		return operand{}
	}
	p.next()
	v := &SpecialValue{Pos: pos, Name: name, Precision: -1}
	if precision && p.acceptPunct("(") {
		v.Precision = int(min(p.integer(), maxPrecision))
		p.expectPunct(")")
	}
	return operand{node: v}
}

// maxPrecision bounds the numbers after type names, so that they fit an int everywhere; types check them closer.
const maxPrecision = 1 << 30

func (p *parser) cast(pos Pos) Expr {
	c := &Cast{Pos: pos}
	p.expectPunct("(")
	p.exprTo(&c.X)
	p.expect("as")
	c.Type = p.typeName()
	p.expectPunct(")")
	return c
}

// array parses ARRAY[..] and ARRAY(query), after ARRAY.
func (p *parser) array(pos Pos) Expr {
	if p.isPunct("(") {
		return &Subquery{Pos: pos, Kind: ArraySubquery, Query: p.parenQuery()}
	}
	return p.arrayItems(pos)
}

// arrayItems parses [a, b] or [[a], [b]].
func (p *parser) arrayItems(pos Pos) Expr {
	a := &ArrayExpr{Pos: pos}
	if !p.enter() {
		p.leave()
		return a
	}
	defer p.leave()
	p.expectPunct("[")
	if p.acceptPunct("]") {
		return a
	}
	base := len(p.operands)
	p.list(func() {
		if p.isPunct("[") {
			p.push(operand{node: p.arrayItems(p.pos())})
		} else {
			p.push(p.expr())
		}
	})
	a.Items = p.takeOperands(base)
	p.expectPunct("]")
	p.raise(1)
	return a
}

// row parses (a, b) after ROW.
func (p *parser) row(pos Pos) Expr {
	r := &Row{Pos: pos}
	p.expectPunct("(")
	if !p.isPunct(")") {
		r.Items = p.exprList()
	}
	p.expectPunct(")")
	return r
}

// caseExpr parses CASE in a slot of its own, which TiDB reads as it is.
func (p *parser) caseExpr(pos Pos) operand {
	if !p.enter() {
		p.leave()
		return operand{}
	}
	defer p.leave()
	base, h := len(p.building), 0
	c := &Case{Pos: pos}
	part := func() { h = max(h, p.scan(bindAll)) }
	p.next()
	p.emit(markCase, pos, c)
	if !p.isWord("when") {
		part()
	}
	for p.isWord("when") {
		c.Whens = append(c.Whens, &When{Pos: p.pos()})
		p.emitText(markText, p.pos(), "WHEN", nil)
		p.next()
		part()
		p.emitText(markText, p.pos(), "THEN", nil)
		p.expect("then")
		part()
	}
	if len(c.Whens) == 0 {
		p.unexpected()
	}
	if p.isWord("else") {
		p.emitText(markText, p.pos(), "ELSE", nil)
		p.next()
		part()
	}
	p.emitText(markText, p.pos(), "END", nil)
	p.expect("end")
	p.height = max(p.height, h)
	return p.closeSlot(base)
}

// isAssigned reports whether the first argument of a call, n tokens ahead, is key := value.
func (p *parser) isAssigned(n int) bool {
	for limit := n + maxDepth; n < limit; n++ {
		t := p.peek(n)
		switch {
		case t.is(p.src, ":="):
			return true
		case t.kind == tokEOF, t.is(p.src, ","), t.is(p.src, ")"), t.is(p.src, ";"):
			return false
		case t.match > int32(p.i+n):
			n = int(t.match) - p.i
		}
	}
	return false
}

// mapExpr parses MAP(k := v, ..).
func (p *parser) mapExpr(pos Pos) Expr {
	m := &MapExpr{Pos: pos}
	p.next()
	p.inParens(func() {
		e := &MapEntry{Pos: p.pos()}
		p.exprTo(&e.Key)
		p.expectPunct(":=")
		p.exprTo(&e.Value)
		m.Entries = append(m.Entries, e)
	})
	return m
}

// structExpr parses STRUCT(f := v, ..).
func (p *parser) structExpr(pos Pos) Expr {
	s := &StructExpr{Pos: pos}
	p.next()
	p.inParens(func() {
		f := &StructField{Pos: p.pos(), Name: p.label()}
		p.expectPunct(":=")
		p.exprTo(&f.Value)
		s.Fields = append(s.Fields, f)
	})
	return s
}

// named parses a column, t.*, a function call or a typed literal, all of which begin with a name.
func (p *parser) named() Expr {
	pos, first := p.pos(), p.tok()
	if !isName(first, wordReserved) {
		p.unexpected()
		return nil
	}
	start := p.i
	parts := append(make([]string, 0, 2), p.label())
	for p.isPunct(".") {
		p.next()
		if p.isPunct("*") {
			p.next()
			return &Star{Pos: pos, Table: parts}
		}
		parts = append(parts, p.label())
	}
	switch {
	case p.isPunct("("):
		if first.class&wordColumn != 0 && len(parts) == 1 {
			p.unexpectedAt(pos)
		}
		return p.call(p.callee(start, pos))
	case p.isString() && len(parts) <= 2 && first.class&wordColumn == 0:
		p.i = start
		return p.typedLiteral()
	case first.class&wordFunction != 0:
		p.unexpected()
		return nil
	}
	if len(parts) > maxNameParts+1 {
		p.failAt(pos, sqlerr.SyntaxError, "improper qualified name (too many dotted names): %s", clip(dotted(parts)))
	}
	return &ColumnRef{Pos: pos, Parts: parts}
}

// callee reads the tokens from start to the cursor again, as the name of a function: lower case in every dialect.
func (p *parser) callee(start int, pos Pos) *FuncCall {
	c := &FuncCall{Pos: pos}
	p.i = start
	c.Name = p.lowerLabel()
	for n := 1; p.acceptPunct("."); n++ {
		if n == maxNameParts {
			p.failAt(pos, sqlerr.SyntaxError, "improper qualified name (too many dotted names)")
		}
		c.Schema, c.Name = c.Name, p.lowerLabel()
	}
	return c
}

// postfix parses ::type, [..], .field and ->field after an operand.
func (p *parser) postfix(o operand) operand {
	if _, ok := o.node.(*Star); ok {
		return o // t.* takes none
	}
	for p.err == nil {
		t, pos := p.tok(), p.pos()
		if t.kind != tokPunctuation && t.kind != tokOperator {
			return o
		}
		switch {
		case t.is(p.src, "::"):
			p.next()
			c := &Cast{Pos: pos, Type: p.typeName()}
			p.fillFrom(&c.X, o)
			o = operand{node: c}
		case t.is(p.src, "["):
			o = p.subscript(o, pos)
		case t.is(p.src, ".") && takesField(o):
			p.next()
			if p.acceptPunct("*") {
				return p.allFields(o, pos)
			}
			o = p.field(o, pos)
		case t.is(p.src, "->") && p.isFieldName():
			p.next()
			o = p.field(o, pos)
		case t.is(p.src, "->*"):
			p.next()
			return p.allFields(o, pos)
		default:
			return o
		}
		p.raise(1)
	}
	return o
}

// takesField reports whether .f may follow: not after columns, which have taken it, nor after calls and literals.
func takesField(o operand) bool {
	switch o.node.(type) {
	case nil, *Param, *Subscript, *Slice, *FieldSelect, *Subquery:
		return true
	}
	return false
}

// isFieldName reports whether what follows -> is the name of a struct's member, and not an operand of its own.
func (p *parser) isFieldName() bool {
	n := p.peek(1)
	if !isName(n, notColumn) {
		return false
	}
	after := p.peek(2)
	switch after.kind {
	case tokString, tokStringE, tokStringU, tokDollar:
		return false
	}
	return !after.is(p.src, "(") && !after.is(p.src, ".")
}

// allFields makes (o).*, which takes no postfix operator.
func (p *parser) allFields(o operand, pos Pos) operand {
	s := &Star{Pos: pos}
	p.fillFrom(&s.Of, o)
	p.raise(1)
	return operand{node: s}
}

// field parses the member after . or ->.
func (p *parser) field(o operand, pos Pos) operand {
	f := &FieldSelect{Pos: pos, Field: p.label()}
	p.fillFrom(&f.X, o)
	return operand{node: f}
}

// subscript parses [i], [lo:hi] and [:].
func (p *parser) subscript(o operand, pos Pos) operand {
	p.next()
	s := &Slice{Pos: pos}
	if !p.isPunct(":") {
		i := p.expr()
		if p.acceptPunct("]") {
			sub := &Subscript{Pos: pos}
			p.fillFrom(&sub.X, o)
			p.fillFrom(&sub.Index, i)
			return operand{node: sub}
		}
		p.fillFrom(&s.Lo, i)
	}
	p.expectPunct(":")
	if !p.isPunct("]") {
		p.exprTo(&s.Hi)
	}
	p.expectPunct("]")
	p.fillFrom(&s.X, o)
	return operand{node: s}
}
