package nodes

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millracedb/millrace/internal/clock/clocktest"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/sim/links"
)

// restartPause is how long a node that has stopped by itself stays down before it is started again, as a service manager does it.
const restartPause = time.Second

// machine is what a node runs on: an address and a disk that outlive it.
type machine struct {
	w    *world
	id   int32
	ip   string
	join string // the node port of a node whose cluster it joins; empty for those that form one

	clock *clocktest.Wrong

	turn chan struct{} // held by who starts or stops the node; waiting for a mutex would stop the clock
	mu   struct {
		sync.Mutex
		fs  *fsys.Mem
		run *run // nil while it is down
		old bool // its program, from the next start on, is of the older release
	}
}

// run is the life of a node from a start to a stop or crash; in between it may end by itself and be started again.
type run struct {
	m       *machine
	fs      *fsys.Mem
	host    *links.Host
	ctx     context.Context
	cancel  context.CancelFunc
	old     bool // its program is of the older release
	crashed atomic.Bool
	faulty  atomic.Bool // its disk has failed calls
	done    chan struct{}
	node    atomic.Pointer[node.Node] // nil while it does not serve
}

func (m *machine) addr(port int) string { return fmt.Sprintf("%s:%d", m.ip, port) }

// The ports of every node.
const (
	pgPort    = 5433
	kafkaPort = 9092
	raftPort  = 7433
)

// start starts the node, unless it runs. It does not wait until it serves.
func (m *machine) start() {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.run != nil {
		return
	}
	r := &run{m: m, fs: m.mu.fs, old: m.mu.old, host: m.w.net.Host(m.ip), done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	m.mu.run = r
	m.w.trace.printf("%s starts, of the older release %v", m.ip, r.old)
	go func() {
		defer close(r.done)
		r.live()
	}()
}

// current is the run of the node, nil while it is down.
func (m *machine) current() *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.run
}

// stop stops the node in order, and waits for it.
func (m *machine) stop() {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	m.mu.Lock()
	r := m.mu.run
	m.mu.run = nil
	m.mu.Unlock()
	if r == nil {
		return
	}
	m.w.trace.printf("%s stops in order", m.ip)
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(settleLimit):
		m.w.stuck("%s does not come to an end after it was told to stop", m.ip)
		m.w.trace.goroutines()
	}
}

// crash takes the machine's power. Of what was not synced survives the given percentage; the others hear of it at once or, if it is silent, when the machine is back.
func (m *machine) crash(silent bool, survives int, rng *rand.Rand) {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mu.run
	if r == nil {
		return
	}
	m.w.trace.printf("%s crashes: silent %v, %d %% of what is not synced survives", m.ip, silent, survives)
	m.crashLocked(r, silent)
	m.mu.fs = r.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: rng})
	m.w.prepareDisk(m.mu.fs)
}

func (m *machine) crashLocked(r *run, silent bool) {
	r.crashed.Store(true)
	r.host.Down(silent) // from here on it tells nobody anything
	m.mu.run = nil
	r.cancel() // what is left in this process ends unseen
}

// wipe takes the machine's power, if it has any, and puts another one with an empty disk in its place.
func (m *machine) wipe() {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.w.trace.printf("%s loses its disk", m.ip)
	if m.mu.run != nil {
		m.crashLocked(m.mu.run, false)
	}
	m.mu.fs = fsys.NewMem()
	m.w.prepareDisk(m.mu.fs)
}

// live runs the node until the run ends.
func (r *run) live() {
	w, ip := r.m.w, r.m.ip
	defer r.host.Down(false)
	for {
		n, err := node.Open(r.ctx, r.config())
		if err == nil {
			w.trace.printf("%s serves", ip)
			r.node.Store(n)
			select {
			case err := <-n.Fatal():
				w.trace.printf("%s must stop: %v", ip, err)
				r.faultless(err)
			case <-r.ctx.Done():
			}
			r.node.Store(nil)
			err = n.Close()
		}
		if r.ctx.Err() == nil || !r.crashed.Load() && err != nil {
			w.trace.printf("%s has stopped: %v", ip, err)
		}
		if !pause(r.ctx, restartPause) {
			return
		}
	}
}

// faultless notes an end of the node that no failure of its disk explains.
func (r *run) faultless(err error) {
	if !r.crashed.Load() && !r.faulty.Load() {
		r.m.w.violate("%s stopped by itself on a sound disk: %v", r.m.ip, err)
	}
}

func (r *run) config() node.Config {
	m := r.m
	peers := m.w.peers
	if m.join != "" {
		peers = nil
	}
	release, level := releaseOf(r.old)
	return node.Config{
		NodeID: m.id, BootstrapNodes: peers, JoinAddr: m.join, Dir: "/data", FS: r.fs, Rand: m.w.ids, Logger: m.w.trace.logger(m.ip),
		PG: m.addr(pgPort), Kafka: m.addr(kafkaPort), Raft: m.addr(raftPort), HTTP: node.Off, Listen: r.host.Listen, Dial: r.host.Dial, Clock: m.clock, Release: release, FeatureMax: level,
	}
}

// idSource makes the ids of a world.
type idSource struct {
	mu  sync.Mutex
	rng *rand.Rand
}

var _ io.Reader = (*idSource)(nil)

func (s *idSource) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p {
		p[i] = byte(s.rng.Uint32())
	}
	return len(p), nil
}

// pause waits; false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
