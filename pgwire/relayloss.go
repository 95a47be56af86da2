package pgwire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
)

const (
	// maxRepeated and maxRepeatedBytes bound a unit of work that is sent again, to another server than the one that has gone.
	maxRepeated      = 32
	maxRepeatedBytes = 64 << 10
)

// What a client is told when the server of its session goes, which the client itself does not lose:
//
//   - nothing, if it waits for nothing: only the next statement of a block that was open gets 40001, for nothing is left of the block;
//   - nothing, if the server has said that it did not look at what the client waits for: that is sent again;
//   - nothing, if what it waits for only reads, and it has no part of the answer: that is sent again, but that no server can be reached if there is none for upstreamWait;
//   - 40001 where what it waits for has certainly changed nothing that is left: it may do it again;
//   - 40003 where that may have been committed: only the client can find out.

// lose answers what the client waits for that the server which has gone cannot answer any more. An error is why the connection cannot go on.
func (r *relay) lose() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.far = nil
	if r.mu.draining {
		return adminShutdown()
	}
	if why := r.state[StateBound]; why != "" {
		return fatal(sqlerr.New(sqlerr.AdminShutdown, "terminating connection because the node that served it is gone").WithDetail("%s", why))
	}
	if r.torn {
		return errDisconnected // the client waits for the rest of a message
	}
	messages := r.mu.sent.messages()
	if len(messages) == 0 {
		r.failLocked(true)
		return nil
	}
	effects := r.c.server.config.Upstream.Judge(r.state, messages)
	if r.repeatsLocked(messages, effects) {
		r.failLocked(true)
		return nil
	}
	e, ended := r.verdictLocked(effects)
	r.failLocked(false)
	if ended {
		r.mu.status = TxIdle
	}
	r.mu.sent.clear()
	if r.copying {
		messages = afterCopy(messages)
	}
	if r.failed {
		messages = r.failedLocked(messages)
	}
	r.tellLocked(messages, e)
	r.answering, r.failed, r.copying = false, false, false
	return nil
}

// failLocked makes an open block a failed one.
func (r *relay) failLocked(untold bool) {
	if r.mu.status == TxBlock {
		r.mu.status, r.mu.untold = TxFailed, untold
	}
}

// repeatsLocked reports whether what is unanswered can be sent again as if it had never been.
func (r *relay) repeatsLocked(messages []Message, effects Effects) bool {
	if r.answering || len(messages) > maxRepeated || len(r.mu.sent.bytes) > maxRepeatedBytes {
		return false
	}
	for i, m := range messages {
		if m.Body == nil || !r.left && endsUnit(m.Type) != (i == len(messages)-1) {
			return false // it is not kept, or not one whole unit
		}
	}
	return r.left || effects.GivesUp || r.mu.status == TxIdle && !effects.Writes
}

// verdictLocked is the error for what is unanswered, and whether the block that it was in has come to an end.
func (r *relay) verdictLocked(effects Effects) (e *sqlerr.Error, ended bool) {
	switch {
	case r.mu.status == TxIdle && effects.Writes, r.mu.status == TxBlock && effects.Commits:
		return sqlerr.New(sqlerr.StatementCompletionUnknown, "the node that ran the statement is gone, and whether it was committed is unknown").
			WithHint("Look whether its changes are there before you send it again."), true
	case r.mu.status == TxIdle:
		return sqlerr.New(sqlerr.SerializationFailure, "the node that ran the statement is gone").WithHint("Send it again: it has changed nothing."), false
	default:
		return LostBlock(), false
	}
}

// LostBlock is the error for the first statement after the node has gone that ran a transaction block.
func LostBlock() *sqlerr.Error {
	return sqlerr.New(sqlerr.SerializationFailure, "the transaction was rolled back because the node that ran it is gone").WithHint("Run the transaction again.")
}

// afterCopy leaves out what a COPY FROM STDIN has swallowed: each Sync before the end of its data.
func afterCopy(messages []Message) []Message {
	var out []Message
	copying := messages[0].Type != 'Q'
	for _, m := range messages {
		switch {
		case m.Type == 'c' || m.Type == 'f':
			copying = false
		case m.Type == 'S' && copying:
			continue
		}
		out = append(out, m)
	}
	return out
}

// failedLocked leaves out the first unit of work, for which the client has an error already, and answers it if it is whole.
func (r *relay) failedLocked(messages []Message) []Message {
	for i, m := range messages {
		if endsUnit(m.Type) {
			r.readyForQuery()
			return messages[i+1:]
		}
	}
	r.mu.skipping = true
	return nil
}

// resume goes on with the session on the next server that runs sessions, however long it takes until there is one.
func (r *relay) resume() (net.Conn, *bufio.Reader, error) {
	defer func() { r.out = r.c.out }()
	for {
		limit := time.Duration(0)
		if r.repeats() {
			limit = upstreamWait
		}
		far, err := r.reach(r.c.ctx, limit)
		if err != nil && limit > 0 && r.c.ctx.Err() == nil {
			r.refuseRepeated()
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		var told bytes.Buffer // what the client is told of the session as it goes on
		r.out = newWriter(&told, maxOutputMessageBytes)
		out, err := r.begin(r.c.ctx, far, true)
		r.out.flush()
		if err == nil && r.again(far, told.Bytes()) {
			return far, out, nil
		}
		_ = far.Close()
		if r.over {
			r.tell(told.Bytes())
			return nil, nil, errDisconnected
		}
		if !clock.Wait(r.c.ctx, r.c.server.config.Clock, dialPause) {
			return nil, nil, context.Cause(r.c.ctx)
		}
	}
}

// repeats reports whether something is to be sent again.
func (r *relay) repeats() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.sent.list) > 0
}

// refuseRepeated answers what was to be sent again: it has waited as long for a server as anything does.
func (r *relay) refuseRepeated() {
	r.mu.Lock()
	defer r.mu.Unlock()
	messages := r.mu.sent.messages()
	r.tellLocked(messages, nobody(r.mu.why))
	r.mu.sent.clear()
}

// tell gives the client messages while there is no server.
func (r *relay) tell(messages []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c.out.buf = append(r.c.out.buf, messages...)
	r.c.out.flush()
}

// again sends what is to be repeated to the new server, and lets the client's messages go there.
func (r *relay) again(far net.Conn, told []byte) bool {
	kept := r.mu.sent.list // nobody else uses it while there is no server
	var repeated []byte
	for _, m := range kept {
		repeated = append(repeated, m.Type)
		repeated = binary.BigEndian.AppendUint32(repeated, uint32(len(m.Body)+4))
		repeated = append(repeated, m.Body...)
	}
	if _, err := far.Write(repeated); err != nil {
		return false
	}
	r.tell(told)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.sent = unanswered{}
	for _, m := range kept {
		r.mu.sent.add(m.Type, m.Body, true)
	}
	r.mu.far, r.left = far, false
	if r.mu.draining || r.c.ctx.Err() != nil {
		_ = far.Close()
	}
	r.changedLocked()
	return true
}
