package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// typeDefinition is the payload of a type: the statement that made it, and what the names of types in it stood for. An enumerated type has its
// labels beside it, and the OID of its arrays.
type typeDefinition struct {
	Statement string            `json:"statement"`
	Names     names             `json:"names,omitempty"`
	Labels    []types.EnumLabel `json:"labels,omitempty"`
	ArrayOID  uint32            `json:"array_oid,omitempty"`
}

// createType runs CREATE TYPE: a name for a struct or for any other type, or an enumeration.
func (s *session) createType(ctx context.Context, q *sql.CreateType) (string, error) {
	const tag = "CREATE TYPE"
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	cat := s.catalog()
	schema, err := s.creationSchema(cat, q.Name.Schema())
	if err != nil {
		return "", err
	}
	name := q.Name.Object()
	if _, ok := cat.img.ObjectByName(spaceType, schema, name); ok {
		if q.IfNotExists {
			s.notice(sqlerr.DuplicateObject, "type %q already exists, skipping", name)
			return tag, nil
		}
		return "", sqlerr.New(sqlerr.DuplicateObject, "type %q already exists", name)
	}
	def := typeDefinition{Statement: sql.String(&sql.CreateType{Name: &sql.Name{Parts: []string{name}}, Type: q.Type, Enum: q.Enum}), Names: names{}}
	if q.Type == nil {
		if def.Labels, err = types.EnumList(q.Enum); err != nil {
			return "", sqlerr.From(err).At(q.Offset())
		}
	} else {
		cat.record = def.Names
		if _, err := s.planner(cat).ResolveType(ctx, q.Type); err != nil {
			return "", err
		}
	}
	oid, err := s.e.newOIDs(ctx, 2) // the type, and its arrays
	if err != nil {
		return "", err
	}
	if q.Type == nil {
		def.ArrayOID = uint32(oid) + 1
	}
	d := s.beginDDL()
	o := metadata.Object{OID: oid, Kind: kindType, Space: spaceType, Schema: schema, Name: name, Owner: s.userOID(), DependsOn: def.Names.oids(oid)}
	if o.Payload, err = json.Marshal(def); err != nil {
		return "", err
	}
	d.batch.PutObject(o)
	return tag, d.end(ctx)
}

// typeNamed begins the names of types among those of a stored statement.
const typeNamed = "type "

// Type implements planner.Catalog.
func (c *catalog) Type(ctx context.Context, schema, name string) (types.Type, bool) {
	o, ok := c.typeByName(schema, name)
	if !ok {
		return types.Type{}, false
	}
	t, err := c.e.userType(ctx, c.img, o)
	if err != nil {
		return types.Type{}, false
	}
	if c.record != nil {
		c.record[typeNamed+schema+"."+name] = named{OID: uint32(o.OID)}
	}
	return t, true
}

func (c *catalog) typeByName(schema, name string) (*metadata.Object, bool) {
	if n, ok := c.names[typeNamed+schema+"."+name]; ok {
		return c.img.Object(metadata.OID(n.OID))
	}
	path := c.path
	if schema != "" {
		path = []string{schema}
	}
	for _, p := range path {
		if o, ok := c.img.ObjectByName(spaceType, p, name); ok {
			return o, true
		}
	}
	return nil, false
}

// userType is what a type stands for.
func (e *Engine) userType(ctx context.Context, img *metadata.Image, o *metadata.Object) (types.Type, error) {
	var def typeDefinition
	if err := json.Unmarshal(o.Payload, &def); err != nil {
		return types.Type{}, err
	}
	if def.ArrayOID != 0 {
		return e.enumType(o, def), nil
	}
	parsed, err := sql.ParseOne(def.Statement, sql.Options{})
	if err != nil {
		return types.Type{}, err
	}
	create, ok := parsed.Statement.(*sql.CreateType)
	if !ok || create.Type == nil {
		return types.Type{}, sqlerr.New(sqlerr.DataCorrupted, "the definition of type %q is no CREATE TYPE", o.Name)
	}
	return e.storedPlanner(img, nil, def.Names, nil).ResolveType(ctx, create.Type)
}

// typeObject finds a type that a user made.
func (c *catalog) typeObject(name *sql.Name) (*metadata.Object, error) {
	if o, ok := c.typeByName(name.Schema(), name.Object()); ok {
		return o, nil
	}
	return nil, sqlerr.New(sqlerr.UndefinedObject, "type %q does not exist", strings.Join(name.Parts, ".")).At(name.Offset())
}

// dropTypes runs DROP TYPE.
func (s *session) dropTypes(ctx context.Context, q *sql.Drop) error {
	cat := s.catalog()
	set := &dropSet{img: cat.img, objects: map[metadata.OID]*metadata.Object{}}
	for _, name := range q.Names {
		o, err := cat.typeObject(name)
		if err != nil && q.IfExists {
			s.notice(sqlerr.SuccessfulCompletion, "type %q does not exist, skipping", name.Object())
			continue
		} else if err != nil {
			return err
		}
		if err := s.checkOwner(o); err != nil {
			return err
		}
		set.add(o)
	}
	var users []string
	for _, o := range set.order {
		for _, oid := range cat.img.Dependents(o.OID) {
			if user, ok := cat.img.Object(oid); ok && set.objects[oid] == nil {
				users = append(users, fmt.Sprintf("%s %s depends on type %s", kindWord(user.Kind), qualified(user.Schema, user.Name), o.Name))
			}
		}
	}
	if len(users) > 0 {
		slices.Sort(users)
		return sqlerr.New(sqlerr.DependentObjectsStillExist, "cannot drop type %s because other objects depend on it", q.Names[0].Object()).
			WithDetail("%s", strings.Join(users, "\n")).WithHint("DROP those first; CASCADE does not reach columns.").At(q.Offset())
	}
	return s.dropAll(ctx, set, false)
}

// Types implements pgcatalog.World.
func (w *world) Types() []pgcatalog.UserType {
	var out []pgcatalog.UserType
	for o := range w.img.Objects() {
		if o.Kind != kindType {
			continue
		}
		t, err := w.e.userType(context.Background(), w.img, o)
		if err != nil {
			w.e.logger.Error("type cannot be shown", "type", o.Name, "err", err)
			continue
		}
		out = append(out, pgcatalog.UserType{OID: uint32(o.OID), Schema: o.Schema, Name: o.Name, Owner: w.e.userName(w.img, o.Owner), Comment: o.Comment, Type: t})
	}
	return out
}
