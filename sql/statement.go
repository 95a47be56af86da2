package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// statement parses one statement.
func (p *parser) statement() Statement {
	t, pos := p.tok(), p.pos()
	if p.isPunct("(") {
		return p.query()
	}
	if t.kind != tokWord {
		p.unexpected()
		return nil
	}
	defer p.leave()
	if !p.enter() {
		return nil
	}
	if p.ksql && p.refuseForeign() {
		return nil
	}
	start := p.i
	defer func() { p.namePostgres(start) }()
	w := foldLower(t.text(p.src))
	switch w {
	case "select", "values", "table":
		return p.query()
	case "with":
		return p.withStatement()
	case "insert", "update", "delete":
		return p.dml(nil)
	}
	if f, ok := statements[w]; ok {
		p.next()
		return f(p, pos)
	}
	p.unexpected()
	return nil
}

// statements are the parsers of the statements by their first word, which has been taken; pos is its place.
var statements map[string]func(p *parser, pos Pos) Statement

func init() {
	statements = map[string]func(p *parser, pos Pos) Statement{
		"create": (*parser).create, "drop": (*parser).drop, "alter": (*parser).alter, "comment": (*parser).comment,
		"grant": (*parser).grant, "revoke": (*parser).revoke, "truncate": (*parser).truncate, "refresh": (*parser).refresh,
		"copy": (*parser).copyStatement, "prepare": (*parser).prepare, "execute": (*parser).execute,
		"deallocate": (*parser).deallocate, "declare": (*parser).declare, "fetch": (*parser).fetch, "move": (*parser).move,
		"close": (*parser).closeCursor, "begin": (*parser).begin, "start": (*parser).start, "commit": (*parser).commit,
		"end": (*parser).commit, "rollback": (*parser).rollback, "abort": (*parser).rollback,
		"savepoint": (*parser).savepoint, "release": (*parser).release, "set": (*parser).set, "reset": (*parser).resetSetting,
		"unset": (*parser).resetSetting, "show": (*parser).show, "list": (*parser).show, "describe": (*parser).describe,
		"desc": (*parser).describe, "explain": (*parser).explain, "print": (*parser).print, "pause": (*parser).pause,
		"resume": (*parser).resume, "terminate": (*parser).terminate, "discard": (*parser).discard,
		"listen": (*parser).listen, "unlisten": (*parser).unlisten, "notify": (*parser).notify, "lock": (*parser).lock,
		"vacuum": (*parser).vacuum, "analyze": (*parser).analyze, "analyse": (*parser).analyze,
		"checkpoint": (*parser).checkpoint, "reindex": (*parser).reindex,
	}
}

// withStatement parses a statement that begins with WITH.
func (p *parser) withStatement() Statement {
	w := p.with()
	if _, ok := p.isOneOf("insert", "update", "delete"); ok {
		return p.dml(w)
	}
	return p.queryAfter(w)
}

// dml parses INSERT, UPDATE or DELETE; w is its WITH.
func (p *parser) dml(w *With) Statement {
	pos := p.pos()
	defer p.leave()
	if !p.enter() {
		return nil
	}
	if w != nil {
		pos = w.Pos
	}
	switch {
	case p.accept("insert"):
		return p.insert(w, pos)
	case p.accept("update"):
		return p.update(w, pos)
	}
	p.expect("delete")
	return p.deleteFrom(w, pos)
}

func (p *parser) insert(w *With, pos Pos) Statement {
	p.expect("into")
	s := &Insert{Pos: pos, With: w, Table: p.qualifiedName()}
	if p.accept("as") {
		s.Alias = p.name()
	}
	if p.isWord("with") && p.peek(1).is(p.src, "(") {
		s.Options = p.withOptions()
	}
	if p.isPunct("(") && !p.startsQuery(p.i) {
		s.Columns = p.nameList()
	}
	if p.accept("overriding") {
		switch {
		case p.accept("system"):
			s.Overriding = "SYSTEM"
		default:
			p.expect("user")
			s.Overriding = "USER"
		}
		p.expect("value")
	}
	if !p.accept("default", "values") {
		s.Query = p.query()
	}
	if p.isWords("on", "conflict") {
		s.OnConflict = p.onConflict()
	}
	s.Returning = p.returning()
	return s
}

