package pgwire

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
)

const (
	// relayBufferBytes is the size of the input buffer of each direction of a relay.
	relayBufferBytes = 16 << 10
	// maxWholeBytes is the longest message to the client that is held until all of it has come. Of a longer one part may have been given out when its server goes, which ends the connection.
	maxWholeBytes = 1 << 20
	// dialPause is the time between the first two attempts to reach the server that runs the sessions; it doubles up to maxDialPause.
	dialPause    = 25 * time.Millisecond
	maxDialPause = 200 * time.Millisecond
	// upstreamWait is how long a new connection, or a message, waits for a server that runs the sessions.
	upstreamWait = 10 * time.Second
)

// relay brings a client to the server that runs its session, and to the next one when that has gone. Two goroutines: fromClient (relayup.go) takes the client's messages; follow takes those of
// the server, and finds a server again when it loses one (relayloss.go).
//
// All writes to the client are those of follow, but for one: while there is no server, fromClient refuses what waits too long.
type relay struct {
	c     *conn
	out   *writer // to the client; follow's
	reads bool    // the session only reads
	// state is that of the session after the last unit of work, of so many bytes, and handled how many messages have been; follow's.
	state      State
	stateBytes int
	handled    uint64
	// params are the reported parameters as the client has them; follow's.
	params map[string]string
	// Of the unit of work whose answers come in, follow's: answers were given to the client; an error was; COPY takes data.
	answering, failed, copying bool
	// torn: the client has a part of a message whose rest has not come; follow's.
	torn bool
	// left: the server has ended in order, and not looked at what is unanswered; follow's.
	left bool
	// over: the server has said that the session ends; follow's.
	over bool

	batch batch // fromClient's

	mu struct {
		sync.Mutex
		far      net.Conn // the stream to the server; nil while there is none
		changed  chan struct{}
		sent     unanswered
		status   TxStatus // at the last ReadyForQuery
		untold   bool     // a block was lost and the client does not know it
		skipping bool     // what comes is dropped up to a Sync
		draining bool
		why      error // there is no server: what Upstream.Dial said last
	}
}

func newRelay(c *conn) *relay {
	r := &relay{c: c, out: c.out, state: State{}, params: map[string]string{}}
	r.mu.changed = make(chan struct{})
	r.mu.status = TxIdle
	return r
}

// changedLocked wakes who waits for a server, or for answers.
func (r *relay) changedLocked() {
	close(r.mu.changed)
	r.mu.changed = make(chan struct{})
}

// serve runs the connection from its start-up packet to its end. started is called when the session counts as open.
func (r *relay) serve(started func()) {
	c := r.c
	in := bufio.NewReaderSize(c.nc, relayBufferBytes)
	far, out, err := r.open(in)
	if err != nil {
		if !r.over { // else the client has been told by the session's server
			c.refuse(reported(c.ctx, err))
		}
		return
	}
	started()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		_ = far.Close()
		return
	}
	stop := context.AfterFunc(c.ctx, func() {
		_ = c.nc.SetReadDeadline(c.server.config.Clock.Deadline(0))
		_ = c.nc.SetWriteDeadline(c.server.config.Clock.Deadline(farewellTimeout))
		r.hangUp()
	})
	r.mu.Lock()
	r.mu.far = far
	if c.ctx.Err() != nil {
		_ = far.Close()
	}
	r.mu.Unlock()
	r.readyForQuery() // only now: who has read it may rely on hearing why the session ends
	var follower sync.WaitGroup
	follower.Go(func() { c.end(r.follow(far, out)) })
	c.end(r.fromClient(in))
	follower.Wait()
	stop()
}

// hangUp ends the stream to the server.
func (r *relay) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.far != nil {
		_ = r.mu.far.Close()
	}
}

