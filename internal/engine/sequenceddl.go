package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// createSequence runs CREATE SEQUENCE.
func (s *session) createSequence(ctx context.Context, q *sql.CreateSequence) (string, error) {
	if q.Alter {
		return "ALTER SEQUENCE", s.alterSequence(ctx, q)
	}
	const tag = "CREATE SEQUENCE"
	if err := s.checkDDL(tag); err != nil {
		return "", err
	}
	cat := s.catalog()
	schema, err := s.sequenceSchema(cat, q)
	if err != nil {
		return "", err
	}
	name := q.Name.Object()
	if _, ok := cat.img.ObjectByName(spaceRelation, schema, name); ok {
		if q.IfExists {
			s.notice(sqlerr.DuplicateTable, "relation %q already exists, skipping", name)
			return tag, nil
		}
		return "", sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", name)
	}
	oid, err := s.newOIDs(ctx, schema, 1)
	if err != nil {
		return "", err
	}
	def, err := newSequence(q.Options, types.Int8)
	if err != nil {
		return "", err
	}
	d := s.beginDDL()
	o := metadata.Object{OID: oid, Kind: kindSequence, Space: spaceRelation, Schema: schema, Name: name, Owner: s.userOID()}
	if err := s.own(cat, &o, &def, q.Options); err != nil {
		return "", err
	}
	if o.Payload, err = json.Marshal(def); err != nil {
		return "", err
	}
	d.batch.PutObject(o)
	d.made = append(d.made, oid)
	return tag, d.end(ctx)
}

// sequenceSchema is where a new sequence goes.
func (s *session) sequenceSchema(cat *catalog, q *sql.CreateSequence) (string, error) {
	if temp, err := s.tempSchema(q.Temporary, q.Name); temp || err != nil {
		return schemaTemp, err
	}
	return s.creationSchema(cat, q.Name.Schema())
}

// newSequence reads the options of a new sequence. kind is its type unless AS says another.
func newSequence(opts []*sql.Option, kind types.Kind) (sequenceDefinition, error) {
	def := sequenceDefinition{Type: types.Of(kind).String(), Increment: 1, Cache: 1}
	given := map[string]bool{}
	if err := def.options(opts, given); err != nil {
		return def, err
	}
	def.Next = def.Start
	return def, nil
}

// options applies the options of CREATE and ALTER SEQUENCE and checks the whole (PostgreSQL docs, CREATE SEQUENCE).
func (d *sequenceDefinition) options(opts []*sql.Option, given map[string]bool) error {
	fresh := d.Min == 0 && d.Max == 0
	if err := d.read(opts, given); err != nil {
		return err
	}
	t, _ := types.Lookup(d.Type)
	least, most := sequenceBounds(t.Kind)
	if fresh && !given["minvalue"] || given["no minvalue"] {
		if d.Min = 1; d.Increment < 0 {
			d.Min = least
		}
	}
	if fresh && !given["maxvalue"] || given["no maxvalue"] {
		if d.Max = most; d.Increment < 0 {
			d.Max = -1
		}
	}
	switch {
	case d.Increment == 0:
		return sqlerr.New(sqlerr.InvalidParameterValue, "INCREMENT must not be zero")
	case d.Max > most || d.Max < least:
		return sqlerr.New(sqlerr.InvalidParameterValue, "MAXVALUE (%d) is out of range for sequence data type %s", d.Max, d.Type)
	case d.Min > most || d.Min < least:
		return sqlerr.New(sqlerr.InvalidParameterValue, "MINVALUE (%d) is out of range for sequence data type %s", d.Min, d.Type)
	case d.Min >= d.Max:
		return sqlerr.New(sqlerr.InvalidParameterValue, "MINVALUE (%d) must be less than MAXVALUE (%d)", d.Min, d.Max)
	case d.Cache < 1:
		return sqlerr.New(sqlerr.InvalidParameterValue, "CACHE (%d) must be greater than zero", d.Cache)
	}
	if fresh && !given["start"] {
		d.Start = d.first()
	}
	switch {
	case d.Start < d.Min:
		return sqlerr.New(sqlerr.InvalidParameterValue, "START value (%d) cannot be less than MINVALUE (%d)", d.Start, d.Min)
	case d.Start > d.Max:
		return sqlerr.New(sqlerr.InvalidParameterValue, "START value (%d) cannot be greater than MAXVALUE (%d)", d.Start, d.Max)
	}
	return nil
}

