package engine

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// Temporary tables, views and sequences are objects of the catalog that only their session has: they lie over every image that it sees (session.image), in
// the schema pg_temp, and their changes are taken out of the batches of definitions before those are applied (ddl.end). So all that works on
// definitions works on them. Their rows are in the session's memory.

// schemaTemp is the schema of a session's temporary objects; names are looked up in it first.
const schemaTemp = "pg_temp"

// The OIDs of temporary objects: above all that the metadata will ever give, below those of the indexes of primary keys.
const (
	firstTempOID metadata.OID = 1 << 29
	lastTempOID  metadata.OID = 1<<30 - 1
)

func isTemp[O metadata.OID | uint32](oid O) bool {
	return metadata.OID(oid) >= firstTempOID && metadata.OID(oid) <= lastTempOID
}

// temporaries count what the sessions of a node have of their own.
type temporaries struct {
	numbers atomic.Uint32 // OIDs, and versions of objects: no two sessions have one in common, for bound relations are kept by them
	bytes   atomic.Int64  // of rows
}

func (t *temporaries) oid() metadata.OID {
	return firstTempOID + metadata.OID(t.numbers.Add(1))%(lastTempOID-firstTempOID+1)
}

// temporary are a session's temporary objects.
type temporary struct {
	tempState
	charged int64 // of temporaries.bytes
	// sequences are where the temporary sequences stand, which no rollback changes.
	sequences map[metadata.OID]*sequenceDefinition
	// The image that was made last: over base, when the objects were at a version.
	base, over *metadata.Image
	overAt     uint32
}

// tempState is what a rollback goes back to.
type tempState struct {
	objects []*metadata.Object // replaced, never changed
	tables  map[metadata.OID]*tempTable
	version uint32 // of objects
}

// tempTable are the rows of a temporary table, and what the end of a transaction does to them.
type tempTable struct {
	rows     exec.TempRows
	onCommit sql.OnCommit
}

// mark is the present state.
func (t *tempState) mark() tempState {
	if t.version == 0 {
		return tempState{}
	}
	m := tempState{objects: t.objects, version: t.version, tables: make(map[metadata.OID]*tempTable, len(t.tables))}
	for oid, x := range t.tables {
		copied := *x
		m.tables[oid] = &copied
	}
	return m
}

// restoreTemp goes back to a mark, which stays good.
func (s *session) restoreTemp(m tempState) {
	if s.temp.version == 0 {
		return
	}
	s.temp.tempState = m.mark()
	s.temp.version = s.e.temps.numbers.Add(1)
	s.chargeTemp()
}

// image lays the temporary objects over what others see too.
func (t *temporary) image(base *metadata.Image) *metadata.Image {
	if len(t.objects) == 0 {
		return base
	}
	if t.base != base || t.overAt != t.version {
		t.base, t.over, t.overAt = base, base.With(t.objects), t.version
	}
	return t.over
}

// stageTemp takes a statement's changes of temporary objects out of its batch and makes them.
func (s *session) stageTemp(d *ddl) error {
	put, deleted := d.batch.TakeObjects(d.start, isTemp[metadata.OID])
	if len(put)+len(deleted) == 0 {
		return nil
	}
	objects := slices.Clone(s.temp.objects)
	at := func(oid metadata.OID) int {
		return slices.IndexFunc(objects, func(o *metadata.Object) bool { return o.OID == oid })
	}
	if s.temp.tables == nil {
		s.temp.tables = map[metadata.OID]*tempTable{}
	}
	if s.temp.sequences == nil {
		s.temp.sequences = map[metadata.OID]*sequenceDefinition{}
	}
	for _, p := range put {
		o := *p
		o.Version = uint64(s.e.temps.numbers.Add(1))
		if i := at(o.OID); i >= 0 {
			objects[i] = &o
		} else {
			objects = append(objects, &o)
		}
		if err := s.temp.added(&o); err != nil {
			return err
		}
	}
	for _, oid := range deleted {
		if i := at(oid); i >= 0 {
			objects = slices.Delete(objects, i, i+1)
		}
		delete(s.temp.tables, oid)
	}
	s.temp.objects, s.temp.version = objects, s.e.temps.numbers.Add(1)
	s.chargeTemp()
	return nil
}

// added makes room for what a new or changed object holds.
func (t *temporary) added(o *metadata.Object) error {
	switch o.Kind {
	case kindTable:
		def, err := relationDef(o)
		if err != nil {
			return err
		}
		if t.tables[o.OID] == nil {
			t.tables[o.OID] = &tempTable{onCommit: def.OnCommit}
		}
	case kindSequence:
		def, err := sequenceDef(o)
		if err != nil {
			return err
		}
		t.sequences[o.OID] = &def
	}
	return nil
}

