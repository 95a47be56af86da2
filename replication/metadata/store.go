package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

const (
	// Timeouts of a group of one: nobody else can win, so an election may come at once. The group is reopened with a cluster's values before it
	// gets a second voter, for the lease cannot be changed while it runs.
	soloTimeout = 50 * time.Millisecond
	// commitTimeout bounds how long followers wait to hear that an entry is committed.
	commitTimeout = 10 * time.Millisecond
	// enqueueTimeout bounds the wait for a place in raft's queue.
	enqueueTimeout = StallLimit
	// snapshotEvery is after how many entries a snapshot is made, trailing how many stay in the log behind it.
	snapshotEvery    = 4096
	trailing         = 1024
	snapshotInterval = 2 * time.Minute
	maxAppendEntries = 64
	// transportTimeout bounds one exchange between members; maxPool the connections kept to each.
	transportTimeout = 5 * time.Second
	maxPool          = 3
)

// Options are what Open needs. All but Stream and HasData must be set.
type Options struct {
	FS       fsys.FS
	Dir      string // of the metadata database; made if it is not there
	Identity Identity
	Release  string // of this program, written into entries
	Clock    clock.Clock
	Rand     io.Reader // safe for concurrent use
	Logger   *slog.Logger
	// Stream carries raft between nodes; nil for a node that will never have peers.
	Stream raft.StreamLayer
	// HasData says that the data directory holds partitions. Then a group must be there too: to found a new one would be to forget every topic.
	HasData bool
	// OnFatal is called when the node must stop: a metadata write failed or hung, or an entry needs a newer release. It may be called from any goroutine,
	// more than once, and must return soon, without waiting for Close.
	OnFatal func(error)
}

// Store is a node's member of the metadata group. Its methods are safe for concurrent use.
type Store struct {
	opts      Options
	fsm       *fsm
	store     *store
	transport raft.Transport
	raft      *raft.Raft

	closing chan struct{}
	wg      sync.WaitGroup // waits of Apply and Barrier for raft's futures
	close   sync.Once
	err     error // of Close
}

