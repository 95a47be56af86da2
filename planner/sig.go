package planner

import (
	"fmt"
	"sort"
	"strings"

	"github.com/millracedb/millrace/sql/types"
)

// The tables of signatures are text, one overload a line:
//
//	name(argument kinds) result ; flags
//
// The last argument may repeat when it ends in "...". Flags: stable, volatile, null (the function sees NULLs), session, and
// for set-returning functions cols=name:kind,name:kind. The executor implements each line under Func.ID().

// registry holds every overload by name, built once from the tables.
var registry = buildRegistry()

// kindByName inverts kindNames.
var kindByName = func() map[string]types.Kind {
	m := make(map[string]types.Kind, len(kindNames))
	for k, n := range kindNames {
		m[n] = k
	}
	return m
}()

func buildRegistry() map[string][]*Func {
	reg := map[string][]*Func{}
	add := func(kind FuncKind, table string) {
		for _, line := range strings.Split(table, "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			f := parseSignature(line)
			f.Kind = kind
			for _, g := range reg[f.Name] {
				if g.ID() == f.ID() && g.Kind == f.Kind {
					panic("planner: signature declared twice: " + line)
				}
			}
			reg[f.Name] = append(reg[f.Name], f)
		}
	}
	add(ScalarFunc, comparisonOperators())
	for _, t := range []string{arithmeticOperators, timeOperators, textOperators, jsonOperators, arrayOperators} {
		add(ScalarFunc, t)
	}
	for _, t := range []string{mathFunctions, textFunctions, timeFunctions, jsonFunctions, enumFunctions, arrayFunctions, mixedFunctions, ksqlFunctions, catalogFunctions} {
		add(ScalarFunc, t)
	}
	for _, t := range []string{aggregateFunctions, statisticalAggregates, ksqlAggregates} {
		add(AggregateFunc, t)
	}
	add(WindowOnlyFunc, windowFunctions)
	add(OrderedSetFunc, orderedSetFunctions)
	add(SetFunc, setFunctions)
	return reg
}

func parseSignature(line string) *Func {
	bad := func() *Func { panic("planner: bad signature: " + line) }
	head, flags, _ := strings.Cut(line, ";")
	open, end := strings.LastIndexByte(head, '('), strings.LastIndexByte(head, ')')
	if open <= 0 || end < open {
		return bad()
	}
	f := &Func{Name: head[:open], Ret: sigType(strings.TrimSpace(head[end+1:]))}
	if args := strings.TrimSpace(head[open+1 : end]); args != "" {
		for _, a := range strings.Split(args, ",") {
			a = strings.TrimSpace(a)
			if strings.HasSuffix(a, "...") {
				f.Variadic, a = true, strings.TrimSuffix(a, "...")
			}
			f.Args = append(f.Args, sigType(a))
		}
	}
	for _, flag := range strings.Fields(flags) {
		switch {
		case flag == "stable":
			f.Volatility = max(f.Volatility, Stable)
		case flag == "volatile":
			f.Volatility = Volatile
		case flag == "null":
			f.NotStrict = true
		case flag == "ordered":
			f.Ordered = true
		case flag == "session":
			f.Session, f.Volatility = true, max(f.Volatility, Stable)
		case strings.HasPrefix(flag, "cols="):
			for _, c := range strings.Split(flag[len("cols="):], ",") {
				name, kind, _ := strings.Cut(c, ":")
				f.Columns = append(f.Columns, types.Field{Name: name, Type: sigType(kind)})
			}
		default:
			return bad()
		}
	}
	return f
}

func sigType(s string) types.Type {
	if elem, ok := strings.CutSuffix(s, "[]"); ok {
		return types.ArrayOf(sigType(elem))
	}
	k, ok := kindByName[s]
	if !ok {
		panic(fmt.Sprintf("planner: unknown kind %q in a signature", s))
	}
	return types.Of(k)
}

// Functions returns every built-in overload, sorted by ID: what the executor has to implement, and what SHOW FUNCTIONS and
// pg_proc list. The caller must not change what the pointers point to.
func Functions() []*Func {
	var all []*Func
	for _, fs := range registry {
		all = append(all, fs...)
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Kind != all[j].Kind {
			return all[i].Kind < all[j].Kind
		}
		return all[i].ID() < all[j].ID()
	})
	return all
}

// IsOperator reports whether f is an operator rather than a named function.
func (f *Func) IsOperator() bool {
	c := f.Name[0]
	return (c < 'a' || c > 'z') && c != '_'
}
