package metadata

import (
	"encoding/base64"
	"fmt"
	"io"
)

// UUID identifies a topic, a directory or an incarnation of a broker for ever; names may be used again, these never are.
type UUID [16]byte

// NewUUID reads a random (version 4, RFC 9562 section 5.4) UUID from rand. Ids whose text begins with a dash are drawn again, because command
// line tools would take them for flags.
func NewUUID(rand io.Reader) (UUID, error) {
	for {
		var u UUID
		if _, err := io.ReadFull(rand, u[:]); err != nil {
			return UUID{}, fmt.Errorf("metadata: reading randomness: %w", err)
		}
		u[6] = u[6]&0x0f | 0x40
		u[8] = u[8]&0x3f | 0x80
		if u.String()[0] != '-' {
			return u, nil
		}
	}
}

// ParseUUID reads what String wrote.
func ParseUUID(s string) (UUID, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 16 {
		return UUID{}, fmt.Errorf("metadata: %.40q is not a UUID of 22 base64 characters", s)
	}
	return UUID(b), nil
}

// IsZero reports whether u is the zero UUID, which no topic or directory has.
func (u UUID) IsZero() bool { return u == UUID{} }

// String is the URL-safe base64 form without padding, as Kafka's tools print ids.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }
