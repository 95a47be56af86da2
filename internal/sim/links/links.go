// Package links is a network in memory whose connections can be delayed, held back and broken, for clusters that are simulated in one process.
//
// A Network has hosts, which are IP addresses. A Host listens and dials as its one machine would, with connections whose every wait is on a channel and whose every delay is on a
// clock: so whole nodes run in the bubble of testing/synctest, where time passes only when all of them wait. What one host writes to another takes that way's delay and arrives in
// order and whole, as TCP delivers it; beyond a window the writer waits. A way that is held delivers nothing until it is released: a partition if both ways are held, a one-way partition
// if one is. While one of two ways is held no connection comes about. A way that is rejected is one with a firewall that answers with a reset whatever is sent on it: who sends is refused, and
// who would be answered hears nothing. Break ends connections by a reset of both ends, as a firewall that forgets them does, Finish by an end of the stream at both, as a proxy that is stopped does.
//
// Host.Down is the end of a host's process or of its power. The kernel of a process that is killed ends its connections, in order where the process had read what had come, by a reset where it had not, and
// refuses new ones. Of a machine without power the others hear when it is back.
//
// All state is behind the network's one lock; nobody holds it while waiting. Start debugging at Network.mu: a connection that hangs has chunks whose way is held, or none.
package links

import (
	"context"
	"fmt"
	"iter"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

const (
	// window bounds what is under way on one direction of a connection, in bytes; a writer waits beyond it.
	window = 4 << 20
	// backlog bounds the connections of a listener that are not accepted yet.
	backlog = 1024
	// connectTimeout bounds an attempt to connect that nobody answers.
	connectTimeout = 20 * time.Second
	// firstPort is the first of the ports that the network chooses.
	firstPort = 20_000
)

// Network connects hosts. Make one with New.
type Network struct {
	clock clock.Clock
	delay func(from, to string) time.Duration

	mu struct {
		sync.Mutex
		hosts   map[string]*Host // the newest of each address
		held    map[way]bool
		reject  map[way]bool
		conns   map[*Conn]struct{} // both ends of each connection that is not closed at both
		port    int                // the last that was chosen
		changed chan struct{}      // closed, and replaced, when a way or a host changes
	}
}

// way is a direction between two hosts.
type way struct{ from, to string }

// New returns a network without hosts. delay says how long each write from one host to another takes; it is called with the lock held, one call at a time. Delays and deadlines are by c.
func New(c clock.Clock, delay func(from, to string) time.Duration) *Network {
	n := &Network{clock: c, delay: delay}
	n.mu.hosts, n.mu.held, n.mu.reject, n.mu.conns = map[string]*Host{}, map[way]bool{}, map[way]bool{}, map[*Conn]struct{}{}
	n.mu.port = firstPort
	n.mu.changed = make(chan struct{})
	return n
}

// Hold keeps back what is written from one host to another, from now on until Release.
func (n *Network) Hold(from, to string) { n.setHeld(from, to, true) }

// Release ends Hold: what was kept back is delivered.
func (n *Network) Release(from, to string) { n.setHeld(from, to, false) }

func (n *Network) setHeld(from, to string, held bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.held[way{from, to}] = held
	n.changedLocked()
}

// Reject has what one host sends to another answered with a reset, from now on until Allow. The reset reaches who sends; the other hears nothing more on the connections that there are.
func (n *Network) Reject(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.reject[way{from, to}] = true
	for c := range n.endsLocked(from, to) {
		if !c.cut {
			c.resetLocked() // it sends something sooner or later
		}
	}
	n.changedLocked()
}

// Allow ends Reject. Who has not heard that a connection has ended hears it now.
func (n *Network) Allow(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.reject[way{from, to}] = false
	for c := range n.endsLocked(to, from) {
		if c.peer.reset {
			c.resetLocked()
		}
	}
	n.changedLocked()
}

// Finish ends the connections between two hosts in order, at both ends, without either having asked for that. What was written before arrives, in whatever way the network is then.
func (n *Network) Finish(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.endsLocked(a, b) {
		c.finishLocked()
		c.peer.finishLocked()
	}
}

// Break resets the connections between two hosts.
func (n *Network) Break(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.endsLocked(a, b) {
		c.resetLocked()
		c.peer.resetLocked()
	}
}

// endsLocked are one host's ends of its connections with another.
func (n *Network) endsLocked(host, peer string) iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for c := range n.mu.conns {
			if c.host.ip == host && c.peer.host.ip == peer && !yield(c) {
				return
			}
		}
	}
}

// changedLocked wakes everyone who waits for hosts or ways.
func (n *Network) changedLocked() {
	close(n.mu.changed)
	n.mu.changed = make(chan struct{})
	for c := range n.mu.conns {
		c.wakeLocked()
	}
}

