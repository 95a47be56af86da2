package engine

import (
	"context"
	"net"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/replication/metadata"
)

// Door says how users prove who they are. Every node has one, also where no sessions run.
type Door struct {
	Meta  *metadata.Store
	Clock clock.Clock
	// RequirePassword asks everybody for a password, also on loopback; without it Insecure admits everybody everywhere.
	RequirePassword, Insecure bool
}

// Authentication implements pgwire.Backend.
func (e *Engine) Authentication(ctx context.Context, info *pgwire.SessionInfo) (pgwire.Auth, error) {
	d := Door{Meta: e.meta, Clock: e.clock, RequirePassword: e.opts.RequirePassword, Insecure: e.opts.Insecure}
	return d.Authentication(ctx, info)
}

// Authentication implements pgwire.Authenticator: trust on loopback unless told otherwise, elsewhere a certificate of
// the client that names the user, or SCRAM-SHA-256.
func (d *Door) Authentication(_ context.Context, info *pgwire.SessionInfo) (pgwire.Auth, error) {
	u, ok := d.Meta.Image().User(info.User)
	if !d.RequirePassword && (d.Insecure || fromLoopback(info.RemoteAddr)) {
		if !ok {
			return pgwire.Auth{}, sqlerr.New(sqlerr.InvalidAuthorization, "role %q does not exist", info.User).
				WithHint("Connect as %s, or CREATE ROLE %s LOGIN there.", superuser, info.User)
		}
		if !u.Login {
			return pgwire.Auth{}, sqlerr.New(sqlerr.InvalidAuthorization, "role %q is not permitted to log in", info.User)
		}
		return pgwire.Auth{Method: pgwire.AuthTrust}, nil
	}
	if ok && u.Login && certifiedName(info) == u.Name {
		return pgwire.Auth{Method: pgwire.AuthTrust}, nil
	}
	auth := pgwire.Auth{Method: pgwire.AuthSCRAM}
	// As in PostgreSQL, VALID UNTIL is for passwords only.
	if ok && u.Login && (u.ValidUntil == 0 || d.Clock.Now().UnixMilli() < u.ValidUntil) {
		for _, v := range u.Verifiers {
			if v.Mechanism == scramMechanism {
				auth.Verifier = &pgwire.Verifier{Salt: v.Salt, Iterations: int(v.Iterations), StoredKey: v.StoredKey, ServerKey: v.ServerKey}
			}
		}
	}
	return auth, nil
}

// certifiedName is the common name of the certificate that a client has shown and TLS has verified; "" if there is none.
func certifiedName(info *pgwire.SessionInfo) string {
	if info.TLS == nil || len(info.TLS.VerifiedChains) == 0 {
		return ""
	}
	return info.TLS.PeerCertificates[0].Subject.CommonName
}

func fromLoopback(a net.Addr) bool {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return true // a pipe within the process
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
