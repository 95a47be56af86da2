package node_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/replication/metadata"
)

// What lies in raft's queues when it is shut down is never answered (see metadata.Store.wait), and where a disk has hung something does.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/raft.(*deferError).Error"))
}

func open(t *testing.T, fs fsys.FS) (*node.Node, *pgx.Conn) {
	t.Helper()
	n, err := nodetest.Open(t.Context(), node.Config{FS: fs})
	require.NoError(t, err)
	return n, nodetest.Connect(t, nodetest.ConnString(n))
}

func shut(t *testing.T, n *node.Node, conns ...*pgx.Conn) {
	t.Helper()
	for _, c := range conns {
		require.NoError(t, c.Close(t.Context()))
	}
	require.NoError(t, n.Close())
}

func exec(t *testing.T, conn *pgx.Conn, queries ...string) {
	t.Helper()
	for _, q := range queries {
		require.NoError(t, nodetest.Exec(within(t), conn, q), q)
	}
}

// texts returns a query's rows, columns separated by blanks.
func texts(t *testing.T, conn *pgx.Conn, query string) []string {
	t.Helper()
	rows, err := nodetest.Texts(t.Context(), conn, query)
	for ctx := within(t); nodetest.Unchanged(err) && ctx.Err() == nil; {
		rows, err = nodetest.Texts(ctx, conn, query)
	}
	require.NoError(t, err, query)
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.Join(r, " ")
	}
	return out
}

func code(err error) string {
	if e, ok := err.(*pgconn.PgError); ok { //nolint:errorlint // what the driver returns is what is tested
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestRestartKeepsRowsViewsAndOIDs(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn, "CREATE SCHEMA x", "CREATE TABLE x.t (id INT PRIMARY KEY, v INT)", "CREATE STREAM s (k INT KEY, v TEXT)",
		"CREATE MATERIALIZED VIEW sums AS SELECT v, count(*) AS n FROM x.t GROUP BY v", "CREATE ROLE jane LOGIN PASSWORD 'secret'",
		"INSERT INTO x.t SELECT n, n % 3 FROM generate_series(1, 100) n", "INSERT INTO s VALUES (1, 'a')")
	oids := "SELECT relname, oid FROM pg_class WHERE relname IN ('t', 's', 'sums') ORDER BY 1"
	before := texts(t, conn, oids)
	require.Len(t, before, 3)
	for range 2 {
		shut(t, n, conn)
		n, conn = open(t, fs)
		require.Equal(t, before, texts(t, conn, oids))
		require.Equal(t, []string{"0 33", "1 34", "2 33"}, texts(t, conn, "SELECT v, n FROM sums ORDER BY v"))
		require.Equal(t, []string{"1 a"}, texts(t, conn, "SELECT k, v FROM s"))
	}
	exec(t, conn, "INSERT INTO x.t VALUES (1000, 0)")
	require.Equal(t, []string{"0 34"}, texts(t, conn, "SELECT v, n FROM sums WHERE v = 0"))
	_, err := conn.Exec(t.Context(), "INSERT INTO x.t VALUES (5, 5)")
	require.Equal(t, "23505", code(err))
	exec(t, conn, "CREATE TABLE another (id INT PRIMARY KEY)")
	require.NotContains(t, before, texts(t, conn, "SELECT oid FROM pg_class WHERE relname = 'another'")[0])
	shut(t, n, conn)
}

func TestAcknowledgedRowsOutliveACrash(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE MATERIALIZED VIEW c AS SELECT count(*) AS n FROM t",
		"INSERT INTO t SELECT n FROM generate_series(1, 10) n", "PAUSE QUERY c", "INSERT INTO t VALUES (11)")
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	shut(t, n, conn)
	n, conn = open(t, crashed)
	require.Equal(t, []string{"11"}, texts(t, conn, "SELECT count(*) FROM t"))
	_, err := conn.Exec(t.Context(), "SELECT * FROM c")
	require.Equal(t, "55000", code(err), "the query is paused still, and says so at once")
	exec(t, conn, "RESUME QUERY c")
	require.Equal(t, []string{"11"}, texts(t, conn, "SELECT n FROM c"))
	shut(t, n, conn)
}

