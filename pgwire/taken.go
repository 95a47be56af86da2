package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// A session may run on another server than the one its client is connected to. That one, the client's, has done start-up and authentication and relays the messages of both sides as they
// are (relay.go). This file is the other end: Take runs the session. The stream between the two begins with an opening. After it the client's messages go one way; the other way go
// those for the client, and three more that are for the relay alone:
//
//   - msgProgress, before each ReadyForQuery and where something else of it changes: how many messages have been handled, and what of the session's state is new.
//   - msgLeave, the last one of a server that ends in order, at a moment when nothing of the session is under way: what was not answered by then has not been looked at.
//   - msgFarewell, before the FATAL error of a session that is over. A stream that ends without it is a server that is gone, and the session goes on with the next one.
const (
	msgProgress byte = 'm'
	msgLeave    byte = 'l'
	msgFarewell byte = 'x'

	// maxOpeningBytes bounds an opening. It holds MaxStateBytes, written in base64.
	maxOpeningBytes = 2 * MaxStateBytes
	stateSet        = 1
	stateGone       = 0
)

// MaxStateBytes bounds what a relay keeps of a session's state. A session with more does not outlive its server.
const MaxStateBytes = 4 << 20

// State is what of a session outlives its server, by names that only the backend understands, but for StateBound and StateHeard.
type State map[string]string

// StateHeard is the name of the mark, in decimal, of the last notification that was sent.
const StateHeard = "heard"

// StateBound is the name under which a session says why it cannot go on with another server.
const StateBound = "bound"

// Resumed is what NewSession is told of a session that goes on after its server has gone.
type Resumed struct {
	State State
	// Failed: the client is in a transaction block. Nothing of the block is left, so it is a failed one.
	Failed bool
	// Untold: the client does not know yet that the block has failed.
	Untold bool
}

// opening is what begins a session that another server relays.
type opening struct {
	User       string
	Database   string
	Settings   []Setting
	RemoteAddr string
	PID        int32
	Resumed    bool
	State      map[string][]byte
	Failed     bool
	Untold     bool
}

func (o *opening) info() *SessionInfo {
	info := &SessionInfo{User: o.User, Database: o.Database, Settings: o.Settings, RemoteAddr: remoteAddr(o.RemoteAddr), PID: o.PID, Relayed: true}
	if o.Resumed {
		info.Resumed = &Resumed{State: State{}, Failed: o.Failed, Untold: o.Untold}
		for name, value := range o.State {
			info.Resumed.State[name] = string(value)
		}
	}
	return info
}

// write sends the opening: its length in four bytes, and JSON.
func (o *opening) write(w io.Writer) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

func readOpening(r io.Reader) (o opening, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return o, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxOpeningBytes {
		return o, fmt.Errorf("pgwire: an opening of %d bytes", size)
	}
	text, err := readBody(r, nil, int(size))
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(text, &o)
}

// remoteAddr is the text of a client's address as another server has it.
type remoteAddr string

func (remoteAddr) Network() string  { return "tcp" }
func (a remoteAddr) String() string { return string(a) }

// Take runs the session that begins with an opening on nc, a stream from the relay of another server, which vouches for the user. It returns at once; nc belongs to the server.
func (s *Server) Take(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		_ = nc.Close()
		return
	}
	s.mu.starting[nc] = struct{}{}
	s.wg.Go(func() { s.serveTaken(nc) })
}

// serveTaken is the life of a session that is relayed.
func (s *Server) serveTaken(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	started := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.starting, nc)
	}
	defer started()
	if err := nc.SetDeadline(s.config.Clock.Deadline(2 * authTimeout)); err != nil { // the client may take one of them to authenticate
		return
	}
	o, err := readOpening(nc)
	if err != nil {
		s.config.Logger.Debug("no session was opened", "err", err)
		return
	}
	c := newConn(s, startupPacket{connection: nc}, s.config.Logger.With("client", o.RemoteAddr))
	c.taken, c.pid = &taken{info: o.info()}, o.PID
	if err := s.admitTaken(c); err != nil {
		c.refuse(err)
		return
	}
	defer s.forget(c)
	c.serve(started)
}

