package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
)

const (
	// Timeouts of a group of one: nobody else can win, so an election may come at once. The group is reopened with a cluster's values before it
	// gets a second member, for the lease cannot be changed while it runs.
	soloTimeout = 50 * time.Millisecond
	// groupTimeout is for heartbeats and elections of several members, groupLease how long a leader leads without hearing from a majority.
	groupTimeout = LeaderSilence
	groupLease   = 250 * time.Millisecond
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

// Options are what Open needs. All but Stream, FeatureMax and HasData must be set.
type Options struct {
	FS       fsys.FS
	Dir      string // of the metadata database; made if it is not there
	Identity Identity
	Release  string // of this program, written into entries
	// FeatureMax is the highest feature level that this program knows; less than the constant, which is the default, in tests of upgrades.
	FeatureMax uint32
	Clock      clock.Clock
	Rand       io.Reader // safe for concurrent use
	Logger     *slog.Logger
	// Stream makes the layer that carries raft between nodes, each time in place of the one before; nil for a node that will never have peers. member is the member of the group at an address, empty if there is
	// none: a stream to that address must reach it and nobody else.
	Stream func(member func(addr string) string) raft.StreamLayer
	// Peers is for a node that is to be a member of a group of several; nil for one that founds a group of its own where there is none.
	Peers *Peers
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
	group     atomic.Pointer[group]

	// reopening is held while raft is closed and opened anew with other timeouts, and by Close.
	reopening sync.Mutex
	several   atomic.Bool // the timeouts are those of a group of several

	closing chan struct{}
	close   sync.Once
	err     error // of Close
}

// Open opens this node's member of the group in opts.Dir. Where there is none it founds a group of one, or joins as opts.Peers says. It returns when the node has
// applied everything committed before: the only voter leads at once, a few milliseconds more than its syncs; others wait for a leader.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := checkRoom(opts.FS, opts.Dir); err != nil {
		return nil, err
	}
	if opts.FeatureMax == 0 {
		opts.FeatureMax = FeatureMax
	}
	s := &Store{opts: opts, closing: make(chan struct{})}
	s.fsm = newFSM(opts.Release, opts.FeatureMax, opts.OnFatal)
	db, err := openStore(opts.FS, opts.Dir, opts.Clock, opts.Logger, opts.OnFatal)
	if err != nil {
		return nil, err
	}
	s.store = db
	if err := s.openRaft(ctx); err != nil {
		return nil, errors.Join(err, s.closeTransport(), db.close())
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// roomToOpen is the least room on the disk, in bytes, with which the store is opened: it writes what its log holds into a table then, and Pebble would try that for ever.
const roomToOpen = 512 << 10

// checkRoom refuses to open a store on a full disk. dir need not exist yet.
func checkRoom(fs fsys.FS, dir string) error {
	usage, err := fs.GetDiskUsage(fs.PathDir(dir))
	if err != nil {
		return fmt.Errorf("metadata: asking for the room on the disk of %s: %w", dir, err)
	}
	if usage.AvailBytes >= roomToOpen {
		return nil
	}
	return fmt.Errorf("metadata: the disk of %s is full, with %d bytes free: make room for %d bytes at least and start the node again", dir, usage.AvailBytes, roomToOpen)
}

// openRaft founds or finds the group and opens raft on it.
func (s *Store) openRaft(ctx context.Context) error {
	known, err := raft.HasExistingState(s.store, s.store, s.store)
	if err != nil {
		return fmt.Errorf("metadata: reading raft's state: %w", err)
	}
	if !known && s.opts.HasData {
		return fmt.Errorf("%w: %s; restore the whole data directory from a backup, or have the other nodes of its cluster remove this one (ALTER NODE ... REMOVE) and start it on an empty directory", ErrLost, s.opts.Dir)
	}
	s.several.Store(s.opts.Peers != nil)
	found := s.opts.Peers == nil
	switch {
	case known:
		members, err := s.storedMembers()
		if err != nil {
			return err
		}
		s.several.Store(s.several.Load() || len(members) > 1)
	case !found:
		if found, err = s.opts.Peers.Found(ctx); err != nil {
			return err
		}
	}
	return s.startRaft(!known && found)
}

// startRaft opens raft with the timeouts in force, founding a group of this node alone if asked to.
func (s *Store) startRaft(found bool) error {
	s.transport = s.newTransport()
	conf := s.raftConfig()
	if found {
		self := raft.Server{Suffrage: raft.Voter, ID: conf.LocalID, Address: s.transport.LocalAddr()}
		err := raft.BootstrapCluster(conf, s.store, s.store, s.store, s.transport, raft.Configuration{Servers: []raft.Server{self}})
		if err != nil {
			return fmt.Errorf("metadata: founding the group: %w", err)
		}
	}
	s.store.running.Store(true)
	r, err := raft.NewRaft(conf, s.fsm, s.store, s.store, s.store, s.transport)
	if err != nil {
		return fmt.Errorf("metadata: opening raft: %w", err)
	}
	s.group.Store(&group{Raft: r, ended: make(chan struct{})})
	return nil
}

func (s *Store) newTransport() raft.Transport {
	if s.opts.Stream != nil {
		return oneByOne{raft.NewNetworkTransport(s.opts.Stream(s.memberAt), maxPool, transportTimeout, raftLog{s.opts.Logger}), s.opts.Clock, s.store.failure}
	}
	addr, t := raft.NewInmemTransport("")
	t.Connect(addr, t)
	return t
}

func (s *Store) raftConfig() *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = s.self()
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = soloTimeout, soloTimeout, soloTimeout
	if s.several.Load() {
		conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = groupTimeout, groupTimeout, groupLease
	}
	conf.CommitTimeout = commitTimeout
	conf.MaxAppendEntries = maxAppendEntries
	conf.BatchApplyCh = true
	conf.SnapshotThreshold, conf.TrailingLogs, conf.SnapshotInterval = snapshotEvery, trailing, snapshotInterval
	conf.NoLegacyTelemetry = true
	conf.NoSnapshotRestoreOnStart = s.group.Load() != nil // reopened: the image has it
	conf.LogOutput, conf.LogLevel = raftLog{s.opts.Logger}, "INFO"
	return conf
}

