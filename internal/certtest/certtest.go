// Package certtest makes certificates for tests: of listeners on loopback, of clients and of nodes.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// valid is how long before and after now certificates are valid.
const valid = time.Hour

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// Pool has the authority alone: who trusts it trusts what it has signed.
	Pool *x509.CertPool
}

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	t := template("authority of a test")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage, t.ExtKeyUsage, t.IPAddresses = true, true, x509.KeyUsageCertSign, nil, nil
	a := &Authority{key: newKey(tb), Pool: x509.NewCertPool()}
	var err error
	if a.cert, err = x509.ParseCertificate(a.sign(tb, t, t, &a.key.PublicKey)); err != nil {
		tb.Fatal(err)
	}
	a.Pool.AddCert(a.cert)
	return a
}

// Sign makes a certificate of a server on 127.0.0.1, or of a client, with a common name, and some DNS names.
func (a *Authority) Sign(tb testing.TB, name string, dns ...string) tls.Certificate {
	tb.Helper()
	key := newKey(tb)
	t := template(name)
	t.DNSNames = dns
	return tls.Certificate{Certificate: [][]byte{a.sign(tb, t, a.cert, &key.PublicKey)}, PrivateKey: key}
}

// PEM is the authority's certificate as a file has it.
func (a *Authority) PEM() []byte { return block("CERTIFICATE", a.cert.Raw) }

// PEM is a certificate that Sign has made, and its key, as files have them.
func PEM(tb testing.TB, c tls.Certificate) (cert, key []byte) {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	return block("CERTIFICATE", c.Certificate[0]), block("PRIVATE KEY", der)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func template(name string) *x509.Certificate {
	now := clock.Real.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-valid), NotAfter: now.Add(valid),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func (a *Authority) sign(tb testing.TB, t, parent *x509.Certificate, public *ecdsa.PublicKey) []byte {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
