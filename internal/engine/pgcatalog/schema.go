package pgcatalog

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// The shapes of the virtual tables: a paragraph each, with a head line "schema.name oid relkind", then the columns as name:type,
// where ! stands for NOT NULL. They are PostgreSQL 15's.
var (
	//go:embed schema_pg_catalog.txt
	pgCatalogShapes string
	//go:embed schema_information_schema.txt
	infoSchemaShapes string
	//go:embed schema_millrace.txt
	millraceShapes string
)

// The built-in schemas.
const (
	schemaPgCatalog = "pg_catalog"
	schemaMillrace  = "millrace"
	schemaTemp      = "pg_temp"
)

// virtual is a virtual table.
type virtual struct {
	rel     *planner.Relation
	relkind string // as pg_class shows it: r or v
	ordinal map[string]int
}

// shapes are the virtual tables by OID and by name.
var shapes = readShapes()

type shapeIndex struct {
	all    []*virtual // by OID
	byOID  map[uint32]*virtual
	byName map[qname]*virtual
}

type qname struct{ schema, name string }

func readShapes() *shapeIndex {
	x := &shapeIndex{byOID: map[uint32]*virtual{}, byName: map[qname]*virtual{}}
	for _, text := range []string{pgCatalogShapes, infoSchemaShapes, millraceShapes} {
		for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
			v := readShape(paragraph)
			if x.byOID[v.rel.OID] != nil {
				panic("pgcatalog: OID given twice: " + paragraph)
			}
			x.all = append(x.all, v)
			x.byOID[v.rel.OID] = v
			x.byName[qname{v.rel.Schema, v.rel.Name}] = v
		}
	}
	slices.SortFunc(x.all, func(a, b *virtual) int { return int(a.rel.OID) - int(b.rel.OID) })
	return x
}

func readShape(paragraph string) *virtual {
	fields := strings.Fields(paragraph)
	schema, name, _ := strings.Cut(fields[0], ".")
	oid, err := strconv.ParseUint(fields[1], 10, 32)
	if err != nil {
		panic("pgcatalog: bad head: " + paragraph)
	}
	v := &virtual{
		rel:     &planner.Relation{OID: uint32(oid), Schema: schema, Name: name, Kind: planner.Virtual, TimestampColumn: -1},
		relkind: fields[2], ordinal: map[string]int{},
	}
	for i, f := range fields[3:] {
		column, typ, _ := strings.Cut(f, ":")
		typ, notNull := strings.CutSuffix(typ, "!")
		v.rel.Columns = append(v.rel.Columns, planner.Column{Name: column, Type: shapeType(typ), NotNull: notNull})
		v.ordinal[column] = i
	}
	return v
}

// shapeType reads a type of a shape: a name of pg_type, which for varchar may have a length.
func shapeType(s string) types.Type {
	if n, ok := strings.CutPrefix(s, "varchar("); ok {
		length, err := strconv.Atoi(strings.TrimSuffix(n, ")"))
		if err != nil {
			panic("pgcatalog: bad type: " + s)
		}
		return types.VarcharOf(length)
	}
	t, ok := types.Lookup(s)
	if !ok {
		panic("pgcatalog: unknown type: " + s)
	}
	return t
}

// Relations returns all virtual relations by OID. They must not be changed.
func Relations() []*planner.Relation {
	out := make([]*planner.Relation, len(shapes.all))
	for i, v := range shapes.all {
		out[i] = v.rel
	}
	return out
}

// Lookup returns a virtual relation, nil if there is none of that name.
func Lookup(schema, name string) *planner.Relation {
	if v := shapes.byName[qname{schema, name}]; v != nil {
		return v.rel
	}
	return nil
}
