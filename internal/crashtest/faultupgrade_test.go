//go:build faults && linux

package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rollingUpgrade is the name of the fault. A run that has it begins with it, on a cluster that the older program has formed.
const rollingUpgrade = "rolling upgrade"

// build is a program: of the tree that is tested, or of an older revision.
type build struct {
	bin, release string
}

// buildFaulty builds the server of the source in dir with the fault flag of its files.
func buildFaulty(t *testing.T, dir, release string) build {
	b := build{filepath.Join(t.TempDir(), "millrace"), release}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "faults", "-ldflags", "-X main.release="+release, "-o", b.bin, "./cmd/millrace")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "building %s: %s", release, strings.TrimSpace(string(out)))
	return b
}

// buildOlder builds the server as it was at a revision; with none given, at the newest tag, and in a repository without tags, before the newest change of docs/formats: that is the youngest program
// which may write other bytes than this one.
func buildOlder(t *testing.T, root, revision string) build {
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		require.NoError(t, err, "git %s: a rolling upgrade needs the repository", strings.Join(args, " "))
		return strings.TrimSpace(string(out))
	}
	why := "as asked for"
	if revision == "" {
		revision, why = git("tag", "--sort=-creatordate", "--merged", "HEAD"), "the newest tag"
		revision, _, _ = strings.Cut(revision, "\n")
	}
	if revision == "" {
		revision, why = git("rev-list", "-1", "HEAD", "--", "docs/formats")+"^", "there is no tag; this is before the newest change of docs/formats"
	}
	fmt.Printf("upgrades are from %s (%s)\n", git("log", "-1", "--format=%h, %cs, %s", revision), why)
	dir := t.TempDir()
	pack := filepath.Join(dir, "source.tar")
	git("archive", "--output", pack, revision)
	out, err := exec.Command("tar", "-xf", pack, "-C", dir).CombinedOutput()
	require.NoError(t, err, "unpacking %s: %s", revision, out)
	return buildFaulty(t, dir, "older-"+git("rev-parse", "--short", revision))
}

// upgrade replaces the older program on each node in turn, and on the way takes it back on one of two: that is possible as long as not all nodes have the newer one. Nodes that run the newer one
// already, from a cycle before, are first taken back one after the other, which only works if the newer program writes nothing that the older one cannot read: the cluster's feature level is held before the last
// node is upgraded.
func (r *faultRun) upgrade() {
	if r.upgraded && !r.backAll() {
		r.note("the older program does not run on what the newer one has written; all nodes restarted instead")
		for _, m := range r.nodes {
			r.exchange(m, r.newer)
		}
		return
	}
	r.upgraded = true
	a, b, c := r.nodes[0], r.nodes[1], r.nodes[2]
	r.exchange(a, r.newer)
	r.exchange(b, r.newer)
	r.exchange(b, r.older)
	r.exchange(b, r.newer)
	r.hold()
	r.exchange(c, r.newer)
}

// hold has the cluster stay at its feature level when all nodes have the newer program. Only that knows the statement, and it may be that the last node, of the older one, runs the sessions.
func (r *faultRun) hold() {
	ctx := r.t.Context()
	level := r.ask(ctx, "SHOW feature_level")
	if level == "" {
		r.note("the feature level is not held: a node of the older program runs the sessions")
		return
	}
	conn, err := r.dial(ctx)
	if err == nil {
		_, err = conn.Exec(ctx, "ALTER SYSTEM SET feature_level = "+level)
		_ = conn.Close(ctx)
	}
	if err != nil {
		r.trouble("the feature level is not held at %s: %v", level, err)
	}
}

// backAll takes every node back to the older program; false if the first of them does not run with it, and is on the newer one again.
func (r *faultRun) backAll() bool {
	first, ends := r.nodes[0], r.nodes[0].ended()
	r.swap(first, r.older)
	if !r.until(r.t.Context(), func() bool { return first.ended() > ends || r.runs(first, r.older) }) || first.ended() > ends {
		r.swap(first, r.newer)
		r.wholeAgain(first, r.newer)
		return false
	}
	r.wholeAgain(first, r.older)
	for _, m := range r.nodes[1:] {
		r.exchange(m, r.older)
	}
	return true
}

// exchange stops a node in order and starts it with another program, and waits until the cluster is whole.
func (r *faultRun) exchange(m *machine, to build) {
	r.swap(m, to)
	r.wholeAgain(m, to)
}

func (r *faultRun) swap(m *machine, to build) {
	r.stop(m)
	m.install(to)
	m.want()
}

func (r *faultRun) wholeAgain(m *machine, with build) {
	if !r.until(r.t.Context(), func() bool { return r.runs(m, with) }) || !r.whole(r.t.Context()) {
		r.trouble("the cluster is not whole again with node %d on %s", m.id, with.release)
	}
}

// runs reports whether the cluster knows that the node is there with the program b.
func (r *faultRun) runs(m *machine, b build) bool {
	return r.ask(r.t.Context(), fmt.Sprintf("SELECT release FROM millrace.nodes WHERE id = %d AND state = 'online'", m.id)) == b.release
}

// note and trouble add to what the cycle under way says, and to what is wrong in it.
func (r *faultRun) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *faultRun) trouble(format string, args ...any) {
	r.troubles = append(r.troubles, fmt.Sprintf(format, args...))
}
