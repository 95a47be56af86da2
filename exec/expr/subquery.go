package expr

import (
	"strings"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

var errTooManyRows = sqlerr.New(sqlerr.CardinalityViolation, "more than one row returned by a subquery used as an expression")

// compileSubquery runs the subquery per row if it depends on the row, else once for the statement.
func compileSubquery(e *planner.Subquery) (node, error) {
	left, err := compileList(e.Left)
	if err != nil {
		return nil, err
	}
	tests := make([]test, len(e.Op))
	cols := e.Plan.Props().Cols
	hash := e.Kind == planner.SubqueryAny
	for i, op := range e.Op {
		if tests[i], err = compileTest(op, argType(e.Left[i]), cols[i].Type); err != nil {
			return nil, err
		}
		hash = hash && op.Name == "=" && e.Left[i].Type().Equal(cols[i].Type)
	}
	s := &subquery{e: e, tests: tests, hash: hash}
	if !e.Correlated && len(left) == 0 {
		return constant(e.Typ, s.once), nil
	}
	if !e.Correlated {
		return boxed(e.Typ, left, func(r *run, a []types.Datum) (types.Datum, error) { return s.member(r.env, a) }), nil
	}
	return s.perRow(left), nil
}

func (s *subquery) perRow(left []node) node {
	out := vec.NewVector(s.e.Typ, 0)
	vs := make([]*vec.Vector, len(left))
	args := make([]types.Datum, len(left))
	return func(r *run, sel []int32) *vec.Vector {
		for i, n := range left {
			vs[i] = n(r, sel)
		}
		out.ResetLen(r.in.Len())
		env := *r.env
		outer := env.Outer
		for _, i := range sel {
			if r.errs.Has(i) {
				continue
			}
			for k, v := range vs {
				args[k] = v.Datum(int(i))
			}
			env.Outer = append(outer[:len(outer):len(outer)], r.in.Row(int(i)))
			d, err := s.eval(&env, args)
			if err != nil {
				r.errs.Add(i, err)
				continue
			}
			out.SetDatum(int(i), d)
		}
		return out
	}
}

type subquery struct {
	e     *planner.Subquery
	tests []test
	hash  bool // all tests are = between values of one type

	// What an uncorrelated subquery answered for the environment of.
	of    *Env
	value types.Datum
	rows  *heldRows
	err   error
}

// Charger is a RowIter that charges the query for rows that an expression keeps.
type Charger interface {
	Charge(bytes int) error
}

// once answers a subquery that depends on nothing in the row.
func (s *subquery) once(r *run) (types.Datum, error) {
	if s.of != r.env {
		s.of = r.env
		s.value, s.err = s.eval(r.env, nil)
	}
	return s.value, s.err
}

// heldRows are the rows of an uncorrelated subquery: a set of keys where rows are compared by =, and as they are where a value is NULL or
// the comparison is another.
type heldRows struct {
	n    int
	keys map[string]struct{}
	list [][]types.Datum
}

// heldRowBytes is what a row that is held is charged beyond its values.
const heldRowBytes = 64

// member is left op ANY (rows) or left op ALL (rows) over rows that are read once.
func (s *subquery) member(env *Env, left []types.Datum) (types.Datum, error) {
	if s.of != env {
		s.of = env
		s.rows, s.err = s.hold(env)
	}
	if s.err != nil {
		return types.NullDatum, s.err
	}
	if s.hash && !anyNullDatum(left) {
		if _, ok := s.rows.keys[string(s.key(left))]; ok {
			return types.BoolDatum(!s.e.Negated), nil
		}
		return s.quantified(env, &heldIter{rows: s.rows.list}, left)
	}
	if s.hash && s.rows.n > len(s.rows.list) && len(left) == 1 {
		return types.NullDatum, nil // NULL compared with the values of the set
	}
	if s.hash {
		return s.compareKeys(env, left)
	}
	return s.quantified(env, &heldIter{rows: s.rows.list}, left)
}

// compareKeys compares a row with a NULL in it: it equals no row for certain, but may be unlike all.
func (s *subquery) compareKeys(env *Env, left []types.Datum) (types.Datum, error) {
	rows := s.rows.list
	for key := range s.rows.keys {
		row := make([]types.Datum, len(left))
		rest := []byte(key)
		for i := range row {
			var err error
			if row[i], rest, err = types.DecodeKey(s.e.Left[i].Type(), rest); err != nil {
				return types.NullDatum, err
			}
		}
		rows = append(rows[:len(rows):len(rows)], row)
	}
	return s.quantified(env, &heldIter{rows: rows}, left)
}

func anyNullDatum(row []types.Datum) bool {
	for _, d := range row {
		if d.Null {
			return true
		}
	}
	return false
}

func (s *subquery) key(row []types.Datum) []byte {
	var key []byte
	for i, d := range row {
		key = types.AppendKey(key, s.e.Left[i].Type(), d)
	}
	return key
}

func (s *subquery) hold(env *Env) (*heldRows, error) {
	rows, err := env.RunSubquery(env, s.e.Plan)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	charger, _ := rows.(Charger)
	held := &heldRows{keys: map[string]struct{}{}}
	for {
		row, ok, err := rows.Next()
		if err != nil || !ok {
			return held, err
		}
		held.n++
		row = row[:len(s.tests)]
		size := heldRowBytes
		if s.hash && !anyNullDatum(row) {
			key := s.key(row)
			size += len(key)
			held.keys[string(key)] = struct{}{}
		} else {
			kept := make([]types.Datum, len(row))
			for i, d := range row {
				kept[i] = d
				kept[i].S = strings.Clone(d.S)
				size += heldRowBytes + len(d.S)
			}
			held.list = append(held.list, kept)
		}
		if charger != nil {
			if err := charger.Charge(size); err != nil {
				return nil, err
			}
		}
	}
}

// heldIter yields rows that are held.
type heldIter struct{ rows [][]types.Datum }

func (it *heldIter) Next() ([]types.Datum, bool, error) {
	if len(it.rows) == 0 {
		return nil, false, nil
	}
	row := it.rows[0]
	it.rows = it.rows[1:]
	return row, true, nil
}

func (it *heldIter) Close() {}

func (s *subquery) eval(env *Env, left []types.Datum) (types.Datum, error) {
	rows, err := env.RunSubquery(env, s.e.Plan)
	if err != nil {
		return types.NullDatum, err
	}
	defer rows.Close()
	switch s.e.Kind {
	case planner.SubqueryExists:
		_, ok, err := rows.Next()
		return types.BoolDatum(ok != s.e.Negated), err
	case planner.SubqueryScalar:
		return scalarRow(rows)
	case planner.SubqueryArray:
		return arrayRows(rows, elemOf(s.e.Typ))
	default:
		return s.quantified(env, rows, left)
	}
}

func scalarRow(rows RowIter) (types.Datum, error) {
	row, ok, err := rows.Next()
	if err != nil || !ok {
		return types.NullDatum, err
	}
	d := row[0]
	if _, more, err := rows.Next(); err != nil || more {
		if err == nil {
			err = errTooManyRows
		}
		return types.NullDatum, err
	}
	return d, nil
}

func arrayRows(rows RowIter, elem types.Type) (types.Datum, error) {
	var list []types.Datum
	for {
		row, ok, err := rows.Next()
		if err != nil {
			return types.NullDatum, err
		}
		if !ok {
			return types.ArrayDatum(elem, list), nil
		}
		list = append(list, row[0])
	}
}

// quantified is left op ANY (rows) or left op ALL (rows): for ALL the tests are turned round.
func (s *subquery) quantified(env *Env, rows RowIter, left []types.Datum) (types.Datum, error) {
	all := s.e.Kind == planner.SubqueryAll
	null := false
	for {
		row, ok, err := rows.Next()
		if err != nil {
			return types.NullDatum, err
		}
		if !ok {
			break
		}
		hit, unknown, err := s.row(env, left, row)
		switch {
		case err != nil:
			return types.NullDatum, err
		case unknown:
			null = true
		case hit != all:
			return types.BoolDatum(hit != s.e.Negated), nil
		}
	}
	if null {
		return types.NullDatum, nil
	}
	return types.BoolDatum(all != s.e.Negated), nil
}

// row tests one row of the subquery: false if any column is, else unknown if any is.
func (s *subquery) row(env *Env, left, row []types.Datum) (hit, unknown bool, err error) {
	for i, t := range s.tests {
		if left[i].Null || row[i].Null {
			unknown = true
			continue
		}
		ok, err := t(env, left[i], row[i])
		if err != nil {
			return false, false, err
		}
		if !ok {
			return false, false, nil
		}
	}
	return !unknown, unknown, nil
}
