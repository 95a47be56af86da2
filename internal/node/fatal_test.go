package node_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestANodeThatCannotFollowTheMetadataServesNothing: it would not hear that another node leads in its place, and answer with what was there before.
func TestANodeThatCannotFollowTheMetadataServesNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	lone, err := pgx.Connect(t.Context(), nodetest.ConnString(c[0].Node)) // the first node runs the queries
	require.NoError(t, err)
	replicated(t, c[1])
	c[0].FS.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpWrite && strings.Contains(path, "/meta/") {
			return syscall.ENOSPC
		}
		return nil
	})
	_, _ = once(t.Context(), c[1], "CREATE TABLE u (id INT PRIMARY KEY)") // whatever becomes of it
	select {
	case err := <-c[0].Fatal():
		require.ErrorContains(t, err, "no space left")
	case <-time.After(2 * time.Minute):
		t.Fatal("the node does not say that it must stop")
	}
	_, err = lone.Exec(t.Context(), "SELECT id FROM t")
	require.Error(t, err, "it answers nothing that it leads")
	c[0].Kill()
	eventually(t, c[1:], []string{"[1]"}, "SELECT id FROM t")
}

// TestANodeWhoseDiskHangsLeadsNoLonger: nothing of it comes to an end, not even its closing, so the others must not wait for that.
func TestANodeWhoseDiskHangsLeadsNoLonger(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	exec(t, nodetest.Connect(t, nodetest.ConnString(c[0].Node)), "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	replicated(t, c[1])
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	c[0].FS.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpWrite && strings.Contains(path, "/meta/") {
			<-released
		}
		return nil
	})
	var statement sync.WaitGroup
	statement.Go(func() { _, _ = once(t.Context(), c[1], "CREATE TABLE u (id INT PRIMARY KEY)") }) // whatever becomes of it
	select {
	case err := <-c[0].Fatal():
		require.ErrorContains(t, err, "took longer than")
	case <-time.After(2 * time.Minute):
		t.Fatal("the node does not say that it must stop")
	}
	eventually(t, c[1:], []string{"[1]"}, "SELECT id FROM t")
	release()
	c[0].Kill()
	statement.Wait()
}

// TestANodeWhoseDiskFailsWhileItStartsEnds: it waits for entries of the metadata that it cannot write.
func TestANodeWhoseDiskFailsWhileItStartsEnds(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	c[2].Stop()
	c[2].FS.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpWrite && strings.Contains(path, "/meta/") && strings.HasSuffix(path, ".log") { // the store itself opens
			return syscall.ENOSPC
		}
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- c[2].TryStart() }()
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "no space left")
	case <-time.After(2 * time.Minute):
		t.Fatal("the node neither serves nor ends")
	}
	c[2].FS.Inject(nil)
	c[2].Start()
	replicated(t, c[2])
}