func TestDeletedOrDamagedStateIsRebuilt(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, fs *fsys.Mem){
		"deleted": func(t *testing.T, fs *fsys.Mem) { require.NoError(t, fs.RemoveAll("/data/state")) },
		"damaged": func(t *testing.T, fs *fsys.Mem) {
			names, err := fs.List("/data/state")
			require.NoError(t, err)
			for _, name := range names {
				if !strings.HasPrefix(name, "MANIFEST") && !strings.HasSuffix(name, ".log") && !strings.HasSuffix(name, ".sst") {
					continue
				}
				f, err := fs.OpenReadWrite("/data/state/"+name, fsys.Category)
				require.NoError(t, err)
				_, err = f.WriteAt([]byte("these bytes are not what was written"), 0)
				require.NoError(t, err)
				require.NoError(t, f.Close())
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := fsys.NewMem()
			n, conn := open(t, fs)
			exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE MATERIALIZED VIEW sums AS SELECT v, count(*) AS n FROM t GROUP BY v",
				"INSERT INTO t SELECT n, n % 2 FROM generate_series(1, 100) n", "DELETE FROM t WHERE id = 100")
			require.Equal(t, []string{"0 49", "1 50"}, texts(t, conn, "SELECT v, n FROM sums ORDER BY v"))
			shut(t, n, conn)
			harm(t, fs)
			n, conn = open(t, fs)
			require.Equal(t, []string{"0 49", "1 50"}, texts(t, conn, "SELECT v, n FROM sums ORDER BY v"))
			exec(t, conn, "INSERT INTO t VALUES (100, 0)")
			require.Equal(t, []string{"0 50"}, texts(t, conn, "SELECT v, n FROM sums WHERE v = 0"))
			shut(t, n, conn)
		})
	}
}

// TestDamagedSegmentTakesOnePartitionOffline harms bytes below the recovery point: nothing is cut, the partition names the place and takes
// no writes, and all others go on.
func TestDamagedSegmentTakesOnePartitionOffline(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn, "CREATE STREAM s (k INT KEY, v TEXT) WITH (partitions = 1)", "CREATE TABLE t (id INT PRIMARY KEY)",
		"INSERT INTO s VALUES (1, 'first')", "INSERT INTO s VALUES (2, 'second')", "INSERT INTO t VALUES (1)")
	shut(t, n, conn) // writes how far the files are known to be synced
	n, conn = open(t, fs)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{}) // after a clean stop the files would not be looked at so closely
	shut(t, n, conn)
	segment := "/data/s-0/00000000000000000000.log"
	info, err := crashed.Stat(segment)
	require.NoError(t, err)
	f, err := crashed.OpenReadWrite(segment, fsys.Category)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("XXXX"), info.Size()-8)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())

	n, conn = open(t, crashed)
	state := texts(t, conn, "SELECT state FROM millrace.partitions WHERE topic = 's'")
	require.Len(t, state, 1)
	require.Contains(t, state[0], "00000000000000000000.log", "it names the file")
	_, err = conn.Exec(t.Context(), "INSERT INTO s VALUES (3, 'third')")
	require.Error(t, err)
	require.NotEqual(t, "XX000", code(err), err)
	require.Equal(t, []string{"1 first"}, texts(t, conn, "SELECT k, v FROM s"), "it is readable up to the damage")
	exec(t, conn, "INSERT INTO t VALUES (2)")
	require.Equal(t, []string{"2"}, texts(t, conn, "SELECT count(*) FROM t"))
	shut(t, n, conn)
}

