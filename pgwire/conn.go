package pgwire

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
)

const (
	// readBufferBytes is the size of a connection's input buffer.
	readBufferBytes = 8 << 10
	// farewellTimeout bounds how long a connection that must end waits for its client to take the last messages.
	farewellTimeout = 5 * time.Second
)

// conn is a connection with a session. It is also the session's Client. Its executor is the goroutine that runs serve; its
// reader is read in reader.go. All fields but mu belong to the executor once serve has started the reader.
type conn struct {
	server  *Server
	packet  startupPacket
	nc      net.Conn
	logger  *slog.Logger
	pid     int32
	key     []byte
	ctx     context.Context // ends with the connection
	end     context.CancelCauseFunc
	in      *inbox
	out     *writer
	session Session
	taken   *taken // nil unless another server relays the connection
	relay   *relay // nil unless another server runs the session

	// atRest is set while nothing is between ReadyForQuery and the next message: the time for notifications and drain.
	atRest    bool
	holding   bool // the oldest message of in is being handled
	skipping  bool // an extended message failed: skip until Sync
	bind      Bind // reused by Bind messages
	formats   []Format
	tag       []byte
	errorText string // what the position of an error in the current message refers to

	mu struct {
		sync.Mutex
		query    context.Context // of the message being handled, or of the next one
		cancel   context.CancelCauseFunc
		running  bool   // a message is being handled
		runs     uint64 // how many were
		waiting  bool   // ... and it is a push query waiting for rows
		inBlock  bool   // at the last ReadyForQuery a transaction block was open
		draining bool
		pending  []Notification
		bytes    int // of pending
	}
}

func newConn(s *Server, packet startupPacket, logger *slog.Logger) *conn {
	maxWrite := maxOutputMessageBytes
	if _, secured := packet.connection.(*tls.Conn); secured {
		maxWrite = flushBytes
	}
	return &conn{
		server: s,
		packet: packet,
		nc:     packet.connection,
		logger: logger,
		in:     newInbox(),
		out:    newWriter(packet.connection, maxWrite),
	}
}

// refuse ends a connection that has no session.
func (c *conn) refuse(err error) {
	if errors.Is(err, errQuietEnd) {
		c.logger.Debug("connection ended during start-up", "err", err)
		return
	}
	c.sendFatal(err)
}

// sendFatal writes err as FATAL and flushes. The caller ends the connection.
func (c *conn) sendFatal(err error) {
	if c.taken != nil {
		if c.server.isClosed() {
			return // the session goes on elsewhere
		}
		c.out.empty(msgFarewell)
	}
	e := *printable(sqlerr.From(err))
	c.out.problem('E', &e, severityFatal, "")
	c.out.flush()
}

// serve authenticates, opens the session and runs it to its end. started is called when the session counts as open.
func (c *conn) serve(started func()) {
	c.ctx, c.end = context.WithCancelCause(c.server.ctx)
	defer c.end(errDisconnected)
	if c.relay != nil {
		c.relay.serve(started)
		return
	}
	r := bufio.NewReaderSize(c.nc, readBufferBytes)
	if err := c.open(r); err != nil {
		c.refuse(reported(c.ctx, err))
		return
	}
	defer c.closeSession()
	started()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return
	}
	// The end of ctx reaches a goroutine blocked on the network through deadlines: the reader at once, the executor after
	// the client had time to take the reason.
	stop := context.AfterFunc(c.ctx, func() {
		_ = c.nc.SetReadDeadline(c.server.config.Clock.Deadline(0))
		_ = c.nc.SetWriteDeadline(c.server.config.Clock.Deadline(farewellTimeout))
	})
	c.readyForQuery() // only now: who has read it may rely on hearing why the session ends
	var reader sync.WaitGroup
	reader.Go(func() { c.read(r) })
	c.execute()
	c.end(errDisconnected)
	stop()
	_ = c.nc.Close()
	reader.Wait()
}

// open takes the connection from the start-up packet to before the first ReadyForQuery.
func (c *conn) open(r *bufio.Reader) error {
	if c.taken != nil {
		return c.openTaken(c.ctx)
	}
	c.negotiate()
	info := c.info()
	if err := c.authenticate(c.ctx, r, info); err != nil {
		return err
	}
	session, err := c.server.config.Backend.NewSession(c.ctx, info, c)
	if err != nil {
		return err
	}
	c.session = session
	c.reportParameters()
	c.backendKeyData()
	return nil
}

