package demo_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/pgtest"
)

// tutorialBlock is SQL of the tutorial and the answer below it, if there is one.
var tutorialBlock = regexp.MustCompile("(?s)```sql\n(.*?)```\n(?:\n```\n(.*?)```)?")

// TestTutorialRunsInPsql types docs/tutorial.md into psql at the root of the repository, and compares the last answer of each block with the page's.
func TestTutorialRunsInPsql(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil && os.Getenv(pgtest.Optional) == "1" {
		t.Skip("psql is not installed")
	}
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/tutorial.md")
	require.NoError(t, err)
	blocks := tutorialBlock.FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(blocks), 10)
	var script strings.Builder
	for i, b := range blocks {
		fmt.Fprintf(&script, "\\echo == %d\n%s", i, b[1])
	}
	cmd := exec.CommandContext(t.Context(), psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "footer=off", nodetest.ConnString(nodetest.Start(t, node.Config{})))
	cmd.Dir = "../.."
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for i, b := range blocks {
		if b[2] == "" {
			continue
		}
		_, answer, ok := strings.Cut(string(out), fmt.Sprintf("== %d\n", i))
		require.True(t, ok)
		answer, _, _ = strings.Cut(answer, fmt.Sprintf("== %d\n", i+1))
		require.Equal(t, trimLines(b[2]), trimLines(answer), b[1])
	}
}

// trimLines takes the blanks from the ends of lines, and the empty lines from both ends.
func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
