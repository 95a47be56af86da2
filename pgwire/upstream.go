package pgwire

import (
	"context"
	"net"
)

// Upstream leads a server's clients to the server that runs their sessions, which may be another one from one moment to the next. It is safe for concurrent use.
type Upstream interface {
	// Authentication is asked after Dial, so that it may know of all that the server it has reached knows.
	Authenticator

	// Dial connects to the server that runs the sessions now, for its Server.Take. With reads the session only reads, by the start-up packet's default_transaction_read_only, so that a server which
	// takes no writes may run it. It does not wait for there to be one. An error that is a *sqlerr.Error is given to clients who have waited long. The caller closes what it returns; it is closed under the caller too when that
	// server has gone without a word.
	Dial(ctx context.Context, reads bool) (net.Conn, error)

	// Cancel cancels what the session with a process id runs, as Server.CancelSession does there.
	Cancel(ctx context.Context, pid int32)

	// CancelRequest hands on a client's request to cancel what another server's client runs: Number tells which.
	CancelRequest(ctx context.Context, pid int32, key []byte)

	// Judge tells what messages may have done whose answers were lost. state is that of the session before them.
	Judge(state State, unanswered []Message) Effects
}

// Message is a message of a client: its type and body. A body that was too long to be kept is nil.
type Message struct {
	Type byte
	Body []byte
}

// Effects are what some messages may have done.
type Effects struct {
	// Writes: they change more than the session itself, outside of a transaction block or in one that they begin.
	Writes bool
	// Commits: they may end a transaction block with COMMIT.
	Commits bool
	// GivesUp: they do nothing but to roll the block back.
	GivesUp bool
}
