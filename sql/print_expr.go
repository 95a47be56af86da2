package sql

import "strconv"

// precedence is how tightly an expression binds; the parser's levels from loose to tight.
type precedence int8

const (
	precLowest precedence = iota
	precOr
	precAnd
	precNot
	precIs
	precCompare
	precRange // BETWEEN, IN, LIKE
	precOperator
	precAdd
	precMultiply
	precPower
	precZone
	precCollate
	precSign
	precCast
	precPostfix
	precAtom
)

var binaryPrecedence = map[string]precedence{
	"=": precCompare, "<>": precCompare, "<": precCompare, ">": precCompare, "<=": precCompare, ">=": precCompare,
	"+": precAdd, "-": precAdd, "*": precMultiply, "/": precMultiply, "%": precMultiply, "^": precPower,
}

// precedenceOf returns that of e's outermost operator.
func precedenceOf(e Expr) precedence {
	switch e := e.(type) {
	case *Or:
		return precOr
	case *And:
		return precAnd
	case *Not:
		return precNot
	case *IsTest, *IsDistinct:
		return precIs
	case *Quantified:
		return operatorPrecedence(e.Schema, e.Op)
	case *BinaryOp:
		return operatorPrecedence(e.Schema, e.Op)
	case *Between, *In, *Like:
		return precRange
	case *UnaryOp:
		if e.Schema == "" && (e.Op == "-" || e.Op == "+") {
			return precSign
		}
		return precOperator
	case *AtTimeZone:
		return precZone
	case *Collate:
		return precCollate
	case *Cast:
		return precCast
	case *Subscript, *Slice, *FieldSelect:
		return precPostfix
	case *Star:
		if e.Of != nil {
			return precPostfix
		}
	case *Lambda:
		return precLowest
	}
	return precAtom
}

func operatorPrecedence(schema, op string) precedence {
	if p, ok := binaryPrecedence[op]; ok && schema == "" {
		return p
	}
	return precOperator
}

// expr writes e, in parentheses if it binds less tightly than least.
func (p *printer) expr(e Expr, least precedence) {
	if precedenceOf(e) < least {
		p.w("(")
		p.bare(e)
		p.w(")")
		return
	}
	p.bare(e)
}

func (p *printer) exprs(es []Expr) {
	p.each(len(es), ", ", func(i int) { p.expr(es[i], precLowest) })
}

// bare writes e without parentheses around it.
func (p *printer) bare(e Expr) {
	switch e := e.(type) {
	case *Or:
		p.each(len(e.Args), " OR ", func(i int) { p.expr(e.Args[i], precOr+1) })
	case *And:
		p.each(len(e.Args), " AND ", func(i int) { p.expr(e.Args[i], precAnd+1) })
	case *Not:
		p.w("NOT ")
		p.expr(e.X, precNot)
	case *BinaryOp:
		p.binary(e)
	case *UnaryOp:
		p.unary(e)
	case *IsTest, *IsDistinct, *Between, *In, *Like, *Quantified:
		p.predicate(e)
	case *Case:
		p.caseExpr(e)
	case *Cast:
		p.expr(e.X, precCast)
		p.w("::")
		p.typeName(e.Type)
	case *AtTimeZone:
		p.expr(e.X, precZone)
		p.w(" AT TIME ZONE ")
		p.expr(e.Zone, precZone+1)
	case *Collate:
		p.expr(e.X, precCollate)
		p.w(" COLLATE ")
		p.name(e.Collation)
	case *Subscript, *Slice, *FieldSelect, *Star:
		p.access(e)
	default:
		p.atom(e)
	}
}

// binary writes an infix operator. Comparisons do not chain; the others associate to the left.
func (p *printer) binary(e *BinaryOp) {
	prec := operatorPrecedence(e.Schema, e.Op)
	left := prec
	if prec == precCompare {
		left++
	}
	p.expr(e.Left, left)
	p.w(" ")
	p.operator(e.Schema, e.Op)
	p.w(" ")
	if e.Op == "->" && e.Schema == "" {
		p.arrowOperand(e.Right)
		return
	}
	p.expr(e.Right, prec+1)
}

// arrowOperand writes the right side of the operator ->, where a bare name would be a member.
func (p *printer) arrowOperand(e Expr) {
	if c, ok := e.(*ColumnRef); ok && len(c.Parts) == 1 {
		p.w("(")
		p.bare(e)
		p.w(")")
		return
	}
	switch e := e.(type) {
	case *Cast, *Subscript, *Slice, *FieldSelect, *BinaryOp, *AtTimeZone, *Collate, *Star:
		p.w("(")
		p.bare(e)
		p.w(")")
	default:
		p.expr(e, precOperator+1)
	}
}

func (p *printer) operator(schema, op string) {
	if schema == "" {
		p.w(op)
		return
	}
	p.w("OPERATOR(")
	p.ident(schema)
	p.w(".", op, ")")
}

