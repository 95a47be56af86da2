package kafka

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"
)

const (
	// saslMechanism is the one mechanism: users have verifiers for it from CREATE ROLE ... PASSWORD.
	saslMechanism = "SCRAM-SHA-256"
	secretBytes   = 32
	saltBytes     = 16
	nonceBytes    = 18
	// mockIterations is what a user who does not exist seems to have, like those who do.
	mockIterations = 4096
)

// Users knows who may connect.
type Users interface {
	// Verifier returns the SCRAM-SHA-256 verifier (RFC 5802 section 3) of a user who may log in.
	Verifier(user string) (Verifier, bool)
}

// Verifier is what is kept of a password.
type Verifier struct {
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}

var errUnauthenticated = errors.New("the client has not authenticated")

// locked reports whether the client has yet to say who it is.
func (c *conn) locked() bool { return c.server.config.Users != nil && c.user == "" }

// allowed refuses everything but what leads to authentication while the client has yet to say who it is.
func (c *conn) allowed(key int16) error {
	switch key {
	case keyApiVersions, int16(kmsg.SASLHandshake), int16(kmsg.SASLAuthenticate):
		return nil
	}
	if c.locked() {
		return fmt.Errorf("%w: %s", errUnauthenticated, kmsg.NameForKey(key))
	}
	return nil
}

// saslHandshake answers key 17, version 1. After version 0, which is not served, tokens would come without a header (KIP-152).
func saslHandshake(c *conn, _ context.Context, req *kmsg.SASLHandshakeRequest) *kmsg.SASLHandshakeResponse {
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	switch {
	case !c.locked():
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return resp
	case req.Mechanism != saslMechanism:
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
	default:
		if err := c.beginSASL(); err != nil {
			c.log.Error("authentication cannot begin", "err", err)
			resp.ErrorCode = kerr.UnknownServerError.Code
		}
	}
	resp.SupportedMechanisms = []string{saslMechanism}
	return resp
}

// beginSASL begins a conversation, with a nonce of ours.
func (c *conn) beginSASL() error {
	nonce := make([]byte, nonceBytes)
	if _, err := io.ReadFull(c.server.config.Rand, nonce); err != nil {
		return err
	}
	server, err := scram.SHA256.NewServer(c.server.credentials)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(nonce)
	c.sasl = server.WithNonceGenerator(func() string { return text }).NewConversation()
	return nil
}

// saslAuthenticate answers key 36, versions 0 to 2. A client that fails is told so, whatever it was, and the connection ends.
func saslAuthenticate(c *conn, _ context.Context, req *kmsg.SASLAuthenticateRequest) *kmsg.SASLAuthenticateResponse {
	resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	resp.SASLAuthBytes = []byte{}
	if !c.locked() || c.sasl == nil {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return resp
	}
	answer, err := c.sasl.Step(string(req.SASLAuthBytes))
	if err != nil {
		c.log.Warn("authentication failed", "user", c.sasl.Username(), "err", err)
		c.hangUp = fmt.Errorf("authentication failed: %w", err)
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr("authentication failed")
		return resp
	}
	resp.SASLAuthBytes = []byte(answer)
	if c.sasl.Valid() {
		c.user, c.sasl = c.sasl.Username(), nil
	}
	return resp
}

// credentials looks a user up. One who does not exist gets a salt all the same, always the same one, and fails at the proof.
func (s *Server) credentials(user string) (scram.StoredCredentials, error) {
	v, ok := s.config.Users.Verifier(user)
	if !ok {
		mock := func(of string) []byte {
			h := hmac.New(sha256.New, s.secret)
			_, _ = h.Write([]byte(of + user)) // a hash never fails
			return h.Sum(nil)
		}
		v = Verifier{Salt: mock("salt ")[:saltBytes], Iterations: mockIterations, StoredKey: mock("stored "), ServerKey: mock("server ")}
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations}, StoredKey: v.StoredKey, ServerKey: v.ServerKey,
	}, nil
}
