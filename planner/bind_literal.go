package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

func unknownConst(s string) *Const { return &Const{types.Of(types.Unknown), types.BytesDatum(s)} }
func textConst(s string) *Const    { return &Const{types.Of(types.Text), types.BytesDatum(s)} }
func boolConst(v bool) *Const      { return &Const{types.Of(types.Bool), types.BoolDatum(v)} }
func nullConst(t types.Type) *Const {
	return &Const{t, types.NullDatum}
}

func (b *binder) bindLiteral(l *sql.Literal, negative bool) (Expr, error) {
	text := l.Text
	if negative {
		text = "-" + text
	}
	switch l.Kind {
	case sql.NullLiteral:
		return nullConst(types.Of(types.Unknown)), nil
	case sql.BoolLiteral:
		return boolConst(l.Text == "true"), nil
	case sql.IntegerLiteral:
		for _, k := range []types.Kind{types.Int4, types.Int8} {
			if d, err := types.ParseText(types.Of(k), text, nil); err == nil {
				return &Const{types.Of(k), d}, nil
			}
		}
		return b.parseConst(text, types.Of(types.Numeric), l.Pos)
	case sql.DecimalLiteral:
		return b.parseConst(text, types.Of(types.Numeric), l.Pos)
	case sql.HexLiteral:
		return b.parseConst(`\x`+l.Text, types.Of(types.Bytea), l.Pos)
	case sql.StringLiteral:
		return unknownConst(l.Text), nil
	}
	return nil, sqlerr.New(sqlerr.FeatureNotSupported, "bit strings are not supported").WithHint("Use BYTEA: '\\x1f' or X'1F'.").At(l.Offset())
}

func (b *binder) parseConst(text string, t types.Type, pos sql.Pos) (Expr, error) {
	d, err := types.ParseText(t, text, b.st.p.Settings.Text)
	if err != nil {
		return nil, sqlerr.From(err).At(pos.Offset())
	}
	return &Const{t, d}, nil
}

func (b *binder) bindParam(e *sql.Param) (Expr, error) {
	const maxParams = 65535 // an Int16 count on the wire
	if e.N < 1 || e.N > maxParams {
		return nil, sqlerr.New(sqlerr.UndefinedParameter, "there is no parameter $%d", e.N).At(e.Offset())
	}
	b.st.growParams(e.N - 1)
	p := &Param{Index: e.N - 1, Typ: b.st.params[e.N-1]}
	b.st.refs[e.N-1] = append(b.st.refs[e.N-1], p)
	return p, nil
}

func (b *binder) bindSpecial(e *sql.SpecialValue) (Expr, error) {
	name := e.Name
	if name == "current_timestamp" {
		name = "now"
	}
	x, err := b.callNamed(name, nil, e.Pos)
	if err != nil || e.Precision < 0 {
		return x, err
	}
	t := x.Type()
	t.Mod = int32(e.Precision)
	return &Cast{x, t, true}, nil
}
