// Package pgtest starts a PostgreSQL server of its own for a test: the oracle for whatever Millrace does as PostgreSQL does.
//
// Start makes a cluster in a temporary directory, with trust authentication on a Unix socket, in UTC, with the C
// collation and Unicode letters, and without fsync.
// The server ends with the test. Start debugging with the server's output, which a failing start prints.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millracedb/millrace/internal/proctest"
)

// Version is the major version of PostgreSQL that Millrace is held to.
const Version = "15"

// Optional is the environment variable that, set to 1, skips the tests that need PostgreSQL. Without it they fail where it is not installed.
const Optional = "MILLRACE_NO_POSTGRES"

const (
	superuser  = "postgres"
	port       = "5432" // only a part of the socket's name: the server does not listen on TCP
	startLimit = 2 * time.Minute
)

// Start starts a server for the time of the test and returns the connection string of its database "postgres". Anyone who can reach the
// socket is its superuser. The test fails if PostgreSQL is not installed, unless Optional says to skip it.
func Start(tb testing.TB) string {
	tb.Helper()
	bin := binaries(tb)
	cred, err := unprivileged()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	dir := socketDir(tb, cred)
	data := filepath.Join(dir, "data")
	initdb := command(cred, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--lc-collate", "C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		tb.Fatalf("pgtest: initdb: %v\n%s", err, out)
	}
	server := command(cred, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-p", port, "-c", "listen_addresses=",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "timezone=UTC", "-c", "log_timezone=UTC", "-c", "shared_buffers=16MB")
	out := proctest.NewOutput("database system is ready to accept connections")
	server.Stderr = out
	if err := server.Start(); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	tb.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // a fast shutdown: sessions are ended
		<-ended                                   //nolint:errcheck // how a server that was told to stop ends is nobody's business
	})
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	select {
	case <-out.Ready():
	case err := <-ended:
		ended <- err
		tb.Fatalf("pgtest: the server ended before it was ready: %v\n%s", err, out)
	case <-ctx.Done():
		tb.Fatalf("pgtest: the server is not ready after %v\n%s", startLimit, out)
	}
	return "postgres:///postgres?" + url.Values{"host": {dir}, "port": {port}, "user": {superuser}}.Encode()
}

// binaries finds the server's programs: where Debian puts them, or else on the PATH.
func binaries(tb testing.TB) string {
	tb.Helper()
	for _, dir := range []string{"/usr/lib/postgresql/" + Version + "/bin", "/usr/pgsql-" + Version + "/bin"} {
		if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err == nil {
			return dir
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if out, err := exec.Command(path, "--version").Output(); err == nil && strings.Contains(string(out), ") "+Version+".") {
			return filepath.Dir(path)
		}
	}
	if os.Getenv(Optional) == "1" {
		tb.Skipf("PostgreSQL %s is not installed, and %s=1 says to go on without it", Version, Optional)
	}
	tb.Fatalf("PostgreSQL %s is not installed: this test compares with it.\nInstall it (Debian: apt-get install postgresql-%s) or set %s=1 to skip the test.",
		Version, Version, Optional)
	return ""
}

// unprivileged returns whom to run the server as: PostgreSQL refuses to run as root. Nil is whoever runs the test.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user to run it as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// socketDir makes a directory that the server owns. It is not the test's own, whose name may be longer than a socket's address can be.
func socketDir(tb testing.TB, cred *syscall.Credential) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pgtest") //nolint:usetesting // see above
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		_ = os.RemoveAll(dir) //nolint:forbidigo // a test's own directory, not a node's files
	})
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			tb.Fatalf("pgtest: %v", err)
		}
	}
	return dir
}

func command(cred *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = proctest.EndWithTest(&syscall.SysProcAttr{Credential: cred}, syscall.SIGINT)
	return cmd
}
