package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// shared is the node that the tests of this package have in common; each works in a schema of its own.
var shared *node.Node

// problems is what shared has logged as errors, the stacks of panics among them.
var problems problemLog

// problemLog keeps the newest bytes of a log.
type problemLog struct {
	mu struct {
		sync.Mutex
		text []byte
	}
}

const keptProblems = 64 << 10

func (l *problemLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.text = append(l.mu.text, bytes.ReplaceAll(b, []byte(`\n`), []byte("\n"))...)
	l.mu.text = l.mu.text[max(0, len(l.mu.text)-keptProblems):]
	return len(b), nil
}

func (l *problemLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.mu.text)
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	n, err := nodetest.Open(context.Background(), node.Config{Logger: slog.New(slog.NewTextHandler(&problems, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = n
	code := m.Run()
	if err := n.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "closing the node:", err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// TestScripts runs testdata/scripts: what a session is answered, statement by statement, error by error.
//
//	sql [conn=name]      a simple Query; several statements are one message
//	ext [conn=name] [args=(a,b)]  the extended protocol with parameters as text
//	copy [conn=name]     the first line is COPY ... FROM STDIN, the others are its data
//	copyout [conn=name]  COPY ... TO STDOUT
//	start conn=name [rows=2]  a simple Query that is not waited for, but for so many of its rows
//	join conn=name       waits for it
//	wait conn=name n=1   waits until so many notifications of others have come, and shows them
//	cancel conn=name     asks for its cancellation, again until it has ended, and shows its end
func TestScripts(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "scripts"), func(t *testing.T, path string) {
		r := &scriptRunner{t: t, schema: strings.ReplaceAll(filepath.Base(path), "-", "_"), conns: map[string]*scriptConn{}}
		owner := nodetest.Connect(t, nodetest.ConnString(shared))
		exec(t, owner, "CREATE SCHEMA "+r.schema)
		datadriven.RunTest(t, path, r.run)
		exec(t, owner, "DROP SCHEMA "+r.schema+" CASCADE")
	})
}

func exec(t *testing.T, conn *pgx.Conn, query string) {
	t.Helper()
	_, err := conn.PgConn().Exec(t.Context(), query).ReadAll()
	require.NoError(t, err, query)
}

// scriptConn is one session of a script.
type scriptConn struct {
	*pgconn.PgConn
	notices []string // and notifications of its own
	heard   []string // notifications of others, which come when they come
	running chan string
	came    chan struct{} // one for each row of what runs, as far as it has room; nil but for start
}

type scriptRunner struct {
	t      *testing.T
	schema string
	conns  map[string]*scriptConn
}

func (r *scriptRunner) conn(d *datadriven.TestData) *scriptConn {
	name := "a"
	d.MaybeScanArgs(r.t, "conn", &name)
	if c, ok := r.conns[name]; ok {
		return c
	}
	cfg, err := pgconn.ParseConfig(nodetest.ConnString(shared))
	require.NoError(r.t, err)
	c := &scriptConn{}
	cfg.RuntimeParams["search_path"] = r.schema
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.notices = append(c.notices, problem((*pgconn.PgError)(n))) }
	cfg.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		line := fmt.Sprintf("NOTIFICATION %s %q from ", n.Channel, n.Payload)
		switch n.PID {
		case c.PID():
			c.notices = append(c.notices, line+"itself\n")
		case 0:
			c.heard = append(c.heard, line+"a query\n")
		default:
			c.heard = append(c.heard, line+"another session\n")
		}
	}
	c.PgConn, err = pgconn.ConnectConfig(r.t.Context(), cfg)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close(context.Background()) })
	r.conns[name] = c
	return c
}

// commandTime is the most that a command of a script may take.
const commandTime = 3 * time.Minute

