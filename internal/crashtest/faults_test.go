//go:build faults && linux

package crashtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/testenv"
)

const (
	// machines is how many nodes there are.
	machines = 3
	// warm and after are how often each client must succeed before the fault, and after it is healed, for a cycle to go on.
	warm, after = 5, 5
	// flowLimit bounds how long that may take: longer means that somebody would have to help.
	flowLimit = 3 * time.Minute
	// checkPause is how often a condition is looked at.
	checkPause = 100 * time.Millisecond
)

// faultRun is one run of TestRealFaults.
type faultRun struct {
	t     *testing.T
	rand  *rand.Rand // of what is done to whom: nothing else, so that a seed says it
	dials *rand.Rand
	net   *network
	nodes []*machine
	load  *load

	older, newer build
	upgraded     bool // the nodes run the newer one

	notes, troubles []string // of the cycle under way
}

// fault is something that is done to a node of the cluster, and undone.
type fault struct {
	name   string
	inject func(*faultRun, *machine)
	lasts  time.Duration // and up to as much again
	heal   func(*faultRun, *machine)
}

func (r *faultRun) others(m *machine) []int {
	var out []int
	for _, o := range r.nodes {
		if o != m {
			out = append(out, o.id)
		}
	}
	return out
}

// cut loses what passes between m and the ports, in the directions that are asked for.
func (r *faultRun) cut(m *machine, out, in bool, ports ...int) {
	for _, p := range ports {
		r.net.set(m.id, p, link{cut: out})
		r.net.set(p, m.id, link{cut: in})
	}
}

// reject answers what m sends to the other nodes, or they to it, with a reset, as a firewall does that is told to.
func (r *faultRun) reject(m *machine, out, in bool) {
	for _, p := range r.others(m) {
		r.net.set(m.id, p, link{reject: out})
		r.net.set(p, m.id, link{reject: in})
	}
}

func mended(r *faultRun, _ *machine) { r.net.heal() }

// faults are what can happen. What a node needs to be started again by hand is not among the healing: its supervisor starts it.
var faults = []fault{
	{"kill -9", func(_ *faultRun, m *machine) { m.signal(syscall.SIGKILL, false) }, 3 * time.Second, func(_ *faultRun, m *machine) { m.want() }},
	{"SIGSTOP", func(_ *faultRun, m *machine) { m.signal(syscall.SIGSTOP, true) }, 5 * time.Second, func(_ *faultRun, m *machine) { m.signal(syscall.SIGCONT, true) }},
	{"isolated", func(r *faultRun, m *machine) { r.cut(m, true, true, append(r.others(m), clientPort)...) }, 5 * time.Second, mended},
	{"cut from nodes", func(r *faultRun, m *machine) { r.cut(m, true, true, r.others(m)...) }, 5 * time.Second, mended},
	{"mute to nodes", func(r *faultRun, m *machine) { r.cut(m, true, false, r.others(m)...) }, 5 * time.Second, mended},
	{"deaf to nodes", func(r *faultRun, m *machine) { r.cut(m, false, true, r.others(m)...) }, 5 * time.Second, mended},
	{"reject", func(r *faultRun, m *machine) { r.reject(m, true, true) }, 5 * time.Second, mended},
	{"reject from nodes", func(r *faultRun, m *machine) { r.reject(m, false, true) }, 5 * time.Second, mended},
	{"reject to nodes", func(r *faultRun, m *machine) { r.reject(m, true, false) }, 5 * time.Second, mended},
	{"loss and delay", func(r *faultRun, m *machine) {
		for _, p := range append(r.others(m), clientPort) {
			l := link{loss: 0.03, delay: 20 * time.Millisecond}
			r.net.set(m.id, p, l)
			r.net.set(p, m.id, l)
		}
	}, 5 * time.Second, mended},
	{"full disk", func(r *faultRun, m *machine) { require.NoError(r.t, m.fill()) }, 4 * time.Second, func(r *faultRun, m *machine) { require.NoError(r.t, m.empty()) }},
	{"slow disk", func(r *faultRun, m *machine) {
		require.NoError(r.t, m.slow(time.Duration(100+r.rand.IntN(900))*time.Millisecond))
	}, 4 * time.Second, func(r *faultRun, m *machine) { require.NoError(r.t, m.slow(0)) }},
	{"restart", func(r *faultRun, m *machine) { r.stop(m); m.want() }, time.Second, func(*faultRun, *machine) {}},
	{"rolling restart", func(r *faultRun, _ *machine) {
		for _, m := range r.nodes {
			r.stop(m)
			m.want()
			r.whole(r.t.Context())
		}
	}, time.Second, func(*faultRun, *machine) {}},
	{rollingUpgrade, func(r *faultRun, _ *machine) { r.upgrade() }, time.Second, func(*faultRun, *machine) {}},
}