// Host is a machine on the network, from its start to its end.
type Host struct {
	n  *Network
	ip string

	// Under the network's lock.
	listeners map[string]*listener
	down      bool
	silent    bool // whether it is down without anybody having heard
}

// Host puts a machine at an address, in place of one that is down.
func (n *Network) Host(ip string) *Host {
	h := &Host{n: n, ip: ip, listeners: map[string]*listener{}}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.hosts[ip] = h
	for c := range n.mu.conns {
		if c.peer.host.ip == ip && c.peer.host.down && c.peer.host.silent {
			c.resetLocked() // the machine that is back knows nothing of it
		}
	}
	n.changedLocked()
	return h
}

// Down ends the machine's process between one byte and the next, and the kernel ends its connections: what was written still arrives. With silent the machine loses power: nothing arrives any more, and
// the others hear of it when there is a new Host at its address.
func (h *Host) Down(silent bool) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	h.down, h.silent = true, silent
	for _, l := range h.listeners {
		l.closeLocked()
	}
	for c := range n.mu.conns {
		if c.host == h {
			if !silent {
				c.abandonLocked()
			}
			c.resetLocked()
		}
	}
	n.changedLocked()
}

// Listen listens at host:port, whose host is this one; port 0 is one that nobody has.
func (h *Host) Listen(addr string) (net.Listener, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: a, Err: err}
	}
	if a.IP.String() != h.ip {
		return fail(syscall.EADDRNOTAVAIL)
	}
	if a.Port == 0 {
		a.Port = n.nextPortLocked()
	}
	if h.down {
		return fail(syscall.ENETDOWN)
	}
	if _, used := h.listeners[a.String()]; used {
		return fail(syscall.EADDRINUSE)
	}
	l := &listener{h: h, addr: a, conns: make(chan *Conn, backlog), closed: make(chan struct{})}
	h.listeners[a.String()] = l
	return l, nil
}

func (n *Network) nextPortLocked() int {
	n.mu.port++
	return n.mu.port
}

// Dial connects to host:port.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, syscall.ETIMEDOUT)
	defer cancel()
	c, err := h.dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s from %s: %w", addr, h.ip, err)
	}
	return c, nil
}

func (h *Host) dial(ctx context.Context, addr string) (*Conn, error) {
	ip, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n := h.n
	n.mu.Lock()
	trip := n.delay(h.ip, ip) + n.delay(ip, h.ip)
	n.mu.Unlock()
	if err := n.pause(ctx, trip); err != nil {
		return nil, err
	}
	for {
		c, wait, err := h.connect(ip, addr)
		if wait == nil {
			return c, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// connect makes a connection, or says for what to wait.
func (h *Host) connect(ip, addr string) (*Conn, <-chan struct{}, error) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	to, ok := n.mu.hosts[ip]
	switch {
	case h.down:
		return nil, nil, syscall.ENETDOWN
	case !ok || to.down && to.silent || n.mu.held[way{h.ip, ip}] || n.mu.held[way{ip, h.ip}]:
		return nil, n.mu.changed, nil
	case n.mu.reject[way{h.ip, ip}]:
		return nil, nil, syscall.ECONNREFUSED
	case n.mu.reject[way{ip, h.ip}]:
		return nil, n.mu.changed, nil // the answer is rejected
	}
	l, ok := to.listeners[addr]
	if !ok {
		return nil, nil, syscall.ECONNREFUSED
	}
	local := &net.TCPAddr{IP: net.ParseIP(h.ip), Port: n.nextPortLocked()}
	c, s := &Conn{host: h, local: local}, &Conn{host: to, local: l.addr}
	c.peer, s.peer = s, c
	select {
	case l.conns <- s:
	default:
		return nil, nil, syscall.ECONNREFUSED
	}
	n.mu.conns[c], n.mu.conns[s] = struct{}{}, struct{}{}
	return c, nil, nil
}

func (n *Network) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if !clock.Wait(ctx, n.clock, d) {
		return context.Cause(ctx)
	}
	return nil
}

// listener is an open port of a host.
type listener struct {
	h      *Host
	addr   *net.TCPAddr
	conns  chan *Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	l.h.n.mu.Lock()
	defer l.h.n.mu.Unlock()
	if !l.closeLocked() {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	return nil
}

// closeLocked resets what was not accepted; false if the listener was closed before.
func (l *listener) closeLocked() bool {
	if l.h.listeners[l.addr.String()] != l {
		return false
	}
	delete(l.h.listeners, l.addr.String())
	close(l.closed)
	for {
		select {
		case c := <-l.conns:
			c.resetLocked()
			c.peer.resetLocked()
		default:
			return true
		}
	}
}
