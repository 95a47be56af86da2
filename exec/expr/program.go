package expr

import (
	"context"
	"time"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// Env is what an expression may depend on besides the row. One Env serves one statement or one task; it is not changed
// while a program runs.
type Env struct {
	Ctx    context.Context
	Params []types.Datum
	// Session answers the functions whose planner.Func has Session set, and the settings that texts depend on. Nil in persistent queries.
	Session Session
	// Text holds the settings that text input and output depend on.
	Text *types.Settings
	// NowMicros is the start of the transaction, in microseconds since 1970-01-01 UTC; StatementMicros that of the statement.
	NowMicros, StatementMicros int64
	// ClockMicros tells the time of day as it passes (clock_timestamp).
	ClockMicros func() int64
	// Random returns a value in [0, 1).
	Random func() float64
	// Outer are the rows of the enclosing queries, the nearest last.
	Outer [][]types.Datum
	// RunSubquery runs a subquery for one outer row set. Nil where the plan has none.
	RunSubquery func(env *Env, plan planner.Node) (RowIter, error)
}

// RowIter yields the rows of a subquery, one at a time; the row is valid until the next call.
type RowIter interface {
	Next() (row []types.Datum, ok bool, err error)
	Close()
}

// Session answers functions that need a session or the catalog.
type Session interface {
	// Call evaluates the function with the given planner.Func.ID over boxed arguments.
	Call(id string, args []types.Datum) (types.Datum, error)
}

// Errors collects the rows whose evaluation failed. Only the first error of a row is kept.
type Errors struct {
	bits vec.Bitmap
	list []RowError
}

// RowError is the failure of one row.
type RowError struct {
	Row int32
	Err error
}

// Reset empties e for a batch of n rows.
func (e *Errors) Reset(n int) {
	if w := vec.Words(n); cap(e.bits) < w {
		e.bits = make(vec.Bitmap, w)
	} else {
		e.bits = e.bits[:w]
		clear(e.bits)
	}
	e.list = e.list[:0]
}

// Add records that row failed.
func (e *Errors) Add(row int32, err error) {
	if e.bits.Get(int(row)) {
		return
	}
	e.bits.Set(int(row))
	e.list = append(e.list, RowError{row, err})
}

// Any reports whether a row failed.
func (e *Errors) Any() bool { return len(e.list) > 0 }

// Has reports whether row failed.
func (e *Errors) Has(row int32) bool { return len(e.list) > 0 && e.bits.Get(int(row)) }

// List returns the failures in the order they were found. It is valid until Reset.
func (e *Errors) List() []RowError { return e.list }

// First returns the failure of the lowest row, or nil.
func (e *Errors) First() error {
	var first *RowError
	for i := range e.list {
		if first == nil || e.list[i].Row < first.Row {
			first = &e.list[i]
		}
	}
	if first == nil {
		return nil
	}
	return first.Err
}

// Drop appends to dst the rows of sel that did not fail.
func (e *Errors) Drop(dst, sel []int32) []int32 {
	if !e.Any() {
		return append(dst, sel...)
	}
	for _, i := range sel {
		if !e.bits.Get(int(i)) {
			dst = append(dst, i)
		}
	}
	return dst
}

// run is one evaluation.
type run struct {
	env  *Env
	in   *vec.Batch
	errs *Errors
	// params are the parameters of the lambdas around the expression, by slot, as long as in.
	params []*vec.Vector
}

// node computes the selected rows of the current batch. The vector it returns has the batch's length, is valid until the node is called
// again, and its rows outside sel or with errors are unspecified.
type node func(r *run, sel []int32) *vec.Vector

// Program is a compiled expression. It belongs to one goroutine.
type Program struct {
	typ  types.Type
	eval node
	errs Errors
	one  []int32
}

// Type is the type of the result.
func (p *Program) Type() types.Type { return p.typ }

// Eval computes the rows sel of in. The result has in's length and is valid until the next Eval; rows outside sel and rows in errs are
// unspecified. errs must have been Reset for in's length; it gathers failures, also of several programs.
func (p *Program) Eval(env *Env, in *vec.Batch, sel []int32, errs *Errors) *vec.Vector {
	return p.eval(&run{env: env, in: in, errs: errs}, sel)
}

// Scalar computes the expression for row i of in (nil for an expression without columns) as a boxed value that the caller owns.
func (p *Program) Scalar(env *Env, in *vec.Batch, i int) (types.Datum, error) {
	if in == nil {
		in = &vec.Batch{}
		in.SetLen(1)
	}
	p.errs.Reset(in.Len())
	p.one = append(p.one[:0], int32(i))
	v := p.eval(&run{env: env, in: in, errs: &p.errs}, p.one)
	if p.errs.Any() {
		return types.NullDatum, p.errs.First()
	}
	return v.Datum(i), nil
}

// Compile compiles e. An error means that a function has no implementation (0A000).
func Compile(e planner.Expr) (*Program, error) {
	n, err := compile(e)
	if err != nil {
		return nil, err
	}
	return &Program{typ: e.Type(), eval: n}, nil
}

// CompileAll compiles several expressions.
func CompileAll(es []planner.Expr) ([]*Program, error) {
	ps := make([]*Program, len(es))
	for i, e := range es {
		p, err := Compile(e)
		if err != nil {
			return nil, err
		}
		ps[i] = p
	}
	return ps, nil
}

// Eval evaluates an expression without columns once.
func Eval(e planner.Expr, env *Env) (types.Datum, error) {
	p, err := Compile(e)
	if err != nil {
		return types.NullDatum, err
	}
	return p.Scalar(env, nil, 0)
}

// zoneOf returns the session's time zone.
func zoneOf(env *Env) *time.Location {
	if env.Text == nil || env.Text.Zone == nil {
		return time.UTC
	}
	return env.Text.Zone
}
