package nodetest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A machine that is too slow for the heartbeats of a cluster has sessions move though no node was killed: what a client is told then says nothing of what a test is about.

// Exec runs statements in one simple query, and sends them again where an application would. If it was not known what became of them, an error which says that they were done is none; an INSERT, which
// might write rows twice, is not sent again then.
func Exec(ctx context.Context, conn *pgx.Conn, statements string) error {
	for unsure := false; ; {
		_, err := conn.PgConn().Exec(ctx, statements).ReadAll()
		switch code := Code(err); {
		case ctx.Err() != nil:
			return err
		case code == "40003" && !strings.HasPrefix(statements, "INSERT"):
			unsure = true
		case unsure && slices.Contains(done, code):
			return nil
		case !Unchanged(err):
			return err
		}
	}
}

// done are the errors of a statement that was run before: the name or the row is there, or gone.
var done = []string{"42P07", "42710", "23505", "42P01", "42704"}

// Unchanged reports whether an error says that a statement has changed nothing and may be sent again.
func Unchanged(err error) bool { return slices.Contains([]string{"40001", "57P03"}, Code(err)) }

// Code is the SQLSTATE of a server's error; empty for any other.
func Code(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}
