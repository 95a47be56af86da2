package engine

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// A sequence is a catalog object. A node takes blocks of values by compare-and-swap of the object and hands them out from memory, so a
// value is given once, whatever dies; what a node had left of a block when it died is a gap.

// sequenceDefinition is the payload of a sequence.
type sequenceDefinition struct {
	Type      string `json:"type"` // smallint, integer, bigint
	Start     int64  `json:"start"`
	Increment int64  `json:"increment"`
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
	Cache     int64  `json:"cache"`
	Cycle     bool   `json:"cycle,omitempty"`
	// Next is the first value that is in nobody's block. Ended: there is none, the sequence ran to its end.
	Next  int64 `json:"next"`
	Ended bool  `json:"ended,omitempty"`
	// Called: a value was given since the sequence was made or set.
	Called bool `json:"called,omitempty"`
	// Table and Column, an ordinal, own the sequence, which goes with them; 0 for none. Internal: it is an identity column's.
	Table    uint32 `json:"table,omitempty"`
	Column   int    `json:"column,omitempty"`
	Internal bool   `json:"internal,omitempty"`
}

func sequenceDef(o *metadata.Object) (sequenceDefinition, error) {
	var d sequenceDefinition
	err := json.Unmarshal(o.Payload, &d)
	return d, err
}

// The sizes of blocks: the first one, and the most that a block grows to while they are used up fast.
const (
	firstBlock = 32
	largeBlock = 8192
	fastBlock  = time.Second
)

// sequenceBlock are values that this node may hand out: next, next+step, ... Guarded by sequences.mu, or a session's own.
type sequenceBlock struct {
	next, step int64
	left       int64
	size       int64
	taken      time.Time
}

func (b *sequenceBlock) take() (int64, bool) {
	if b == nil || b.left == 0 {
		return 0, false
	}
	v := b.next
	b.left--
	if b.left > 0 {
		b.next += b.step
	}
	return v, true
}

// sequences are the blocks of this node.
type sequences struct {
	mu struct {
		sync.Mutex
		blocks map[metadata.OID]*sequenceBlock
	}
}

// cut takes a block of at most n values off the sequence.
func (d *sequenceDefinition) cut(n int64) (sequenceBlock, bool) {
	if d.Ended {
		return sequenceBlock{}, false
	}
	b := sequenceBlock{next: d.Next, step: d.Increment, left: 1}
	last := d.Next
	for ; b.left < n; b.left++ {
		next, ok := d.after(last)
		if !ok {
			break
		}
		last = next
	}
	d.Called = true
	if next, ok := d.after(last); ok {
		d.Next = next
	} else if d.Cycle {
		d.Next = d.first()
	} else {
		d.Next, d.Ended = last, true
	}
	return b, true
}

// after returns the value after v, if it is within the bounds.
func (d *sequenceDefinition) after(v int64) (int64, bool) {
	if d.Increment > 0 {
		if v > d.Max-d.Increment || d.Max-d.Increment > d.Max {
			return 0, false
		}
		return v + d.Increment, true
	}
	if v < d.Min-d.Increment || d.Min-d.Increment < d.Min {
		return 0, false
	}
	return v + d.Increment, true
}

// first is where a cycle begins anew.
func (d *sequenceDefinition) first() int64 {
	if d.Increment > 0 {
		return d.Min
	}
	return d.Max
}

func (d *sequenceDefinition) ended(name string) error {
	word, bound := "maximum", d.Max
	if d.Increment < 0 {
		word, bound = "minimum", d.Min
	}
	return sqlerr.New(sqlerr.SequenceGeneratorLimit, "nextval: reached %s value of sequence %q (%d)", word, name, bound)
}

// blockSize is how many values the next block should have.
func (d *sequenceDefinition) blockSize(last *sequenceBlock, now time.Time) int64 {
	size := int64(firstBlock)
	if last != nil {
		if size = last.size; now.Sub(last.taken) < fastBlock {
			size = min(2*size, largeBlock)
		}
	}
	return max(size, d.Cache)
}

