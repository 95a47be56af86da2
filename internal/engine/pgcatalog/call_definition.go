package pgcatalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// definitionCalls print objects as SQL (PostgreSQL docs, chapter 9.26.4, "System Catalog Information Functions").
var definitionCalls = map[string]callFunc{
	"format_type(oid,int4)":      formatType,
	"pg_get_userbyid(oid)":       ofOID(userByOID),
	"pg_get_expr(text,oid)":      exprText,
	"pg_get_expr(text,oid,bool)": exprText,

	"pg_get_constraintdef(oid)":      ofOID(constraintDef),
	"pg_get_constraintdef(oid,bool)": ofOID(constraintDef),
	"pg_get_indexdef(oid)":           indexDef,
	"pg_get_indexdef(oid,int4,bool)": indexDef,

	"pg_get_viewdef(oid)":      ofOID(viewDef),
	"pg_get_viewdef(oid,bool)": ofOID(viewDef),
	"pg_get_viewdef(oid,int4)": ofOID(viewDef),
	"pg_get_viewdef(text)": func(c *catalog, a []types.Datum) (types.Datum, error) {
		o, err := c.regOID(types.Regclass, a[0].S)
		if err != nil {
			return types.NullDatum, err
		}
		return viewDef(c, o), nil
	},

	"pg_get_functiondef(oid)":                 ofOID(functionDef),
	"pg_get_function_arguments(oid)":          ofOID(ofFunc(argumentList)),
	"pg_get_function_identity_arguments(oid)": ofOID(ofFunc(argumentList)),
	"pg_get_function_result(oid)":             ofOID(ofFunc(resultText)),

	"pg_indexam_has_property(oid,text)": func(_ *catalog, a []types.Datum) (types.Datum, error) {
		return flag(slices.Contains([]string{"can_order", "can_unique", "can_multi_col"}, a[1].S)), nil
	},

	// Millrace has no such objects.
	"pg_get_function_sqlbody(oid)":         always(types.NullDatum),
	"pg_get_ruledef(oid)":                  always(types.NullDatum),
	"pg_get_ruledef(oid,bool)":             always(types.NullDatum),
	"pg_get_triggerdef(oid)":               always(types.NullDatum),
	"pg_get_triggerdef(oid,bool)":          always(types.NullDatum),
	"pg_get_statisticsobjdef(oid)":         always(types.NullDatum),
	"pg_get_statisticsobjdef_columns(oid)": always(types.NullDatum),
	"pg_get_partkeydef(oid)":               always(types.NullDatum),
	"pg_get_partition_constraintdef(oid)":  always(types.NullDatum),

	"obj_description(oid)":        ofOID(relationComment),
	"obj_description(oid,name)":   objDescription,
	"col_description(oid,int4)":   columnComment,
	"shobj_description(oid,name)": roleComment,
}

// formatType prints a type by OID and modifier.
func formatType(c *catalog, args []types.Datum) (types.Datum, error) {
	if args[0].Null {
		return types.NullDatum, nil
	}
	mod := int32(-1)
	if !args[1].Null {
		mod = int32(args[1].I)
	}
	for _, u := range c.w.Types() {
		if u.OID == uint32(args[0].I) {
			return text(c.typeName(u)), nil
		}
	}
	return text(c.typeText(uint32(args[0].I), mod)), nil
}

// typeName is the name of a user's type, with its schema where the bare name would not find it.
func (c *catalog) typeName(u UserType) string {
	if c.typeVisible(u) {
		return sql.QuoteIdent(u.Name)
	}
	return sql.QuoteIdent(u.Schema) + "." + sql.QuoteIdent(u.Name)
}

func (c *catalog) typeText(o uint32, mod int32) string {
	if o == 0 {
		return "-"
	}
	t, ok := c.typeByOID(o)
	if !ok {
		return "???"
	}
	if t.Kind == types.Array {
		elem := *t.Elem
		elem.Mod = mod
		t.Elem = &elem
	} else {
		t.Mod = mod
	}
	return t.String()
}

func userByOID(c *catalog, o uint32) types.Datum {
	if r, ok := c.roleByOID(o); ok {
		return text(r.Name)
	}
	return text("unknown (OID=" + strconv.FormatUint(uint64(o), 10) + ")")
}

// exprText prints an expression of a catalog, which is text here already.
func exprText(c *catalog, args []types.Datum) (types.Datum, error) {
	return text(c.qualifyExpr(args[0].S)), nil
}

