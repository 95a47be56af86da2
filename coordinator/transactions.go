package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/record"
)

const (
	// maxTransactionTimeout bounds what a client may ask for (Kafka's transaction.max.timeout.ms).
	maxTransactionTimeout = 15 * time.Minute
	// expireInterval is how often open transactions are checked against their time-outs.
	expireInterval = time.Second
	// idleExpiration is how long a transactional id without a transaction is remembered (Kafka's transactional.id.expiration.ms).
	idleExpiration = 7 * 24 * time.Hour
	// maxIDsPerPartition bounds the transactional ids that one partition of __transaction_state remembers.
	maxIDsPerPartition = 1 << 16
	// retryPause is the time between two tries of what must happen in the end, such as writing the markers of a decided transaction.
	retryPause = 100 * time.Millisecond
)

// Transactions is the transaction coordinator: it owns the transactional ids whose partition this node leads.
type Transactions struct {
	partitions Partitions
	peers      Peers // nil on a node alone
	markers    *markers
	ids        *producerIDs
	clock      clock.Clock
	log        *slog.Logger

	leases   leaseTable[lease, *lease]
	surveyed atomic.Pointer[survey] // the newest; nil before there was one, and on a node alone

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines that drive transactions, and the expirer
}

// lease is one term as leader of a partition of a transaction coordinators' topic.
type lease struct {
	tenure
	epoch int32

	mu struct {
		sync.Mutex
		entries map[string]*txnEntry
	}
}

// txnEntry is one transactional id within a lease. Whoever holds the turn may change it.
type txnEntry struct {
	turn  chan struct{}       // capacity one: full while somebody has the turn
	gone  bool                // expired; under the turn
	next  int64               // offset behind the newest record of it in the log; under the turn
	value atomic.Pointer[txn] // installed when it has been appended to the log
	// loose are the partitions in which the open transaction has batches that nobody has waited for; under the turn.
	loose map[TopicPartition]struct{}
}

func newTxnEntry(t txn) *txnEntry {
	e := &txnEntry{turn: make(chan struct{}, 1)}
	e.value.Store(&t)
	return e
}

// loosen notes that batches in partitions are not waited for. The caller has the turn.
func (e *txnEntry) loosen(tps []TopicPartition) {
	if e.loose == nil {
		e.loose = map[TopicPartition]struct{}{}
	}
	for _, tp := range tps {
		e.loose[tp] = struct{}{}
	}
}

// lock takes the turn. A caller that gives up hears what Kafka answers to calls at the same time.
func (e *txnEntry) lock(ctx context.Context, l *lease) *kerr.Error {
	select {
	case e.turn <- struct{}{}:
	case <-l.ctx.Done():
		return kerr.NotCoordinator
	case <-ctx.Done():
		return kerr.ConcurrentTransactions
	}
	if e.gone {
		e.unlock()
		return kerr.ConcurrentTransactions
	}
	return nil
}

func (e *txnEntry) unlock() { <-e.turn }

func newTransactions(cfg Config, m *markers) *Transactions {
	c := &Transactions{
		partitions: cfg.Partitions,
		peers:      cfg.Peers,
		markers:    m,
		ids:        newProducerIDs(cfg.AllocateIDs),
		clock:      cfg.Clock,
		log:        cfg.Logger,
		leases:     newLeaseTable[lease](cfg),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.wg.Go(c.expireLoop)
	if c.peers != nil {
		c.wg.Go(c.sweepLoop)
	}
	return c
}

func (c *Transactions) close() {
	c.cancel()
	c.leases.close()
	c.wg.Wait()
}

// resign forgets a partition that this node does not lead any more.
func (c *Transactions) resign(tp TopicPartition) { c.leases.swap(tp, nil) }

func (c *Transactions) partitionOf(id string) TopicPartition {
	return TransactionPartition(id, c.leases.slots.count)
}

func (c *Transactions) nowMillis() int64 { return c.clock.Now().UnixMilli() }

// lease returns the lease that owns the transactional id.
func (c *Transactions) lease(id string) (*lease, *kerr.Error) {
	return c.leases.serving(c.partitionOf(id))
}

// find returns the entry of a known transactional id.
func (l *lease) find(id string) *txnEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.entries[id]
}

// snapshot lists the entries, to look at without the lock.
func (l *lease) snapshot() []*txnEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*txnEntry, 0, len(l.mu.entries))
	for _, e := range l.mu.entries {
		all = append(all, e)
	}
	return all
}

// findOrAdd returns the entry of a transactional id, a new one with producerID if it is not known.
func (l *lease) findOrAdd(id string, producerID, now int64) (*txnEntry, *kerr.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.mu.entries[id]; e != nil {
		return e, nil
	}
	if len(l.mu.entries) >= maxIDsPerPartition {
		return nil, kerr.PolicyViolation
	}
	e := newTxnEntry(newTxn(id, producerID, now))
	l.mu.entries[id] = e
	return e, nil
}

// open finds the entry of id and takes its turn.
func (c *Transactions) open(ctx context.Context, id string) (*lease, *txnEntry, *kerr.Error) {
	l, kerror := c.lease(id)
	if kerror != nil {
		return nil, nil, kerror
	}
	e := l.find(id)
	if e == nil {
		return nil, nil, kerr.InvalidProducerIDMapping
	}
	if kerror := e.lock(ctx, l); kerror != nil {
		return nil, nil, kerror
	}
	return l, e, nil
}

// install appends the new value of e to the log and makes it the one that counts. The memory follows the order of the log; it is
// the answer to a client that waits until the record is below the high watermark. The caller has the turn. It returns the
// offset behind the record.
func (c *Transactions) install(l *lease, e *txnEntry, t txn) (next int64, err error) {
	if e.value.Load().state != stateOngoing {
		t.opened = c.clock.Now()
	}
	var b record.Builder
	b.Reset(record.BatchOptions{})
	if err := b.Append(t.updateMillis, encodeTxnKey(t.id), encodeTxnValue(t)); err != nil {
		return 0, err
	}
	batch, err := b.Finish(nil)
	if err != nil {
		return 0, err
	}
	if _, next, err = l.append(l.ctx, batch, coordinatorAppend); err != nil {
		return 0, err
	}
	e.value.Store(&t)
	e.next = next
	return next, nil
}

// installDurably is install and the wait for it.
func (c *Transactions) installDurably(ctx context.Context, l *lease, e *txnEntry, t txn) *kerr.Error {
	next, err := c.install(l, e, t)
	if err == nil {
		err = l.part.WaitHighWatermark(ctx, next)
	}
	if err != nil {
		return coordinatorError(err)
	}
	return nil
}

// producerIDs hands out producer ids from blocks of the metadata quorum.
type producerIDs struct {
	allocate func(context.Context) (first, count int64, err error)
	turn     chan struct{} // held by who takes an id: the quorum may let it wait, and those behind it have contexts of their own
	// Under turn.
	next, end int64
}

func newProducerIDs(allocate func(context.Context) (first, count int64, err error)) *producerIDs {
	return &producerIDs{allocate: allocate, turn: make(chan struct{}, 1)}
}

var errNoProducerIDs = errors.New("the metadata quorum gave an empty block of producer ids")

// take returns a producer id that nobody has had before.
func (p *producerIDs) take(ctx context.Context) (int64, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if p.next == p.end {
		first, count, err := p.allocate(ctx)
		if err != nil {
			return 0, err
		}
		if count <= 0 {
			return 0, errNoProducerIDs
		}
		p.next, p.end = first, first+count
	}
	id := p.next
	p.next++
	return id, nil
}
