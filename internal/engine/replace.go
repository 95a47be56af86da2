package engine

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

// checkReplaced refuses a CREATE OR REPLACE that takes columns from those who use the relation: columns may only be added, at the end
// (PostgreSQL docs, CREATE VIEW).
func (s *session) checkReplaced(ctx context.Context, img *metadata.Image, o *metadata.Object, next *planner.Relation) error {
	if err := s.checkOwner(o); err != nil {
		return err
	}
	was, err := s.e.relation(ctx, img, o)
	if err != nil {
		return err
	}
	old, fresh := visibleColumns(was), visibleColumns(next)
	if len(fresh) < len(old) {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "cannot drop columns from %s", kindWord(o.Kind)).
			WithHint("DROP the %s and CREATE it.", kindWord(o.Kind))
	}
	for i, c := range old {
		switch n := fresh[i]; {
		case n.Name != c.Name:
			return sqlerr.New(sqlerr.InvalidTableDefinition, "cannot change name of %s column %q to %q", kindWord(o.Kind), c.Name, n.Name).
				WithHint("ALTER ... RENAME COLUMN changes the name.")
		case !n.Type.Equal(c.Type) || n.Type.Mod != c.Type.Mod:
			return sqlerr.New(sqlerr.InvalidTableDefinition, "cannot change data type of %s column %q from %s to %s", kindWord(o.Kind), c.Name, c.Type, n.Type)
		}
	}
	return nil
}

func visibleColumns(r *planner.Relation) []planner.Column {
	var out []planner.Column
	for _, c := range r.Columns {
		if !c.Hidden {
			out = append(out, c)
		}
	}
	return out
}
