package lifeline

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sim/links"
)

func TestMain(m *testing.M) {
	if voter, ok := os.LookupEnv(childEnv); ok {
		child(voter)
	}
	goleak.VerifyTestMain(m)
}

// testLimit bounds what takes real time.
const testLimit = 2 * time.Minute

// Node 1 is the one whose process is looked at; it votes too, as 2 and 3 do.
const (
	first  = 1
	second = 2
	third  = 3
	epoch  = 7
	trip   = time.Millisecond
	// beatEvery is how often heartbeats are sent.
	beatEvery = 500 * time.Millisecond
)

var names = map[int32]string{first: "1", second: "2", third: "3"}

func ip(node int32) string   { return "127.0.0." + names[node] }
func addr(node int32) string { return ip(node) + ":7433" }

// group is three nodes on a network that behaves like kernels and what is between them.
type group struct {
	t   *testing.T
	net *links.Network

	mu      sync.Mutex
	members map[int32]*member
}

func (g *group) member(id int32) *member {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members[id]
}

// member is one node, which holds life lines to the others, witnesses theirs, and sends heartbeats.
type member struct {
	g       *group
	id      int32
	host    *links.Host
	witness *Witness
	holder  *Holder
	lost    atomic.Bool
	down    atomic.Bool
	done    chan struct{}
	stop    context.CancelFunc
}

// with runs f with a group whose members have life lines to each other, in a bubble.
func with(t *testing.T, f func(g *group)) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{t: t, net: links.New(clock.Real, func(_, _ string) time.Duration { return trip }), members: map[int32]*member{}}
		for id := range names {
			g.start(id)
		}
		g.pass(2 * time.Second)
		for _, m := range g.members {
			require.Len(t, m.witness.mu.seen, 2, "node %d", m.id)
		}
		f(g)
		for _, m := range g.members {
			m.end()
		}
	})
}

// pass lets time pass.
func (g *group) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (g *group) start(id int32) *member {
	m := &member{g: g, id: id, host: g.net.Host(ip(id)), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.witness = NewWitness(WitnessOptions{
		Dial: func(ctx context.Context, node int32) error {
			c, err := m.host.Dial(ctx, addr(node))
			if err == nil {
				err = c.Close()
			}
			return err
		},
		Counts: func(int32, uint64) bool { return true }, OnDeath: func() {}, Clock: clock.Real, Logger: slog.New(slog.DiscardHandler),
	})
	m.holder = Hold(HolderOptions{Epoch: epoch, Dial: m.host.Dial, OnLost: func() { m.lost.Store(true) }, Clock: clock.Real})
	var voters []Voter
	for v := range names {
		voters = append(voters, Voter{ID: names[v], Addr: addr(v), Self: v == id})
	}
	m.holder.Update(voters)
	g.mu.Lock()
	g.members[id] = m
	g.mu.Unlock()
	go func() {
		defer close(m.done)
		m.serve(ctx)
	}()
	return m
}

// serve is the node port: what comes is a life line, whose other end says by its address who it is. Besides, it sends heartbeats, which get through where connections are made.
func (m *member) serve(ctx context.Context) {
	l, err := m.host.Listen(addr(m.id))
	require.NoError(m.g.t, err)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var conns []chan struct{}
	defer func() {
		for _, c := range conns {
			<-c
		}
	}()
	beats := make(chan struct{})
	conns = append(conns, beats)
	go func() {
		defer close(beats)
		m.beat(ctx)
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		done := make(chan struct{})
		conns = append(conns, done)
		go func() {
			defer close(done)
			from, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			_ = m.witness.Take(ctx, conn, int32(from[len(from)-1]-'0'))
		}()
	}
}

func (m *member) beat(ctx context.Context) {
	every := beatEvery
	for ctx.Err() == nil && clock.Wait(ctx, clock.Real, every) {
		every = beatEvery
		if m.holder.Broken() {
			every = DialEvery
		}
		for id := range names {
			if o := m.g.member(id); o != m && m.reaches(ctx, o) {
				o.witness.Alive(m.id)
				m.holder.Answered(names[o.id])
			}
		}
	}
}

func (m *member) reaches(ctx context.Context, o *member) bool {
	ctx, cancel := context.WithTimeout(ctx, DialEvery/2)
	defer cancel()
	c, err := m.host.Dial(ctx, addr(o.id))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// kill ends the process.
func (m *member) kill() {
	m.host.Down(false)
	m.end()
}

// end ends what is left of it in this one.
func (m *member) end() {
	if m.down.Swap(true) {
		return
	}
	m.holder.Close()
	m.witness.Close()
	m.stop()
	<-m.done
}

// witnesses are how many of the others have seen node 1 die.
func (g *group) witnesses() (n int) {
	for _, id := range []int32{second, third} {
		if _, dead := g.member(id).witness.Dead(first, epoch); dead {
			n++
		}
	}
	return n
}

// requireServed holds, for a while, that node 1 is not replaced while it serves: see the package's documentation.
func (g *group) requireServed(d time.Duration) {
	g.t.Helper()
	for range d / (10 * time.Millisecond) {
		g.pass(10 * time.Millisecond)
		if g.witnesses() >= Majority(len(names)) {
			require.True(g.t, g.member(first).lost.Load(), "node 1 is taken for dead, and serves")
		}
	}
}

// endBetween ends the connections of two nodes at both ends, and has new ones refused, until both ways are allowed.
func (g *group) endBetween(a, b int32) {
	g.net.Finish(ip(a), ip(b))
	g.net.Reject(ip(a), ip(b))
	g.net.Reject(ip(b), ip(a))
}

func (g *group) both(do func(a, b string)) {
	for _, id := range []int32{second, third} {
		do(ip(first), ip(id))
		do(ip(id), ip(first))
	}
}

func TestAProcessThatWasKilledIsSeenToDie(t *testing.T) {
	with(t, func(g *group) {
		g.member(first).kill()
		g.pass(RefusedFor - DialEvery)
		require.Zero(t, g.witnesses())
		g.pass(2 * DialEvery)
		require.Equal(t, 2, g.witnesses())
		require.Equal(t, []Death{{first, epoch}}, g.member(second).witness.Deaths())
		_, dead := g.member(second).witness.Dead(first, epoch+1)
		require.False(t, dead, "the next process is another")
		require.False(t, g.member(second).lost.Load())
	})
}

func TestAProcessThatIsBackIsNotDead(t *testing.T) {
	with(t, func(g *group) {
		g.member(first).kill()
		g.pass(time.Second)
		require.Equal(t, 2, g.witnesses())
		g.start(first)
		g.pass(2 * time.Second)
		require.Zero(t, g.witnesses())
	})
}

// A voter that was down for long, or has stopped in order, is asked seldom, and another node may die in the second after it is back.
func TestAVoterThatIsBackSeesThoseDieWhoHaveHeardOfIt(t *testing.T) {
	for name, down := range map[string]func(g *group){
		"killed": func(g *group) {
			g.member(third).kill()
			g.pass(quickTries*DialEvery + retryEvery/2)
		},
		"stopped in order": func(g *group) {
			g.member(third).end()
			g.pass(retryEvery / 4)
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(g *group) {
				down(g)
				g.start(third)
				g.pass(beatEvery + DialEvery)
				g.member(first).kill()
				g.pass(RefusedFor + DialEvery)
				require.Equal(t, 2, g.witnesses())
			})
		})
	}
}

