package expr

import (
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The aggregates that give a list or an object of their values (PostgreSQL docs, table 9.60), and ksqlDB's of the same kind.

func init() {
	for _, k := range []string{"json", "jsonb"} {
		binary := k == "jsonb"
		aggregate(k+"_agg(any)", func(env *Env, args []types.Type, _ types.Type) Accumulator {
			return &jsonAgg{env: env, args: args, binary: binary}
		})
		aggregate(k+"_object_agg(any,any)", func(env *Env, args []types.Type, _ types.Type) Accumulator {
			return &jsonAgg{env: env, args: args, binary: binary, object: true}
		})
	}
	aggregate("collect_list(anyelement)", func(_ *Env, args []types.Type, _ types.Type) Accumulator { return &arrayAgg{elem: args[0]} })
	aggregate("collect_set(anyelement)", func(_ *Env, args []types.Type, _ types.Type) Accumulator {
		return &collectSet{list: arrayAgg{elem: args[0]}, seen: map[string]struct{}{}}
	})
	for _, order := range []string{"", ",int4"} {
		for _, nulls := range []string{"", ",bool"} {
			aggregate("latest_by_offset(anyelement"+order+nulls+")", func(_ *Env, args []types.Type, _ types.Type) Accumulator {
				return &byOffset{elem: args[0], latest: true, one: order == ""}
			})
			aggregate("earliest_by_offset(anyelement"+order+nulls+")", func(_ *Env, args []types.Type, _ types.Type) Accumulator {
				return &byOffset{elem: args[0], one: order == ""}
			})
		}
	}
	aggregate("topk(anyelement,int4)", func(_ *Env, args []types.Type, _ types.Type) Accumulator { return &topK{elem: args[0]} })
	aggregate("topkdistinct(anyelement,int4)", func(_ *Env, args []types.Type, _ types.Type) Accumulator {
		return &topK{elem: args[0], distinct: true}
	})
	aggregate("histogram(any)", func(env *Env, args []types.Type, _ types.Type) Accumulator {
		return &histogram{env: env, elem: args[0], counts: map[string]int64{}}
	})
	aggregate("attr(anyelement)", func(_ *Env, args []types.Type, _ types.Type) Accumulator { return &attr{elem: args[0]} })
}

// jsonAgg makes a JSON array of its values, or an object of pairs of key and value.
type jsonAgg struct {
	env    *Env
	args   []types.Type
	binary bool
	object bool
	out    []byte
}

func (j *jsonAgg) Add(a []types.Datum) error {
	sep, open := ", ", byte('[')
	if j.object {
		open = '{'
		if !j.binary {
			open, sep = ' ', ", "
		}
	}
	switch {
	case j.out != nil:
		j.out = append(j.out, sep...)
	case j.object && !j.binary:
		j.out = append(j.out, "{ "...)
	default:
		j.out = append(j.out, open)
	}
	if j.object {
		if a[0].Null {
			return sqlerr.New(sqlerr.InvalidParameterValue, "field name must not be null")
		}
		switch j.args[0].Kind {
		case types.Array, types.Struct, types.Record, types.Map, types.JSON, types.JSONB:
			return jsonParameterError("key value must be scalar, not array, composite, or json")
		}
		j.out = append(types.AppendJSONString(j.out, jsonKeyText(j.args[0], a[0], j.env)), " : "...)
	}
	last := len(a) - 1
	j.out = appendAnyJSON(j.out, j.args[last], a[last], j.env)
	if len(j.out) > maxTextBytes {
		return errTextTooLarge
	}
	return nil
}

func (j *jsonAgg) Result() (types.Datum, error) {
	if j.out == nil {
		return types.NullDatum, nil
	}
	end := "]"
	if j.object {
		end = "}"
		if !j.binary {
			end = " }"
		}
	}
	text := string(j.out) + end
	if j.binary {
		return canonical(text)
	}
	return types.BytesDatum(text), nil
}

// collectSet lists each value once, where it came first.
type collectSet struct {
	list arrayAgg
	seen map[string]struct{}
	key  []byte
}

func (c *collectSet) Add(a []types.Datum) error {
	c.key = types.AppendKey(c.key[:0], c.list.elem, a[0])
	if _, ok := c.seen[string(c.key)]; ok {
		return nil
	}
	c.seen[string(c.key)] = struct{}{}
	return c.list.Add(a)
}

func (c *collectSet) Result() (types.Datum, error) { return c.list.Result() }

// byOffset keeps the first or the last values. Rows come in their order; a second argument says how many values, and a trailing boolean
// whether NULLs are left out, as they are without it.
type byOffset struct {
	elem   types.Type
	latest bool
	one    bool // the value itself, not a list
	list   []types.Datum
}

func (b *byOffset) Add(a []types.Datum) error {
	n := 1
	rest := a[1:]
	if !b.one {
		if rest[0].Null || rest[0].I < 1 {
			return sqlerr.New(sqlerr.InvalidParameterValue, "the number of values must be positive")
		}
		n, rest = int(min(rest[0].I, types.MaxArrayElements)), rest[1:]
	}
	if a[0].Null && (len(rest) == 0 || rest[0].Null || rest[0].I != 0) {
		return nil
	}
	if !b.latest && len(b.list) >= n {
		return nil
	}
	d := a[0]
	d.S = strings.Clone(d.S)
	if len(b.list) >= n {
		b.list = slices.Delete(b.list, 0, len(b.list)-n+1)
	}
	b.list = append(b.list, d)
	return nil
}

func (b *byOffset) Result() (types.Datum, error) {
	switch {
	case len(b.list) == 0:
		return types.NullDatum, nil
	case b.one:
		return b.list[0], nil
	}
	return types.ArrayDatum(b.elem, b.list), nil
}

// topK lists the k greatest values, the greatest first.
type topK struct {
	elem     types.Type
	distinct bool
	list     []types.Datum
}

func (t *topK) Add(a []types.Datum) error {
	if a[1].I < 1 {
		return sqlerr.New(sqlerr.InvalidParameterValue, "the number of values must be positive")
	}
	k := int(min(a[1].I, types.MaxArrayElements))
	at, equal := slices.BinarySearchFunc(t.list, a[0], func(x, y types.Datum) int { return types.Compare(t.elem, y, x) })
	if at == k || t.distinct && equal {
		return nil
	}
	d := a[0]
	d.S = strings.Clone(d.S)
	t.list = slices.Insert(t.list, at, d)
	t.list = t.list[:min(len(t.list), k)]
	return nil
}

func (t *topK) Result() (types.Datum, error) {
	if len(t.list) == 0 {
		return types.NullDatum, nil
	}
	return types.ArrayDatum(t.elem, t.list), nil
}

// histogram counts values, as a map from their texts.
type histogram struct {
	env    *Env
	elem   types.Type
	counts map[string]int64
	some   bool
}

func (h *histogram) Add(a []types.Datum) error { return h.AddCount(a, 1) }

func (h *histogram) AddCount(a []types.Datum, count int64) error {
	h.some = true
	h.counts[types.FormatText(h.elem, a[0], h.env.Text)] += count
	return nil
}

func (h *histogram) Result() (types.Datum, error) {
	if !h.some {
		return types.NullDatum, nil
	}
	keys := make([]string, 0, len(h.counts))
	for k := range h.counts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := []byte{'{'}
	for i, k := range keys {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(types.AppendJSONString(out, k), ": "...)
		out = types.AppendJSON(out, types.Of(types.Int8), types.IntDatum(h.counts[k]))
	}
	return canonical(string(append(out, '}')))
}

// attr is the value that all rows have, NULL if they differ.
type attr struct {
	elem        types.Type
	value       types.Datum
	some, mixed bool
}

func (t *attr) Add(a []types.Datum) error {
	if !t.some {
		t.value, t.some = a[0], true
		t.value.S = strings.Clone(t.value.S)
		return nil
	}
	if t.value.Null != a[0].Null || !t.value.Null && types.Compare(t.elem, t.value, a[0]) != 0 {
		t.mixed = true
	}
	return nil
}

func (t *attr) Result() (types.Datum, error) {
	if t.mixed || !t.some {
		return types.NullDatum, nil
	}
	return t.value, nil
}
