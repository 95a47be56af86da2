package pgcatalog

import (
	"strconv"
	"strings"
	"sync"

	"github.com/millracedb/millrace/sql/types"
)

// typeTable says how PostgreSQL keeps and reads each type, a line a type: OID, name, three letters (passed by value or by
// reference; alignment; storage), then with their OIDs the functions for input, output, receive, send, and for modifiers in and out. Drivers tell types by those.
const typeTable = `
16 bool vcp boolin 1242 boolout 1243 boolrecv 2436 boolsend 2437
17 bytea rix byteain 1244 byteaout 31 bytearecv 2412 byteasend 2413
18 char vcp charin 1245 charout 33 charrecv 2434 charsend 2435
19 name rcp namein 34 nameout 35 namerecv 2422 namesend 2423
20 int8 vdp int8in 460 int8out 461 int8recv 2408 int8send 2409
21 int2 vsp int2in 38 int2out 39 int2recv 2404 int2send 2405
22 int2vector rip int2vectorin 40 int2vectorout 41 int2vectorrecv 2410 int2vectorsend 2411
23 int4 vip int4in 42 int4out 43 int4recv 2406 int4send 2407
24 regproc vip regprocin 44 regprocout 45 regprocrecv 2444 regprocsend 2445
25 text rix textin 46 textout 47 textrecv 2414 textsend 2415
26 oid vip oidin 1798 oidout 1799 oidrecv 2418 oidsend 2419
30 oidvector rip oidvectorin 54 oidvectorout 55 oidvectorrecv 2420 oidvectorsend 2421
114 json rix json_in 321 json_out 322 json_recv 323 json_send 324
700 float4 vip float4in 200 float4out 201 float4recv 2424 float4send 2425
701 float8 vdp float8in 214 float8out 215 float8recv 2426 float8send 2427
705 unknown rcp unknownin 109 unknownout 110 unknownrecv 2416 unknownsend 2417
1043 varchar rix varcharin 1046 varcharout 1047 varcharrecv 2432 varcharsend 2433 varchartypmodin 2915 varchartypmodout 2916
1082 date vip date_in 1084 date_out 1085 date_recv 2468 date_send 2469
1083 time vdp time_in 1143 time_out 1144 time_recv 2470 time_send 2471 timetypmodin 2909 timetypmodout 2910
1114 timestamp vdp timestamp_in 1312 timestamp_out 1313 timestamp_recv 2474 timestamp_send 2475 timestamptypmodin 2905 timestamptypmodout 2906
1184 timestamptz vdp timestamptz_in 1150 timestamptz_out 1151 timestamptz_recv 2476 timestamptz_send 2477 timestamptztypmodin 2907 timestamptztypmodout 2908
1186 interval rdp interval_in 1160 interval_out 1161 interval_recv 2478 interval_send 2479 intervaltypmodin 2903 intervaltypmodout 2904
1700 numeric rim numeric_in 1701 numeric_out 1702 numeric_recv 2460 numeric_send 2461 numerictypmodin 2917 numerictypmodout 2918
2205 regclass vip regclassin 2218 regclassout 2219 regclassrecv 2452 regclasssend 2453
2202 regprocedure vip regprocedurein 2212 regprocedureout 2213 regprocedurerecv 2446 regproceduresend 2447
2204 regoperator vip regoperatorin 2216 regoperatorout 2217 regoperatorrecv 2450 regoperatorsend 2451
2206 regtype vip regtypein 2220 regtypeout 2221 regtyperecv 2454 regtypesend 2455
2249 record rdx record_in 2290 record_out 2291 record_recv 2402 record_send 2403
2276 any vip any_in 2294 any_out 2295 - 0
2277 anyarray rdx anyarray_in 2296 anyarray_out 2297 anyarray_recv 2502 anyarray_send 2503
2278 void vip void_in 2298 void_out 2299 void_recv 3120 void_send 3121
2283 anyelement vip anyelement_in 2312 anyelement_out 2313 - 0
2950 uuid rcp uuid_in 2952 uuid_out 2953 uuid_recv 2961 uuid_send 2962
3802 jsonb rix jsonb_in 3806 jsonb_out 3804 jsonb_recv 3805 jsonb_send 3803
3500 anyenum vip anyenum_in 3504 anyenum_out 3505 - 0
4072 jsonpath rix jsonpath_in 4001 jsonpath_out 4003 jsonpath_recv 4002 jsonpath_send 4004
4089 regnamespace vip regnamespacein 4084 regnamespaceout 4085 regnamespacerecv 4087 regnamespacesend 4088
4096 regrole vip regrolein 4098 regroleout 4092 regrolerecv 4094 regrolesend 4095
`

