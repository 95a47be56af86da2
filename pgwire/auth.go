package pgwire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"

	"github.com/xdg-go/scram"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Sub-codes of the Authentication message.
const (
	authOK           = 0
	authSASL         = 10
	authSASLContinue = 11
	authSASLFinal    = 12

	// boundScheme is SCRAM-SHA-256 with channel binding (RFC 5802, 6).
	boundScheme = verifierScheme + "-PLUS"

	scramNonceBytes = 18
)

// authenticate lets the backend decide, and asks the client for its proof where needed. Errors are FATAL.
func (c *conn) authenticate(ctx context.Context, r *bufio.Reader, info *SessionInfo) error {
	var users Authenticator = c.server.config.Upstream
	if c.relay == nil {
		users = c.server.config.Backend
	}
	auth, err := users.Authentication(ctx, info)
	if err == nil && auth.Method == AuthSCRAM {
		err = c.authenticateSCRAM(r, info.User, auth.Verifier)
	}
	if err != nil {
		return err
	}
	c.authMessage(authOK, "")
	return nil
}

// authenticateSCRAM runs the SASL exchange of the PostgreSQL docs, "SASL Authentication". The user name inside SCRAM's
// first message is ignored: clients leave it empty or send "*".
func (c *conn) authenticateSCRAM(r *bufio.Reader, user string, verifier *Verifier) error {
	denied := sqlerr.New(sqlerr.InvalidPassword, "password authentication failed for user %q", user)
	if verifier == nil {
		verifier = c.server.mockVerifier(user)
	}
	nonce := make([]byte, scramNonceBytes)
	if _, err := io.ReadFull(c.server.config.Rand, nonce); err != nil {
		return err
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return verifier.credentials(), nil })
	if err != nil {
		return err
	}
	server.WithNonceGenerator(func() string { return base64.StdEncoding.EncodeToString(nonce) })
	binding := c.channelBinding()
	mechanisms := verifierScheme + "\x00\x00"
	if binding.IsSupported() {
		mechanisms = boundScheme + "\x00" + mechanisms
	}
	c.authMessage(authSASL, mechanisms)
	first, err := c.readSASL(r)
	if err != nil {
		return err
	}
	b := body{rest: first}
	mechanism := b.string()
	initial := b.value()
	if err := b.end(); err != nil {
		return err
	}
	exchange := server.NewConversationWithChannelBinding(binding)
	bound := bytes.HasPrefix(initial, []byte("p="))
	switch {
	case mechanism == boundScheme && binding.IsSupported() && bound:
		exchange = server.NewConversationWithChannelBindingRequired(binding)
	case mechanism == boundScheme && binding.IsSupported():
		return sqlerr.New(sqlerr.ProtocolViolation, "malformed SCRAM message: the client selected %s, but its message has no channel binding", boundScheme)
	case mechanism != verifierScheme:
		return sqlerr.New(sqlerr.ProtocolViolation, "client selected an invalid SASL authentication mechanism")
	case bound:
		return sqlerr.New(sqlerr.ProtocolViolation, "malformed SCRAM message: the client selected %s, but its message has channel binding", verifierScheme)
	}
	challenge, err := exchange.Step(string(initial))
	if err != nil {
		return sqlerr.New(sqlerr.ProtocolViolation, "malformed SCRAM message: %w", err)
	}
	c.authMessage(authSASLContinue, challenge)
	final, err := c.readSASL(r)
	if err != nil {
		return err
	}
	signature, err := exchange.Step(string(final))
	if err != nil || !exchange.Valid() {
		return denied
	}
	c.authMessage(authSASLFinal, signature)
	return nil
}

// channelBinding is what the exchange can be bound to: over TLS, the server's certificate.
func (c *conn) channelBinding() scram.ChannelBinding {
	if tlsState(c.nc) == nil {
		return scram.ChannelBinding{}
	}
	return c.server.binding
}

// serverEndPoint is the channel binding tls-server-end-point (RFC 5929, 4) of a server that has one certificate. It is empty where there are
// several, or a certificate is signed in a way that has no hash of its own (Ed25519): PLUS is not offered then.
func serverEndPoint(config *tls.Config) scram.ChannelBinding {
	if len(config.Certificates) != 1 || config.GetCertificate != nil || config.GetConfigForClient != nil {
		return scram.ChannelBinding{}
	}
	leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		return scram.ChannelBinding{}
	}
	binding, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}})
	if err != nil {
		return scram.ChannelBinding{}
	}
	return binding
}

func (c *conn) authMessage(code int, data string) {
	c.out.begin('R')
	c.out.int32(code)
	c.out.buf = append(c.out.buf, data...)
	c.out.finish()
}

// readSASL sends what is pending and reads the client's answer, a message of type 'p'.
func (c *conn) readSASL(r *bufio.Reader) ([]byte, error) {
	if c.out.flush(); c.out.err != nil {
		return nil, errQuietEnd
	}
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, errQuietEnd
	}
	length := int64(binary.BigEndian.Uint32(head[1:]))
	if head[0] != 'p' {
		return nil, sqlerr.New(sqlerr.ProtocolViolation, "expected SASL response, got message type %d", head[0])
	}
	if length < 4 || length-4 > MaxAuthMessageBytes {
		return nil, sqlerr.New(sqlerr.ProtocolViolation, "invalid length of SASL response")
	}
	data := make([]byte, length-4)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, errQuietEnd
	}
	return data, nil
}

// mockVerifier stands in for a user who does not exist, so that the exchange looks the same: the salt depends on the name
// and a secret, and no proof fits the keys.
func (s *Server) mockVerifier(user string) *Verifier {
	derive := func(what string) []byte {
		mac := hmac.New(sha256.New, s.secret)
		mac.Write([]byte(what + user))
		return mac.Sum(nil)
	}
	return &Verifier{
		Iterations: VerifierIterations,
		Salt:       slices.Clip(derive("salt ")[:VerifierSaltBytes]),
		StoredKey:  derive("stored "),
		ServerKey:  derive("server "),
	}
}
