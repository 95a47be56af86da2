package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Mechanisms by which clients authenticate, as SASL names them.
const (
	MechanismPlain    = "PLAIN"
	MechanismScram256 = "SCRAM-SHA-256"
	MechanismScram512 = "SCRAM-SHA-512"
)

// Users knows who may connect.
type Users interface {
	// MayLogin reports whether there is such a user, who may log in.
	MayLogin(user string) bool
	// Verifier returns the verifier of a user who may log in for one of the SCRAM mechanisms (RFC 5802 section 3).
	Verifier(user, mechanism string) (Verifier, bool)
}

// Verifier is what is kept of a password.
type Verifier struct {
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}

// saslExchange is an authentication in progress.
type saslExchange interface {
	// step takes what the client says and returns what it is answered.
	step(token []byte) (answer []byte, err error)
	// claimed is who the client says it is, for the log.
	claimed() string
	// done reports that the client has proved it.
	done() bool
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

// mechanisms are those that this client may use. PLAIN shows the password to whoever listens, so it is for connections that nobody can listen to.
func (c *conn) mechanisms() []string {
	all := []string{MechanismScram256, MechanismScram512}
	if c.private() {
		all = append(all, MechanismPlain)
	}
	return all
}

// saslHandshake answers key 17, version 1. After version 0 tokens would come without a header (KIP-152): it is advertised, because librdkafka does not authenticate otherwise, and refused.
func saslHandshake(c *conn, _ context.Context, req *kmsg.SASLHandshakeRequest) *kmsg.SASLHandshakeResponse {
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	if resp.SupportedMechanisms = []string{}; c.server.config.Users != nil {
		resp.SupportedMechanisms = c.mechanisms()
	}
	if !c.locked() {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return resp
	}
	var err error
	switch {
	case req.Version == 0:
		resp.ErrorCode = kerr.UnsupportedVersion.Code
	case req.Mechanism == MechanismScram256, req.Mechanism == MechanismScram512:
		c.sasl, err = c.server.newScram(req.Mechanism)
	case req.Mechanism == MechanismPlain && c.private():
		c.sasl = &plainExchange{server: c.server}
	default:
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
	}
	if err != nil {
		c.log.Error("authentication cannot begin", "err", err)
		resp.ErrorCode = kerr.UnknownServerError.Code
	}
	return resp
}

// saslAuthenticate answers key 36, versions 0 to 2. A client that fails is told so, whatever it was, and the connection ends.
func saslAuthenticate(c *conn, _ context.Context, req *kmsg.SASLAuthenticateRequest) *kmsg.SASLAuthenticateResponse {
	resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	resp.SASLAuthBytes = []byte{}
	if !c.locked() || c.sasl == nil {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return resp
	}
	answer, err := c.sasl.step(req.SASLAuthBytes)
	if err != nil {
		c.log.Warn("authentication failed", "user", c.sasl.claimed(), "err", err)
		c.hangUp = fmt.Errorf("authentication failed: %w", err)
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr("authentication failed")
		return resp
	}
	resp.SASLAuthBytes = append(resp.SASLAuthBytes, answer...)
	if c.sasl.done() {
		c.user, c.sasl = c.sasl.claimed(), nil
	}
	return resp
}
