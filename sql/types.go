package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// typeAliases are the spellings of built-in types whose name differs, and the names that the ksql dialect must not fold to
// upper case.
var typeAliases = map[string]string{
	"int": "int4", "integer": "int4", "smallint": "int2", "bigint": "int8", "real": "float4", "double": "float8",
	"decimal": "numeric", "dec": "numeric", "numeric": "numeric", "boolean": "bool", "string": "text", "bytes": "bytea",
	"varchar": "varchar", "text": "text", "bytea": "bytea", "date": "date", "uuid": "uuid", "json": "json",
	"jsonb": "jsonb", "timestamptz": "timestamptz", "timetz": "timetz", "bool": "bool", "int2": "int2", "int4": "int4",
	"int8": "int8", "float4": "float4", "float8": "float8", "name": "name", "oid": "oid", "serial": "serial",
	"bigserial": "bigserial", "smallserial": "smallserial", "regclass": "regclass", "regtype": "regtype",
	"regproc": "regproc", "bpchar": "bpchar", "varbit": "varbit",
}

// typeName parses a type.
func (p *parser) typeName() *TypeName {
	defer p.leave()
	t := &TypeName{Pos: p.pos()}
	if !p.enter() {
		return t
	}
	t.Setof = p.accept("setof")
	p.typeBase(t)
	if p.isWord("array") { // int ARRAY, int ARRAY[4]
		p.next()
		t.ArrayDims++
		if p.acceptPunct("[") {
			p.integer()
			p.expectPunct("]")
		}
		return t
	}
	for p.acceptPunct("[") {
		if !p.isPunct("]") {
			p.integer()
		}
		p.expectPunct("]")
		if t.ArrayDims++; t.ArrayDims > maxArrayDims {
			p.failAt(t.Pos, sqlerr.ProgramLimitExceeded, "number of array dimensions exceeds the maximum allowed (%d)", maxArrayDims)
		}
	}
	return t
}

// maxArrayDims is PostgreSQL's MAXDIM.
const maxArrayDims = 6

// typeBase parses a type without array suffixes.
func (p *parser) typeBase(t *TypeName) {
	next := p.peek(1)
	angle := next.kind == tokOperator && next.ch == '<'
	switch {
	case angle && p.accept("array"):
		t.Name = "array"
		p.next()
		t.Elem = p.typeName()
		p.closeAngle()
	case angle && p.accept("map"):
		t.Name = "map"
		p.next()
		t.Key = p.typeName()
		p.expectPunct(",")
		t.Elem = p.typeName()
		p.closeAngle()
	case angle && (p.accept("struct") || p.accept("row")):
		p.structType(t, next)
	case next.is(p.src, "(") && p.accept("row"):
		t.Name = "struct"
		p.inParens(func() { t.Fields = append(t.Fields, p.fieldDef()) })
	case p.tok().kind == tokWord && p.builtinType(t):
	default:
		p.genericType(t)
	}
}

// structType parses <a T, b T> or <>, the latter one operator for the lexer.
func (p *parser) structType(t *TypeName, open *token) {
	t.Name = "struct"
	t.Fields = []*FieldDef{}
	p.next()
	if open.is(p.src, "<>") {
		return
	}
	if !open.is(p.src, "<") {
		p.unexpectedAt(Pos(open.pos))
		return
	}
	p.list(func() { t.Fields = append(t.Fields, p.fieldDef()) })
	p.closeAngle()
}

func (p *parser) fieldDef() *FieldDef {
	f := &FieldDef{Pos: p.pos(), Name: p.label()}
	f.Type = p.typeName()
	return f
}

// closeAngle takes one >, also from the front of >> or >=, which the lexer made one operator.
func (p *parser) closeAngle() {
	t := p.tok()
	if t.kind != tokOperator || t.ch != '>' {
		p.unexpected()
		return
	}
	if t.end-t.pos == 1 {
		p.next()
		return
	}
	t.pos++
	t.ch = p.src[t.pos]
}

// builtinType parses the types that have a syntax of their own. It reports false, taking nothing, for others.
func (p *parser) builtinType(t *TypeName) bool {
	switch {
	case p.accept("double", "precision"), p.accept("double"):
		t.Name = "float8"
	case p.accept("float"):
		p.floatType(t)
	case p.accept("timestamp"):
		t.Name = "timestamp"
		p.zoned(t)
	case p.accept("time"):
		t.Name = "time"
		p.zoned(t)
	case p.accept("interval"):
		t.Name = "interval"
		p.modifiers(t)
		p.intervalFields(t)
	case p.accept("bit"):
		t.Name = "bit"
		if p.accept("varying") {
			t.Name = "varbit"
		}
		p.modifiers(t)
	case p.accept("national"), p.isWord("char"), p.isWord("character"), p.isWord("nchar"):
		if _, ok := p.acceptOneOf("char", "character", "nchar"); !ok {
			p.unexpected()
		}
		t.Name = "bpchar"
		if p.accept("varying") {
			t.Name = "varchar"
		}
		p.modifiers(t)
		if t.Name == "bpchar" && t.Mods == nil {
			t.Mods = []int{1}
		}
	case p.peek(1).is(p.src, "."), p.peek(1).is(p.src, "%") && p.peek(2).isWord(p.src, "type"):
		return false
	default:
		name, ok := typeAliases[foldLower(p.tok().text(p.src))]
		if !ok {
			return false
		}
		p.next()
		t.Name = name
		p.modifiers(t)
	}
	return true
}

