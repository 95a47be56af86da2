package pgwire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Request codes of packets that come without a type byte (PostgreSQL docs, "Message Formats").
const (
	cancelRequestCode = 1234<<16 | 5678
	sslRequestCode    = 1234<<16 | 5679
	gssEncRequestCode = 1234<<16 | 5680

	protocolMajor = 3
	// The minor versions in use are 0 and 2; 1 was never released.
	protocolMinorNewest = 2

	tlsHandshakeByte = 0x16 // a TLS record of type handshake: a client that starts TLS directly
	alpnProtocol     = "postgresql"

	cancelKeyBytes30 = 4
	cancelKeyBytes32 = 32
)

// errQuietEnd ends a connection without a word: a cancel request, a probe, a failed handshake.
var errQuietEnd = errors.New("connection ended during start-up")

// startupPacket is what the first packets of a connection said.
type startupPacket struct {
	minor      int      // protocol version 3.minor to speak
	negotiate  bool     // the client must be told: it asked for another minor version, or for unknown options
	unknown    []string // protocol options (_pq_.) not known here
	user       string
	database   string
	settings   []Setting
	cancelPID  int32 // of a CancelRequest, with cancelKey set
	cancelKey  []byte
	connection net.Conn // what to speak over from here on: the plain connection, or TLS on it
}

// readStartup reads packets until one starts a session or asks for a cancel. It reads no byte more than the packets hold,
// so nothing a plaintext attacker put behind an SSLRequest can be taken for input that came through TLS: such bytes go to
// the handshake, which fails. An error of type *sqlerr.Error is for the client, over the connection in the packet.
func readStartup(ctx context.Context, nc net.Conn, tlsConfig *tls.Config) (startupPacket, error) {
	var first [1]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil {
		return startupPacket{connection: nc}, errQuietEnd
	}
	secured := false
	if first[0] == tlsHandshakeByte && tlsConfig != nil {
		tc, err := startTLS(ctx, &prefixedConn{Conn: nc, prefix: first[:]}, tlsConfig, true)
		if err != nil {
			return startupPacket{connection: nc}, err
		}
		nc, secured = tc, true
		if _, err := io.ReadFull(nc, first[:]); err != nil {
			return startupPacket{connection: nc}, errQuietEnd
		}
	}
	for triedGSS, triedSSL := false, secured; ; {
		code, rest, err := readStartupPacket(nc, first[0])
		if err != nil {
			return startupPacket{connection: nc}, err
		}
		switch {
		case code == sslRequestCode && !triedSSL:
			triedSSL = true
			answer := byte('N')
			if tlsConfig != nil {
				answer = 'S'
			}
			if _, err := nc.Write([]byte{answer}); err != nil {
				return startupPacket{connection: nc}, errQuietEnd
			}
			if tlsConfig != nil {
				tc, err := startTLS(ctx, nc, tlsConfig, false)
				if err != nil {
					return startupPacket{connection: nc}, err
				}
				nc = tc
			}
		case code == gssEncRequestCode && !triedGSS:
			triedGSS = true
			if _, err := nc.Write([]byte{'N'}); err != nil {
				return startupPacket{connection: nc}, errQuietEnd
			}
		default:
			p, err := parseStartup(code, rest)
			p.connection = nc
			return p, err
		}
		if _, err := io.ReadFull(nc, first[:]); err != nil {
			return startupPacket{connection: nc}, errQuietEnd
		}
	}
}