// negotiate tells a client that has asked for more what is spoken here.
func (c *conn) negotiate() {
	if !c.packet.negotiate {
		return
	}
	c.out.begin('v')
	c.out.int32(protocolMajor<<16 | c.packet.minor)
	c.out.int32(len(c.packet.unknown))
	for _, option := range c.packet.unknown {
		c.out.string(option)
	}
	c.out.finish()
}

// info is what is known of a client that is connected here.
func (c *conn) info() *SessionInfo {
	return &SessionInfo{
		User:       c.packet.user,
		Database:   c.packet.database,
		Settings:   c.packet.settings,
		RemoteAddr: c.nc.RemoteAddr(),
		TLS:        tlsState(c.nc),
		PID:        c.pid,
	}
}

func (c *conn) reportParameters() {
	for _, name := range ReportedParameters {
		c.out.parameterStatus(name, c.session.Parameter(name))
	}
}

func (c *conn) backendKeyData() {
	c.out.begin('K')
	c.out.int32(int(c.pid))
	c.out.buf = append(c.out.buf, c.key...)
	c.out.finish()
}

// closeSession ends the session, whatever state it is in.
func (c *conn) closeSession() {
	defer func() {
		if p := recover(); p != nil {
			c.logPanic(p)
		}
	}()
	c.session.Close()
}

func (c *conn) logPanic(p any) {
	c.logger.Error("panic in a session", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// execute handles messages until the connection has to end.
func (c *conn) execute() {
	for c.out.err == nil {
		m, err := c.next(c.ctx)
		if err != nil {
			if c.taken != nil && c.server.isClosed() {
				c.leave()
			} else if e := sqlerr.From(err); !errors.Is(err, errDisconnected) && isFatal(e) {
				c.sendFatal(err)
			}
			return
		}
		if !c.handle(m) {
			return
		}
		c.release()
	}
}

// release lets go of the message being handled, if there is one.
func (c *conn) release() {
	if c.holding {
		c.holding = false
		c.in.release()
	}
}

// next waits for the oldest message. It fails with the cause of ctx's end, or why the reader ended. At rest it does in the
// meantime what may only be done then.
func (c *conn) next(ctx context.Context) (*message, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m, err := c.in.peek()
		if m != nil || err != nil {
			c.holding = m != nil
			if c.taken != nil && m != nil {
				c.taken.handled++
			}
			return m, err
		}
		if c.atRest && c.session.TxStatus() == TxIdle {
			if err := c.rest(); err != nil {
				return nil, err
			}
		}
		select {
		case <-c.in.wake:
		case <-ctx.Done():
		}
	}
}

// rest sends the notifications that came in, and ends a connection that is to drain.
func (c *conn) rest() error {
	if c.sendNotifications() {
		c.out.flush()
	}
	c.mu.Lock()
	draining := c.mu.draining
	c.mu.Unlock()
	if draining {
		return adminShutdown()
	}
	return c.out.err
}

// sendNotifications writes the notifications that came in and reports whether there were any.
func (c *conn) sendNotifications() bool {
	c.mu.Lock()
	pending := c.mu.pending
	c.mu.pending, c.mu.bytes = nil, 0
	c.mu.Unlock()
	for _, n := range pending {
		if n.Channel != "" {
			c.out.notification(n)
		}
	}
	if c.taken != nil && len(pending) > 0 {
		c.taken.heard = pending[len(pending)-1].Mark
		c.progress()
	}
	return len(pending) > 0
}

// handle runs one message and reports whether the connection goes on.
func (c *conn) handle(m *message) (goesOn bool) {
	ctx := c.startRunning()
	defer c.stopRunning()
	defer func() {
		if p := recover(); p != nil {
			c.logPanic(p)
			c.out.abandon()
			c.sendFatal(sqlerr.New(sqlerr.InternalError, "internal error: %v", p).
				WithHint("The server log has the stack; please report it."))
			goesOn = false
		}
	}()
	c.atRest = false
	c.errorText = ""
	typ := m.typ // a COPY releases m
	err := c.dispatch(ctx, m)
	if err == nil {
		return true
	}
	return c.fail(ctx, typ, err)
}

// fail answers a message with an error, and reports whether the connection goes on. After an error of the extended
// protocol everything up to the next Sync is skipped; a simple Query or FunctionCall ends with its error.
func (c *conn) fail(ctx context.Context, typ byte, err error) bool {
	err = reported(ctx, err)
	if errors.Is(err, errDisconnected) || c.taken != nil && c.server.isClosed() {
		return false // in the second case the relay knows best what the client is told: the error may be of the server's end
	}
	e := printable(sqlerr.From(err))
	if e.Code == sqlerr.InternalError {
		c.logger.Error("internal error", "err", err)
	}
	if isFatal(e) {
		c.sendFatal(e)
		return false
	}
	c.out.problem('E', e, severityError, c.errorText)
	c.session.Fail(err)
	switch typ {
	case 'Q', 'F', 'S':
		c.readyForQuery()
	default:
		c.skipping = true
		c.out.flush() // a Flush behind it is skipped too, and its client waits
	}
	return true
}

// readyForQuery ends a unit of work. Notifications that are there go before it, where clients look for those of their own COMMIT.
func (c *conn) readyForQuery() {
	if c.session.TxStatus() == TxIdle {
		c.sendNotifications()
	}
	if c.taken != nil {
		c.progress()
	}
	c.out.begin('Z')
	c.out.byte(byte(c.session.TxStatus()))
	c.out.finish()
	c.out.flush()
	c.atRest = true
	c.mu.Lock()
	c.mu.inBlock = c.session.TxStatus() != TxIdle
	c.mu.Unlock()
}

// startRunning makes what follows cancellable, and returns its context.
func (c *conn) startRunning() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.query == nil || c.mu.query.Err() != nil {
		c.mu.query, c.mu.cancel = context.WithCancelCause(c.ctx)
	}
	c.mu.running = true
	c.mu.runs++
	return c.mu.query
}

