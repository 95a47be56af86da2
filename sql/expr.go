package sql

// bindLevel says where an expression ends: at the first infix operator that binds less tightly.
type bindLevel int8

const (
	bindAll        bindLevel = iota // a whole expression
	bindTest                        // ends at AND and OR: the operand of NOT
	bindCompare                     // ends at the word operators too: POSITION(a IN b)
	bindArithmetic                  // ends at all but arithmetic: the operand of a generic prefix operator
)

// expr parses one expression.
func (p *parser) expr() operand { return p.slot(bindAll) }

// exprTo parses an expression into dst, which must not move until resolve.
func (p *parser) exprTo(dst *Expr) { p.fillFrom(dst, p.expr()) }

// fillFrom is fill, but for an operand that an error left empty.
func (p *parser) fillFrom(dst *Expr, o operand) {
	if p.err == nil {
		p.fill(dst, o)
	}
}

// exprList parses one or more expressions parted by commas.
func (p *parser) exprList() []Expr {
	base := len(p.operands)
	p.list(func() { p.push(p.expr()) })
	return p.takeOperands(base)
}

// takeOperands makes the list of the operands pushed since base, nil after an error.
func (p *parser) takeOperands(base int) []Expr {
	if p.err != nil {
		p.operands = p.operands[:base]
		return nil
	}
	return p.take(base)
}

// slot parses one expression in a slot of its own.
func (p *parser) slot(level bindLevel) operand {
	base := len(p.building)
	h := p.scan(level)
	p.height = max(p.height, h)
	p.raise(0)
	return p.closeSlot(base)
}

// closeSlot is close, but for what an error left half built.
func (p *parser) closeSlot(base int) operand {
	if p.err != nil {
		p.building = p.building[:base]
		return operand{}
	}
	return p.close(base)
}

// scan emits the marks of one expression and returns a bound of its height.
func (p *parser) scan(level bindLevel) int {
	defer p.leave()
	if !p.enter() {
		return 0
	}
	s := scanner{parser: p, level: level}
	for {
		s.prefixes()
		if p.err != nil || !s.operators() {
			break
		}
	}
	if s.betweens > 0 {
		p.unexpected() // BETWEEN without its AND
	}
	s.endRun()
	return s.height + 1
}

// tightness is that of the operator before an operand.
type tightness int8

const (
	loose      tightness = iota // none, AND, OR, NOT
	comparing                   // comparisons, tests and generic operators
	arithmetic                  // + - * / % ^ and signs
)

// scanner is the state of one scan.
type scanner struct {
	*parser
	level bindLevel
	// height bounds the runs seen; a run is what stands between AND and OR, which make wide trees and not high ones. highest
	// is the highest operand of the present run and ops its number of operators.
	height, highest, ops int
	before               tightness
	betweens             int  // BETWEENs whose AND has not come
	logic                int  // ANDs and ORs
	escape               bool // ESCAPE may follow
	tested               bool // IS NULL, IN (..) or ANY (..) stands before, so that only looser operators may follow
}

func (s *scanner) endRun() {
	s.height = max(s.height, s.highest+s.ops)
	s.highest, s.ops = 0, 0
}

// operator notes an operator and how tightly it binds what follows.
func (s *scanner) operator(t tightness) {
	s.before, s.tested = t, false
	s.ops++
}

// refuseTight is for an operator after IS NULL, IN (..) or ANY (..) that binds tighter than these: PostgreSQL makes the whole test
// its operand, MySQL's grammar has nothing like it.
func (s *scanner) refuseTight(pos Pos) {
	if s.tested {
		_ = s.unexpectedAt(pos).WithHint("Put what stands before this operator in parentheses.")
	}
}

// prefixes emits the prefix operators and the operand at the cursor.
func (s *scanner) prefixes() {
	for s.err == nil {
		t, pos := s.tok(), s.pos()
		switch {
		case t.isWord(s.src, "not"):
			if s.before != loose {
				s.nested(pos, bindTest)
				return
			}
			s.next()
			s.emitText(markUnary, pos, "NOT", &Not{Pos: pos})
			s.ops++
		case t.kind == tokOperator && (t.is(s.src, "-") || t.is(s.src, "+")):
			s.next()
			s.emitText(markUnary, pos, t.text(s.src), &UnaryOp{Pos: pos, Op: t.text(s.src)})
			s.operator(arithmetic)
		case s.isPrefixOperator():
			if s.before == arithmetic {
				s.nested(pos, bindArithmetic)
				return
			}
			schema, op := s.operatorName()
			s.emit(markPrefix, pos, &UnaryOp{Pos: pos, Schema: schema, Op: op})
			s.operator(comparing)
		default:
			s.operand()
			return
		}
	}
}

// nested parses a prefix operator and its operand in a slot of its own: MySQL's grammar can't have it there.
func (s *scanner) nested(pos Pos, level bindLevel) {
	s.measured(func() { s.leafIfOK(pos, s.slot(level)) })
}

func (s *scanner) leafIfOK(pos Pos, o operand) {
	if s.err == nil {
		s.leaf(pos, o)
	}
}

// measured runs f, which parses an operand, and notes its height.
func (s *scanner) measured(f func()) {
	outer := s.parser.height
	s.parser.height = 0
	f()
	s.highest = max(s.highest, s.parser.height+1)
	s.parser.height = outer
}

// isPrefixOperator reports whether a generic operator stands at the cursor.
func (p *parser) isPrefixOperator() bool {
	t := p.tok()
	if t.kind != tokOperator {
		return p.isOperatorCall()
	}
	switch t.text(p.src) {
	case "*", "/", "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=":
		return false
	}
	return true
}

