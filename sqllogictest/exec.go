package sqllogictest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// outcome is what the server answered to one text of SQL.
type outcome struct {
	result
	isQuery bool  // rows were described
	count   int64 // rows that the last command touched
	err     *pgconn.PgError
}

// execute runs sql as one simple Query message. The error is one of the connection; the server's own is in the outcome. Of several statements the last
// one's rows are given.
func execute(ctx context.Context, conn *pgconn.PgConn, sql string) (outcome, error) {
	var out outcome
	results := conn.Exec(ctx, sql)
	for results.NextResult() {
		rr := results.ResultReader()
		out.describe(rr)
		for rr.NextRow() {
			out.add(rr.Values())
		}
		tag, err := rr.Close()
		out.count = tag.RowsAffected()
		if err != nil {
			break
		}
	}
	err := serverError(results.Close(), &out)
	return out, err
}

// read runs sql, reads up to n rows, cancels, and waits for the server to end the query.
func read(ctx context.Context, conn *pgconn.PgConn, sql string, n int) (outcome, error) {
	var out outcome
	results := conn.Exec(ctx, sql)
	if results.NextResult() {
		rr := results.ResultReader()
		out.describe(rr)
		for len(out.values) < n && rr.NextRow() {
			out.add(rr.Values())
		}
		if len(out.values) == n {
			if err := conn.CancelRequest(ctx); err != nil {
				return out, fmt.Errorf("cancelling: %w", err)
			}
		}
		for rr.NextRow() {
			// rows that were on their way
		}
	}
	err := serverError(results.Close(), &out)
	return out, err
}

// copyIn runs a COPY FROM STDIN and sends it lines.
func copyIn(ctx context.Context, conn *pgconn.PgConn, sql string, lines []string) (outcome, error) {
	var out outcome
	data := strings.NewReader(strings.Join(append(lines, ""), "\n"))
	tag, err := conn.CopyFrom(ctx, data, sql)
	out.count = tag.RowsAffected()
	return out, serverError(err, &out)
}

// copyOut runs a COPY TO STDOUT; each line is a row of one value.
func copyOut(ctx context.Context, conn *pgconn.PgConn, sql string) (outcome, error) {
	var out outcome
	var data strings.Builder
	_, err := conn.CopyTo(ctx, &data, sql)
	for line := range strings.Lines(data.String()) {
		out.values = append(out.values, []string{strings.TrimSuffix(line, "\n")})
	}
	return out, serverError(err, &out)
}

func (out *outcome) describe(rr *pgconn.ResultReader) {
	fields := rr.FieldDescriptions()
	out.isQuery, out.result = len(fields) > 0, result{}
	var letters strings.Builder
	for _, f := range fields {
		out.names = append(out.names, f.Name)
		letters.WriteByte(typeLetter(f.DataTypeOID))
	}
	out.types = letters.String()
}

func (out *outcome) add(values [][]byte) {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = formatValue(v)
	}
	out.values = append(out.values, row)
}

// serverError keeps an error that the server gave in the outcome and returns any other.
func serverError(err error, out *outcome) error {
	if errors.As(err, &out.err) {
		return nil
	}
	return err
}

func describeError(err *pgconn.PgError) string {
	s := fmt.Sprintf("%s: %s", err.Code, err.Message)
	if err.Detail != "" {
		s += "\n    detail: " + err.Detail
	}
	if err.Hint != "" {
		s += "\n    hint: " + err.Hint
	}
	if err.Position != 0 {
		s += fmt.Sprintf("\n    position: %d", err.Position)
	}
	return s
}
