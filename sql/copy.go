package sql

import "github.com/millracedb/millrace/internal/sqlerr"

// copyStatement parses what follows COPY, in the syntax of PostgreSQL 15 and the two older ones it still takes.
func (p *parser) copyStatement(pos Pos) Statement {
	c := &Copy{Pos: pos}
	if p.accept("binary") {
		c.Options = addOption(c.Options, pos, "format", stringOption(pos, "binary"))
	}
	if p.acceptPunct("(") {
		switch w, _ := p.isOneOf("insert", "update", "delete"); w {
		case "":
			c.Statement = p.query()
		default:
			c.Statement = p.dml(nil)
		}
		p.expectPunct(")")
		p.expect("to")
	} else {
		c.Table = p.qualifiedName()
		if p.isPunct("(") {
			c.Columns = p.nameList()
		}
		if c.From = p.accept("from"); !c.From {
			p.expect("to")
		}
	}
	p.copyTarget(c)
	p.copyOptions(c)
	if p.isWord("where") {
		if !c.From {
			p.failAt(p.pos(), sqlerr.SyntaxError, "WHERE clause not allowed with COPY TO")
			return c
		}
		p.next()
		p.exprTo(&c.Where)
	}
	return c
}

// copyTarget parses STDIN, STDOUT, 'file' or PROGRAM 'command'.
func (p *parser) copyTarget(c *Copy) {
	if _, ok := p.acceptOneOf("stdin", "stdout"); ok {
		return
	}
	c.Target = CopyFile
	if p.accept("program") {
		c.Target = CopyProgram
	}
	c.Path = p.stringLit()
}

// copyOptions parses [WITH] (..), or the old list of words.
func (p *parser) copyOptions(c *Copy) {
	if pos := p.pos(); p.accept("using") || p.isWord("delimiters") { // before 7.3
		p.expect("delimiters")
		c.Options = addOption(c.Options, pos, "delimiter", stringOption(pos, p.stringLit()))
	}
	p.accept("with")
	if !p.isPunct("(") {
		for p.err == nil && p.oldCopyOption(c) {
		}
		return
	}
	p.inParens(func() {
		o := &Option{Pos: p.pos(), Name: p.optionName()}
		switch {
		case p.isPunct("*"):
			p.next()
			o.List = []string{"*"}
		case p.isPunct("("):
			o.List = p.nameList()
		case p.isWord("on"):
			o.Value = p.settingValue()
		case !p.isPunct(",") && !p.isPunct(")"):
			o.Value = p.optionValue()
		}
		c.Options = append(c.Options, o)
	})
}

// oldCopyOption parses one option of the syntax before 9.0; it reports false when there is none.
func (p *parser) oldCopyOption(c *Copy) bool {
	pos := p.pos()
	add := func(name string, v *Literal) bool {
		c.Options = addOption(c.Options, pos, name, v)
		return true
	}
	text := func(name string) bool {
		p.accept("as")
		return add(name, stringOption(pos, p.stringLit()))
	}
	switch {
	case p.accept("binary"):
		return add("format", stringOption(pos, "binary"))
	case p.accept("csv"):
		return add("format", stringOption(pos, "csv"))
	case p.accept("freeze"):
		return add("freeze", nil)
	case p.accept("header"):
		return add("header", nil)
	case p.accept("delimiter"):
		return text("delimiter")
	case p.accept("null"):
		return text("null")
	case p.accept("quote"):
		return text("quote")
	case p.accept("escape"):
		return text("escape")
	case p.accept("encoding"):
		return text("encoding")
	case p.accept("force"):
		o := &Option{Pos: pos}
		switch {
		case p.accept("quote"):
			o.Name = "force_quote"
		case p.accept("not", "null"):
			o.Name = "force_not_null"
		default:
			p.expect("null")
			o.Name = "force_null"
		}
		if p.acceptPunct("*") {
			o.List = []string{"*"}
		} else {
			p.list(func() { o.List = append(o.List, p.name()) })
		}
		c.Options = append(c.Options, o)
		return true
	}
	return false
}