func (c *conn) stopRunning() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.running = false
}

// unit is how far a unit of work is.
type unit uint8

const (
	unitNone    unit = iota // there is none: what is open is a block that waits for its client, or a query that waits for something to happen
	unitRead                // it has changed nothing so far
	unitWrites              // it may change something, or it is not known yet
	unitMessage             // its client is about to send more of it, or to be told that the server ends
)

// unit is called by other goroutines than the connection's own.
func (c *conn) unit() unit {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.mu.running && c.mu.inBlock, c.mu.running && c.mu.waiting:
		return unitNone
	case !c.mu.running:
		return unitMessage
	case c.session.Writes():
		return unitWrites
	}
	return unitRead
}

// writing tells whether something is run that may change more than the session, and which it is of those that the connection has run.
func (c *conn) writing() (run uint64, is bool) {
	is = c.unit() == unitWrites
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.runs, is
}

// setWaiting notes that the running query waits for rows, when a drain may end it.
func (c *conn) setWaiting(waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.waiting = waiting
	if waiting && c.mu.draining {
		c.mu.cancel(adminShutdown())
	}
}

// drain ends the connection as soon as it is at rest or its query waits.
func (c *conn) drain() {
	if c.relay != nil {
		c.relay.drain()
		return
	}
	c.mu.Lock()
	c.mu.draining = true
	if c.mu.running && c.mu.waiting {
		c.mu.cancel(adminShutdown())
	}
	c.mu.Unlock()
	signal(c.in.wake)
}

// Cancel implements Client.
func (c *conn) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.running {
		c.mu.cancel(userCancel())
	}
}

// Terminate implements Client.
func (c *conn) Terminate(reason *sqlerr.Error) {
	if reason == nil {
		c.end(errDisconnected)
		return
	}
	e := *reason
	c.end(fatal(&e))
}

// Notice implements Client.
func (c *conn) Notice(n *sqlerr.Error) {
	severity := n.Severity
	if severity == "" {
		severity = severityNotice
	}
	c.out.problem('N', printable(n), severity, c.errorText)
	c.out.flush()
}

// ParameterChanged implements Client.
func (c *conn) ParameterChanged(name, value string) {
	if IsReported(name) {
		c.out.parameterStatus(name, value)
	}
}

// Notify implements Client.
func (c *conn) Notify(n Notification) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(n.Channel) + len(n.Payload)
	if len(c.mu.pending) >= MaxPendingNotifications || c.mu.bytes+size > MaxPendingNotificationBytes {
		return false
	}
	c.mu.bytes += size
	c.mu.pending = append(c.mu.pending, n)
	signal(c.in.wake)
	return true
}