// Open opens the group of one in opts.Dir, founding it if the directory is new, waits until this node leads it and has applied everything committed
// before, and returns. It takes a few milliseconds more than its syncs.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{opts: opts, closing: make(chan struct{})}
	s.fsm = newFSM(opts.Release, opts.OnFatal)
	db, err := openStore(opts.FS, opts.Dir, opts.Clock, opts.Logger, opts.OnFatal)
	if err != nil {
		return nil, err
	}
	s.store = db
	if err := s.openRaft(); err != nil {
		return nil, errors.Join(err, s.closeTransport(), db.close())
	}
	if err := s.lead(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openRaft() error {
	out := raftLog{s.opts.Logger}
	if s.opts.Stream != nil {
		s.transport = raft.NewNetworkTransport(s.opts.Stream, maxPool, transportTimeout, out)
	} else {
		addr, t := raft.NewInmemTransport("")
		t.Connect(addr, t)
		s.transport = t
	}
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(s.opts.Identity.Directory.String())
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = soloTimeout, soloTimeout, soloTimeout
	conf.CommitTimeout = commitTimeout
	conf.MaxAppendEntries = maxAppendEntries
	conf.BatchApplyCh = true
	conf.SnapshotThreshold, conf.TrailingLogs, conf.SnapshotInterval = snapshotEvery, trailing, snapshotInterval
	conf.NoLegacyTelemetry = true
	conf.LogOutput, conf.LogLevel = out, "INFO"
	known, err := raft.HasExistingState(s.store, s.store, s.store)
	if err != nil {
		return fmt.Errorf("metadata: reading raft's state: %w", err)
	}
	if !known && s.opts.HasData {
		return fmt.Errorf("%w: %s", ErrLost, s.opts.Dir)
	}
	if !known {
		self := raft.Server{Suffrage: raft.Voter, ID: conf.LocalID, Address: s.transport.LocalAddr()}
		err := raft.BootstrapCluster(conf, s.store, s.store, s.store, s.transport, raft.Configuration{Servers: []raft.Server{self}})
		if err != nil {
			return fmt.Errorf("metadata: founding the group: %w", err)
		}
	}
	if s.raft, err = raft.NewRaft(conf, s.fsm, s.store, s.store, s.store, s.transport); err != nil {
		return fmt.Errorf("metadata: opening raft: %w", err)
	}
	return nil
}

// lead makes this node the leader and waits until it has applied all that was committed. The only voter need not wait for a heartbeat to fail: it
// tells itself to stand for election, the way leadership is handed over.
func (s *Store) lead(ctx context.Context) error {
	conf := s.raft.GetConfiguration()
	if err := conf.Error(); err != nil {
		return fmt.Errorf("metadata: reading the configuration: %w", err)
	}
	self := raft.ServerID(s.opts.Identity.Directory.String())
	if servers := conf.Configuration().Servers; len(servers) != 1 || servers[0].ID != self {
		return fmt.Errorf("%w: its metadata group is of %v, this directory is %s", ErrForeignData, servers, self)
	}
	observer := make(chan raft.Observation, 8)
	obs := raft.NewObserver(observer, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.RaftState)
		return ok
	})
	s.raft.RegisterObserver(obs)
	defer s.raft.DeregisterObserver(obs)
	var resp raft.TimeoutNowResponse
	if err := s.transport.TimeoutNow(self, s.transport.LocalAddr(), &raft.TimeoutNowRequest{RPCHeader: rpcHeader(self)}, &resp); err != nil {
		s.opts.Logger.Warn("metadata: standing for election only after a timeout", "err", err)
	}
	for s.raft.State() != raft.Leader {
		select {
		case <-observer:
		case <-ctx.Done():
			return fmt.Errorf("metadata: waiting to lead: %w", context.Cause(ctx))
		}
	}
	return s.Barrier(ctx)
}

func rpcHeader(self raft.ServerID) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self)}
}

// Image returns the newest image this node has applied.
func (s *Store) Image() *Image {
	img, _ := s.fsm.watch()
	return img
}

// Watch returns the newest image and a channel that is closed when there is a newer one. To follow the metadata: act on the image, wait for the
// channel, call Watch again. Images in between may be skipped.
func (s *Store) Watch() (*Image, <-chan struct{}) { return s.fsm.watch() }

// WaitIndex waits until this node's image has at least the given index and returns it.
func (s *Store) WaitIndex(ctx context.Context, index uint64) (*Image, error) {
	for {
		img, changed := s.Watch()
		if img.Index() >= index {
			return img, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.closing:
			return nil, ErrClosed
		}
	}
}

// NewBatch begins a batch made from the newest image.
func (s *Store) NewBatch() *Batch { return newBatch(s.Image(), s.opts.Release, s.opts.Rand) }

// Apply applies a batch and returns once this node's image has it. If the state machine refuses, nothing is changed and the error is an *Error. After
// ErrUnknownOutcome (ctx ended, or leadership was lost), Apply of the same batch is safe: it is applied once.
func (s *Store) Apply(ctx context.Context, b *Batch) (Result, error) {
	if b.err != nil {
		return Result{}, b.err
	}
	data := b.entry.encode()
	if len(data) > MaxEntryBytes {
		return Result{}, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrTooLarge, len(data), MaxEntryBytes)
	}
	if err := s.store.failure(); err != nil {
		return Result{}, err
	}
	future := s.raft.Apply(data, enqueueTimeout)
	if err := s.wait(ctx, future); err != nil {
		return Result{}, err
	}
	switch r := future.Response().(type) {
	case *outcome:
		if r.err != nil {
			return Result{}, r.err
		}
		return Result{Index: r.index, values: r.results}, nil
	case error:
		return Result{}, r
	default:
		return Result{}, fmt.Errorf("metadata: the state machine answered %T", r)
	}
}

