package planner

import (
	"context"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// maxCopies bounds what a statement may expand to beyond its own text: views and WITH queries are bound wherever they are named, and the
// operand of BETWEEN and CASE once per comparison.
const maxCopies = 500_000

// maxDepth bounds the nesting of queries and expressions while they are bound.
const maxDepth = 6_000

// Settings are the session settings that give a statement its meaning. A stored plan keeps them.
type Settings struct {
	// Text has TimeZone, DateStyle and the catalog's names for reg* literals; nil is UTC and no names.
	Text *types.Settings
	// Latest: auto_offset_reset is latest, so push queries over streams start at their end.
	Latest bool
	// Each: emit is each, so continuous queries give one change per input row.
	Each bool
	// KSQL: the statement was read in the dialect ksql and means what ksqlDB makes of it.
	KSQL bool
	// ShowChanges asks for the column op in push results over updating plans.
	ShowChanges bool
	// IdleTimeout is fixed in relations at CREATE; 0 is the default of 10 s.
	IdleTimeout time.Duration
	// MaxFuture is fixed in relations at CREATE; 0 is the default of 1 h.
	MaxFuture time.Duration
	// Partitions is the cluster's default for new topics; 0 is 4.
	Partitions int32
	// Replicas is the cluster's default for new topics; 0 is 3.
	Replicas int16
}

// Planner turns statements into plans. It has no state between calls and may be copied; Catalog must be one consistent image.
type Planner struct {
	Catalog  Catalog
	Settings Settings
	// Evaluator folds constants; nil leaves expressions as they are.
	Evaluator Evaluator
}

// defaultPartitions, defaultReplicas, defaultIdleTimeout and DefaultMaxFuture are the contract's defaults (language reference, definitions and windows).
const (
	defaultPartitions  = 4
	defaultReplicas    = 3
	defaultIdleTimeout = 10 * time.Second
	DefaultMaxFuture   = time.Hour
)

func (p *Planner) partitions() int32 {
	if p.Settings.Partitions > 0 {
		return p.Settings.Partitions
	}
	return defaultPartitions
}

func (p *Planner) replicas() int16 {
	if p.Settings.Replicas > 0 {
		return p.Settings.Replicas
	}
	return defaultReplicas
}

func (p *Planner) idleTimeout() time.Duration {
	if p.Settings.IdleTimeout > 0 {
		return p.Settings.IdleTimeout
	}
	return defaultIdleTimeout
}

// statement is what the binders of one statement share.
type statement struct {
	p   *Planner
	ctx context.Context
	// params are the types of $1..$n so far; Unknown while nothing has decided. refs are the references made before that.
	params []types.Type
	refs   [][]*Param
	reads  []*Relation
	// copies counts what was bound while copying is positive, which is inside of what may be bound several times.
	copies  int
	copying int
	depth   int
	// subqueryAt is where the first subquery in an expression stands, -1 for none.
	subqueryAt sql.Pos
	// nextID numbers recursive unions.
	nextID int
	// positions are where columns were named.
	positions map[*ColumnRef]sql.Pos
	// unbounded: the statement is a push or persistent query.
	unbounded bool
	// with is the statement's own WITH clause, the only one that may hold changes.
	with    *sql.With
	changes []*Change
}

func (p *Planner) begin(ctx context.Context, hints []types.Type) *statement {
	st := &statement{p: p, ctx: ctx, subqueryAt: -1}
	for i, h := range hints {
		st.growParams(i)
		st.params[i] = h
	}
	return st
}

func (st *statement) binder() *binder { return &binder{st: st} }

func (st *statement) growParams(i int) {
	for len(st.params) <= i {
		st.params = append(st.params, types.Of(types.Unknown))
		st.refs = append(st.refs, nil)
	}
}

// count charges the statement for one relation or expression, if it is a copy.
func (st *statement) count() error {
	if st.copying == 0 {
		return nil
	}
	if st.copies++; st.copies > maxCopies {
		return sqlerr.New(sqlerr.StatementTooComplex, "the statement is too complex").
			WithDetail("With its views and WITH queries expanded it has more than %d relations and expressions.", maxCopies)
	}
	return nil
}

func (st *statement) enter() error {
	if st.depth++; st.depth > maxDepth {
		return sqlerr.New(sqlerr.StatementTooComplex, "the statement is nested too deeply").WithDetail("The limit is %d levels.", maxDepth)
	}
	return nil
}

func (st *statement) leave() { st.depth-- }

// finishParams settles parameters that nothing decided (text, as in PostgreSQL's simple contexts) and gives every reference its type.
func (st *statement) finishParams() []types.Type {
	for i, t := range st.params {
		if t.Kind == types.Unknown {
			st.params[i] = types.Of(types.Text)
		}
		for _, r := range st.refs[i] {
			if r.Typ.Kind == types.Unknown {
				r.Typ = st.params[i]
			}
		}
	}
	return st.params
}

// decideParam gives an undecided parameter its type.
func (st *statement) decideParam(p *Param, t types.Type) {
	if known := st.params[p.Index]; known.Kind == types.Unknown {
		t.Mod = -1
		st.params[p.Index] = t
		for _, r := range st.refs[p.Index] {
			r.Typ = t
		}
	}
}

func (st *statement) noteRead(r *Relation) {
	for _, have := range st.reads {
		if have == r {
			return
		}
	}
	st.reads = append(st.reads, r)
}

// PlanQuery plans a SELECT, VALUES or set operation: a bounded query, or with EMIT a push query. hints are the parameter types that
// the client gave, Unknown (or a short slice) where it gave none. Errors are *sqlerr.Error.
func (p *Planner) PlanQuery(ctx context.Context, q *sql.Query, hints []types.Type) (*Query, error) {
	st := p.begin(ctx, hints)
	if q.Emit != nil {
		return p.planPush(st, q)
	}
	st.with = q.With
	n, err := st.binder().bindQuery(q)
	if err != nil {
		return nil, err
	}
	return p.finishBounded(st, n)
}

// finishBounded finishes the changes of the statement and then its own plan.
func (p *Planner) finishBounded(st *statement, n Node) (*Query, error) {
	changes, err := st.finishChanges()
	if err != nil {
		return nil, err
	}
	q, err := p.finishPlan(st, n)
	if err == nil {
		q.Changes = changes
	}
	return q, err
}

// finishPlan settles types that nothing decided and applies the rules.
func (p *Planner) finishPlan(st *statement, n Node) (*Query, error) {
	n, err := st.binder().settleUnknown(n)
	if err != nil {
		return nil, err
	}
	out := &Query{Params: st.finishParams(), LimitRows: -1, Reads: st.reads}
	n = p.optimize(n)
	findLookups(n)
	out.Root = n
	for i, c := range n.Props().Cols {
		if !c.Hidden {
			out.Columns = append(out.Columns, i)
		}
	}
	return out, nil
}

func findLookups(n Node) {
	visitNodes(n, func(n Node) {
		if s, ok := n.(*Scan); ok {
			lookupKeys(s)
		}
	})
}

// finishExpr applies the rules to an expression that stands in no plan, and to the plans of its subqueries.
func (p *Planner) finishExpr(e Expr) Expr {
	return mapExpr(p.foldExpr(e), func(x Expr) Expr {
		if s, ok := x.(*Subquery); ok {
			s.Plan = pruneAll(optimizeSubplans(push(s.Plan, nil)))
			findLookups(s.Plan)
		}
		return x
	})
}
