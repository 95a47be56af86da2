package sql

import (
	"strconv"
	"strings"
)

// String returns n, a statement or an expression, as text in the millrace dialect. Parsing the text gives a tree that
// Equal calls the same. Words of SQL are upper case, names are quoted where they must be. Of WITH TIES and other clauses
// with several spellings it chooses one, so the text need not be the one that was parsed.
func String(n Node) string {
	var p printer
	switch n := n.(type) {
	case nil:
	case Statement:
		p.statement(n)
	case Expr:
		p.expr(n, precLowest)
	case QueryBody:
		p.body(n)
	case FromItem:
		p.fromItem(n)
	case *TypeName:
		p.typeName(n)
	case *Name:
		p.name(n)
	}
	return p.String()
}

// QuoteIdent returns name as it must be written, in double quotes unless it is a plain lower-case word without a special
// meaning.
func QuoteIdent(name string) string {
	if isPlain(name) && classOf(name)&(wordReserved|wordColumn|wordFunction) == 0 {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// isPlain reports whether name is a word that folds to itself.
func isPlain(name string) bool {
	if name == "" || isDigit(name[0]) || name[0] == '$' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isNamePart(c) || c >= 'A' && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}

// QuoteString returns s as a string literal.
func QuoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// printer writes trees as text.
type printer struct{ strings.Builder }

// w writes strings.
func (p *printer) w(ss ...string) {
	for _, s := range ss {
		p.WriteString(s)
	}
}

// flag writes s if b.
func (p *printer) flag(b bool, s string) {
	if b {
		p.w(s)
	}
}

func (p *printer) ident(s string) { p.w(QuoteIdent(s)) }

func (p *printer) str(s string) { p.w(QuoteString(s)) }

func (p *printer) int(n int64) { p.w(strconv.FormatInt(n, 10)) }

// each calls f for every index with sep between.
func (p *printer) each(n int, sep string, f func(i int)) {
	for i := range n {
		if i > 0 {
			p.w(sep)
		}
		f(i)
	}
}

func (p *printer) idents(names []string) {
	p.each(len(names), ", ", func(i int) { p.ident(names[i]) })
}

// identList writes before(a, b) unless there are none.
func (p *printer) identList(before string, names []string) {
	if len(names) == 0 {
		return
	}
	p.w(before, "(")
	p.idents(names)
	p.w(")")
}

func (p *printer) dotted(parts []string) {
	p.each(len(parts), ".", func(i int) { p.ident(parts[i]) })
}

func (p *printer) name(n *Name) { p.dotted(n.Parts) }

func (p *printer) names(ns []*Name) { p.each(len(ns), ", ", func(i int) { p.name(ns[i]) }) }

// typeWords are the types that are written with words of SQL; those with (n) or a zone are written by typeName.
var typeWords = map[string]string{
	"int4": "integer", "int2": "smallint", "int8": "bigint", "float4": "real", "float8": "double precision",
	"bool": "boolean", "varbit": "bit varying", "varchar": "varchar", "numeric": "numeric", "bit": "bit", "time": "time",
	"timestamp": "timestamp", "interval": "interval",
}

func (p *printer) typeName(t *TypeName) {
	p.flag(t.Setof, "SETOF ")
	p.typeBase(t, true)
	for range t.ArrayDims {
		p.w("[]")
	}
}

// typeBase writes t without array suffixes, and with fields those of an interval, which a literal has behind its text.
func (p *printer) typeBase(t *TypeName, fields bool) {
	switch {
	case t.Schema != "":
		p.ident(t.Schema)
		p.w(".")
		p.ident(t.Name)
	case t.Fields != nil:
		p.w("STRUCT<")
		p.each(len(t.Fields), ", ", func(i int) {
			p.ident(t.Fields[i].Name)
			p.w(" ")
			p.typeName(t.Fields[i].Type)
		})
		p.w(">")
		return
	case t.Key != nil:
		p.w("MAP<")
		p.typeName(t.Key)
		p.w(", ")
		p.typeName(t.Elem)
		p.w(">")
		return
	case t.Elem != nil:
		p.w("ARRAY<")
		p.typeName(t.Elem)
		p.w(">")
		return
	case t.Name == "bpchar" && len(t.Mods) > 0:
		p.w("character")
	case t.PercentType || typeWords[t.Name] == "":
		if alias, ok := typeAliases[t.Name]; ok && alias != t.Name { // "string" in quotes is not text
			p.w(`"`, t.Name, `"`)
		} else {
			p.ident(t.Name)
		}
	default:
		p.w(typeWords[t.Name])
	}
	p.flag(t.PercentType, "%TYPE")
	if t.Name == "interval" && t.Schema == "" && t.Interval != "" {
		if fields {
			p.intervalFields(t)
		}
		return
	}
	p.mods(t)
}

func (p *printer) intervalFields(t *TypeName) {
	p.w(" ", t.Interval)
	p.mods(t)
}

func (p *printer) mods(t *TypeName) {
	if len(t.Mods) == 0 {
		return
	}
	p.w("(")
	p.each(len(t.Mods), ", ", func(i int) { p.int(int64(t.Mods[i])) })
	p.w(")")
}