// Barrier waits until this node has applied everything that was committed before the call.
func (s *Store) Barrier(ctx context.Context) error {
	if err := s.wait(ctx, s.raft.Barrier(enqueueTimeout)); err != nil {
		return err
	}
	return s.fsm.failure() // one that has stopped lets barriers pass
}

// wait waits for a raft future. Raft answers every future, at the latest when it is shut down.
func (s *Store) wait(ctx context.Context, f raft.Future) error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	done := make(chan error, 1)
	s.wg.Go(func() { done <- f.Error() })
	select {
	case err := <-done:
		return raftError(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, context.Cause(ctx))
	}
}

// raftError says in this package's words what a raft error means for the caller.
func raftError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
}

// Register makes this node a broker, in place of the registration it had, and returns its new epoch. Then every partition that it holds and that it leads or
// nobody does gets a leader and a new leader epoch, as a controller sees to when a broker has come back. k's id and directory are those of the
// store's identity.
func (s *Store) Register(ctx context.Context, k Broker) (epoch uint64, err error) {
	k.ID, k.Directory, k.Release = s.opts.Identity.NodeID, s.opts.Identity.Directory, s.opts.Release
	if k.Incarnation, err = NewUUID(s.opts.Rand); err != nil {
		return 0, err
	}
	b := s.NewBatch()
	var replaces uint64
	if old, ok := b.Image().Broker(k.ID); ok {
		replaces = old.Epoch
	}
	ref := b.RegisterBroker(k, replaces)
	r, err := s.Apply(ctx, b)
	if err != nil {
		return 0, err
	}
	for _, b := range elections(s.Image(), k.ID, s.NewBatch) {
		if _, err := s.Apply(ctx, b); err != nil {
			return 0, err
		}
	}
	return r.Epoch(ref), nil
}

// TakeOIDs takes n consecutive OIDs and returns the first.
func (s *Store) TakeOIDs(ctx context.Context, n uint32) (OID, error) {
	b := s.NewBatch()
	ref := b.TakeOIDs(n)
	r, err := s.Apply(ctx, b)
	if err != nil {
		return 0, err
	}
	return r.OID(ref), nil
}

// TakeProducerIDs takes the next block of producer ids for this node, whose registration has the given epoch.
func (s *Store) TakeProducerIDs(ctx context.Context, epoch uint64) (ProducerIDBlock, error) {
	b := s.NewBatch()
	ref := b.TakeProducerIDs(s.opts.Identity.NodeID, epoch)
	r, err := s.Apply(ctx, b)
	if err != nil {
		return ProducerIDBlock{}, err
	}
	return r.ProducerIDs(ref), nil
}

// Snapshot makes a snapshot now and drops the log behind it.
func (s *Store) Snapshot(ctx context.Context) error {
	err := s.wait(ctx, s.raft.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// Close leaves the group and closes the database. It waits for everything the store has started.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		down := s.raft.Shutdown()
		err := s.closeTransport()
		close(s.store.ending)
		err = errors.Join(err, down.Error())
		s.wg.Wait()
		s.err = errors.Join(err, s.store.close())
	})
	return s.err
}

func (s *Store) closeTransport() error {
	switch t := s.transport.(type) {
	case *raft.NetworkTransport:
		t.CloseStreams()
		return t.Close()
	case raft.WithClose:
		return t.Close()
	}
	return nil
}

// Preview returns the image that the newest one would become by b, and changes nothing. It is how a transaction sees its own changes before they
// are applied; the error is what Apply would answer now.
func (s *Store) Preview(b *Batch) (*Image, error) {
	if b.err != nil {
		return nil, b.err
	}
	img := s.Image()
	next, _, err := applyEntry(img, img.index, &b.entry)
	return next, err
}
