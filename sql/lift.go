package sql

import (
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// lifter turns TiDB's trees into ours. It reads the tape of marks from left to right while it walks the trees in the order
// of their text; a mark that is not of the expected kind means that TiDB read something else than what was lowered, which
// is an internal error and never a wrong tree.
type lifter struct {
	*parser
	i       int // the next mark
	results []Expr
}

// take returns the next mark, which must be of kind k.
func (l *lifter) take(k markKind) *mark {
	l.skipText()
	if l.i >= len(l.tape) || l.tape[l.i].kind != k {
		l.mismatch()
		return &mark{}
	}
	l.i++
	return &l.tape[l.i-1]
}

// nextKind returns the kind of the next mark.
func (l *lifter) nextKind() markKind {
	l.skipText()
	if l.i >= len(l.tape) {
		return markText
	}
	return l.tape[l.i].kind
}

func (l *lifter) skipText() {
	for l.i < len(l.tape) && l.tape[l.i].kind == markText {
		l.i++
	}
}

func (l *lifter) mismatch() Expr {
	l.failAt(0, sqlerr.InternalError, "lowered expression was misread at mark %d", l.i)
	return nil
}

// atom takes a mark of kind k whose atom is e.
func (l *lifter) atom(e ast.ExprNode, k markKind) *mark {
	m := l.take(k)
	if a, ok := e.(*atomExpr); !ok || int32(a.off) != m.off {
		l.mismatch()
	}
	return m
}

// lift returns our tree for e, nil after an error.
func (l *lifter) lift(e ast.ExprNode) Expr {
	if l.err != nil {
		return nil
	}
	switch e := e.(type) {
	case *atomExpr:
		return l.leafOf(e)
	case *ast.ParenthesesExpr:
		l.take(markParen)
		return l.lift(e.Expr)
	case *ast.RowExpr:
		r := &Row{Pos: l.take(markParen).pos, Items: make([]Expr, len(e.Values))}
		for i, v := range e.Values {
			r.Items[i] = l.lift(v)
		}
		return r
	case *ast.UnaryOperationExpr:
		return l.unary(e)
	case *ast.BinaryOperationExpr:
		return l.binary(e)
	case *ast.PatternInExpr:
		return l.in(e)
	case *ast.BetweenExpr:
		return l.between(e)
	case *ast.CaseExpr:
		return l.caseOf(e)
	}
	return l.mismatch()
}

// leafOf returns the operand of an atom.
func (l *lifter) leafOf(a *atomExpr) Expr {
	m := l.atom(a, markLeaf)
	if l.err != nil {
		return nil
	}
	if m.node != nil {
		return m.node
	}
	return l.results[m.slot]
}

// value is lift for an operand that must be a value of its own, not the right side of ANY.
func (l *lifter) value(e ast.ExprNode) Expr {
	x := l.lift(e)
	switch x.(type) {
	case *anyOperand, *queryOperand:
		l.unexpectedAt(Pos(x.Offset()))
	}
	return x
}

// tight is value for an operand of BETWEEN, IN and LIKE, which do not associate with each other.
func (l *lifter) tight(e ast.ExprNode) Expr {
	x := l.value(e)
	switch e.(type) {
	case *ast.BetweenExpr, *ast.PatternInExpr:
		if x != nil {
			l.unexpectedAt(Pos(x.Offset()))
		}
	}
	return x
}

func (l *lifter) unary(e *ast.UnaryOperationExpr) Expr {
	m := l.take(markUnary)
	x := l.value(e.V)
	switch n := m.node.(type) {
	case *Not:
		n.X = x
	case *UnaryOp:
		n.X = x
	}
	return m.node
}

func (l *lifter) binary(e *ast.BinaryOperationExpr) Expr {
	switch e.Op {
	case opcode.LogicAnd, opcode.LogicOr:
		return l.logic(e)
	case opcode.Or:
		return l.generic(e)
	case opcode.Xor:
		return l.caret(e)
	case opcode.EQ, opcode.NE, opcode.LT, opcode.LE, opcode.GT, opcode.GE, opcode.NullEQ:
		return l.compare(e)
	}
	left := l.value(e.L)
	m := l.take(markBinary)
	return l.apply(m.node, left, l.lift(e.R))
}

// apply fills in the operands of an infix operator.
func (l *lifter) apply(op, left, right Expr) Expr {
	if l.err != nil {
		return nil
	}
	if a, ok := left.(*anyOperand); ok {
		l.unexpectedAt(a.Pos)
		return nil
	}
	a, quantified := right.(*anyOperand)
	switch n := op.(type) {
	case *BinaryOp:
		if quantified {
			return &Quantified{Pos: n.Pos, Schema: n.Schema, Op: n.Op, All: a.all, Left: left, Array: a.array, Query: a.query}
		}
		n.Left, n.Right = left, right
	case *AtTimeZone:
		n.X, n.Zone = left, right
	case *FuncCall:
		l.overlaps(n, left, right)
	}
	if quantified {
		l.unexpectedAt(a.Pos)
	}
	return op
}

// overlaps makes (a, b) OVERLAPS (c, d) the call overlaps(a, b, c, d).
func (l *lifter) overlaps(n *FuncCall, sides ...Expr) {
	for i, side := range sides {
		r, ok := side.(*Row)
		if !ok || len(r.Items) != 2 {
			l.failAt(n.Pos, sqlerr.SyntaxError, "wrong number of parameters on %s side of OVERLAPS expression", [...]string{"left", "right"}[i])
			return
		}
		for _, e := range r.Items {
			n.Args = append(n.Args, &Arg{Pos: Pos(e.Offset()), Value: e})
		}
	}
}

// chain returns the operands of a chain of operators that in accepts and TiDB associated to the left, first to last.
func chain(e *ast.BinaryOperationExpr, in func(opcode.Op) bool) []ast.ExprNode {
	n := 1
	var left ast.ExprNode = e
	for {
		b, ok := left.(*ast.BinaryOperationExpr)
		if !ok || !in(b.Op) {
			break
		}
		n++
		left = b.L
	}
	out := make([]ast.ExprNode, n)
	left = e
	for i := n - 1; i > 0; i-- {
		b := left.(*ast.BinaryOperationExpr)
		out[i], left = b.R, b.L
	}
	out[0] = left
	return out
}

// logic makes one node of a chain of ANDs or ORs.
func (l *lifter) logic(e *ast.BinaryOperationExpr) Expr {
	xs := chain(e, func(op opcode.Op) bool { return op == e.Op })
	args := make([]Expr, len(xs))
	args[0] = l.value(xs[0])
	var pos Pos
	for i, x := range xs[1:] {
		if m := l.take(markLogic); i == 0 {
			pos = m.pos
		}
		args[i+1] = l.value(x)
	}
	if e.Op == opcode.LogicAnd {
		return &And{Pos: pos, Args: args}
	}
	return &Or{Pos: pos, Args: args}
}

// generic associates the operators that ride on "|", infix and prefix, which are of one level in PostgreSQL.
func (l *lifter) generic(e *ast.BinaryOperationExpr) Expr {
	var left, infix Expr
	var prefixes []*UnaryOp
	for _, x := range chain(e, func(op opcode.Op) bool { return op == opcode.Or }) {
		switch k := l.nextKind(); {
		case l.err != nil:
			return nil
		case k == markPrefix && (left == nil || infix != nil):
			op, _ := l.atom(x, markPrefix).node.(*UnaryOp)
			prefixes = append(prefixes, op)
			continue
		case k == markInfix && left != nil && infix == nil:
			infix = l.atom(x, markInfix).node
			continue
		}
		right := l.lift(x)
		for i := len(prefixes) - 1; i >= 0 && l.err == nil; i-- {
			prefixes[i].X = right
			right = prefixes[i]
		}
		prefixes = prefixes[:0]
		if infix != nil {
			right = l.apply(infix, left, right)
		}
		left, infix = right, nil
	}
	return left
}

// caret associates what rides on "^": COLLATE binds tightest, then AT TIME ZONE, then ^.
func (l *lifter) caret(e *ast.BinaryOperationExpr) Expr {
	var vals, ops []Expr
	reduce := func(level int) {
		for len(ops) > 0 && caretLevel(ops[len(ops)-1]) >= level && l.err == nil {
			n := len(vals)
			vals[n-2] = l.apply(ops[len(ops)-1], vals[n-2], vals[n-1])
			vals, ops = vals[:n-1], ops[:len(ops)-1]
		}
	}
	for _, x := range chain(e, func(op opcode.Op) bool { return op == opcode.Xor }) {
		switch k := l.nextKind(); {
		case l.err != nil:
			return nil
		case k == markCollate && len(vals) > len(ops):
			if c, ok := l.atom(x, markCollate).node.(*Collate); ok {
				c.X, vals[len(vals)-1] = vals[len(vals)-1], c
			}
		case k == markCaret && len(vals) > len(ops):
			op := l.atom(x, markCaret).node
			reduce(caretLevel(op))
			ops = append(ops, op)
		default:
			vals = append(vals, l.lift(x))
		}
	}
	reduce(0)
	if l.err != nil || len(vals) != 1 {
		return l.mismatch()
	}
	return vals[0]
}

func caretLevel(op Expr) int {
	if _, ok := op.(*AtTimeZone); ok {
		return 2
	}
	return 1
}

// compare associates comparisons, which PostgreSQL does not chain, and the looser IS.
func (l *lifter) compare(e *ast.BinaryOperationExpr) Expr {
	xs := chain(e, func(op opcode.Op) bool {
		switch op {
		case opcode.EQ, opcode.NE, opcode.LT, opcode.LE, opcode.GT, opcode.GE, opcode.NullEQ:
			return true
		}
		return false
	})
	cur := l.value(xs[0])
	var distinct *IsDistinct // waits for its right side
	compared := false        // cur is a comparison without parentheses
	for i := 1; i < len(xs) && l.err == nil; i++ {
		switch k := l.nextKind(); k {
		case markIs, markDistinct:
			m := l.atom(xs[i], k)
			if distinct != nil {
				l.unexpectedAt(m.pos)
			}
			if l.err != nil {
				return nil
			}
			compared = false
			if k == markIs {
				t, _ := m.node.(*IsTest)
				t.X, cur = cur, t
				continue
			}
			distinct, _ = m.node.(*IsDistinct)
			distinct.Left = cur
			if i++; i < len(xs) {
				cur = l.value(xs[i])
			}
		default:
			m := l.take(markBinary)
			if compared {
				l.unexpectedAt(m.pos)
				return nil
			}
			compared = true
			cur = l.apply(m.node, cur, l.lift(xs[i]))
		}
	}
	if distinct != nil {
		distinct.Right = cur
		return distinct
	}
	return cur
}

func (l *lifter) in(e *ast.PatternInExpr) Expr {
	x := l.tight(e.Expr)
	n, _ := l.take(markIn).node.(*In)
	if l.err != nil {
		return nil
	}
	n.X = x
	n.List = make([]Expr, 0, len(e.List))
	for _, item := range e.List {
		v := l.lift(item)
		if q, ok := v.(*queryOperand); ok {
			n.Query, n.List = q.query, nil
			return n
		}
		n.List = append(n.List, v)
	}
	return n
}

// between lifts BETWEEN, and LIKE, which rides on it.
func (l *lifter) between(e *ast.BetweenExpr) Expr {
	x := l.tight(e.Expr)
	if l.nextKind() == markLike {
		return l.like(x, e)
	}
	n, _ := l.take(markBetween).node.(*Between)
	if l.err != nil {
		return nil
	}
	n.X = x
	n.Lo = l.tight(e.Left)
	n.Hi = l.tight(e.Right)
	return n
}

func (l *lifter) like(x Expr, e *ast.BetweenExpr) Expr {
	n, _ := l.atom(e.Left, markLike).node.(*Like)
	if l.err != nil {
		return nil
	}
	n.X = x
	esc, ok := e.Right.(*ast.BetweenExpr)
	if !ok {
		n.Pattern = l.tight(e.Right)
		return n
	}
	n.Pattern = l.tight(esc.Expr)
	if l.nextKind() != markEscape {
		if l.i < len(l.tape) {
			l.unexpectedAt(l.tape[l.i].pos)
		}
		return nil
	}
	l.atom(esc.Left, markEscape)
	n.Escape = l.tight(esc.Right)
	return n
}

func (l *lifter) caseOf(e *ast.CaseExpr) Expr {
	n, _ := l.take(markCase).node.(*Case)
	if l.err != nil || len(n.Whens) != len(e.WhenClauses) {
		return l.mismatch()
	}
	if e.Value != nil {
		n.Operand = l.value(e.Value)
	}
	for i, w := range e.WhenClauses {
		n.Whens[i].Cond = l.value(w.Expr)
		n.Whens[i].Result = l.value(w.Result)
	}
	if e.ElseClause != nil {
		n.Else = l.value(e.ElseClause)
	}
	return n
}
