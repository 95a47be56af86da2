package nodes

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/replication/metadata"
)

// fault breaks something of the world, waits until ctx ends or for as long as it likes, and heals it.
type fault struct {
	name string
	run  func(ctx context.Context, w *world, rng *rand.Rand)
	// steady: the cluster is known to survive it each time.
	steady bool
}

const (
	// maxFaults is how many faults last at a time.
	maxFaults = 2
	// minPeace and maxPeace bound the time between two faults.
	minPeace, maxPeace = 200 * time.Millisecond, 2500 * time.Millisecond
	// maxFault bounds how long one lasts.
	maxFault = 8 * time.Second
)

// allFaults are what can be broken. Those that come twice come more often. "go test" runs the steady ones; the others still find defects now and then.
var allFaults = []fault{
	{"crash", crash, false},
	{"crash", crash, false},
	{"crash", crash, false},
	{"restart", restart, false},
	{"power of all", powerOfAll, false},
	{"partition", partition, false},
	{"one-way partition", oneWay, false},
	{"reject", reject, false},
	{"proxy", proxy, false},
	{"hold", hold, false},
	{"delay", delay, true},
	{"break", breakAll, true},
	{"disk full", diskFull, false},
	{"no room", noRoom, false},
	{"slow disk", slowDisk, true},
	{"clock", setSomeClock, true},
	{"release", changeRelease, false},
}

// changes are what an operator does to a cluster that runs. They are for wide runs.
var changes = []fault{{"drain", drain, false}, {"replace", replace, false}, {"join", join, false}, {"retire", retire, false}}

// breakThings lets faults begin until ctx ends, and returns when all are healed and all nodes are started.
func (w *world) breakThings(ctx context.Context) {
	rng := rand.New(rand.NewPCG(w.seed, 3))
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxFaults)
	for pause(ctx, between(rng, minPeace, maxPeace)) {
		f, own := w.faults, rand.New(rand.NewPCG(rng.Uint64(), 0))
		if len(f) == 0 {
			continue
		}
		chosen := f[rng.IntN(len(f))]
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			w.trace.printf("fault: %s", chosen.name)
			chosen.run(ctx, w, own)
			w.trace.printf("healed: %s", chosen.name)
		})
	}
	wg.Wait()
	for _, m := range w.machines() {
		if m.isOld() && (w.level() == metadata.FeatureMax || rng.IntN(2) == 0) {
			m.become(false)
		}
		m.start()
	}
}

func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

func (w *world) some(rng *rand.Rand) *machine {
	all := w.machines()
	return all[rng.IntN(len(all))]
}

// twoOf are two different machines.
func (w *world) twoOf(rng *rand.Rand) (a, b *machine) {
	all := w.machines()
	p := rng.Perm(len(all))
	return all[p[0]], all[p[1]]
}

// crash cuts the power of a node.
func crash(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	m.crash(rng.IntN(2) == 0, []int{0, 50, 90}[rng.IntN(3)], rng)
	pause(ctx, between(rng, 0, maxFault))
	m.start()
}

// powerOfAll cuts the power of all nodes at once.
func powerOfAll(ctx context.Context, w *world, rng *rand.Rand) {
	all := w.machines()
	for _, m := range all {
		m.crash(rng.IntN(2) == 0, []int{0, 50, 90}[rng.IntN(3)], rng)
	}
	for _, i := range rng.Perm(len(all)) {
		pause(ctx, between(rng, 0, time.Second))
		all[i].start()
	}
}

// restart stops a node in order.
func restart(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	m.stop()
	pause(ctx, between(rng, 0, maxFault/4))
	m.start()
}

// partition separates a node from the others, both ways. Clients still reach it.
func partition(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	w.trace.printf("partition of %s", m.ip)
	all := w.machines()
	for _, o := range all {
		if o != m {
			w.net.Hold(m.ip, o.ip)
			w.net.Hold(o.ip, m.ip)
		}
	}
	pause(ctx, between(rng, time.Second, maxFault))
	for _, o := range all {
		if o != m {
			w.net.Release(m.ip, o.ip)
			w.net.Release(o.ip, m.ip)
			if rng.IntN(2) == 0 {
				w.net.Break(m.ip, o.ip) // it has lasted too long for their connections
			}
		}
	}
}

// oneWay lets nothing of one node reach another.
func oneWay(ctx context.Context, w *world, rng *rand.Rand) {
	a, b := w.twoOf(rng)
	w.trace.printf("nothing gets from %s to %s", a.ip, b.ip)
	w.net.Hold(a.ip, b.ip)
	pause(ctx, between(rng, time.Second, maxFault))
	w.net.Release(a.ip, b.ip)
	if rng.IntN(2) == 0 {
		w.net.Break(a.ip, b.ip)
	}
}

