package planner

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// exprPrinter writes expressions. With key set the text tells any two different expressions apart (columns by ordinal, types spelled out);
// without it is what EXPLAIN shows.
type exprPrinter struct {
	b   strings.Builder
	key bool
}

// exprKey is equal for two expressions if and only if they compute the same from the same row.
func exprKey(e Expr) string {
	p := exprPrinter{key: true}
	p.expr(e)
	return p.b.String()
}

func aggKey(a Agg) string {
	p := exprPrinter{key: true}
	p.agg(a)
	return p.b.String()
}

// FormatExpr returns e as EXPLAIN shows it: close to SQL, casts that only adapt a number or a text left out.
func FormatExpr(e Expr) string {
	p := exprPrinter{}
	p.expr(e)
	return p.b.String()
}

func (p *exprPrinter) s(parts ...string) {
	for _, x := range parts {
		p.b.WriteString(x)
	}
}

func (p *exprPrinter) list(es []Expr, sep string) {
	for i, e := range es {
		if i > 0 {
			p.s(sep)
		}
		p.expr(e)
	}
}

func (p *exprPrinter) expr(e Expr) {
	switch x := e.(type) {
	case nil:
		p.s("nil")
	case *Const:
		p.constant(x)
	case *ColumnRef:
		if p.key || x.Name == "" {
			p.s("#", strconv.Itoa(x.Ord))
		} else {
			p.s(quoteName(x.Name))
		}
	case *OuterRef:
		if p.key {
			fmt.Fprintf(&p.b, "^%d.%d", x.Level, x.Ord)
		} else {
			p.s(strings.Repeat("^", x.Level), quoteName(x.Name))
		}
	case *Param:
		p.s("$", strconv.Itoa(x.Index+1))
	case *Call:
		p.call(x)
	case *And:
		p.s("(")
		p.list(x.Args, " AND ")
		p.s(")")
	case *Or:
		p.s("(")
		p.list(x.Args, " OR ")
		p.s(")")
	case *Not:
		p.s("NOT ")
		p.expr(x.Arg)
	case *Case:
		p.s("CASE")
		for _, w := range x.Whens {
			p.s(" WHEN ")
			p.expr(w.Cond)
			p.s(" THEN ")
			p.expr(w.Then)
		}
		if x.Else != nil {
			p.s(" ELSE ")
			p.expr(x.Else)
		}
		p.s(" END")
	case *Coalesce:
		p.s("coalesce(")
		p.list(x.Args, ", ")
		p.s(")")
	case *Cast:
		p.cast(x)
	default:
		p.rest(e)
	}
}

func (p *exprPrinter) rest(e Expr) {
	not := func(b bool) string {
		if b {
			return "NOT "
		}
		return ""
	}
	switch x := e.(type) {
	case *IsNull:
		p.expr(x.Arg)
		p.s(" IS ", not(x.Negated), "NULL")
	case *IsDistinct:
		p.expr(x.Left)
		p.s(" IS ", not(x.Negated), "DISTINCT FROM ")
		p.expr(x.Right)
	case *BoolTest:
		p.expr(x.Arg)
		word := "UNKNOWN"
		if !x.Want.Null {
			word = map[bool]string{true: "TRUE", false: "FALSE"}[x.Want.I != 0]
		}
		p.s(" IS ", not(x.Negated), word)
	case *InList:
		p.expr(x.Arg)
		p.s(" ", not(x.Negated), "IN (")
		p.list(x.List, ", ")
		p.s(")")
	case *ArrayCompare:
		p.expr(x.Left)
		p.s(" ", x.Op.Name, map[bool]string{true: " ALL (", false: " ANY ("}[x.All])
		p.expr(x.Array)
		p.s(")")
	case *ArrayExpr:
		p.s("ARRAY[")
		p.list(x.Elems, ", ")
		p.s("]")
		p.keyType(x.Typ)
	case *RowExpr:
		p.s("ROW(")
		p.list(x.Fields, ", ")
		p.s(")")
		p.keyType(x.Typ)
	case *MapExpr:
		p.s("MAP(")
		for i := range x.Keys {
			if i > 0 {
				p.s(", ")
			}
			p.expr(x.Keys[i])
			p.s(" := ")
			p.expr(x.Values[i])
		}
		p.s(")")
		p.keyType(x.Typ)
	case *Subscript:
		p.expr(x.Arg)
		p.s("[")
		if x.Index != nil {
			p.expr(x.Index)
		}
		if x.Slice {
			p.s(":")
			if x.Upper != nil {
				p.expr(x.Upper)
			}
		}
		p.s("]")
	case *FieldRef:
		p.s("(")
		p.expr(x.Arg)
		p.s(").")
		if fs := x.Arg.Type().Fields; x.Field < len(fs) && !p.key {
			p.s(quoteName(fs[x.Field].Name))
		} else {
			p.s(strconv.Itoa(x.Field))
		}
	case *Subquery:
		p.subquery(x)
	case *LambdaParam:
		p.s(quoteName(x.Name))
		if p.key {
			p.s("#", strconv.Itoa(x.Slot))
		}
	case *HigherOrder:
		p.higherOrder(x)
	case *groupingRef:
		p.s("GROUPING(")
		p.list(x.args, ", ")
		p.s(")")
	case *aggRef:
		fmt.Fprintf(&p.b, "agg#%d", x.idx)
	case *windowRef:
		fmt.Fprintf(&p.b, "window %p", x.spec)
		p.agg(x.call)
	case *windowBound:
		p.s(map[bool]string{true: "windowend", false: "windowstart"}[x.end])
	default:
		fmt.Fprintf(&p.b, "%T", e)
	}
}

