package sql

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// create parses what follows CREATE.
func (p *parser) create(pos Pos) Statement {
	replace := p.accept("or", "replace")
	source := p.accept("source")
	temp := p.temporary()
	p.accept("unlogged")
	r := &CreateRelation{Pos: pos, OrReplace: replace, Source: source, Temporary: temp}
	switch {
	case p.accept("stream"):
		return p.relation(r, KindStream)
	case p.accept("table"):
		return p.relation(r, KindTable)
	case source:
	case p.accept("recursive", "view"):
		p.unsupported(pos, "CREATE RECURSIVE VIEW is not supported; write WITH RECURSIVE in a view")
	case p.accept("view"):
		return p.view(r, KindView)
	case p.accept("sequence"):
		return p.sequence(pos, temp)
	case temp:
	case p.accept("materialized", "view"):
		return p.view(r, KindMaterializedView)
	case replace:
	case p.accept("type"):
		return p.createType(pos)
	case p.accept("unique"):
		p.expect("index")
		return p.index(pos, true)
	case p.accept("index"):
		return p.index(pos, false)
	case p.accept("schema"):
		return p.schema(pos)
	case p.accept("database"):
		return p.database(pos)
	case p.accept("role"), p.accept("group"):
		return p.role(pos, false)
	case p.isWord("user") && p.accept("user"):
		return p.role(pos, true)
	}
	p.unexpected()
	return r
}

func (p *parser) ifNotExists() bool { return p.accept("if", "not", "exists") }
func (p *parser) ifExists() bool    { return p.accept("if", "exists") }

// relation parses CREATE STREAM and CREATE TABLE after these words.
func (p *parser) relation(r *CreateRelation, kind ObjectKind) Statement {
	r.Kind = kind
	r.IfNotExists = p.ifNotExists()
	r.Name = p.qualifiedName()
	if p.isPunct("(") && !p.startsQuery(p.i) {
		p.elements(r)
	}
	p.refuseStorage()
	if p.isWord("with") && p.peek(1).is(p.src, "(") {
		r.Options = p.withOptions()
	}
	defined := r.Options != nil || p.err != nil || p.toks[p.i-1].ch == ')'
	r.OnCommit = p.onCommit(r)
	if p.accept("as") {
		r.Query = p.query()
		r.NoData = p.withNoData()
	}
	if r.Query == nil && (r.Aliases != nil || !defined) {
		p.unexpected() // neither a definition nor a query
	}
	return r
}

// refuseStorage refuses clauses of PostgreSQL's CREATE TABLE that say where rows are.
func (p *parser) refuseStorage() {
	const partitioned = "Every table has partitions, by its key: WITH (partitions = n) says how many."
	switch at := p.pos(); {
	case p.isWords("partition", "by"), p.isWords("partition", "of"):
		_ = p.unsupported(at, "%s in CREATE TABLE is not supported", strings.ToUpper("partition "+foldLower(p.peek(1).text(p.src)))).WithHint(partitioned)
	case p.isWord("inherits"):
		_ = p.unsupported(at, "INHERITS is not supported").WithHint("What works: the columns written out, and a view with UNION ALL.")
	case p.isWord("tablespace"):
		_ = p.unsupported(at, "TABLESPACE is not supported").WithHint("--data names the directory of all data.")
	}
}

// temporary parses TEMPORARY or TEMP, before which GLOBAL and LOCAL are noise (PostgreSQL docs, CREATE TABLE).
func (p *parser) temporary() bool {
	for _, noise := range []string{"global", "local"} {
		if p.isWords(noise, "temporary") || p.isWords(noise, "temp") {
			p.accept(noise)
		}
	}
	return p.accept("temporary") || p.accept("temp")
}

// onCommit parses ON COMMIT, which temporary tables have.
func (p *parser) onCommit(r *CreateRelation) OnCommit {
	at := p.pos()
	if r.Kind != KindTable || !p.accept("on", "commit") {
		return ""
	}
	if !r.Temporary && r.Name.Schema() != "pg_temp" {
		p.failAt(at, sqlerr.InvalidTableDefinition, "ON COMMIT can only be used on temporary tables")
	}
	switch {
	case p.accept("preserve", "rows"):
		return ""
	case p.accept("delete", "rows"):
		return DeleteRows
	}
	p.expect("drop")
	return DropTable
}

// withNoData parses WITH [NO] DATA.
func (p *parser) withNoData() bool {
	if p.accept("with", "no", "data") {
		return true
	}
	p.accept("with", "data")
	return false
}

