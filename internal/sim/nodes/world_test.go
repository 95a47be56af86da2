package nodes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/sim/links"
)

// All times are virtual.
const (
	// faultTime is how long clients write while things break.
	faultTime = 30 * time.Second
	// settleLimit bounds how long a cluster may take to be whole after it was healed, and to form.
	settleLimit = 2 * time.Minute
	// checkLimit bounds the reading of everything at the end.
	checkLimit = 4 * time.Minute
	// lifeLimit bounds it all: what takes longer hangs.
	lifeLimit = 30 * time.Minute
	// opLimit bounds one thing that a client asks for while things break. Its outcome is then unknown.
	opLimit = 15 * time.Second
	// maxViolations bounds what a world keeps of what is wrong.
	maxViolations = 20

	clientIP = "127.0.0.100"
)

// client is one kind of work, and what it was told.
type client interface {
	// prepare makes what the client needs, before anything breaks.
	prepare(ctx context.Context) error
	// run works until ctx ends. It may be several goroutines, and returns when all have ended.
	run(ctx context.Context, rng *rand.Rand)
	// check compares what the cluster holds with what the client was told.
	check(ctx context.Context) error
	// acknowledged is how much of its work the client was told is done.
	acknowledged() int
}

// plan says what a world is to do.
type plan struct {
	seed    uint64
	trace   *trace // to be filled
	nodes   int    // that form the cluster
	clients []func(*world) client
	faults  []fault
	// older: the nodes begin with the release before, and are upgraded.
	older bool
	// skip says which syncs do nothing, if it is not nil: a broken disk, to show that the checkers notice.
	skip func(op fsys.Op, path string) bool
}

// world is one simulated cluster and its clients.
type world struct {
	plan
	net     *links.Network
	peers   []node.BootstrapNode
	outside *links.Host // the machine of the clients
	ids     *idSource
	slow    slowWays

	mu struct {
		sync.Mutex
		machines   []*machine      // those that are in the cluster, or are to be
		used       int32           // the highest node id that was given to one
		changes    map[string]bool // that were made
		changing   bool            // one is under way
		violations []string
		wrong      bool // one of them is not only that something did not come to an end
	}
}

// result is what became of a world.
type result struct {
	violations   []string
	wrong        bool
	acknowledged map[string]int // by kind of client
}

// simulate runs a world from its start to its end. It must be called in a bubble, in a process that ends with it: the nodes are not stopped, for one that does not come to an end would have the bubble go on for ever.
func simulate(ctx context.Context, p plan) result {
	p.trace.start()
	w := &world{plan: p, ids: &idSource{rng: rand.New(rand.NewPCG(p.seed, 1))}}
	w.slow.rng = rand.New(rand.NewPCG(p.seed, 2))
	w.net = links.New(clock.Real, w.slow.delay)
	w.outside = w.net.Host(clientIP)
	for range p.nodes {
		m := w.add("")
		w.peers = append(w.peers, node.BootstrapNode{ID: m.id, Addr: m.addr(raftPort)})
	}
	clients := make([]client, len(p.clients))
	for i, make := range p.clients {
		clients[i] = make(w)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.live(ctx, clients) }()
	select {
	case err := <-ended:
		if err != nil {
			w.violate("%v", err)
		}
	case <-time.After(lifeLimit):
		w.stuck("nothing comes to an end in %v", lifeLimit)
		w.trace.goroutines()
	}
	w.mu.Lock()
	r := result{violations: slices.Clone(w.mu.violations), wrong: w.mu.wrong, acknowledged: map[string]int{}}
	w.mu.Unlock()
	if len(r.violations) > 0 {
		w.keepDisks()
	}
	for _, c := range clients {
		r.acknowledged[fmt.Sprintf("%T", c)] += c.acknowledged()
	}
	return r
}

// prepareDisk makes fs the disk of a machine.
func (w *world) prepareDisk(fs *fsys.Mem) { fs.SkipSyncs(w.skip) }

// live is the life of a cluster: it forms, works while things break, is healed, and is looked at.
func (w *world) live(ctx context.Context, clients []client) error {
	for _, m := range w.machines() {
		m.start()
	}
	if err := w.settle(ctx); err != nil {
		return fmt.Errorf("the cluster does not form: %w", err)
	}
	for _, c := range clients {
		if err := c.prepare(ctx); err != nil {
			return fmt.Errorf("%T: preparing: %w", c, err)
		}
	}
	w.trace.printf("everything is prepared")
	w.work(ctx, clients)
	w.trace.printf("everything is healed")
	if err := w.settle(ctx); err != nil {
		w.stuck("the cluster is stuck after it was healed: %v", err) // what it holds is looked at all the same
		w.trace.goroutines()
	}
	for _, c := range clients {
		if err := w.checkOne(ctx, c); err != nil {
			w.stuck("%T: checking: %v", c, err)
			w.trace.goroutines()
		}
	}
	return w.checkLogs()
}

func (w *world) checkOne(ctx context.Context, c client) error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	w.trace.printf("%T: checking", c)
	return c.check(ctx)
}

