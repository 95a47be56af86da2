package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("kafka: server closed")

// Config is what a Server needs. All but the numbers, Users, Access, TLS and Advertised must be set.
type Config struct {
	Broker      Broker
	Groups      Groups
	Cluster     Cluster
	Partitions  Partitions
	Quotas      Quotas
	Credentials Credentials
	Clock       clock.Clock
	Rand        io.Reader // of cryptographic quality, safe for concurrent use
	Logger      *slog.Logger
	// Users are who may connect. If nil, clients are not asked who they are.
	Users Users
	// Access is what those who have said who they are may do. If nil, everything.
	Access Access
	// TLS, if set, is served to clients that begin with it; others are served without. With ClientCAs and VerifyClientCertIfGiven a certificate is as good as a password.
	TLS *tls.Config
	// Advertised is the host:port that clients are told to connect to. Empty: the address that the client itself reached, which is right unless
	// there is a proxy or a translation of addresses on the way.
	Advertised string
	// AutoCreateTopics makes topics that clients ask for and that do not exist (Kafka's auto.create.topics.enable).
	AutoCreateTopics bool
	// MaxConnections is MaxConnections if 0.
	MaxConnections int
	// RequestBytes bounds the requests and fetched records that are in memory at one time; DefaultRequestBytes if 0.
	RequestBytes int64
}

// Server serves Kafka connections. Its life: New, Serve once or more (each with a listener of its own), Shutdown.
type Server struct {
	config     Config
	advertised advertised // zero if Config.Advertised is empty
	memory     *budget
	buffers    buffers
	usages     usages
	sessions   atomic.Int32    // ids of fetch sessions given out
	secret     []byte          // behind the salts of users who do not exist
	ctx        context.Context // of what waits for something to happen; ends when Shutdown begins
	cancel     context.CancelFunc
	work       context.Context // of what is nearly done, such as a sync; ends when Shutdown has no more time
	abort      context.CancelFunc
	wg         sync.WaitGroup // a connection's reader each, which waits for its writer

	mu struct {
		sync.Mutex
		closed    bool
		listeners map[net.Listener]struct{}
		conns     map[*conn]struct{}
	}
}

// New returns a server that serves nothing yet.
func New(config Config) (*Server, error) {
	if config.MaxConnections == 0 {
		config.MaxConnections = MaxConnections
	}
	if config.RequestBytes == 0 {
		config.RequestBytes = DefaultRequestBytes
	}
	s := &Server{config: config, memory: newBudget(config.RequestBytes), secret: make([]byte, secretBytes)}
	if _, err := io.ReadFull(config.Rand, s.secret); err != nil {
		return nil, fmt.Errorf("kafka: reading randomness: %w", err)
	}
	if config.Advertised != "" {
		var err error
		if s.advertised, err = parseAdvertised(config.Advertised); err != nil {
			return nil, fmt.Errorf("kafka: advertised address: %w", err)
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work, s.abort = context.WithCancel(context.Background())
	s.mu.listeners = make(map[net.Listener]struct{})
	s.mu.conns = make(map[*conn]struct{})
	return s, nil
}

// Serve accepts connections until Shutdown, and then returns ErrServerClosed, or until l is closed by somebody else. Other errors of l, such as
// too many open files, are logged and tried again. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	if !s.add(l) {
		return ErrServerClosed
	}
	defer s.remove(l)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.start(nc)
		case s.ctx.Err() != nil:
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("kafka: accept: %w", err)
		default:
			s.config.Logger.Warn("cannot accept a connection", "err", err)
			clock.Wait(s.ctx, s.config.Clock, acceptPause)
		}
	}
}

func (s *Server) add(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.mu.listeners[l] = struct{}{}
	return true
}

func (s *Server) remove(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.listeners, l)
}

// start serves nc in a goroutine of its own, unless there are too many connections.
func (s *Server) start(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || len(s.mu.conns) >= s.config.MaxConnections {
		reset(nc)
		_ = nc.Close()
		return
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		// What cannot be set here is the kernel's default, which is slower to notice.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle})
	}
	c := newConn(s, nc)
	s.mu.conns[c] = struct{}{}
	s.wg.Go(func() {
		c.serve()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.conns, c)
	})
}

// Quiet reports for how long no client that is connected has asked for a partition or a coordinator, at most limit.
func (s *Server) Quiet(limit time.Duration) time.Duration {
	now := s.config.Clock.Now().UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		limit = min(limit, max(time.Duration(now-c.asked.Load()), 0))
	}
	return limit
}

// Shutdown stops taking connections and requests, ends what waits, and returns when the requests in progress are answered. When ctx ends it
// closes the connections under them and returns its error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.mu.closed = true
	s.cancel() // before the listeners close, so that Serve knows why
	for l := range s.mu.listeners {
		_ = l.Close()
	}
	for c := range s.mu.conns {
		c.stopReading()
	}
	s.mu.Unlock()
	defer s.abort()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.abort()
	s.mu.Lock()
	for c := range s.mu.conns {
		_ = c.raw.Close()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}