func (p *parser) returning() []*Target {
	if !p.accept("returning") {
		return nil
	}
	return p.targetList()
}

// onConflict parses ON CONFLICT [(columns) [WHERE e] | ON CONSTRAINT n] DO NOTHING | DO UPDATE SET .. [WHERE e].
func (p *parser) onConflict() *OnConflict {
	c := &OnConflict{Pos: p.pos()}
	p.expect("on", "conflict")
	switch {
	case p.isPunct("("):
		c.Columns = p.nameList()
		if p.accept("where") {
			p.exprTo(&c.TargetWhere)
		}
	case p.accept("on"):
		p.expect("constraint")
		c.Constraint = p.name()
	}
	p.expect("do")
	if p.accept("nothing") {
		return c
	}
	p.expect("update", "set")
	if c.Columns == nil && c.Constraint == "" {
		_ = p.failAt(c.Pos, sqlerr.SyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name).")
	}
	c.Set = p.assignments()
	if p.accept("where") {
		p.exprTo(&c.Where)
	}
	return c
}

// assignments parses the list after SET.
func (p *parser) assignments() []*Assignment {
	var out []*Assignment
	p.list(func() {
		a := &Assignment{Pos: p.pos()}
		if p.isPunct("(") {
			a.Tuple = true
			a.Columns = p.nameList()
		} else {
			a.Columns = []string{p.name()}
		}
		p.expectPunct("=")
		if a.Tuple && p.isDefaultRow() {
			a.Value = p.defaultRow()
		} else {
			p.fillFrom(&a.Value, p.exprOrDefault())
		}
		out = append(out, a)
	})
	return out
}

// isDefaultRow reports whether the row at the cursor is ROW (..) or has a DEFAULT among its items, which no expression has.
func (p *parser) isDefaultRow() bool {
	n := 0
	if p.isWord("row") {
		n++
	}
	open := p.peek(n)
	if !open.is(p.src, "(") || open.match < 0 || p.startsQuery(p.i+n) {
		return false
	}
	for i := p.i + n + 1; i < int(open.match); i++ {
		if t := &p.toks[i]; t.match > int32(i) {
			i = int(t.match)
		} else if t.isWord(p.src, "default") {
			return true
		}
	}
	return false
}

func (p *parser) defaultRow() Expr {
	r := &Row{Pos: p.pos()}
	p.accept("row")
	p.expectPunct("(")
	base := len(p.operands)
	p.list(func() { p.push(p.exprOrDefault()) })
	p.expectPunct(")")
	r.Items = p.takeOperands(base)
	return r
}

// dmlTable parses the table of UPDATE and DELETE.
func (p *parser) dmlTable() *Table {
	t := p.table(false)
	a := &Alias{Pos: p.pos()}
	if p.accept("as") || isName(p.tok(), notColumn) && !p.isWord("set") {
		a.Name = p.name()
		t.Alias = a
	}
	return t
}

func (p *parser) update(w *With, pos Pos) Statement {
	s := &Update{Pos: pos, With: w, Table: p.dmlTable()}
	p.expect("set")
	s.Set = p.assignments()
	if p.accept("from") {
		s.From = p.fromList()
	}
	s.CurrentOf = p.whereOrCurrent(&s.Where)
	s.Returning = p.returning()
	return s
}

func (p *parser) deleteFrom(w *With, pos Pos) Statement {
	p.expect("from")
	s := &Delete{Pos: pos, With: w, Table: p.dmlTable()}
	if p.accept("using") {
		s.Using = p.fromList()
	}
	s.CurrentOf = p.whereOrCurrent(&s.Where)
	s.Returning = p.returning()
	return s
}

// whereOrCurrent parses WHERE e or WHERE CURRENT OF cursor, whose name it returns.
func (p *parser) whereOrCurrent(dst *Expr) string {
	if p.accept("where", "current", "of") {
		return p.name()
	}
	if p.accept("where") {
		p.exprTo(dst)
	}
	return ""
}
