package planner

import (
	"context"

	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// ResolveType resolves a type name, for PREPARE.
func (p *Planner) ResolveType(ctx context.Context, n *sql.TypeName) (types.Type, error) {
	return p.begin(ctx, nil).resolveType(n)
}

// BindScalar binds an expression without columns and converts it to t as an assignment does, for EXECUTE's arguments.
func (p *Planner) BindScalar(ctx context.Context, e sql.Expr, t types.Type) (Expr, error) {
	b := p.begin(ctx, nil).binder()
	x, err := b.bindExpr(e)
	if err != nil {
		return nil, err
	}
	return b.coerce(x, t, CastAssignment, sql.Pos(e.Offset()))
}
