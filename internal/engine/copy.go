package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/pgwire/copyfmt"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
)

const (
	// copyRows is how many rows of COPY FROM become one batch.
	copyRows = 4096
	// copyStreamBytes is after how much input a COPY into a stream, outside a block, appends what it has.
	copyStreamBytes = 1 << 20
)

// analyzeCopy checks a COPY and says which way it goes.
func (s *session) analyzeCopy(ctx context.Context, p *planner.Planner, st *statement, q *sql.Copy) error {
	if q.Target != sql.CopyStdio {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY of files and programs of the server is not supported").
			WithHint("Use COPY ... FROM STDIN or TO STDOUT; psql's \\copy does that for a file of yours.")
	}
	if q.From {
		st.kind = pgwire.PortalCopyIn
		if q.Where != nil {
			return sqlerr.New(sqlerr.FeatureNotSupported, "COPY FROM ... WHERE is not supported yet")
		}
		dml, err := p.PlanInsert(ctx, copyInsert(q), nil)
		if err != nil {
			return err
		}
		st.dml = dml
		dml.Targets, err = copyTargets(dml.Rel, q)
		return err
	}
	query, ok := q.Statement.(*sql.Query)
	if q.Statement == nil {
		query, ok = copySelect(q), true
	}
	if !ok {
		return sqlerr.New(sqlerr.FeatureNotSupported, "COPY of a statement that is not a query is not supported yet")
	}
	if err := s.analyzeQuery(ctx, p, st, query, nil); err != nil {
		return err
	}
	st.kind = pgwire.PortalCopyOut
	return nil
}

// copyInsert is INSERT INTO t (columns) DEFAULT VALUES: COPY takes the defaults from its plan and the values from the client.
func copyInsert(q *sql.Copy) *sql.Insert {
	return &sql.Insert{Pos: q.Pos, Table: q.Table, Columns: q.Columns}
}

// copyTargets are the ordinals of the columns that a COPY FROM fills: those it names, or all that are visible.
func copyTargets(rel *planner.Relation, q *sql.Copy) ([]int, error) {
	var out []int
	for ord, c := range rel.Columns {
		if q.Columns == nil && !c.Hidden && !c.Headers {
			out = append(out, ord)
		}
	}
	for _, name := range q.Columns {
		ord := slices.IndexFunc(rel.Columns, func(c planner.Column) bool { return c.Name == name && !c.Hidden })
		switch {
		case ord < 0:
			return nil, sqlerr.New(sqlerr.UndefinedColumn, "column %q of relation %q does not exist", name, rel.Name).At(q.Table.Offset())
		case slices.Contains(out, ord):
			return nil, sqlerr.New(sqlerr.DuplicateColumn, "column %q specified more than once", name).At(q.Table.Offset())
		}
		out = append(out, ord)
	}
	return out, nil
}

// copySelect is SELECT columns FROM t.
func copySelect(q *sql.Copy) *sql.Query {
	sel := &sql.Select{Pos: q.Pos, From: []sql.FromItem{&sql.Table{Pos: q.Table.Pos, Name: q.Table}}}
	for _, c := range q.Columns {
		sel.Targets = append(sel.Targets, &sql.Target{Expr: &sql.ColumnRef{Pos: q.Pos, Parts: []string{c}}})
	}
	if q.Columns == nil {
		sel.Targets = []*sql.Target{{Expr: &sql.Star{Pos: q.Pos}}}
	}
	return &sql.Query{Pos: q.Pos, Body: sel}
}

// copyOptions reads WITH (...) and its older spellings.
func copyOptions(q *sql.Copy, columns []string) (copyfmt.Options, error) {
	kind := copyfmt.Text
	for _, o := range q.Options {
		if strings.EqualFold(o.Name, "format") {
			switch strings.ToLower(o.Value.Text) {
			case "text":
			case "csv":
				kind = copyfmt.CSV
			case "binary":
				kind = copyfmt.Binary
			default:
				return copyfmt.Options{}, sqlerr.New(sqlerr.InvalidParameterValue, "COPY format %q not recognized", o.Value.Text).WithHint("Formats are text, csv and binary.")
			}
		}
	}
	out := copyfmt.Defaults(kind)
	for _, o := range q.Options {
		if err := copyOption(&out, o, columns); err != nil {
			return out, err
		}
	}
	return out, out.Validate()
}

func copyOption(out *copyfmt.Options, o *sql.Option, columns []string) error {
	text := ""
	if o.Value != nil {
		text = o.Value.Text
	}
	char := func(to *byte) error {
		if len(text) != 1 {
			return sqlerr.New(sqlerr.FeatureNotSupported, "COPY %s must be a single one-byte character", strings.ToLower(o.Name))
		}
		*to = text[0]
		return nil
	}
	switch strings.ToLower(o.Name) {
	case "format", "freeze", "oids":
	case "delimiter":
		return char(&out.Delimiter)
	case "quote":
		return char(&out.Quote)
	case "escape":
		return char(&out.Escape)
	case "null":
		out.Null = text
	case "header":
		switch strings.ToLower(text) {
		case "", "true", "on", "1":
			out.Header = copyfmt.HeaderOn
		case "match":
			out.Header = copyfmt.HeaderMatch
		case "false", "off", "0":
			out.Header = copyfmt.HeaderOff
		default:
			return sqlerr.New(sqlerr.SyntaxError, "header requires a Boolean value or \"match\"")
		}
	case "encoding":
		if _, err := checkEncoding(text); err != nil {
			return sqlerr.New(sqlerr.InvalidParameterValue, "COPY encoding %q is not supported", text).WithHint("Text is UTF8.")
		}
	case "force_quote":
		return flags(&out.ForceQuote, o, columns)
	case "force_not_null":
		return flags(&out.ForceNotNull, o, columns)
	case "force_null":
		return flags(&out.ForceNull, o, columns)
	default:
		return sqlerr.New(sqlerr.SyntaxError, "COPY option %q not recognized", o.Name)
	}
	return nil
}

func flags(to *[]bool, o *sql.Option, columns []string) error {
	*to = make([]bool, len(columns))
	for _, name := range o.List {
		found := name == "*"
		for i, c := range columns {
			if c == name || name == "*" {
				(*to)[i], found = true, true
			}
		}
		if !found {
			return sqlerr.New(sqlerr.UndefinedColumn, "column %q does not exist", name)
		}
	}
	return nil
}

func copyFormats(o copyfmt.Options, n int) []pgwire.Format {
	out := make([]pgwire.Format, n)
	for i := range out {
		if o.Kind == copyfmt.Binary {
			out[i] = pgwire.BinaryFormat
		}
	}
	return out
}
