package pgwire

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Authenticator knows the users. The server calls it from many goroutines.
type Authenticator interface {
	// Authentication says how the user of a new connection proves who it is. An error refuses the connection; it is sent as
	// FATAL (28000 when no rule admits this user from this address). An unknown user is no error: answer Auth{Method:
	// AuthSCRAM} with a nil Verifier, and the exchange fails as it does for a wrong password.
	Authentication(ctx context.Context, info *SessionInfo) (Auth, error)
}

// Backend is the database behind the listener. The server calls it from many goroutines.
type Backend interface {
	Authenticator

	// NewSession opens the session of an authenticated connection; info.Settings are applied as if by SET. The session may
	// keep info and client. An error is sent as FATAL (3D000 for an unknown database).
	NewSession(ctx context.Context, info *SessionInfo, client Client) (Session, error)
}

// SessionInfo is what is known about a connection when its start-up packet has been read.
type SessionInfo struct {
	User     string
	Database string // defaults to User, as PostgreSQL documents for the start-up message
	// Settings are the run-time parameters of the start-up packet, those of its "options" (-c name=value) first, in the order
	// given, values as sent: application_name, client_encoding (asyncpg sends it in quotes), DateStyle, TimeZone and so on.
	Settings   []Setting
	RemoteAddr net.Addr
	TLS        *tls.ConnectionState // nil on a connection without TLS
	PID        int32                // the process id of BackendKeyData; never 0, unique among the server's connections
	Relayed    bool                 // another server has the client, and asks for Session.Changes
	Resumed    *Resumed             // nil unless the session had been on another server
}

// Setting is a run-time parameter with its value.
type Setting struct{ Name, Value string }

// AuthMethod is a way to authenticate.
type AuthMethod uint8

// The methods.
const (
	AuthTrust AuthMethod = iota // admitted without a password
	AuthSCRAM                   // SCRAM-SHA-256, RFC 5802 and 7677, without channel binding
)

// Auth is the answer of Backend.Authentication.
type Auth struct {
	Method   AuthMethod
	Verifier *Verifier // for AuthSCRAM; nil when the user does not exist or has no password
}

// Client is the session's way to the program at the other end, and to the connection itself.
type Client interface {
	// Notice sends a NoticeResponse at once, before whatever the client is waiting for; Severity "" means NOTICE. It may be
	// called only by the goroutine that is inside a call of this session, and not from AppendValue or AppendRow.
	Notice(n *sqlerr.Error)

	// ParameterChanged sends a ParameterStatus: after each SET, RESET or rollback that changed the value of a reported
	// parameter (IsReported; others are ignored). Same rule for the caller as for Notice.
	ParameterChanged(name, value string)

	// Notify queues a NotificationResponse, sent when the session is outside a transaction and no query runs. Safe from any
	// goroutine; never blocks. It returns false if MaxPendingNotifications or MaxPendingNotificationBytes are queued
	// already and this one was not taken.
	Notify(n Notification) bool

	// Cancel ends the running query with 57014, as a CancelRequest does; without one it does nothing. Any goroutine.
	Cancel()

	// Terminate ends the running query and the connection; reason is sent as FATAL. Any goroutine; does not wait. A session that is relayed (SessionInfo.Relayed) may be ended without a
	// reason, nil: it is resumed then.
	Terminate(reason *sqlerr.Error)
}

// Notification is what LISTEN delivers. One without a channel is not sent, and only says by its mark how far the session has heard.
type Notification struct {
	Mark    int64 // where it is among all; kept in a session's state, see StateHeard
	PID     int32 // of the session that notified
	Channel string
	Payload string
}

// TxStatus is the transaction status of ReadyForQuery.
type TxStatus byte

// The transaction states.
const (
	TxIdle   TxStatus = 'I' // not in a transaction block
	TxBlock  TxStatus = 'T' // in a block
	TxFailed TxStatus = 'E' // in a failed block: only ROLLBACK, COMMIT and ROLLBACK TO run, others give 25P02
)

