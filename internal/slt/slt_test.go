package slt

import (
	"flag"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/sqllogictest"
)

var rewrite = flag.Bool("rewrite", false, "write the rows that the server gives into the scripts")

const corpus = "../../sqllogictest/testdata"

// scripts lists the files of folders of the corpus.
func scripts(t *testing.T, folders ...string) []string {
	t.Helper()
	var out []string
	for _, folder := range folders {
		err := fs.WalkDir(os.DirFS(corpus), folder, func(name string, _ fs.DirEntry, err error) error {
			if path.Ext(name) == ".slt" {
				out = append(out, name)
			}
			return err
		})
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
	}
	return out
}

func parse(t *testing.T, name string) *sqllogictest.Script {
	t.Helper()
	s, err := sqllogictest.Parse(os.DirFS(corpus), name)
	require.NoError(t, err)
	return s
}

// run runs a script and reports every record that fails.
func run(t *testing.T, s *sqllogictest.Script, opts sqllogictest.Options) {
	t.Helper()
	opts.Rewrite = *rewrite
	failures, err := s.Run(t.Context(), opts)
	if *rewrite && err == nil {
		require.NoError(t, os.WriteFile(filepath.Join(corpus, s.Path), s.Rewritten(), 0o644))
	}
	for _, f := range failures {
		t.Errorf("%v", f)
	}
	require.NoError(t, err)
}

// choice is a number that depends on the script's text, on MILLRACE_SEED and on what is to be chosen.
func choice(t *testing.T, name, what string) uint64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, name))
	require.NoError(t, err)
	h := fnv.New64a()
	h.Write([]byte(strings.Join([]string{name, string(text), os.Getenv("MILLRACE_SEED"), what}, "\x00")))
	return h.Sum64() >> 8 // the low bits of FNV depend on few bits of the input
}

func TestEveryScriptParses(t *testing.T) {
	names := scripts(t, ".")
	require.NotEmpty(t, names)
	for _, name := range names {
		require.Positive(t, parse(t, name).Statements(), name)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
