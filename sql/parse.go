package sql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Dialect chooses how unquoted names fold and which quotes names may have.
type Dialect int8

const (
	// Millrace folds to lower case, as PostgreSQL does.
	Millrace Dialect = iota
	// KSQL folds names of objects and columns to upper case and takes `x` for a quoted name. Functions, built-in types,
	// options and settings are lower case there too.
	KSQL
)

const (
	// DefaultMaxStatement bounds the text given to Parse, in bytes.
	DefaultMaxStatement = 16 << 20
	// maxDepth bounds how deep parentheses, subqueries and types may nest.
	maxDepth = 1000
	// maxHeight bounds the height of a tree, so that whoever walks it may recurse.
	maxHeight = 5000
	// maxLogic bounds a chain of AND and OR: TiDB's parser walks its tree, which is as high as the chain is long.
	maxLogic = 50000
	// maxParam is the largest parameter number: the protocol counts parameters in 16 bits.
	maxParam = math.MaxUint16
	// maxSwitches bounds how often SET dialect may change how one text is read: each time its rest is lexed again.
	maxSwitches = 100
	// keptTokens bounds the token buffer that a pooled parser keeps.
	keptTokens = 1 << 14
)

// Options changes what Parse accepts. The zero value is PostgreSQL's folding and the default limit.
type Options struct {
	Dialect Dialect
	// MaxStatement bounds the text in bytes; 0 means DefaultMaxStatement, more than 1 GiB is cut to it.
	MaxStatement int
}

// Parsed is one statement of a text.
type Parsed struct {
	Statement Statement
	// Text is the statement's own text, without the semicolon, blanks and comments around it. It shares the memory of the
	// text given to Parse.
	Text string
	// Start is the byte offset of Text. Positions in the tree and in errors count from the start of the whole text.
	Start int
	// Params is the highest parameter number used, 0 without parameters.
	Params int
}