// Session is one connection's state: settings, transaction, prepared statements, portals. SQL-level PREPARE and DECLARE
// share the names of Prepare and Bind, therefore the session keeps both by name.
//
// All calls come from one goroutine, one at a time. Their contexts end when the client cancels, disconnects or the server
// stops; a call whose context ended should return its error, and the client then sees context.Cause(ctx). Errors are sent
// as sqlerr.From makes them; an error's Position refers to the text given to Parse or Prepare. Whatever is wrong for a
// failed transaction block (25P02) the session refuses by itself. Strings handed in are the session's to keep.
type Session interface {
	// Parameter returns the value of a reported parameter (ReportedParameters); asked once for each at start-up.
	Parameter(name string) string

	// TxStatus returns the state of the session's transaction.
	TxStatus() TxStatus

	// Writes reports whether the unit of work under way may change more than the session itself. Any goroutine may ask, at any time.
	Writes() bool

	// Parse reads the whole text of a simple Query, whose syntax must be right before any of it runs, and returns its
	// statements: none for an empty or comment-only text. Names and types are not looked at yet.
	Parse(ctx context.Context, text string) ([]Query, error)

	// Run analyses a statement from Parse and binds it to the unnamed portal, all results in text. The statements of one
	// Query message are run in turn and share one implicit transaction. The unnamed prepared statement is dropped.
	Run(ctx context.Context, q Query) (Portal, error)

	// Prepare parses and analyses one statement (42601 for several; none gives an empty statement) and keeps it under name.
	// The empty name is replaced, another that exists is 42P05. paramTypes are type OIDs of the first parameters; 0 and 705
	// ask for inference; those beyond the placeholders of the text are parameters all the same. It may keep paramTypes.
	Prepare(ctx context.Context, name, text string, paramTypes []uint32) (Statement, error)

	// Statement returns a prepared statement; 26000 when there is none.
	Statement(ctx context.Context, name string) (Statement, error)

	// CloseStatement forgets a prepared statement and its portals; an unknown name is no error.
	CloseStatement(name string)

	// Bind makes a portal of a prepared statement. The empty portal name is replaced, another that exists is 42P03. The counts
	// of params and formats have been checked. See Bind for what it may keep.
	Bind(ctx context.Context, st Statement, b *Bind) (Portal, error)

	// Portal returns a portal or SQL cursor; 34000 when there is none.
	Portal(name string) (Portal, error)

	// ClosePortal closes a portal or cursor and stops its query; an unknown name is no error.
	ClosePortal(name string)

	// Sync ends the implicit transaction, if one is open: commits it and closes its portals. Called before the last
	// CommandComplete of a simple Query and at the Sync message; in an explicit block it does nothing. Where it fails the
	// transaction is rolled back.
	Sync(ctx context.Context) error

	// Fail tells the session that an error was sent, be it its own or one that pgwire found: an implicit transaction is rolled
	// back, a block becomes failed; the portals are closed. Called once for every error, before Sync.
	Fail(err error)

	// Changes tells what has changed, since the last call, of what the session needs to go on with another server: report is given a name and, unless set is false, its value. Called only if
	// SessionInfo.Relayed, before each ReadyForQuery among others. What belongs to an open transaction block is left out: it does not outlive the server.
	Changes(report func(name, value string, set bool))

	// Close ends the session: rolls back, closes everything. Called once, last, also after a panic.
	Close()
}

// Query is a parsed statement of a simple Query message, opaque to pgwire.
type Query any

// Statement is a prepared statement.
type Statement interface {
	// ParamTypes returns the type OID of each parameter, inferred where the client gave none. Not to be modified.
	ParamTypes() []uint32
	// Columns describes the rows it returns; nil if it returns none. Not to be modified.
	Columns() []Column
	// Text returns the text that positions of errors refer to.
	Text() string
}

// Column describes a result column (RowDescription).
type Column struct {
	Name     string
	TableOID uint32 // 0 unless pg_attribute has the column
	AttNum   int16  // 0 unless TableOID is set
	TypeOID  uint32
	TypeLen  int16 // pg_type.typlen; negative for variable length
	TypeMod  int32 // -1 for none
}

// Format is a format code of the protocol.
type Format int16

// The formats.
const (
	TextFormat   Format = 0
	BinaryFormat Format = 1
)

// Bind is what a Bind message says.
type Bind struct {
	Portal string
	// Params alias the read buffer: their Values are valid during the call only. The slice too.
	Params []Param
	// ResultFormats is empty (all text), has one element for all columns, or one for each. The session may keep it.
	ResultFormats []Format
}

