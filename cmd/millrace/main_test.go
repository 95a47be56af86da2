package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// asMillrace makes the test's own binary run as the command.
const asMillrace = "MILLRACE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asMillrace) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command makes a process of the command. What MILLRACE_ variables the test was given it is not.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MILLRACE_") {
			c.Env = append(c.Env, e)
		}
	}
	c.Env = append(append(c.Env, asMillrace+"=1"), env...)
	return c
}

// output runs the command to its end.
func output(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	out, err := command(t, env, args...).CombinedOutput()
	return string(out), err
}

func TestVersion(t *testing.T) {
	out, err := output(t, nil, "version")
	require.NoError(t, err)
	require.Equal(t, "millrace "+release+"\n", out)
}

func TestABadFlagNamesItselfAndWhatIsAllowed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(file, []byte("# a comment\ncolour = red\nmemory = lots\n"), 0o600))
	for _, c := range []struct {
		env, args []string
		want      []string
	}{
		{args: []string{"serve"}, want: []string{"--data", "allowed"}},
		{args: []string{"serve", "--colour", "red"}, want: []string{"--colour"}},
		{args: []string{"serve", "--data", dir, "--memory", "lots"}, want: []string{"--memory", `"lots"`, "allowed"}},
		{args: []string{"serve", "--data", dir, "--memory", "1MiB"}, want: []string{"--memory", "allowed"}},
		{args: []string{"serve", "--data", dir, "--pg", "nowhere"}, want: []string{"--pg", `"nowhere"`, "allowed"}},
		{args: []string{"serve", "--data", dir, "--pg", "0.0.0.0:5433"}, want: []string{"--pg", "--insecure", "allowed"}},
		{args: []string{"serve", "--data", dir, "--node-id", "-3"}, want: []string{"--node-id", "allowed"}},
		{args: []string{"serve", "--data", dir, "--node-id", "one"}, want: []string{"--node-id", `"one"`}},
		{args: []string{"serve", "--data", dir, "--log-level", "loud"}, want: []string{"--log-level", "allowed"}},
		{args: []string{"serve", "--data", dir, "--log-format", "xml"}, want: []string{"--log-format", "allowed"}},
		{args: []string{"serve", "--data", dir, "--tls-cert", "x"}, want: []string{"--tls-cert", "--tls-key", "allowed"}},
		{args: []string{"serve", "--data", dir, "--ephemeral"}, want: []string{"--ephemeral", "--data", "allowed"}},
		{args: []string{"serve", "--data", dir, "--config", filepath.Join(dir, "nothing")}, want: []string{"--config", "nothing"}},
		{args: []string{"serve", "--data", dir, "--config", file}, want: []string{file + ":2", "colour = red"}},
		{env: []string{"MILLRACE_NODE_ID=one"}, args: []string{"serve", "--data", dir}, want: []string{"MILLRACE_NODE_ID", `"one"`}},
		{args: []string{"serve", "here"}, want: []string{"here"}},
		{args: []string{"fly"}, want: []string{"fly"}},
		{args: []string{"log", "dump"}, want: []string{"arg"}},
		{args: []string{"log", "dump", filepath.Join(dir, "nothing.log")}, want: []string{"nothing.log"}},
		{args: []string{"log", "repair", dir}, want: []string{dir, "allowed"}},
	} {
		out, err := output(t, c.env, c.args...)
		require.Error(t, err, "%v", c.args)
		for _, want := range c.want {
			require.Contains(t, out, want, "%v", c.args)
		}
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing was made")
}

func TestACertificateThatIsNotValidNowIsRefused(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	keyFile := file("key", "PRIVATE KEY", der)
	for want, from := range map[string]time.Time{"has expired": time.Now().Add(-2 * time.Hour), "is valid from": time.Now().Add(time.Hour)} {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"node-1.millrace"}, NotBefore: from, NotAfter: from.Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
		require.NoError(t, err)
		certFile := file("cert", "CERTIFICATE", der)
		for _, flags := range [][]string{{"--tls-cert", certFile, "--tls-key", keyFile}, {"--node-tls-cert", certFile, "--node-tls-key", keyFile, "--node-tls-ca", certFile}} {
			out, err := output(t, nil, append([]string{"serve", "--data", filepath.Join(dir, "data")}, flags...)...)
			require.Error(t, err)
			require.Contains(t, out, want)
			require.Contains(t, out, flags[0]+": "+certFile)
		}
	}
}

func TestAFlagComesBeforeItsVariableAndThatBeforeTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte("pg = \"file:1\"\nhttp = file:2\n\nraft = file:3\n"), 0o600))
	t.Setenv("MILLRACE_PG", "env:1")
	t.Setenv("MILLRACE_HTTP", "env:2")
	t.Setenv("MILLRACE_CONFIG", file)
	var f serveFlags
	fl := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.register(fl)
	require.NoError(t, fl.Parse([]string{"--pg", "flag:1"}))
	require.NoError(t, f.fill(fl))
	require.Equal(t, []string{"flag:1", "env:2", "file:3"}, []string{f.pg, f.http, f.raft})
}