// nextValue hands out a value, from this node's block or a new one.
func (e *Engine) nextValue(ctx context.Context, oid metadata.OID) (int64, error) {
	e.sequences.mu.Lock()
	defer e.sequences.mu.Unlock()
	last := e.sequences.mu.blocks[oid]
	if v, ok := last.take(); ok {
		return v, nil
	}
	for {
		o, ok := e.meta.Image().Object(oid)
		if !ok {
			return 0, sqlerr.New(sqlerr.UndefinedTable, "sequence %d was dropped", oid)
		}
		def, err := sequenceDef(o)
		if err != nil {
			return 0, err
		}
		now := e.clock.Now()
		block, ok := def.cut(def.blockSize(last, now))
		if !ok {
			return 0, def.ended(o.Name)
		}
		block.size, block.taken = def.blockSize(last, now), now
		if err := e.putSequence(ctx, o, def); errors.Is(err, metadata.ErrVersionConflict) {
			continue
		} else if err != nil {
			return 0, ddlError(err)
		}
		e.sequences.mu.blocks[oid] = &block
		v, _ := block.take()
		return v, nil
	}
}

// putSequence makes a sequence's new state durable.
func (e *Engine) putSequence(ctx context.Context, o *metadata.Object, def sequenceDefinition) error {
	next := *o
	var err error
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	b := e.meta.NewBatch()
	b.PutObject(next)
	_, err = e.meta.Apply(ctx, b)
	return err
}

// setValue is setval: the next value is v, or with called the one after it. What this node had left of its block is forgotten.
func (e *Engine) setValue(ctx context.Context, oid metadata.OID, v int64, called bool) error {
	e.sequences.mu.Lock()
	defer e.sequences.mu.Unlock()
	for {
		o, ok := e.meta.Image().Object(oid)
		if !ok {
			return sqlerr.New(sqlerr.UndefinedTable, "sequence %d was dropped", oid)
		}
		def, err := sequenceDef(o)
		if err != nil {
			return err
		}
		if err := def.set(o.Name, v, called); err != nil {
			return err
		}
		if err := e.putSequence(ctx, o, def); errors.Is(err, metadata.ErrVersionConflict) {
			continue
		} else if err != nil {
			return ddlError(err)
		}
		delete(e.sequences.mu.blocks, oid)
		return nil
	}
}

func (d *sequenceDefinition) set(name string, v int64, called bool) error {
	if v < d.Min || v > d.Max {
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "setval: value %d is out of bounds for sequence %q (%d..%d)", v, name, d.Min, d.Max)
	}
	d.Next, d.Ended, d.Called = v, false, called
	if called {
		d.cut(1)
	}
	return nil
}

// giveBack returns what is left of this node's blocks, so that an orderly stop leaves no gaps. A sequence that another node has taken from
// meanwhile keeps its gap.
func (e *Engine) giveBack(ctx context.Context) {
	e.sequences.mu.Lock()
	defer e.sequences.mu.Unlock()
	for oid, b := range e.sequences.mu.blocks {
		o, ok := e.meta.Image().Object(oid)
		if !ok || b.left == 0 {
			continue
		}
		def, err := sequenceDef(o)
		if err != nil {
			continue
		}
		last := b.next + b.step*(b.left-1)
		if after, more := def.after(last); def.Cycle || more == def.Ended || more && after != def.Next {
			continue
		}
		def.Next, def.Ended = b.next, false
		if err := e.putSequence(ctx, o, def); err != nil {
			e.logger.Warn("values of a sequence are not given back", "sequence", o.Name, "err", err)
		}
	}
	e.sequences.mu.blocks = map[metadata.OID]*sequenceBlock{}
}

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
	now := s.e.clock.Now()
	block, ok := def.cut(def.blockSize(last, now))
	if !ok {
		return 0, def.ended(o.Name)
	}
	block.size, block.taken = def.blockSize(last, now), now
	if err := s.stageSequence(o, def); err != nil {
		return 0, err
	}
	if t.blocks == nil {
		t.blocks = map[metadata.OID]*sequenceBlock{}
	}
	t.blocks[o.OID] = &block
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

// lastValue is the last value that a sequence gave, as far as this node knows; if it gave none, its first.
func (e *Engine) lastValue(oid metadata.OID, def sequenceDefinition) int64 {
	e.sequences.mu.Lock()
	defer e.sequences.mu.Unlock()
	switch b := e.sequences.mu.blocks[oid]; {
	case !def.Called || def.Ended:
		return def.Next
	case b == nil || b.left == 0:
		return def.Next - def.Increment
	default:
		return b.next - b.step
	}
}
