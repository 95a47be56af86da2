package planner

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// definitionList is the column definition list of a function in FROM, nil if there is none.
func definitionList(f *sql.TableFunc) []*sql.ColumnDef {
	if f.Alias != nil && len(f.Alias.Defs) > 0 {
		return f.Alias.Defs
	}
	for _, d := range f.Defs {
		if d != nil {
			return d
		}
	}
	return nil
}

// recordKind is json or jsonb for the functions that make rows of JSON objects, whose columns the query declares.
func recordKind(name string) string {
	switch name {
	case "json_to_record", "json_to_recordset":
		return "json"
	case "jsonb_to_record", "jsonb_to_recordset":
		return "jsonb"
	}
	return ""
}

// bindRecords binds jsonb_to_recordset(x) AS t (a int, b text) and its kin (PostgreSQL docs, 9.16): the elements of the array, and of each the
// members by the names of the columns, cast from their text.
func (b *binder) bindRecords(f *sql.TableFunc, defs []*sql.ColumnDef) (Node, *scope, error) {
	call := f.Calls[0]
	kind := recordKind(call.Name)
	switch {
	case kind == "":
		return nil, nil, sqlerr.New(sqlerr.SyntaxError, "a column definition list is only allowed for functions returning \"record\"").
			WithHint("These are json_to_record, jsonb_to_record, json_to_recordset and jsonb_to_recordset.").At(call.Offset())
	case len(f.Calls) > 1:
		return nil, nil, notYet("a column definition list in ROWS FROM with several functions", "they are not put side by side", "a join of the functions", f.Pos)
	}
	inner := *b
	inner.scope, inner.aggs, inner.windows, inner.clause = nil, nil, nil, "functions in FROM"
	xs, _, err := inner.bindArgs(call)
	if err != nil {
		return nil, nil, err
	}
	if len(xs) != 1 {
		return nil, nil, noOverload(call.Name, nil, xs, false, false, call.Pos)
	}
	arg := xs[0]
	if t := arg.Type().Kind; t != types.Unknown && t != types.JSON && t != types.JSONB {
		return nil, nil, noOverload(call.Name, nil, xs, false, false, call.Pos)
	}
	if arg, err = b.coerce(arg, types.Of(types.JSONB), CastExplicit, call.Pos); err != nil {
		return nil, nil, err
	}
	rows := recordRows(call.Name, arg)
	object := recordCall("_pg_record_of(jsonb,text)", &ColumnRef{Typ: types.Of(types.JSONB), Name: "value"}, textConst(call.Name))
	exprs, cols := make([]Expr, len(defs)), make([]Col, len(defs))
	for i, d := range defs {
		if cols[i].Type, err = b.st.resolveType(d.Type); err != nil {
			return nil, nil, err
		}
		cols[i].Name = d.Name
		if exprs[i], err = b.recordColumn(object, d, cols[i].Type); err != nil {
			return nil, nil, err
		}
	}
	n := Node(newProject(rows, exprs, cols))
	if f.Ordinality {
		return nil, nil, notYet("WITH ORDINALITY after a column definition list", "the rows are not numbered", "jsonb_array_elements(...) WITH ORDINALITY", f.Pos)
	}
	name := call.Name
	if f.Alias != nil && f.Alias.Name != "" {
		name = f.Alias.Name
	}
	return n, scopeOf(n, name), nil
}

// recordRows are the rows with the objects in one column.
func recordRows(name string, arg Expr) Node {
	col := []Col{{Name: "value", Type: types.Of(types.JSONB)}}
	if !strings.HasSuffix(name, "set") {
		return newValues([][]Expr{{arg}}, col)
	}
	lateral := anyExpr(arg, func(y Expr) bool { o, ok := y.(*OuterRef); return ok && o.Level == 1 })
	return &FuncScan{P: Props{Cols: col}, Func: findFunc("jsonb_array_elements(jsonb)"), Args: []Expr{arg}, Lateral: lateral}
}

func recordCall(id string, args ...Expr) *Call {
	f := findFunc(id)
	return &Call{Func: f, Args: args, Typ: f.Ret}
}

// recordColumn takes a member of an object: json as it is, anything else by its text as if it were input, JSON's null as NULL.
func (b *binder) recordColumn(object Expr, d *sql.ColumnDef, t types.Type) (Expr, error) {
	text := recordCall("->>(jsonb,text)", object, textConst(d.Name))
	switch t.Kind {
	case types.JSON, types.JSONB:
		member, err := b.coerce(recordCall("->(jsonb,text)", object, textConst(d.Name)), t, CastExplicit, d.Pos)
		return &Case{Whens: []When{{Cond: &IsNull{Arg: text}, Then: nullConst(t)}}, Else: member, Typ: t}, err
	case types.Array, types.Map, types.Struct:
		return nil, notYet("a column of type "+t.String()+" in a column definition list", "JSON is not turned into it",
			"jsonb, and jsonb_array_elements or jsonb_each of it", d.Pos)
	}
	plain := t
	plain.Mod = -1
	x, err := b.coerce(text, plain, CastExplicit, d.Pos)
	if err != nil {
		return nil, err
	}
	return b.coerce(x, t, CastAssignment, d.Pos)
}
