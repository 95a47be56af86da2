package kafka_test

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millracedb/millrace/internal/certtest"
	"github.com/millracedb/millrace/internal/node"
)

func TestClientsWithAndWithoutTLSAreServedOnOnePort(t *testing.T) {
	ca := certtest.NewAuthority(t)
	n := startLocked(t, func(c *node.Config) {
		c.TLS = &tls.Config{
			Certificates: []tls.Certificate{ca.Sign(t, "node")}, MinVersion: tls.VersionTLS12,
			ClientCAs: ca.Pool, ClientAuth: tls.VerifyClientCertIfGiven,
		}
	})
	encrypted := func(certs ...tls.Certificate) kgo.Opt {
		return kgo.DialTLSConfig(&tls.Config{RootCAs: ca.Pool, Certificates: certs, MinVersion: tls.VersionTLS12})
	}
	secret := scram.Auth{User: "ann", Pass: "secret"}.AsSha256Mechanism()
	open := client(t, n, kgo.SASL(secret))
	createTopic(t, open, "a", 1, nil)
	// More than one socket buffer, and records that are read from a file: nothing can be sent from file to socket here.
	big := string(make([]byte, 300_000))
	for _, opts := range [][]kgo.Opt{{kgo.SASL(secret)}, {encrypted(), kgo.SASL(secret)}, {encrypted(ca.Sign(t, "ann"))}} {
		cl := client(t, n, append(opts, kgo.ConsumeTopics("a"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd().Relative(-1)))...)
		produce(t, cl, "a", []string{big})
		require.Equal(t, big, consume(t.Context(), t, cl, 1)[0])
	}
	for name, opts := range map[string][]kgo.Opt{
		"no certificate and no password":        {encrypted()},
		"a certificate for nobody":              {encrypted(ca.Sign(t, "stranger"))},
		"a certificate of another authority":    {encrypted(certtest.NewAuthority(t).Sign(t, "ann"))},
		"a role that may not log in":            {encrypted(ca.Sign(t, "bob"))},
		"an authority that the client's is not": {kgo.DialTLSConfig(&tls.Config{RootCAs: certtest.NewAuthority(t).Pool, MinVersion: tls.VersionTLS12})},
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
