package sql

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// set parses what follows SET.
func (p *parser) set(pos Pos) Statement {
	s := &Set{Pos: pos}
	switch {
	case p.isWord("transaction") && !p.isAssignment(1):
		p.next()
		return p.setTransaction(&SetTransaction{Pos: pos})
	case p.accept("session", "characteristics", "as", "transaction"):
		return p.setTransaction(&SetTransaction{Pos: pos, Session: true})
	case p.isWord("constraints") && !p.isAssignment(1):
		p.next()
		return p.setConstraints(pos)
	case p.accept("local"):
		s.Local = true
		if p.accept("transaction") {
			return p.setTransaction(&SetTransaction{Pos: pos})
		}
	case p.isWords("session", "authorization"), p.isWord("session") && !p.isAssignment(1):
		if !p.isWords("session", "authorization") {
			p.next()
		}
	}
	p.setting(s)
	return s
}

// isAssignment reports whether = or TO stands n tokens ahead, or the dot of a longer name.
func (p *parser) isAssignment(n int) bool {
	t := p.peek(n)
	return t.is(p.src, "=") || t.isWord(p.src, "to") || t.is(p.src, ".")
}

// setting parses name TO|= values, and the forms with words of their own.
func (p *parser) setting(s *Set) {
	switch {
	case p.accept("time", "zone"):
		s.Name = "timezone"
		p.timeZone(s)
	case p.accept("session", "authorization"):
		s.Name = "session_authorization"
		p.nameOrDefault(s)
	case p.isWord("role") && !p.isAssignment(1):
		p.next()
		s.Name = "role"
		p.nameOrDefault(s)
	case p.isWord("names") && !p.isAssignment(1):
		p.next()
		s.Name = "client_encoding"
		if p.endsStatement(0) {
			s.Default = true
		} else {
			p.nameOrDefault(s)
		}
	case p.isWord("schema") && !p.isAssignment(1):
		p.next()
		s.Name = "search_path"
		s.Values = []*Literal{stringOption(p.pos(), p.stringLit())}
	default:
		s.Name = p.optionName()
		if !p.acceptPunct("=") {
			p.expect("to")
		}
		if p.accept("default") {
			s.Default = true
			return
		}
		p.list(func() { s.Values = append(s.Values, p.settingValue()) })
	}
}

// settingValue is optionValue, and ON, which is reserved.
func (p *parser) settingValue() *Literal {
	pos := p.pos()
	if p.accept("on") {
		return stringOption(pos, "on")
	}
	switch t := p.tok(); {
	case t.kind == tokQuoted, t.kind == tokQuotedU:
		return stringOption(pos, p.label())
	case t.kind == tokWord && t.class&wordReserved != 0 && !p.isWord("true") && !p.isWord("false"):
		p.unexpected()
	}
	return p.optionValue()
}

// nameOrDefault takes DEFAULT, a name or a string.
func (p *parser) nameOrDefault(s *Set) {
	if p.accept("default") {
		s.Default = true
		return
	}
	pos := p.pos()
	s.Values = []*Literal{stringOption(pos, p.wordOrString())}
}

// timeZone takes LOCAL, DEFAULT, a name, a number of hours or an interval.
func (p *parser) timeZone(s *Set) {
	switch {
	case p.accept("local"), p.accept("default"):
		s.Default = true
	case p.isWord("interval"):
		if l, ok := p.typedLiteral().(*TypedLiteral); ok {
			s.Interval = l
		}
	default:
		s.Values = []*Literal{p.settingValue()}
	}
}

func (p *parser) setTransaction(s *SetTransaction) Statement {
	if !s.Session && p.accept("snapshot") {
		s.Snapshot = p.stringLit()
		return s
	}
	s.Modes = p.modes(true)
	return s
}

func (p *parser) setConstraints(pos Pos) Statement {
	s := &SetConstraints{Pos: pos}
	if !p.accept("all") {
		s.Names = p.qualifiedNames()
	}
	if s.Deferred = p.accept("deferred"); !s.Deferred {
		p.expect("immediate")
	}
	return s
}

// resetSetting parses what follows RESET and ksqlDB's UNSET.
func (p *parser) resetSetting(pos Pos) Statement {
	switch {
	case p.accept("all"):
		return &Reset{Pos: pos}
	case p.accept("time", "zone"):
		return &Reset{Pos: pos, Name: "timezone"}
	case p.accept("session", "authorization"):
		return &Reset{Pos: pos, Name: "session_authorization"}
	case p.accept("transaction", "isolation", "level"):
		return &Reset{Pos: pos, Name: "transaction_isolation"}
	}
	return &Reset{Pos: pos, Name: p.optionName()}
}

// shownObjects are what SHOW lists, besides settings.
var shownObjects = map[string]bool{
	"tables": true, "streams": true, "queries": true, "topics": true, "functions": true, "types": true, "nodes": true, "moves": true,
	"partitions": true, "groups": true, "quotas": true, "settings": true, "views": true, "schemas": true, "databases": true, "roles": true,
	"users": true, "indexes": true, "sequences": true, "errors": true, "properties": true, "variables": true,
	"connectors": true,
}

