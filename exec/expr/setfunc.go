package expr

import (
	"iter"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Rows is the result of a set-returning function: one value per column of the function. A row is valid until the next one.
type Rows = iter.Seq2[[]types.Datum, error]

// setFunc is the implementation of a set-returning function. It is called once per row of arguments; a strict function with a NULL argument
// is not called and has no rows. Arguments may be kept while rows are being taken.
type setFunc func(c *Call, args []types.Datum) Rows

var setRegistry = map[string]setFunc{}

func setFn(id string, f setFunc) { register(setRegistry, id, f) }

// ImplementedSet reports whether the set-returning function can run.
func ImplementedSet(f *planner.Func) bool {
	_, ok := setRegistry[f.ID()]
	return ok || f.Session
}

// SetCall is a set-returning function with its argument types, ready to be called.
type SetCall struct {
	f      *planner.Func
	impl   setFunc
	strict bool
	call   Call
}

// CompileSet prepares f for arguments of the given types, with ret as the type of its result.
func CompileSet(f *planner.Func, args []types.Type, ret types.Type) (*SetCall, error) {
	im, ok := setRegistry[f.ID()]
	if !ok && !f.Session {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "function %s is not supported yet", f.ID())
	}
	return &SetCall{f: f, impl: im, strict: !f.NotStrict, call: Call{Args: args, Ret: ret, memo: &memo{}}}, nil
}

// SetSession is a Session that also answers set-returning functions.
type SetSession interface {
	Session
	// CallSet yields the rows of the set-returning function with the given planner.Func.ID.
	CallSet(id string, args []types.Datum) Rows
}

// Rows calls the function.
func (s *SetCall) Rows(env *Env, args []types.Datum) Rows {
	if s.strict {
		for _, a := range args {
			if a.Null {
				return func(func([]types.Datum, error) bool) {}
			}
		}
	}
	if s.impl == nil {
		session, ok := env.Session.(SetSession)
		if !ok {
			err := sqlerr.New(sqlerr.FeatureNotSupported, "function %s needs a session and cannot run in a persistent query", s.f.Name)
			return func(yield func([]types.Datum, error) bool) { yield(nil, err) }
		}
		return session.CallSet(s.f.ID(), args)
	}
	c := s.call
	c.Env = env
	return s.impl(&c, args)
}
