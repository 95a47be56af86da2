package traps

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// source reads a file of the repository, which must have the trap's line just once.
func (x trap) source(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, x.file))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(data), x.rule), "%s: what the rule against %q is has changed; the table of this package must follow: %s", x.file, x.name, x.rule)
	return string(data)
}

// TestEachTrapHasARuleAndATest holds that the table is about the source as it is.
func TestEachTrapHasARuleAndATest(t *testing.T) {
	for _, x := range traps {
		t.Run(x.name, func(t *testing.T) {
			x.source(t)
			files, err := filepath.Glob(filepath.Join(root, x.pkg, "*_test.go"))
			require.NoError(t, err)
			found := false
			for _, f := range files {
				data, err := os.ReadFile(f)
				require.NoError(t, err)
				found = found || strings.Contains(string(data), "func "+x.test+"(t *testing.T) {")
			}
			require.True(t, found, "%s has no %s", x.pkg, x.test)
		})
	}
}

// TestWithoutItsRuleATrapIsFallenInto takes each rule out and runs its test. It compiles for each, so that it is asked for: see the package's documentation.
func TestWithoutItsRuleATrapIsFallenInto(t *testing.T) {
	which := os.Getenv("MILLRACE_TRAPS")
	if which == "" {
		return
	}
	for _, x := range traps {
		if which != "all" && !strings.Contains(x.name, which) {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			without := filepath.Join(t.TempDir(), filepath.Base(x.file))
			require.NoError(t, os.WriteFile(without, []byte(strings.Replace(x.source(t), x.rule, x.without, 1)), 0o600))
			real, err := filepath.Abs(filepath.Join(root, x.file))
			require.NoError(t, err)
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{real: without}})
			require.NoError(t, err)
			list := filepath.Join(t.TempDir(), "overlay.json")
			require.NoError(t, os.WriteFile(list, overlay, 0o600))
			cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", list, "-count=1", "-timeout=120s", "-run", "^"+x.test+"$", "./"+x.pkg)
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			require.NotContains(t, string(out), "[build failed]", "%s", out)
			require.NotContains(t, string(out), "panic: test timed out", "%s must fail, not hang, without the rule:\n%s", x.test, out)
			require.Error(t, err, "%s passes without the rule:\n%s", x.test, out)
			require.Regexp(t, `--- FAIL: |panic: `, string(out))
		})
	}
}