// work runs the clients, and breaks things, for faultTime; then everything is healed. It returns when the clients have heard of all that they have asked for.
func (w *world) work(ctx context.Context, clients []client) {
	ctx, cancel := context.WithTimeout(ctx, faultTime)
	defer cancel()
	var wg sync.WaitGroup
	for i, c := range clients {
		rng := rand.New(rand.NewPCG(w.seed, 100+uint64(i)))
		wg.Go(func() { c.run(ctx, rng) })
	}
	w.breakThings(ctx)
	wg.Wait()
}

// settle waits until every node serves and every partition has a leader and all its replicas.
func (w *world) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		why := w.unsettled()
		if why == "" {
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return errors.New(why)
		}
	}
}

// unsettled says what the cluster is not yet; empty if it is whole.
func (w *world) unsettled() string {
	all := w.machines()
	for _, m := range all {
		r := m.current()
		if r == nil || r.node.Load() == nil {
			return m.ip + " does not serve"
		}
		n := r.node.Load()
		if h := n.ClusterHealth(); h != (node.ClusterHealth{Voters: voters(len(all))}) {
			return fmt.Sprintf("%s sees %+v", m.ip, h)
		}
		if level, due := n.FeatureLevel(), w.dueLevel(); level != due {
			return fmt.Sprintf("%s works at feature level %d, not %d", m.ip, level, due)
		}
	}
	return ""
}

// violate notes that a promise was broken.
func (w *world) violate(format string, args ...any) {
	w.mu.Lock()
	w.mu.wrong = true
	w.mu.Unlock()
	w.stuck(format, args...)
}

// stuck notes that something did not come to an end.
func (w *world) stuck(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.trace.printf("VIOLATION: %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.mu.violations) < maxViolations {
		w.mu.violations = append(w.mu.violations, text)
	}
}

// violateAll is violate for each.
func (w *world) violateAll(what string, found []string) {
	for _, f := range found {
		w.violate("%s: %s", what, f)
	}
}

// connect connects to a node as a PostgreSQL client.
func (w *world) connect(ctx context.Context, m *machine) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable&default_query_exec_mode=exec&connect_timeout=0", m.addr(pgPort)))
	if err != nil {
		return nil, err
	}
	cfg.DialFunc = w.dial
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	// An answer that is too old is no answer.
	if _, err := conn.Exec(ctx, "SET read_wait = '60s'"); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

func (w *world) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	return w.outside.Dial(ctx, addr)
}

// kafka returns a client of Kafka's protocol that knows all nodes.
func (w *world) kafka(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(w.kafkaOpts(), opts...)...)
}

// kafkaOpts are what every client of Kafka's protocol begins with.
func (w *world) kafkaOpts() []kgo.Opt {
	var seeds []string
	for _, m := range w.machines() {
		seeds = append(seeds, m.addr(kafkaPort))
	}
	return []kgo.Opt{
		kgo.SeedBrokers(seeds...), kgo.Dialer(w.dial), kgo.MetadataMinAge(250 * time.Millisecond), kgo.RetryTimeout(opLimit), kgo.RequestTimeoutOverhead(5 * time.Second),
	}
}

// session is a PostgreSQL client that looks for another node when its connection breaks. It is for one goroutine.
type session struct {
	w    *world
	rng  *rand.Rand
	conn *pgx.Conn
}

// do runs f on a connection, for at most opLimit. An error of f that does not come from the server ends the connection.
func (s *session) do(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), opLimit)
	defer cancel()
	if s.conn == nil {
		m := s.w.some(s.rng)
		conn, err := s.w.connect(ctx, m)
		if err != nil {
			return errors.Join(errNotAsked, err)
		}
		s.conn = conn
	}
	err := f(ctx, s.conn)
	if err != nil && !refused(err) {
		s.close()
	}
	return err
}

// exec runs a statement.
func (s *session) exec(ctx context.Context, sql string) error {
	return s.do(ctx, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, sql)
		return err
	})
}

func (s *session) close() {
	if s.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.conn.Close(ctx) // whatever was asked has been answered or is unknown
		s.conn = nil
	}
}

// errNotAsked: there was no connection, so nothing was asked for.
var errNotAsked = errors.New("no connection")

// errUnknown is an outcome that nobody was told.
var errUnknown = errors.New("unknown outcome")

// refused tells an error that says that nothing was done from one that says nothing.
func refused(err error) bool {
	if errors.Is(err, errNotAsked) {
		return true
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code != "40003" && pg.Code != "57P01"
}

// read runs a query until it is answered or ctx ends, each time on some node, and hands each row to scan; begin is called before the rows of each attempt.
func (w *world) read(ctx context.Context, sql string, begin func(), scan func(pgx.Rows) error) error {
	s := &session{w: w, rng: rand.New(rand.NewPCG(w.seed, uint64(len(sql))))}
	defer s.close()
	for {
		begin()
		err := s.do(ctx, func(ctx context.Context, c *pgx.Conn) error {
			rows, err := c.Query(ctx, sql)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if err := scan(rows); err != nil {
					return err
				}
			}
			return rows.Err()
		})
		if err == nil {
			return nil
		}
		w.trace.printf("reading %q: %v", sql, err)
		s.close()
		if !pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("%q: %w", sql, err)
		}
	}
}

// prepareSQL runs statements one after another on the first node.
func (w *world) prepareSQL(ctx context.Context, statements ...string) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	conn, err := w.connect(ctx, w.machines()[0])
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", sql, err), conn.Close(ctx))
		}
	}
	return conn.Close(ctx)
}
