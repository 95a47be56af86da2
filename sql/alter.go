package sql

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// alter parses what follows ALTER.
func (p *parser) alter(pos Pos) Statement {
	switch {
	case p.accept("node"):
		return p.alterNode(pos)
	case p.accept("system"):
		return p.alterSystem(pos)
	case p.accept("role"), p.accept("group"):
		return p.alterRole(pos, false)
	case p.isWord("user") && p.accept("user"):
		return p.alterRole(pos, true)
	}
	kind := p.objectKind()
	switch kind {
	case KindStream, KindTable, KindView, KindMaterializedView, KindIndex, KindSequence, KindType, KindSchema, KindDatabase:
	default:
		p.unexpected()
		return nil
	}
	a := &Alter{Pos: pos, Kind: kind, IfExists: p.ifExists()}
	p.accept("only")
	a.Name = p.qualifiedName()
	if kind == KindSequence && !p.isAlterAction() {
		s := &CreateSequence{Pos: pos, Alter: true, IfExists: a.IfExists, Name: a.Name, Options: p.sequenceOptions()}
		if s.Options == nil {
			p.unexpected()
		}
		return s
	}
	p.list(func() { a.Actions = append(a.Actions, p.alterAction(kind)) })
	return a
}

// isAlterAction reports whether an action common to all objects stands here.
func (p *parser) isAlterAction() bool {
	_, ok := p.isOneOf("rename", "owner", "set")
	return ok
}

// alterAction parses one action.
func (p *parser) alterAction(kind ObjectKind) *AlterAction {
	a := &AlterAction{Pos: p.pos()}
	switch {
	case kind == KindType && p.accept("add", "value"):
		p.alterAddValue(a)
	case kind == KindType && p.isWord("rename") && p.peek(1).isWord(p.src, "value"):
		p.unsupported(p.pos(), "RENAME VALUE is not supported: records hold the values of enumerated types by their names")
	case p.accept("add"):
		p.alterAdd(a)
	case p.accept("drop"):
		p.alterDrop(a)
	case p.accept("rename"):
		p.alterRename(a)
	case p.accept("set", "schema"):
		a.Op, a.NewName = SetSchema, p.name()
	case p.accept("set"):
		a.Op, a.Options = SetOptions, p.optionList()
	case p.accept("reset"):
		a.Op, a.Options = ResetOptions, p.optionList()
	case p.accept("owner", "to"):
		a.Op, a.NewName = OwnerTo, p.roleName()
	case p.accept("alter"):
		p.accept("column")
		p.alterColumn(a)
	case p.accept("validate", "constraint"):
		a.Op, a.Name = ValidateConstraint, p.name()
	default:
		p.refuseAction()
	}
	return a
}

// refuseAction refuses what PostgreSQL's ALTER TABLE does and Millrace does not.
func (p *parser) refuseAction() {
	for _, f := range []struct{ words, instead string }{
		{"enable", "There are no triggers, rules and row security."},
		{"disable", "There are no triggers, rules and row security."},
		{"force", "A view that shows some rows, and privileges on the view."},
		{"cluster", "Rows lie by their key."},
		{"inherit", "A view with UNION ALL."},
		{"replica identity", "Every change has the key; a query has the old row where it needs it."},
		{"attach partition", "WITH (partitions = n) of CREATE TABLE."},
		{"detach partition", "WITH (partitions = n) of CREATE TABLE."},
	} {
		if p.isWords(strings.Fields(f.words)...) {
			_ = p.unsupported(p.pos(), "%s is not supported", strings.ToUpper(f.words)).WithHint("%s", f.instead)
			return
		}
	}
	p.unexpected()
}

func (p *parser) alterAdd(a *AlterAction) {
	if p.isConstraint() {
		a.Op, a.Constraint = AddConstraint, p.constraint()
		return
	}
	a.Op = AddColumn
	p.accept("column")
	a.If = p.ifNotExists()
	a.Column = p.columnDef()
}

// alterAddValue parses what follows ADD VALUE.
func (p *parser) alterAddValue(a *AlterAction) {
	a.Op, a.If = AddValue, p.ifNotExists()
	a.Name = p.stringLit()
	if a.Before = p.accept("before"); a.Before || p.accept("after") {
		beside := p.stringLit()
		a.Beside = &beside
	}
}

func (p *parser) alterDrop(a *AlterAction) {
	a.Op = DropColumn
	if p.accept("constraint") {
		a.Op = DropConstraint
	} else {
		p.accept("column")
	}
	a.If = p.ifExists()
	a.Name = p.name()
	a.Cascade = p.cascade()
}

// cascade parses [CASCADE|RESTRICT].
func (p *parser) cascade() bool {
	if p.accept("cascade") {
		return true
	}
	p.accept("restrict")
	return false
}

func (p *parser) alterRename(a *AlterAction) {
	if p.accept("to") {
		a.Op, a.NewName = RenameTo, p.name()
		return
	}
	a.Op = RenameColumn
	if p.accept("constraint") {
		a.Op = RenameConstraint
	} else {
		p.acceptOneOf("column", "attribute")
	}
	a.Name = p.name()
	p.expect("to")
	a.NewName = p.name()
}

