package planner

import (
	"regexp"
	"strings"

	"github.com/millracedb/millrace/sql"
)

// yearsMonths is SQL's own form of years and months, '1-2'.
var yearsMonths = regexp.MustCompile(`^[+-]?[0-9]+-[0-9]+$`)

// bindTypedLiteral is type 'text'. INTERVAL '90' MINUTE gives a bare number the unit of its last field (PostgreSQL docs, 8.5.4).
func (b *binder) bindTypedLiteral(e *sql.TypedLiteral) (Expr, error) {
	t, err := b.st.resolveType(withoutFields(e.Type))
	if err != nil {
		return nil, err
	}
	text := e.Text
	if fields := e.Type.Interval; fields != "" {
		words := strings.Fields(fields)
		switch trimmed := strings.TrimSpace(text); {
		case isPlainNumber(trimmed):
			text += " " + words[len(words)-1]
		case strings.EqualFold(fields, "year to month") && yearsMonths.MatchString(trimmed): // nothing to cut off
		default:
			return nil, notYet("INTERVAL '...' "+strings.ToUpper(fields)+" with other than a number", "fields are not cut off",
				"the interval without "+strings.ToUpper(fields), e.Pos)
		}
	}
	return b.coerce(unknownConst(text), t, CastExplicit, e.Pos)
}

// withoutFields is the type without the fields that restrict an interval, which its reader has dealt with.
func withoutFields(n *sql.TypeName) *sql.TypeName {
	if n.Interval == "" {
		return n
	}
	plain := *n
	plain.Interval = ""
	return &plain
}

func isPlainNumber(s string) bool {
	s = strings.TrimLeft(s, "+-")
	if s == "" {
		return false
	}
	return strings.Trim(s, "0123456789.") == "" && strings.Count(s, ".") <= 1
}