// enumFuncs are the functions of every enumerated type.
const enumFuncs = "enum_in 3506 enum_out 3507 enum_recv 3532 enum_send 3533"

// arrayFuncs are the functions of every array type.
const arrayFuncs = "array_in 750 array_out 751 array_recv 2400 array_send 2401"

// builtinFunc is a function that pg_type names.
type builtinFunc struct {
	oid  uint32
	name string
}

// typeShape is a line of typeTable.
type typeShape struct {
	byVal          bool
	align, storage string
	funcs          [6]builtinFunc // input, output, receive, send, modin, modout; oid 0 for none
}

var typeShapes = readTypeTable()

func readTypeTable() map[uint32]typeShape {
	m := map[uint32]typeShape{}
	for _, line := range strings.Split(strings.TrimSpace(typeTable), "\n") {
		f := strings.Fields(line)
		m[parseOID(f[0])] = typeShape{byVal: f[2][0] == 'v', align: f[2][1:2], storage: f[2][2:], funcs: readFuncs(f[3:])}
	}
	return m
}

func readFuncs(fields []string) (funcs [6]builtinFunc) {
	for i := 0; i+1 < len(fields); i += 2 {
		funcs[i/2] = builtinFunc{oid: parseOID(fields[i+1]), name: fields[i]}
	}
	return funcs
}

// parseOID reads a number of our own tables.
func parseOID(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic("pgcatalog: bad OID " + s)
	}
	return uint32(n)
}

// physical is how PostgreSQL would keep a type.
func physical(t types.Type) typeShape {
	switch t.Kind {
	case types.Array:
	case types.EnumKind:
		return typeShape{byVal: true, align: "i", storage: "p", funcs: readFuncs(strings.Fields(enumFuncs))}
	default:
		return typeShapes[t.OID()]
	}
	sh := typeShape{align: "i", storage: "x", funcs: readFuncs(strings.Fields(arrayFuncs))}
	if t.Elem == nil {
		return sh
	}
	elem := physical(*t.Elem)
	if elem.align == "d" {
		sh.align = "d"
	}
	sh.funcs[4], sh.funcs[5] = elem.funcs[4], elem.funcs[5]
	return sh
}

// catalogTypes are the types of pg_type: every kind, then the arrays of those that have any.
var catalogTypes = sync.OnceValue(func() []types.Type {
	var all []types.Type
	for _, k := range types.Kinds() {
		all = append(all, types.Of(k))
	}
	for _, t := range all {
		if t.ArrayOID() != 0 {
			all = append(all, types.ArrayOf(t))
		}
	}
	return all
})

// fillType fills pg_type.
func (c *catalog) fillType(t *table) {
	t.rows = append(t.rows, typeRows()...)
	schemas, role := c.schemaOIDs(), c.roleOIDs()
	for _, u := range c.w.Types() {
		r := typeRow(u.Type)
		if u.Type.Kind == types.EnumKind {
			array := typeRow(types.ArrayOf(u.Type))
			for _, x := range []row{r, array} {
				x["typnamespace"], x["typowner"] = oid(schemas[u.Schema]), oid(role(u.Owner))
				t.add(x)
			}
			continue
		}
		// Clients see the columns of such a type as those of what it stands for, so it is a domain to them.
		r["oid"], r["typname"], r["typnamespace"], r["typowner"] = oid(u.OID), text(u.Name), oid(schemas[u.Schema]), oid(role(u.Owner))
		r["typtype"], r["typbasetype"], r["typarray"], r["typispreferred"] = text("d"), oid(u.Type.OID()), oid(0), flag(false)
		t.add(r)
	}
}