// alterColumn parses what follows ALTER COLUMN.
func (p *parser) alterColumn(a *AlterAction) {
	a.Name = p.name()
	switch {
	case p.accept("set", "default"):
		a.Op = SetDefault
		p.exprTo(&a.Expr)
	case p.accept("drop", "default"):
		a.Op = DropDefault
	case p.accept("set", "not", "null"):
		a.Op = SetNotNull
	case p.accept("drop", "not", "null"):
		a.Op = DropNotNull
	case p.accept("add", "generated"):
		a.Op, a.Column = AddIdentity, &ColumnDef{Pos: a.Pos, Name: a.Name}
		p.identity(a.Column)
	case p.accept("drop", "identity"):
		a.Op, a.If = DropIdentity, p.ifExists()
	case p.accept("set", "data", "type"), p.accept("type"):
		a.Op, a.Type = SetType, p.typeName()
		if p.accept("using") {
			p.exprTo(&a.Expr)
		}
	default:
		p.unexpected()
	}
}

func (p *parser) alterNode(pos Pos) Statement {
	n := &AlterNode{Pos: pos}
	if p.tok().kind == tokInteger {
		n.Node = p.next().text(p.src)
	} else {
		n.Node = p.wordOrString()
	}
	switch {
	case p.accept("drain"):
		n.Action = "DRAIN"
	case p.accept("fill"):
		n.Action = "FILL"
	case p.accept("remove"):
		n.Action = "REMOVE"
	default:
		p.expect("undrain")
		n.Action = "UNDRAIN"
	}
	return n
}

// alterSystem parses SET x = v, RESET x, and ksqlDB's ALTER SYSTEM 'x' = 'v'.
func (p *parser) alterSystem(pos Pos) Statement {
	a := &AlterSystem{Pos: pos}
	at := p.pos()
	switch {
	case p.accept("reset"):
		a.Reset, _ = p.resetSetting(at).(*Reset)
	case p.accept("set"), p.isString():
		a.Set = &Set{Pos: at}
		p.setting(a.Set)
	default:
		p.unexpected()
	}
	return a
}

// alterRole parses ALTER ROLE n [WITH] options, and RENAME TO.
func (p *parser) alterRole(pos Pos, user bool) Statement {
	name := &Name{Pos: p.pos(), Parts: []string{p.roleName()}}
	if p.isWord("rename") {
		return &Alter{Pos: pos, Kind: KindRole, Name: name, Actions: []*AlterAction{p.alterAction(KindRole)}}
	}
	if _, ok := p.isOneOf("set", "reset", "in"); ok {
		p.unsupported(p.pos(), "settings of roles are not supported")
	}
	r := &CreateRole{Pos: pos, Alter: true, User: user, Name: name.Parts[0]}
	p.accept("with")
	if r.Options = p.roleOptions(); r.Options == nil {
		p.unexpected()
	}
	return r
}

// objectKind takes the words of a kind of object.
func (p *parser) objectKind() ObjectKind {
	switch {
	case p.accept("materialized", "view"):
		return KindMaterializedView
	case p.accept("foreign", "table"):
		return "FOREIGN TABLE"
	case p.isWord("user") && p.accept("user"), p.accept("group"):
		return KindRole
	}
	kinds := [...]ObjectKind{
		KindStream, KindTable, KindView, KindIndex, KindSchema, KindSequence, KindType, KindRole, KindDatabase, KindColumn,
		KindFunction, KindTopic, KindQuery, KindConstraint,
	}
	for _, k := range kinds {
		if p.accept(foldLower(string(k))) {
			return k
		}
	}
	return ""
}

// drop parses what follows DROP.
func (p *parser) drop(pos Pos) Statement {
	d := &Drop{Pos: pos, Kind: p.objectKind()}
	switch d.Kind {
	case "", KindColumn, KindConstraint, KindQuery:
		p.unexpected()
		return d
	}
	d.Concurrently = d.Kind == KindIndex && p.accept("concurrently")
	d.IfExists = p.ifExists()
	p.list(func() { d.Names = append(d.Names, p.qualifiedName()) })
	for p.err == nil {
		switch {
		case !d.Cascade && p.accept("cascade"):
			d.Cascade = true
		case !d.DeleteTopic && p.accept("delete", "topic"):
			d.DeleteTopic = true
		case p.accept("restrict"):
		default:
			return d
		}
	}
	return d
}

// comment parses ON kind name IS 'text'|NULL.
func (p *parser) comment(pos Pos) Statement {
	c := &Comment{Pos: pos}
	p.expect("on")
	c.Kind = p.objectKind()
	if c.Kind == "" {
		p.unexpected()
		return c
	}
	c.Name = &Name{Pos: p.pos(), Parts: []string{p.name()}}
	for p.acceptPunct(".") {
		c.Name.Parts = append(c.Name.Parts, p.label())
	}
	if len(c.Name.Parts) > maxNameParts+1 {
		p.failAt(c.Name.Pos, sqlerr.SyntaxError, "improper qualified name (too many dotted names): %s", clip(dotted(c.Name.Parts)))
	}
	p.expect("is")
	if !p.accept("null") {
		text := p.stringLit()
		c.Text = &text
	}
	return c
}

func (p *parser) truncate(pos Pos) Statement {
	p.accept("table")
	p.accept("only")
	t := &Truncate{Pos: pos, Names: p.qualifiedNames()}
	if !p.accept("continue", "identity") {
		t.RestartIdentity = p.accept("restart", "identity")
	}
	t.Cascade = p.cascade()
	return t
}

func (p *parser) refresh(pos Pos) Statement {
	p.expect("materialized", "view")
	r := &Refresh{Pos: pos, Concurrently: p.accept("concurrently"), Name: p.qualifiedName()}
	r.NoData = p.withNoData()
	return r
}