func TestFullDiskRefusesWritesUntilThereIsRoom(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE MATERIALIZED VIEW c AS SELECT count(*) AS n FROM t", "INSERT INTO t VALUES (0)")
	roomy, err := fs.GetDiskUsage("/data")
	require.NoError(t, err)
	full := roomy
	full.AvailBytes = 1 << 20
	fs.SetDiskUsage(full)
	id := 0
	insert := func() string {
		id++
		_, err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO t VALUES (%d)", id))
		return code(err)
	}
	require.Eventually(t, func() bool { return insert() == "53100" }, 2*time.Minute, 10*time.Millisecond)
	_, err = conn.Exec(t.Context(), "CREATE TABLE more (id INT)")
	require.Equal(t, "53100", code(err))
	texts(t, conn, "SELECT count(*) FROM t")
	exec(t, conn, "SET consistency = 'eventual'") // the query's task may be waiting for room
	require.Len(t, texts(t, conn, "SELECT n FROM c"), 1, "reading goes on")
	exec(t, conn, "RESET consistency")
	fs.SetDiskUsage(roomy)
	require.Eventually(t, func() bool { return insert() == "<nil>" }, 2*time.Minute, 10*time.Millisecond)
	require.Equal(t, texts(t, conn, "SELECT count(*) FROM t"), texts(t, conn, "SELECT n FROM c"))
	shut(t, n, conn)
}

func TestForeignAndNewerDirectoriesAreRefused(t *testing.T) {
	fs := fsys.NewMem()
	n, conn := open(t, fs)
	shut(t, n, conn)
	_, err := nodetest.Open(t.Context(), node.Config{FS: fs, NodeID: 7})
	require.ErrorIs(t, err, metadata.ErrForeignData)

	props := "/data/meta.properties"
	edit := func(from, to string) {
		f, err := fs.Open(props)
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		text := make([]byte, info.Size())
		_, err = f.ReadAt(text, 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		out, err := fs.Create(props, fsys.Category)
		require.NoError(t, err)
		_, err = out.Write([]byte(strings.Replace(string(text), from, to, 1)))
		require.NoError(t, err)
		require.NoError(t, out.Close())
	}
	edit("millrace.format=", "millrace.format=9")
	_, err = nodetest.Open(t.Context(), node.Config{FS: fs})
	require.ErrorIs(t, err, metadata.ErrNewerFormat)
	edit("millrace.format=", "nonsense")
	_, err = nodetest.Open(t.Context(), node.Config{FS: fs})
	require.ErrorIs(t, err, metadata.ErrBrokenIdentity)
}

func TestOneDirectoryHasOneNode(t *testing.T) {
	dir := t.TempDir()
	n, err := nodetest.Open(t.Context(), node.Config{Dir: dir, FS: fsys.OS})
	require.NoError(t, err)
	_, err = nodetest.Open(t.Context(), node.Config{Dir: dir, FS: fsys.OS})
	require.ErrorContains(t, err, dir)
	shut(t, n)
	n, err = nodetest.Open(t.Context(), node.Config{Dir: dir, FS: fsys.OS})
	require.NoError(t, err, "the lock goes with the node")
	shut(t, n)
}

func TestDirectoryThatIsAFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	_, err := nodetest.Open(t.Context(), node.Config{Dir: path, FS: fsys.OS})
	require.ErrorContains(t, err, path)
}

func TestAddressInUseIsNamedByItsFlag(t *testing.T) {
	n := nodetest.Start(t, node.Config{})
	_, err := node.Open(t.Context(), node.Config{Dir: "/data", FS: fsys.NewMem(), PG: n.PGAddr().String(), HTTP: node.Off, Raft: node.Off, Kafka: node.Off})
	require.ErrorContains(t, err, "--pg")
	_, err = node.Open(t.Context(), node.Config{Dir: "/data", FS: fsys.NewMem(), PG: "127.0.0.1:0", HTTP: n.PGAddr().String(), Raft: "127.0.0.1:0", Kafka: node.Off})
	require.ErrorContains(t, err, "--http")
	_, err = node.Open(t.Context(), node.Config{Dir: "/data", FS: fsys.NewMem(), PG: "127.0.0.1:0", HTTP: node.Off, Raft: n.PGAddr().String(), Kafka: node.Off})
	require.ErrorContains(t, err, "--raft")
}

