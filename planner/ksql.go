package planner

import (
	"strings"

	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// What the dialect ksql changes in the meaning of a statement is gathered here: ksqlDB's names, its two-valued comparisons, event time in
// milliseconds, groups without NULL, and its defaults of grace and retention (ksqlDB reference). The dialect of a view or a stored query
// is that of the statement that made it.

// dayMs is what ksqlDB's default graces are taken from.
const dayMs = 86_400_000

func (b *binder) ksql() bool { return b.st.p.Settings.KSQL }

// lookupFolded looks for names in lower case where upper case finds nothing: columns of system tables, and of relations that were made in the
// other dialect.
func (b *binder) lookupFolded(ref *sql.ColumnRef) (Expr, error) {
	n := min(len(ref.Parts), 4)
	for mask := 1; mask < 1<<n; mask++ {
		parts := append([]string(nil), ref.Parts...)
		for i := range n {
			if mask&(1<<i) != 0 {
				parts[i] = strings.ToLower(parts[i])
			}
		}
		if x, err := b.lookupParts(parts, ref.Pos); x != nil || err != nil {
			return x, err
		}
	}
	return nil, nil
}

// ksqlScan gives the columns of time of a scan ksqlDB's names and type: ROWTIME, WINDOWSTART and WINDOWEND are milliseconds since 1970.
func ksqlScan(rel *Relation, sc *scope) {
	for i := range sc.cols {
		c := &sc.cols[i]
		ref, _ := c.expr.(*ColumnRef)
		name := strings.ToUpper(c.name)
		pseudo := ref == nil || ref.Ord >= len(rel.Columns)
		bound := !pseudo && rel.WindowBound(ref.Ord) != "" && ref.Typ.Kind == types.TimestampTZ
		if !pseudo && !bound || rel.column(name) >= 0 {
			continue
		}
		if c.name = name; bound || name == "ROWTIME" || name == "WINDOWEND" {
			c.expr, c.base = millis(c.expr), Col{}
		}
	}
}

// millis is a point in time as milliseconds since 1970.
func millis(e Expr) Expr {
	return &Call{Func: findFunc("unix_timestamp(timestamptz)"), Args: []Expr{e}, Typ: types.Of(types.Int8)}
}

// isMillis returns the point in time that e gives the milliseconds of.
func isMillis(e Expr) (Expr, bool) {
	c, ok := e.(*Call)
	if !ok || c.Func.Name != "unix_timestamp" || len(c.Args) != 1 {
		return nil, false
	}
	return c.Args[0], true
}

// twoValued makes NULL FALSE: ksqlDB's comparisons know no third value.
func (b *binder) twoValued(x Expr, err error) (Expr, error) {
	if err != nil || !b.ksql() || x.Type().Kind != types.Bool {
		return x, err
	}
	return &BoolTest{Arg: x, Want: types.BoolDatum(true)}, nil
}

// comparisons are the operators that give FALSE, not NULL, for a NULL.
var comparisons = map[string]bool{
	"=": true, "<>": true, "<": true, "<=": true, ">": true, ">=": true, "~~": true, "!~~": true, "~~*": true, "!~~*": true, "~": true, "!~": true,
}

// compare is operatorExpr under the rules of the dialect.
func (b *binder) compare(op string, l, r Expr, pos sql.Pos) (Expr, error) {
	if !b.ksql() || !comparisons[op] {
		return b.operatorExpr(op, l, r, pos)
	}
	l, r, err := b.compareTimes(l, r, pos)
	if err != nil {
		return nil, err
	}
	return b.twoValued(b.operatorExpr(op, l, r, pos))
}

// compareTimes lets ROWTIME, WINDOWSTART and WINDOWEND be compared with texts, and compares them with whole milliseconds as points in time, by
// which rows can be found.
func (b *binder) compareTimes(l, r Expr, pos sql.Pos) (Expr, Expr, error) {
	if _, ok := isMillis(l); !ok {
		if _, ok := isMillis(r); !ok {
			return l, r, nil
		}
		r, l, err := b.compareTimes(r, l, pos)
		return l, r, err
	}
	at, _ := isMillis(l)
	c, ok := r.(*Const)
	switch {
	case !ok || c.Val.Null:
		return l, r, nil
	case c.Typ.Kind == types.Unknown || isString(c.Typ.Kind):
		if _, err := types.ParseText(types.Of(types.Int8), c.Val.S, nil); err == nil {
			return l, r, nil
		}
		x, err := b.coerce(&Const{types.Of(types.Unknown), c.Val}, types.Of(types.TimestampTZ), CastImplicit, pos)
		return at, x, err
	case c.Typ.Kind == types.Int4 || c.Typ.Kind == types.Int8:
		if ms := c.Val.I; ms > -maxEventMs && ms < maxEventMs {
			return at, &Const{types.Of(types.TimestampTZ), types.IntDatum(ms * 1000)}, nil
		}
	}
	return l, r, nil
}

// maxEventMs bounds the times that are compared as points in time: the year 33658.
const maxEventMs = 1_000_000_000_000_000

// holds simplifies a condition that is only asked whether it is TRUE: there NULL is as good as FALSE.
func holds(cond Expr) Expr {
	switch x := cond.(type) {
	case *BoolTest:
		if !x.Negated && !x.Want.Null && x.Want.I != 0 {
			return holds(x.Arg)
		}
	case *And:
		return &And{allHold(x.Args)}
	case *Or:
		return &Or{allHold(x.Args)}
	}
	return cond
}

func allHold(conds []Expr) []Expr {
	out := make([]Expr, len(conds))
	for i, c := range conds {
		out[i] = holds(c)
	}
	return out
}

// dropNullGroups leaves out rows of which a grouping expression is NULL, as ksqlDB does.
func (s *selectBlock) dropNullGroups() {
	if !s.b.ksql() || s.group.sets != nil {
		return
	}
	var known []Expr
	for _, k := range s.group.exprs {
		known = append(known, &IsNull{k, true})
	}
	s.node = newFilter(s.node, conjunction(known))
}

// ksqlName is ksqlDB's name of a column without AS: that of a column or field as it is, KSQL_COL_n for expressions, n counting them from 0.
func ksqlName(e sql.Expr, before []selectTarget) string {
	switch e := e.(type) {
	case *sql.ColumnRef:
		return e.Parts[len(e.Parts)-1]
	case *sql.FieldSelect:
		return e.Field
	}
	n := 0
	for _, t := range before {
		if strings.HasPrefix(t.col.Name, "KSQL_COL_") {
			n++
		}
	}
	return "KSQL_COL_" + itoa(n)
}

// ksqlDefaults are ksqlDB's grace, and its retention of windows in a table, where none was written.
func (w *WindowSpec) ksqlDefaults() {
	if w.GraceMs < 0 {
		w.GraceMs = max(dayMs-w.SizeMs, 0)
	}
}

// ksqlRetention is how long ksqlDB keeps a window that has closed, where none was written.
func (w *WindowSpec) ksqlRetention() {
	if w.RetentionMs == 0 {
		w.RetentionMs = w.SizeMs + w.GraceMs
	}
}

// starName is the name of a column of * in ksqlDB: in a join it has the name of its side in front.
func (s *scope) starName(c *scopeCol) string {
	if len(s.tabs) < 2 || c.tab == nil || c.tab.name == "" {
		return c.name
	}
	return c.tab.name + "_" + c.name
}

// defaultGrace is that of a join of streams where none was written.
func (w *Within) defaultGrace() int64 { return max(dayMs-w.BeforeMs-w.AfterMs, 0) }

// rowtimeGiven takes the milliseconds that a statement gives for ROWTIME.
func (b *binder) rowtimeGiven(x Expr, pos sql.Pos) (Expr, error) {
	if k := x.Type().Kind; !b.ksql() || k != types.Int4 && k != types.Int8 {
		return x, nil
	}
	call, err := b.callOverload("from_unixtime", registry["from_unixtime"], []Expr{x}, pos, false)
	if err != nil {
		return nil, err
	}
	return call, nil
}

// roundDouble is ROUND or TRUNC of a DOUBLE to a number of decimals, which PostgreSQL has for numeric alone.
func (b *binder) roundDouble(e *sql.FuncCall, xs []Expr) (Expr, error) {
	x, err := b.coerce(xs[0], types.Of(types.Numeric), CastExplicit, e.Pos)
	if err != nil {
		return nil, err
	}
	call, err := b.callOverload(e.Name, overloads(e.Name, ScalarFunc), []Expr{x, xs[1]}, e.Pos, false)
	if err != nil {
		return nil, err
	}
	return b.coerce(call, types.Of(types.Float8), CastExplicit, e.Pos)
}
