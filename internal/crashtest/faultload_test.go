//go:build faults && linux

package crashtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// pace is how often a client writes: a machine of two cores has the three nodes and the clients to run.
	pace = 100 * time.Millisecond
	// statementLimit is how long a client of SQL waits for an answer before it goes to another node; what it wrote is then of unknown outcome.
	statementLimit = 5 * time.Second
	// readWait is how long a read waits for a view that lags. It is shorter than statementLimit, so that a client hears that a view lags.
	readWait = 4 * time.Second
	// dialLimit is how long it waits for a connection.
	dialLimit = 2 * time.Second
	// metadataAge, produceLimit are what a client is set to that wants to hear of failures soon.
	metadataAge  = 250 * time.Millisecond
	produceLimit = time.Second
	// finishLimit is how long writers may take to come to their end once everything is healed: longer means that something is stuck.
	finishLimit = 2 * time.Minute
)

// factStream and factView are a stream that Kafka clients write and what is computed of it. Those who write transactions have another one than those who write record by record: what lies
// above an open transaction cannot be read yet, so that reads of a stream of both would not have to hold everything that was acknowledged.
const (
	factStream = `CREATE STREAM %[1]s (id BIGINT, v INT) WITH (topic = '%[1]s', value_format = 'json')`
	factView   = `CREATE TABLE %s AS SELECT id %% 10 AS d, count(*) AS n, sum(v) AS total FROM %s GROUP BY id %% 10`
)

// facts are what Kafka clients have been told of the topic name.
type facts struct {
	name  string
	views []string     // that compute the same
	count atomic.Int64 // how many rows each view must at least count
	mu    struct {
		sync.Mutex
		acked   map[int64]bool
		unknown []statement
	}
}

func newFacts(name string, views int) *facts {
	f := &facts{name: name, views: []string{name + "totals"}}
	for i := 2; i <= views; i++ {
		f.views = append(f.views, fmt.Sprint(name, "totals", i))
	}
	f.mu.acked = map[int64]bool{}
	return f
}

// told notes what became of the records of one batch or transaction.
func (f *facts) told(err error, ids statement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.mu.unknown = append(f.mu.unknown, ids)
		return
	}
	for _, id := range ids {
		f.mu.acked[id] = true
	}
	f.count.Add(int64(len(ids)))
}

// meter notes how often something succeeds, and the longest time in which it did not.
type meter struct {
	name     string
	producer bool // idempotent, record by record
	mu       struct {
		sync.Mutex
		done    int
		errs    int
		err     error // the newest
		last    time.Time
		longest time.Duration
	}
}

// begin starts to measure. What has succeeded last before counts as the beginning of the first pause.
func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.done, m.mu.errs, m.mu.err, m.mu.longest = 0, 0, nil, 0
	if m.mu.last.IsZero() {
		m.mu.last = time.Now()
	}
}

func (m *meter) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.mu.errs, m.mu.err = m.mu.errs+1, err
		return
	}
	now := time.Now()
	m.mu.longest = max(m.mu.longest, now.Sub(m.mu.last))
	m.mu.done, m.mu.last = m.mu.done+1, now
}

// said is the newest error since begin.
func (m *meter) said() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.err
}

// stop ends the last pause of a run of the clients.
func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.last = time.Time{}
}

func (m *meter) read() (done, errs int, longest time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	longest = m.mu.longest
	if !m.mu.last.IsZero() {
		longest = max(longest, time.Since(m.mu.last))
	}
	return m.mu.done, m.mu.errs, longest
}

// load is the clients: what SQL writes is the workload of the other tests, what Kafka clients write the clicks.
type load struct {
	*workload
	pg, kafka []string
	meters    []*meter

	inserts, copies, produced, defaults, transactions, queries *meter

	clicks, deals *facts       // written record by record, and by transactions
	evenTold      atomic.Int64 // how many rows the view "totals" must at least count
	foreign       []*foreign
	stale         atomic.Int64 // reads that missed what had been acknowledged before they began
	staleSaid     atomic.Pointer[string]
}