func TestValidateReportsEverythingAtOnce(t *testing.T) {
	cfg := node.Config{
		NodeID: -1, MemoryBytes: 1, OpenFiles: 1, Partitions: 20_000, PG: "off", Kafka: "nonsense", HTTP: "0.0.0.0:80", Raft: "127.0.0.1:99999",
	}
	cfg.EnsureDefaults()
	err := cfg.Validate()
	require.Error(t, err)
	for _, flag := range []string{"--data", "--node-id", "--memory", "ulimit -n", "--partitions", "--pg", "--kafka", "--http", "--raft"} {
		require.ErrorContains(t, err, flag)
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		require.Contains(t, line, "allowed", "each says what is allowed")
	}
	ok := node.Config{Dir: "/data", PG: "0.0.0.0:5433", Insecure: true}
	ok.EnsureDefaults()
	require.NoError(t, ok.Validate())
	ok.Insecure = false
	require.ErrorContains(t, ok.Validate(), "--pg")
}

func TestInsecureDoesNotTakeBackThatPasswordsAreAskedFor(t *testing.T) {
	n, err := nodetest.Open(t.Context(), node.Config{Insecure: true, RequirePassword: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	_, err = pgx.Connect(t.Context(), nodetest.ConnString(n))
	var e *pgconn.PgError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "28P01", e.Code)
}

func TestCloseEndsWhatSessionsDo(t *testing.T) {
	n, conn := open(t, fsys.NewMem())
	exec(t, conn, "CREATE STREAM s (k INT KEY, v TEXT)", "CREATE TABLE t (id INT PRIMARY KEY)", "SET auto_offset_reset = 'earliest'", "INSERT INTO s VALUES (1, 'a')")
	idle, block, copying := nodetest.Connect(t, nodetest.ConnString(n)), nodetest.Connect(t, nodetest.ConnString(n)), nodetest.Connect(t, nodetest.ConnString(n))
	exec(t, idle, "SELECT 1")
	exec(t, block, "BEGIN; INSERT INTO t VALUES (1)")
	push := conn.PgConn().Exec(t.Context(), "SELECT k FROM s EMIT CHANGES")
	require.True(t, push.NextResult())
	require.True(t, push.ResultReader().NextRow())
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := copying.PgConn().CopyFrom(context.WithoutCancel(t.Context()), &endless{started: started}, "COPY t FROM STDIN")
		ended <- err
	}()
	<-started
	require.NoError(t, n.Close()) // does not wait for an end that does not come
	require.False(t, push.ResultReader().NextRow())
	require.Error(t, push.Close())
	require.Error(t, <-ended)
	_, err := block.Exec(t.Context(), "COMMIT")
	require.Error(t, err)
}

// endless is input for COPY without an end.
type endless struct {
	started chan struct{}
	n       int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n++; e.n == 10 {
		close(e.started)
	}
	return copy(p, fmt.Sprintf("%d\n", e.n)), nil
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	n := nodetest.Start(t, node.Config{HTTP: "127.0.0.1:0", Release: "1.2.3"})
	conn := nodetest.Connect(t, nodetest.ConnString(n))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE MATERIALIZED VIEW c AS SELECT count(*) AS n FROM t", "INSERT INTO t VALUES (1)", "SELECT * FROM c")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.HTTPAddr().String()+path, nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string]string{"/ready": "ready", "/health": "ok", "/version": "1.2.3", "/metrics": "millrace_query_rows_in_total", "/debug/pprof/": "goroutine"} {
		status, body := get(path)
		require.Equal(t, http.StatusOK, status, path)
		require.Contains(t, body, want, path)
	}
	status, _ := get("/nothing")
	require.Equal(t, http.StatusNotFound, status)
}