// Param is the value of a parameter in one of the formats; a nil Value is SQL NULL, an empty one is not.
type Param struct {
	Format Format
	Value  []byte
}

// PortalKind says how a portal runs.
type PortalKind uint8

// The kinds.
const (
	PortalEmpty   PortalKind = iota // nothing to run: EmptyQueryResponse
	PortalRows                      // returns rows, also DML with RETURNING and SHOW
	PortalCommand                   // returns none: one Next call runs it
	PortalCopyIn
	PortalCopyOut // COPY TO STDOUT; also a push SELECT under push_output = copy
)

// Portal is a query bound to its parameters, suspended between calls. Several may be open at once.
type Portal interface {
	Kind() PortalKind
	// Columns describes the rows of a PortalRows; nil for other kinds. Not to be modified.
	Columns() []Column
	// ResultFormats returns Bind.ResultFormats; nil for a portal of Run and for an SQL cursor.
	ResultFormats() []Format
	// Text returns the text that positions of errors refer to.
	Text() string

	// Next runs a PortalRows or PortalCommand further and returns the next rows: at most maxRows of them, or as many as are
	// handy when that is 0. A nil batch is an empty one. The batch is valid until the next call on the portal or session.
	//
	// With wait false a query that waits for something to happen (a push query without a new row) returns Idle rather than
	// block; one that is merely computing or reading goes on. The server then flushes what the client has not got yet, and
	// calls again with wait true, which blocks until there is a row, the end or the end of ctx. So a push query returns Idle at
	// its first call too if it has no row yet, and the client gets the RowDescription at once.
	//
	// After Done, Next of a PortalRows returns no rows and Done; that of a PortalCommand fails with 55000.
	Next(ctx context.Context, maxRows int, wait bool) (RowBatch, Progress, error)

	// CommandTag appends the tag of CommandComplete. rows is the number of DataRow messages of this Execute, what SELECT and
	// FETCH count; other statements count for themselves.
	CommandTag(dst []byte, rows int64) []byte

	// CopyIn starts a PortalCopyIn.
	CopyIn(ctx context.Context) (CopyIn, error)
	// CopyOut starts a PortalCopyOut.
	CopyOut(ctx context.Context) (CopyOut, error)
}

// Progress says how a portal stands after a call of Next.
type Progress uint8

// The states of a running portal.
const (
	More      Progress = iota // call again
	Idle                      // nothing is ready: flush, then call again with wait true
	Suspended                 // under a row limit: answer PortalSuspended early (push_suspend_after); without one the same as Idle
	Done                      // ended; the batch holds the last rows
)

// RowBatch is some rows of a result.
type RowBatch interface {
	Len() int
	// AppendValue appends the value at row and col (both from 0) to dst in the format given and returns the extended slice, or
	// dst and true for NULL. It must not write to dst's existing bytes.
	AppendValue(dst []byte, row, col int, format Format) (out []byte, null bool)
}

// CopyIn takes the bytes of COPY FROM STDIN. Exactly one of Finish and Abort ends it, unless the session is closed before.
type CopyIn interface {
	// Formats returns the format of each column for CopyInResponse: all text for text and CSV, all binary for binary.
	Formats() []Format
	// Write takes a piece of the input, cut anywhere; chunk is valid during the call only. After an error only Abort follows.
	Write(ctx context.Context, chunk []byte) error
	// Finish is CopyDone: all input has been given. The portal's CommandTag then has the count.
	Finish(ctx context.Context) error
	// Abort drops the copy: the client sent CopyFail, or there was an error.
	Abort(reason error)
}

// CopyOut gives the bytes of COPY TO STDOUT.
type CopyOut interface {
	// Formats returns the format of each column for CopyOutResponse.
	Formats() []Format
	// Next is as Portal.Next; Suspended is not used.
	Next(ctx context.Context, wait bool) (CopyBatch, Progress, error)
}

// CopyBatch is some rows of a COPY TO STDOUT, in its format. Each becomes one CopyData message, which clients such as
// psycopg rely on. A header line is a row.
type CopyBatch interface {
	Len() int
	// AppendRow appends row (from 0), with its line end, to dst and returns the extended slice.
	AppendRow(dst []byte, row int) []byte
}