func newLoad(seed uint64, views int, pg, kafka []string) *load {
	l := &load{workload: newWorkload(seed), pg: pg, kafka: kafka, clicks: newFacts("clicks", views), deals: newFacts("deals", views)}
	for _, m := range []struct {
		at   **meter
		name string
	}{{&l.inserts, "INSERT"}, {&l.copies, "COPY"}, {&l.produced, "producer"}, {&l.defaults, "its defaults"}, {&l.transactions, "transactions"}, {&l.queries, "queries"}} {
		*m.at = &meter{name: m.name, producer: m.at == &l.produced || m.at == &l.defaults}
		l.meters = append(l.meters, *m.at)
	}
	return l
}

// run has all clients write and read until ctx ends, and comes back when each knows what became of its last statement.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	client := func(f func(context.Context, *rand.Rand)) {
		r := rand.New(rand.NewPCG(l.rand.Uint64(), 3))
		wg.Go(func() { f(ctx, r) })
	}
	for _, m := range l.meters {
		m.begin()
	}
	client(l.insertRows)
	client(l.insertRows)
	client(l.copyRows)
	client(func(ctx context.Context, r *rand.Rand) {
		l.produce(ctx, r, l.produced, kgo.MetadataMinAge(metadataAge), kgo.ProduceRequestTimeout(produceLimit), kgo.RequestTimeoutOverhead(produceLimit), kgo.DialTimeout(produceLimit))
	})
	client(func(ctx context.Context, r *rand.Rand) { l.produce(ctx, r, l.defaults) })
	for _, f := range l.foreign {
		client(func(ctx context.Context, _ *rand.Rand) { l.produceForeign(ctx, f) })
	}
	client(l.transact)
	client(l.read)
	wg.Wait()
	for _, m := range l.meters {
		m.stop()
	}
}

// sql runs f on a connection to some node, and on one to another whenever it fails, until ctx ends.
func (l *load) sql(ctx context.Context, r *rand.Rand, f func(context.Context, *pgx.Conn) error) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var conn *pgx.Conn
	at := r.IntN(len(l.pg))
	for ctx.Err() == nil {
		if conn == nil {
			dial, cancel := context.WithTimeout(ctx, dialLimit)
			c, err := connect(dial, l.pg[at%len(l.pg)])
			cancel()
			if err != nil {
				at++
				continue
			}
			conn = c
		}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementLimit)
		err := f(limited, conn)
		cancel()
		var pg *pgconn.PgError
		if conn.IsClosed() || errors.As(err, &pg) && strings.HasPrefix(pg.Code, "57P") {
			_ = conn.Close(context.WithoutCancel(ctx))
			conn = nil
			at++
		}
		<-tick.C
	}
	if conn != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
}

func connect(ctx context.Context, addr string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable&read_wait=%s", addr, readWait))
}

func (l *load) insertRows(ctx context.Context, r *rand.Rand) {
	l.sql(ctx, r, func(ctx context.Context, conn *pgx.Conn) error {
		ids := l.take(1 + r.IntN(10))
		_, err := conn.Exec(ctx, insertOf(ids))
		l.mu.Lock()
		l.toldLocked(err, ids, l.mu.acked, &l.mu.unknown)
		l.mu.Unlock()
		if err == nil {
			for _, id := range ids {
				if value(id)%2 == 0 {
					l.evenTold.Add(1)
				}
			}
		}
		l.inserts.note(err)
		return err
	})
}

func (l *load) copyRows(ctx context.Context, r *rand.Rand) {
	l.sql(ctx, r, func(ctx context.Context, conn *pgx.Conn) error {
		ids := l.take(10 + r.IntN(30))
		err := copyOf(ctx, conn, ids)
		l.mu.Lock()
		l.toldLocked(err, ids, l.mu.copied, &l.mu.unknownCopies)
		l.mu.Unlock()
		l.copies.note(err)
		return err
	})
}