func (s *Store) self() raft.ServerID { return raft.ServerID(s.opts.Identity.Directory.String()) }

// begin waits until this node can serve metadata: as leader if it is the only voter, else with what the leader has.
func (s *Store) begin(ctx context.Context) error {
	members, err := s.Members()
	if err != nil {
		return err
	}
	voters, here := 0, false
	var others []string
	for _, m := range members {
		if m.ID == s.self() {
			here = true
		} else {
			others = append(others, string(m.Address))
		}
		if m.Suffrage == raft.Voter {
			voters++
		}
	}
	switch {
	case here && voters == 1 && s.votes(members):
		return s.lead(ctx)
	case !here && len(members) > 0 && (s.opts.HasData || s.opts.Peers == nil):
		return fmt.Errorf("%w: its metadata group is of %v, this directory is %s", ErrForeignData, members, s.self())
	case !here || s.opts.Peers != nil && s.opts.Peers.Changed(members, s.transport.LocalAddr()): // it may have got entries before it was taken in: those of one that had its address
		if err := s.opts.Peers.Join(ctx, others); err != nil {
			return err
		}
	}
	return s.awaitGroup(ctx, others)
}

// awaitGroup is Barrier for a node whose group may have forgotten it while it did not run: the others do not answer it then.
func (s *Store) awaitGroup(ctx context.Context, others []string) error {
	if s.opts.Peers == nil || s.opts.Peers.Removed == nil {
		return s.Barrier(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	removed := make(chan error, 1)
	go func() {
		defer cancel()
		removed <- s.opts.Peers.Removed(ctx, others)
	}()
	err := s.Barrier(ctx)
	cancel()
	if gone := <-removed; gone != nil {
		return gone // it has ended the wait, so that err says nothing
	}
	return err
}

// lead makes this node, the only voter, the leader and waits until it has applied all that was committed. It need not wait for a heartbeat to fail: it
// tells itself to stand for election, the way leadership is handed over.
func (s *Store) lead(ctx context.Context) error {
	group := s.group.Load()
	observer := make(chan raft.Observation, 8)
	obs := raft.NewObserver(observer, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.RaftState)
		return ok
	})
	group.RegisterObserver(obs)
	defer group.DeregisterObserver(obs)
	var resp raft.TimeoutNowResponse
	if err := s.transport.TimeoutNow(s.self(), s.transport.LocalAddr(), &raft.TimeoutNowRequest{RPCHeader: rpcHeader(s.self())}, &resp); err != nil {
		s.opts.Logger.Warn("metadata: standing for election only after a timeout", "err", err)
	}
	for group.State() != raft.Leader {
		select {
		case <-observer:
		case <-ctx.Done():
			return fmt.Errorf("metadata: waiting to lead: %w", context.Cause(ctx))
		case <-s.closing: // who reopens raft holds what Close waits for
			return ErrClosed
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

// Apply applies a batch and returns once this node's image has it; a node that does not lead the group has the leader do it. If the state machine refuses, nothing is
// changed and the error is an *Error. While there is no leader, or the outcome is not known, it tries again as long as ctx lasts, but at most ApplyLimit. After
// ErrUnknownOutcome, Apply of the same batch is safe: it is applied once.
func (s *Store) Apply(ctx context.Context, b *Batch) (Result, error) {
	if b.err != nil {
		return Result{}, b.err
	}
	data := b.entry.encode()
	if len(data) > MaxEntryBytes {
		return Result{}, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrTooLarge, len(data), MaxEntryBytes)
	}
	o, err := s.settle(ctx, data)
	switch {
	case err != nil:
		return Result{}, err
	case o.err != nil:
		return Result{}, o.err
	}
	if _, err := s.WaitIndex(ctx, o.index); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return Result{Index: o.index, values: o.results}, nil
}

// ApplyAsLeader is Apply by the node that leads the group and by no other: what a deposed leader has decided is not carried out by the next one. It is tried once.
func (s *Store) ApplyAsLeader(ctx context.Context, b *Batch) (Result, error) {
	if b.err != nil {
		return Result{}, b.err
	}
	o, err := s.propose(ctx, b.entry.encode())
	switch {
	case err != nil:
		return Result{}, err
	case o.err != nil:
		return Result{}, o.err
	}
	return Result{Index: o.index, values: o.results}, nil
}

// propose has raft commit an entry, if this node leads, and returns what the state machine answers.
func (s *Store) propose(ctx context.Context, data []byte) (*outcome, error) {
	if err := s.store.failure(); err != nil {
		return nil, fmt.Errorf("%w any more: %w", ErrNotLeader, err)
	}
	g := s.group.Load()
	future := g.Apply(data, enqueueTimeout)
	if err := s.wait(ctx, g, future); err != nil {
		return nil, err
	}
	switch r := future.Response().(type) {
	case *outcome:
		return r, nil
	case error:
		return nil, r
	default:
		return nil, fmt.Errorf("metadata: the state machine answered %T", r)
	}
}

// Barrier waits until this node has applied everything that was committed before the call.
func (s *Store) Barrier(ctx context.Context) error {
	o, err := s.settle(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := s.WaitIndex(ctx, o.index); err != nil {
		return err
	}
	return s.fsm.failure() // one that has stopped lets barriers pass
}

// barrier waits, on the leader, until everything committed before the call is applied.
func (s *Store) barrier(ctx context.Context) (*outcome, error) {
	g := s.group.Load()
	if err := s.wait(ctx, g, g.Barrier(enqueueTimeout)); err != nil {
		return nil, err
	}
	return &outcome{index: s.Image().Index()}, nil
}

// group is a life of raft, from its opening to its end.
type group struct {
	*raft.Raft
	ended chan struct{} // closed once all that raft has started has come to an end
	once  sync.Once     // closes it
}

// shutdown ends raft; what is returned waits until all that it has started has come to an end.
func (g *group) shutdown() (wait func() error) {
	down := g.Shutdown()
	return func() error {
		defer g.once.Do(func() { close(g.ended) })
		return down.Error()
	}
}

// wait waits for a future of g. One that lies in one of raft's queues when it is shut down is never answered, and cannot be waited for together with anything else: so nobody waits for the goroutine that does.
func (s *Store) wait(ctx context.Context, g *group, f raft.Future) error {
	select {
	case <-s.closing:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, ErrClosed)
	default:
	}
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return raftError(err)
	case <-g.ended:
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, raft.ErrRaftShutdown)
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
	g := s.group.Load()
	err := s.wait(ctx, g, g.Snapshot())
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// GiveUp is for a node that cannot go on: its member of the group writes and sends nothing more, so that others lead in its place before Close has come to its end.
func (s *Store) GiveUp(err error) { s.store.refuse(err) }

// Close leaves the group and closes the database. It waits for everything the store has started.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		s.reopening.Lock()
		defer s.reopening.Unlock()
		down := s.group.Load().shutdown()
		err := s.closeTransport()
		close(s.store.ending)
		s.err = errors.Join(err, down(), s.store.close())
	})
	return s.err
}

func (s *Store) closeTransport() error {
	switch t := s.transport.(type) {
	case oneByOne:
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