// elements parses the definitions in parentheses: columns, constraints and the watermark, or for AS bare names.
func (p *parser) elements(r *CreateRelation) {
	p.expectPunct("(")
	if p.acceptPunct(")") {
		return
	}
	p.list(func() {
		switch {
		case p.isWords("watermark", "for"):
			if r.Watermark != nil {
				p.unexpected()
			}
			r.Watermark = p.watermark()
		case p.isWord("like"):
			_ = p.unsupported(p.pos(), "LIKE in CREATE TABLE is not supported").WithHint("SHOW CREATE shows the columns of a table, to be written out here.")
		case p.isWord("exclude"):
			_ = p.unsupported(p.pos(), "EXCLUDE is not supported").WithHint("What works: UNIQUE and CHECK.")
		case p.isConstraint():
			r.Constraints = append(r.Constraints, p.constraint())
		case p.peek(1).is(p.src, ",") || p.peek(1).is(p.src, ")"):
			r.Aliases = append(r.Aliases, p.name())
		default:
			r.Columns = append(r.Columns, p.columnDef())
		}
	})
	p.expectPunct(")")
	if r.Aliases != nil && (r.Columns != nil || r.Constraints != nil || r.Watermark != nil) {
		p.unexpected() // names without types are for AS only
	}
}

func (p *parser) watermark() *Watermark {
	w := &Watermark{Pos: p.pos()}
	p.expect("watermark", "for")
	w.Column = p.name()
	p.expect("as")
	p.exprTo(&w.Expr)
	return w
}

// isConstraint reports whether a table constraint begins here; its first words are reserved.
func (p *parser) isConstraint() bool {
	_, ok := p.isOneOf("constraint", "primary", "unique", "check", "foreign")
	return ok
}

// constraint parses a table constraint.
func (p *parser) constraint() *TableConstraint {
	c := &TableConstraint{Pos: p.pos()}
	if p.accept("constraint") {
		c.Name = p.name()
	}
	switch {
	case p.accept("primary"):
		p.expect("key")
		c.Kind, c.Columns = PrimaryKeyConstraint, p.nameList()
	case p.accept("unique"):
		c.Kind, c.Columns = UniqueConstraint, p.nameList()
	case p.accept("check"):
		c.Kind = CheckConstraint
		p.parenExprTo(&c.Check)
	case p.accept("foreign"):
		p.expect("key")
		c.Kind, c.Columns = ForeignKeyConstraint, p.nameList()
		p.expect("references")
		c.References = p.reference()
	default:
		p.unexpected()
	}
	c.Deferrable = p.constraintTiming()
	return c
}

// parenExprTo parses ( e ) into dst.
func (p *parser) parenExprTo(dst *Expr) {
	p.expectPunct("(")
	p.exprTo(dst)
	p.expectPunct(")")
}

// reference parses table [(columns)] [MATCH ..] [ON DELETE|UPDATE ..] after REFERENCES.
func (p *parser) reference() *Reference {
	r := &Reference{Pos: p.pos(), Table: p.qualifiedName()}
	if p.isPunct("(") {
		r.Columns = p.nameList()
	}
	for p.err == nil {
		switch {
		case p.accept("match"):
			p.label()
		case p.accept("on"):
			if _, ok := p.acceptOneOf("delete", "update"); !ok {
				p.unexpected()
			}
			if !p.accept("no", "action") && !p.accept("set", "null") && !p.accept("set", "default") {
				if _, ok := p.acceptOneOf("restrict", "cascade"); !ok {
					p.unexpected()
				}
			}
		default:
			return r
		}
	}
	return r
}

// constraintTiming parses DEFERRABLE, which it reports, and its kin.
func (p *parser) constraintTiming() (deferrable bool) {
	for {
		switch {
		case p.accept("deferrable"), p.accept("initially", "deferred"):
			deferrable = true
		case p.accept("not", "deferrable"), p.accept("initially", "immediate"), p.accept("not", "valid"):
		default:
			return deferrable
		}
	}
}

// columnDef parses name type [constraints].
func (p *parser) columnDef() *ColumnDef {
	c := &ColumnDef{Pos: p.pos(), Name: p.name()}
	c.Type = p.typeName()
	for p.err == nil && p.columnConstraint(c) {
	}
	return c
}

// columnConstraint parses one constraint of a column; it reports false when there is none.
func (p *parser) columnConstraint(c *ColumnDef) bool {
	name := ""
	if p.accept("constraint") {
		name = p.name()
	}
	switch {
	case p.isWord("not") && !p.isWords("not", "deferrable"):
		p.expect("not", "null")
		c.NotNull = true
	case p.accept("null"):
	case p.accept("primary"):
		p.expect("key")
		c.PrimaryKey = true
	case p.accept("key"):
		c.Key = true
	case p.accept("unique"):
		c.Unique, c.UniqueName = true, name
	case p.accept("default"):
		p.exprTo(&c.Default)
	case p.accept("headers"):
		c.Headers = true
	case p.isWord("header") && p.peek(1).is(p.src, "("):
		p.next()
		p.next()
		k := p.stringLit()
		c.HeaderKey = &k
		p.expectPunct(")")
	case p.accept("generated"):
		p.generated(c)
	case p.isWord("check"):
		check := &ColumnCheck{Pos: p.pos(), Name: name}
		p.expect("check")
		p.parenExprTo(&check.Expr)
		c.Checks = append(c.Checks, check)
	case p.accept("collate"):
		c.Collation = p.collation()
	case p.accept("references"):
		c.References = p.reference()
	case p.isWord("deferrable"), p.isWords("not", "deferrable"), p.isWord("initially"):
		start := p.i
		if c.Deferrable = p.constraintTiming() || c.Deferrable; p.i == start {
			p.unexpected()
		}
	default:
		if name != "" {
			p.unexpected()
		}
		return false
	}
	return true
}

