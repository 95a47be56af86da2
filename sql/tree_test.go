package sql

import "strings"

// tree prints an expression with parentheses around every operator, so that a test shows how it was read.
func tree(e Expr) string {
	switch e := e.(type) {
	case *Or:
		return "(" + join(e.Args, " OR ") + ")"
	case *And:
		return "(" + join(e.Args, " AND ") + ")"
	case *Not:
		return "(NOT " + tree(e.X) + ")"
	case *BinaryOp:
		op := e.Op
		if e.Schema != "" {
			op = "OPERATOR(" + e.Schema + "." + op + ")"
		}
		return "(" + tree(e.Left) + " " + op + " " + tree(e.Right) + ")"
	case *UnaryOp:
		return "(" + e.Op + " " + tree(e.X) + ")"
	case *IsTest:
		return "(" + tree(e.X) + " IS " + not(e.Not) + isWords[e.Kind] + ")"
	case *IsDistinct:
		return "(" + tree(e.Left) + " IS " + not(e.Not) + "DISTINCT FROM " + tree(e.Right) + ")"
	case *Between:
		sym := ""
		if e.Symmetric {
			sym = "SYMMETRIC "
		}
		return "(" + tree(e.X) + " " + not(e.Not) + "BETWEEN " + sym + tree(e.Lo) + " AND " + tree(e.Hi) + ")"
	case *In:
		if e.Query != nil {
			return "(" + tree(e.X) + " " + not(e.Not) + "IN (" + String(e.Query) + "))"
		}
		return "(" + tree(e.X) + " " + not(e.Not) + "IN (" + join(e.List, ", ") + "))"
	case *Like:
		s := "(" + tree(e.X) + " " + not(e.Not) + strings.TrimSpace(likeWords[e.Kind]) + " " + tree(e.Pattern)
		if e.Escape != nil {
			s += " ESCAPE " + tree(e.Escape)
		}
		return s + ")"
	case *Quantified:
		all := " ANY ("
		if e.All {
			all = " ALL ("
		}
		if e.Query != nil {
			return "(" + tree(e.Left) + " " + e.Op + all + String(e.Query) + "))"
		}
		return "(" + tree(e.Left) + " " + e.Op + all + tree(e.Array) + "))"
	case *Cast:
		return "(" + tree(e.X) + "::" + String(e.Type) + ")"
	case *AtTimeZone:
		return "(" + tree(e.X) + " AT TIME ZONE " + tree(e.Zone) + ")"
	case *Collate:
		return "(" + tree(e.X) + " COLLATE " + String(e.Collation) + ")"
	case *Subscript:
		return "(" + tree(e.X) + ")[" + tree(e.Index) + "]"
	case *FieldSelect:
		return "(" + tree(e.X) + ")." + QuoteIdent(e.Field)
	case *Row:
		return "ROW(" + join(e.Items, ", ") + ")"
	case *Case:
		s := "CASE"
		if e.Operand != nil {
			s += " " + tree(e.Operand)
		}
		for _, w := range e.Whens {
			s += " WHEN " + tree(w.Cond) + " THEN " + tree(w.Result)
		}
		if e.Else != nil {
			s += " ELSE " + tree(e.Else)
		}
		return s + " END"
	case nil:
		return "<nil>"
	}
	return String(e)
}

func not(b bool) string {
	if b {
		return "NOT "
	}
	return ""
}

func join(es []Expr, sep string) string {
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = tree(e)
	}
	return strings.Join(out, sep)
}
