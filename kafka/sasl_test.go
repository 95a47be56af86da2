package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// startLocked starts a node that asks for passwords and has the users ann, eve and root, a superuser, with the password "secret".
func startLocked(t *testing.T, change ...func(*node.Config)) *node.Node {
	fs := fsys.NewMem()
	n, err := nodetest.Open(t.Context(), node.Config{FS: fs})
	require.NoError(t, err)
	db := nodetest.Connect(t, nodetest.ConnString(n))
	_, err = db.Exec(t.Context(), "CREATE ROLE ann LOGIN PASSWORD 'secret'; CREATE ROLE bob NOLOGIN PASSWORD 'secret'; CREATE ROLE eve LOGIN PASSWORD 'secret'; CREATE ROLE root SUPERUSER LOGIN PASSWORD 'secret'")
	require.NoError(t, err)
	require.NoError(t, db.Close(t.Context()))
	require.NoError(t, n.Close())
	cfg := node.Config{FS: fs, Kafka: "127.0.0.1:0", RequirePassword: true}
	for _, f := range change {
		f(&cfg)
	}
	return nodetest.Start(t, cfg)
}

func TestRolesOfTheDatabaseAuthenticate(t *testing.T) {
	n := startLocked(t)
	login := func(user, password string) *kgo.Client {
		return client(t, n, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()), kgo.ConsumeTopics("a"))
	}
	ann := login("ann", "secret")
	createTopic(t, ann, "a", 1, nil)
	produce(t, ann, "a", values("v", 3))
	require.Equal(t, values("v", 3), consume(t.Context(), t, ann, 3))
	for user, password := range map[string]string{"ann": "wrong", "nobody": "secret", "bob": "secret"} {
		require.ErrorIs(t, login(user, password).Ping(t.Context()), kerr.SaslAuthenticationFailed, user)
	}
}

func TestLibrdkafkaIsToldOfTheFirstHandshake(t *testing.T) {
	w := dial(t, startLocked(t))
	for _, key := range w.ask(plausible(t, kmsg.NewPtrApiVersionsRequest(), 3)).(*kmsg.ApiVersionsResponse).ApiKeys {
		if key.ApiKey == int16(kmsg.SASLHandshake) {
			require.Equal(t, int16(0), key.MinVersion, "it gives up if the lowest version is not 0")
		}
	}
	for version, want := range map[int16]int16{0: kerr.UnsupportedVersion.Code, 1: 0} {
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Version, req.Mechanism = version, "SCRAM-SHA-256"
		require.Equal(t, want, w.ask(req).(*kmsg.SASLHandshakeResponse).ErrorCode)
	}
}

func TestNothingIsServedBeforeAuthentication(t *testing.T) {
	n := startLocked(t)
	w := dial(t, n)
	w.ask(plausible(t, kmsg.NewPtrApiVersionsRequest(), 3))
	w.send(plausible(t, kmsg.NewPtrMetadataRequest(), 9))
	w.closed()
	w = dial(t, n)
	_, err := w.Write([]byte{0, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1})
	require.NoError(t, err)
	w.closed()
}
