//go:build clients

package clients

import (
	"bufio"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/certtest"
)

// server is a millrace serve in a process of its own, on a directory that outlives a restart.
type server struct {
	bin, dir, addr string
	// authority is a file with the certificate that clients verify with; certificate and key are the server's, clientCertificate and
	// clientKey of a client called app.
	authority, certificate, key  string
	clientCertificate, clientKey string
	process                      *exec.Cmd
	done                         chan struct{} // closed when stderr has ended
	log                          strings.Builder
}

// newServer builds the program and makes its certificates.
func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{bin: filepath.Join(dir, "millrace"), dir: filepath.Join(dir, "data")}
	build := exec.Command("go", "build", "-o", s.bin, "github.com/millracedb/millrace/cmd/millrace")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	ca := certtest.NewAuthority(t)
	s.authority = filepath.Join(dir, "ca.crt")
	require.NoError(t, os.WriteFile(s.authority, ca.PEM(), 0o600))
	s.certificate, s.key = writePEM(t, ca.Sign(t, "localhost", "localhost"), dir, "server")
	s.clientCertificate, s.clientKey = writePEM(t, ca.Sign(t, "app"), dir, "client")
	t.Cleanup(func() {
		if s.process != nil {
			_ = s.process.Process.Kill()
			<-s.done
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", s.log.String())
		}
	})
	return s
}

// start runs the server and waits until it is ready.
func (s *server) start(t *testing.T, flags ...string) {
	t.Helper()
	args := append([]string{"serve", "--data", s.dir, "--pg", "127.0.0.1:0", "--http", "off", "--raft", "off", "--kafka", "off"}, flags...)
	s.process = exec.Command(s.bin, args...)
	stderr, err := s.process.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, s.process.Start())
	ready := make(chan string, 1)
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		defer close(ready)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.log.WriteString(lines.Text() + "\n")
			if _, rest, ok := strings.Cut(lines.Text(), "msg=ready pg="); ok {
				ready <- strings.Fields(rest)[0]
			}
		}
	}()
	select {
	case s.addr = <-ready:
		require.NotEmpty(t, s.addr, "the server ended: %s", s.log.String())
	case <-time.After(2 * time.Minute):
		t.Fatal("the server is not ready in time")
	}
}

// stop is an orderly one.
func (s *server) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
	<-s.done
	require.NoError(t, s.process.Wait())
	s.process = nil
}

// environment is what a user connects by.
func (s *server) environment(user, password string) environment {
	host, port, _ := net.SplitHostPort(s.addr)
	return environment{"PGHOST": host, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": "millrace", "PGSSLMODE": "disable"}
}

// writePEM writes what has been signed as dir/name.crt and dir/name.key and returns their paths.
func writePEM(t *testing.T, signed tls.Certificate, dir, name string) (certificate, key string) {
	t.Helper()
	certificate, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	certPEM, keyPEM := certtest.PEM(t, signed)
	require.NoError(t, os.WriteFile(certificate, certPEM, 0o600))
	require.NoError(t, os.WriteFile(key, keyPEM, 0o600))
	return certificate, key
}
