package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millracedb/millrace/internal/node"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := certTemplate("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	a := &authority{cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

func certTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) sign(t testing.TB, name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, certTemplate(name), a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientsWithAndWithoutTLSAreServedOnOnePort(t *testing.T) {
	ca := newAuthority(t)
	n := startLocked(t, func(c *node.Config) {
		c.TLS = &tls.Config{
			Certificates: []tls.Certificate{ca.sign(t, "node")}, MinVersion: tls.VersionTLS12,
			ClientCAs: ca.pool, ClientAuth: tls.VerifyClientCertIfGiven,
		}
	})
	encrypted := func(certs ...tls.Certificate) kgo.Opt {
		return kgo.DialTLSConfig(&tls.Config{RootCAs: ca.pool, Certificates: certs, MinVersion: tls.VersionTLS12})
	}
	secret := scram.Auth{User: "ann", Pass: "secret"}.AsSha256Mechanism()
	open := client(t, n, kgo.SASL(secret))
	createTopic(t, open, "a", 1, nil)
	// More than one socket buffer, and records that are read from a file: nothing can be sent from file to socket here.
	big := string(make([]byte, 300_000))
	for _, opts := range [][]kgo.Opt{{kgo.SASL(secret)}, {encrypted(), kgo.SASL(secret)}, {encrypted(ca.sign(t, "ann"))}} {
		cl := client(t, n, append(opts, kgo.ConsumeTopics("a"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd().Relative(-1)))...)
		produce(t, cl, "a", []string{big})
		require.Equal(t, big, consume(t.Context(), t, cl, 1)[0])
	}
	for name, opts := range map[string][]kgo.Opt{
		"no certificate and no password":        {encrypted()},
		"a certificate for nobody":              {encrypted(ca.sign(t, "stranger"))},
		"a certificate of another authority":    {encrypted(newAuthority(t).sign(t, "ann"))},
		"a role that may not log in":            {encrypted(ca.sign(t, "bob"))},
		"an authority that the client's is not": {kgo.DialTLSConfig(&tls.Config{RootCAs: newAuthority(t).pool, MinVersion: tls.VersionTLS12})},
	} {
		require.Error(t, client(t, n, append(opts, kgo.RequestRetries(0), kgo.RetryTimeout(time.Second))...).Ping(t.Context()), name)
	}
}

func TestEveryMechanismAsksForThePassword(t *testing.T) {
	n := startLocked(t)
	for name, mechanism := range map[string]func(user, password string) sasl.Mechanism{
		"PLAIN":         func(u, p string) sasl.Mechanism { return plain.Auth{User: u, Pass: p}.AsMechanism() },
		"SCRAM-SHA-256": func(u, p string) sasl.Mechanism { return scram.Auth{User: u, Pass: p}.AsSha256Mechanism() },
		"SCRAM-SHA-512": func(u, p string) sasl.Mechanism { return scram.Auth{User: u, Pass: p}.AsSha512Mechanism() },
	} {
		login := func(user, password string) error {
			return client(t, n, kgo.SASL(mechanism(user, password))).Ping(t.Context())
		}
		require.NoError(t, login("ann", "secret"), name)
		for _, wrong := range [][2]string{{"ann", "wrong"}, {"nobody", "secret"}, {"bob", "secret"}} {
			require.Error(t, login(wrong[0], wrong[1]), "%s %s", name, wrong)
		}
	}
}
