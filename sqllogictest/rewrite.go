package sqllogictest

import (
	"slices"
	"strings"
)

// Rewritten returns the script with the types and rows that the last run's server gave in place of those that were expected, as bytes of a file. Included
// files, queries that failed and records that were left out stay as they are.
func (s *Script) Rewritten() []byte {
	lines := slices.Clone(s.lines)
	for _, r := range slices.Backward(s.records) {
		res, ok := s.results[r]
		if !ok || r.file != s.Path {
			continue
		}
		rows := res.lines(r)
		if lines[r.resultLo-1] != "----" {
			rows = append([]string{"----"}, rows...)
		}
		lines = slices.Replace(lines, r.resultLo, r.resultHi, rows...)
		lines[r.line-1] = withTypes(lines[r.line-1], r, res.types)
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// withTypes puts the types into the first line of a query or push, unless they match as they are.
func withTypes(line string, r *record, types string) string {
	if r.types != "" && sameTypes(r.types, types) {
		return line
	}
	words := strings.Fields(line)
	at := 1
	if r.kind == kindPush {
		at = 2
	}
	if r.types != "" {
		words = slices.Delete(words, at, at+1)
	}
	if types != "" {
		words = slices.Insert(words, at, types)
	}
	return strings.Join(words, " ")
}
