package pgcatalog

import (
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// proc is a row of pg_proc: a function of ours, or one that pg_type names (f is nil).
type proc struct {
	oid  uint32
	name string
	f    *planner.Func
}

type procIndex struct {
	all    []*proc
	byOID  map[uint32]*proc
	byName map[string][]uint32
}

// procs are all functions, made once.
var procs = sync.OnceValue(func() *procIndex {
	x := &procIndex{byOID: map[uint32]*proc{}, byName: map[string][]uint32{}}
	add := func(p *proc) {
		x.all = append(x.all, p)
		x.byOID[p.oid] = p
		x.byName[p.name] = append(x.byName[p.name], p.oid)
	}
	for _, t := range append(slices.Clone(catalogTypes()), types.Of(types.EnumKind)) {
		for _, f := range physical(t).funcs {
			if f.oid != 0 && x.byOID[f.oid] == nil {
				add(&proc{oid: f.oid, name: f.name})
			}
		}
	}
	for _, f := range planner.Functions() {
		if f.IsOperator() {
			continue
		}
		o := funcOID(f)
		for x.byOID[o] != nil {
			o++
		}
		add(&proc{oid: o, name: f.Name, f: f})
	}
	return x
})

// funcOID is the OID of a built-in function: a hash of what tells it from all others, between 2^29 and 2^30, so that it
// does not move when functions are added.
func funcOID(f *planner.Func) uint32 {
	h := fnv.New32a()
	h.Write([]byte{byte(f.Kind)})
	h.Write([]byte(f.ID()))
	return 1<<29 | h.Sum32()&(1<<29-1)
}

var (
	volatilities = map[planner.Volatility]string{planner.Immutable: "i", planner.Stable: "s", planner.Volatile: "v"}
	prokinds     = map[planner.FuncKind]string{
		planner.ScalarFunc: "f", planner.AggregateFunc: "a", planner.SetFunc: "f", planner.WindowOnlyFunc: "w",
		planner.OrderedSetFunc: "a",
	}
)

// fillProc fills pg_proc.
func (c *catalog) fillProc(t *table) { t.rows = append(t.rows, procRows()...) }

var procRows = constant(schemaPgCatalog, "pg_proc", func(t *table) {
	for _, p := range procs().all {
		r := row{
			"oid": oid(p.oid), "proname": text(p.name), "pronamespace": oid(oidSchemaSystem), "proowner": oid(oidBootstrap), "prolang": oid(oidInternal),
			"procost": types.FloatDatum(1), "prokind": text("f"), "proisstrict": flag(true), "provolatile": text("i"), "proparallel": text("s"),
			"proargtypes": list(types.OID, nil), "prosrc": text(p.name),
		}
		if p.f != nil {
			describeFunc(r, p.f)
		}
		t.add(r)
	}
})

// describeFunc adds what a signature tells.
func describeFunc(r row, f *planner.Func) {
	var args []int64
	for _, a := range f.Args {
		args = append(args, int64(a.OID()))
	}
	if f.Variadic {
		r["provariadic"] = num(args[len(args)-1])
	}
	r["prokind"], r["proisstrict"], r["provolatile"] = text(prokinds[f.Kind]), flag(!f.NotStrict), text(volatilities[f.Volatility])
	r["proretset"], r["prorettype"] = flag(f.Kind == planner.SetFunc), oid(f.Ret.OID())
	r["pronargs"], r["proargtypes"] = num(int64(len(args))), oids(args...)
	if f.Kind != planner.SetFunc {
		return
	}
	r["prorows"] = types.FloatDatum(1000)
	if len(f.Columns) == 0 {
		return
	}
	modes := strings.Repeat("i", len(args)) + strings.Repeat("t", len(f.Columns))
	names := make([]string, len(modes)) // arguments have none
	for i, col := range f.Columns {
		names[len(f.Args)+i] = col.Name
		args = append(args, int64(col.Type.OID()))
	}
	r["proargmodes"], r["proargnames"], r["proallargtypes"] = texts(types.Char, strings.Split(modes, "")), texts(types.Text, names), oids(args...)
}

// argumentList is a function's argument types as pg_get_function_arguments prints them.
func argumentList(f *planner.Func) string {
	args := make([]string, len(f.Args))
	for i, a := range f.Args {
		args[i] = a.String()
	}
	if n := len(args); f.Variadic {
		args[n-1] = "VARIADIC " + args[n-1]
		if f.Args[n-1].Kind != types.Any {
			args[n-1] += "[]"
		}
	}
	return strings.Join(args, ", ")
}

// resultText is a function's result as pg_get_function_result prints it.
func resultText(f *planner.Func) string {
	switch {
	case f.Kind != planner.SetFunc:
		return f.Ret.String()
	case f.Ret.Kind != types.Record || len(f.Columns) == 0:
		return "SETOF " + f.Ret.String()
	}
	cols := make([]string, len(f.Columns))
	for i, c := range f.Columns {
		cols[i] = c.Name + " " + c.Type.String()
	}
	return "TABLE(" + strings.Join(cols, ", ") + ")"
}
