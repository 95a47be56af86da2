package sqllogictest

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5/pgtype"
)

const separator = " | "

// formatValue writes a value as scripts have it; nil is NULL.
func formatValue(v []byte) string {
	if v == nil {
		return "NULL"
	}
	s := string(v)
	if plain(s) {
		return s
	}
	return strconv.Quote(s)
}

func plain(s string) bool {
	if s == "" || s == "NULL" || s == "----" || s[0] == '"' || strings.TrimSpace(s) != s || strings.HasSuffix(s, `"`) || strings.Contains(s, separator) {
		return false
	}
	return !strings.ContainsFunc(s, unicode.IsControl) && !strings.HasPrefix(s, "| ") && !strings.HasSuffix(s, " |")
}

// result is what the server gave for a query.
type result struct {
	names  []string
	types  string
	values [][]string
}

// lines gives the result as a record's rows are written.
func (res result) lines(r *record) []string {
	var out []string
	for _, row := range res.values {
		out = append(out, strings.Join(row, separator))
	}
	switch r.sort {
	case "rowsort":
		slices.Sort(out)
	case "valuesort":
		out = slices.Sorted(slices.Values(slices.Concat(res.values...)))
	}
	if r.names {
		out = slices.Insert(out, 0, strings.Join(res.names, separator))
	}
	return out
}

// typeLetter classes a type by its OID.
func typeLetter(oid uint32) byte {
	switch oid {
	case pgtype.BoolOID:
		return 'B'
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return 'I'
	case pgtype.NumericOID:
		return 'N'
	case pgtype.Float4OID, pgtype.Float8OID:
		return 'F'
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.UnknownOID:
		return 'T'
	case pgtype.DateOID, pgtype.TimeOID, pgtype.TimetzOID, pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.IntervalOID:
		return 'D'
	case pgtype.ByteaOID:
		return 'X'
	case pgtype.UUIDOID:
		return 'U'
	case pgtype.JSONOID, pgtype.JSONBOID:
		return 'J'
	}
	if isArray(oid) {
		return 'A'
	}
	return 'O'
}

func isArray(oid uint32) bool {
	t, ok := types.TypeForOID(oid)
	if !ok {
		return false
	}
	_, ok = t.Codec.(*pgtype.ArrayCodec)
	return ok
}

// types knows the built-in types.
var types = pgtype.NewMap()

// sameTypes compares the letters of a script with the server's; ? stands for any.
func sameTypes(want, have string) bool {
	if len(want) != len(have) {
		return false
	}
	for i := range len(want) {
		if want[i] != have[i] && want[i] != '?' {
			return false
		}
	}
	return true
}

// diff shows two lists of lines, what is only wanted with -, what is only there with +. It follows the longest common subsequence.
func diff(want, have []string) string {
	// common[i][j] is the length of the longest common subsequence of want[i:] and have[j:].
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(have)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(have) - 1; j >= 0; j-- {
			if want[i] == have[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	line := func(mark, s string) { b.WriteString("    " + mark + " " + s + "\n") }
	i, j := 0, 0
	for i < len(want) || j < len(have) {
		switch {
		case i < len(want) && j < len(have) && want[i] == have[j]:
			line(" ", want[i])
			i, j = i+1, j+1
		case j == len(have) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			line("-", want[i])
			i++
		default:
			line("+", have[j])
			j++
		}
	}
	return b.String()
}
