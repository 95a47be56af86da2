//go:build operations

package doctest

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// commandLimit bounds one block of commands, and what is waited for between two.
const commandLimit = 3 * time.Minute

// TestTheCommandsOfTheOperationsPageRun types the commands of docs/operations.md from top to bottom, into a shell, with real processes on the ports that the page names. A block that it does not know fails.
// It needs psql and openssl; Apache Kafka's tools are run if they are found under the names that the page uses.
func TestTheCommandsOfTheOperationsPageRun(t *testing.T) {
	data, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	w := &walk{t: t, dir: t.TempDir(), bin: nodetest.Build(t), flags: map[string][]string{}, nodes: map[string]*nodetest.Process{}}
	t.Cleanup(func() {
		for _, p := range w.nodes {
			p.Kill()
		}
	})
	for _, block := range blocks(string(data)) {
		t.Log(block)
		w.block(block)
	}
	w.stop(slices.Collect(maps.Keys(w.nodes))...)
}

// blocks are the indented blocks of a page.
func blocks(page string) (out []string) {
	inside := false
	for line := range strings.Lines(page) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && inside:
			out[len(out)-1] += code
		case indented:
			out = append(out, code)
		}
		inside = indented
	}
	return out
}

// walk is who types the page.
type walk struct {
	t        *testing.T
	dir, bin string
	flags    map[string][]string // of each node, by its id
	nodes    map[string]*nodetest.Process
}

func (w *walk) block(block string) {
	starts := func(prefix string) bool { return strings.HasPrefix(block, prefix) }
	switch {
	case starts("millrace serve"):
		w.serve(block)
	case starts("--node-tls-cert"):
		w.certificates(block)
	case starts("cat > move.json"), starts("kafka-"):
		if _, err := exec.LookPath("kafka-reassign-partitions"); err != nil {
			w.t.Log("not run: there are no tools of Apache Kafka")
			return
		}
		w.shell(block)
	case starts("ALTER NODE 3 REMOVE"):
		w.replace(block)
	case starts("ALTER NODE"):
		w.sql(block)
	case starts("kill -TERM PID\n"):
		w.stop("1")
		w.start("1")
		w.whole()
	case starts("kill -TERM PID-1"):
		w.backup(block)
	case starts("psql -h 127.0.0.1 -p 5440"):
		other := nodetest.StartProcess(w.t, w.bin, "--ephemeral", "--pg", "127.0.0.1:5440", "--kafka", "off", "--raft", "off", "--http", "off")
		defer other.Kill()
		w.shell(block)
	case starts("psql"), starts("openssl"):
		w.shell(block)
	default:
		w.t.Fatalf("nobody knows how to run\n%s", block)
	}
}

// shell runs a block as it stands, but for the directories of data, and returns what it prints.
func (w *walk) shell(block string) string {
	w.t.Helper()
	out, err := w.try(block)
	require.NoError(w.t, err, "%s\n%s", block, out)
	w.t.Log(out)
	return out
}

func (w *walk) try(block string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-c", w.here(block))
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// here has data directories lie in the test's directory.
func (w *walk) here(text string) string {
	return strings.NewReplacer("/tmp/m", w.dir+"/m", "-C /tmp ", "-C "+w.dir+" ").Replace(text)
}

func (w *walk) sql(statement string) string {
	w.t.Helper()
	return w.shell(`psql -h 127.0.0.1 -p 5432 -U millrace millrace -v ON_ERROR_STOP=1 -At <<'END'` + "\n" + statement + "\nEND\n")
}

// until waits for a query to answer so.
func (w *walk) until(want, query string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		out, err := w.try(`psql -h 127.0.0.1 -p 5432 -U millrace millrace -Atc "` + query + `"`)
		return err == nil && strings.TrimSpace(out) == want
	}, commandLimit, 100*time.Millisecond, query)
}

// whole waits until every node is online and every replica in sync, as the page says before an upgrade.
func (w *walk) whole() {
	w.t.Helper()
	w.until("0", "SELECT count(*) FROM millrace.nodes WHERE state <> 'online'")
	w.until("0", "SELECT count(*) FROM millrace.partitions WHERE length(isr) < length(replicas)")
}

// serve starts the nodes of a block, again those that run. The first are given what the page goes on with.
func (w *walk) serve(block string) {
	var ids []string
	for line := range strings.Lines(strings.ReplaceAll(w.here(block), "\\\n", "")) {
		args := strings.Fields(line)[2:]
		id := args[slices.Index(args, "--node-id")+1]
		if w.nodes[id] != nil {
			w.stop(id)
		}
		w.flags[id] = args
		ids = append(ids, id)
	}
	first := len(w.nodes) == 0
	w.start(ids...)
	if first {
		w.sql(`CREATE TABLE acc (id INT PRIMARY KEY, v INT); INSERT INTO acc SELECT n, n FROM generate_series(1, 1000) n;
			CREATE STREAM orders (customer TEXT, amount BIGINT) WITH (topic = 'orders', value_format = 'json');
			CREATE TABLE totals AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
			INSERT INTO orders SELECT 'c' || n % 50, n FROM generate_series(1, 5000) n;`)
	}
	w.whole()
}

func (w *walk) start(ids ...string) {
	w.t.Helper()
	started := make([]*nodetest.Process, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { started[i] = nodetest.StartProcess(w.t, w.bin, w.flags[id]...) })
	}
	wg.Wait()
	for i, id := range ids {
		if started[i] != nil {
			w.nodes[id] = started[i]
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func (w *walk) stop(ids ...string) {
	w.t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, len(ids))
	for i, id := range ids {
		wg.Go(func() { errs[i] = w.nodes[id].Stop() })
	}
	wg.Wait()
	for i, id := range ids {
		require.NoError(w.t, errs[i], "stopping node %s", id)
		delete(w.nodes, id)
	}
}

// certificates has all nodes change over to the flags of the block, each to its own, and back.
func (w *walk) certificates(block string) {
	ids := slices.Collect(maps.Keys(w.nodes))
	plain := maps.Clone(w.flags)
	w.stop(ids...)
	for _, id := range ids {
		for _, word := range strings.Fields(strings.ReplaceAll(block, "node-1.", "node-"+id+".")) {
			if !strings.HasPrefix(word, "-") {
				word = filepath.Join(w.dir, word)
			}
			w.flags[id] = append(slices.Clip(w.flags[id]), word)
		}
	}
	w.start(ids...)
	w.whole()
	w.stop(ids...)
	w.flags = plain
	w.start(ids...)
	w.whole()
}

// replace removes node 3, which was drained, and has a machine with an empty directory replace it under its id.
func (w *walk) replace(block string) {
	w.until("drained", "SELECT state FROM millrace.nodes WHERE id = 3")
	w.until("0", "SELECT count(*) FROM millrace.partitions WHERE ',' || replicas || ',' LIKE '%,3,%'")
	w.stop("3")
	w.sql(block)
	require.NoError(w.t, os.RemoveAll(w.dir+"/m3"))
	w.start("3")
	w.whole()
}

// backup runs the copying of a block with all nodes stopped, and starts them on the copies.
func (w *walk) backup(block string) {
	ids := slices.Collect(maps.Keys(w.nodes))
	w.stop(ids...)
	_, copying, _ := strings.Cut(block, "\n")
	w.shell(copying)
	w.shell("for n in 1 2 3; do rm -r /tmp/m$n; tar -xf backup-$n.tar -C /tmp ; done")
	w.start(ids...)
	w.whole()
	require.Equal(w.t, "1000\n50\n", w.sql("SELECT count(*) FROM acc; SELECT count(*) FROM totals;"))
}
