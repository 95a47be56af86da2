package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// TLS makes every connection of a Port one on which both sides have shown a certificate of the cluster's authority, which names their nodes.
type TLS struct {
	server, client *tls.Config
}

// NodeName is the DNS name by which a certificate names a node; *.millrace names all of them.
func NodeName(id int32) string { return fmt.Sprintf("node-%d.millrace", id) }

// NewTLS has a node show cert and take those of ca.
func NewTLS(cert tls.Certificate, ca *x509.CertPool) *TLS {
	base := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	server, client := base.Clone(), base.Clone()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, ca
	client.InsecureSkipVerify = true // only of host names: who is at an address is known when it has said so, see nameObjection
	client.VerifyConnection = func(s tls.ConnectionState) error {
		opts := x509.VerifyOptions{Roots: ca, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		if _, err := s.PeerCertificates[0].Verify(opts); err != nil {
			return fmt.Errorf("%w: its certificate is not one of this cluster: %w", ErrRefused, err)
		}
		return nil
	}
	return &TLS{server, client}
}

// secure puts TLS on a connection, if the port has any; the handshake is that of handshake.
func (p *Port) secure(conn net.Conn, accepted bool) net.Conn {
	switch {
	case p.opts.TLS == nil:
		return conn
	case accepted:
		return tls.Server(conn, p.opts.TLS.server)
	}
	return tls.Client(conn, p.opts.TLS.client)
}

// handshake is the one of TLS; it ends when the connection's deadline does.
func (p *Port) handshake(c *portConn) error {
	tc, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	err := tc.HandshakeContext(context.Background())
	var plain tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &plain) && string(plain.RecordHeader[:len(magic)]) == magic:
		h := Hello{NodeID: p.hello().NodeID}
		_, _ = c.raw.Write(h.encode("it asks for TLS: --node-tls-cert")) // a hint for one that may be gone
		return fmt.Errorf("%w: a node without TLS", ErrRefused)
	}
	if err = tlsError(err); errors.Is(err, ErrRefused) {
		return err
	}
	return fmt.Errorf("peer: the TLS handshake, as --node-tls-cert asks for on both sides: %w", err)
}

// tlsError adds to an error that the other side of a TLS connection has sent what it means between nodes. With TLS 1.3 the side that dials hears of it when it first reads.
func tlsError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return fmt.Errorf("%w: the other side does not accept this node's certificate: %w", ErrRefused, err)
	}
	return err
}

// nameObjection is why the certificate of the other side does not fit what it says of itself, or empty.
func nameObjection(c *portConn, from Hello) string {
	tc, ok := c.Conn.(*tls.Conn)
	if !ok {
		return ""
	}
	cert := tc.ConnectionState().PeerCertificates[0]
	if cert.VerifyHostname(NodeName(from.NodeID)) == nil {
		return ""
	}
	return fmt.Sprintf("the certificate of node %d does not name it: it needs the DNS name %s", from.NodeID, NodeName(from.NodeID))
}
