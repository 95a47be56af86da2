package engine

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// enums are the labels of the enumerated types that this node has met, one set for all who use a type: a query that runs goes on with the
// labels that ALTER TYPE adds. There are as many as there are types.
type enums struct {
	mu struct {
		sync.Mutex
		labels map[metadata.OID]*types.EnumLabels
	}
}

// enumType is the type that an object defines. Its labels are shared if they are committed; those of a block are its own.
func (e *Engine) enumType(o *metadata.Object, def typeDefinition) types.Type {
	name := sql.QuoteIdent(o.Name)
	if o.Schema != schemaPublic {
		name = sql.QuoteIdent(o.Schema) + "." + name
	}
	return types.EnumOf(&types.Enum{
		OID: uint32(o.OID), ArrayOID: def.ArrayOID, Name: name, TypeName: o.Name, Schema: o.Schema, Labels: e.enumLabels(o.OID, def.Labels),
	})
}

func (e *Engine) enumLabels(oid metadata.OID, wanted []types.EnumLabel) *types.EnumLabels {
	img := e.meta.Image()
	committed, ok := labelsIn(img, oid)
	if !ok || slices.ContainsFunc(wanted, func(l types.EnumLabel) bool { return !slices.Contains(committed, l) }) {
		return types.NewEnumLabels(slices.Clone(wanted), nil)
	}
	e.enums.mu.Lock()
	defer e.enums.mu.Unlock()
	if l := e.enums.mu.labels[oid]; l != nil {
		if len(l.All()) < len(committed) {
			l.Update(committed)
		}
		return l
	}
	if e.enums.mu.labels == nil {
		e.enums.mu.labels = map[metadata.OID]*types.EnumLabels{}
	}
	for old := range e.enums.mu.labels {
		if _, ok := img.Object(old); !ok {
			delete(e.enums.mu.labels, old)
		}
	}
	l := types.NewEnumLabels(committed, func() []types.EnumLabel {
		list, _ := labelsIn(e.meta.Image(), oid)
		return list
	})
	e.enums.mu.labels[oid] = l
	return l
}

// labelsIn reads the labels of a type in an image.
func labelsIn(img *metadata.Image, oid metadata.OID) ([]types.EnumLabel, bool) {
	o, ok := img.Object(oid)
	if !ok || o.Kind != kindType {
		return nil, false
	}
	var def typeDefinition
	if err := json.Unmarshal(o.Payload, &def); err != nil || def.ArrayOID == 0 {
		return nil, false
	}
	return def.Labels, true
}

// typeOfOID is the type that a client names by its OID: a built-in one, an enumerated one or its array.
func (s *session) typeOfOID(ctx context.Context, oid uint32) (types.Type, bool) {
	if t, ok := types.FromOID(oid); ok {
		return t, true
	}
	img := s.catalog().img
	for _, of := range []uint32{oid, oid - 1} {
		o, ok := img.Object(metadata.OID(of))
		if !ok || o.Kind != kindType {
			continue
		}
		t, err := s.e.userType(ctx, img, o)
		switch {
		case err != nil:
		case t.OID() == oid:
			return t, true
		case t.ArrayOID() == oid:
			return types.ArrayOf(t), true
		}
	}
	return types.Type{}, false
}

// alterType runs ALTER TYPE: ADD VALUE of an enumerated type, or what every object has.
func (s *session) alterType(ctx context.Context, q *sql.Alter) error {
	if len(q.Actions) != 1 || q.Actions[0].Op != sql.AddValue {
		return s.alterNamed(ctx, q, (*catalog).typeObject)
	}
	act := q.Actions[0]
	o, err := s.catalog().typeObject(q.Name)
	if err != nil {
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	var def typeDefinition
	if err := json.Unmarshal(o.Payload, &def); err != nil {
		return err
	}
	if def.ArrayOID == 0 {
		return sqlerr.New(sqlerr.WrongObjectType, "%q is not an enum", o.Name).At(q.Name.Offset())
	}
	if slices.ContainsFunc(def.Labels, func(l types.EnumLabel) bool { return l.Name == act.Name }) {
		if act.If {
			s.notice(sqlerr.DuplicateObject, "enum label %q already exists, skipping", act.Name)
			return nil
		}
		return sqlerr.New(sqlerr.DuplicateObject, "enum label %q already exists", act.Name).At(act.Offset())
	}
	if def.Labels, err = types.AddEnumLabel(def.Labels, act.Name, act.Beside, act.Before); err != nil {
		return sqlerr.From(err).At(act.Offset())
	}
	names := make([]string, len(def.Labels))
	for i, l := range def.Labels {
		names[i] = l.Name
	}
	def.Statement = sql.String(&sql.CreateType{Name: &sql.Name{Parts: []string{o.Name}}, Enum: names})
	d := s.beginDDL()
	next := *o
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	d.batch.PutObject(next)
	d.after = s.awaitEverywhere // a task on a node that does not know the label yet would refuse the rows that have it
	return d.end(ctx)
}
