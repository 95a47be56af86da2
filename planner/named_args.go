package planner

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// paramNames are the parameters of the functions that can be called with named ones (PostgreSQL docs, 4.3 and 9.9).
var paramNames = map[string][]string{
	"make_date":        {"year", "month", "day"},
	"make_time":        {"hour", "min", "sec"},
	"make_timestamp":   {"year", "month", "mday", "hour", "min", "sec"},
	"make_timestamptz": {"year", "month", "mday", "hour", "min", "sec", "timezone"},
	"make_interval":    {"years", "months", "weeks", "days", "hours", "mins", "secs"},
	"jsonb_set":        {"jsonb_in", "path", "replacement", "create_if_missing"},
	"jsonb_insert":     {"jsonb_in", "path", "replacement", "insert_after"},
}

// inOrder puts named arguments, name => e or name := e, where their parameters are. Those of make_interval are 0 where they are left out.
func inOrder(e *sql.FuncCall) (*sql.FuncCall, error) {
	params := paramNames[e.Name]
	fills := e.Name == "make_interval" && len(e.Args) < len(params)
	named := slices.ContainsFunc(e.Args, func(a *sql.Arg) bool { return argName(a) != "" })
	if params == nil || !named && !fills {
		return e, nil
	}
	args := make([]*sql.Arg, len(params))
	for i, a := range e.Args {
		name, at := argName(a), i
		switch {
		case name != "":
			if at = slices.Index(params, name); at < 0 {
				return nil, sqlerr.New(sqlerr.UndefinedFunction, "function %s has no parameter %q", e.Name, name).
					WithHint("Its parameters are %s.", strings.Join(params, ", ")).At(a.Offset())
			}
		case i > 0 && argName(e.Args[i-1]) != "":
			return nil, sqlerr.New(sqlerr.SyntaxError, "positional argument cannot follow named argument").At(a.Offset())
		}
		if args[at] != nil {
			return nil, sqlerr.New(sqlerr.SyntaxError, "argument name %q used more than once", name).At(a.Offset())
		}
		args[at] = &sql.Arg{Pos: a.Pos, Value: argValue(a)}
	}
	for i := range args {
		if args[i] == nil && e.Name == "make_interval" {
			args[i] = &sql.Arg{Pos: e.Pos, Value: &sql.Literal{Pos: e.Pos, Kind: sql.IntegerLiteral, Text: "0"}}
		}
	}
	for len(args) > 0 && args[len(args)-1] == nil {
		args = args[:len(args)-1]
	}
	if i := slices.Index(args, nil); i >= 0 {
		return nil, sqlerr.New(sqlerr.UndefinedFunction, "function %s needs an argument for %q", e.Name, params[i]).At(e.Offset())
	}
	out := *e
	out.Args = args
	return &out, nil
}

// argName is the name of an argument. name => e looks like a lambda to the parser.
func argName(a *sql.Arg) string {
	if l, ok := a.Value.(*sql.Lambda); ok && a.Name == "" && len(l.Params) == 1 {
		return l.Params[0]
	}
	return a.Name
}

func argValue(a *sql.Arg) sql.Expr {
	if l, ok := a.Value.(*sql.Lambda); ok && a.Name == "" && len(l.Params) == 1 {
		return l.Body
	}
	return a.Value
}
