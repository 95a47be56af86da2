package pgwire

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// fakeUpstream leads to a server of this process, which can be lost.
type fakeUpstream struct {
	t      testing.TB
	config Config // of the servers
	others map[int32]*Server
	mu     struct {
		sync.Mutex
		server  *Server
		effects Effects
		judged  []Message
		dials   int
		reads   []bool // what each Dial was told
	}
}

func (u *fakeUpstream) Authentication(ctx context.Context, info *SessionInfo) (Auth, error) {
	return u.config.Backend.Authentication(ctx, info)
}

func (u *fakeUpstream) now() *Server {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.dials++
	return u.mu.server
}

func (u *fakeUpstream) Dial(_ context.Context, reads bool) (net.Conn, error) {
	s := u.now()
	u.mu.Lock()
	u.mu.reads = append(u.mu.reads, reads)
	u.mu.Unlock()
	if s == nil {
		return nil, errors.New("there is none")
	}
	near, far := net.Pipe()
	s.Take(far)
	return near, nil
}

func (u *fakeUpstream) Cancel(_ context.Context, pid int32) { u.now().CancelSession(pid) }

func (u *fakeUpstream) CancelRequest(_ context.Context, pid int32, key []byte) {
	if s := u.others[Number(pid)]; s != nil {
		s.CancelRequest(pid, key)
	}
}

func (u *fakeUpstream) Judge(_ State, unanswered []Message) Effects {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.judged = unanswered
	return u.mu.effects
}

// lose ends the server, and starts another one unless none is to be there.
func (u *fakeUpstream) lose(another bool) {
	u.t.Helper()
	var fresh *Server
	if another {
		fresh = u.start()
	}
	u.mu.Lock()
	old := u.mu.server
	u.mu.server = fresh
	u.mu.Unlock()
	if old != nil {
		require.NoError(u.t, old.Close())
	}
}

func (u *fakeUpstream) start() *Server {
	s, err := New(u.config)
	require.NoError(u.t, err)
	u.t.Cleanup(func() { require.NoError(u.t, s.Close()) })
	return s
}

// serveRelayed starts a server of clients whose sessions run on another, with config.
func serveRelayed(t testing.TB, config Config) (*fakeUpstream, string) {
	t.Helper()
	u := &fakeUpstream{t: t, config: config, others: map[int32]*Server{}}
	u.mu.server = u.start()
	front := config
	front.Backend, front.Upstream, front.Number = nil, u, 7
	s, addr := serve(t, front)
	u.others[7] = s
	return u, addr
}

// TestLossScripts runs the scripts of testdata/loss: what clients are told when the server of their session goes. Commands beside those of TestProtocolScripts:
//
//	lose [writes] [commits] [givesup] [none]  ends the server; that is how the messages that it did not answer are judged. With none there is no other
//	find                                      there is another server
//	await                                     waits until the statement has begun to wait, the fake's pg_sleep
func TestLossScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/loss", func(t *testing.T, path string) {
		b := newFakeBackend()
		u, addr := serveRelayed(t, testConfig(b))
		c := connectRaw(t, addr)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "lose":
				u.mu.Lock()
				u.mu.effects = Effects{Writes: d.HasArg("writes"), Commits: d.HasArg("commits"), GivesUp: d.HasArg("givesup")}
				u.mu.Unlock()
				u.lose(!d.HasArg("none"))
				return ""
			case "find":
				u.lose(true)
				return ""
			case "await":
				receive(t, b.started)
				return ""
			}
			return c.script(t, d)
		})
		c.sendAll(&pgproto3.Terminate{})
	})
}

// pipes is a listener within the process.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return remoteAddr("pipe") }

// goneUpstream leads to servers that have gone when they are reached.
type goneUpstream struct{ *fakeUpstream }

func (goneUpstream) Dial(context.Context, bool) (net.Conn, error) {
	near, far := net.Pipe()
	return near, far.Close()
}

// TestASessionThatNoServerBeginsIsGivenUp: who has waited for authTimeout is told so, and nothing goes on trying.
func TestASessionThatNoServerBeginsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := testConfig(nil)
		config.Upstream = goneUpstream{&fakeUpstream{t: t, config: testConfig(newFakeBackend())}}
		front, err := New(config)
		require.NoError(t, err)
		l := make(pipes)
		done := make(chan error, 1)
		go func() { done <- front.Serve(l) }()
		near, far := net.Pipe()
		l <- far
		c := newRawClient(t, near)
		begun := time.Now()
		c.startup(map[string]string{"user": "alice"}, pgproto3.ProtocolVersion30)
		for err == nil {
			_, err = c.Receive()
		}
		require.Equal(t, authTimeout, time.Since(begun).Round(time.Second))
		close(l)
		require.NoError(t, front.Close())
		require.Error(t, <-done)
	})
}