// constraintDef prints a constraint.
func constraintDef(c *catalog, o uint32) types.Datum {
	if k, ok := c.checkByOID(o); ok {
		return text("CHECK ((" + c.qualifyExpr(k.Text) + "))")
	}
	r, ix, ok := c.classByOID(o)
	if !ok || ix == nil || ix.constraint == 0 {
		return types.NullDatum
	}
	return text(ix.word() + " (" + r.columnList(*ix) + ")")
}

// indexDef prints an index, or one of its columns if a number is given. The pretty form leaves out the schema of a visible table.
func indexDef(c *catalog, args []types.Datum) (types.Datum, error) {
	r, ix, ok := c.classByOID(uint32(args[0].I))
	if !ok || ix == nil {
		return types.NullDatum, nil
	}
	pretty := false
	if len(args) == 3 {
		pretty = args[2].I != 0
		if n := args[1].I; n != 0 {
			if n > 0 && n <= int64(len(ix.cols)) {
				return text(sql.QuoteIdent(r.Columns[ix.cols[n-1]].Name)), nil
			}
			return text(""), nil
		}
	}
	return text(r.indexText(*ix, !pretty || !c.visible(r.Relation))), nil
}

// viewDef prints the query behind a view or behind the result of a persistent query. A stream without a query shows the statement that
// made it: clients see it as a view, and that is what defines it.
func viewDef(c *catalog, o uint32) types.Datum {
	r, ix, ok := c.classByOID(o)
	if !ok || ix != nil || r.kind == 'r' || r.Kind == planner.Virtual {
		return types.NullDatum
	}
	if r.Kind == planner.View {
		return text(" " + c.qualifyView(r) + ";")
	}
	return text(" " + definition(r) + ";")
}

func definition(r relation) string {
	if r.Kind == planner.View {
		return r.ViewText
	}
	def := strings.TrimRight(strings.TrimSpace(r.Definition), "; \n\t")
	parsed, err := sql.ParseOne(def, sql.Options{})
	if err != nil {
		return def // the text says more than nothing
	}
	if create, ok := parsed.Statement.(*sql.CreateRelation); ok && create.Query != nil {
		return sql.String(create.Query)
	}
	return def
}

// functionDef prints the head of a function. All are built in, so there is no body to show.
func functionDef(_ *catalog, o uint32) types.Datum {
	p := procs().byOID[o]
	if p == nil || p.f == nil {
		return types.NullDatum
	}
	return text("CREATE OR REPLACE FUNCTION pg_catalog." + sql.QuoteIdent(p.name) + "(" + argumentList(p.f) + ")\n RETURNS " + resultText(p.f) +
		"\n LANGUAGE internal\nAS $function$" + p.name + "$function$\n")
}

// ofFunc makes a function of a signature one of an OID.
func ofFunc(print func(*planner.Func) string) func(*catalog, uint32) types.Datum {
	return func(_ *catalog, o uint32) types.Datum {
		p := procs().byOID[o]
		switch {
		case p == nil:
			return types.NullDatum
		case p.f == nil:
			return text("")
		default:
			return text(print(p.f))
		}
	}
}

func columnComment(c *catalog, args []types.Datum) (types.Datum, error) {
	r, ok := c.relationByOID(uint32(args[0].I))
	if n := args[1].I; ok && n >= 1 && n <= int64(len(r.Columns)) {
		return optional(r.Columns[n-1].Comment), nil
	}
	return types.NullDatum, nil
}

func roleComment(c *catalog, args []types.Datum) (types.Datum, error) {
	if r, ok := c.roleByOID(uint32(args[0].I)); ok && args[1].S == "pg_authid" {
		return optional(r.Comment), nil
	}
	return types.NullDatum, nil
}

func relationComment(c *catalog, o uint32) types.Datum {
	if r, ok := c.relationByOID(o); ok {
		return optional(r.Comment)
	}
	return types.NullDatum
}

// objDescription returns the comment on an object of a catalog: relations and schemas have them.
func objDescription(c *catalog, args []types.Datum) (types.Datum, error) {
	o := uint32(args[0].I)
	switch args[1].S {
	case "pg_class":
		return relationComment(c, o), nil
	case "pg_type":
		for _, u := range c.w.Types() {
			if u.OID == o {
				return optional(u.Comment), nil
			}
		}
	case "pg_namespace":
		for _, s := range c.w.Schemas() {
			if s.OID == o {
				return optional(s.Comment), nil
			}
		}
	}
	return types.NullDatum, nil
}
