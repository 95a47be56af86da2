// Package pgwire is the listener that speaks PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2: start-up, TLS,
// SCRAM-SHA-256, simple and extended queries, COPY, cancel, LISTEN. It knows no SQL. What it needs from a database it says
// in backend.go (Backend, Session, Statement, Portal); internal/engine implements that.
//
// # Layers
//
//   - Server (server.go) accepts, counts and ends connections, and finds the one a CancelRequest means.
//   - startup.go takes a connection to its StartupMessage: TLS, version negotiation, parameters. auth.go checks the password.
//   - conn (conn.go) is a connection with a session. Its reader goroutine (reader.go) cuts the input into messages, which
//     wait in the bounded inbox (inbox.go) for its executor goroutine.
//   - With Config.Upstream the server runs no sessions: relay (relay.go, relayup.go, relaydown.go) hands the messages of a connection to the server that does, over a stream that Server.Take (taken.go)
//     runs there, and keeps those that are not answered (unanswered.go), until that server goes (relayloss.go).
//   - The executor decodes a message (body.go), runs it (dispatch.go, portal.go, copy.go) and answers through the writer
//     (writer.go), one reused buffer into which values are appended in place.
//
// The package copyfmt beside it reads and writes the data formats of COPY; the listener itself only moves CopyData.
//
// # Life of a connection
//
//  1. readStartup answers SSLRequest and GSSENCRequest and reads the StartupMessage, byte by byte as much as is needed and
//     no more. A CancelRequest is done here and the connection closed.
//  2. admit counts the connection and gives it a process id and a cancel key.
//  3. authenticate asks the backend what it wants and runs the SCRAM exchange; NewSession opens the session; the reported
//     parameters, the key and ReadyForQuery go out. All of this within a minute.
//  4. The reader starts. The executor takes message after message. In between, at rest, it sends notifications.
//  5. The end, in one of five ways: the client goes (Terminate or end of file), the reader meets bytes that are no message,
//     the session returns a FATAL error or panics, Terminate or Close is called, a drain finds the connection at rest. Each
//     ends the connection's context; the executor returns, closes the socket, waits for the reader and closes the session.
//
// # Who waits for whom
//
// The reader never waits for a query unless the inbox is full, so it sees a client go while a query runs, and ends the
// query's context. The executor waits in four places only: for a message, in a call of the session, in a write that the
// client does not take (which is how a slow client slows its query), and in Portal.Next with wait set, before which
// everything was flushed. Cancel and drain act through the context of the running message.
//
// # Errors
//
// An error of the simple protocol ends its Query; one of the extended protocol is flushed at once, and the executor skips
// up to the next Sync. Session.Fail is called once for each. Errors are sqlerr.Error; positions are byte offsets and become
// characters of the text that the client sent (conn.errorText). A panic inside the session becomes a FATAL XX000 on that
// connection alone.
//
// # When a session's server goes
//
// A stream that ends without msgFarewell is a server that has gone. relay.lose answers what the client waits for, by what Upstream.Judge says that may have done, relay.resume opens the session again on the next server
// from the state that the last one has reported (Session.Changes, Resumed). Until then what the client sends waits in relay.admit. All writes to the client are those of one goroutine, but for the refusals while
// there is no server.
//
// # Where to start debugging
//
// A wrong answer: write it as a script in testdata/protocol and run the same against a PostgreSQL server, see
// TestProtocolScripts. A hang: look at what the executor waits for in a goroutine dump (conn.next, writer.flush or
// Portal.Next), and at inbox.wake.
package pgwire
