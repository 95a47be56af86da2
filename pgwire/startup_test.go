package pgwire

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"github.com/xdg-go/scram"

	"github.com/millracedb/millrace/internal/certtest"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// packet makes a start-up packet with its length word.
func packet(code uint32, rest ...string) []byte {
	p := binary.BigEndian.AppendUint32(make([]byte, 4), code)
	p = append(p, strings.Join(rest, "")...)
	binary.BigEndian.PutUint32(p, uint32(len(p)))
	return p
}

func write(t *testing.T, nc net.Conn, p []byte) {
	t.Helper()
	_, err := nc.Write(p)
	require.NoError(t, err)
}

func TestStartupReportsParametersAndKey(t *testing.T) {
	b, addr := serveFake(t)
	c := newRawClient(t, dial(t, addr))
	c.startup(map[string]string{"user": "alice", "application_name": "app", "options": `-c a=x\ y --b-c=2`}, pgproto3.ProtocolVersion30)
	lines := c.until("ReadyForQuery")
	require.Equal(t, "AuthenticationOk", lines[0])
	require.Len(t, lines, 1+len(ReportedParameters)+2)
	require.Contains(t, lines, "ParameterStatus application_name=app")
	require.Contains(t, lines, "ParameterStatus DateStyle=ISO, MDY")
	require.Equal(t, "ReadyForQuery I", lines[len(lines)-1])
	require.Len(t, c.key, 4)
	info := b.mu.infos[0]
	require.Equal(t, "alice", info.Database)
	require.Equal(t, []Setting{{"a", "x y"}, {"b_c", "2"}, {"application_name", "app"}}, info.Settings)
}

func TestStartupNegotiatesTheVersion(t *testing.T) {
	_, addr := serveFake(t)
	for name, tc := range map[string]struct {
		code    uint32
		params  string
		minor   int // -1: not negotiated
		unknown []string
		key     int
	}{
		"3.0":             {code: 3 << 16, minor: -1, key: 4},
		"3.2":             {code: 3<<16 | 2, minor: -1, key: 32},
		"3.1":             {code: 3<<16 | 1, minor: 0, key: 4},
		"3.9999":          {code: 3<<16 | 9999, params: "_pq_.x\x001\x00", minor: 2, unknown: []string{"_pq_.x"}, key: 32},
		"3.0 with option": {code: 3 << 16, params: "_pq_.x\x001\x00_pq_.y\x00\x00", minor: 0, unknown: []string{"_pq_.x", "_pq_.y"}, key: 4},
	} {
		t.Run(name, func(t *testing.T) {
			c := newRawClient(t, dial(t, addr))
			write(t, c.nc, packet(tc.code, "user\x00u\x00", tc.params, "\x00"))
			if tc.minor >= 0 {
				m, err := c.Receive()
				require.NoError(t, err)
				v := m.(*pgproto3.NegotiateProtocolVersion)
				require.Equal(t, uint32(3<<16|tc.minor), v.NewestMinorProtocol)
				require.ElementsMatch(t, tc.unknown, v.UnrecognizedOptions)
			}
			c.until("ReadyForQuery")
			require.Len(t, c.key, tc.key)
		})
	}
}