// isOperatorCall reports whether OPERATOR(schema.op) stands at the cursor.
func (p *parser) isOperatorCall() bool {
	if !p.isWord("operator") || !p.peek(1).is(p.src, "(") {
		return false
	}
	n := 2
	for n < 2+2*maxNameParts && isName(p.peek(n), 0) && p.peek(n+1).is(p.src, ".") {
		n += 2
	}
	return p.peek(n).kind == tokOperator && p.peek(n+1).is(p.src, ")")
}

// operatorName takes an operator, or OPERATOR(schema.op).
func (p *parser) operatorName() (schema, op string) {
	if t := p.tok(); t.kind == tokOperator {
		p.next()
		op = t.text(p.src)
	} else {
		p.next()
		p.expectPunct("(")
		for isName(p.tok(), 0) {
			schema = p.lowerLabel()
			p.expectPunct(".")
		}
		op = p.next().text(p.src)
		p.expectPunct(")")
	}
	if op == "!=" {
		op = "<>"
	}
	return schema, op
}

// operand emits the operand at the cursor.
func (s *scanner) operand() {
	pos := s.pos()
	if s.isPunct("(") && s.isPlainParen() {
		s.paren(pos)
		return
	}
	s.measured(func() { s.leafIfOK(pos, s.postfix(s.primary())) })
}

// isPlainParen reports whether the parenthesis at the cursor is one that TiDB can read: neither a subquery nor followed by
// a cast, a subscript or a field.
func (p *parser) isPlainParen() bool {
	m := p.tok().match
	if m < 0 || p.startsQuery(p.i) {
		return false
	}
	after := &p.toks[m+1]
	switch {
	case after.kind == tokPunctuation:
		return !after.is(p.src, "::") && !after.is(p.src, "[") && !after.is(p.src, ".") && !after.is(p.src, "=>")
	case after.kind == tokOperator:
		return after.ch != '-' || !after.is(p.src, "->") && !after.is(p.src, "->*")
	}
	return true
}

// paren emits ( expr ) or ( expr, ... ).
func (s *scanner) paren(pos Pos) {
	s.next()
	s.emit(markParen, pos, nil)
	s.members()
}

// members emits expressions parted by commas up to the closing parenthesis.
func (s *scanner) members() {
	h := s.scan(bindAll)
	for s.acceptPunct(",") {
		s.emitText(markText, s.pos(), ",", nil)
		h = max(h, s.scan(bindAll))
	}
	s.highest = max(s.highest, h+1)
	s.emitText(markText, s.pos(), ")", nil)
	s.expectPunct(")")
}

// operators emits what may follow an operand up to the next one. It reports false at the end of the expression.
func (s *scanner) operators() bool {
	for s.err == nil {
		t := s.tok()
		switch {
		case t.kind == tokOperator:
			return s.symbol(t)
		case t.kind != tokWord:
			return false
		}
		switch more, operand := s.wordOperator(); {
		case !more:
			return false
		case operand:
			return true
		}
	}
	return false
}

// symbol emits an operator of special characters.
func (s *scanner) symbol(t *token) bool {
	pos, text := s.pos(), t.text(s.src)
	if !isComparison(text) {
		s.refuseTight(pos)
	}
	switch text {
	case "+", "-", "*", "/", "%":
		s.next()
		s.emitText(markBinary, pos, text, &BinaryOp{Pos: pos, Op: text})
		s.operator(arithmetic)
	case "^":
		s.next()
		s.emit(markCaret, pos, &BinaryOp{Pos: pos, Op: text})
		s.operator(arithmetic)
	case "=", "<", ">", "<=", ">=", "<>", "!=":
		if s.level >= bindArithmetic {
			return false
		}
		s.next()
		if text == "!=" {
			text = "<>"
		}
		s.emitText(markBinary, pos, text, &BinaryOp{Pos: pos, Op: text})
		s.operator(comparing)
		s.escape = false
	default:
		if s.level >= bindArithmetic {
			return false
		}
		s.generic(pos)
	}
	return s.quantifier()
}

func isComparison(op string) bool {
	switch op {
	case "=", "<", ">", "<=", ">=", "<>", "!=":
		return true
	}
	return false
}

// generic emits any other operator.
func (s *scanner) generic(pos Pos) {
	schema, op := s.operatorName()
	s.emit(markInfix, pos, &BinaryOp{Pos: pos, Schema: schema, Op: op})
	s.operator(comparing)
}

// quantifier emits ANY|SOME|ALL (..) after an operator; it reports whether an operand is still to come.
func (s *scanner) quantifier() bool {
	w, ok := s.isOneOf("any", "some", "all")
	if !ok {
		return true
	}
	pos := s.pos()
	s.next()
	a := &anyOperand{Pos: pos, all: w == "all"}
	s.measured(func() {
		if s.startsQuery(s.i) {
			a.query = s.parenQuery()
			return
		}
		s.expectPunct("(")
		s.exprTo(&a.array)
		s.expectPunct(")")
	})
	s.leafIfOK(pos, operand{node: a})
	s.tested = true
	return s.operators()
}

// anyOperand is the right side of = ANY (..) until the lift makes it a Quantified.
type anyOperand struct {
	Pos
	all   bool
	array Expr
	query *Query
}

// queryOperand is the query of IN (..) until the lift puts it into the In.
type queryOperand struct {
	Pos
	query *Query
}

func (*anyOperand) expr()   {}
func (*queryOperand) expr() {}
