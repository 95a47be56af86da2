package expr

import (
	"errors"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// Evaluation of jsonpath (PostgreSQL docs, chapter 9.16.2): a path gives a sequence of items, each the text of a JSON value. In lax mode arrays are
// unwrapped for what wants their elements, other values are wrapped for what wants an array, and what is not there is left out; in strict mode all
// that is an error.

// maxPathItems bounds what a path may give.
const maxPathItems = 1_000_000

var errPathItems = sqlerr.New(sqlerr.ProgramLimitExceeded, "a jsonpath gives more than %d items", maxPathItems)

// pathEval is one evaluation.
type pathEval struct {
	root, vars string // vars is the text of an object, "" if there are none
	lax        bool
	ignore     bool // what is not there is no error
	current    string
	last       int64 // of the array that is subscripted
	left       int   // items that may come
}

func evalPath(x *types.JSONPathExpr, root, vars string) ([]string, error) {
	e := &pathEval{root: root, vars: vars, lax: !x.Strict, ignore: !x.Strict, current: root, left: maxPathItems}
	var out []string
	err := e.run(x.Root, root, &out, e.lax)
	return out, err
}

// next hands an item to the accessor after n, or out if there is none.
func (e *pathEval) next(n *types.JSONPathNode, item string, out *[]string) error {
	if n.Next != nil {
		return e.run(n.Next, item, out, e.lax)
	}
	if e.left--; e.left < 0 {
		return errPathItems
	}
	*out = append(*out, item)
	return nil
}

// run evaluates n of an item. With unwrap, an accessor that is for no array takes the elements of one.
func (e *pathEval) run(n *types.JSONPathNode, item string, out *[]string, unwrap bool) error {
	isArray := jsonKind(item) == '['
	if unwrap && isArray && unwraps(n) {
		for v := range jsonItems(item) {
			if err := e.run(n, v, out, false); err != nil {
				return err
			}
		}
		return nil
	}
	switch n.Op {
	case types.PathRoot:
		return e.next(n, e.root, out)
	case types.PathCurrent:
		return e.next(n, e.current, out)
	case types.PathLast:
		return e.next(n, strconv.FormatInt(e.last, 10), out)
	case types.PathValue:
		return e.next(n, n.Text, out)
	case types.PathVar:
		v, ok := "", false
		if e.vars != "" {
			v, ok = jsonMember(e.vars, n.Text)
		}
		if !ok {
			return fatalPath{sqlerr.New(sqlerr.UndefinedObject, "could not find jsonpath variable %q", n.Text)}
		}
		return e.next(n, v, out)
	case types.PathKey:
		return e.key(n, item, out)
	case types.PathAnyKey:
		if jsonKind(item) != '{' {
			return e.missing(sqlerr.SQLJSONObjectNotFound, "jsonpath wildcard member accessor can only be applied to an object")
		}
		for _, v := range jsonMembers(item) {
			if err := e.next(n, v, out); err != nil {
				return err
			}
		}
		return nil
	case types.PathAnyItem:
		if !isArray {
			if e.lax {
				return e.next(n, item, out)
			}
			return e.missing(sqlerr.SQLJSONArrayNotFound, "jsonpath wildcard array accessor can only be applied to an array")
		}
		for v := range jsonItems(item) {
			if err := e.next(n, v, out); err != nil {
				return err
			}
		}
		return nil
	case types.PathAnyDepth:
		was := e.ignore
		e.ignore = true
		err := e.anyDepth(n, item, out, 0)
		e.ignore = was
		return err
	case types.PathSubscript:
		return e.subscript(n, item, out)
	case types.PathFilter:
		was := e.current
		e.current = item
		b, err := e.condition(n.L, item)
		e.current = was
		if err != nil || b != pathTrue {
			return err
		}
		return e.next(n, item, out)
	case types.PathMethod:
		return e.method(n, item, out)
	case types.PathNegate, types.PathPlus, types.PathArithmetic:
		return e.arithmetic(n, item, out)
	}
	b, err := e.condition(n, item)
	if err != nil {
		return err
	}
	return e.next(n, [...]string{pathFalse: "false", pathTrue: "true", pathUnknown: "null"}[b], out)
}

// unwraps reports whether an accessor takes the elements of an array in lax mode.
func unwraps(n *types.JSONPathNode) bool {
	switch n.Op {
	case types.PathKey, types.PathAnyKey, types.PathFilter:
		return true
	case types.PathMethod:
		return n.Text != "type" && n.Text != "size"
	}
	return false
}

// fatalPath is an error that is given however quiet the caller wants it.
type fatalPath struct{ error }

func (e fatalPath) Unwrap() error { return e.error }

// missing is an error in strict mode, and nothing in lax mode.
func (e *pathEval) missing(code sqlerr.Code, format string, args ...any) error {
	if e.ignore {
		return nil
	}
	return sqlerr.New(code, format, args...)
}

func (e *pathEval) key(n *types.JSONPathNode, item string, out *[]string) error {
	if jsonKind(item) != '{' {
		return e.missing(sqlerr.SQLJSONMemberNotFound, "jsonpath member accessor can only be applied to an object")
	}
	v, ok := jsonMember(item, n.Text)
	if !ok {
		return e.missing(sqlerr.SQLJSONMemberNotFound, "JSON object does not contain key \"%s\"", n.Text)
	}
	return e.next(n, v, out)
}

// anyDepth hands on the item and what is in it, of the levels that are wanted. The last levels alone, last, are those of values that contain nothing.
func (e *pathEval) anyDepth(n *types.JSONPathNode, item string, out *[]string, level int) error {
	leaf := !isContainer(item)
	if n.From >= 0 && level >= n.From && (n.To < 0 || level <= n.To) || n.From < 0 && leaf {
		if err := e.next(n, item, out); err != nil {
			return err
		}
	}
	if leaf || n.To >= 0 && level >= n.To {
		return nil
	}
	if jsonKind(item) == '[' {
		for v := range jsonItems(item) {
			if err := e.anyDepth(n, v, out, level+1); err != nil {
				return err
			}
		}
		return nil
	}
	for _, v := range jsonMembers(item) {
		if err := e.anyDepth(n, v, out, level+1); err != nil {
			return err
		}
	}
	return nil
}

func (e *pathEval) subscript(n *types.JSONPathNode, item string, out *[]string) error {
	if jsonKind(item) != '[' {
		if !e.lax {
			return e.missing(sqlerr.SQLJSONArrayNotFound, "jsonpath array accessor can only be applied to an array")
		}
		item = "[" + item + "]"
	}
	size := jsonLen(item)
	outer := e.last
	defer func() { e.last = outer }()
	for _, r := range n.Subs {
		e.last = size - 1
		from, err := e.index(r.From, item)
		if err != nil {
			return err
		}
		to := from
		if r.To != nil {
			if to, err = e.index(r.To, item); err != nil {
				return err
			}
		}
		if !e.ignore && (from < 0 || from > to || to >= size) {
			return sqlerr.New(sqlerr.InvalidSQLJSONSubscript, "jsonpath array subscript is out of bounds")
		}
		i := int64(0)
		for v := range jsonItems(item) {
			if i >= from && i <= to {
				if err := e.next(n, v, out); err != nil {
					return err
				}
				e.last = size - 1
			}
			i++
		}
	}
	return nil
}

// index evaluates a subscript; what is behind the point is cut off.
func (e *pathEval) index(n *types.JSONPathNode, item string) (int64, error) {
	var found []string
	if err := e.run(n, item, &found, e.lax); err != nil {
		return 0, err
	}
	if len(found) != 1 || jsonKind(found[0]) != 0 {
		return 0, sqlerr.New(sqlerr.InvalidSQLJSONSubscript, "jsonpath array subscript is not a single numeric value")
	}
	whole, _, _ := strings.Cut(found[0], ".")
	i, err := strconv.ParseInt(whole, 10, 32)
	if err != nil {
		return 0, sqlerr.New(sqlerr.InvalidSQLJSONSubscript, "jsonpath array subscript is out of integer range")
	}
	return i, nil
}

// operand evaluates an operand; in lax mode arrays among the items are unwrapped.
func (e *pathEval) operand(n *types.JSONPathNode, item string, unwrap bool) ([]string, error) {
	var found []string
	err := e.run(n, item, &found, e.lax)
	if err != nil || !unwrap || !e.lax {
		return found, err
	}
	var flat []string
	for _, v := range found {
		if jsonKind(v) != '[' {
			flat = append(flat, v)
			continue
		}
		for x := range jsonItems(v) {
			flat = append(flat, x)
		}
	}
	return flat, nil
}

func (e *pathEval) arithmetic(n *types.JSONPathNode, item string, out *[]string) error {
	left, err := e.operand(n.L, item, true)
	if err != nil {
		return err
	}
	if n.Op != types.PathArithmetic {
		for _, v := range left {
			if jsonKind(v) != 0 {
				return sqlerr.New(sqlerr.SQLJSONNumberNotFound, "operand of unary jsonpath operator %s is not a numeric value", map[bool]string{true: "-", false: "+"}[n.Op == types.PathNegate])
			}
			if n.Op == types.PathNegate {
				var z types.Decimal
				z.Neg(types.DecimalOf(v))
				v = z.String()
			}
			if err := e.next(n, v, out); err != nil {
				return err
			}
		}
		return nil
	}
	right, err := e.operand(n.R, item, true)
	if err != nil {
		return err
	}
	for side, list := range map[string][]string{"left": left, "right": right} {
		if len(list) != 1 || jsonKind(list[0]) != 0 {
			return sqlerr.New(sqlerr.SingletonSQLJSONItemRequired, "%s operand of jsonpath operator %s is not a single numeric value", side, n.Text)
		}
	}
	var z types.Decimal
	f := map[string]func(x, y *types.Decimal) error{"+": z.Add, "-": z.Sub, "*": z.Mul, "/": z.Div, "%": z.Mod}[n.Text]
	if err := f(types.DecimalOf(left[0]), types.DecimalOf(right[0])); err != nil {
		return err
	}
	return e.next(n, z.String(), out)
}

func (e *pathEval) method(n *types.JSONPathNode, item string, out *[]string) error {
	kind := jsonKind(item)
	var z types.Decimal
	switch n.Text {
	case "type":
		return e.next(n, `"`+jsonTypeName(item)+`"`, out)
	case "size":
		if kind == '[' {
			return e.next(n, strconv.FormatInt(jsonLen(item), 10), out)
		}
		if e.lax {
			return e.next(n, "1", out)
		}
		return e.missing(sqlerr.SQLJSONArrayNotFound, "jsonpath item method .size() can only be applied to an array")
	case "keyvalue":
		if kind != '{' {
			return sqlerr.New(sqlerr.SQLJSONObjectNotFound, "jsonpath item method .keyvalue() can only be applied to an object")
		}
		id := strconv.Itoa(max(strings.Index(e.root, item), 0))
		for k, v := range jsonMembers(item) {
			if err := e.next(n, `{"id": `+id+`, "key": `+string(types.AppendJSONString(nil, k))+`, "value": `+v+`}`, out); err != nil {
				return err
			}
		}
		return nil
	case "double":
		text := item
		if kind == '"' {
			text = unquoteJSON(item)
		} else if kind != 0 {
			return sqlerr.New(sqlerr.NonNumericSQLJSONItem, "jsonpath item method .double() can only be applied to a string or numeric value")
		}
		d, err := types.ParseText(types.Of(types.Float8), text, nil)
		if err == nil {
			err = z.SetFloat(d.F, types.Float8)
		}
		if err != nil || z.IsNaN() || strings.HasSuffix(z.String(), "y") {
			return sqlerr.New(sqlerr.NonNumericSQLJSONItem, "string argument of jsonpath item method .double() is not a valid representation of a double precision number")
		}
		return e.next(n, z.String(), out)
	}
	if kind != 0 {
		return sqlerr.New(sqlerr.NonNumericSQLJSONItem, "jsonpath item method .%s() can only be applied to a numeric value", n.Text)
	}
	x := types.DecimalOf(item)
	switch n.Text {
	case "abs":
		z.Abs(x)
	case "ceiling":
		z.Ceil(x)
	default:
		z.Floor(x)
	}
	return e.next(n, z.String(), out)
}

// isFatal tells errors that no caller wants suppressed.
func isFatal(err error) bool {
	var f fatalPath
	return errors.As(err, &f) || errors.Is(err, errPathItems)
}