var typeRows = constant(schemaPgCatalog, "pg_type", func(t *table) {
	for _, typ := range catalogTypes() {
		t.add(typeRow(typ))
	}
})

func typeRow(t types.Type) row {
	ph := physical(t)
	r := row{
		"oid": oid(t.OID()), "typname": text(t.Name()), "typnamespace": oid(oidSchemaSystem), "typowner": oid(oidBootstrap), "typlen": num(int64(t.Len())),
		"typbyval": flag(ph.byVal), "typtype": text("b"), "typcategory": text(string(t.Kind.Category())), "typispreferred": flag(t.Kind.Preferred()),
		"typisdefined": flag(true), "typdelim": text(","), "typarray": oid(t.ArrayOID()), "typalign": text(ph.align), "typstorage": text(ph.storage),
		"typtypmod": num(-1), "typcollation": oid(typeCollation(t)),
	}
	for i, col := range [...]string{"typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout"} {
		r[col] = oid(ph.funcs[i].oid)
	}
	switch t.Kind {
	case types.Array:
		r["typelem"], r["typsubscript"], r["typarray"] = oid(t.Elem.OID()), oid(oidArraySubscript), oid(0)
	case types.EnumKind:
		r["typtype"] = text("e")
	case types.Int2Vector:
		r["typelem"], r["typsubscript"] = oid(types.Of(types.Int2).OID()), oid(oidArraySubscript)
	case types.OIDVector:
		r["typelem"], r["typsubscript"] = oid(types.Of(types.OID).OID()), oid(oidArraySubscript)
	case types.Name:
		r["typelem"], r["typsubscript"] = oid(types.Of(types.Char).OID()), oid(oidRawArraySubscript)
	case types.JSONB:
		r["typsubscript"] = oid(oidJSONSubscript)
	}
	if isPseudo(t) {
		r["typtype"], r["typcategory"] = text("p"), text("P")
	}
	if t.Kind == types.Unknown {
		r["typcategory"] = text("X")
	}
	return r
}

// fillEnum fills pg_enum. Its OIDs are in the order of the labels.
func (c *catalog) fillEnum(t *table) {
	for _, u := range c.w.Types() {
		if u.Type.Kind != types.EnumKind {
			continue
		}
		for i, l := range u.Type.Enum.Labels.All() {
			t.add(row{
				"oid": oid(attrdefOID(u.OID, i+1)), "enumtypid": oid(u.OID), "enumlabel": text(l.Name),
				"enumsortorder": types.FloatDatum(float64(float32(float64(l.Order) / types.EnumStep))),
			})
		}
	}
}

// typeByOID finds a type that columns can have: a built-in one, an enumerated one or an array of those.
func (c *catalog) typeByOID(o uint32) (types.Type, bool) {
	if t, ok := types.FromOID(o); ok {
		return t, true
	}
	for _, u := range c.w.Types() {
		switch {
		case u.Type.Kind != types.EnumKind:
		case u.OID == o:
			return u.Type, true
		case u.Type.ArrayOID() == o:
			return types.ArrayOf(u.Type), true
		}
	}
	return types.Type{}, false
}

// OIDs of the functions behind subscripts (pg_type.typsubscript).
const (
	oidArraySubscript    = 6179
	oidRawArraySubscript = 6180
	oidJSONSubscript     = 6098
)

// isPseudo reports whether no column can have the type.
func isPseudo(t types.Type) bool {
	if t.Kind == types.Array {
		return isPseudo(*t.Elem)
	}
	return t.Kind.Category() == 'P' || t.Kind == types.Unknown
}