func TestStartupRefuses(t *testing.T) {
	_, addr := serveFake(t)
	for name, tc := range map[string]struct {
		packet []byte
		want   string
	}{
		"major 4":       {packet(4<<16, "\x00"), "ErrorResponse FATAL 0A000 unsupported frontend protocol 4.0: server supports 3.0 to 3.2"},
		"major 2":       {packet(2<<16, strings.Repeat("\x00", 288)), "ErrorResponse FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.2"},
		"no user":       {packet(3<<16, "database\x00d\x00\x00"), "ErrorResponse FATAL 28000 no PostgreSQL user name specified in startup packet"},
		"no terminator": {packet(3<<16, "user\x00u\x00"), "ErrorResponse FATAL 08P01 invalid startup packet layout: expected terminator as last byte"},
		"too long":      {[]byte{0, 0, 0x27, 0x11, 0, 3, 0, 0}, "ErrorResponse FATAL 08P01 invalid length of startup packet"},
		"too short":     {[]byte{0, 0, 0, 7, 0, 3, 0, 0}, "ErrorResponse FATAL 08P01 invalid length of startup packet"},
		"http":          {[]byte("GET / HTTP/1.1\r\n\r\n"), "ErrorResponse FATAL 08P01 invalid length of startup packet"},
		"not UTF-8":     {packet(3<<16, "user\x00\xff\x00\x00"), `ErrorResponse FATAL 22021 invalid byte sequence for encoding "UTF8": 0xff`},
		"replication":   {packet(3<<16, "user\x00u\x00replication\x00true\x00\x00"), "ErrorResponse FATAL 0A000 replication connections are not supported"},
		"options":       {packet(3<<16, "user\x00u\x00options\x00-B 1\x00\x00"), "ErrorResponse FATAL 42601 invalid command-line argument for server process: -B"},
		"database":      {packet(3<<16, "user\x00u\x00database\x00nowhere\x00\x00"), `ErrorResponse FATAL 3D000 database "nowhere" does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			c := newRawClient(t, dial(t, addr))
			write(t, c.nc, tc.packet)
			lines := c.until("ErrorResponse")
			require.Equal(t, tc.want, lines[len(lines)-1])
		})
	}
}

func TestStartupAnswersEncryptionRequestsInAnyOrder(t *testing.T) {
	_, addr := serveFake(t)
	c := newRawClient(t, dial(t, addr))
	for _, code := range []uint32{gssEncRequestCode, sslRequestCode} {
		write(t, c.nc, packet(code))
		answer := make([]byte, 1)
		_, err := io.ReadFull(c.nc, answer)
		require.NoError(t, err)
		require.Equal(t, "N", string(answer))
	}
	c.startup(map[string]string{"user": "u"}, pgproto3.ProtocolVersion30)
	c.until("ReadyForQuery")
}

func TestConnectionLimitIsToldTheClient(t *testing.T) {
	config := testConfig(newFakeBackend())
	config.MaxConnections = 1
	_, addr := serve(t, config)
	connectRaw(t, addr)
	c := newRawClient(t, dial(t, addr))
	c.startup(map[string]string{"user": "u"}, pgproto3.ProtocolVersion30)
	require.Equal(t, []string{"ErrorResponse FATAL 53300 sorry, too many clients already"}, c.until("ErrorResponse"))
}

// testTLS returns a server's config with a new certificate for 127.0.0.1, and a client's that trusts it.
func testTLS(t *testing.T) (server, client *tls.Config) {
	ca := certtest.NewAuthority(t)
	return &tls.Config{Certificates: []tls.Certificate{ca.Sign(t, "localhost")}}, &tls.Config{RootCAs: ca.Pool, ServerName: "127.0.0.1"}
}

// serveTLS starts a server with TLS over a fake backend.
func serveTLS(t *testing.T) (*fakeBackend, string, *tls.Config) {
	b := newFakeBackend()
	config := testConfig(b)
	var client *tls.Config
	config.TLS, client = testTLS(t)
	_, addr := serve(t, config)
	return b, addr, client
}

// upgrade asks for TLS and does the client's side of the handshake.
func upgrade(t *testing.T, nc net.Conn, config *tls.Config) net.Conn {
	write(t, nc, packet(sslRequestCode))
	answer := make([]byte, 1)
	_, err := io.ReadFull(nc, answer)
	require.NoError(t, err)
	require.Equal(t, "S", string(answer))
	return tls.Client(nc, config)
}

// requireSCRAM makes b ask for the password of alice, over TLS.
func requireSCRAM(t *testing.T, b *fakeBackend, password string) {
	verifier, err := NewVerifier(password, []byte("0123456789abcdef"), VerifierIterations)
	require.NoError(t, err)
	verifier, err = ParseVerifier(verifier.String())
	require.NoError(t, err)
	b.auth = func(info *SessionInfo) (Auth, error) {
		switch {
		case info.TLS == nil:
			return Auth{}, sqlerr.New(sqlerr.InvalidAuthorization, "no encryption")
		case info.User == "alice":
			return Auth{Method: AuthSCRAM, Verifier: verifier}, nil
		}
		return Auth{Method: AuthSCRAM}, nil
	}
}

// Names inside SCRAM with which login binds the exchange to the server's certificate, or to that of somebody in between.
const (
	bindChannel      = "bound"
	bindOtherChannel = "bound elsewhere"
)

// login runs the SCRAM exchange, with scramUser inside, and returns the last message.
func login(t *testing.T, nc net.Conn, user, scramUser, password string) string {
	c := newRawClient(t, nc)
	c.startup(map[string]string{"user": user}, pgproto3.ProtocolVersion30)
	m, err := c.Receive()
	require.NoError(t, err)
	if e, ok := m.(*pgproto3.ErrorResponse); ok {
		return render(e)
	}
	want := []string{"SCRAM-SHA-256"}
	state := tlsState(nc)
	if state != nil {
		want = []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}
	}
	require.Equal(t, want, m.(*pgproto3.AuthenticationSASL).AuthMechanisms)
	client, err := scram.SHA256.NewClient(scramUser, password, "")
	require.NoError(t, err)
	exchange := client.NewConversation()
	mechanism := "SCRAM-SHA-256"
	if scramUser == bindChannel || scramUser == bindOtherChannel {
		binding, err := scram.NewTLSServerEndpointBinding(state)
		require.NoError(t, err)
		if scramUser == bindOtherChannel {
			binding.Data[0] ^= 1
		}
		exchange, mechanism = client.NewConversationWithChannelBinding(binding), "SCRAM-SHA-256-PLUS"
	}
	first, err := exchange.Step("")
	require.NoError(t, err)
	c.sendAll(&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(first)})
	m, err = c.Receive()
	require.NoError(t, err)
	final, err := exchange.Step(string(m.(*pgproto3.AuthenticationSASLContinue).Data))
	require.NoError(t, err)
	c.sendAll(&pgproto3.SASLResponse{Data: []byte(final)})
	m, err = c.Receive()
	require.NoError(t, err)
	if signature, ok := m.(*pgproto3.AuthenticationSASLFinal); ok {
		_, err = exchange.Step(string(signature.Data))
		require.NoError(t, err, "the server must prove itself")
		return c.until("ReadyForQuery")[0]
	}
	return render(m)
}

func TestSCRAMOverTLS(t *testing.T) {
	b, addr, client := serveTLS(t)
	requireSCRAM(t, b, "sécret")
	secure := func() net.Conn { return upgrade(t, dial(t, addr), client) }
	require.Equal(t, "AuthenticationOk", login(t, secure(), "alice", "", "sécret"))
	require.Equal(t, "AuthenticationOk", login(t, secure(), "alice", "*", "sécret"))
	require.Equal(t, `ErrorResponse FATAL 28P01 password authentication failed for user "alice"`, login(t, secure(), "alice", "", "wrong"))
	require.Equal(t, `ErrorResponse FATAL 28P01 password authentication failed for user "bob"`, login(t, secure(), "bob", "", "sécret"))
	require.Equal(t, "AuthenticationOk", login(t, secure(), "alice", bindChannel, "sécret"))
	require.Equal(t, `ErrorResponse FATAL 28P01 password authentication failed for user "alice"`, login(t, secure(), "alice", bindOtherChannel, "sécret"))
	require.Equal(t, "ErrorResponse FATAL 28000 no encryption", login(t, dial(t, addr), "alice", "", "sécret"))
}

func TestMalformedSASLIsRefused(t *testing.T) {
	b, addr, client := serveTLS(t)
	requireSCRAM(t, b, "secret")
	for name, tc := range map[string]struct {
		answer pgproto3.FrontendMessage
		want   string
	}{
		"mechanism": {&pgproto3.SASLInitialResponse{AuthMechanism: "PLAIN"}, "ErrorResponse FATAL 08P01 client selected an invalid SASL authentication mechanism"},
		"bound, without PLUS": {
			&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("p=tls-server-end-point,,n=,r=x")},
			"ErrorResponse FATAL 08P01 malformed SCRAM message: the client selected SCRAM-SHA-256, but its message has channel binding",
		},
		"PLUS, not bound": {
			&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256-PLUS", Data: []byte("n,,n=,r=x")},
			"ErrorResponse FATAL 08P01 malformed SCRAM message: the client selected SCRAM-SHA-256-PLUS, but its message has no channel binding",
		},
		"garbage":  {&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("x")}, "ErrorResponse FATAL 08P01 malformed SCRAM message: not enough fields in first server message"},
		"too long": {&pgproto3.SASLResponse{Data: make([]byte, MaxAuthMessageBytes+1)}, "ErrorResponse FATAL 08P01 invalid length of SASL response"},
		"query":    {&pgproto3.Query{String: "select 1"}, "ErrorResponse FATAL 08P01 expected SASL response, got message type 81"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newRawClient(t, upgrade(t, dial(t, addr), client))
			c.startup(map[string]string{"user": "alice"}, pgproto3.ProtocolVersion30)
			c.until("AuthenticationSASL")
			c.sendAll(tc.answer)
			require.Equal(t, []string{tc.want}, c.until("ErrorResponse"))
		})
	}
}

func TestDirectTLSNeedsALPN(t *testing.T) {
	_, addr, client := serveTLS(t)
	require.ErrorIs(t, readByte(tls.Client(dial(t, addr), client)), io.EOF)

	client.NextProtos = []string{alpnProtocol}
	c := newRawClient(t, tls.Client(dial(t, addr), client))
	c.startup(map[string]string{"user": "u"}, pgproto3.ProtocolVersion30)
	c.until("ReadyForQuery")
	require.Contains(t, c.query("select 1"), `DataRow "1"`)
}

func readByte(r io.Reader) error {
	_, err := io.ReadFull(r, make([]byte, 1))
	return err
}

func TestCancelRequestMayComeOverTLS(t *testing.T) {
	b, addr, client := serveTLS(t)
	c := newRawClient(t, upgrade(t, dial(t, addr), client))
	c.startup(map[string]string{"user": "u"}, pgproto3.ProtocolVersion30)
	c.until("ReadyForQuery")
	c.sendAll(&pgproto3.Query{String: "select pg_sleep(60)"})
	receive(t, b.started)
	p, err := (&pgproto3.CancelRequest{ProcessID: uint32(c.pid), SecretKey: c.key}).Encode(nil)
	require.NoError(t, err)
	write(t, upgrade(t, dial(t, addr), client), p)
	require.Contains(t, c.until("ReadyForQuery"), "ErrorResponse ERROR 57014 canceling statement due to user request")
}

func TestPlaintextBehindSSLRequestIsNotTakenForEncryptedInput(t *testing.T) {
	b, addr, _ := serveTLS(t)
	nc := dial(t, addr)
	write(t, nc, append(packet(sslRequestCode), packet(3<<16, "user\x00mallory\x00\x00")...))
	rest, _ := io.ReadAll(nc) // the connection may be reset, or end with a TLS alert
	require.Equal(t, byte('S'), rest[0])
	require.NotContains(t, string(rest), "AuthenticationOk")
	require.Empty(t, b.mu.infos)
}

func TestTLSRecordsHoldAtMost8KiB(t *testing.T) {
	_, addr, client := serveTLS(t)
	counted := &recordConn{Conn: dial(t, addr)}
	c := newRawClient(t, upgrade(t, counted, client))
	c.startup(map[string]string{"user": "u"}, pgproto3.ProtocolVersion30)
	c.until("ReadyForQuery")
	require.Len(t, c.query("select repeat('x',100000)")[1], len(`DataRow ""`)+100000)
	require.Less(t, counted.largest(), 8<<10+256)
}

// recordConn keeps what was read, to look at its TLS records.
type recordConn struct {
	net.Conn
	seen []byte
}

func (c *recordConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen = append(c.seen, p[:n]...)
	return n, err
}

// largest returns the length of the longest record after the SSLRequest's answer.
func (c *recordConn) largest() (longest int) {
	for p := c.seen[1:]; len(p) >= 5; {
		n := int(binary.BigEndian.Uint16(p[3:]))
		longest = max(longest, n)
		p = p[min(len(p), 5+n):]
	}
	return longest
}

func TestParseVerifierRefusesNonsense(t *testing.T) {
	for _, s := range []string{
		"", "md5abc", "SCRAM-SHA-256$", "SCRAM-SHA-256$x:AA==$AA==:AA==", "SCRAM-SHA-256$4096:!$AA==:AA==",
		"SCRAM-SHA-256$4096:AA==$AA==:AA==", "SCRAM-SHA-256$99999999999:AA==$AA==:AA==",
	} {
		_, err := ParseVerifier(s)
		require.Error(t, err, s)
	}
}

func FuzzStartupPacket(f *testing.F) {
	f.Add(packet(3<<16, "user\x00u\x00options\x00-c a=b\x00_pq_.x\x00\x00\x00"))
	f.Add(packet(cancelRequestCode, "aaaabbbb"))
	f.Add(packet(sslRequestCode))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) == 0 {
			return
		}
		code, rest, err := readStartupPacket(strings.NewReader(string(p[1:])), p[0])
		if err != nil {
			return
		}
		got, err := parseStartup(code, rest)
		if err == nil && got.cancelKey == nil && (got.user == "" || got.database == "") {
			t.Fatal("accepted without a user")
		}
	})
}