// TestWithoutAServerAMessageIsRefusedAfterAWhile: the session goes on.
func TestWithoutAServerAMessageIsRefusedAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUpstream{t: t, config: testConfig(newFakeBackend())}
		u.mu.server = u.start()
		config := testConfig(nil)
		config.Upstream = u
		front, err := New(config)
		require.NoError(t, err)
		l := make(pipes)
		done := make(chan error, 1)
		go func() { done <- front.Serve(l) }()
		near, far := net.Pipe()
		l <- far
		c := newRawClient(t, near)
		c.startup(map[string]string{"user": "alice"}, pgproto3.ProtocolVersion30)
		c.until("ReadyForQuery")

		c.sendAll(&pgproto3.Query{String: "select pg_sleep(600)"})
		synctest.Wait()
		begun := time.Now()
		u.lose(false)
		none := []string{"ErrorResponse ERROR 57P03 no node of the cluster runs the queries now", "ReadyForQuery I"}
		require.Equal(t, none, c.until("ReadyForQuery"), "what was under way, and only reads")
		require.InDelta(t, upstreamWait, time.Since(begun), float64(maxDialPause))

		synctest.Wait()
		begun = time.Now()
		c.sendAll(&pgproto3.Parse{Query: "select 1"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Query{String: "select 2"})
		require.Equal(t, none, c.until("ReadyForQuery"))
		require.Equal(t, none, c.until("ReadyForQuery"))
		require.Equal(t, upstreamWait, time.Since(begun))
		u.lose(true)
		require.Equal(t, []string{"RowDescription ?column?:0:0:23:4:-1:0", `DataRow "3"`, "CommandComplete SELECT 1", "ReadyForQuery I"}, c.query("select 3"))

		require.NoError(t, near.Close())
		close(l)
		require.NoError(t, front.Close())
		<-done
		require.NoError(t, u.now().Close())
	})
}

// TestCancelReachesASessionThatIsRelayed also by way of another server than the client's, and after the session has moved.
func TestCancelReachesASessionThatIsRelayed(t *testing.T) {
	b := newFakeBackend()
	u, addr := serveRelayed(t, testConfig(b))
	other := testConfig(nil)
	other.Upstream, other.Number = u, 8
	_, otherAddr := serve(t, other)
	c := newRawClient(t, dial(t, addr))
	c.startup(map[string]string{"user": "alice"}, pgproto3.ProtocolVersion30)
	c.until("ReadyForQuery")
	for _, by := range []string{addr, otherAddr} {
		c.sendAll(&pgproto3.Query{String: "select pg_sleep(60)"})
		receive(t, b.started)
		c.cancel(by, []byte("nope"))
		c.cancel(by, c.key)
		require.Contains(t, c.until("ReadyForQuery"), "ErrorResponse ERROR 57014 canceling statement due to user request")
		u.lose(true)
	}
}

// TestASessionThatIsRelayedEndsWithAReason: what its server says, and nothing twice.
func TestASessionThatIsRelayedEndsWithAReason(t *testing.T) {
	b := newFakeBackend()
	u, addr := serveRelayed(t, testConfig(b))
	c := connectRaw(t, addr)
	u.now().mu.Lock()
	for _, session := range u.mu.server.mu.sessions {
		session.Terminate(sqlerr.New(sqlerr.AdminShutdown, "you are not wanted"))
	}
	u.mu.server.mu.Unlock()
	require.Equal(t, []string{"ErrorResponse FATAL 57P01 you are not wanted"}, c.until("ErrorResponse"))
	_, err := c.Receive()
	require.Error(t, err)

	c = newRawClient(t, dial(t, addr))
	c.startup(map[string]string{"user": "alice", "database": "nowhere"}, pgproto3.ProtocolVersion30)
	require.Contains(t, c.until("ErrorResponse"), `ErrorResponse FATAL 3D000 database "nowhere" does not exist`)
	_, err = c.Receive()
	require.Error(t, err)
}

