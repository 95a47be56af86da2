package pgwire

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net"
	"sync"
	"time"

	"github.com/xdg-go/scram"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
)

// numberBits are those of a process id that say which of several servers gave it, Numbers is how many servers that tells apart.
const (
	numberBits = 10
	Numbers    = 1 << numberBits
)

// secretBytes is the length of the secret behind the salts of users who do not exist.
const secretBytes = 32

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("pgwire: server closed")

// Config is what a Server needs. Backend, Clock, Rand and Logger must be given.
type Config struct {
	Backend Backend
	Clock   clock.Clock
	Rand    io.Reader // of cryptographic quality, safe for concurrent use
	Logger  *slog.Logger
	// TLS, with at least a certificate, turns TLS on; nil answers SSLRequest with 'N'. Whether a connection without TLS is
	// admitted is for Backend.Authentication to say. NextProtos is set by the server.
	TLS *tls.Config
	// MaxConnections is DefaultMaxConnections if 0.
	MaxConnections int
	// MaxMessageBytes bounds the body of a client's message; DefaultMaxMessageBytes if 0.
	MaxMessageBytes int
	// Upstream, where it is not nil, leads to the servers that run the sessions of this one's clients. There is no Backend then.
	Upstream Upstream
	// Admit is asked about each new connection; its error refuses it, as one of a server that is starting or stopping. May be nil.
	Admit func() error
	// Number tells this server from the others that have the same upstream. Their process ids differ if the numbers do, modulo 1024.
	Number int32
}

// Server serves PostgreSQL connections. Its life: New, Serve once or more (each with a listener of its own), Shutdown or
// Close.
type Server struct {
	config Config
	tls    *tls.Config // nil without TLS
	// binding is what SCRAM over TLS can be bound to; empty where channel binding is not offered.
	binding scram.ChannelBinding
	secret  []byte
	ctx     context.Context // of all connections
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup // a connection's goroutine each

	mu struct {
		sync.Mutex
		closed    bool
		listeners map[net.Listener]struct{}
		starting  map[net.Conn]struct{} // before a session: start-up, authentication, cancel requests
		sessions  map[int32]*conn       // by process id
		lastPID   int32
	}
}

// New returns a server that serves nothing yet.
func New(config Config) (*Server, error) {
	if config.MaxConnections == 0 {
		config.MaxConnections = DefaultMaxConnections
	}
	if config.MaxMessageBytes == 0 {
		config.MaxMessageBytes = DefaultMaxMessageBytes
	}
	s := &Server{config: config, secret: make([]byte, secretBytes)}
	if _, err := io.ReadFull(config.Rand, s.secret); err != nil {
		return nil, fmt.Errorf("pgwire: reading randomness: %w", err)
	}
	if config.TLS != nil {
		s.tls = config.TLS.Clone()
		s.tls.NextProtos = []string{alpnProtocol}
		s.binding = serverEndPoint(s.tls)
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.mu.listeners = make(map[net.Listener]struct{})
	s.mu.starting = make(map[net.Conn]struct{})
	s.mu.sessions = make(map[int32]*conn)
	return s, nil
}

// Serve accepts connections until the server is closed, and then returns ErrServerClosed, or until l is closed by somebody
// else. Other errors of l, such as too many open files, are logged and tried again. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return ErrServerClosed
	}
	s.mu.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.mu.listeners, l)
		s.mu.Unlock()
	}()
	for {
		nc, err := l.Accept()
		if err != nil {
			if s.isClosed() {
				return ErrServerClosed
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("pgwire: accept: %w", err)
			}
			s.config.Logger.Warn("cannot accept a connection", "err", err)
			clock.Wait(s.ctx, s.config.Clock, acceptPause)
			continue
		}
		s.start(nc)
	}
}

// start serves nc in a goroutine of its own, unless too many connections have not got past their start-up.
func (s *Server) start(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || len(s.mu.starting)+len(s.mu.sessions) >= s.config.MaxConnections+maxCancelsInFlight {
		_ = nc.Close()
		return
	}
	s.mu.starting[nc] = struct{}{}
	s.wg.Go(func() { s.serveConn(nc) })
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.closed
}

// serveConn is the life of a connection: start-up, then either a cancel request or a session.
func (s *Server) serveConn(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	logger := s.config.Logger.With("client", nc.RemoteAddr().String())
	started := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.starting, nc)
	}
	defer started()
	setKeepAlive(nc)
	if err := nc.SetDeadline(s.config.Clock.Deadline(authTimeout)); err != nil {
		return
	}
	packet, err := readStartup(s.ctx, nc, s.tls)
	if err == nil && s.config.Admit != nil {
		err = s.config.Admit()
	}
	if packet.cancelKey != nil {
		if err == nil {
			s.cancelRequest(packet.cancelPID, packet.cancelKey)
		}
		return
	}
	c := newConn(s, packet, logger)
	if err != nil {
		c.refuse(err)
		return
	}
	if s.config.Upstream != nil {
		c.relay = newRelay(c)
	}
	if err := s.admit(c); err != nil {
		c.refuse(err)
		return
	}
	defer s.forget(c)
	c.serve(started)
}

func setKeepAlive(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		// What cannot be set here is the kernel's default, which is slower to notice.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle})
	}
}

