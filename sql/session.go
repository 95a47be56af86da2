package sql

import "strings"

func (p *parser) prepare(pos Pos) Statement {
	if p.accept("transaction") {
		return &Transaction{Pos: pos, Kind: PrepareTransaction, Name: p.stringLit()}
	}
	s := &Prepare{Pos: pos, Name: p.name()}
	if p.isPunct("(") {
		p.inParens(func() { s.Types = append(s.Types, p.typeName()) })
	}
	p.expect("as")
	s.Statement = p.statement()
	return s
}

func (p *parser) execute(pos Pos) Statement {
	s := &Execute{Pos: pos, Name: p.name()}
	if p.acceptPunct("(") {
		s.Args = p.exprList()
		p.expectPunct(")")
	}
	return s
}

func (p *parser) deallocate(pos Pos) Statement {
	if !p.endsStatement(1) {
		p.accept("prepare")
	}
	if p.accept("all") {
		return &Deallocate{Pos: pos}
	}
	return &Deallocate{Pos: pos, Name: p.name()}
}

func (p *parser) declare(pos Pos) Statement {
	s := &DeclareCursor{Pos: pos, Name: p.name()}
	for p.err == nil && !p.accept("cursor") {
		switch {
		case p.accept("binary"):
			s.Binary = true
		case p.accept("insensitive"):
			s.Insensitive = true
		case p.accept("asensitive"):
		case p.accept("scroll"):
			s.Scroll = Yes
		case p.accept("no", "scroll"):
			s.Scroll = No
		default:
			p.unexpected()
		}
	}
	switch {
	case p.accept("with", "hold"):
		s.Hold = true
	case p.accept("without", "hold"):
	}
	p.expect("for")
	s.Query = p.query()
	return s
}

func (p *parser) fetch(pos Pos) Statement { return p.fetchOrMove(&Fetch{Pos: pos, Count: 1}) }

func (p *parser) move(pos Pos) Statement {
	return p.fetchOrMove(&Fetch{Pos: pos, Count: 1, Move: true})
}

func (p *parser) fetchOrMove(f *Fetch) Statement {
	if !p.isCursorName() {
		p.direction(f)
	}
	p.acceptOneOf("from", "in")
	f.Cursor = p.name()
	if p.isWord("with") {
		f.Options = p.withOptions()
	}
	return f
}

// isCursorName reports whether the cursor's name follows without a direction: the direction words are names too.
func (p *parser) isCursorName() bool {
	if p.tok().kind != tokWord {
		return isQuoted(p.tok())
	}
	end := p.endsStatement(1) || p.peek(1).isWord(p.src, "with")
	return end && isName(p.tok(), notColumn)
}

// direction parses NEXT, PRIOR, FIRST, LAST, ABSOLUTE n, RELATIVE n, n, ALL, FORWARD [n|ALL], BACKWARD [n|ALL].
func (p *parser) direction(f *Fetch) {
	switch {
	case p.accept("next"):
	case p.accept("prior"):
		f.Direction = FetchBackward
	case p.accept("first"):
		f.Direction = FetchFirst
	case p.accept("last"):
		f.Direction = FetchLast
	case p.accept("absolute"):
		f.Direction, f.Count = FetchAbsolute, p.signedInteger()
	case p.accept("relative"):
		f.Direction, f.Count = FetchRelative, p.signedInteger()
	case p.accept("all"):
		f.All = true
	case p.accept("forward"):
		p.count(f)
	case p.accept("backward"):
		f.Direction = FetchBackward
		p.count(f)
	default:
		p.count(f)
	}
}

// count parses [n|ALL].
func (p *parser) count(f *Fetch) {
	switch {
	case p.accept("all"):
		f.All = true
	case p.tok().kind == tokInteger || p.isPunct("-") || p.isPunct("+"):
		f.Count = p.signedInteger()
	}
}

func (p *parser) closeCursor(pos Pos) Statement {
	if p.accept("all") {
		return &CloseCursor{Pos: pos}
	}
	return &CloseCursor{Pos: pos, Name: p.name()}
}

func (p *parser) begin(pos Pos) Statement {
	p.acceptOneOf("work", "transaction")
	return &Transaction{Pos: pos, Kind: Begin, Modes: p.modes(false)}
}

func (p *parser) start(pos Pos) Statement {
	p.expect("transaction")
	return &Transaction{Pos: pos, Kind: Begin, Modes: p.modes(false)}
}

func (p *parser) commit(pos Pos) Statement {
	if p.accept("prepared") {
		return &Transaction{Pos: pos, Kind: CommitPrepared, Name: p.stringLit()}
	}
	p.acceptOneOf("work", "transaction")
	return &Transaction{Pos: pos, Kind: Commit, Chain: p.chained()}
}

// chained parses AND [NO] CHAIN.
func (p *parser) chained() bool {
	return !p.accept("and", "no", "chain") && p.accept("and", "chain")
}

