package exec_test

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/sql"
)

// scriptClock stands still until a script moves it.
type scriptClock struct{ now time.Time }

func (c *scriptClock) Now() time.Time                       { return c.now }
func (c *scriptClock) Since(t time.Time) time.Duration      { return c.now.Sub(t) }
func (c *scriptClock) NewTimer(d time.Duration) clock.Timer { return clock.Real.NewTimer(d) }

func (c *scriptClock) Deadline(d time.Duration) time.Time { return clock.Real.Deadline(d) }

// TestScripts runs testdata/scripts: rows in, changes out, time as a command.
//
//	define     statements that make streams and tables
//	push       starts a push query; its name is the argument
//	put s      appends rows to a topic, a JSON object a line, with - before it to delete its key; _t is the timestamp
//	show       prints the changes that came since
//	sleep 10s  moves the wall clock
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		h := newHarness(t, 1)
		c := &scriptClock{now: time.UnixMilli(1_000_000)}
		var push *exec.PushQuery
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "define":
				for _, stmt := range strings.Split(d.Input, ";") {
					h.run(stmt)
				}
			case "push":
				push = h.pushAt(d.Input, c)
			case "put":
				h.put(d.CmdArgs[0].Key, strings.Split(d.Input, "\n")...)
				h.settle(d.CmdArgs[0].Key)
			case "sleep":
				pause, err := time.ParseDuration(d.CmdArgs[0].Key)
				require.NoError(t, err)
				c.now = c.now.Add(pause)
			case "show":
				return showChanges(t, push)
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			return ""
		})
	})
}

func (h *harness) pushAt(text string, c clock.Clock) *exec.PushQuery {
	q, err := h.planner().PlanQuery(context.Background(), h.parse(text).(*sql.Query), nil)
	require.NoError(h.t, err)
	q.ShowOp = true
	push, err := exec.OpenPush(context.Background(), exec.PushConfig{Log: h.log, State: h.w.state, Clock: c}, q)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, push.Close()) })
	return push
}

// showChanges prints what is ready, batch by batch. Within a batch changes of different keys come in any order, so old and new
// halves are kept together and sorted.
func showChanges(t *testing.T, p *exec.PushQuery) string {
	var out strings.Builder
	for {
		b, err := p.Poll(context.Background())
		if err != nil {
			fmt.Fprintf(&out, "%v\n", err)
			break
		}
		if b == nil {
			break
		}
		var lines []string
		for i := range b.Len() {
			line := fmt.Sprintf("%s @%d %s", b.Op(i), b.Rowtime[i], rowText(b, i))
			if len(lines) > 0 && b.Op(i).String() == "+U" && strings.HasPrefix(lines[len(lines)-1], "-U") {
				lines[len(lines)-1] += "\n" + line
				continue
			}
			lines = append(lines, line)
		}
		sort.Strings(lines)
		out.WriteString(strings.Join(lines, "\n") + "\n")
	}
	if e := p.Errors(); e.Late+e.Eval+e.Decode > 0 {
		fmt.Fprintf(&out, "errors: %d late, %d evaluation, %d decode\n", e.Late, e.Eval, e.Decode)
	}
	return out.String()
}
