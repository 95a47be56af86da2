//go:build faults && linux

package crashtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// lateLimit is how long after everything is healed a statement whose client has gone may still come to its end.
const lateLimit = 90 * time.Second

// attempt collects what is wrong in one comparison.
type attempt struct{ said string }

type failedNow struct{}

func (a *attempt) Errorf(format string, args ...any) { a.said += fmt.Sprintf(format, args...) }
func (a *attempt) FailNow()                          { panic(failedNow{}) }
func (a *attempt) Helper()                           {}

// compare compares all that the cluster holds with what clients were told. Statements of unknown outcome may still be under way while it reads: when anything differs it compares
// again, until lateLimit has passed. What stays different is returned; acknowledged rows that were missing at any time are wrong even if they are there later.
func (l *load) compare(ctx context.Context, dial func(context.Context) (*pgx.Conn, error)) error {
	limited, cancel := context.WithTimeout(ctx, lateLimit)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var missing, said string
	for {
		now := ""
		conn, err := dial(limited)
		if err != nil {
			now = err.Error()
		} else {
			now = l.compareOnce(limited, conn)
			_ = conn.Close(ctx)
		}
		if limited.Err() == nil || now == "" || said == "" {
			said = now // an error of the time that is up says less than the one before
		}
		if said == "" {
			break
		}
		if missingRows(said) && missing == "" {
			missing = said
		}
		select {
		case <-tick.C:
			continue
		case <-limited.Done():
		}
		break
	}
	switch {
	case said != "":
		return errors.New(said)
	case missing != "":
		return fmt.Errorf("a read missed rows that were acknowledged; they were there later: %s", missing)
	}
	return nil
}

func (l *load) compareOnce(ctx context.Context, conn *pgx.Conn) (said string) {
	a := &attempt{}
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(failedNow); !ok {
				panic(p)
			}
			said = a.said
		}
	}()
	w := newWorkload(0)
	l.mu.Lock()
	w.mu.acked, w.mu.unknown = maps.Clone(l.mu.acked), l.mu.unknown
	w.mu.copied, w.mu.unknownCopies = maps.Clone(l.mu.copied), l.mu.unknownCopies
	l.mu.Unlock()
	w.check(ctx, a, conn)

	clicks, deals := l.clicks.compare(ctx, a, conn), l.deals.compare(ctx, a, conn)
	l.adopt(w)
	l.clicks.adopt(clicks)
	l.deals.adopt(deals)
	return a.said
}

// adopt takes over what a comparison has found out about statements of unknown outcome. Those that are not there stay unknown: they may come yet.
func (l *load) adopt(w *workload) {
	l.mu.Lock()
	for _, ids := range l.mu.unknown {
		for _, id := range ids {
			if w.mu.acked[id] && value(id)%2 == 0 {
				l.evenTold.Add(1)
			}
		}
	}
	l.mu.unknown, l.mu.acked = absent(l.mu.unknown, w.mu.acked), w.mu.acked
	l.mu.unknownCopies, l.mu.copied = absent(l.mu.unknownCopies, w.mu.copied), w.mu.copied
	l.mu.Unlock()
}

func absent(unknown []statement, acked map[int64]bool) []statement {
	var still []statement
	for _, ids := range unknown {
		if !acked[ids[0]] {
			still = append(still, ids)
		}
	}
	return still
}

// compare returns the ids that are in the stream.
func (f *facts) compare(ctx context.Context, t reporter, conn *pgx.Conn) map[int64]bool {
	t.Helper()
	f.mu.Lock()
	acked, unknown := maps.Clone(f.mu.acked), f.mu.unknown
	f.mu.Unlock()
	there := pairs(ctx, t, conn, "SELECT id, v FROM "+f.name)
	settle(t, f.name, there, acked, unknown)
	requireSame(t, f.name, acked, there)
	want := map[int64]cell{}
	for id := range acked {
		c := want[id%10]
		want[id%10] = cell{c.n + 1, c.total + value(id)}
	}
	for _, view := range f.views {
		rows, err := conn.Query(ctx, "SELECT d, n, total FROM "+view)
		require.NoError(t, err)
		have := map[int64]cell{}
		for rows.Next() {
			var d int64
			var c cell
			require.NoError(t, rows.Scan(&d, &c.n, &c.total))
			have[d] = c
		}
		require.NoError(t, rows.Err())
		require.Equal(t, want, have, "%s, an aggregate over %s", view, f.name)
	}
	return acked
}

func (f *facts) adopt(acked map[int64]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count.Store(int64(len(acked)))
	f.mu.unknown, f.mu.acked = absent(f.mu.unknown, acked), acked
}

// missingRows tells a comparison that missed acknowledged rows from one that saw more than was known.
func missingRows(said string) bool { return strings.Contains(said, missingSaid) }