// Parse splits text at semicolons and parses every statement; empty statements are left out, so the result may be empty.
// What follows SET dialect is read in that dialect.
// A syntax error anywhere refuses the whole text, as in PostgreSQL. Errors are *sqlerr.Error: 42601 with the position,
// 54000 for a text that is too large, 54001 for one that is nested too deeply, 22021 for bytes that are not UTF-8.
func Parse(text string, opts Options) ([]Parsed, error) {
	var out []Parsed
	err := run(text, opts, func(p *parser) {
		for {
			for p.acceptPunct(";") {
			}
			if p.tok().kind == tokEOF {
				return
			}
			out = append(out, p.one())
			if !p.isPunct(";") && p.tok().kind != tokEOF {
				p.unexpected()
			}
			if d, ok := setsDialect(out[len(out)-1].Statement); ok && p.err == nil && (d == KSQL) != p.ksql {
				p.readAs(d)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ParseOne parses a text that must hold exactly one statement, which extended protocol's Parse message asks for: with
// none Statement is nil, with several the error is 42601 as in PostgreSQL.
func ParseOne(text string, opts Options) (Parsed, error) {
	all, err := Parse(text, opts)
	switch {
	case err != nil || len(all) == 0:
		return Parsed{}, err
	case len(all) > 1:
		return Parsed{}, sqlerr.New(sqlerr.SyntaxError, "cannot insert multiple commands into a prepared statement")
	}
	return all[0], nil
}

// ParseExpr parses one scalar expression: a stored default, a key of an index.
func ParseExpr(text string, opts Options) (Expr, error) {
	var e Expr
	err := run(text, opts, func(p *parser) {
		p.exprTo(&e)
		p.expectEnd()
		p.resolve()
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

var parsers = sync.Pool{New: func() any { return new(parser) }}

// run lexes text and hands a parser at its first token to f. A panic below is an internal error, and drops the parser.
func run(text string, opts Options, f func(*parser)) (err error) {
	limit := opts.MaxStatement
	if limit <= 0 {
		limit = DefaultMaxStatement
	}
	if limit = min(limit, 1<<30); len(text) > limit {
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "statement of %d bytes is larger than the limit of %d bytes", len(text), limit)
	}
	defer func() {
		if r := recover(); r != nil {
			err = sqlerr.New(sqlerr.InternalError, "the parser failed: %v", r)
		}
	}()
	p := parsers.Get().(*parser)
	p.reset(text, opts.Dialect)
	p.lex(0)
	f(p)
	parseErr := p.err
	if parseErr == nil {
		parseErr = p.lexErr
	}
	p.reset("", Millrace)
	parsers.Put(p)
	if parseErr != nil {
		return parseErr
	}
	return nil
}

// parser is a cursor over the tokens of one text. Errors are sticky: the first one is kept and moves the cursor to the
// end, where nothing is accepted any more, so that callers need not look after every step.
type parser struct {
	src    string
	ksql   bool
	toks   []token
	i      int
	err    *sqlerr.Error
	lexErr *sqlerr.Error
	depth  int // of recursion
	height int // of the highest tree parsed since it was last set to 0
	params int
	// switches counts the changes of dialect in the text.
	switches int
	slots
}

func (p *parser) reset(src string, d Dialect) {
	toks := p.toks
	if cap(toks) > keptTokens {
		toks = nil
	}
	s := p.slots
	s.reset()
	*p = parser{src: src, ksql: d == KSQL, toks: toks, slots: s}
}

// lex reads the text from a byte offset and puts the cursor on its first token.
func (p *parser) lex(at int) {
	p.i = 0
	if p.toks, p.lexErr = lex(p.src, at, p.toks[:0], p.ksql); p.lexErr != nil {
		// What stands before the token at fault may hold an earlier syntax error, which PostgreSQL would find first.
		p.toks = append(p.toks, token{kind: tokEOF, pos: int32(len(p.src)), end: int32(len(p.src)), match: -1})
	}
}

// readAs has the rest of the text read in another dialect.
func (p *parser) readAs(d Dialect) {
	if p.switches++; p.switches > maxSwitches {
		p.failAt(p.pos(), sqlerr.StatementTooComplex, "one text changes its dialect more than %d times", maxSwitches)
		return
	}
	p.ksql = d == KSQL
	p.lex(int(p.pos()))
}

// DialectOf is the dialect of a setting's value; ok is false if there is none of that name.
func DialectOf(setting string) (d Dialect, ok bool) {
	switch strings.ToLower(setting) {
	case "millrace":
		return Millrace, true
	case "ksql":
		return KSQL, true
	}
	return Millrace, false
}

// setsDialect reports whether a statement is SET dialect, and which.
func setsDialect(s Statement) (Dialect, bool) {
	set, ok := s.(*Set)
	if !ok || !strings.EqualFold(set.Name, "dialect") || len(set.Values) != 1 {
		return Millrace, false
	}
	return DialectOf(set.Values[0].Text)
}

// one parses one statement and its slots.
func (p *parser) one() Parsed {
	first := p.tok()
	p.params, p.height = 0, 0
	s := p.statement()
	p.resolve()
	if p.err != nil {
		return Parsed{}
	}
	last := &p.toks[p.i-1]
	return Parsed{Statement: s, Text: p.src[first.pos:last.end], Start: int(first.pos), Params: p.params}
}

// enter counts one level of nesting and reports whether it is allowed; leave takes it back.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.failAt(p.pos(), sqlerr.StatementTooComplex, "statement is nested more than %d levels deep", maxDepth)
		return false
	}
	return p.err == nil
}

func (p *parser) leave() { p.depth-- }

// raise makes the tree that is being built n levels higher.
func (p *parser) raise(n int) {
	p.height += n
	if p.height > maxHeight {
		p.failAt(p.pos(), sqlerr.StatementTooComplex, "expression or query has more than %d levels", maxHeight)
	}
}

func (p *parser) tok() *token { return &p.toks[p.i] }

// peek returns the token n places ahead, the last one beyond the end.
func (p *parser) peek(n int) *token { return &p.toks[min(p.i+n, len(p.toks)-1)] }

// pos is the position of the current token.
func (p *parser) pos() Pos { return Pos(p.tok().pos) }

func (p *parser) next() *token {
	t := p.tok()
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

func (p *parser) isWord(w string) bool { return p.tok().isWord(p.src, w) }

// isWords reports whether the next tokens are these words.
func (p *parser) isWords(words ...string) bool {
	for n, w := range words {
		if !p.peek(n).isWord(p.src, w) {
			return false
		}
	}
	return true
}

// isOneOf reports whether the current token is one of the words, and which.
func (p *parser) isOneOf(words ...string) (string, bool) {
	for _, w := range words {
		if p.isWord(w) {
			return w, true
		}
	}
	return "", false
}

// accept takes the words if all of them come next.
func (p *parser) accept(words ...string) bool {
	if !p.isWords(words...) {
		return false
	}
	p.i += len(words)
	return true
}

// acceptOneOf takes one of the words.
func (p *parser) acceptOneOf(words ...string) (string, bool) {
	w, ok := p.isOneOf(words...)
	if ok {
		p.i++
	}
	return w, ok
}

// expect takes the words, one after the other.
func (p *parser) expect(words ...string) {
	for _, w := range words {
		if !p.accept(w) {
			p.unexpected()
			return
		}
	}
}

func (p *parser) isPunct(s string) bool { return p.tok().is(p.src, s) }

func (p *parser) acceptPunct(s string) bool {
	if !p.isPunct(s) {
		return false
	}
	p.i++
	return true
}

func (p *parser) expectPunct(s string) {
	if !p.acceptPunct(s) {
		p.unexpected()
	}
}

func (p *parser) expectEnd() {
	for p.acceptPunct(";") {
	}
	if p.tok().kind != tokEOF {
		p.unexpected()
	}
}

// endsStatement reports whether the token n places ahead ends the statement.
func (p *parser) endsStatement(n int) bool {
	t := p.peek(n)
	return t.kind == tokEOF || t.is(p.src, ";")
}

// failAt keeps the first error and ends the parse.
func (p *parser) failAt(pos Pos, code sqlerr.Code, format string, args ...any) *sqlerr.Error {
	if p.err == nil {
		p.err = sqlerr.New(code, format, args...).At(pos.Offset())
	}
	p.i = len(p.toks) - 1
	return p.err
}

// unexpected is a syntax error at the current token.
func (p *parser) unexpected() *sqlerr.Error { return p.unexpectedAt(p.pos()) }

// unexpectedAt is PostgreSQL's syntax error at the token that begins at pos.
func (p *parser) unexpectedAt(pos Pos) *sqlerr.Error {
	if p.err != nil {
		return p.err
	}
	for i := range p.toks {
		if t := &p.toks[i]; t.pos == int32(pos) && t.kind != tokEOF {
			return p.failAt(pos, sqlerr.SyntaxError, "syntax error at or near \"%s\"", clip(t.text(p.src)))
		}
	}
	if p.lexErr != nil {
		p.err = p.lexErr
	}
	return p.failAt(Pos(len(p.src)), sqlerr.SyntaxError, "syntax error at end of input")
}

// unsupported is an error for syntax that is known and refused.
func (p *parser) unsupported(pos Pos, format string, args ...any) *sqlerr.Error {
	return p.failAt(pos, sqlerr.FeatureNotSupported, "%s", fmt.Sprintf(format, args...))
}

// lexed passes on the error of a token's value.
func (p *parser) lexed(s string, err *sqlerr.Error) string {
	if err != nil && p.err == nil {
		p.err = err
		p.i = len(p.toks) - 1
	}
	return s
}

// list parses one or more items parted by commas.
func (p *parser) list(item func()) {
	for {
		item()
		if p.err != nil || !p.acceptPunct(",") {
			return
		}
	}
}

// inParens parses ( items ) with at least one item.
func (p *parser) inParens(item func()) {
	p.expectPunct("(")
	p.list(item)
	p.expectPunct(")")
}

// integer takes an integer literal of at most 63 bits.
func (p *parser) integer() int64 {
	t := p.tok()
	if t.kind != tokInteger {
		p.unexpected()
		return 0
	}
	n, err := strconv.ParseInt(t.text(p.src), 10, 64)
	if err != nil {
		p.failAt(p.pos(), sqlerr.NumericValueOutOfRange, "value %q is out of range for type bigint", clip(t.text(p.src)))
		return 0
	}
	p.next()
	return n
}

// signedInteger takes an integer literal with or without a sign.
func (p *parser) signedInteger() int64 {
	if p.acceptPunct("-") {
		return -p.integer()
	}
	p.acceptPunct("+")
	return p.integer()
}