func (r *scriptRunner) run(t *testing.T, d *datadriven.TestData) string {
	c := r.conn(d)
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	switch d.Cmd {
	case "sql":
		return c.sql(ctx, d.Input)
	case "ext":
		var args []string
		for _, a := range d.CmdArgs {
			if a.Key == "args" {
				args = a.Vals
			}
		}
		return c.extended(ctx, d.Input, args)
	case "copy":
		query, data, _ := strings.Cut(d.Input, "\n")
		tag, err := c.CopyFrom(ctx, strings.NewReader(data+"\n"), query)
		return c.said() + result(tag, err) + c.status()
	case "copyout":
		var out bytes.Buffer
		tag, err := c.CopyTo(ctx, &out, d.Input)
		return redact(c.said() + out.String() + result(tag, err) + c.status())
	case "start":
		n := 0
		d.MaybeScanArgs(t, "rows", &n)
		c.running, c.came = make(chan string, 1), make(chan struct{}, n)
		input := d.Input // d is used again
		go func() { c.running <- c.sql(context.WithoutCancel(t.Context()), input) }()
		for range n {
			select {
			case <-c.came:
			case <-ctx.Done():
				d.Fatalf(t, "%d rows have not come in %s", n, commandTime)
			}
		}
		return ""
	case "join":
		return <-c.running
	case "wait":
		n := 1
		d.MaybeScanArgs(t, "n", &n)
		for len(c.heard) < n {
			require.NoError(t, c.WaitForNotification(ctx))
		}
		out := strings.Join(c.heard, "")
		c.heard = nil
		return out
	case "cancel":
		for ctx.Err() == nil {
			require.NoError(t, c.CancelRequest(ctx))
			select {
			case out := <-c.running:
				return out
			default:
			}
		}
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return ""
}

// sql sends one Query message.
func (c *scriptConn) sql(ctx context.Context, text string) string {
	var b strings.Builder
	multi := c.Exec(ctx, text)
	for multi.NextResult() {
		rr := multi.ResultReader()
		rows(&b, rr, c.came)
		if tag, err := rr.Close(); err == nil {
			fmt.Fprintf(&b, "%s\n", tag)
		}
	}
	b.WriteString(failure(multi.Close()))
	return redact(c.said() + b.String() + c.status())
}

// extended runs one statement by Parse, Bind, Execute and Sync.
func (c *scriptConn) extended(ctx context.Context, text string, args []string) string {
	var b strings.Builder
	values := make([][]byte, len(args))
	for i, a := range args {
		if a != "NULL" {
			values[i] = []byte(a)
		}
	}
	rr := c.ExecParams(ctx, text, values, nil, nil, nil)
	rows(&b, rr, nil)
	tag, err := rr.Close()
	b.WriteString(result(tag, err))
	return redact(c.said() + b.String() + c.status())
}

// rows writes the rows to b, and tells came of each while it has room.
func rows(b *strings.Builder, rr *pgconn.ResultReader, came chan<- struct{}) {
	for rr.NextRow() {
		select {
		case came <- struct{}{}:
		default:
		}
		for i, v := range rr.Values() {
			if i > 0 {
				b.WriteByte('|')
			}
			if v == nil {
				b.WriteString("NULL")
			} else {
				b.Write(v)
			}
		}
		b.WriteByte('\n')
	}
}

// said returns the notices since the last command.
func (c *scriptConn) said() string {
	s := strings.Join(c.notices, "")
	c.notices = nil
	return s
}

// status shows an open or failed transaction.
func (c *scriptConn) status() string {
	switch s := c.TxStatus(); s {
	case 'T':
		return "(in a block)\n"
	case 'E':
		return "(in a failed block)\n"
	}
	return ""
}

func result(tag pgconn.CommandTag, err error) string {
	if err != nil {
		return failure(err)
	}
	return tag.String() + "\n"
}

func failure(err error) string {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return problem(e)
	}
	return "failed: " + err.Error() + "\n"
}

func problem(e *pgconn.PgError) string {
	s := fmt.Sprintf("%s %s: %s\n", e.Severity, e.Code, e.Message)
	if e.Position > 0 {
		s = fmt.Sprintf("%s %s at %d: %s\n", e.Severity, e.Code, e.Position, e.Message)
	}
	if e.Detail != "" {
		s += "  detail: " + e.Detail + "\n"
	}
	if e.Hint != "" {
		s += "  hint: " + e.Hint + "\n"
	}
	return s
}

// Names of queries and identities of objects differ from run to run.
var (
	numbers    = regexp.MustCompile(`_[0-9]{5,}`)
	identities = regexp.MustCompile(`"[0-9]{5,}"|"[\w-]{22}"`)
)

func redact(s string) string {
	return identities.ReplaceAllString(numbers.ReplaceAllString(s, "_N"), `"ID"`)
}
