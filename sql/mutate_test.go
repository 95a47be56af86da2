package sql

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/internal/testenv"
)

// mutants is how many statements TestMutatedStatements makes; MILLRACE_MUTANTS overrides it for longer runs.
const mutants = 4000

// TestMutatedStatementsRoundTripOrFail cuts, swaps and splices the tokens of real statements: what still parses must
// survive printing, and what does not must say so with a code and a position.
func TestMutatedStatementsRoundTripOrFail(t *testing.T) {
	n := testenv.Int(t, "MILLRACE_MUTANTS", mutants)
	var corpus [][]string
	for _, q := range append(clientQueries(t), scripts(t)...) {
		for stmt := range strings.SplitSeq(q, ";") {
			if words := tokenTexts(stmt); len(words) > 0 && len(words) < 120 {
				corpus = append(corpus, words)
			}
		}
	}
	r := rand.New(rand.NewPCG(uint64(n), 1))
	accepted := 0
	for range n {
		if checkMutant(t, strings.Join(mutate(r, corpus), " ")) {
			accepted++
		}
	}
	require.Greater(t, accepted, n/20)
}

// checkMutant reports whether text parsed.
func checkMutant(t *testing.T, text string) bool {
	all, err := Parse(text, Options{})
	if err != nil {
		e := sqlerr.From(err)
		require.NotEqual(t, sqlerr.InternalError, e.Code, "%s: %v", text, e)
		require.LessOrEqual(t, e.Position, len(text)+1, text)
		return false
	}
	for _, s := range all {
		printed := String(s.Statement)
		again, err := ParseOne(printed, Options{})
		require.NoError(t, err, "%s\nprints as %s", text, printed)
		require.True(t, Equal(s.Statement, again.Statement), "%s\nprints as %s\nand then %s", text, printed, String(again.Statement))
	}
	return true
}

// mutate returns the tokens of a statement with some changed for tokens of another.
func mutate(r *rand.Rand, corpus [][]string) []string {
	a := append([]string(nil), corpus[r.IntN(len(corpus))]...)
	for range 1 + r.IntN(3) {
		b := corpus[r.IntN(len(corpus))]
		i, j := r.IntN(len(a)+1), r.IntN(len(b))
		k := min(len(b), j+1+r.IntN(4))
		switch end := min(len(a), i+r.IntN(3)); r.IntN(4) {
		case 0: // insert
			a = append(a[:i:i], append(append([]string(nil), b[j:k]...), a[i:]...)...)
		case 1: // replace
			a = append(a[:i:i], append(append([]string(nil), b[j:k]...), a[end:]...)...)
		case 2: // cut
			a = append(a[:i:i], a[end:]...)
		case 3: // double
			a = append(a[:end:end], a[i:]...)
		}
		if len(a) == 0 {
			return b
		}
	}
	return a
}

// tokenTexts splits a statement into its tokens as written.
func tokenTexts(stmt string) []string {
	toks, err := lex(stmt, 0, nil, false)
	if err != nil {
		return nil
	}
	var out []string
	for i := range toks[:len(toks)-1] {
		out = append(out, toks[i].text(stmt))
	}
	return out
}
