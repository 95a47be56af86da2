package pgcatalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// fillSequence fills pg_sequence.
func (c *catalog) fillSequence(t *table) {
	for _, s := range c.w.Sequences() {
		t.add(row{
			"seqrelid": oid(s.OID), "seqtypid": oid(s.Type.OID()), "seqstart": num(s.Start), "seqincrement": num(s.Increment), "seqmax": num(s.Max),
			"seqmin": num(s.Min), "seqcache": num(s.Cache), "seqcycle": flag(s.Cycle),
		})
	}
}

// eachSequence yields the sequences with their relations.
func (c *catalog) eachSequence(yield func(s Sequence, r relation)) {
	for _, s := range c.w.Sequences() {
		if r, ok := c.relationByOID(s.OID); ok {
			yield(s, r)
		}
	}
}

// fillSequences fills pg_sequences.
func (c *catalog) fillSequences(t *table) {
	c.eachSequence(func(s Sequence, r relation) {
		last := types.NullDatum
		if s.Called {
			last = num(s.LastValue)
		}
		t.add(row{
			"schemaname": text(r.Schema), "sequencename": text(r.Name), "sequenceowner": text(c.owner(r)), "data_type": oid(s.Type.OID()),
			"start_value": num(s.Start), "min_value": num(s.Min), "max_value": num(s.Max), "increment_by": num(s.Increment), "cycle": flag(s.Cycle),
			"cache_size": num(s.Cache), "last_value": last,
		})
	})
}

// fillInfoSequences fills information_schema.sequences, which leaves out those of identity columns.
func (c *catalog) fillInfoSequences(t *table) {
	db := text(c.w.Database())
	decimal := func(n int64) types.Datum { return text(strconv.FormatInt(n, 10)) }
	c.eachSequence(func(s Sequence, r relation) {
		if s.Identity {
			return
		}
		t.add(row{
			"sequence_catalog": db, "sequence_schema": text(r.Schema), "sequence_name": text(r.Name), "data_type": text(s.Type.String()),
			"numeric_precision": num(int64(s.Type.Len()) * 8), "numeric_precision_radix": num(2), "numeric_scale": num(0), "start_value": decimal(s.Start),
			"minimum_value": decimal(s.Min), "maximum_value": decimal(s.Max), "increment": decimal(s.Increment), "cycle_option": yesNo(s.Cycle),
		})
	})
}

// fillDepend fills pg_depend with what clients look for there: which column a sequence belongs to, and what pg_dump leaves alone.
func (c *catalog) fillDepend(t *table) {
	c.fillMembers(t)
	for _, s := range c.w.Sequences() {
		if s.Table == 0 {
			continue
		}
		kind := "a"
		if s.Identity {
			kind = "i"
		}
		t.add(row{
			"classid": oid(oidPgClass), "objid": oid(s.OID), "refclassid": oid(oidPgClass), "refobjid": oid(s.Table),
			"refobjsubid": num(int64(s.Column + 1)), "deptype": text(kind),
		})
	}
	for _, r := range c.userRelations() {
		for i, col := range r.columns() {
			if col.Default == nil || isIdentity(col) {
				continue
			}
			for _, sequence := range namedIn(col.Default) { // pg_dump makes the sequence before the default that calls it
				t.add(row{
					"classid": oid(oidPgAttrdef), "objid": oid(attrdefOID(r.OID, i+1)), "refclassid": oid(oidPgClass), "refobjid": oid(sequence), "deptype": text("n"),
				})
			}
		}
	}
}

// namedIn are the relations that an expression names, as nextval does.
func namedIn(e planner.Expr) []uint32 {
	var out []uint32
	planner.VisitExpr(e, func(e planner.Expr) {
		if k, ok := e.(*planner.Const); ok && k.Typ.Kind == types.Regclass && !k.Val.Null && !slices.Contains(out, uint32(k.Val.I)) {
			out = append(out, uint32(k.Val.I))
		}
	})
	return out
}

// describeIdentity adds what information_schema.columns says of an identity column.
func (c *catalog) describeIdentity(cells row, col planner.Column) {
	if !isIdentity(col) {
		return
	}
	cells["identity_generation"] = text("BY DEFAULT")
	if col.Serial == planner.IdentityAlways {
		cells["identity_generation"] = text("ALWAYS")
	}
	for _, s := range c.w.Sequences() {
		if s.OID == col.Sequence {
			cells["identity_start"], cells["identity_increment"] = text(strconv.FormatInt(s.Start, 10)), text(strconv.FormatInt(s.Increment, 10))
			cells["identity_maximum"], cells["identity_minimum"] = text(strconv.FormatInt(s.Max, 10)), text(strconv.FormatInt(s.Min, 10))
			cells["identity_cycle"] = yesNo(s.Cycle)
		}
	}
}

// serialSequence answers pg_get_serial_sequence(table, column): the table is read as SQL reads a name, the column is taken as it is.
func serialSequence(c *catalog, args []types.Datum) (types.Datum, error) {
	table, err := c.regOID(types.Regclass, args[0].S)
	if err != nil {
		return types.NullDatum, err
	}
	r, _ := c.relationByOID(table)
	for _, s := range c.w.Sequences() {
		if s.Table != table || s.Column >= len(r.Columns) || r.Columns[s.Column].Name != args[1].S {
			continue
		}
		if seq, ok := c.relationByOID(s.OID); ok {
			return text(strings.Join([]string{sql.QuoteIdent(seq.Schema), sql.QuoteIdent(seq.Name)}, ".")), nil
		}
	}
	return types.NullDatum, nil
}