func TestAProcessThatStopsInOrderIsNotSeenToDie(t *testing.T) {
	with(t, func(g *group) {
		g.member(first).end()
		g.pass(5 * time.Second)
		require.Zero(t, g.witnesses())
	})
}

func TestVotersThatStopInOrderAreNotLost(t *testing.T) {
	with(t, func(g *group) {
		g.member(second).end()
		g.member(third).end()
		g.pass(5 * time.Second)
		require.False(t, g.member(first).lost.Load())
	})
}

func TestSilenceIsNotDeath(t *testing.T) {
	with(t, func(g *group) {
		g.both(g.net.Hold)
		g.requireServed(5 * time.Second)
		require.Zero(t, g.witnesses())
		g.member(first).host.Down(true) // and its power is gone
		g.requireServed(5 * time.Second)
		require.Zero(t, g.witnesses())
	})
}

// TestAFirewallThatRejectsOneWayIsNotDeath: the voters are reset and refused, and the node hears nothing of that.
func TestAFirewallThatRejectsOneWayIsNotDeath(t *testing.T) {
	for name, reject := range map[string]func(g *group, id int32){
		"to the node":   func(g *group, id int32) { g.net.Reject(ip(id), ip(first)) },
		"from the node": func(g *group, id int32) { g.net.Reject(ip(first), ip(id)) },
		"to the node, and nothing comes back": func(g *group, id int32) {
			g.net.Reject(ip(id), ip(first))
			g.net.Hold(ip(first), ip(id))
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(g *group) {
				reject(g, second)
				reject(g, third)
				g.requireServed(5 * time.Second)
				require.Zero(t, g.witnesses())
			})
		})
	}
}

func TestAFirewallThatRejectsBothWaysIsNotDeath(t *testing.T) {
	with(t, func(g *group) {
		g.both(g.net.Reject)
		g.requireServed(5 * time.Second)
		require.Zero(t, g.witnesses())
	})
}

func TestConnectionsThatAreResetAndComeBackAreNotDeath(t *testing.T) {
	with(t, func(g *group) {
		for range 20 {
			g.both(g.net.Break)
			g.requireServed(130 * time.Millisecond)
		}
		require.Zero(t, g.witnesses())
		require.False(t, g.member(first).lost.Load())
	})
}

// TestANodeWhoseProxyDiesStopsToServe: what carries its connections ends them all, at both ends, and refuses new ones. The voters see what they see when it dies, and the node knows that.
func TestANodeWhoseProxyDiesStopsToServe(t *testing.T) {
	with(t, func(g *group) {
		g.endBetween(first, second)
		g.endBetween(first, third)
		g.requireServed(5 * time.Second)
		require.True(t, g.member(first).lost.Load())
	})
}

// TestAProxyThatIsBackSoonIsNotDeath: all is as if the process had died, but not for long enough.
func TestAProxyThatIsBackSoonIsNotDeath(t *testing.T) {
	with(t, func(g *group) {
		g.endBetween(first, second)
		g.endBetween(first, third)
		g.pass(RefusedFor - DialEvery/2)
		require.Zero(t, g.witnesses())
		g.both(g.net.Allow)
		g.pass(time.Second)
		require.Zero(t, g.witnesses())
	})
}

// TestOnlyARefusalCounts: the life lines end as those of a dead process do, and after that nothing is heard at all.
func TestOnlyARefusalCounts(t *testing.T) {
	with(t, func(g *group) {
		g.both(g.net.Finish)
		g.pass(trip)
		g.both(g.net.Hold)
		g.requireServed(5 * time.Second)
		require.Zero(t, g.witnesses())
	})
}

// TestWithoutAMajorityNobodyIsDead: the connections to one voter end as those of a dead process do; the node serves on, for another voter hears it.
func TestWithoutAMajorityNobodyIsDead(t *testing.T) {
	with(t, func(g *group) {
		g.endBetween(first, second)
		g.requireServed(5 * time.Second)
		require.False(t, g.member(first).lost.Load())
		require.Less(t, g.witnesses(), Majority(len(names)))
	})
}
