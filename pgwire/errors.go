package pgwire

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

const (
	severityError  = "ERROR"
	severityFatal  = "FATAL"
	severityNotice = "NOTICE"
)

// errDisconnected ends a connection whose client has gone: there is nobody to tell.
var errDisconnected = errors.New("client disconnected")

func userCancel() *sqlerr.Error {
	return sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to user request")
}

func adminShutdown() *sqlerr.Error {
	return fatal(sqlerr.New(sqlerr.AdminShutdown, "terminating connection due to administrator command"))
}

// fatal makes e end the connection.
func fatal(e *sqlerr.Error) *sqlerr.Error {
	e.Severity = severityFatal
	return e
}

func isFatal(e *sqlerr.Error) bool { return e.Severity == severityFatal || e.Severity == "PANIC" }

// reported returns the error to send for err, which came out of a call made with ctx: the cause of ctx's end where that is
// what err is about.
func reported(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return context.Cause(ctx)
	}
	return err
}

// position turns 1 plus a byte offset into text into 1 plus a number of characters, which the P field counts. It returns ""
// for 0, and for an offset outside of text.
func position(text string, pos int) string {
	if pos < 1 || pos-1 > len(text) {
		return ""
	}
	return strconv.Itoa(utf8.RuneCountInString(text[:pos-1]) + 1)
}

// printable drops zero bytes, which would end a string of the protocol early.
func printable(e *sqlerr.Error) *sqlerr.Error {
	if !strings.ContainsRune(e.Message+e.Detail+e.Hint+e.Schema+e.Table+e.Column+e.Constraint, 0) {
		return e
	}
	clean := *e
	for _, s := range []*string{&clean.Message, &clean.Detail, &clean.Hint, &clean.Schema, &clean.Table, &clean.Column, &clean.Constraint} {
		*s = strings.ReplaceAll(*s, "\x00", "")
	}
	return &clean
}
