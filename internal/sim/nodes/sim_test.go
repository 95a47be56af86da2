package nodes

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/proctest"
	"github.com/millracedb/millrace/internal/sim/bubble"
	"github.com/millracedb/millrace/internal/testenv"
)

const (
	// ciSeeds is how many seeds "go test" runs.
	ciSeeds = 4
	// seedLimit is the real time after which a seed is taken to hang though no virtual time passes; it then keeps its trace and prints its goroutines. It takes seconds, on a machine that has much else to
	// do minutes.
	seedLimit = time.Hour
	// insideEnv tells a process that it is one of its own, and where to write what became of its seed.
	insideEnv = "MILLRACE_SIM_INSIDE"
	// brokenEnv gives such a process disks that lie.
	brokenEnv = "MILLRACE_SIM_BROKEN"
	// wideEnv asks for more than three nodes, for an operator who changes the cluster, and for more kinds of clients.
	wideEnv = "MILLRACE_SIM_WIDE"
)

// chosenFaults are those that MILLRACE_SIM_FAULTS names, with commas between, or all; the steady ones if it is not set.
func chosenFaults(t *testing.T) []fault {
	t.Helper()
	names := os.Getenv("MILLRACE_SIM_FAULTS")
	var out []fault
	known := allFaults
	if wide() {
		known = slices.Concat(allFaults, changes)
	}
	for _, f := range known {
		if names == "all" || names == "" && f.steady || slices.Contains(strings.Split(names, ","), f.name) {
			out = append(out, f)
		}
	}
	require.NotEmpty(t, out, "MILLRACE_SIM_FAULTS=%s names no fault", names)
	return out
}

// wide reports whether runs are wide.
func wide() bool { return os.Getenv(wideEnv) != "" }

// usualClients are those of every run; moreClients take turns with them in wide runs.
var (
	usualClients = []func(*world) client{newEvents, newBank, newProducers, newTransactions, newNames}
	moreClients  = []func(*world) client{newRegisters, newPipeline}
)

// clientsOf are those of a seed: as many in a wide run as in another, so that it takes no longer.
func clientsOf(seed uint64) []func(*world) client {
	if !wide() {
		return usualClients
	}
	all := slices.Concat(usualClients, moreClients)
	turn := int(seed % uint64(len(all)))
	return slices.Concat(all[turn:], all[:turn])[:len(usualClients)]
}

// nodesOf is how many nodes a seed begins with.
func nodesOf(seed uint64) int {
	if wide() && seed%5 == 4 {
		return 5
	}
	return 3
}

// outcome is what the process of a seed tells.
type outcome struct {
	Violations   []string
	Wrong        bool // one of them is not only that something did not come to an end
	Acknowledged map[string]int
	Trace        string // the file
}

func TestAClusterOfWholeNodesKeepsItsPromises(t *testing.T) {
	first, seeds, repeat := testenv.Int(t, "MILLRACE_SEED", 1), testenv.Int(t, "MILLRACE_SIM_SEEDS", ciSeeds), testenv.Int(t, "MILLRACE_SIM_REPEAT", 1)
	program := build(t)
	t.Run("time passes while a goroutine waits for a mutex", func(t *testing.T) { runInside(t, program, "TestInsideMutexes", insideEnv+"=") })
	t.Run("segments that are not synced are missed", func(t *testing.T) {
		const tries = 5 // a node may lose power when it has nothing to lose
		for seed := 1; seed <= tries; seed++ {
			if o := runSeed(t, program, seed, brokenEnv+"=1", "MILLRACE_SIM_FAULTS=power of all", "TMPDIR="+t.TempDir()); len(o.Violations) > 0 {
				return // rows are missing as a rule, but it may be that replicas never agree again
			}
		}
		t.Errorf("nobody misses them in %d seeds", tries)
	})
	var mu sync.Mutex
	total := map[string]int{}
	forgiven := testenv.Int(t, "MILLRACE_SIM_FORGIVE", 0)
	// forgive reports whether a seed in which something did not come to an end may show that it can succeed.
	forgive := func() bool {
		mu.Lock()
		defer mu.Unlock()
		forgiven--
		return forgiven >= 0
	}
	t.Run("seeds", func(t *testing.T) {
		for seed := first; seed < first+seeds; seed++ {
			for range repeat {
				t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
					t.Parallel()
					begun := time.Now()
					o := runSeed(t, program, seed)
					t.Logf("%v, acknowledged: %v", time.Since(begun).Round(100*time.Millisecond), o.Acknowledged)
					if len(o.Violations) > 0 && !o.Wrong && forgive() {
						t.Logf("FAILED ONCE, and is run again; trace: %s\n%s", o.Trace, strings.Join(o.Violations, "\n"))
						o = runSeed(t, program, seed)
					}
					for _, v := range o.Violations {
						t.Error(v)
					}
					if t.Failed() {
						t.Logf("trace: %s\nto repeat: MILLRACE_SEED=%d MILLRACE_SIM_SEEDS=1 MILLRACE_SIM_REPEAT=10 MILLRACE_SIM_FAULTS=%q %s=%s go test -run WholeNodes ./internal/sim/nodes", o.Trace, seed, os.Getenv("MILLRACE_SIM_FAULTS"), wideEnv, os.Getenv(wideEnv))
					}
					mu.Lock()
					defer mu.Unlock()
					for k, n := range o.Acknowledged {
						total[k] += n
					}
				})
			}
		}
	})
	t.Logf("acknowledged: %v", total)
	for k, n := range total {
		require.Positive(t, n, "%s gets nothing done", k)
	}
}