// read takes the options' values.
func (d *sequenceDefinition) read(opts []*sql.Option, given map[string]bool) error {
	for _, o := range opts {
		if given[o.Name] {
			return sqlerr.New(sqlerr.SyntaxError, "conflicting or redundant options").At(o.Offset())
		}
		given[o.Name] = true
		var n int64
		if o.Value != nil && o.Name != "as" {
			var err error
			if n, err = strconv.ParseInt(o.Value.Text, 10, 64); err != nil {
				return sqlerr.New(sqlerr.NumericValueOutOfRange, "value %q is out of range for type bigint", o.Value.Text).At(o.Offset())
			}
		}
		switch o.Name {
		case "as":
			t, ok := types.Lookup(o.Value.Text)
			if !ok || t.Kind != types.Int2 && t.Kind != types.Int4 && t.Kind != types.Int8 {
				return sqlerr.New(sqlerr.InvalidParameterValue, "sequence type must be smallint, integer, or bigint").At(o.Offset())
			}
			d.Type = t.String()
		case "increment":
			d.Increment = n
		case "minvalue":
			d.Min = n
		case "maxvalue":
			d.Max = n
		case "start":
			d.Start = n
		case "restart":
			d.Next, d.Ended, d.Called = n, false, false
			if o.Value == nil {
				d.Next = d.Start
			}
		case "cache":
			d.Cache = n
		case "cycle":
			d.Cycle = true
		case "no cycle":
			d.Cycle = false
		}
	}
	return nil
}

// own reads OWNED BY: the sequence goes with the column's table.
func (s *session) own(cat *catalog, o *metadata.Object, def *sequenceDefinition, opts []*sql.Option) error {
	for _, opt := range opts {
		if opt.Name != "owned by" {
			continue
		}
		parts := opt.List
		if len(parts) == 1 {
			if !strings.EqualFold(parts[0], "none") {
				return sqlerr.New(sqlerr.SyntaxError, "invalid OWNED BY option").WithHint("Specify OWNED BY table.column or OWNED BY NONE.").At(opt.Offset())
			}
			def.Table, def.Column, o.DependsOn = 0, 0, nil
			continue
		}
		table, err := cat.object(&sql.Name{Pos: opt.Pos, Parts: parts[:len(parts)-1]})
		if err != nil {
			return err
		}
		rel, err := s.e.relation(context.Background(), cat.img, table)
		if err != nil {
			return err
		}
		if def.Column, err = columnOrdinal(rel, parts[len(parts)-1]); err != nil {
			return sqlerr.From(err).At(opt.Offset())
		}
		def.Table, o.DependsOn = uint32(table.OID), []metadata.OID{table.OID}
	}
	return nil
}

// columnOrdinal finds a visible column.
func columnOrdinal(rel *planner.Relation, name string) (int, error) {
	for i, c := range rel.Columns {
		if c.Name == name && !c.Hidden {
			return i, nil
		}
	}
	return -1, sqlerr.New(sqlerr.UndefinedColumn, "column %q of relation %q does not exist", name, rel.Name)
}

// sequenceObject finds a sequence by name.
func (c *catalog) sequenceObject(name *sql.Name) (*metadata.Object, error) {
	o, err := c.anyObject(name)
	switch {
	case err != nil:
		return nil, err
	case o.Kind != kindSequence:
		return nil, sqlerr.New(sqlerr.WrongObjectType, "%q is not a sequence", o.Name).At(name.Offset())
	}
	return o, nil
}

// alterSequence runs ALTER SEQUENCE with options.
func (s *session) alterSequence(ctx context.Context, q *sql.CreateSequence) error {
	if err := s.checkDDL("ALTER SEQUENCE"); err != nil {
		return err
	}
	cat := s.catalog()
	o, err := cat.sequenceObject(q.Name)
	if err != nil {
		if q.IfExists && sqlerr.CodeOf(err) == sqlerr.UndefinedTable {
			s.notice(sqlerr.SuccessfulCompletion, "relation %q does not exist, skipping", q.Name.Object())
			return nil
		}
		return err
	}
	if err := s.checkOwner(o); err != nil {
		return err
	}
	def, _, err := s.e.standsAt(s, o)
	if err != nil {
		return err
	}
	if err := def.options(q.Options, map[string]bool{}); err != nil {
		return err
	}
	if def.Next < def.Min || def.Next > def.Max {
		return sqlerr.New(sqlerr.InvalidParameterValue, "RESTART value (%d) is not between MINVALUE (%d) and MAXVALUE (%d)", def.Next, def.Min, def.Max)
	}
	next := *o
	if err := s.own(cat, &next, &def, q.Options); err != nil {
		return err
	}
	if next.Payload, err = json.Marshal(def); err != nil {
		return err
	}
	d := s.beginDDL()
	d.batch.PutObject(next)
	d.after = func(context.Context) error {
		s.e.sequences.forget(o.OID)
		return nil
	}
	if s.tx.ddl != nil {
		delete(s.tx.ddl.blocks, o.OID)
	}
	return d.end(ctx)
}

