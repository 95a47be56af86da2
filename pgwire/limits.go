package pgwire

import "time"

// Limits of the listener. What a client sends beyond them is answered with an error that names the limit.
const (
	// MaxStartupBytes bounds a start-up packet, length word included, as in PostgreSQL.
	MaxStartupBytes = 10_000
	// MaxAuthMessageBytes bounds a message before authentication is done.
	MaxAuthMessageBytes = 1 << 10
	// DefaultMaxMessageBytes bounds the body of a message after it. A longer one is read away and answered with 54000.
	DefaultMaxMessageBytes = 64 << 20
	// DefaultMaxConnections bounds the connections; one more is refused with 53300.
	DefaultMaxConnections = 2500
	// MaxPendingNotifications and MaxPendingNotificationBytes bound a connection's notifications not yet sent.
	MaxPendingNotifications     = 16_384
	MaxPendingNotificationBytes = 8 << 20

	// maxQueuedMessages bounds the messages read ahead of the executor.
	maxQueuedMessages = 64
	// maxQueuedBytes bounds their bodies together; a single longer message passes alone.
	maxQueuedBytes = 1 << 20
	// maxRetainedBody is the largest body buffer a queue slot keeps for its next message.
	maxRetainedBody = 1 << 10
	// flushBytes is how much is written at once. Clients that read 8 KiB at a time hang on larger TLS records.
	flushBytes = 8 << 10
	// maxRetainedOutput is the largest output buffer kept after a flush.
	maxRetainedOutput = 64 << 10
	// maxOutputMessageBytes bounds a message to the client; libpq refuses longer ones.
	maxOutputMessageBytes = 1<<30 - 1
	// maxCancelsInFlight bounds the cancel requests, and other connections before authentication, served at once beyond
	// the connection limit.
	maxCancelsInFlight = 64

	// authTimeout bounds start-up and authentication, PostgreSQL's authentication_timeout.
	authTimeout = 60 * time.Second
	// acceptPause is the time between attempts to accept when that fails.
	acceptPause = 100 * time.Millisecond
	// keepAliveIdle is the silence after which TCP probes whether the client is still there.
	keepAliveIdle = 60 * time.Second
)
