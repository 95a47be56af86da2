//go:build clients

package clients

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

	ca := newCertificate(t, "authority of a test", nil)
	s.authority = ca.write(t, dir, "ca")
	own := newCertificate(t, "localhost", ca)
	s.certificate, s.key = own.write(t, dir, "server"), filepath.Join(dir, "server.key")
	client := newCertificate(t, "app", ca)
	s.clientCertificate, s.clientKey = client.write(t, dir, "client"), filepath.Join(dir, "client.key")
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

// certificate is one with its key.
type certificate struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCertificate makes a certificate for loopback, or an authority when by is nil.
func newCertificate(t *testing.T, name string, by *certificate) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if by == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage, template.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		by = &certificate{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &certificate{cert, key}
}

// write writes dir/name.crt and dir/name.key and returns the path of the first.
func (c *certificate) write(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	require.NoError(t, os.WriteFile(path+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw}), 0o600))
	return path + ".crt"
}
