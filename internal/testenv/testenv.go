// Package testenv reads what a make target or a person tells a test through the environment: seeds, and how much to do.
package testenv

import (
	"os"
	"strconv"
	"testing"
)

// Int returns the number that the environment gives under a name, or def if it gives none. Anything but a number fails the test.
func Int(tb testing.TB, name string, def int) int {
	tb.Helper()
	v := os.Getenv(name)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return n
}
