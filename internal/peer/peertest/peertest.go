// Package peertest makes certificates of nodes for tests.
package peertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/peer"
)

// Authority vouches for the nodes of a cluster.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority that nobody else trusts.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	t := template()
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &Authority{key: newKey(tb)}
	var err error
	if a.cert, err = x509.ParseCertificate(a.sign(tb, t, t, &a.key.PublicKey)); err != nil {
		tb.Fatal(err)
	}
	return a
}

// Node is what a node with a certificate for the given DNS names uses; it takes certificates of the same authority.
func (a *Authority) Node(tb testing.TB, names ...string) *peer.TLS {
	tb.Helper()
	return a.Stranger(tb, a, names...)
}

// Stranger is Node of one that takes certificates of another authority.
func (a *Authority) Stranger(tb testing.TB, trusted *Authority, names ...string) *peer.TLS {
	tb.Helper()
	key := newKey(tb)
	t := template()
	t.DNSNames = names
	pool := x509.NewCertPool()
	pool.AddCert(trusted.cert)
	return peer.NewTLS(tls.Certificate{Certificate: [][]byte{a.sign(tb, t, a.cert, &key.PublicKey)}, PrivateKey: key}, pool)
}

func template() *x509.Certificate {
	now := clock.Real.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Millrace test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
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