// endTemp does at COMMIT what ON COMMIT says.
func (s *session) endTemp() {
	var gone []metadata.OID
	for oid, t := range s.temp.tables {
		switch t.onCommit {
		case sql.DeleteRows:
			t.rows.Clear()
		case sql.DropTable:
			gone = append(gone, oid)
		}
	}
	if len(gone) > 0 {
		s.dropTemp(gone)
	}
	s.chargeTemp()
}

// dropTemp drops tables, and what depends on them.
func (s *session) dropTemp(gone []metadata.OID) {
	set := &dropSet{img: s.image(), objects: map[metadata.OID]*metadata.Object{}}
	for _, oid := range gone {
		if o, ok := set.img.Object(oid); ok {
			if err := set.gather(o); err != nil {
				s.e.logger.Error("a temporary object does not go", "object", o.Name, "err", err)
			}
		}
	}
	s.temp.objects = slices.DeleteFunc(slices.Clone(s.temp.objects), func(o *metadata.Object) bool {
		_, drop := set.objects[o.OID]
		return drop
	})
	for oid := range set.objects {
		delete(s.temp.tables, oid)
	}
	s.temp.version = s.e.temps.numbers.Add(1)
}

// discardTemp drops all temporary objects: DISCARD TEMP, and the end of a session.
func (s *session) discardTemp() {
	s.temp.objects, s.temp.tables = nil, nil
	if s.temp.version != 0 {
		s.temp.version = s.e.temps.numbers.Add(1)
	}
	s.chargeTemp()
}

// chargeTemp accounts for the rows as they are now.
func (s *session) chargeTemp() {
	var n int64
	for _, t := range s.temp.tables {
		n += t.rows.Bytes()
	}
	s.e.temps.bytes.Add(n - s.temp.charged)
	s.temp.charged = n
}

// chargeTempRows is chargeTemp after rows were written, and refuses more of them than the node has room for.
func (s *session) chargeTempRows() error {
	s.chargeTemp()
	if limit := s.e.queryMemory(); s.e.temps.bytes.Load() > limit {
		return sqlerr.New(sqlerr.OutOfMemory, "the temporary tables of this node need more than %d MiB", limit>>20).
			WithDetail("This session has %d MiB of them. They are in memory: half of the sessions' share is for them.", s.temp.charged>>20).
			WithHint("DROP or TRUNCATE temporary tables, use an ordinary table, or give the node more --memory.")
	}
	return nil
}

// rowStore takes the changes of a table's rows: the transaction's buffer, or the rows of a temporary table. See exec.WriteTx.
type rowStore interface {
	Insert(ctx context.Context, rel *planner.Relation, rows *vec.Batch) (existing []int32, err error)
	Read(ctx context.Context, rel *planner.Relation, keys []*vec.Vector, n int) (rows *vec.Batch, found []bool, err error)
	Write(rel *planner.Relation, rows *vec.Batch) error
	Conflicts(ctx context.Context, rel *planner.Relation, ix *planner.Index, rows *vec.Batch, claim bool) (held *vec.Batch, found []bool, err error)
}

// tempStore is the rowStore of a temporary table.
type tempStore struct{ s *session }

var _ rowStore = tempStore{}

func (t tempStore) rows(rel *planner.Relation) (*exec.TempRows, error) {
	x, ok := t.s.temp.tables[metadata.OID(rel.OID)]
	if !ok {
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", rel.Name)
	}
	return &x.rows, nil
}

// Insert implements rowStore.
func (t tempStore) Insert(_ context.Context, rel *planner.Relation, rows *vec.Batch) ([]int32, error) {
	x, err := t.rows(rel)
	if err != nil {
		return nil, err
	}
	existing, err := x.Insert(rel, rows)
	if err != nil {
		return nil, err
	}
	return existing, t.s.chargeTempRows()
}

// Read implements rowStore.
func (t tempStore) Read(_ context.Context, rel *planner.Relation, keys []*vec.Vector, n int) (*vec.Batch, []bool, error) {
	x, err := t.rows(rel)
	if err != nil {
		return nil, nil, err
	}
	return x.Read(rel, keys, n)
}

// Write implements rowStore.
func (t tempStore) Write(rel *planner.Relation, rows *vec.Batch) error {
	x, err := t.rows(rel)
	if err != nil {
		return err
	}
	if err := x.Write(rel, rows); err != nil {
		return err
	}
	return t.s.chargeTempRows()
}

// Conflicts implements rowStore.
func (t tempStore) Conflicts(_ context.Context, rel *planner.Relation, ix *planner.Index, rows *vec.Batch, _ bool) (*vec.Batch, []bool, error) {
	x, err := t.rows(rel)
	if err != nil {
		return nil, nil, err
	}
	return x.Conflicts(rel, ix, rows)
}
