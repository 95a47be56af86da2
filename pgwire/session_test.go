package pgwire

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
)

func TestPushQueryDeliversEachRowAtOnce(t *testing.T) {
	for name, start := range map[string][]pgproto3.FrontendMessage{
		"simple":   {&pgproto3.Query{String: "select emit changes"}},
		"extended": {&pgproto3.Parse{Query: "select emit changes"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}},
	} {
		t.Run(name, func(t *testing.T) {
			b, addr := serveFake(t)
			c := connectRaw(t, addr)
			c.sendAll(start...)
			c.until("RowDescription") // before there is a row
			for _, row := range []string{"a", "b", "c"} {
				b.feed <- row
				require.Equal(t, []string{"DataRow " + strconv.Quote(row)}, c.until("DataRow"))
			}
			b.feed <- "end"
			require.Equal(t, []string{"CommandComplete SELECT 3", "ReadyForQuery I"}, c.until("ReadyForQuery"))
		})
	}
}

func TestPushCopyDeliversEachRowAtOnce(t *testing.T) {
	b, addr := serveFake(t)
	c := connectRaw(t, addr)
	c.sendAll(&pgproto3.Query{String: "copy push to stdout"})
	c.until("CopyOutResponse")
	b.feed <- "a"
	require.Equal(t, []string{`CopyData "a\n"`}, c.until("CopyData"))
	b.feed <- "end"
	require.Equal(t, []string{"CopyDone", "CommandComplete COPY 1", "ReadyForQuery I"}, c.until("ReadyForQuery"))
}

func TestPushQueryUnderARowLimitSuspendsEarlyWhenItAsksTo(t *testing.T) {
	b, addr := serveFake(t)
	c := connectRaw(t, addr)
	b.feed <- "a"
	b.feed <- "suspend"
	execute := []pgproto3.FrontendMessage{&pgproto3.Execute{MaxRows: 10}, &pgproto3.Flush{}}
	c.sendAll(append([]pgproto3.FrontendMessage{&pgproto3.Parse{Query: "select emit changes"}, &pgproto3.Bind{}}, execute...)...)
	require.Equal(t, []string{"ParseComplete", "BindComplete", `DataRow "a"`, "PortalSuspended"}, c.until("PortalSuspended"))
	c.sendAll(execute...)
	b.feed <- "suspend" // not before there is a row
	b.feed <- "b"
	b.feed <- "suspend"
	require.Equal(t, []string{`DataRow "b"`, "PortalSuspended"}, c.until("PortalSuspended"))
}

func TestCancelRequestEndsTheQueryOnly(t *testing.T) {
	b, addr := serveFake(t)
	c := connectRaw(t, addr)
	for _, sql := range []string{"select pg_sleep(60)", "select emit changes", "copy push to stdout"} {
		c.sendAll(&pgproto3.Query{String: sql})
		receive(t, b.started)
		wrong := append([]byte{c.key[0] + 1}, c.key[1:]...)
		c.cancel(addr, wrong)
		c.cancel(addr, c.key[:3])
		c.cancel(addr, c.key)
		lines := c.until("ReadyForQuery")
		require.Equal(t, []string{"ErrorResponse ERROR 57014 canceling statement due to user request", "ReadyForQuery I"}, lines[1:])
	}
	c.cancel(addr, c.key) // nothing runs
	require.Contains(t, c.query("select 1"), "CommandComplete SELECT 1")
}

func TestDisconnectEndsAPushQueryAtOnce(t *testing.T) {
	for name, leave := range map[string]func(*rawClient){
		"close":     func(c *rawClient) { c.nc.Close() },
		"terminate": func(c *rawClient) { c.sendAll(&pgproto3.Terminate{}) },
		"half":      func(c *rawClient) { require.NoError(c.t, c.nc.(*net.TCPConn).CloseWrite()) },
	} {
		t.Run(name, func(t *testing.T) {
			b, addr := serveFake(t)
			c := connectRaw(t, addr)
			c.sendAll(&pgproto3.Query{String: "select emit changes"})
			receive(t, b.started)
			leave(c)
			receive(t, b.closed)
		})
	}
}

func TestDisconnectAbortsACopy(t *testing.T) {
	b, addr := serveFake(t)
	c := connectRaw(t, addr)
	c.sendAll(&pgproto3.Query{String: "copy t from stdin"}, &pgproto3.CopyData{Data: []byte("a\n")})
	c.until("CopyInResponse")
	c.nc.Close()
	receive(t, b.closed)
	require.Equal(t, []string{"client disconnected"}, b.mu.aborted)
}

