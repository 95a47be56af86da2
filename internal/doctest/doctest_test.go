package doctest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/planner"
)

var rewrite = flag.Bool("rewrite", false, "write what the node answers into the pages")

const pages = "../../docs/sql"

func files(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pages, "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

func TestTheExamplesOfTheReferenceAnswerAsItSays(t *testing.T) {
	for _, path := range files(t) {
		t.Run(filepath.Base(path), func(t *testing.T) { runPage(t, path) })
	}
}

func runPage(t *testing.T, path string) {
	t.Helper()
	p, err := readPage(path)
	require.NoError(t, err)
	examples := p.examples()
	if len(examples) == 0 {
		return
	}
	n := nodetest.Start(t, node.Config{Dir: "/data", FS: fsys.NewMem(), PG: "127.0.0.1:0", HTTP: node.Off, Kafka: node.Off, Raft: node.Off, Partitions: 4})
	conn := nodetest.Connect(t, nodetest.ConnString(n)).PgConn()
	moved := 0
	for _, e := range examples {
		e.line, e.from, e.to = e.line+moved, e.from+moved, e.to+moved
		got := ""
		for i, s := range e.statements {
			got, err = answer(t.Context(), conn, s, e.cell > 0)
			require.NoError(t, err, "%s:%d: %s", path, e.line, s)
			failed := strings.HasPrefix(got, "ERROR:")
			if last := i == len(e.statements)-1; failed && (!last || e.from == moved || e.loose) {
				t.Fatalf("%s:%d: %s\n%s", path, e.line, s, got)
			}
		}
		switch {
		case e.from == moved || e.loose:
		case *rewrite:
			moved += p.replace(e, got)
		case p.expected(e) != got:
			t.Errorf("%s:%d: %s\nthe page says\n%s\nthe node answers\n%s", path, e.line, e.statements[len(e.statements)-1], p.expected(e), got)
		}
	}
	if *rewrite {
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(p.lines, "\n")), 0o644))
	}
}

// inner are functions that stand for syntax, or that drivers and psql ask the catalog with.
var inner = regexp.MustCompile(`^(_?pg_|has_|inet_|like_escape$|similar_to_escape$|aclexplode$|acldefault$|shobj_description$|to_reg|txid_|set_config$|getdatabaseencoding$|jsonb_contains$|jsonb_exists$|current_catalog$|lastval$|currval$|setval$|nextval$)`)

func TestEveryFunctionIsDescribed(t *testing.T) {
	text := ""
	for _, path := range files(t) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		text += string(data)
	}
	described := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)").FindAllStringSubmatch(text, -1) {
		described[m[1]] = true
	}
	missing := map[string]bool{}
	for _, f := range planner.Functions() {
		if !f.IsOperator() && !described[f.Name] && !inner.MatchString(f.Name) {
			missing[f.Name] = true
		}
	}
	require.Empty(t, missing, "functions without a row in docs/sql")
}