// admit gives c its process id and counts it.
func (s *Server) admit(c *conn) error {
	c.key = make([]byte, cancelKeyBytes30)
	if c.packet.minor >= 2 {
		c.key = make([]byte, cancelKeyBytes32)
	}
	if _, err := io.ReadFull(s.config.Rand, c.key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return fatal(sqlerr.New(sqlerr.CannotConnectNow, "the database system is shutting down"))
	}
	if len(s.mu.sessions) >= s.config.MaxConnections {
		return s.tooMany()
	}
	for {
		c.pid = s.nextPIDLocked()
		if _, taken := s.mu.sessions[c.pid]; !taken {
			break
		}
	}
	s.mu.sessions[c.pid] = c
	return nil
}

// nextPIDLocked counts up; where servers share an upstream, in steps that leave each its own numbers.
func (s *Server) nextPIDLocked() int32 {
	last, step := int32(math.MaxInt32), int32(1)
	if s.config.Upstream != nil {
		last, step = last>>numberBits, 1<<numberBits
	}
	s.mu.lastPID = s.mu.lastPID%last + 1
	return s.mu.lastPID*step + s.config.Number%step
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.sessions[c.pid] == c {
		delete(s.mu.sessions, c.pid)
	}
}

// Number is the number of the server that gave a process id.
func Number(pid int32) int32 { return pid & (Numbers - 1) }

// cancelRequest cancels what the connection with pid and key runs. It answers nothing, whatever it finds.
func (s *Server) cancelRequest(pid int32, key []byte) {
	if !s.CancelRequest(pid, key) && s.config.Upstream != nil {
		s.config.Upstream.CancelRequest(s.ctx, pid, key) // the client may have come to another server than its session
	}
}

// CancelRequest cancels what the connection of a client with pid and key runs, and reports whether there is one.
func (s *Server) CancelRequest(pid int32, key []byte) bool {
	s.mu.Lock()
	c := s.mu.sessions[pid]
	s.mu.Unlock()
	if c == nil || c.taken != nil || subtle.ConstantTimeCompare(c.key, key) != 1 {
		return false
	}
	if c.relay != nil {
		s.config.Upstream.Cancel(s.ctx, pid)
	} else {
		c.Cancel()
	}
	return true
}

// Connections returns the number of connections that are past their start-up packet.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.sessions)
}

// Drain stops accepting, and from now on ends each session as soon as it is idle outside a transaction or waits in a push query. One that another server relays
// goes on elsewhere then. It does not wait.
func (s *Server) Drain() {
	s.stopListening()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.sessions {
		c.drain()
	}
}

const (
	// settlePause is how often Settle looks, and settleReads how often a session must be found reading before it counts as one that only reads: a statement that writes is not known as one at once.
	settlePause = 2 * time.Millisecond
	settleReads = 10
	// writesPause is how often AwaitWrites looks.
	writesPause = 10 * time.Millisecond
)

// Settle drains the server and waits until no session is in the middle of something that changes more than itself, or ctx ends. Sessions in a transaction block stay, and those that read or wait.
func (s *Server) Settle(ctx context.Context) {
	s.Drain()
	reads := map[*conn]int{}
	for s.unsettled(reads) && clock.Wait(ctx, s.config.Clock, settlePause) {
	}
}

// unsettled reports whether a session is to be waited for; reads counts how often each was found reading.
func (s *Server) unsettled(reads map[*conn]int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := false
	for _, c := range s.mu.sessions {
		switch u := c.unit(); {
		case u == unitRead && reads[c] < settleReads:
			reads[c]++
			busy = true
		case u == unitWrites, u == unitMessage:
			busy = true
		}
	}
	return busy
}

// AwaitWrites waits until what is run now and may change something has come to its end, or ctx ends; the session of the process id except is left out. All sessions go on meanwhile, and what they
// begin is not waited for: it is for a server that is about to hand its sessions over, and has time.
func (s *Server) AwaitWrites(ctx context.Context, except int32) {
	begun := s.writing()
	delete(begun, except)
	for len(begun) > 0 && clock.Wait(ctx, s.config.Clock, writesPause) {
		now := s.writing()
		maps.DeleteFunc(begun, func(pid int32, run uint64) bool {
			later, is := now[pid]
			return !is || later != run
		})
	}
}

// writing are the sessions, by process id, that run what may change more than themselves, and which it is of those that they have run.
func (s *Server) writing() map[int32]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[int32]uint64{}
	for pid, c := range s.mu.sessions {
		if run, is := c.writing(); is {
			out[pid] = run
		}
	}
	return out
}

// Shutdown drains the server and returns when all sessions are gone. When ctx ends first it ends the rest as Close does, and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	done := make(chan struct{})
	go func() { // ends with the connections, which Close below waits for
		defer close(done)
		s.wg.Wait()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = s.Close() // never fails
	<-done
	return err
}

// Close ends all connections with 57P01, rolling back what they do, and waits for their goroutines.
func (s *Server) Close() error {
	s.stopListening()
	s.cancel(adminShutdown())
	s.wg.Wait()
	return nil
}

// stopListening closes the listeners, and the connections that have no session yet.
func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	for l := range s.mu.listeners {
		_ = l.Close()
	}
	for nc := range s.mu.starting {
		_ = nc.Close()
	}
}