func (p *parser) rollback(pos Pos) Statement {
	if p.accept("prepared") {
		return &Transaction{Pos: pos, Kind: RollbackPrepared, Name: p.stringLit()}
	}
	p.acceptOneOf("work", "transaction")
	if p.accept("to") {
		p.accept("savepoint")
		return &Transaction{Pos: pos, Kind: RollbackTo, Name: p.name()}
	}
	return &Transaction{Pos: pos, Kind: Rollback, Chain: p.chained()}
}

func (p *parser) savepoint(pos Pos) Statement {
	return &Transaction{Pos: pos, Kind: Savepoint, Name: p.name()}
}

func (p *parser) release(pos Pos) Statement {
	p.accept("savepoint")
	return &Transaction{Pos: pos, Kind: ReleaseSavepoint, Name: p.name()}
}

// modes parses transaction modes, with or without commas between them.
func (p *parser) modes(need bool) TransactionModes {
	var m TransactionModes
	for n := 0; p.err == nil; n++ {
		comma := n > 0 && p.acceptPunct(",")
		switch {
		case p.accept("isolation", "level"):
			m.Isolation = p.isolation()
		case p.accept("read", "only"):
			m.ReadOnly = Yes
		case p.accept("read", "write"):
			m.ReadOnly = No
		case p.accept("deferrable"):
			m.Deferrable = Yes
		case p.accept("not", "deferrable"):
			m.Deferrable = No
		default:
			if comma || need && n == 0 {
				p.unexpected()
			}
			return m
		}
	}
	return m
}

func (p *parser) isolation() string {
	for _, level := range [...]string{"read uncommitted", "read committed", "repeatable read", "serializable"} {
		if p.accept(strings.Fields(level)...) {
			return strings.ToUpper(level)
		}
	}
	p.unexpected()
	return ""
}

func (p *parser) discard(pos Pos) Statement {
	w, ok := p.acceptOneOf("all", "plans", "sequences", "temp", "temporary")
	if !ok {
		p.unexpected()
	}
	if w == "temporary" {
		w = "temp"
	}
	return &Discard{Pos: pos, What: strings.ToUpper(w)}
}

func (p *parser) listen(pos Pos) Statement { return &Listen{Pos: pos, Channel: p.name()} }

func (p *parser) unlisten(pos Pos) Statement {
	if p.acceptPunct("*") {
		return &Unlisten{Pos: pos}
	}
	return &Unlisten{Pos: pos, Channel: p.name()}
}

func (p *parser) notify(pos Pos) Statement {
	n := &Notify{Pos: pos, Channel: p.name()}
	if p.acceptPunct(",") {
		n.Payload = p.stringLit()
	}
	return n
}

var lockModes = [...]string{
	"access share", "row share", "row exclusive", "share update exclusive", "share row exclusive", "share", "exclusive",
	"access exclusive",
}

func (p *parser) lock(pos Pos) Statement {
	p.accept("table")
	p.accept("only")
	l := &LockTable{Pos: pos, Names: p.qualifiedNames(), Mode: "ACCESS EXCLUSIVE"}
	if p.accept("in") {
		l.Mode = ""
		for _, m := range lockModes {
			if p.accept(strings.Fields(m)...) {
				l.Mode = strings.ToUpper(m)
				break
			}
		}
		if l.Mode == "" {
			p.unexpected()
		}
		p.expect("mode")
	}
	l.NoWait = p.accept("nowait")
	return l
}

func (p *parser) vacuum(pos Pos) Statement {
	m := &Maintenance{Pos: pos, Command: "VACUUM"}
	p.maintenance(m, "full", "freeze", "verbose", "analyze", "analyse")
	return m
}

func (p *parser) analyze(pos Pos) Statement {
	m := &Maintenance{Pos: pos, Command: "ANALYZE"}
	p.maintenance(m, "verbose")
	return m
}

// reindex parses REINDEX [(options)] kind [CONCURRENTLY] name. How it is done is nobody's business: indexes are always as they should be.
func (p *parser) reindex(pos Pos) Statement {
	if p.isPunct("(") {
		p.optionList()
	}
	kind, ok := p.acceptOneOf("index", "table", "schema", "database", "system")
	if !ok {
		p.unexpected()
		return nil
	}
	p.accept("concurrently")
	return &Maintenance{Pos: pos, Command: "REINDEX " + strings.ToUpper(kind), Tables: []*Name{p.qualifiedName()}}
}

func (p *parser) checkpoint(pos Pos) Statement { return &Maintenance{Pos: pos, Command: "CHECKPOINT"} }

// maintenance parses (options) or bare words, and tables with or without columns.
func (p *parser) maintenance(m *Maintenance, words ...string) {
	if p.isPunct("(") {
		m.Options = p.optionList()
	}
	for p.err == nil {
		pos := p.pos()
		w, ok := p.acceptOneOf(words...)
		if !ok {
			break
		}
		m.Options = addOption(m.Options, pos, w, nil)
	}
	if p.endsStatement(0) {
		return
	}
	p.list(func() {
		m.Tables = append(m.Tables, p.qualifiedName())
		if p.isPunct("(") {
			p.nameList()
		}
	})
}
