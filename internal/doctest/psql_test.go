package doctest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// answer runs one statement and returns what psql would print; for a cell only the value.
func answer(ctx context.Context, conn *pgconn.PgConn, statement string, cell bool) (string, error) {
	results, err := conn.Exec(ctx, statement).ReadAll()
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return describe(e), nil
	}
	if err != nil {
		return "", err
	}
	r := results[len(results)-1]
	switch {
	case len(r.FieldDescriptions) == 0:
		return r.CommandTag.String(), nil
	case cell && len(r.Rows) == 1 && len(r.FieldDescriptions) == 1:
		if r.Rows[0][0] == nil {
			return "NULL", nil
		}
		return string(r.Rows[0][0]), nil
	case cell: // of a set-returning function
		var list []string
		for _, row := range r.Rows {
			var fields []string
			for _, f := range row {
				fields = append(fields, string(f))
			}
			list = append(list, strings.Join(fields, " "))
		}
		return strings.Join(list, ", "), nil
	}
	return aligned(r), nil
}

func describe(e *pgconn.PgError) string {
	out := fmt.Sprintf("ERROR:  %s", e.Message)
	if e.Detail != "" {
		out += "\nDETAIL:  " + e.Detail
	}
	if e.Hint != "" {
		out += "\nHINT:  " + e.Hint
	}
	return out
}

// numeric types are aligned to the right.
var numeric = map[uint32]bool{20: true, 21: true, 23: true, 26: true, 700: true, 701: true, 1700: true}

// aligned prints a result as psql does.
func aligned(r *pgconn.Result) string {
	widths := make([]int, len(r.FieldDescriptions))
	for i, f := range r.FieldDescriptions {
		widths[i] = utf8.RuneCountInString(f.Name)
		for _, row := range r.Rows {
			widths[i] = max(widths[i], utf8.RuneCount(row[i]))
		}
	}
	var heads, rules []string
	for i, f := range r.FieldDescriptions {
		left := (widths[i] - utf8.RuneCountInString(f.Name)) / 2
		heads = append(heads, " "+pad(strings.Repeat(" ", left)+f.Name, widths[i], false)+" ")
		rules = append(rules, strings.Repeat("-", widths[i]+2))
	}
	lines := []string{strings.TrimRight(strings.Join(heads, "|"), " "), strings.Join(rules, "+")}
	for _, row := range r.Rows {
		var fields []string
		for i, f := range row {
			fields = append(fields, " "+pad(string(f), widths[i], numeric[r.FieldDescriptions[i].DataTypeOID])+" ")
		}
		lines = append(lines, strings.TrimRight(strings.Join(fields, "|"), " "))
	}
	plural := "s"
	if len(r.Rows) == 1 {
		plural = ""
	}
	return strings.Join(append(lines, fmt.Sprintf("(%d row%s)", len(r.Rows), plural)), "\n")
}

func pad(s string, width int, right bool) string {
	blank := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if right {
		return blank + s
	}
	return s + blank
}
