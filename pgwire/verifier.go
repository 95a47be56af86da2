package pgwire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	// VerifierIterations is the iteration count of new verifiers, PostgreSQL's default and the least RFC 7677 allows.
	VerifierIterations = 4096
	// VerifierSaltBytes is the length of the salt of new verifiers, PostgreSQL's.
	VerifierSaltBytes = 16
	// maxVerifierIterations bounds what a stored verifier may ask of a client.
	maxVerifierIterations = 10_000_000

	verifierScheme = "SCRAM-SHA-256"
	sha256Bytes    = 32
)

// Verifier is what the server keeps of a password: enough to check a SCRAM-SHA-256 proof, not enough to log in.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
}

// NewVerifier derives the verifier of password. salt should be VerifierSaltBytes random bytes. A password that SASLprep
// (RFC 4013) refuses is used as it is, as PostgreSQL does.
func NewVerifier(password string, salt []byte, iterations int) (*Verifier, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		client, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return nil, err
	}
	creds, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return nil, err
	}
	return &Verifier{Iterations: iterations, Salt: salt, StoredKey: creds.StoredKey, ServerKey: creds.ServerKey}, nil
}

// ParseVerifier reads the form of String, which is that of PostgreSQL's pg_authid.rolpassword.
func ParseVerifier(s string) (*Verifier, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 3 || parts[0] != verifierScheme {
		return nil, errors.New("not a SCRAM-SHA-256 verifier")
	}
	iterText, saltText, ok1 := strings.Cut(parts[1], ":")
	storedText, serverText, ok2 := strings.Cut(parts[2], ":")
	iterations, err := strconv.Atoi(iterText)
	if !ok1 || !ok2 || err != nil || iterations < 1 || iterations > maxVerifierIterations {
		return nil, errors.New("malformed SCRAM-SHA-256 verifier")
	}
	v := &Verifier{Iterations: iterations}
	for _, field := range []struct {
		text string
		to   *[]byte
	}{{saltText, &v.Salt}, {storedText, &v.StoredKey}, {serverText, &v.ServerKey}} {
		if *field.to, err = base64.StdEncoding.DecodeString(field.text); err != nil {
			return nil, fmt.Errorf("malformed SCRAM-SHA-256 verifier: %w", err)
		}
	}
	if len(v.StoredKey) != sha256Bytes || len(v.ServerKey) != sha256Bytes {
		return nil, errors.New("malformed SCRAM-SHA-256 verifier: wrong key length")
	}
	return v, nil
}

// String returns SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey with the binary parts in base64.
func (v *Verifier) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", verifierScheme, v.Iterations, b64(v.Salt), b64(v.StoredKey), b64(v.ServerKey))
}

func (v *Verifier) credentials() scram.StoredCredentials {
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations},
		StoredKey:  v.StoredKey,
		ServerKey:  v.ServerKey,
	}
}