func (l *load) client(f *facts, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(l.kafka...), kgo.DefaultProduceTopic(f.name))...)
	if err != nil {
		panic(err) // of the options, which are constants
	}
	return cl
}

func fact(id int64) *kgo.Record {
	return &kgo.Record{Key: fmt.Append(nil, id), Value: fmt.Appendf(nil, `{"id":%d,"v":%d}`, id, value(id))}
}

// produce writes with an idempotent producer, record by record: each is of an outcome of its own.
func (l *load) produce(ctx context.Context, _ *rand.Rand, m *meter, opts ...kgo.Opt) {
	cl := l.client(l.clicks, opts...)
	defer cl.Close()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		id := l.take(1)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
		err := cl.ProduceSync(limited, fact(id[0])).FirstErr()
		cancel()
		l.clicks.told(err, id)
		m.note(err)
		<-tick.C
	}
}

// transact writes transactions over several partitions, and aborts one in four.
func (l *load) transact(ctx context.Context, r *rand.Rand) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var cl *kgo.Client
	for ctx.Err() == nil {
		if cl == nil {
			cl = l.client(l.deals, kgo.TransactionalID("faults"), kgo.TransactionTimeout(20*time.Second), kgo.MetadataMinAge(metadataAge), kgo.ProduceRequestTimeout(produceLimit),
				kgo.RequestTimeoutOverhead(produceLimit), kgo.DialTimeout(produceLimit))
		}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
		err := l.transaction(limited, cl, l.take(2+r.IntN(8)), r.IntN(4) != 0)
		cancel()
		l.transactions.note(err)
		if err != nil {
			cl.Close()
			cl = nil // the next one fences it
		}
		<-tick.C
	}
	if cl != nil {
		cl.Close()
	}
}

func (l *load) transaction(ctx context.Context, cl *kgo.Client, ids statement, commit bool) error {
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	records := make([]*kgo.Record, len(ids))
	for i, id := range ids {
		records[i] = fact(id)
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err // never committed
	}
	if !commit {
		return cl.EndTransaction(ctx, kgo.TryAbort)
	}
	err := cl.EndTransaction(ctx, kgo.TryCommit)
	l.deals.told(err, ids)
	return err
}

// read asks views on top of views, which must hold everything that was acknowledged before.
func (l *load) read(ctx context.Context, r *rand.Rand) {
	type view struct {
		name string
		told *atomic.Int64
	}
	views := []view{{"totals", &l.evenTold}}
	for i := range l.clicks.views {
		views = append(views, view{l.clicks.views[i], &l.clicks.count}, view{l.deals.views[i], &l.deals.count})
	}
	l.sql(ctx, r, func(ctx context.Context, conn *pgx.Conn) error {
		view := views[0]
		atLeast := view.told.Load()
		var n, strict int64
		begun := time.Now()
		// A read that has waited for read_wait in vain says so in a WARNING, and only then may it lack rows.
		err := conn.QueryRow(ctx, fmt.Sprintf("SELECT coalesce(sum(n), 0)::bigint FROM %s", view.name)).Scan(&n)
		took := time.Since(begun)
		l.queries.note(err)
		if err != nil {
			return err
		}
		views = append(views[1:], view)
		if n < atLeast && took < readWait {
			again := conn.QueryRow(ctx, fmt.Sprintf("SELECT coalesce(sum(n), 0)::bigint FROM %s", view.name)).Scan(&strict)
			l.stale.Add(1)
			said := fmt.Sprintf("%s at %s, asked %s for %v: %d of %d that were acknowledged before; asked again: %d, %v", view.name, conn.Config().Host, begun.Format(time.StampMilli), took, n, atLeast, strict, again)
			l.staleSaid.Store(&said)
		}
		return err
	})
}