// admitTaken counts c under the process id that it came with. Another of that id is one whose relay has lost its stream and comes again.
func (s *Server) admitTaken(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.mu.sessions[c.pid]; ok {
		old.Terminate(adminShutdown())
	} else if len(s.mu.sessions) >= s.config.MaxConnections {
		return s.tooMany()
	}
	s.mu.sessions[c.pid] = c
	return nil
}

// CancelSession cancels what the session with a process id runs, as a CancelRequest does with its key.
func (s *Server) CancelSession(pid int32) {
	s.mu.Lock()
	c := s.mu.sessions[pid]
	s.mu.Unlock()
	if c != nil {
		c.Cancel()
	}
}

// taken is what a connection knows of the relay behind which its client is.
type taken struct {
	info    *SessionInfo
	handled uint64 // messages of the client
	heard   int64  // the mark of the last notification that was sent, and of the one that the relay knows of
	told    int64
}

// progress tells the relay what has been handled, and what has become of the session's state.
func (c *conn) progress() {
	c.out.begin(msgProgress)
	c.out.buf = binary.AppendUvarint(c.out.buf, c.taken.handled)
	c.session.Changes(c.changed)
	if t := c.taken; t.heard != t.told {
		t.told = t.heard
		c.changed(StateHeard, strconv.FormatInt(t.heard, 10), true)
	}
	c.out.finish()
}

// leave parts from the relay where the server ends. At rest, that can be sure of what has been done.
func (c *conn) leave() {
	if c.atRest && c.session.TxStatus() == TxIdle {
		c.progress()
		c.out.empty(msgLeave)
		c.out.flush()
	}
}

// changed writes a change of the session's state into the message that is being built.
func (c *conn) changed(name, value string, set bool) {
	if !set {
		c.out.byte(stateGone)
		c.out.counted(name)
		return
	}
	c.out.byte(stateSet)
	c.out.counted(name)
	c.out.counted(value)
}

// counted appends s with its length before it.
func (w *writer) counted(s string) {
	w.buf = binary.AppendUvarint(w.buf, uint64(len(s)))
	w.buf = append(w.buf, s...)
}

// readProgress reads the body of a msgProgress, and applies what it says of the state, which has grown by so many bytes then.
func readProgress(p []byte, state State) (handled uint64, grown int, err error) {
	r := bytes.NewReader(p)
	if handled, err = binary.ReadUvarint(r); err != nil {
		return 0, 0, err
	}
	for r.Len() > 0 {
		op, _ := r.ReadByte() // there is one
		name, err := readCounted(r)
		if err != nil {
			return 0, 0, err
		}
		if old, ok := state[name]; ok {
			grown -= len(name) + len(old)
			delete(state, name)
		}
		if op == stateGone {
			continue
		}
		value, err := readCounted(r)
		if err != nil {
			return 0, 0, err
		}
		grown += len(name) + len(value)
		state[name] = value
	}
	return handled, grown, nil
}

func readCounted(r *bytes.Reader) (string, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > uint64(r.Len()) {
		return "", fmt.Errorf("pgwire: a message of the session's server is cut: %w", io.ErrUnexpectedEOF)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

// openTaken opens the session of a connection that another server relays. One that was served before, and cannot be served yet, comes again when it hears nothing.
func (c *conn) openTaken(ctx context.Context) error {
	session, err := c.server.config.Backend.NewSession(ctx, c.taken.info, c)
	if c.taken.info.Resumed != nil && sqlerr.CodeOf(err) == sqlerr.CannotConnectNow {
		return fmt.Errorf("%w: %w", errQuietEnd, err)
	}
	if err != nil {
		return err
	}
	c.session = session
	c.reportParameters()
	return nil
}

func (s *Server) tooMany() error {
	return fatal(sqlerr.New(sqlerr.TooManyConnections, "sorry, too many clients already").
		WithDetail("The server takes %d connections.", s.config.MaxConnections))
}