// floatType parses FLOAT(p), whose binary precision picks the type.
func (p *parser) floatType(t *TypeName) {
	t.Name = "float8"
	pos := p.pos()
	if !p.acceptPunct("(") {
		return
	}
	switch n := p.integer(); {
	case n < 1:
		p.failAt(pos+1, sqlerr.InvalidParameterValue, "precision for type float must be at least 1 bit")
	case n <= 24:
		t.Name = "float4"
	case n > 53:
		p.failAt(pos+1, sqlerr.InvalidParameterValue, "precision for type float must be less than 54 bits")
	}
	p.expectPunct(")")
}

// zoned parses [(p)] [WITH|WITHOUT TIME ZONE].
func (p *parser) zoned(t *TypeName) {
	p.modifiers(t)
	if p.accept("with", "time", "zone") {
		t.Name += "tz"
	} else {
		p.accept("without", "time", "zone")
	}
}

// modifiers parses (n, m).
func (p *parser) modifiers(t *TypeName) {
	if !p.isPunct("(") {
		return
	}
	p.inParens(func() {
		n := p.signedInteger()
		t.Mods = append(t.Mods, int(max(min(n, maxPrecision), -maxPrecision)))
	})
}

// intervalFields parses YEAR TO MONTH and its kin. SECOND may have a precision.
func (p *parser) intervalFields(t *TypeName) {
	fields := []string{"year", "month", "day", "hour", "minute", "second"}
	w, ok := p.acceptOneOf(fields...)
	if !ok {
		return
	}
	t.Interval = w
	if p.isWord("to") {
		p.next()
		to, ok := p.acceptOneOf(fields...)
		if !ok || !intervalRange(w, to) {
			p.unexpected()
			return
		}
		t.Interval += " to " + to
		w = to
	}
	if w == "second" && t.Mods == nil {
		p.modifiers(t)
	}
}

// intervalRange reports whether FROM TO TO is one of PostgreSQL's ranges.
func intervalRange(from, to string) bool {
	switch from {
	case "year":
		return to == "month"
	case "day":
		return to == "hour" || to == "minute" || to == "second"
	case "hour":
		return to == "minute" || to == "second"
	case "minute":
		return to == "second"
	}
	return false
}

// genericType parses [schema.]name[(mods)], and name%TYPE.
func (p *parser) genericType(t *TypeName) {
	fold := p.fold
	if p.peek(1).is(p.src, ".") {
		fold = foldLower
	}
	t.Name = p.takeName(notFunction, fold)
	for n := 1; p.acceptPunct("."); n++ {
		if n == maxNameParts {
			p.failAt(t.Pos, sqlerr.SyntaxError, "improper qualified name (too many dotted names)")
		}
		t.Schema, t.Name = t.Name, p.takeName(notLabel, fold)
	}
	if p.isPunct("%") && p.peek(1).isWord(p.src, "type") {
		p.next()
		p.next()
		t.PercentType = true
		return
	}
	p.modifiers(t)
}

// isTypedLiteral reports whether a type with a syntax of its own begins at the cursor and a string follows it.
func (p *parser) isTypedLiteral() bool {
	t := p.tok()
	if t.class&wordColumn == 0 && !t.isWord(p.src, "double") {
		return false
	}
	n := 1
	if w := p.peek(1); w.isWord(p.src, "precision") || w.isWord(p.src, "varying") {
		n++
	}
	if w := p.peek(n); w.is(p.src, "(") {
		if w.match < 0 || isCallOnly(p, t) {
			return false
		}
		n = int(w.match) - p.i + 1
	}
	if w := p.peek(n); w.isWord(p.src, "with") || w.isWord(p.src, "without") {
		n += 3
	}
	switch p.peek(n).kind {
	case tokString, tokStringE, tokStringU, tokDollar:
		return true
	}
	return false
}

// isCallOnly reports whether the word t is never a type.
func isCallOnly(p *parser, t *token) bool {
	_, ok := typeAliases[foldLower(t.text(p.src))]
	return !ok && !t.isWord(p.src, "timestamp") && !t.isWord(p.src, "time") && !t.isWord(p.src, "interval") &&
		!t.isWord(p.src, "bit") && !t.isWord(p.src, "char") && !t.isWord(p.src, "character") && !t.isWord(p.src, "float")
}

// typedLiteral parses type 'text', and the fields after an interval.
func (p *parser) typedLiteral() Expr {
	l := &TypedLiteral{Pos: p.pos(), Type: &TypeName{Pos: p.pos()}}
	p.typeBase(l.Type)
	l.Text = p.stringLit()
	if l.Type.Name == "interval" && l.Type.Interval == "" {
		p.intervalFields(l.Type)
	}
	return l
}