// unsynced are the syncs that broken disks leave out.
func unsynced(op fsys.Op, path string) bool {
	return op == fsys.OpSync && segmentFile.MatchString(path)
}

var segmentFile = regexp.MustCompile(`^/data/[^/]+-\d+/\d+\.log$`)

// runSeed runs a seed in a process of its own: see package bubble. Besides, what libraries keep for the whole process does not go from one bubble to the next, and on one processor a seed goes much
// the same way each time.
func runSeed(t *testing.T, program string, seed int, env ...string) (o outcome) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "result.json")
	if out, err := inProcess(t, program, "TestInsideOneSeed", append(env, insideEnv+"="+file, fmt.Sprint("MILLRACE_SEED=", seed))...); err != nil {
		return outcome{Wrong: true, Violations: []string{fmt.Sprintf("%v:\n%s", err, out)}} // a panic, or it hangs
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &o))
	return o
}

// build compiles the tests of this package for the processes of seeds, and returns the program's path.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nodes.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "mutexesblock", "-ldflags=-checklinkname=0", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// runInside runs a test of the program, which must succeed.
func runInside(t *testing.T, program, test string, env ...string) {
	t.Helper()
	out, err := inProcess(t, program, test, env...)
	require.NoError(t, err, "%s %s:\n%s", test, env, out)
}

// inProcess runs a test of the program, and returns what it says.
func inProcess(t *testing.T, program, test string, env ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+test+"$", "-test.timeout=0")
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1", "GOTRACEBACK=all"), env...)
	cmd.SysProcAttr = proctest.EndWithTest(&syscall.SysProcAttr{}, syscall.SIGKILL)
	return cmd.CombinedOutput()
}

// inside reports whether the test runs in a process of its own, and prepares that. It returns what the process was given.
func inside(t *testing.T) (file string, ok bool) {
	t.Helper()
	file, ok = os.LookupEnv(insideEnv)
	if ok {
		require.NoError(t, bubble.MutexesBlock())
	}
	return file, ok
}

// TestInsideOneSeed is what the process of a seed runs.
func TestInsideOneSeed(t *testing.T) {
	file, ok := inside(t)
	if !ok {
		return
	}
	seed := uint64(testenv.Int(t, "MILLRACE_SEED", 1))
	tr := &trace{}
	hangs := time.AfterFunc(seedLimit, func() {
		panic(fmt.Sprintf("seed %d takes more than %v; its trace: %s", seed, seedLimit, tr.keep(seed)))
	})
	defer hangs.Stop()
	p := plan{seed: seed, trace: tr, nodes: nodesOf(seed), clients: clientsOf(seed), faults: chosenFaults(t)}
	p.older = upgrades(p)
	if os.Getenv(brokenEnv) != "" {
		p.skip = unsynced
	}
	synctest.Test(t, func(t *testing.T) {
		r := simulate(t.Context(), p)
		o := outcome{Violations: r.violations, Wrong: r.wrong, Acknowledged: r.acknowledged}
		if len(r.violations) > 0 || os.Getenv("MILLRACE_SIM_TRACE") != "" {
			o.Trace = tr.keep(seed)
		}
		data, err := json.Marshal(o)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, data, 0o600))
		os.Exit(0) // the nodes go with the process
	})
}

// TestInsideMutexes holds what package bubble promises.
func TestInsideMutexes(t *testing.T) {
	if _, ok := inside(t); !ok {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		var plain sync.Mutex
		var both sync.RWMutex
		var wg sync.WaitGroup
		hold := func(lock, unlock func()) {
			lock()
			defer unlock()
			time.Sleep(time.Hour)
		}
		begin := time.Now()
		for range 2 {
			wg.Go(func() { hold(plain.Lock, plain.Unlock) })
			wg.Go(func() { hold(both.Lock, both.Unlock) })
			wg.Go(func() { hold(both.RLock, both.RUnlock) })
		}
		wg.Wait()
		require.GreaterOrEqual(t, time.Since(begin), 3*time.Hour)
	})
}
