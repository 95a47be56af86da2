package engine

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// alterNamed runs RENAME TO, SET SCHEMA and OWNER TO of what has a name and nothing more to alter.
func (s *session) alterNamed(ctx context.Context, q *sql.Alter, find func(*catalog, *sql.Name) (*metadata.Object, error)) error {
	cat := s.catalog()
	o, err := find(cat, q.Name)
	if err != nil {
		if s.skipMissing(err, q.IfExists, q.Name) {
			return nil
		}
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	d := s.beginDDL()
	next := *o
	for _, act := range q.Actions {
		if err := s.alterIdentity(d, cat, &next, act); err != nil {
			return err
		}
	}
	d.batch.PutObject(next)
	return d.end(ctx)
}

// alterIdentity runs RENAME TO, SET SCHEMA and OWNER TO.
func (s *session) alterIdentity(d *ddl, cat *catalog, next *metadata.Object, act *sql.AlterAction) error {
	switch act.Op {
	case sql.RenameTo:
		next.Name = act.NewName
	case sql.SetSchema:
		if next.Schema == schemaTemp || act.NewName == schemaTemp {
			return sqlerr.New(sqlerr.FeatureNotSupported, "cannot move objects into or out of temporary schemas").At(act.Offset())
		}
		schema, err := s.creationSchema(cat, act.NewName)
		if err != nil {
			return sqlerr.From(err).At(act.Offset())
		}
		next.Schema = schema
	case sql.OwnerTo:
		owner, err := s.newOwner(d.img, act.NewName)
		next.Owner = owner
		return err
	default:
		return sqlerr.New(sqlerr.FeatureNotSupported, "this change of %s is not supported", article(next.Kind)).
			WithHint("What works: RENAME TO, SET SCHEMA, OWNER TO.").At(act.Offset())
	}
	if other, ok := d.img.ObjectByName(next.Space, next.Schema, next.Name); ok && other.OID != next.OID {
		return sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", next.Name).At(act.Offset())
	}
	if next.Name == "" {
		return sqlerr.New(sqlerr.InvalidName, "a name cannot be empty").At(act.Offset())
	}
	return nil
}

// alterSchema runs ALTER SCHEMA: RENAME TO takes everything in it along.
func (s *session) alterSchema(ctx context.Context, q *sql.Alter) error {
	cat := s.catalog()
	o, err := cat.schemaForGrant(q.Name)
	if err != nil {
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	if q.Name.Object() == schemaPublic {
		if keepsOwner(cat.img, o, q.Actions) {
			return nil
		}
		return sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: schema %q is built in", schemaPublic).At(q.Name.Offset())
	}
	d := s.beginDDL()
	next := *o
	for _, act := range q.Actions {
		switch act.Op {
		case sql.RenameTo:
			if cat.hasSchema(act.NewName) {
				return sqlerr.New(sqlerr.DuplicateSchema, "schema %q already exists", act.NewName).At(act.Offset())
			}
			if err := checkSchemaName(act.NewName); err != nil {
				return err
			}
			next.Name = act.NewName
			for in := range cat.img.Objects() {
				if in.Schema == o.Name {
					moved := *in
					moved.Schema = act.NewName
					d.batch.PutObject(moved)
				}
			}
		case sql.OwnerTo:
			if next.Owner, err = s.newOwner(d.img, act.NewName); err != nil {
				return err
			}
		default:
			return sqlerr.New(sqlerr.FeatureNotSupported, "this change of a schema is not supported").WithHint("What works: RENAME TO, OWNER TO.").At(act.Offset())
		}
	}
	d.batch.PutObject(next)
	return d.end(ctx)
}

// keepsOwner tells whether an ALTER changes nothing: pg_dump gives every schema its owner, public too.
func keepsOwner(img *metadata.Image, o *metadata.Object, actions []*sql.AlterAction) bool {
	return !slices.ContainsFunc(actions, func(act *sql.AlterAction) bool {
		u, ok := img.User(act.NewName)
		return act.Op != sql.OwnerTo || !ok || u.OID != o.Owner
	})
}

// options runs SET (option = value) and RESET (option): ttl, and settings of the topic.
func (a *relationAlter) options(ctx context.Context, act *sql.AlterAction) error {
	if a.rel.Kind == planner.View {
		return sqlerr.New(sqlerr.WrongObjectType, "%q is a view: it has no options", a.rel.Name).At(act.Offset())
	}
	if a.rel.Temporary {
		return sqlerr.New(sqlerr.WrongObjectType, "%q is a temporary table: it has no options", a.rel.Name).At(act.Offset())
	}
	set, unset, err := planner.AlterOptions(a.rel, act)
	if err != nil {
		return err
	}
	if own := planner.LifetimeAction(act); own != nil {
		next, err := a.plan(ctx, own)
		if err != nil {
			return err
		}
		if err := a.add(own, next, nil); err != nil {
			return err
		}
	}
	if len(set)+len(unset) == 0 {
		return nil
	}
	t, ok := a.d.img.Topic(a.rel.Topic)
	if !ok {
		return sqlerr.New(sqlerr.UndefinedObject, "topic %q does not exist", a.rel.Topic).At(act.Offset())
	}
	a.d.batch.SetTopicConfigs(t.ID, set, unset...)
	return nil
}