// generated parses ALWAYS|BY DEFAULT AS IDENTITY [(..)] and ALWAYS AS (e) STORED.
func (p *parser) generated(c *ColumnDef) {
	id := &Identity{Pos: p.pos()}
	id.Always = p.accept("always")
	if !id.Always {
		p.expect("by", "default")
	}
	p.expect("as")
	if id.Always && p.isPunct("(") {
		p.parenExprTo(&c.Generated)
		p.expect("stored")
		return
	}
	p.identityOptions(c, id)
}

// identity parses ALWAYS|BY DEFAULT AS IDENTITY [(..)].
func (p *parser) identity(c *ColumnDef) {
	id := &Identity{Pos: p.pos()}
	id.Always = p.accept("always")
	if !id.Always {
		p.expect("by", "default")
	}
	p.expect("as")
	p.identityOptions(c, id)
}

func (p *parser) identityOptions(c *ColumnDef, id *Identity) {
	p.expect("identity")
	c.Identity = id
	if p.acceptPunct("(") {
		id.Options = p.sequenceOptions()
		p.expectPunct(")")
	}
}

// view parses CREATE [MATERIALIZED] VIEW after these words.
func (p *parser) view(r *CreateRelation, kind ObjectKind) Statement {
	r.Kind = kind
	r.IfNotExists = p.ifNotExists()
	r.Name = p.qualifiedName()
	if p.isPunct("(") {
		if p.peek(2).is(p.src, ",") || p.peek(2).is(p.src, ")") {
			r.Aliases = p.nameList()
		} else {
			p.elements(r)
		}
	}
	if p.isWord("with") {
		r.Options = p.withOptions()
	}
	p.expect("as")
	r.Query = p.query()
	if kind == KindMaterializedView {
		r.NoData = p.withNoData()
	}
	return r
}

// createType parses CREATE TYPE n AS ...
func (p *parser) createType(pos Pos) Statement {
	t := &CreateType{Pos: pos, IfNotExists: p.ifNotExists(), Name: p.qualifiedName()}
	p.expect("as")
	switch {
	case p.isPunct("("):
		t.Type = &TypeName{Pos: p.pos(), Name: "struct"}
		p.inParens(func() { t.Type.Fields = append(t.Type.Fields, p.fieldDef()) })
	case p.isWord("enum") && p.peek(1).is(p.src, "("):
		p.next()
		t.Enum = []string{}
		p.next()
		if !p.isPunct(")") {
			p.list(func() { t.Enum = append(t.Enum, p.stringLit()) })
		}
		p.expectPunct(")")
	default:
		t.Type = p.typeName()
	}
	return t
}

// index parses CREATE [UNIQUE] INDEX after these words.
func (p *parser) index(pos Pos, unique bool) Statement {
	x := &CreateIndex{Pos: pos, Unique: unique}
	x.Concurrently = p.accept("concurrently")
	x.IfNotExists = p.ifNotExists()
	if !p.isWord("on") {
		x.Name = p.qualifiedName()
	}
	p.expect("on")
	x.Table = p.qualifiedName()
	if p.accept("using") {
		x.Method = p.lowerLabel()
	}
	p.inParens(func() { x.Keys = append(x.Keys, p.orderItem()) })
	if p.accept("include") {
		x.Include = p.nameList()
	}
	if p.isWord("with") {
		x.Options = p.withOptions()
	}
	if p.accept("where") {
		p.exprTo(&x.Where)
	}
	return x
}

func (p *parser) schema(pos Pos) Statement {
	s := &CreateSchema{Pos: pos, IfNotExists: p.ifNotExists()}
	if !p.isWord("authorization") {
		s.Name = p.name()
	}
	if p.accept("authorization") {
		s.Owner = p.roleName()
	}
	if s.Name == "" {
		s.Name = s.Owner
	}
	return s
}

// database parses CREATE DATABASE n [WITH] [option [=] value ..].
func (p *parser) database(pos Pos) Statement {
	d := &CreateDatabase{Pos: pos, Name: p.name()}
	p.accept("with")
	for p.err == nil && isName(p.tok(), wordReserved) {
		o := &Option{Pos: p.pos(), Name: p.lowerLabel()}
		if o.Name == "connection" && p.accept("limit") {
			o.Name = "connection limit"
		}
		p.acceptPunct("=")
		if p.accept("default") {
			o.Value = stringOption(o.Pos, "default")
		} else {
			o.Value = p.optionValue()
		}
		d.Options = append(d.Options, o)
	}
	return d
}

func (p *parser) role(pos Pos, user bool) Statement {
	r := &CreateRole{Pos: pos, User: user, IfNotExists: p.ifNotExists(), Name: p.roleName()}
	p.accept("with")
	r.Options = p.roleOptions()
	return r
}

func (p *parser) sequence(pos Pos, temp bool) Statement {
	s := &CreateSequence{Pos: pos, Temporary: temp, IfExists: p.ifNotExists(), Name: p.qualifiedName()}
	s.Options = p.sequenceOptions()
	return s
}