// wordy is an error that says more when it is asked for details.
type wordy struct{}

func (wordy) Error() string { return "it failed" }

func (w wordy) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, w.Error())
	if f.Flag('+') {
		_, _ = io.WriteString(f, "\nin a function\nof another")
	}
}

// TestAProcessWhoseNodeCannotBeClosedEnds: the disk that has failed may hang for ever.
func TestAProcessWhoseNodeCannotBeClosedEnds(t *testing.T) {
	hangs := make(chan struct{})
	defer close(hangs)
	require.ErrorContains(t, closeWithin(time.Millisecond, func() error {
		<-hangs
		return nil
	}), "cannot be closed within 1ms")
	broken := errors.New("broken")
	require.ErrorIs(t, closeWithin(time.Hour, func() error { return broken }), broken)
}

func TestErrorsAreLoggedInOneLine(t *testing.T) {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: plainError})).Error("x", "err", fmt.Errorf("for this reason: %w", wordy{}), "bare", wordy{}, "n", 1)
	require.Contains(t, out.String(), `err="for this reason: it failed" bare="it failed" n=1`)
}

func TestMemorySizes(t *testing.T) {
	for text, want := range map[string]int64{"512MiB": 512 << 20, "2GiB": 2 << 30, "1G": 1 << 30, "300 MB": 300 << 20} {
		got, err := parseMemory(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "1", "-1GiB", "0MiB", "99999999999999GiB", "GiB", "1.5GiB"} {
		_, err := parseMemory(text)
		require.ErrorContains(t, err, "allowed", text)
	}
}

// server is a process that serves.
type server struct {
	cmd      *exec.Cmd
	pg, http string
	rest     chan string // what it logs after it is ready
}

var readyLine = regexp.MustCompile(`msg=ready pg=(\S+).* http=(\S+)`)

func serveProcess(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	c := command(t, env, append([]string{"serve", "--pg", "127.0.0.1:0", "--http", "127.0.0.1:0", "--raft", "off", "--kafka", "off"}, args...)...)
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewReader(stderr)
	var seen bytes.Buffer
	for {
		line, err := lines.ReadString('\n')
		seen.WriteString(line)
		require.NoError(t, err, seen.String())
		if m := readyLine.FindStringSubmatch(line); m != nil {
			s := &server{cmd: c, pg: m[1], http: m[2], rest: make(chan string, 1)}
			go func() { // ends with the process
				rest, _ := io.ReadAll(lines)
				s.rest <- string(rest)
			}()
			return s
		}
	}
}

func (s *server) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.http+path, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func (s *server) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	rest := <-s.rest
	require.NoError(t, s.cmd.Wait(), "status 0 after SIGTERM:\n%s", rest)
}

func TestServeUntilSIGTERMAndDumpWhatItWrote(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	s := serveProcess(t, []string{"MILLRACE_DATA=" + dir})
	t.Logf("ready after %s", time.Since(start))
	status, body := s.get(t, "/ready")
	require.Equal(t, "200 ready\n", fmt.Sprint(status, " ", body))
	_, body = s.get(t, "/metrics")
	require.Contains(t, body, "millrace_sessions")

	conn, err := pgx.Connect(t.Context(), "postgres://millrace@"+s.pg+"/millrace?sslmode=disable")
	require.NoError(t, err)
	for _, q := range []string{"CREATE TABLE t (id INT PRIMARY KEY, v TEXT) WITH (partitions = 1)", "INSERT INTO t VALUES (1, 'one'), (2, 'two')"} {
		_, err := conn.Exec(t.Context(), q)
		require.NoError(t, err, q)
	}
	out, err := output(t, nil, "serve", "--data", dir, "--pg", "127.0.0.1:0", "--http", "off", "--raft", "off")
	require.Error(t, err, "a second node on the directory")
	require.Contains(t, out, dir)
	s.stop(t) // with a session open
	require.NoError(t, conn.Close(context.WithoutCancel(t.Context())))

	segment := filepath.Join(dir, "t-0", "00000000000000000000.log")
	out, err = output(t, nil, "log", "dump", segment)
	require.NoError(t, err)
	require.Contains(t, out, "baseOffset")
	out, err = output(t, nil, "log", "repair", filepath.Join(dir, "t-0"))
	require.NoError(t, err, out)

	s = serveProcess(t, nil, "--data", dir)
	conn, err = pgx.Connect(t.Context(), "postgres://millrace@"+s.pg+"/millrace?sslmode=disable")
	require.NoError(t, err)
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n))
	require.Equal(t, 2, n)
	require.NoError(t, conn.Close(t.Context()))
	s.stop(t)
}

func TestEphemeralLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	s := serveProcess(t, []string{"TMPDIR=" + tmp}, "--ephemeral")
	made, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Len(t, made, 1)
	s.stop(t)
	made, err = os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, made)
}