// open authenticates the client and opens its session.
func (r *relay) open(in *bufio.Reader) (far net.Conn, out *bufio.Reader, err error) {
	c := r.c
	ctx, cancel := context.WithTimeout(c.ctx, authTimeout)
	defer cancel()
	r.reads = readsOnly(c.info().Settings)
	if far, err = r.reach(ctx, upstreamWait); err != nil { // before authentication: it is only then sure that this server knows of all roles
		return nil, nil, err
	}
	c.negotiate()
	if err := c.authenticate(ctx, in, c.info()); err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	for {
		if out, err = r.begin(ctx, far, false); err == nil || r.over {
			break
		}
		_ = far.Close()
		if !clock.Wait(ctx, c.server.config.Clock, dialPause) {
			return nil, nil, context.Cause(ctx)
		}
		if far, err = r.reach(ctx, upstreamWait); err != nil {
			return nil, nil, err
		}
	}
	if err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	c.backendKeyData()
	return far, out, nil
}

// readyForQuery tells a client at the beginning of its session, or after a loss, that it may go on.
func (r *relay) readyForQuery() {
	r.c.out.begin('Z')
	r.c.out.byte(byte(r.mu.status))
	r.c.out.finish()
	r.c.out.flush()
}

// reach connects to the server that runs the sessions. It waits for one as long as that may take.
func (r *relay) reach(ctx context.Context, limit time.Duration) (net.Conn, error) {
	clk := r.c.server.config.Clock
	begun := clk.Now()
	for wait := dialPause; ; wait = min(2*wait, maxDialPause) {
		far, err := r.c.server.config.Upstream.Dial(ctx, r.reads)
		if err == nil {
			return far, nil
		}
		r.mu.Lock()
		r.mu.why = err
		r.mu.Unlock()
		if limit > 0 && clk.Since(begun) > limit {
			r.c.logger.Debug("no server runs the sessions", "err", err)
			return nil, fatal(nobody(err))
		}
		if !clock.Wait(ctx, clk, wait) {
			return nil, context.Cause(ctx)
		}
	}
}

// nobody is the error for who has waited long enough for a server; why is what Upstream.Dial said.
func nobody(why error) *sqlerr.Error {
	if e, ok := errors.AsType[*sqlerr.Error](why); ok {
		return e
	}
	return sqlerr.New(sqlerr.CannotConnectNow, "no node of the cluster runs the queries now").
		WithHint("A majority of the nodes must be up and reach each other. Try again.")
}

// errGone says that the session's server has gone.
var errGone = errors.New("pgwire: the session's server has gone")

// begin opens the session, or with resumed goes on with it, and reads up to the first ReadyForQuery, which it keeps. An error with over set has been given to the client.
func (r *relay) begin(ctx context.Context, far net.Conn, resumed bool) (*bufio.Reader, error) {
	defer context.AfterFunc(ctx, func() { _ = far.Close() })()
	info := r.c.info()
	o := opening{User: info.User, Database: info.Database, Settings: info.Settings, RemoteAddr: info.RemoteAddr.String(), PID: info.PID, Resumed: resumed}
	if resumed {
		o.State = map[string][]byte{}
		for name, value := range r.state {
			o.State[name] = []byte(value)
		}
		r.mu.Lock()
		o.Failed, o.Untold = r.mu.status == TxFailed, r.mu.untold
		r.mu.Unlock()
	}
	if err := o.write(far); err != nil {
		return nil, errGone
	}
	out := bufio.NewReaderSize(far, relayBufferBytes)
	for {
		typ, err := r.message(out)
		if err != nil {
			return nil, err
		}
		if typ == 'Z' {
			return out, nil
		}
	}
}

// drain ends the connection as soon as it is at rest. When its server ends first the session does not go on.
func (r *relay) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.draining = true
	switch {
	case r.mu.far == nil:
		r.c.end(adminShutdown())
	case r.restsLocked():
		_ = r.mu.far.Close() // follow sees it
	}
}

// restsLocked reports whether the client waits for nothing and has nothing open.
func (r *relay) restsLocked() bool {
	return len(r.mu.sent.list) == 0 && r.mu.status == TxIdle && !r.mu.skipping
}