// stop asks a node to stop in order and waits for it.
func (r *faultRun) stop(m *machine) {
	m.signal(syscall.SIGTERM, false)
	require.True(r.t, r.until(r.t.Context(), func() bool { return !m.running() }), "node %d does not stop", m.id)
}

// until waits for a condition, at most flowLimit.
func (r *faultRun) until(ctx context.Context, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, flowLimit)
	defer cancel()
	tick := time.NewTicker(checkPause)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// dial connects to any node that answers.
func (r *faultRun) dial(ctx context.Context) (*pgx.Conn, error) {
	var errs []error
	for _, i := range r.dials.Perm(len(r.load.pg)) {
		limited, cancel := context.WithTimeout(ctx, dialLimit)
		conn, err := connect(limited, r.load.pg[i])
		cancel()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// ask returns the first column of the first row of a query as text; empty if nobody answers.
func (r *faultRun) ask(ctx context.Context, query string) string {
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return ""
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var out string
	if err := conn.QueryRow(ctx, query).Scan(&out); err != nil {
		return ""
	}
	return out
}

// whole waits until every node is online and every replica in sync.
func (r *faultRun) whole(ctx context.Context) bool {
	return r.until(ctx, func() bool {
		return r.ask(ctx, "SELECT count(*)::text FROM millrace.nodes WHERE state = 'online'") == fmt.Sprint(machines) &&
			r.ask(ctx, fmt.Sprintf("SELECT count(*)::text FROM millrace.partitions WHERE length(isr::text) < length(replicas::text) OR length(replicas::text) < %d", 2*machines-1)) == "0"
	})
}

// row is what one cycle has shown.
type row struct {
	fault  string
	node   string
	pauses []time.Duration // by meter of the load
	errs   []int
	healed time.Duration // from the healing until all clients succeed and all replicas are in sync
	ends   int           // how often a process ended by itself
	rows   int
	said   []string // notes, and errors that idempotent producers were told: not wrong, but never to be seen by users who restart a node
	wrong  string
}

func (r *faultRun) cycle(ctx context.Context, f fault) (row, bool) {
	victim := r.nodes[r.rand.IntN(len(r.nodes))]
	out := row{fault: f.name, node: fmt.Sprint(victim.id)}
	r.notes, r.troubles = nil, nil
	if r.ask(ctx, "SELECT id::text FROM millrace.nodes WHERE queries") == out.node {
		out.node += "*"
	}
	ends := 0
	for _, m := range r.nodes {
		ends -= m.ended()
	}
	running, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	clients.Go(func() { r.load.run(running) })
	flows := func(n int) bool {
		return r.until(ctx, func() bool {
			return !slices.ContainsFunc(r.load.meters, func(m *meter) bool { done, _, _ := m.read(); return done < n })
		})
	}
	fail := func(what string) (row, bool) {
		cancel()
		clients.Wait()
		out.wrong = what
		return out, false
	}
	if !flows(warm) {
		return fail("nothing flows before the fault: " + r.quiet(warm))
	}
	for _, m := range r.load.meters {
		m.begin()
	}
	f.inject(r, victim)
	<-time.After(f.lasts + time.Duration(r.rand.Int64N(int64(f.lasts))))
	f.heal(r, victim)
	healed := time.Now()
	marks := make([]int, len(r.load.meters))
	for i, m := range r.load.meters {
		marks[i], _, _ = m.read()
	}
	if !r.until(ctx, func() bool {
		for i, m := range r.load.meters {
			if done, _, _ := m.read(); done < marks[i]+after {
				return false
			}
		}
		return true
	}) {
		return fail("does not flow again: " + r.quiet(after))
	}
	if !r.whole(ctx) {
		return fail("replicas stay out of sync: " + r.ask(ctx, "SELECT string_agg(topic || '-' || partition || ' isr ' || isr::text, ', ') FROM millrace.partitions WHERE length(isr::text) < length(replicas::text)"))
	}
	out.healed, out.said = time.Since(healed), r.notes
	for _, m := range r.load.meters {
		_, errs, longest := m.read()
		out.pauses, out.errs = append(out.pauses, longest), append(out.errs, errs)
		if errs > 0 && m.producer {
			out.said = append(out.said, fmt.Sprintf("%s: %v", m.name, m.said()))
		}
	}
	cancel()
	clients.Wait()
	for _, m := range r.nodes {
		ends += m.ended()
	}
	out.ends = ends
	out.wrong = strings.Join(r.troubles, "; ")
	if err := r.load.compare(ctx, r.dial); err != nil {
		out.wrong += " " + err.Error()
	}
	if n := r.load.stale.Swap(0); n > 0 {
		out.wrong += fmt.Sprintf(" %d reads of views missed rows, such as %s", n, *r.load.staleSaid.Load())
	}
	out.rows = len(r.load.mu.acked) + len(r.load.mu.copied) + int(r.load.clicks.count.Load()+r.load.deals.count.Load())
	return out, true
}

// quiet names the clients that have succeeded less than n times.
func (r *faultRun) quiet(n int) string {
	var names []string
	for _, m := range r.load.meters {
		if done, _, longest := m.read(); done < n || longest > flowLimit/2 {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ", ")
}

func TestRealFaultsLoseAndDoubleNothing(t *testing.T) {
	require.Zero(t, os.Geteuid(), "the real-fault test makes network namespaces and mounts: run it as root")
	cycles := testenv.Int(t, "MILLRACE_FAULT_CYCLES", 3)
	seed := uint64(testenv.Int(t, "MILLRACE_SEED", 1))
	chosen := chooseFaults(t, os.Getenv("MILLRACE_FAULTS"))
	logs := logsOf(t)
	fmt.Printf("seed %d, %d cycles; logs of the nodes: %s\n", seed, cycles, logs)
	sweep(t)
	r := &faultRun{t: t, rand: rand.New(rand.NewPCG(seed, 4)), dials: rand.New(rand.NewPCG(seed, 5))}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	r.newer = buildFaulty(t, root, "this")
	r.upgraded = !slices.ContainsFunc(chosen, func(f fault) bool { return f.name == rollingUpgrade })
	first := r.newer
	if !r.upgraded {
		r.older = buildOlder(t, root, os.Getenv("MILLRACE_FAULT_FROM"))
		first = r.older
	}
	r.net = newNetwork(t, machines, seed)
	var peers, pg, kafka []string
	for id := 1; id <= machines; id++ {
		peers = append(peers, fmt.Sprintf("%d@%s:%d", id, r.net.addr(id), raftPort))
		pg, kafka = append(pg, fmt.Sprintf("%s:%d", r.net.addr(id), pgPort)), append(kafka, fmt.Sprintf("%s:%d", r.net.addr(id), kafkaPort))
	}
	r.load = newLoad(seed, testenv.Int(t, "MILLRACE_FAULT_VIEWS", 1), pg, kafka)
	for id := 1; id <= machines; id++ {
		r.nodes = append(r.nodes, newMachine(t, r.net, id, first.bin, logs, strings.Join(peers, ",")))
	}
	ctx, restore := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM) // a run that is stopped leaves nothing behind
	defer restore()
	require.True(t, r.whole(ctx), "the cluster does not form")
	conn, err := r.dial(ctx)
	require.NoError(t, err)
	create(ctx, t, conn)
	for _, f := range []*facts{r.load.clicks, r.load.deals} {
		_, err := conn.Exec(ctx, fmt.Sprintf(factStream, f.name))
		require.NoError(t, err)
		for _, view := range f.views {
			_, err := conn.Exec(ctx, fmt.Sprintf(factView, view, f.name))
			require.NoError(t, err, view)
		}
	}
	require.NoError(t, conn.Close(ctx))
	r.load.addForeign(t, os.Getenv("MILLRACE_FAULT_CLIENTS"), logs)

	r.net.wear(float64(testenv.Int(t, "MILLRACE_FAULT_BREAKS", 0)) / 1e6)
	table := newTable(r.load.meters)
	for n := range cycles {
		f := chosen[n%len(chosen)]
		if n%len(chosen) == 0 {
			r.rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
			if i := slices.IndexFunc(chosen, func(f fault) bool { return f.name == rollingUpgrade }); !r.upgraded && i > 0 {
				chosen[0], chosen[i] = chosen[i], chosen[0] // the older program is not what is tested
			}
			f = chosen[0]
		}
		out, ok := r.cycle(ctx, f)
		if ctx.Err() != nil {
			t.Errorf("cycle %d, %s of node %s: stopped by a signal", n+1, out.fault, out.node)
			break
		}
		table.add(n+1, out)
		if out.wrong != "" {
			t.Errorf("cycle %d, %s of node %s: %s", n+1, out.fault, out.node, out.wrong)
		}
		if !ok {
			break
		}
	}
	table.summary()
}

// chooseFaults reads a list of names of faults; all, if it is empty.
func chooseFaults(t *testing.T, list string) []fault {
	if list == "" {
		return slices.Clone(faults)
	}
	var out []fault
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		require.GreaterOrEqual(t, i, 0, "MILLRACE_FAULTS: no fault %q", name)
		out = append(out, faults[i])
	}
	return out
}