// addSequences makes the sequences of a relation's serial and identity columns from ordinal from on, and notes them in def.
func (s *session) addSequences(ctx context.Context, d *ddl, rel *planner.Relation, defs []*sql.ColumnDef, from int, table metadata.Object, def *definition) error {
	for i, c := range defs {
		ord := from + i
		if rel.Columns[ord].Serial == planner.NotSerial {
			continue
		}
		oid, err := s.newOIDs(ctx, table.Schema, 1)
		if err != nil {
			return err
		}
		var opts []*sql.Option
		if c.Identity != nil {
			opts = c.Identity.Options
		}
		seq, err := newSequence(opts, rel.Columns[ord].Type.Kind)
		if err != nil {
			return err
		}
		seq.Table, seq.Column, seq.Internal = uint32(table.OID), ord, c.Identity != nil
		o := metadata.Object{
			OID: oid, Kind: kindSequence, Space: spaceRelation, Schema: table.Schema, Owner: table.Owner, DependsOn: []metadata.OID{table.OID},
		}
		if o.Name, err = sequenceName(d, table.Schema, table.Name+"_"+c.Name+"_seq", opts); err != nil {
			return err
		}
		if o.Payload, err = json.Marshal(seq); err != nil {
			return err
		}
		d.batch.PutObject(o)
		d.made = append(d.made, oid)
		if def.Sequences == nil {
			def.Sequences = map[int]uint32{}
		}
		def.Sequences[ord] = uint32(oid)
	}
	return nil
}

// sequenceName is the name of a column's sequence: that of the option SEQUENCE NAME, or one like want.
func sequenceName(d *ddl, schema, want string, opts []*sql.Option) (string, error) {
	i := slices.IndexFunc(opts, func(o *sql.Option) bool { return o.Name == "sequence name" })
	if i < 0 {
		return freeName(d, schema, want), nil
	}
	name := &sql.Name{Pos: opts[i].Pos, Parts: opts[i].List}
	if name.Schema() != "" && name.Schema() != schema {
		return "", sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "sequence must be in same schema as table it is linked to").At(name.Offset())
	}
	if free := freeName(d, schema, name.Object()); free != name.Object() {
		return "", sqlerr.New(sqlerr.DuplicateTable, "relation %q already exists", name.Object()).At(name.Offset())
	}
	return name.Object(), nil
}

// freeName is a name that nothing in the schema has: the one wanted, or with a number.
func freeName(d *ddl, schema, want string) string {
	const most = 60 // bytes, so that a number still fits into 63
	if len(want) > most {
		want = strings.ToValidUTF8(want[:most], "")
	}
	name := want
	for n := 1; ; n++ {
		if _, taken := d.img.ObjectByName(spaceRelation, schema, name); !taken && !d.names[schema+"."+name] {
			break
		}
		name = want + strconv.Itoa(n)
	}
	if d.names == nil {
		d.names = map[string]bool{}
	}
	d.names[schema+"."+name] = true
	return name
}

// sequenceUser says whose values come from a sequence, "" if nobody's.
func sequenceUser(img *metadata.Image, o *metadata.Object) string {
	def, err := sequenceDef(o)
	if err != nil || def.Table == 0 {
		return ""
	}
	table, ok := img.Object(metadata.OID(def.Table))
	if !ok {
		return ""
	}
	rel, err := relationDef(table)
	if err != nil || rel.Sequences[def.Column] != uint32(o.OID) {
		return ""
	}
	if def.Internal {
		return fmt.Sprintf("identity column %d of table %s", def.Column+1, qualified(table.Schema, table.Name))
	}
	return fmt.Sprintf("default value for column %d of table %s", def.Column+1, qualified(table.Schema, table.Name))
}
