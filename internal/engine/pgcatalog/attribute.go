package pgcatalog

import (
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// fillAttribute fills pg_attribute: the columns of relations and of indexes.
func (c *catalog) fillAttribute(t *table) {
	t.rows = append(t.rows, builtinAttributes()...)
	for _, r := range c.userRelations() {
		r.addAttributes(t)
		for _, ix := range r.indexes() {
			for i, k := range ix.cols {
				col := r.Columns[k]
				col.DefaultText, col.Serial = "", planner.NotSerial
				t.add(attributeRow(ix.oid, i+1, col, false))
			}
		}
	}
}

var builtinAttributes = constant(schemaPgCatalog, "pg_attribute", func(t *table) {
	for _, v := range shapes.all {
		relation{v.rel, v.relkind[0]}.addAttributes(t)
	}
})

func (r relation) addAttributes(t *table) {
	for i, col := range r.columns() {
		t.add(attributeRow(r.OID, i+1, col, r.notNull(i)))
	}
}

func attributeRow(relid uint32, attnum int, col planner.Column, notNull bool) row {
	ph := physical(col.Type)
	dims := int64(0)
	if col.Type.Kind == types.Array {
		dims = 1
	}
	cells := row{
		"attrelid": oid(relid), "attname": text(col.Name), "atttypid": oid(col.Type.OID()), "attstattarget": num(-1), "attlen": num(int64(col.Type.Len())),
		"attnum": num(int64(attnum)), "attndims": num(dims), "attcacheoff": num(-1), "atttypmod": num(int64(col.Type.Mod)), "attbyval": flag(ph.byVal),
		"attalign": text(ph.align), "attstorage": text(ph.storage), "attnotnull": flag(notNull), "atthasdef": flag(hasDefault(col)),
		"attislocal": flag(true), "attcollation": oid(typeCollation(col.Type)),
	}
	if isIdentity(col) {
		cells["attidentity"] = text(string(byte(col.Serial)))
	}
	return cells
}

func isIdentity(col planner.Column) bool {
	return col.Serial == planner.IdentityAlways || col.Serial == planner.IdentityByDefault
}

func hasDefault(col planner.Column) bool {
	return col.DefaultText != "" || col.Serial == planner.Serial
}

// defaultText is a column's default as text, "" for none. An identity column has none.
func (c *catalog) defaultText(col planner.Column) string {
	if col.Serial != planner.Serial {
		return col.DefaultText
	}
	name, ok := c.className(col.Sequence)
	if !ok {
		return ""
	}
	return "nextval('" + strings.ReplaceAll(name, "'", "''") + "'::regclass)"
}

// fillAttrdef fills pg_attrdef: the columns' defaults, as text.
func (c *catalog) fillAttrdef(t *table) {
	for _, r := range c.userRelations() {
		for i, col := range r.columns() {
			if hasDefault(col) {
				t.add(row{"oid": oid(attrdefOID(r.OID, i+1)), "adrelid": oid(r.OID), "adnum": num(int64(i + 1)), "adbin": text(c.defaultText(col))})
			}
		}
	}
}
