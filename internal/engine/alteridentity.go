package engine

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// addIdentity is ALTER COLUMN ... ADD GENERATED AS IDENTITY: what pg_dump writes after the table.
func (a *relationAlter) addIdentity(ctx context.Context, act *sql.AlterAction) error {
	ord, err := columnOrdinal(a.rel, act.Name)
	if err != nil {
		return sqlerr.From(err).At(act.Offset())
	}
	next, err := a.plan(ctx, act)
	if err != nil {
		return err
	}
	if err := a.s.addSequences(ctx, a.d, next, []*sql.ColumnDef{act.Column}, ord, a.next, &a.def); err != nil {
		return err
	}
	if err := setSequences(next, a.def); err != nil {
		return err
	}
	return a.add(act, next, nil)
}

// dropIdentity is ALTER COLUMN ... DROP IDENTITY: the sequence goes.
func (a *relationAlter) dropIdentity(ctx context.Context, act *sql.AlterAction) error {
	next, err := a.plan(ctx, act)
	if act.If && sqlerr.CodeOf(err) == sqlerr.ObjectNotInPrerequisiteState {
		a.s.notice(sqlerr.SuccessfulCompletion, "column %q of relation %q is not an identity column, skipping", act.Name, a.rel.Name)
		return nil
	}
	if err != nil {
		return err
	}
	ord, err := columnOrdinal(a.rel, act.Name)
	if err != nil {
		return err
	}
	a.forgetSequence(ord)
	return a.add(act, next, nil)
}

// forgetSequence drops the sequence of a column, if it has one.
func (a *relationAlter) forgetSequence(ord int) {
	oid, ok := a.def.Sequences[ord]
	if !ok {
		return
	}
	if seq, ok := a.cat.img.Object(metadata.OID(oid)); ok {
		a.d.batch.DeleteObject(seq.OID, seq.Version)
	}
	delete(a.def.Sequences, ord)
}
