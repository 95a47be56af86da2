package pgcatalog

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// opclassTable lists the default btree operator classes, a line each: OID, name, family, type. Clients follow pg_index.indclass to them.
const opclassTable = `
10003 bool_ops 424 16
10006 bytea_ops 428 17
10007 char_ops 429 18
10028 name_ops 1994 19
3124 int8_ops 1976 20
1979 int2_ops 1976 21
1978 int4_ops 1976 23
3126 text_ops 1994 25
1981 oid_ops 1989 26
10012 float4_ops 1970 700
3123 float8_ops 1970 701
3122 date_ops 434 1082
10038 time_ops 1996 1083
3128 timestamp_ops 434 1114
3127 timestamptz_ops 434 1184
10022 interval_ops 1982 1186
3125 numeric_ops 1988 1700
10034 record_ops 2994 2249
10000 array_ops 397 2277
10065 uuid_ops 2968 2950
10088 jsonb_ops 4033 3802
`

// opfamilyNames are the families of these classes.
var opfamilyNames = map[uint32]string{
	424: "bool_ops", 428: "bytea_ops", 429: "char_ops", 1994: "text_ops", 1976: "integer_ops", 1989: "oid_ops", 1970: "float_ops", 434: "datetime_ops",
	1996: "time_ops", 1982: "interval_ops", 1988: "numeric_ops", 2994: "record_ops", 397: "array_ops", 2968: "uuid_ops", 4033: "jsonb_ops",
}

type opclass struct {
	oid    uint32
	name   string
	family uint32
	intype uint32
}

var opclasses = readOpclasses()

func readOpclasses() []opclass {
	var out []opclass
	for _, line := range strings.Split(strings.TrimSpace(opclassTable), "\n") {
		f := strings.Fields(line)
		out = append(out, opclass{parseOID(f[0]), f[1], parseOID(f[2]), parseOID(f[3])})
	}
	return out
}

// opclassOf is the operator class by which a column of an index is ordered.
func opclassOf(t types.Type) uint32 {
	want := t.OID()
	switch t.Kind {
	case types.Varchar:
		want = types.Of(types.Text).OID()
	case types.Array:
		want = types.Of(types.AnyArray).OID()
	}
	for _, o := range opclasses {
		if o.intype == want {
			return o.oid
		}
	}
	return 0
}

func isOpclass(o uint32) bool {
	for _, c := range opclasses {
		if c.oid == o {
			return true
		}
	}
	return false
}

// fillOpclass fills pg_opclass.
func (c *catalog) fillOpclass(t *table) {
	for _, o := range opclasses {
		t.add(row{
			"oid": oid(o.oid), "opcmethod": oid(oidBtree), "opcname": text(o.name), "opcnamespace": oid(oidSchemaSystem), "opcowner": oid(oidBootstrap),
			"opcfamily": oid(o.family), "opcintype": oid(o.intype), "opcdefault": flag(true), "opckeytype": oid(0),
		})
	}
}

// fillOpfamily fills pg_opfamily.
func (c *catalog) fillOpfamily(t *table) {
	for _, family := range slices.Sorted(maps.Keys(opfamilyNames)) {
		t.add(row{
			"oid": oid(family), "opfmethod": oid(oidBtree), "opfname": text(opfamilyNames[family]), "opfnamespace": oid(oidSchemaSystem), "opfowner": oid(oidBootstrap),
		})
	}
}

// operators are the OIDs of all operators.
var operators = sync.OnceValue(func() map[uint32]bool {
	m := map[uint32]bool{}
	for _, f := range planner.Functions() {
		if f.IsOperator() {
			m[funcOID(f)] = true
		}
	}
	return m
})

// fillOperator fills pg_operator. Operators are functions to us, with OIDs by the same rule.
func (c *catalog) fillOperator(t *table) {
	for _, f := range planner.Functions() {
		if !f.IsOperator() || len(f.Args) == 0 || len(f.Args) > 2 {
			continue
		}
		kind, left, right := "b", f.Args[0].OID(), f.Args[len(f.Args)-1].OID()
		if len(f.Args) == 1 {
			kind, left = "l", 0
		}
		t.add(row{
			"oid": oid(funcOID(f)), "oprname": text(f.Name), "oprnamespace": oid(oidSchemaSystem), "oprowner": oid(oidBootstrap), "oprkind": text(kind),
			"oprleft": oid(left), "oprright": oid(right), "oprresult": oid(f.Ret.OID()),
		})
	}
}
