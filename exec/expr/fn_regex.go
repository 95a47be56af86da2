package expr

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// The regular expression operators and functions (PostgreSQL docs, 9.7.3; regexp_extract is ksqlDB's).

func init() {
	for op, f := range map[string]struct{ fold, negated bool }{"~": {}, "!~": {negated: true}, "~*": {fold: true}, "!~*": {true, true}} {
		factory(op+"(text,text)", func() vecFunc { return regexMatch(f.fold, f.negated) })
	}
	row("regexp_like(text,text)", regexpLike)
	row("regexp_like(text,text,text)", regexpLike)
	row("regexp_count(text,text)", withRegexp(func(re *pgRegexp, a []types.Datum) (types.Datum, error) {
		return types.IntDatum(int64(len(allMatches(re, a[0].S)))), nil
	}))
	row("regexp_substr(text,text)", withRegexp(firstMatch))
	row("substring(text,text)", withRegexp(firstGroup))
	row("regexp_extract(text,text)", regexpExtract)
	row("regexp_extract(text,text,int4)", regexpExtract)
	row("regexp_match(text,text)", withRegexp(regexpMatch))
	row("regexp_match(text,text,text)", withRegexp(regexpMatch))
	row("regexp_replace(text,text,text)", regexpReplace)
	row("regexp_replace(text,text,text,text)", regexpReplace)
	row("regexp_split_to_array(text,text)", withRegexp(regexpSplit))
	row("regexp_split_to_array(text,text,text)", withRegexp(regexpSplit))
	row("similar_to_escape(text)", textOrError(func(a []types.Datum) (string, error) { return similarTo(a[0].S, `\`) }))
	row("similar_to_escape(text,text)", textOrError(func(a []types.Datum) (string, error) { return similarTo(a[0].S, a[1].S) }))
}

func regexMatch(fold, negated bool) vecFunc {
	var re *regexp.Regexp
	var failed error
	var of string
	have := false
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		for _, i := range sel {
			if pattern := args[1].Str(int(i)); !have || pattern != of {
				of, have = strings.Clone(pattern), true
				flags := ""
				if fold {
					flags = "i"
				}
				re, failed = compileTester(of, flags)
			}
			if failed != nil {
				errs.Add(i, failed)
				continue
			}
			out.I64[i] = b2i(re.Match(args[0].Bytes(int(i))) != negated)
		}
	}
}

// withRegexp compiles argument 1, with the flags in argument 2 if there is one.
func withRegexp(f func(re *pgRegexp, a []types.Datum) (types.Datum, error)) rowFunc {
	return func(c *Call, a []types.Datum) (types.Datum, error) {
		flags := ""
		if len(a) > 2 {
			flags = a[2].S
		}
		re, err := remember(c, a[1].S, flags, compileRegexp)
		if err != nil {
			return types.NullDatum, err
		}
		return f(re, a)
	}
}

func noGlobal(re *pgRegexp, name, hint string) error {
	if !re.global {
		return nil
	}
	err := sqlerr.New(sqlerr.InvalidParameterValue, "%s does not support the \"global\" option", name)
	if hint != "" {
		return err.WithHint("%s", hint)
	}
	return err
}

func regexpLike(c *Call, a []types.Datum) (types.Datum, error) {
	return withRegexp(func(re *pgRegexp, a []types.Datum) (types.Datum, error) {
		return types.BoolDatum(re.MatchString(a[0].S)), noGlobal(re, "regexp_like()", "")
	})(c, a)
}

func firstMatch(re *pgRegexp, a []types.Datum) (types.Datum, error) {
	at := re.FindStringIndex(a[0].S)
	if at == nil {
		return types.NullDatum, nil
	}
	return types.BytesDatum(a[0].S[at[0]:at[1]]), nil
}

// firstGroup is what the first parentheses matched, or without parentheses the whole.
func firstGroup(re *pgRegexp, a []types.Datum) (types.Datum, error) {
	return group(a[0].S, re.FindStringSubmatchIndex(a[0].S), min(1, re.NumSubexp())), nil
}

// group returns group n of a match; NULL if it took no part.
func group(s string, match []int, n int) types.Datum {
	if match == nil || match[2*n] < 0 {
		return types.NullDatum
	}
	return types.BytesDatum(s[match[2*n]:match[2*n+1]])
}

// regexpExtract is regexp_extract(pattern, text [, group]).
func regexpExtract(c *Call, a []types.Datum) (types.Datum, error) {
	re, err := remember(c, a[0].S, "", compileRegexp)
	if err != nil {
		return types.NullDatum, err
	}
	n := 0
	if len(a) > 2 {
		if n = int(a[2].I); n < 0 || n > re.NumSubexp() {
			return types.NullDatum, nil
		}
	}
	return group(a[1].S, re.FindStringSubmatchIndex(a[1].S), n), nil
}

// groups is the array of a match's groups, of the whole where the pattern has none.
func groups(s string, re *pgRegexp, match []int) types.Datum {
	var list []types.Datum
	for n := min(1, re.NumSubexp()); n <= re.NumSubexp(); n++ {
		list = append(list, group(s, match, n))
	}
	return types.ArrayDatum(types.Of(types.Text), list)
}

func regexpMatch(re *pgRegexp, a []types.Datum) (types.Datum, error) {
	if err := noGlobal(re, "regexp_match()", "Use the regexp_matches function instead."); err != nil {
		return types.NullDatum, err
	}
	m := re.FindStringSubmatchIndex(a[0].S)
	if m == nil {
		return types.NullDatum, nil
	}
	return groups(a[0].S, re, m), nil
}

// allMatches returns the matches from left to right. An empty match may directly follow another match, as in PostgreSQL, unless the pattern has
// anchors or word boundaries: those need Go's own search over all matches, which leaves such matches out.
func allMatches(re *pgRegexp, s string) [][]int {
	if re.context {
		return re.FindAllStringSubmatchIndex(s, -1)
	}
	var all [][]int
	for from := 0; from <= len(s); {
		m := re.FindStringSubmatchIndex(s[from:])
		if m == nil {
			break
		}
		for i := range m {
			if m[i] >= 0 {
				m[i] += from
			}
		}
		all = append(all, m)
		if from = m[1]; m[0] == m[1] {
			if from == len(s) {
				break
			}
			_, n := utf8.DecodeRuneInString(s[from:])
			from += n
		}
	}
	return all
}

// regexpReplace replaces the first match, or with the flag g all; in the replacement \1 to \9 are groups and \& is the whole match.
func regexpReplace(c *Call, a []types.Datum) (types.Datum, error) {
	flags := ""
	if len(a) > 3 {
		if flags = a[3].S; flags != "" && isDigit(rune(flags[0])) {
			return types.NullDatum, sqlerr.New(sqlerr.InvalidParameterValue, "invalid regular expression option: \"%c\"", flags[0]).
				WithHint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.")
		}
	}
	re, err := remember(c, a[1].S, flags, compileRegexp)
	if err != nil {
		return types.NullDatum, err
	}
	s := a[0].S
	var matches [][]int
	if re.global {
		matches = allMatches(re, s)
	} else if m := re.FindStringSubmatchIndex(s); m != nil {
		matches = [][]int{m}
	}
	return replaceMatches(s, a[2].S, matches)
}

func expand(b *strings.Builder, template, s string, match []int) {
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '\\' || i+1 == len(template) {
			b.WriteByte(c)
			continue
		}
		i++
		switch d := template[i]; {
		case d == '&':
			b.WriteString(s[match[0]:match[1]])
		case d >= '1' && d <= '9':
			if n := 2 * int(d-'0'); n < len(match) && match[n] >= 0 {
				b.WriteString(s[match[n]:match[n+1]])
			}
		case d == '\\':
			b.WriteByte('\\')
		default:
			b.WriteByte('\\')
			b.WriteByte(d)
		}
	}
}

// splits returns the text between the matches; empty matches at the ends or right after another match do not split.
func splits(re *pgRegexp, s string) []string {
	var parts []string
	end := 0
	for _, m := range allMatches(re, s) {
		if m[0] >= len(s) && m[0] == m[1] || m[1] <= end {
			continue
		}
		parts = append(parts, s[end:m[0]])
		end = m[1]
	}
	return append(parts, s[end:])
}

func regexpSplit(re *pgRegexp, a []types.Datum) (types.Datum, error) {
	if err := noGlobal(re, "regexp_split_to_array()", ""); err != nil {
		return types.NullDatum, err
	}
	return textArray(splits(re, a[0].S)), nil
}

func textArray(parts []string) types.Datum {
	list := make([]types.Datum, len(parts))
	for i, p := range parts {
		list[i] = types.BytesDatum(p)
	}
	return types.ArrayDatum(types.Of(types.Text), list)
}

// similarTo turns a pattern of SIMILAR TO into a regular expression (PostgreSQL docs, 9.7.2).
func similarTo(pattern, escape string) (string, error) {
	esc := []rune(escape)
	if len(esc) > 1 {
		return "", sqlerr.New(sqlerr.InvalidEscapeSequence, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	var b strings.Builder
	b.WriteString("^(?:")
	escaped, inClass := false, false
	parts := 0
	for _, r := range pattern {
		switch {
		case escaped && r == '"' && !inClass:
			// The pattern is in three parts: what comes before, the result, what comes after.
			if parts++; parts == 1 {
				b.WriteString("){1,1}?(")
			} else {
				b.WriteString("){1,1}(?:")
			}
			escaped = false
		case escaped:
			b.WriteByte('\\')
			b.WriteRune(r)
			escaped = false
		case len(esc) == 1 && r == esc[0]:
			escaped = true
		case inClass:
			if r == '\\' {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
			inClass = r != ']'
		case r == '[':
			b.WriteRune(r)
			inClass = true
		case r == '%':
			b.WriteString(".*")
		case r == '_':
			b.WriteByte('.')
		case r == '(':
			b.WriteString("(?:")
		case r == '\\' || r == '.' || r == '^' || r == '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString(")$")
	return b.String(), nil
}