// reject has a firewall reset what a node sends to others, or what they send to it, or both, for some of them or all.
func reject(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	out, in, all := rng.IntN(3) > 0, rng.IntN(3) > 0, rng.IntN(2) == 0
	var others []*machine
	for _, o := range w.machines() {
		if o != m && (all || rng.IntN(2) == 0) {
			others = append(others, o)
		}
	}
	w.trace.printf("%s and %d others: rejected out %v, in %v", m.ip, len(others), out, in)
	for _, o := range others {
		if out {
			w.net.Reject(m.ip, o.ip)
		}
		if in {
			w.net.Reject(o.ip, m.ip)
		}
	}
	pause(ctx, between(rng, 100*time.Millisecond, maxFault))
	for _, o := range others {
		w.net.Allow(m.ip, o.ip)
		w.net.Allow(o.ip, m.ip)
	}
}

// proxy ends a node's connections with the others at both ends, as what carries them does when it dies, and has new ones refused until it is back.
func proxy(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	w.trace.printf("the proxy of %s dies", m.ip)
	all := w.machines()
	for _, o := range all {
		if o != m {
			w.net.Finish(m.ip, o.ip)
			w.net.Reject(m.ip, o.ip)
			w.net.Reject(o.ip, m.ip)
		}
	}
	pause(ctx, between(rng, 0, maxFault))
	for _, o := range all {
		w.net.Allow(m.ip, o.ip)
		w.net.Allow(o.ip, m.ip)
	}
}

// hold keeps back all that a node sends and is sent, by clients too, as if it were paused, and delivers it later.
func hold(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	w.trace.printf("%s is held", m.ip)
	others := []string{clientIP}
	for _, o := range w.machines() {
		if o != m {
			others = append(others, o.ip)
		}
	}
	for _, o := range others {
		w.net.Hold(m.ip, o)
		w.net.Hold(o, m.ip)
	}
	pause(ctx, between(rng, 0, maxFault))
	for _, o := range others {
		w.net.Release(m.ip, o)
		w.net.Release(o, m.ip)
	}
}

// delay makes a way between two nodes slow.
func delay(ctx context.Context, w *world, rng *rand.Rand) {
	a, b := w.twoOf(rng)
	by := between(rng, 5*time.Millisecond, 400*time.Millisecond)
	w.trace.printf("from %s to %s takes up to %v", a.ip, b.ip, by)
	w.slow.set(a.ip, b.ip, by)
	pause(ctx, between(rng, time.Second, maxFault))
	w.slow.set(a.ip, b.ip, 0)
}

// breakAll resets all connections between two nodes.
func breakAll(_ context.Context, w *world, rng *rand.Rand) {
	a, b := w.twoOf(rng)
	w.trace.printf("the connections of %s and %s break", a.ip, b.ip)
	w.net.Break(a.ip, b.ip)
}

// onDisk runs a fault of a node's disk; the node is not sound from then on.
func onDisk(ctx context.Context, w *world, rng *rand.Rand, inject func(fs *fsys.Mem), heal func(fs *fsys.Mem)) {
	m := w.some(rng)
	r := m.current()
	if r == nil {
		return
	}
	w.trace.printf("the disk of %s", m.ip)
	r.faulty.Store(true)
	inject(r.fs)
	pause(ctx, between(rng, time.Second, maxFault))
	heal(r.fs)
}

// diskFull has writes fail.
func diskFull(ctx context.Context, w *world, rng *rand.Rand) {
	onDisk(ctx, w, rng, func(fs *fsys.Mem) {
		fs.Inject(func(op fsys.Op, _ string) error {
			if op == fsys.OpWrite || op == fsys.OpCreate || op == fsys.OpMkdir {
				return syscall.ENOSPC
			}
			return nil
		})
	}, func(fs *fsys.Mem) { fs.Inject(nil) })
}

// noRoom has the disk say that it is nearly full.
func noRoom(ctx context.Context, w *world, rng *rand.Rand) {
	var was fsys.DiskUsage
	onDisk(ctx, w, rng, func(fs *fsys.Mem) {
		was, _ = fs.GetDiskUsage("/") // it cannot fail
		fs.SetDiskUsage(fsys.DiskUsage{AvailBytes: 1 << 20, TotalBytes: was.TotalBytes, UsedBytes: was.TotalBytes - 1<<20})
	}, func(fs *fsys.Mem) { fs.SetDiskUsage(was) })
}

// slowDisk has syncs take long.
func slowDisk(ctx context.Context, w *world, rng *rand.Rand) {
	by := between(rng, time.Millisecond, 300*time.Millisecond)
	onDisk(ctx, w, rng, func(fs *fsys.Mem) {
		fs.Inject(func(op fsys.Op, _ string) error {
			if op == fsys.OpSync {
				time.Sleep(by)
			}
			return nil
		})
	}, func(fs *fsys.Mem) { fs.Inject(nil) })
}

// slowWays says how long writes take.
type slowWays struct {
	mu  sync.Mutex
	rng *rand.Rand
	by  map[[2]string]time.Duration
}

// The time that a write takes when nothing is slow.
const minDelay, maxDelay = 100 * time.Microsecond, 2 * time.Millisecond

func (s *slowWays) delay(from, to string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := maxDelay
	if by := s.by[[2]string{from, to}]; by > 0 {
		most = by
	}
	return between(s.rng, minDelay, most)
}

func (s *slowWays) set(from, to string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[[2]string]time.Duration{}
	}
	s.by[[2]string{from, to}] = by
}
