package kafkadiff

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A recording is a text: a step is a line "# NAME", then its fields in order, a line "FIELD = "VALUE"" each, or a line "as NAME" if they are those of an earlier step.

func encode(steps []step) []byte {
	var b strings.Builder
	seen := map[string]string{}
	for _, s := range steps {
		var fields strings.Builder
		for _, f := range slices.Sorted(maps.Keys(s.fields)) {
			fmt.Fprintf(&fields, "%s = %q\n", f, s.fields[f])
		}
		fmt.Fprintf(&b, "# %s\n", s.name)
		if first, ok := seen[fields.String()]; ok {
			fmt.Fprintf(&b, "as %s\n", first)
			continue
		}
		seen[fields.String()] = s.name
		b.WriteString(fields.String())
	}
	return []byte(b.String())
}

func decode(text string) []step {
	var steps []step
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# "); ok {
			steps = append(steps, step{name, map[string]string{}})
			continue
		}
		last := &steps[len(steps)-1]
		if first, ok := strings.CutPrefix(line, "as "); ok {
			last.fields = steps[slices.IndexFunc(steps, func(s step) bool { return s.name == first })].fields
			continue
		}
		field, quoted, _ := strings.Cut(line, " = ")
		value, err := strconv.Unquote(quoted)
		if err != nil {
			value = quoted
		}
		last.fields[field] = value
	}
	return steps
}