// show parses what follows SHOW and LIST.
func (p *parser) show(pos Pos) Statement {
	all := p.isWords("all", "topics") && p.accept("all")
	switch {
	case p.accept("all"):
		return &Show{Pos: pos, Name: "all"}
	case p.accept("time", "zone"):
		return &Show{Pos: pos, Name: "timezone"}
	case p.accept("session", "authorization"):
		return &Show{Pos: pos, Name: "session_authorization"}
	case p.accept("transaction", "isolation", "level"):
		return &Show{Pos: pos, Name: "transaction_isolation"}
	case p.accept("create"):
		c := &ShowCreate{Pos: pos}
		if next := p.peek(1); !p.endsStatement(1) && !next.is(p.src, ".") {
			c.Kind = p.objectKind()
		}
		c.Name = p.qualifiedName()
		return c
	case p.accept("materialized", "views"):
		return p.objects(&ShowObjects{Pos: pos, What: "MATERIALIZED VIEWS"})
	}
	if t := p.tok(); t.kind == tokWord && !p.peek(1).is(p.src, ".") {
		if w := foldLower(t.text(p.src)); shownObjects[w] {
			p.next()
			return p.objects(&ShowObjects{Pos: pos, What: strings.ToUpper(w), All: all})
		}
	}
	return &Show{Pos: pos, Name: p.optionName()}
}

// objects parses [FROM schema] [LIKE 'pattern'] [EXTENDED].
func (p *parser) objects(s *ShowObjects) Statement {
	if _, ok := p.acceptOneOf("from", "in"); ok {
		s.From = p.qualifiedName()
	}
	if p.accept("like") {
		s.Like = p.stringLit()
	}
	s.Extended = p.accept("extended")
	return s
}

// describe parses [kind] name [EXTENDED].
func (p *parser) describe(pos Pos) Statement {
	d := &Describe{Pos: pos}
	if next := p.peek(1); isName(next, notColumn) && !next.isWord(p.src, "extended") {
		if d.Kind = p.objectKind(); d.Kind == "" {
			p.unexpectedAt(Pos(next.pos))
			return d
		}
	} else if p.isWord("table") {
		d.Kind = p.objectKind()
	}
	d.Name = p.anyName()
	d.Extended = p.accept("extended")
	return d
}

// explain parses [(options)] | [ANALYZE] [VERBOSE], and a statement or the id of a query.
func (p *parser) explain(pos Pos) Statement {
	e := &Explain{Pos: pos}
	if p.isPunct("(") && !p.startsQuery(p.i) {
		e.Options = p.optionList()
	} else {
		for _, w := range [...]string{"analyze", "analyse", "verbose"} {
			if at := p.pos(); p.accept(w) {
				e.Options = addOption(e.Options, at, strings.Replace(w, "analyse", "analyze", 1), nil)
			}
		}
	}
	t := p.tok()
	switch {
	case p.isWord("query") && !p.endsStatement(1):
		p.next()
		e.QueryID = p.wordOrString()
	case p.isString(), isQuoted(t), isName(t, wordReserved) && p.endsStatement(1):
		e.QueryID = p.wordOrString()
	default:
		e.Statement = p.statement()
		p.explainable(e.Statement)
	}
	return e
}

// explainable refuses statements without a plan, as PostgreSQL's grammar does.
func (p *parser) explainable(s Statement) {
	switch s := s.(type) {
	case *Query, *Insert, *Update, *Delete, *CreateRelation, *Execute, *DeclareCursor, *Refresh, nil:
	default:
		p.unexpectedAt(Pos(s.Offset()))
	}
}

func (p *parser) print(pos Pos) Statement {
	s := &Print{Pos: pos, Topic: p.topic(), Limit: -1}
	s.FromBeginning = p.accept("from", "beginning")
	if _, ok := p.acceptOneOf("interval", "sample"); ok {
		s.Interval = p.integer()
	}
	if p.accept("limit") {
		s.Limit = p.integer()
	}
	return s
}

// topic takes a topic's name, which may have dots and dashes without quotes; unquoted names keep their case, since topics
// have no folding.
func (p *parser) topic() string {
	t := p.tok()
	switch {
	case p.isString():
		return p.stringLit()
	case isQuoted(t):
		return p.label()
	case t.kind != tokWord:
		p.unexpected()
		return ""
	}
	start, end := t.pos, t.end
	for p.next(); p.tok().pos == end && p.isTopicPart(); p.next() {
		end = p.tok().end
	}
	return p.src[start:end]
}

func (p *parser) isTopicPart() bool {
	t := p.tok()
	return t.kind == tokWord || t.kind == tokInteger || t.kind == tokDecimal || t.is(p.src, ".") || t.is(p.src, "-")
}

func (p *parser) pause(pos Pos) Statement     { return p.control(pos, "PAUSE") }
func (p *parser) resume(pos Pos) Statement    { return p.control(pos, "RESUME") }
func (p *parser) terminate(pos Pos) Statement { return p.control(pos, "TERMINATE") }

// control parses [QUERY] id | ALL.
func (p *parser) control(pos Pos, action string) Statement {
	c := &QueryControl{Pos: pos, Action: action}
	if p.accept("all") {
		return c
	}
	if !p.endsStatement(1) {
		p.accept("query")
	}
	if c.ID = p.wordOrString(); c.ID == "" && p.err == nil {
		p.failAt(pos, sqlerr.SyntaxError, "zero-length query id")
	}
	return c
}