func (p *exprPrinter) keyType(t types.Type) {
	if p.key {
		p.s("::", t.String())
	}
}

func (p *exprPrinter) constant(c *Const) {
	if c.Val.Null {
		p.s("NULL")
		p.keyType(c.Typ)
		return
	}
	if p.key && c.Typ.Kind == types.Unknown {
		p.s(strconv.Quote(c.Val.S), "?")
		return
	}
	text := types.FormatText(c.Typ, c.Val, nil)
	switch c.Typ.Kind {
	case types.Bool:
		text = map[bool]string{true: "true", false: "false"}[c.Val.I != 0]
	case types.Int2, types.Int4, types.Int8, types.Float4, types.Float8, types.Numeric, types.OID:
	default:
		text = "'" + strings.ReplaceAll(text, "'", "''") + "'"
		if k := c.Typ.Kind; !p.key && !isString(k) && k != types.Unknown {
			text += "::" + c.Typ.String()
		}
	}
	p.s(text)
	p.keyType(c.Typ)
}

func (p *exprPrinter) call(x *Call) {
	if !x.Func.IsOperator() {
		p.s(x.Func.Name, "(")
		p.list(x.Args, ", ")
		p.s(")")
	} else if len(x.Args) == 1 {
		p.s("(", x.Func.Name)
		p.expr(x.Args[0])
		p.s(")")
	} else {
		p.s("(")
		p.expr(x.Args[0])
		p.s(" ", x.Func.Name, " ")
		p.expr(x.Args[1])
		p.s(")")
	}
	if p.key {
		p.s("@", x.Func.ID())
	}
}

func (p *exprPrinter) cast(x *Cast) {
	from := x.Arg.Type()
	if !p.key && !x.Explicit && from.Kind.Category() == x.To.Kind.Category() {
		p.expr(x.Arg)
		return
	}
	p.expr(x.Arg)
	p.s("::", x.To.String())
}

func (p *exprPrinter) subquery(x *Subquery) {
	words := map[SubqueryKind]string{SubqueryScalar: "", SubqueryExists: "EXISTS ", SubqueryAny: "ANY ", SubqueryAll: "ALL ", SubqueryArray: "ARRAY"}
	if x.Negated {
		p.s("NOT ")
	}
	for i, l := range x.Left {
		p.expr(l)
		p.s(" ", x.Op[i].Name, " ")
	}
	p.s(words[x.Kind])
	if p.key {
		fmt.Fprintf(&p.b, "(%p)", x.Plan)
		return
	}
	p.s("(subquery)")
}

func (p *exprPrinter) agg(a Agg) {
	p.s(a.Func.Name, "(")
	if a.Distinct {
		p.s("DISTINCT ")
	}
	if len(a.Args) == 0 && a.Func.Name == "count" {
		p.s("*")
	}
	p.list(a.Args, ", ")
	if len(a.OrderBy) > 0 {
		if a.Func.Kind == OrderedSetFunc {
			p.s(") WITHIN GROUP (ORDER BY ")
		} else {
			p.s(" ORDER BY ")
		}
		p.sortKeys(a.OrderBy)
	}
	if a.Arrival {
		p.s(" as they come")
	}
	p.s(")")
	if a.Filter != nil {
		p.s(" FILTER (WHERE ")
		p.expr(a.Filter)
		p.s(")")
	}
	if p.key {
		p.s("@", a.Func.ID())
	}
}

func (p *exprPrinter) sortKeys(ks []SortKey) {
	for i, k := range ks {
		if i > 0 {
			p.s(", ")
		}
		p.expr(k.Expr)
		if k.Desc {
			p.s(" DESC")
		}
		if k.NullsFirst != k.Desc {
			p.s(map[bool]string{true: " NULLS FIRST", false: " NULLS LAST"}[k.NullsFirst])
		}
	}
}

// quoteName quotes a name that would not read back as itself.
func quoteName(s string) string {
	plain := s != ""
	for i, c := range []byte(s) {
		word := c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9'
		plain = plain && word
	}
	if plain || s == "?column?" {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

func (p *exprPrinter) higherOrder(x *HigherOrder) {
	p.s(x.Name, "(")
	p.expr(x.Arg)
	if x.Init != nil {
		p.s(", ")
		p.expr(x.Init)
	}
	for _, l := range x.Lambdas {
		p.s(", (")
		for i, param := range l.Params {
			if i > 0 {
				p.s(", ")
			}
			p.s(quoteName(param.Name))
		}
		p.s(") => ")
		p.expr(l.Body)
	}
	p.s(")")
}
