package kafka

import (
	"bufio"
	"crypto/tls"
	"net"
)

// tlsHandshakeByte begins every TLS connection (RFC 8446 section 5.1). No request of Kafka's begins with it: it would be longer than 368 MB.
const tlsHandshakeByte = 22

// begin finds out whether the client speaks TLS, which is served on the same port. Who shows a certificate that the configured authority has signed is the user whom its
// common name names.
func (c *conn) begin() error {
	config := c.server.config.TLS
	if config == nil {
		return nil
	}
	if err := c.raw.SetReadDeadline(c.server.config.Clock.Deadline(frameTimeout)); err != nil {
		return err
	}
	if first, err := c.in.Peek(1); err != nil || first[0] != tlsHandshakeByte {
		return err
	}
	conn := tls.Server(peekedConn{c.raw, c.in}, config)
	if err := conn.HandshakeContext(c.ctx); err != nil {
		return err
	}
	c.nc, c.in, c.encrypted = conn, bufio.NewReaderSize(conn, readBufferBytes), true
	state := conn.ConnectionState()
	if users := c.server.config.Users; users != nil && len(state.VerifiedChains) > 0 {
		name := state.PeerCertificates[0].Subject.CommonName
		if users.MayLogin(name) {
			c.user = name
		} else {
			c.log.Warn("the certificate names no role that may log in", "common_name", name)
		}
	}
	return nil
}

// private reports whether nobody can listen to the connection.
func (c *conn) private() bool {
	host, _, err := net.SplitHostPort(c.raw.RemoteAddr().String())
	if err != nil {
		return true // a pipe within the process
	}
	ip := net.ParseIP(host)
	return c.encrypted || ip != nil && ip.IsLoopback()
}

// peekedConn is a connection of which the first bytes have been read.
type peekedConn struct {
	net.Conn
	in *bufio.Reader
}

func (p peekedConn) Read(b []byte) (int, error) { return p.in.Read(b) }
