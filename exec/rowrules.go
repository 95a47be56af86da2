package exec

import (
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// rowRules are what a relation asks of the rows that a continuous INSERT brings: its CHECK constraints, and that its formats can hold them.
type rowRules struct {
	rel    *planner.Relation
	env    *expr.Env
	checks []*expr.Program
	// key and value try to encode a row, where the format of the topic does not hold everything; nil otherwise.
	key, value format.Encoder
	values     []int
	sel        []int32
	cols       []*vec.Vector
	buf        []byte
}

func newRowRules(env *expr.Env, rel *planner.Relation) (*rowRules, error) {
	r := &rowRules{rel: rel, env: env, values: valueOrdinals(rel)}
	for _, k := range rel.Checks {
		p, err := expr.Compile(k.Expr)
		if err != nil {
			return nil, err
		}
		r.checks = append(r.checks, p)
	}
	key, value, err := relationEncoders(rel)
	if rel.KeyFormat != "json" {
		r.key = key
	}
	if rel.ValueFormat != "json" {
		r.value = value
	}
	return r, err
}

// broken calls f for each row of b, a batch of all columns of the relation, that breaks a rule; of rows that leave nothing but the key is asked.
func (r *rowRules) broken(b *vec.Batch, f func(row int, err error)) {
	r.sel = r.sel[:0]
	for i := range b.Len() {
		if err := r.encodes(b, i); err != nil {
			f(i, err)
		} else if b.Op(i).Adds() {
			r.sel = append(r.sel, int32(i))
		}
	}
	for n, p := range r.checks {
		var errs expr.Errors
		errs.Reset(b.Len())
		v := p.Eval(r.env, b, r.sel, &errs)
		for _, e := range errs.List() {
			f(int(e.Row), e.Err)
		}
		left := r.sel[:0]
		for _, i := range errs.Drop(nil, r.sel) {
			if v.IsNull(int(i)) || v.Bool(int(i)) {
				left = append(left, i)
				continue
			}
			f(int(i), sqlerr.New(sqlerr.CheckViolation, "new row for relation %q violates check constraint %q", r.rel.Name, r.rel.Checks[n].Name))
		}
		r.sel = left
	}
}

func (r *rowRules) encodes(b *vec.Batch, i int) (err error) {
	if r.key != nil {
		r.cols = pick(r.cols, b.Cols, r.rel.Key)
		if r.buf, err = r.key.AppendRow(r.buf[:0], r.cols, i); err != nil {
			return err
		}
	}
	if r.value != nil && b.Op(i).Adds() {
		r.cols = pick(r.cols, b.Cols, r.values)
		r.buf, err = r.value.AppendRow(r.buf[:0], r.cols, i)
	}
	return err
}

// nullIn is the refusal of a NULL.
func nullIn(rel *planner.Relation, ord int) error {
	return sqlerr.New(sqlerr.NotNullViolation, "null value in column %q of relation %q violates not-null constraint", rel.Columns[ord].Name, rel.Name)
}