// TestARelayDrains: who is at rest is told at once, the others when they are.
func TestARelayDrains(t *testing.T) {
	b := newFakeBackend()
	u, addr := serveRelayed(t, testConfig(b))
	resting, block := connectRaw(t, addr), connectRaw(t, addr)
	block.query("begin")
	u.others[7].Drain()
	const goodbye = "ErrorResponse FATAL 57P01 terminating connection due to administrator command"
	require.Equal(t, []string{goodbye}, resting.until("ErrorResponse"))
	require.Equal(t, []string{"CommandComplete SELECT 1", "ReadyForQuery T"}, block.query("select 1")[2:])
	require.Equal(t, []string{"CommandComplete COMMIT", "ReadyForQuery I"}, block.query("commit"))
	require.Equal(t, []string{goodbye}, block.until("ErrorResponse"))
}

// TestAnIdleSessionIsResumedWithoutAWord, with its settings and its process id.
func TestAnIdleSessionIsResumedWithoutAWord(t *testing.T) {
	b := newFakeBackend()
	u, addr := serveRelayed(t, testConfig(b))
	c := connectRaw(t, addr)
	c.query("set TimeZone to 'Mars'")
	for range 3 {
		u.lose(true)
		require.Equal(t, `DataRow "Mars"`, c.query("show TimeZone")[1])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.mu.infos[len(b.mu.infos)-1]
	require.Equal(t, c.pid, last.PID)
	require.Equal(t, "alice", last.User)
	require.NotNil(t, last.Resumed)
}

// TestASessionComesAgainUntilItCanBeServed: a partition that it reads may have no leader for a moment, as after the death of a node.
func TestASessionComesAgainUntilItCanBeServed(t *testing.T) {
	b := newFakeBackend()
	u, addr := serveRelayed(t, testConfig(b))
	c := connectRaw(t, addr)
	c.query("set TimeZone to 'Mars'")
	notYet := func(times int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mu.notYet = times
	}
	notYet(3)
	u.lose(true)
	require.Equal(t, `DataRow "Mars"`, c.query("show TimeZone")[1])

	notYet(1)
	c = newRawClient(t, dial(t, addr))
	c.startup(map[string]string{"user": "alice"}, pgproto3.ProtocolVersion30)
	require.Contains(t, c.until("ErrorResponse"), "ErrorResponse FATAL 57P03 log is unavailable", "a new one is told")
}

// TestAServerThatEndsInOrderLeavesNothingInDoubt: whatever was sent when it ended has been answered, or goes to the next one.
func TestAServerThatEndsInOrderLeavesNothingInDoubt(t *testing.T) {
	u, addr := serveRelayed(t, testConfig(newFakeBackend()))
	u.mu.effects = Effects{Writes: true, Commits: true}
	c := connectRaw(t, addr)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 20 {
			fresh := u.start()
			u.mu.Lock()
			old := u.mu.server
			u.mu.server = fresh
			u.mu.Unlock()
			if err := old.Shutdown(context.Background()); err != nil {
				t.Errorf("ending a server: %v", err)
			}
		}
	}()
	for n := 0; ; n++ {
		require.Equal(t, `DataRow "1"`, c.query("select 1")[1], "query %d", n)
		c.sendAll(&pgproto3.Parse{Query: "select 2"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Query{String: "select 3"})
		require.Equal(t, []string{"ParseComplete", "BindComplete", `DataRow "2"`, "CommandComplete SELECT 1", "ReadyForQuery I"}, c.until("ReadyForQuery"))
		require.Equal(t, `DataRow "3"`, c.until("ReadyForQuery")[1])
		select {
		case <-ended:
			return
		default:
		}
	}
}

// TestAClientThatOnlyReadsMayBeServedElsewhere: by the last of what its start-up packet says.
func TestAClientThatOnlyReadsMayBeServedElsewhere(t *testing.T) {
	for _, c := range []struct {
		params map[string]string
		reads  bool
	}{
		{map[string]string{}, false},
		{map[string]string{"default_transaction_read_only": "on"}, true},
		{map[string]string{"Default_Transaction_Read_Only": "off"}, false},
		{map[string]string{"options": "-c default_transaction_read_only=on -c TimeZone=UTC"}, true},
		{map[string]string{"options": "--default-transaction-read-only=TRUE"}, true},
		{map[string]string{"options": "-c default_transaction_read_only=on -cdefault_transaction_read_only=no"}, false},
	} {
		u, addr := serveRelayed(t, testConfig(newFakeBackend()))
		client := newRawClient(t, dial(t, addr))
		c.params["user"] = "alice"
		client.startup(c.params, pgproto3.ProtocolVersion30)
		client.until("ReadyForQuery")
		u.lose(true)
		client.query("select 1")
		u.mu.Lock()
		require.Equal(t, []bool{c.reads, c.reads}, u.mu.reads, "%v", c.params)
		u.mu.Unlock()
	}
}