func (p *printer) unary(e *UnaryOp) {
	p.operator(e.Schema, e.Op)
	if precedenceOf(e) == precSign {
		p.expr(e.X, precSign+1) // the next sign needs parentheses: -- begins a comment
		return
	}
	p.w(" ")
	p.expr(e.X, precOperator+1)
}

var isWords = [...]string{IsNull: "NULL", IsTrue: "TRUE", IsFalse: "FALSE", IsUnknown: "UNKNOWN"}

var likeWords = [...]string{LikePattern: " LIKE ", ILikePattern: " ILIKE ", SimilarTo: " SIMILAR TO "}

func (p *printer) predicate(e Expr) {
	const operand = precOperator
	switch e := e.(type) {
	case *IsTest:
		p.expr(e.X, precIs)
		p.w(" IS ")
		p.flag(e.Not, "NOT ")
		p.w(isWords[e.Kind])
	case *IsDistinct:
		p.expr(e.Left, precIs+1)
		p.w(" IS ")
		p.flag(e.Not, "NOT ")
		p.w("DISTINCT FROM ")
		p.expr(e.Right, precIs+1)
	case *Between:
		p.expr(e.X, operand)
		p.flag(e.Not, " NOT")
		p.w(" BETWEEN ")
		p.flag(e.Symmetric, "SYMMETRIC ")
		p.expr(e.Lo, operand)
		p.w(" AND ")
		p.expr(e.Hi, operand)
	case *In:
		p.expr(e.X, operand)
		p.flag(e.Not, " NOT")
		p.w(" IN (")
		if e.Query != nil {
			p.query(e.Query)
		} else {
			p.exprs(e.List)
		}
		p.w(")")
	case *Like:
		p.expr(e.X, operand)
		p.flag(e.Not, " NOT")
		p.w(likeWords[e.Kind])
		p.expr(e.Pattern, operand)
		if e.Escape != nil {
			p.w(" ESCAPE ")
			p.expr(e.Escape, operand)
		}
	case *Quantified:
		p.quantified(e)
	}
}

func (p *printer) quantified(e *Quantified) {
	prec := operatorPrecedence(e.Schema, e.Op)
	if prec == precCompare {
		prec++
	}
	p.expr(e.Left, prec)
	p.w(" ")
	p.operator(e.Schema, e.Op)
	if e.All {
		p.w(" ALL (")
	} else {
		p.w(" ANY (")
	}
	if e.Query != nil {
		p.query(e.Query)
	} else {
		p.expr(e.Array, precLowest)
	}
	p.w(")")
}

func (p *printer) caseExpr(e *Case) {
	p.w("CASE ")
	if e.Operand != nil {
		p.expr(e.Operand, precLowest)
		p.w(" ")
	}
	for _, w := range e.Whens {
		p.w("WHEN ")
		p.expr(w.Cond, precLowest)
		p.w(" THEN ")
		p.expr(w.Result, precLowest)
		p.w(" ")
	}
	if e.Else != nil {
		p.w("ELSE ")
		p.expr(e.Else, precLowest)
		p.w(" ")
	}
	p.w("END")
}

// access writes subscripts and members.
func (p *printer) access(e Expr) {
	switch e := e.(type) {
	case *Subscript:
		p.expr(e.X, precPostfix)
		p.w("[")
		p.expr(e.Index, precLowest)
		p.w("]")
	case *Slice:
		p.expr(e.X, precPostfix)
		p.w("[")
		if e.Lo != nil {
			p.expr(e.Lo, precLowest)
		}
		p.w(":")
		if e.Hi != nil {
			p.expr(e.Hi, precLowest)
		}
		p.w("]")
	case *FieldSelect:
		p.expr(e.X, precPostfix)
		p.w("->")
		p.ident(e.Field)
	case *Star:
		switch {
		case e.Of != nil:
			p.expr(e.Of, precPostfix)
			p.w("->")
		case e.Table != nil:
			p.dotted(e.Table)
			p.w(".")
		}
		p.w("*")
	}
}

// atom writes what needs no parentheses.
func (p *printer) atom(e Expr) {
	switch e := e.(type) {
	case *Literal:
		p.literal(e)
	case *Param:
		p.w("$", strconv.Itoa(e.N))
	case *ColumnRef:
		p.dotted(e.Parts)
	case *Default:
		p.w("DEFAULT")
	case *TypedLiteral:
		p.typeBase(e.Type, false)
		p.w(" ")
		p.str(e.Text)
		if e.Type.Interval != "" {
			p.intervalFields(e.Type)
		}
	case *SpecialValue:
		p.w(e.Name)
		if e.Precision >= 0 {
			p.w("(", strconv.Itoa(e.Precision), ")")
		}
	case *FuncCall:
		p.call(e)
	case *Subquery:
		p.w([...]string{ScalarSubquery: "(", ExistsSubquery: "EXISTS (", ArraySubquery: "ARRAY("}[e.Kind])
		p.query(e.Query)
		p.w(")")
	case *Lambda:
		if len(e.Params) == 1 {
			p.ident(e.Params[0])
		} else {
			p.identList("", e.Params)
		}
		p.w(" => ")
		p.expr(e.Body, precLowest)
	default:
		p.constructor(e)
	}
}