func TestSlowReaderPushesBack(t *testing.T) {
	b := newFakeBackend()
	_, addr := serve(t, testConfig(b))
	c := connectRaw(t, addr)
	c.sendAll(&pgproto3.Query{String: "select emit changes"})
	receive(t, b.started)
	row := strings.Repeat("x", 1<<20)
	fed := 0
	// Without back-pressure the server would take rows for ever; with it, the buffers of both sockets fill up.
	timeout := time.NewTimer(testTimeout)
	defer timeout.Stop()
	for full := false; !full; {
		stuck := time.NewTimer(300 * time.Millisecond)
		select {
		case b.feed <- row:
			fed++
		case <-stuck.C:
			full = true
		case <-timeout.C:
			require.Fail(t, "the server took rows that nobody read", "%d MiB", fed)
		}
		stuck.Stop()
	}
	for range fed {
		c.until("DataRow")
	}
	require.NoError(t, c.nc.Close())
	receive(t, b.closed)
}

func TestOversizedMessageIsReadAwayAndTold(t *testing.T) {
	b := newFakeBackend()
	config := testConfig(b)
	config.MaxMessageBytes = 1000
	_, addr := serve(t, config)
	c := connectRaw(t, addr)
	long := strings.Repeat("x", 100_000)
	want := "ErrorResponse ERROR 54000 message of 100001 bytes is too large: the limit is 1000 bytes"
	require.Equal(t, []string{want, "ReadyForQuery I"}, c.query(long))
	c.sendAll(&pgproto3.Parse{Query: "select 1"}, &pgproto3.Parse{Query: long[:99_998-1]}, &pgproto3.Bind{}, &pgproto3.Sync{})
	require.Equal(t, []string{"ParseComplete", strings.Replace(want, "100001", "100001", 1), "ReadyForQuery I"}, c.until("ReadyForQuery"))
	c.sendAll(&pgproto3.Query{String: "copy t from stdin"}, &pgproto3.CopyData{Data: []byte(long)}, &pgproto3.CopyDone{})
	require.Equal(t, strings.Replace(want, "100001", "100000", 1), c.until("ReadyForQuery")[1])
	require.Contains(t, c.query("select 1"), "CommandComplete SELECT 1")
}

