package engine

import (
	"context"
	"encoding/json"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// comment runs COMMENT ON.
func (s *session) comment(ctx context.Context, q *sql.Comment) (string, error) {
	if err := s.checkDDL("COMMENT"); err != nil {
		return "", err
	}
	text := ""
	if q.Text != nil {
		text = *q.Text
	}
	d := s.beginDDL()
	var err error
	switch q.Kind {
	case sql.KindColumn:
		err = s.commentColumn(ctx, d, q.Name, text)
	case sql.KindRole:
		err = s.commentRole(d, q.Name, text)
	default:
		err = s.commentObject(d, q, text)
	}
	if err != nil {
		return "", err
	}
	return "COMMENT", d.end(ctx)
}

// commentObject comments on what is an object of the catalog.
func (s *session) commentObject(d *ddl, q *sql.Comment, text string) error {
	cat := s.catalog()
	var o *metadata.Object
	var err error
	switch q.Kind {
	case sql.KindStream, sql.KindTable, sql.KindView, sql.KindMaterializedView:
		if o, err = cat.object(q.Name); err == nil {
			err = checkKind("COMMENT ON", q.Kind, o)
		}
	case sql.KindSequence:
		o, err = cat.sequenceObject(q.Name)
	case sql.KindType:
		o, err = cat.typeObject(q.Name)
	case sql.KindIndex:
		o, err = cat.indexObject(q.Name)
	case sql.KindSchema:
		o, err = cat.schemaForGrant(q.Name)
	default:
		return sqlerr.New(sqlerr.FeatureNotSupported, "COMMENT ON %s is not supported", q.Kind).
			WithHint("What works: comments on streams, tables, views, columns, sequences, types, schemas and roles.").At(q.Offset())
	}
	if err != nil {
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	next := *o
	next.Comment = text
	d.batch.PutObject(next)
	return nil
}

// schemaObject finds a schema that a user made.
func (c *catalog) schemaObject(name *sql.Name) (*metadata.Object, error) {
	o, ok := c.img.ObjectByName(spaceSchema, "", name.Object())
	switch {
	case ok:
		return o, nil
	case c.hasSchema(name.Object()):
		return nil, sqlerr.New(sqlerr.InsufficientPrivilege, "permission denied: schema %q is built in", name.Object()).At(name.Offset())
	}
	return nil, sqlerr.New(sqlerr.InvalidSchemaName, "schema %q does not exist", name.Object()).At(name.Offset())
}

func (s *session) commentColumn(ctx context.Context, d *ddl, name *sql.Name, text string) error {
	if len(name.Parts) < 2 {
		return sqlerr.New(sqlerr.SyntaxError, "column name must be qualified").At(name.Offset())
	}
	n := len(name.Parts) - 1
	cat := s.catalog()
	o, err := cat.object(&sql.Name{Pos: name.Pos, Parts: name.Parts[:n]})
	if err != nil {
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	rel, err := s.e.relation(ctx, cat.img, o)
	if err != nil {
		return err
	}
	ord, err := columnOrdinal(rel, name.Parts[n])
	if err != nil {
		return sqlerr.From(err).At(name.Offset())
	}
	def, err := relationDef(o)
	if err != nil {
		return err
	}
	if def.Comments == nil {
		def.Comments = map[int]string{}
	}
	if def.Comments[ord] = text; text == "" {
		delete(def.Comments, ord)
	}
	next := *o
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	d.batch.PutObject(next)
	return nil
}

func (s *session) commentRole(d *ddl, name *sql.Name, text string) error {
	if err := s.checkSuperuser("COMMENT ON ROLE"); err != nil {
		return err
	}
	u, ok := d.img.User(name.Object())
	if !ok {
		return sqlerr.New(sqlerr.UndefinedObject, "role %q does not exist", name.Object()).At(name.Offset())
	}
	next := *u
	next.Comment = text
	d.batch.PutUser(next)
	return nil
}
