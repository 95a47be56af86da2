package expr

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The functions and operators of jsonpath (PostgreSQL docs, tables 9.46 and 9.48).

func init() {
	for _, args := range []string{"", ",jsonb", ",jsonb,bool"} {
		args = "(jsonb,jsonpath" + args + ")"
		row("jsonb_path_exists"+args, pathResult(pathExists))
		row("jsonb_path_match"+args, pathResult(pathMatch))
		row("jsonb_path_query_array"+args, func(c *Call, a []types.Datum) (types.Datum, error) {
			items, _, err := pathItems(c, a, false)
			if err != nil {
				return types.NullDatum, err
			}
			return types.BytesDatum(jsonArrayOf(items)), nil
		})
		row("jsonb_path_query_first"+args, func(c *Call, a []types.Datum) (types.Datum, error) {
			items, _, err := pathItems(c, a, false)
			if err != nil || len(items) == 0 {
				return types.NullDatum, err
			}
			return types.BytesDatum(items[0]), nil
		})
		setFn("jsonb_path_query"+args, func(c *Call, a []types.Datum) Rows {
			items, _, err := pathItems(c, a, false)
			if err != nil {
				return failed(err)
			}
			list := make([]types.Datum, len(items))
			for i, v := range items {
				list[i] = types.BytesDatum(v)
			}
			return values(list)
		})
	}
	row("@?(jsonb,jsonpath)", quietly(pathExists))
	row("@@(jsonb,jsonpath)", quietly(pathMatch))
}

func jsonArrayOf(items []string) string {
	b := []byte{'['}
	for i, v := range items {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, v...)
	}
	return string(append(b, ']'))
}

// pathAnswer makes the answer of a function from what a path gives. quiet: what is wrong with the items is NULL.
type pathAnswer func(items []string, quiet bool) (types.Datum, error)

func pathExists(items []string, _ bool) (types.Datum, error) {
	return types.BoolDatum(len(items) > 0), nil
}

func pathMatch(items []string, quiet bool) (types.Datum, error) {
	if len(items) == 1 {
		switch items[0] {
		case "true", "false":
			return types.BoolDatum(items[0] == "true"), nil
		case "null":
			return types.NullDatum, nil
		}
	}
	if quiet {
		return types.NullDatum, nil
	}
	return types.NullDatum, sqlerr.New(sqlerr.SingletonSQLJSONItemRequired, "single boolean result is expected")
}

func pathResult(answer pathAnswer) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) { return answerPath(c, a, false, answer) }
}

func quietly(answer pathAnswer) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) { return answerPath(c, a, true, answer) }
}

func answerPath(c *Call, a []types.Datum, quiet bool, answer pathAnswer) (types.Datum, error) {
	quiet = quiet || len(a) > 3 && a[3].I != 0
	items, failed, err := pathItems(c, a, quiet)
	if err != nil || failed && len(items) == 0 {
		return types.NullDatum, err
	}
	return answer(items, quiet)
}

// pathItems evaluates a path with the variables and the silence that the arguments ask for. failed: there was an error that is not told; items are what
// came before.
func pathItems(c *Call, a []types.Datum, quiet bool) (items []string, failed bool, err error) {
	x, err := remember(c, a[1].S, "", func(path, _ string) (*types.JSONPathExpr, error) { return types.ParseJSONPath(path) })
	if err != nil {
		return nil, false, err
	}
	vars := ""
	if len(a) > 2 {
		if vars = a[2].S; jsonKind(vars) != '{' {
			return nil, false, sqlerr.New(sqlerr.InvalidParameterValue, "\"vars\" argument is not an object").
				WithDetail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.")
		}
	}
	items, err = evalPath(x, a[0].S, vars)
	if err != nil && !isFatal(err) && (quiet || len(a) > 3 && a[3].I != 0) {
		return items, true, nil
	}
	return items, false, err
}