func TestBrokenFramesEndTheConnectionWithAnError(t *testing.T) {
	_, addr := serveFake(t)
	for name, tc := range map[string]struct {
		frame []byte
		want  string
	}{
		"type":   {[]byte{'Y', 0, 0, 0, 4}, "ErrorResponse FATAL 08P01 invalid frontend message type 89"},
		"length": {[]byte{'Q', 0, 0, 0, 3}, `ErrorResponse FATAL 08P01 invalid length of message type "Q"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := connectRaw(t, addr)
			write(t, c.nc, tc.frame)
			require.Equal(t, []string{tc.want}, c.until("ErrorResponse"))
			require.ErrorIs(t, readByte(c.nc), io.EOF)
		})
	}
}

func TestTruncatedBodiesAreErrorsThatKeepTheConnection(t *testing.T) {
	_, addr := serveFake(t)
	c := connectRaw(t, addr)
	for _, frame := range []string{
		"P\x00\x00\x00\x05s", "P\x00\x00\x00\x08s\x00q\x00", "B\x00\x00\x00\x06\x00\x00", "B\x00\x00\x00\x0a\x00\x00\xff\xff\x00\x00",
		"B\x00\x00\x00\x0e\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00", "D\x00\x00\x00\x05S", "E\x00\x00\x00\x06\x00\x01", "C\x00\x00\x00\x04",
	} {
		write(t, c.nc, []byte(frame))
		c.sendAll(&pgproto3.Sync{})
		lines := c.until("ReadyForQuery")
		require.Contains(t, lines[0], "ErrorResponse ERROR 08P01", "%q", frame)
	}
	write(t, c.nc, []byte("Q\x00\x00\x00\x05x"))
	require.Contains(t, c.until("ReadyForQuery")[0], "ErrorResponse ERROR 08P01")
	write(t, c.nc, []byte("F\x00\x00\x00\x04"))
	require.Contains(t, c.until("ReadyForQuery")[0], "ErrorResponse ERROR 0A000")
	require.Equal(t, `ErrorResponse ERROR 22021 invalid byte sequence for encoding "UTF8": 0xfe at 9`, c.query("select '\xfe'")[0])
	require.Contains(t, c.query("select 1"), "CommandComplete SELECT 1")
}

func TestLyingLengthCostsNoMemory(t *testing.T) {
	body, err := readBody(strings.NewReader("short"), nil, DefaultMaxMessageBytes)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, cap(body), 2*readStep)
}

func TestPanicEndsOneSessionOnly(t *testing.T) {
	b, addr := serveFake(t)
	other := connectRaw(t, addr)
	c := connectRaw(t, addr)
	lines := c.queryToTheEnd("select panic")
	require.Equal(t, "ErrorResponse FATAL XX000 internal error: as the test asked", lines[len(lines)-1])
	receive(t, b.closed)
	require.Contains(t, other.query("select 1"), "CommandComplete SELECT 1")
}

// queryToTheEnd is query for one that ends the connection.
func (c *rawClient) queryToTheEnd(sql string) []string {
	c.sendAll(&pgproto3.Query{String: sql})
	return c.until("ErrorResponse")
}

func TestNoticesAndChangedParametersReachTheClient(t *testing.T) {
	_, addr := serveFake(t)
	c := connectRaw(t, addr)
	require.Equal(t, []string{"NoticeResponse NOTICE 00000 hello", "CommandComplete NOTICE", "ReadyForQuery I"}, c.query("notice hello"))
	require.Equal(t, []string{"ParameterStatus TimeZone=CET", "CommandComplete SET", "ReadyForQuery I"}, c.query("set TimeZone to 'CET'"))
	require.Equal(t, []string{"CommandComplete SET", "ReadyForQuery I"}, c.query("set consistency to 'session'"))
}

func TestNotificationsWaitForTheEndOfTheTransaction(t *testing.T) {
	_, addr := serveFake(t)
	listener, notifier := connectRaw(t, addr), connectRaw(t, addr)
	listener.query("listen ch")
	notifier.query("notify ch, 'one'")
	require.Equal(t, []string{`NotificationResponse ch "one"`}, listener.until("NotificationResponse"))

	listener.query("begin")
	notifier.query("notify ch, 'two'")
	require.NotContains(t, strings.Join(listener.query("select 1"), "\n"), "NotificationResponse")
	require.Equal(t, []string{"CommandComplete COMMIT", `NotificationResponse ch "two"`, "ReadyForQuery I"}, listener.query("commit"))
}

func TestNotifyRefusesMoreThanItsLimit(t *testing.T) {
	c := &conn{in: newInbox()}
	for range MaxPendingNotifications {
		require.True(t, c.Notify(Notification{}))
	}
	require.False(t, c.Notify(Notification{}))

	c = &conn{in: newInbox()}
	require.True(t, c.Notify(Notification{Payload: strings.Repeat("x", MaxPendingNotificationBytes)}))
	require.False(t, c.Notify(Notification{Channel: "x"}))
}

func TestShutdownEndsIdleSessionsAndPushQueriesAndLetsTransactionsFinish(t *testing.T) {
	b := newFakeBackend()
	s, addr := serve(t, testConfig(b))
	idle, pushing, block := connectRaw(t, addr), connectRaw(t, addr), connectRaw(t, addr)
	pushing.sendAll(&pgproto3.Query{String: "select emit changes"})
	receive(t, b.started)
	block.query("begin")
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	want := "ErrorResponse FATAL 57P01 terminating connection due to administrator command"
	require.Equal(t, []string{want}, idle.until("ErrorResponse"))
	lines := pushing.until("ErrorResponse")
	require.Equal(t, want, lines[len(lines)-1])
	require.Contains(t, block.query("select 1"), "CommandComplete SELECT 1")
	block.query("commit")
	require.Equal(t, []string{want}, block.until("ErrorResponse"))
	require.NoError(t, receive(t, done))
	_, err := net.Dial("tcp", addr)
	require.Error(t, err)
}

func TestShutdownGivesUpWhenItsContextEnds(t *testing.T) {
	b := newFakeBackend()
	s, addr := serve(t, testConfig(b))
	c := connectRaw(t, addr)
	c.sendAll(&pgproto3.Query{String: "select pg_sleep(60)"})
	receive(t, b.started)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
	lines := c.until("ErrorResponse")
	require.Equal(t, "ErrorResponse FATAL 57P01 terminating connection due to administrator command", lines[len(lines)-1])
}

func TestTerminateSendsItsReason(t *testing.T) {
	b := newFakeBackend()
	s, addr := serve(t, testConfig(b))
	c := connectRaw(t, addr)
	s.mu.Lock()
	session := s.mu.sessions[c.pid]
	s.mu.Unlock()
	session.Terminate(sqlerr.New(sqlerr.AdminShutdown, "by order"))
	require.Equal(t, []string{"ErrorResponse FATAL 57P01 by order"}, c.until("ErrorResponse"))
}

func TestPositionCountsCharacters(t *testing.T) {
	require.Equal(t, "3", position("né x", 4))
	require.Equal(t, "1", position("x", 1))
	require.Equal(t, "2", position("x", 2))
	require.Empty(t, position("x", 0))
	require.Empty(t, position("x", 3))
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte("s\x00select $1\x00\x00\x01\x00\x00\x00\x17"))
	f.Add([]byte("\x00s\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x01x\x00\x01\x00\x01"))
	f.Add([]byte("Sname\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		_, _ = decodeParse(p)
		_, _, _ = decodeTarget("CLOSE", p)
		var b Bind
		if _, err := decodeBind(p, &b); err != nil {
			return
		}
		size := 0
		for i, param := range b.Params {
			size += len(param.Value)
			if len(b.ResultFormats) == 1 {
				formatOf(b.ResultFormats, i)
			}
		}
		if size > len(p) {
			t.Fatal("parameters are longer than their message")
		}
	})
}

// failingListener fails to accept once.
type failingListener struct {
	net.Listener
	failed bool
}

func (l *failingListener) Accept() (net.Conn, error) {
	if !l.failed {
		l.failed = true
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestServeGoesOnWhenAcceptFails(t *testing.T) {
	s, err := New(testConfig(newFakeBackend()))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(&failingListener{Listener: l}) }()
	connectRaw(t, l.Addr().String())
	require.NoError(t, s.Close())
	require.ErrorIs(t, receive(t, done), ErrServerClosed)
}

func TestFailedCommitTakesThePlaceOfCommandComplete(t *testing.T) {
	_, addr := serveFake(t)
	c := connectRaw(t, addr)
	failed := []string{"ErrorResponse ERROR 40001 could not commit", "ReadyForQuery I"}
	c.query("set fail_commit to 'next'")
	require.Equal(t, append([]string{`DataRow "1"`}, failed...), c.query("select 1")[1:])

	// The Sync came with the Execute: the messages are read before the executor wakes up.
	c.query("set fail_commit to 'next'")
	execute := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: "select 1"}, &pgproto3.Bind{}, &pgproto3.Execute{}}
	c.sendAll(append(execute, &pgproto3.Sync{})...)
	require.Equal(t, append([]string{`DataRow "1"`}, failed...), c.until("ReadyForQuery")[2:])

	// It came later, when the client had been told.
	c.query("set fail_commit to 'next'")
	c.sendAll(append(execute, &pgproto3.Flush{})...)
	c.until("CommandComplete")
	c.sendAll(&pgproto3.Sync{})
	require.Equal(t, failed, c.until("ReadyForQuery"))
}

func TestCancelRequestEndsACopyIn(t *testing.T) {
	b, addr := serveFake(t)
	c := connectRaw(t, addr)
	c.sendAll(&pgproto3.Query{String: "copy t from stdin"}, &pgproto3.CopyData{Data: []byte("a\n")})
	c.until("CopyInResponse")
	c.cancel(addr, c.key)
	require.Equal(t, []string{"ErrorResponse ERROR 57014 canceling statement due to user request", "ReadyForQuery I"}, c.until("ReadyForQuery"))
	c.sendAll(&pgproto3.CopyData{Data: []byte("b\n")}, &pgproto3.CopyDone{})
	require.Contains(t, c.query("select 1"), "CommandComplete SELECT 1")
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.mu.aborted, 1)
}

func TestMessageOutOfPlaceEndsACopyIn(t *testing.T) {
	_, addr := serveFake(t)
	c := connectRaw(t, addr)
	c.sendAll(&pgproto3.Query{String: "copy t from stdin"}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.CopyDone{})
	require.Equal(t, []string{
		"CopyInResponse 0 [0]", "ErrorResponse ERROR 08P01 unexpected message type 0x44 during COPY from stdin", "ReadyForQuery I",
	}, c.until("ReadyForQuery"))
	require.Contains(t, c.query("select 1"), "CommandComplete SELECT 1")
}
