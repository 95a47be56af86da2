package sql

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// FuzzLex checks that tokens cover the text in order and that what is between them is blank or comment.
func FuzzLex(f *testing.F) {
	for _, q := range clientQueries(f) {
		f.Add(q)
	}
	for _, s := range []string{"E'\\u0041'", "U&\"d\\0061t\"", "$a$ x $a$", "1.5e-3.2", "a->>'b'", "/* /* */ */", "'a'\n'b'", "x'1f'b'01'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		toks, err := lex(text, 0, nil, false)
		if err != nil {
			return
		}
		end := int32(0)
		for i := range toks {
			k := &toks[i]
			if k.pos < end || k.end < k.pos || int(k.end) > len(text) {
				t.Fatalf("token %d of %q is at %d:%d after %d", i, text, k.pos, k.end, end)
			}
			gap := strings.TrimLeft(text[end:k.pos], " \t\n\r\f")
			if gap != "" && !strings.HasPrefix(gap, "--") && !strings.HasPrefix(gap, "/*") {
				t.Fatalf("%q between tokens of %q", gap, text)
			}
			if k.match >= 0 && toks[k.match].match != int32(i) {
				t.Fatalf("bracket %d of %q is not paired both ways", i, text)
			}
			end = k.end
		}
	})
}

// FuzzParse checks that what parses prints to text that parses to the same tree, and that errors have a code and a
// position within the text.
func FuzzParse(f *testing.F) {
	for _, q := range clientQueries(f) {
		f.Add(q, false)
	}
	for _, q := range scripts(f) {
		f.Add(q, false)
		f.Add(q, true)
	}
	f.Fuzz(func(t *testing.T, text string, ksql bool) {
		opts := Options{}
		if ksql {
			opts.Dialect = KSQL
		}
		all, err := Parse(text, opts)
		if err != nil {
			e := sqlerr.From(err)
			if e.Code == sqlerr.InternalError || e.Position < 0 || e.Position > len(text)+1 {
				t.Fatalf("%q: %v at %d %s", text, e, e.Position, e.Detail)
			}
			return
		}
		for _, s := range all {
			printed := String(s.Statement)
			again, err := Parse(printed, Options{MaxStatement: 1 << 30})
			if sqlerr.CodeOf(err) == sqlerr.StatementTooComplex {
				continue // parentheses of the print may go one level deeper than the text did
			}
			require.NoError(t, err, "%q prints as %q", text, printed)
			require.Len(t, again, 1)
			require.True(t, Equal(s.Statement, again[0].Statement), "%q prints as %q, which prints as %q", text, printed, String(again[0].Statement))
		}
	})
}
