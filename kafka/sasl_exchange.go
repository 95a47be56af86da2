package kafka

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	secretBytes = 32
	saltBytes   = 16
	nonceBytes  = 18
	// mockIterations is what a user who does not exist seems to have, like those who do.
	mockIterations = 4096
)

// scramExchange is SCRAM (RFC 5802).
type scramExchange struct{ *scram.ServerConversation }

func (e scramExchange) step(token []byte) ([]byte, error) {
	answer, err := e.Step(string(token))
	return []byte(answer), err
}

func (e scramExchange) claimed() string { return e.Username() }
func (e scramExchange) done() bool      { return e.Valid() }

// newScram begins an exchange, with a nonce of ours.
func (s *Server) newScram(mechanism string) (saslExchange, error) {
	nonce := make([]byte, nonceBytes)
	if _, err := io.ReadFull(s.config.Rand, nonce); err != nil {
		return nil, err
	}
	server, err := hashOf(mechanism).NewServer(func(user string) (scram.StoredCredentials, error) { return s.credentials(user, mechanism), nil })
	if err != nil {
		return nil, err
	}
	text := base64.StdEncoding.EncodeToString(nonce)
	return scramExchange{server.WithNonceGenerator(func() string { return text }).NewConversation()}, nil
}

func hashOf(mechanism string) scram.HashGeneratorFcn {
	if mechanism == MechanismScram512 {
		return scram.SHA512
	}
	return scram.SHA256
}

// credentials looks a user up. One who does not exist gets a salt all the same, always the same one, and fails at the proof.
func (s *Server) credentials(user, mechanism string) scram.StoredCredentials {
	v, ok := s.config.Users.Verifier(user, mechanism)
	if !ok {
		mock := func(of string) []byte {
			h := hmac.New(sha256.New, s.secret)
			_, _ = h.Write([]byte(of + mechanism + " " + user)) // a hash never fails
			return h.Sum(nil)
		}
		v = Verifier{Salt: mock("salt ")[:saltBytes], Iterations: mockIterations, StoredKey: mock("stored "), ServerKey: mock("server ")}
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations}, StoredKey: v.StoredKey, ServerKey: v.ServerKey,
	}
}

// plainExchange is PLAIN (RFC 4616): the password itself, which is compared with the verifier for SCRAM-SHA-256.
type plainExchange struct {
	server *Server
	user   string
	proved bool
}

var (
	errPlainForm     = errors.New("a PLAIN token is [name] NUL name NUL password")
	errPlainOther    = errors.New("nobody can act for somebody else")
	errWrongPassword = errors.New("no such user, or another password")
)

func (e *plainExchange) step(token []byte) ([]byte, error) {
	parts := strings.Split(string(token), "\x00")
	if len(parts) != 3 || parts[1] == "" {
		return nil, errPlainForm
	}
	e.user = parts[1]
	if parts[0] != "" && parts[0] != e.user {
		return nil, errPlainOther
	}
	want := e.server.credentials(e.user, MechanismScram256)
	client, err := scram.SHA256.NewClient("", parts[2], "")
	if err != nil { // SASLprep refuses it; it was taken as it is when it was set
		client, err = scram.SHA256.NewClientUnprepped("", parts[2], "")
	}
	if err != nil {
		return nil, err
	}
	got, err := client.GetStoredCredentialsWithError(want.KeyFactors)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(got.StoredKey, want.StoredKey) {
		return nil, errWrongPassword
	}
	e.proved = true
	return nil, nil
}

func (e *plainExchange) claimed() string { return e.user }
func (e *plainExchange) done() bool      { return e.proved }
