package sql

import (
	"io"
	"regexp"
	"strconv"
	"sync"

	tidb "github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// atomExpr is the "?" of the lowered text in TiDB's tree. TiDB's parser wants a driver that makes value nodes; as the
// lowered text has no literal, parameter markers are the only values.
type atomExpr struct {
	ast.TexprNode
	off int // in the lowered text
}

func init() {
	ast.NewParamMarkerExpr = func(off int) ast.ParamMarkerExpr { return &atomExpr{off: off} }
	ast.NewValueExpr = func(any, string, string) ast.ValueExpr { return &atomExpr{off: -1} }
	refuse := func(string) (any, error) { return nil, sqlerr.New(sqlerr.InternalError, "literal in lowered text") }
	ast.NewDecimal, ast.NewHexLiteral, ast.NewBitLiteral = refuse, refuse, refuse
}

// The methods of ast.ParamMarkerExpr. Nobody calls those that do nothing.
func (a *atomExpr) SetOrder(int)             {}
func (a *atomExpr) SetValue(any)             {}
func (a *atomExpr) GetValue() any            { return nil }
func (a *atomExpr) GetDatumString() string   { return "" }
func (a *atomExpr) GetString() string        { return "" }
func (a *atomExpr) GetProjectionOffset() int { return -1 }
func (a *atomExpr) SetProjectionOffset(int)  {}

func (a *atomExpr) Restore(ctx *format.RestoreCtx) error {
	ctx.WritePlain("?")
	return nil
}

func (a *atomExpr) Accept(v ast.Visitor) (ast.Node, bool) {
	n, _ := v.Enter(a)
	return v.Leave(n)
}

func (a *atomExpr) Format(io.Writer) {}

// tidbParsers holds TiDB's parsers: one of them is not safe for several goroutines, and a new one costs 5 µs.
var tidbParsers = sync.Pool{New: func() any {
	p := tidb.New()
	p.SetSQLMode(mysql.ModeANSIQuotes | mysql.ModePipesAsConcat | mysql.ModeIgnoreSpace | mysql.ModeNoBackslashEscapes)
	return p
}}

// keptTiDBText bounds the text after which a parser is used again: its stack and result stay with it.
const keptTiDBText = 1 << 16

// parseLowered parses "SELECT slot, slot, ..." and returns the trees of the slots.
func parseLowered(lowered string) ([]*ast.SelectField, error) {
	p := tidbParsers.Get().(*tidb.Parser)
	stmts, _, err := p.ParseSQL(lowered)
	if err != nil {
		tidbParsers.Put(p)
		return nil, err
	}
	var fields []*ast.SelectField
	if sel, ok := stmts[0].(*ast.SelectStmt); ok && len(stmts) == 1 {
		fields = sel.Fields.Fields
	}
	if len(lowered) <= keptTiDBText {
		tidbParsers.Put(p)
	}
	return fields, nil
}

var tidbColumn = regexp.MustCompile(`^(?:\[[^\]]*\])?line \d+ column (\d+) `)

// resolve parses the slots of the statement and puts their expressions where they belong.
func (p *parser) resolve() {
	defer p.slots.reset()
	if p.err != nil || len(p.targets) == 0 {
		return
	}
	fields, err := parseLowered(string(p.lowered))
	if err != nil {
		p.refused(err)
		return
	}
	l := lifter{parser: p, results: make([]Expr, 0, len(p.targets))}
	for i, f := range fields {
		e := l.lift(f.Expr)
		if p.err != nil {
			return
		}
		l.results = append(l.results, e)
		if dst := p.targets[i]; dst != nil {
			*dst = e
		}
	}
	l.skipText()
	if l.i != len(p.tape) || len(fields) != len(p.targets) {
		p.failAt(0, sqlerr.InternalError, "%d of %d marks were read in %d slots of %d", l.i, len(p.tape), len(fields), len(p.targets))
	}
}

// refused turns TiDB's error, which gives a column of the lowered text, into one about the user's text.
func (p *parser) refused(err error) {
	m := tidbColumn.FindStringSubmatch(err.Error())
	if m == nil {
		p.failAt(0, sqlerr.InternalError, "the expression parser failed: %w", err)
		return
	}
	col, _ := strconv.Atoi(m[1])
	pos := Pos(0)
	for i := range p.tape {
		if int(p.tape[i].off) >= col {
			break
		}
		pos = p.tape[i].pos
	}
	p.unexpectedAt(pos)
}
