package planner

import (
	"regexp"
	"strings"

	"github.com/millracedb/millrace/sql"
)

// bindTypedLiteral is type 'text'.
func (b *binder) bindTypedLiteral(e *sql.TypedLiteral) (Expr, error) {
	t, err := b.st.resolveType(e.Type)
	if err != nil {
		return nil, err
	}
	return b.coerce(unknownConst(withUnits(e.Text, e.Type.Interval)), t, CastExplicit, e.Pos)
}

var (
	dayAndTime    = regexp.MustCompile(`^([+-]?[0-9]+) +([0-9]+(?:\.[0-9]*)?)$`)
	minutesSecond = regexp.MustCompile(`^([+-]?)([0-9]+:[0-9]+(?:\.[0-9]*)?)$`)
)

// withUnits writes the units of an interval's text out that its fields give it: INTERVAL '90' MINUTE, INTERVAL '1 2' DAY TO HOUR, INTERVAL '12:34'
// MINUTE TO SECOND (PostgreSQL docs, 8.5.4).
func withUnits(text, fields string) string {
	last := fields[strings.LastIndexByte(fields, ' ')+1:]
	trimmed := strings.TrimSpace(text)
	switch day, time := dayAndTime.FindStringSubmatch(trimmed), minutesSecond.FindStringSubmatch(trimmed); {
	case fields == "":
	case isPlainNumber(trimmed):
		return trimmed + " " + last
	case day != nil && fields == "day to hour":
		return day[1] + " day " + day[2] + " hour"
	case time != nil && fields == "minute to second":
		return time[1] + "00:" + time[2]
	}
	return text
}

func isPlainNumber(s string) bool {
	s = strings.TrimLeft(s, "+-")
	if s == "" {
		return false
	}
	return strings.Trim(s, "0123456789.") == "" && strings.Count(s, ".") <= 1
}
