package engine

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// sequenceValues are what a session remembers of the sequences it used.
type sequenceValues struct {
	current map[uint32]int64
	last    uint32
	edits   int
}

func (v *sequenceValues) gave(oid uint32, value int64) {
	if v.current == nil {
		v.current = map[uint32]int64{}
	}
	v.current[oid], v.last = value, oid
	v.edits++
}

// sequence finds a sequence by OID.
func (s *session) sequence(oid uint32) (*metadata.Object, error) {
	o, ok := s.image().Object(metadata.OID(oid))
	switch {
	case !ok || o.Space != spaceRelation:
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation with OID %d does not exist", oid)
	case o.Kind != kindSequence:
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%q is not a sequence", o.Name)
	}
	return o, nil
}

// NextValue implements pgcatalog.Session.
func (c catalogSession) NextValue(oid uint32) (int64, error) {
	s := c.s
	o, err := s.sequence(oid)
	if err != nil {
		return 0, err
	}
	if err := s.checkWrite("nextval()"); err != nil && !isTemp(oid) {
		return 0, err
	}
	if def, err := sequenceDef(o); err != nil || !def.Internal { // who may insert may have an identity
		if err := errors.Join(err, s.checkPrivilege(o, "Uw")); err != nil {
			return 0, err
		}
	}
	var v int64
	switch {
	case isTemp(oid):
		v, err = s.nextTemp(o)
	case s.created(oid):
		v, err = s.nextStaged(o)
	default:
		v, err = s.e.nextValue(c.ctx, o.OID)
	}
	if err == nil {
		s.values.gave(oid, v)
	}
	return v, err
}

// nextStaged hands out a value of a sequence that the block has made and nobody else sees.
func (s *session) nextStaged(o *metadata.Object) (int64, error) {
	t := s.tx.ddl
	last := t.blocks[o.OID]
	if v, ok := last.take(); ok {
		return v, nil
	}
	def, err := sequenceDef(o)
	if err != nil {
		return 0, err
	}
	block, err := def.nextBlock(o.Name, last, s.e.clock.Now())
	if err != nil {
		return 0, err
	}
	if err := s.stageSequence(o, def); err != nil {
		return 0, err
	}
	if t.blocks == nil {
		t.blocks = map[metadata.OID]*sequenceBlock{}
	}
	t.blocks[o.OID] = block
	v, _ := block.take()
	return v, nil
}

func (s *session) stageSequence(o *metadata.Object, def sequenceDefinition) error {
	next := *o
	var err error
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	s.tx.ddl.batch.PutObject(next)
	s.tx.ddl.img = nil
	return nil
}

// CurrentValue implements pgcatalog.Session.
func (c catalogSession) CurrentValue(oid uint32) (int64, error) {
	o, err := c.s.sequence(oid)
	if err != nil {
		return 0, err
	}
	if err := c.s.checkPrivilege(o, "Ur"); err != nil {
		return 0, err
	}
	v, ok := c.s.values.current[oid]
	if !ok {
		return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "currval of sequence %q is not yet defined in this session", o.Name)
	}
	return v, nil
}

// LastValue implements pgcatalog.Session.
func (c catalogSession) LastValue() (int64, error) {
	v, ok := c.s.values.current[c.s.values.last]
	if _, exists := c.s.image().Object(metadata.OID(c.s.values.last)); !ok || !exists {
		return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "lastval is not yet defined in this session")
	}
	return v, nil
}

// SetValue implements pgcatalog.Session.
func (c catalogSession) SetValue(oid uint32, v int64, called bool) error {
	s := c.s
	o, err := s.sequence(oid)
	if err != nil {
		return err
	}
	if err := s.checkWrite("setval()"); err != nil && !isTemp(oid) {
		return err
	}
	if err := s.checkPrivilege(o, "w"); err != nil {
		return err
	}
	if isTemp(oid) {
		err := s.temp.sequences[o.OID].set(o.Name, v, called)
		if err == nil && called {
			s.values.gave(oid, v)
		}
		return err
	}
	if s.created(oid) {
		def, err := sequenceDef(o)
		if err == nil {
			err = def.set(o.Name, v, called)
		}
		if err != nil {
			return err
		}
		delete(s.tx.ddl.blocks, o.OID)
		err = s.stageSequence(o, def)
		if err == nil && called {
			s.values.gave(oid, v)
		}
		return err
	}
	if err := s.e.setValue(c.ctx, o.OID, v, called); err != nil {
		return err
	}
	if called {
		s.values.gave(oid, v)
	}
	return nil
}

// setSequences makes sequences the defaults of a relation's serial and identity columns.
func setSequences(rel *planner.Relation, def definition) error {
	for ord, oid := range def.Sequences {
		if ord >= len(rel.Columns) || rel.Columns[ord].Serial == planner.NotSerial {
			continue
		}
		c := &rel.Columns[ord]
		var err error
		if c.Default, err = planner.NextValue(oid, c.Type); err != nil {
			return err
		}
		c.Sequence = oid
	}
	return nil
}

// sequenceBounds are the least and greatest value of a sequence's type.
func sequenceBounds(t types.Kind) (least, most int64) {
	switch t {
	case types.Int2:
		return math.MinInt16, math.MaxInt16
	case types.Int4:
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

// sequenceRelation is a sequence as a relation of one row (PostgreSQL docs, CREATE SEQUENCE, notes).
func sequenceRelation(o *metadata.Object, owner string) *planner.Relation {
	column := func(name string, k types.Kind) planner.Column {
		return planner.Column{Name: name, Type: types.Of(k), NotNull: true}
	}
	return &planner.Relation{
		OID: uint32(o.OID), Schema: o.Schema, Name: o.Name, Kind: planner.Sequence, Owner: owner, Comment: o.Comment, TimestampColumn: -1,
		Columns: []planner.Column{column("last_value", types.Int8), column("log_cnt", types.Int8), column("is_called", types.Bool)},
	}
}

// scanSequence says where a sequence stands on this node: the last value that it gave, or the one that it begins with.
func (n *snapshot) scanSequence(sc *planner.Scan) (bounded.Iter, error) {
	o, err := n.s.sequence(sc.Rel.OID)
	if err != nil {
		return nil, err
	}
	def, last, err := n.s.e.standsAt(n.s, o)
	if err != nil {
		return nil, err
	}
	row := []types.Datum{types.IntDatum(last), types.IntDatum(0), types.BoolDatum(def.Called)}
	b := vec.NewBatch(nil, 1)
	for _, ord := range sc.Cols {
		v := vec.NewVector(sc.Rel.Columns[ord].Type, 1)
		v.AppendDatum(row[ord])
		b.Cols = append(b.Cols, v)
	}
	b.SetLen(1)
	return &onceIter{b: b}, nil
}

// nextTemp hands out a value of a temporary sequence.
func (s *session) nextTemp(o *metadata.Object) (int64, error) {
	def := s.temp.sequences[o.OID]
	b, ok := def.cut(1)
	if !ok {
		return 0, def.ended(o.Name)
	}
	return b.next, nil
}

// standsAt is a sequence's definition and the last value that it gave; s is the session that asks, or nil.
func (e *Engine) standsAt(s *session, o *metadata.Object) (sequenceDefinition, int64, error) {
	if s != nil && isTemp(o.OID) {
		def := *s.temp.sequences[o.OID]
		if !def.Called || def.Ended {
			return def, def.Next, nil
		}
		return def, def.Next - def.Increment, nil
	}
	def, err := sequenceDef(o)
	return def, e.lastValue(o.OID, def), err
}