// constructor writes rows, arrays, maps and structs.
func (p *printer) constructor(e Expr) {
	switch e := e.(type) {
	case *Row:
		p.w("ROW(")
		p.exprs(e.Items)
		p.w(")")
	case *ArrayExpr:
		p.w("ARRAY")
		p.arrayItems(e)
	case *MapExpr:
		p.w("MAP(")
		p.each(len(e.Entries), ", ", func(i int) {
			p.expr(e.Entries[i].Key, precLowest)
			p.w(" := ")
			p.expr(e.Entries[i].Value, precLowest)
		})
		p.w(")")
	case *StructExpr:
		p.w("STRUCT(")
		p.each(len(e.Fields), ", ", func(i int) {
			p.ident(e.Fields[i].Name)
			p.w(" := ")
			p.expr(e.Fields[i].Value, precLowest)
		})
		p.w(")")
	}
}

func (p *printer) arrayItems(e *ArrayExpr) {
	p.w("[")
	p.exprs(e.Items)
	p.w("]")
}

func (p *printer) literal(l *Literal) {
	switch l.Kind {
	case NullLiteral:
		p.w("NULL")
	case StringLiteral:
		p.str(l.Text)
	case BitLiteral:
		p.w("B'", l.Text, "'")
	case HexLiteral:
		p.w("X'", l.Text, "'")
	default:
		p.w(l.Text)
	}
}

// bareCalls are functions whose names are words with a grammar of their own that takes a plain list too.
var bareCalls = map[string]bool{
	"coalesce": true, "nullif": true, "greatest": true, "least": true, "grouping": true, "substring": true,
	"overlay": true, "position": true, "normalize": true, "extract": true,
}

// quotedCalls are functions whose names, without quotes, begin something else.
var quotedCalls = map[string]bool{"map": true, "struct": true, "rollup": true, "cube": true, "operator": true}

func (p *printer) call(c *FuncCall) {
	if c.Schema == "" && c.Name == "extract" && len(c.Args) == 2 && p.extract(c) {
		return
	}
	if c.Schema != "" {
		p.ident(c.Schema)
		p.w(".")
	}
	switch {
	case c.Schema == "" && quotedCalls[c.Name]:
		p.w(`"`, c.Name, `"`)
	case c.Schema == "" && (bareCalls[c.Name] || isPlain(c.Name) && classOf(c.Name)&(wordReserved|wordColumn) == 0):
		p.w(c.Name)
	default:
		p.ident(c.Name)
	}
	p.w("(")
	p.flag(c.Distinct, "DISTINCT ")
	p.flag(c.Star, "*")
	p.each(len(c.Args), ", ", func(i int) { p.arg(c.Args[i]) })
	if len(c.OrderBy) > 0 && !c.WithinGroup {
		p.flag(len(c.Args) > 0, " ")
		p.orderBy(c.OrderBy)
	}
	p.w(")")
	p.callTail(c)
}

// extract writes EXTRACT(field FROM x) if the call is of that form.
func (p *printer) extract(c *FuncCall) bool {
	l, ok := c.Args[0].Value.(*Literal)
	if !ok || l.Kind != StringLiteral || *c.Args[0] != (Arg{Pos: c.Args[0].Pos, Value: l}) {
		return false
	}
	if v := c.Args[1]; v.Name != "" || v.Variadic || v.Value == nil {
		return false
	}
	if _, lambda := c.Args[1].Value.(*Lambda); lambda {
		return false
	}
	p.w("extract(")
	if isPlain(l.Text) {
		p.w(l.Text)
	} else {
		p.str(l.Text)
	}
	p.w(" FROM ")
	p.expr(c.Args[1].Value, precLowest)
	p.w(")")
	p.callTail(c)
	return true
}

func (p *printer) arg(a *Arg) {
	p.flag(a.Variadic, "VARIADIC ")
	if a.Name != "" {
		p.ident(a.Name)
		p.w(" := ")
	}
	p.expr(a.Value, precLowest)
}

func (p *printer) callTail(c *FuncCall) {
	if c.WithinGroup {
		p.w(" WITHIN GROUP (")
		p.orderBy(c.OrderBy)
		p.w(")")
	}
	if c.Filter != nil {
		p.w(" FILTER (WHERE ")
		p.expr(c.Filter, precLowest)
		p.w(")")
	}
	p.flag(c.NullsIgnore == Yes, " IGNORE NULLS")
	p.flag(c.NullsIgnore == No, " RESPECT NULLS")
	if c.Over == nil {
		return
	}
	p.w(" OVER ")
	if c.Over.Ref {
		p.ident(c.Over.Name)
	} else {
		p.window(c.Over)
	}
}