// readStartupPacket reads the packet whose first byte is first and returns its code and what follows it.
func readStartupPacket(r io.Reader, first byte) (code uint32, rest []byte, err error) {
	head := [8]byte{first}
	if _, err := io.ReadFull(r, head[1:4]); err != nil {
		return 0, nil, errQuietEnd
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < uint32(len(head)) || length > MaxStartupBytes {
		return 0, nil, fatal(sqlerr.New(sqlerr.ProtocolViolation, "invalid length of startup packet"))
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return 0, nil, errQuietEnd
	}
	rest = make([]byte, int(length)-len(head))
	if _, err := io.ReadFull(r, rest); err != nil {
		return 0, nil, errQuietEnd
	}
	return binary.BigEndian.Uint32(head[4:]), rest, nil
}

// parseStartup understands a CancelRequest or StartupMessage.
func parseStartup(code uint32, rest []byte) (startupPacket, error) {
	if code == cancelRequestCode {
		if len(rest) < 8 || len(rest) > 4+256 {
			return startupPacket{}, errQuietEnd
		}
		return startupPacket{cancelPID: int32(binary.BigEndian.Uint32(rest)), cancelKey: rest[4:]}, nil
	}
	if major, minor := code>>16, code&0xffff; major != protocolMajor {
		return startupPacket{}, fatal(sqlerr.New(sqlerr.FeatureNotSupported,
			"unsupported frontend protocol %d.%d: server supports 3.0 to 3.%d", major, minor, protocolMinorNewest))
	}
	p := startupPacket{minor: negotiatedMinor(int(code & 0xffff))}
	p.negotiate = p.minor != int(code&0xffff)
	err := p.parseParameters(rest)
	if err == nil && p.user == "" {
		err = sqlerr.New(sqlerr.InvalidAuthorization, "no PostgreSQL user name specified in startup packet")
	}
	if err != nil {
		return startupPacket{}, fatal(sqlerr.From(err))
	}
	if p.database == "" {
		p.database = p.user
	}
	return p, nil
}

// negotiatedMinor returns the newest minor version known here that is not newer than the client's.
func negotiatedMinor(asked int) int {
	if asked >= protocolMinorNewest {
		return protocolMinorNewest
	}
	return 0
}

// parseParameters reads the name and value pairs of a StartupMessage.
func (p *startupPacket) parseParameters(rest []byte) error {
	b := body{rest: rest}
	var named []Setting
	for {
		name := b.string()
		if name == "" {
			break
		}
		value := b.string()
		switch {
		case name == "user":
			p.user = value
		case name == "database":
			p.database = value
		case name == "replication":
			if !isFalse(value) {
				return sqlerr.New(sqlerr.FeatureNotSupported, "replication connections are not supported").
					WithHint("Leave out the start-up parameter replication; changes can be read with SELECT ... EMIT CHANGES.")
			}
		case name == "options":
			options, err := parseOptions(value)
			if err != nil {
				return err
			}
			p.settings = append(p.settings, options...)
		case strings.HasPrefix(name, "_pq_."):
			p.unknown = append(p.unknown, name)
			p.negotiate = true
		default:
			named = append(named, Setting{name, value})
		}
	}
	p.settings = append(p.settings, named...)
	if b.bad || len(b.rest) > 0 {
		return sqlerr.New(sqlerr.ProtocolViolation, "invalid startup packet layout: expected terminator as last byte")
	}
	for _, s := range append([]Setting{{"user", p.user}, {"database", p.database}}, p.settings...) {
		if err := checkUTF8(s.Name + s.Value); err != nil {
			return err
		}
	}
	return nil
}

func isFalse(value string) bool {
	switch strings.ToLower(value) {
	case "0", "off", "false", "no", "f", "n":
		return true
	}
	return false
}

// readsOnly tells whether the settings of a start-up packet say that transactions only read: the last one counts.
func readsOnly(settings []Setting) (reads bool) {
	for _, s := range settings {
		if strings.EqualFold(s.Name, "default_transaction_read_only") {
			reads = isTrue(s.Value)
		}
	}
	return reads
}

func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "1", "on", "true", "yes", "t", "y":
		return true
	}
	return false
}

// parseOptions reads the start-up parameter "options": command-line arguments separated by white space, a backslash taking
// the next character as it is. Settings are -c name=value, -cname=value and --name=value; a dash in a name after -- stands
// for an underscore.
func parseOptions(s string) ([]Setting, error) {
	var settings []Setting
	args := splitOptions(s)
	for i := 0; i < len(args); i++ {
		arg, long := strings.CutPrefix(args[i], "--")
		if !long {
			var ok bool
			if arg, ok = strings.CutPrefix(args[i], "-c"); !ok {
				return nil, sqlerr.New(sqlerr.SyntaxError, "invalid command-line argument for server process: %s", args[i]).
					WithHint("The start-up parameter options takes -c name=value only.")
			}
			if arg == "" && i+1 < len(args) {
				i++
				arg = args[i]
			}
		}
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, sqlerr.New(sqlerr.SyntaxError, "option %s requires a value", args[i])
		}
		if long {
			name = strings.ReplaceAll(name, "-", "_")
		}
		settings = append(settings, Setting{name, value})
	}
	return settings, nil
}

func splitOptions(s string) []string {
	var args []string
	var arg []byte
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			if in {
				args = append(args, string(arg))
			}
			arg, in = arg[:0], false
		case c == '\\' && i+1 < len(s):
			i++
			arg, in = append(arg, s[i]), true
		default:
			arg, in = append(arg, c), true
		}
	}
	if in {
		args = append(args, string(arg))
	}
	return args
}

// startTLS does the server's side of the handshake. A client that starts TLS directly must have asked for alpnProtocol, so
// that a server of another protocol cannot be talked into understanding it.
func startTLS(ctx context.Context, nc net.Conn, config *tls.Config, direct bool) (*tls.Conn, error) {
	tc := tls.Server(nc, config)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%w: TLS handshake: %w", errQuietEnd, err)
	}
	if direct && tc.ConnectionState().NegotiatedProtocol != alpnProtocol {
		return nil, fmt.Errorf("%w: direct TLS without ALPN %q", errQuietEnd, alpnProtocol)
	}
	return tc, nil
}

// prefixedConn gives back bytes that were read from a connection too early.
type prefixedConn struct {
	net.Conn
	prefix []byte
}

// Read returns the prefix first.
func (c *prefixedConn) Read(p []byte) (int, error) {
	if len(c.prefix) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.prefix)
	c.prefix = c.prefix[n:]
	return n, nil
}
