package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec/pebblestore"
	"github.com/millracedb/millrace/internal/admin"
	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/kafkabackend"
	"github.com/millracedb/millrace/internal/locallog"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/controller"
	"github.com/millracedb/millrace/replication/metadata"
)

// Directories below the data directory.
const (
	metaDir  = "meta"
	stateDir = "state"
)

// Node is a running node. Close stops it.
type Node struct {
	cfg      Config
	identity metadata.Identity
	process  metadata.UUID // made by each start
	epoch    uint64
	found    bool // it founds its cluster
	forming  bool // it is one of those that the cluster is formed of, and was blank

	logs   *log.Manager
	port   *peer.Port   // nil: the node is alone for ever
	caller *peer.Caller // over port
	meta   *metadata.Store
	ctrl   *controller.Controller
	heart  *controller.Heart
	repl   *replication.Manager
	coord  *coordinator.Broker
	groups groups
	log    *locallog.Log
	state  *pebblestore.Store
	kafka  *kafka.Server
	admin  *admin.Server

	served   atomic.Pointer[served] // what calls of other nodes reach
	duty     atomic.Pointer[duty]   // nil while another node has it
	work     atomic.Pointer[work]   // nil while this node has it, or no part in the queries
	dutyNews struct {
		sync.Mutex
		changed chan struct{} // closed and replaced when duty is set
	}
	engine        atomic.Pointer[engine.Engine] // of the duty, or of the work for another node that has it
	dutyDone      chan struct{}                 // closed when duties are not followed any more
	followersDone chan struct{}                 // closed when the coordinators of Kafka clients are not followed any more
	cutOff        chan struct{}                 // capacity one: the controller has stopped or begun to answer
	sessions      *sessions                     // nil for a node alone
	front         atomic.Pointer[pgwire.Server] // of the clients, in a cluster
	registry      *prometheus.Registry

	life     context.Context // ends when Close begins
	endLife  context.CancelFunc
	stopping <-chan struct{} // closed then

	listeners struct{ pg, kafka, http net.Listener }

	addrs  struct{ pg, kafka, http, raft net.Addr }
	opened atomic.Bool // Open has come to its end
	ready  atomic.Bool
	failed atomic.Bool // it has to stop
	// answered is when the controller last answered a heartbeat, in ns since 1970; 0: not yet.
	answered atomic.Int64
	wg       sync.WaitGroup          // of the listeners
	fatal    chan error              // the first reason to stop, buffered
	giveUp   context.CancelCauseFunc // ends what Open waits for

	closeOnce sync.Once
	closeErr  error
}

// Open starts a node and returns when it serves. A failure because of which it would have to stop, as that of a disk, is an error of Open while it lasts.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg.EnsureDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Insecure && cfg.RequirePassword && cfg.TLS == nil {
		cfg.Logger.Warn("clients are asked for passwords, but nothing is encrypted: --insecure without --tls-cert")
	}
	n := &Node{cfg: cfg, fatal: make(chan error, 1), cutOff: make(chan struct{}, 1), registry: prometheus.NewRegistry()}
	n.dutyNews.changed = make(chan struct{})
	n.life, n.endLife = context.WithCancel(context.Background())
	n.stopping = n.life.Done()
	ctx, n.giveUp = context.WithCancelCause(ctx)
	defer n.giveUp(nil)
	for _, step := range []func(context.Context) error{
		n.openFiles,    // the lock on the directory
		n.openPort,     // who we are, and who the others are
		n.bind,         // the addresses that the others are told
		n.openMetadata, // what exists: topics, catalog, users
		n.register,
		n.openPartitions, // the log, as leader or follower
		n.openCoordinators,
		n.openState,
		n.openFollowers, // coordinators start here,
		n.openDuty,      // and tasks, if it is this node's turn
		n.listen,        // clients last, when everything can answer them
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	n.opened.Store(true)
	n.ready.Store(true)
	return n, nil
}

// stop is told why the node cannot go on. It serves nothing as leader from now on: it may never hear that others lead in its place. And it is silent from now on, so that they soon do: its end may take long, and on a disk
// that hangs it never comes.
func (n *Node) stop(err error) {
	n.failed.Store(true)
	n.giveUp(err)
	n.onCutOff(true)
	if s := n.served.Load(); s != nil {
		s.meta.GiveUp(err)
	}
	select {
	case n.fatal <- err:
	default:
	}
	n.ready.Store(false)
	n.cfg.OnFatal(err)
}

var errMustStop = errors.New("this node must stop")

// sendHeartbeat sends one to the node port at addr, as long as this node can go on.
func (n *Node) sendHeartbeat(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error) {
	if n.failed.Load() {
		return nil, errMustStop
	}
	return n.caller.Call(ctx, addr, req)
}

// Fatal delivers the reason why the node must be closed, if there comes to be one.
func (n *Node) Fatal() <-chan error { return n.fatal }

func (n *Node) path(name string) string { return n.cfg.FS.PathJoin(n.cfg.Dir, name) }

func (n *Node) openFiles(context.Context) error {
	if err := fsys.MkdirAllSync(n.cfg.FS, n.cfg.Dir); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	var err error
	n.logs, err = log.OpenManager(log.ManagerOptions{
		Dir: n.cfg.Dir, FS: n.cfg.FS, Clock: n.cfg.Clock, Logger: n.cfg.Logger, TailCacheBytes: n.cfg.share(tailShare), MaxLogs: n.cfg.maxLogs(),
		OnOffline: func(err error) {
			if n.repl != nil {
				n.repl.GoOffline(err)
			}
			n.stop(fmt.Errorf("a sync of the data directory failed: %w", err))
		},
	})
	return err
}

func (n *Node) openMetadata(ctx context.Context) error {
	opts := metadata.Options{
		FS: n.cfg.FS, Dir: n.path(metaDir), Identity: n.identity, Release: n.cfg.Release, FeatureMax: n.cfg.FeatureMax, Clock: n.cfg.Clock,
		Rand: n.cfg.Rand, Logger: n.cfg.Logger, OnFatal: n.stop, HasData: len(n.logs.Found()) > 0,
	}
	if n.port != nil {
		opts.Stream, opts.Peers = n.port.Raft, n.peers()
	}
	var err error
	if n.meta, err = metadata.Open(ctx, opts); err != nil || n.port == nil {
		return err
	}
	n.ctrl = controller.Open(controller.Options{
		Meta: n.meta, NodeID: n.identity.NodeID, Clock: n.cfg.Clock, Logger: n.cfg.Logger,
		Dial: func(ctx context.Context, addr string) error {
			_, err := n.port.Probe(ctx, addr)
			return err
		},
	})
	n.served.Store(&served{meta: n.meta, controller: n.ctrl})
	return nil
}

// register makes the node a broker, and begins to tell the controller that it is there.
func (n *Node) register(ctx context.Context) error {
	var err error
	n.epoch, err = n.registerOnce(ctx, metadata.Broker{Endpoints: n.endpoints(), Rack: n.cfg.Rack})
	if err != nil {
		return fmt.Errorf("registering as a broker: %w", err)
	}
	n.logs.SetBrokerEpoch(int64(n.epoch))
	if n.port == nil {
		if err := n.meta.RaiseLevel(ctx); err != nil {
			return fmt.Errorf("raising the feature level: %w", err)
		}
	} else {
		n.heart = controller.OpenHeart(controller.HeartOptions{
			Meta: n.meta, Clock: n.cfg.Clock, Local: n.ctrl, NodeID: n.identity.NodeID, Epoch: n.epoch, Send: n.sendHeartbeat, LifeLine: n.lifeLine, Logger: n.cfg.Logger,
			Directory: n.identity.Directory, DiskLow: n.logs.DiskLow, Acted: n.actedIndex, OnCutOff: n.onCutOff, OnAnswered: n.onAnswered, OnReplaced: func(err error) {
				n.stop(fmt.Errorf("another process has registered as node %d: %w", n.identity.NodeID, err))
			},
		})
	}
	if !n.meta.Leads() {
		return nil // who founded the cluster has made them
	}
	if err := formTopics(ctx, n.meta); err != nil {
		return fmt.Errorf("making the internal topics: %w", err)
	}
	return nil
}

// actedIndex is how far this node has acted on the metadata. Before it has opened its partitions it serves nothing, so that to know is enough.
func (n *Node) actedIndex() uint64 {
	if s := n.served.Load(); s != nil && s.repl != nil {
		img, _ := s.repl.Watch()
		return img.Index()
	}
	return n.meta.Image().Index()
}

// onCutOff is told that the controller does not answer or has fenced this node, so that another may take over what it does, or that it has let it in again.
func (n *Node) onCutOff(cut bool) {
	s := n.served.Load()
	if s == nil || s.repl == nil {
		return
	}
	s.repl.CutOff(cut || n.failed.Load())
	select {
	case n.cutOff <- struct{}{}:
	default:
	}
}

// onAnswered is told until when this node may lead: the controller names no other leaders before then.
func (n *Node) onAnswered(until time.Time) {
	n.answered.Store(n.cfg.Clock.Now().UnixNano())
	if s := n.served.Load(); s != nil && s.repl != nil {
		s.repl.ServeUntil(until)
	}
}

// bind makes sure of the addresses of clients, so that the cluster can be told them. PostgreSQL clients are told from now on that the node is starting; a port that would accept connections and say nothing
// is not open before the node can answer, as in Kafka: who finds it closed goes to another node at once. Only one that the machine is to choose has to be. A node alone opens all then.
func (n *Node) bind(context.Context) error {
	if n.port == nil {
		return nil
	}
	if err := n.openListeners(true); err != nil {
		return err
	}
	return n.serveFront()
}

// openListeners opens those that are not open; with early, it only tries those that are to be opened later.
func (n *Node) openListeners(early bool) error {
	for _, x := range []struct {
		flag, addr string
		l          *net.Listener
		at         *net.Addr
		late       bool
	}{
		{"--pg", n.cfg.PG, &n.listeners.pg, &n.addrs.pg, false},
		{"--http", n.cfg.HTTP, &n.listeners.http, &n.addrs.http, true},
		{"--kafka", n.cfg.Kafka, &n.listeners.kafka, &n.addrs.kafka, true},
	} {
		if x.addr == Off || *x.l != nil {
			continue
		}
		l, err := n.cfg.Listen(x.addr)
		if err != nil {
			return fmt.Errorf("%s: %w", x.flag, err)
		}
		*x.at = l.Addr()
		if _, port, _ := splitAddr(x.addr); early && x.late && port != 0 {
			if err := l.Close(); err != nil {
				return fmt.Errorf("%s: %w", x.flag, err)
			}
			continue
		}
		*x.l = l
	}
	return nil
}

// closeListeners closes those that no server has taken over.
func (n *Node) closeListeners() error {
	var errs []error
	for _, l := range []net.Listener{n.listeners.pg, n.listeners.http, n.listeners.kafka} {
		if l == nil {
			continue
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// endpoints are the addresses at which the node listens or will; a port that the machine is to choose and that is not open yet is 0.
func (n *Node) endpoints() []metadata.Endpoint {
	at := func(cfg string, a net.Addr) string {
		if a != nil {
			return a.String()
		}
		return cfg
	}
	peerAddr := n.cfg.Raft
	if n.port != nil {
		peerAddr = n.port.Addr()
	}
	kafkaAddr := at(n.cfg.Kafka, n.addrs.kafka)
	if n.cfg.KafkaAdvertised != "" && kafkaAddr != Off {
		kafkaAddr = n.cfg.KafkaAdvertised
	}
	var out []metadata.Endpoint
	for _, a := range []struct{ name, addr string }{
		{metadata.EndpointPG, at(n.cfg.PG, n.addrs.pg)}, {metadata.EndpointHTTP, at(n.cfg.HTTP, n.addrs.http)}, {metadata.EndpointKafka, kafkaAddr}, {metadata.EndpointPeer, peerAddr},
	} {
		if host, port, err := splitAddr(a.addr); err == nil {
			out = append(out, metadata.Endpoint{Name: a.name, Host: host, Port: port})
		}
	}
	return out
}

// splitAddr takes a host:port apart, whose port may be a name.
func splitAddr(addr string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	number, err := net.LookupPort("tcp", text)
	return host, uint16(number), err
}

func (n *Node) openPartitions(ctx context.Context) error {
	opts := replication.Options{Logs: n.logs, Metadata: n.meta, NodeID: n.identity.NodeID, Clock: n.cfg.Clock, Logger: n.cfg.Logger}
	if n.port != nil {
		opts.Peers = peers{n.meta, n}
		// Only then is nothing left of what this node led before: to lead on in an old leader epoch, with a log that may have lost its end, would be to write other records
		// under offsets and epochs that followers have.
		if err := n.awaitActive(ctx); err != nil {
			return err
		}
	}
	var err error
	if n.repl, err = replication.Open(opts); err != nil {
		return err
	}
	if n.port != nil {
		n.served.Store(&served{meta: n.meta, controller: n.ctrl, repl: n.repl})
	}
	return n.repl.WaitIndex(ctx, n.meta.Image().Index())
}

// awaitActive waits until the controller has let this node in, and in a cluster that is being formed, until the metadata would survive the loss of a node.
func (n *Node) awaitActive(ctx context.Context) error {
	told := -1
	for {
		img, changed := n.meta.Watch()
		if k, ok := img.Broker(n.identity.NodeID); ok && k.Epoch == n.epoch && !k.Fenced {
			have, wanted := n.ClusterHealth().Voters, controller.Voters(len(n.cfg.BootstrapNodes))
			if !n.forming || have >= wanted {
				return nil
			}
			if have != told {
				told = have
				n.cfg.Logger.Info("waiting until the metadata is on enough nodes of the new cluster", "voters", have, "wanted", wanted)
			}
			if err := n.pause(ctx, lookPause); err != nil {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting to be let into the cluster: %w", context.Cause(ctx))
		}
	}
}

func (n *Node) openCoordinators(context.Context) error {
	cfg := coordinator.Config{
		Partitions: coordinator.Replicated(n.repl), Topics: coordinator.ReplicatedTopics(n.meta), Clock: n.cfg.Clock, Logger: n.cfg.Logger, InternalPartitions: internalPartitions, PartitionCount: n.countPartitions,
		AllocateIDs: func(ctx context.Context) (first, count int64, err error) {
			block, err := n.meta.TakeProducerIDs(ctx, n.epoch)
			return block.First, block.Len, err
		},
	}
	var far locallog.Peers
	if n.port != nil {
		cfg.Peers, far = peers{n.meta, n}, peers{n.meta, n}
	}
	n.coord = coordinator.New(cfg)
	n.groups.open(n, n.countPartitions)
	n.log = locallog.New(n.repl, n.coord, n.cfg.Clock, far)
	if n.port != nil {
		n.served.Store(&served{meta: n.meta, controller: n.ctrl, repl: n.repl, coord: n.coord, engine: &n.engine})
	}
	return nil
}

func (n *Node) openState(context.Context) error {
	var err error
	n.state, err = pebblestore.Open(pebblestore.Options{
		FS: n.cfg.FS, Dir: n.path(stateDir), CacheBytes: n.cfg.share(pebbleShare) / 2, MemTableBytes: uint64(n.cfg.share(pebbleShare) / 8),
		Logger: n.cfg.Logger, OnFatal: n.stop,
	})
	if err != nil {
		return fmt.Errorf("state store: %w", err)
	}
	return nil
}

// engineOptions are those of the engine that has the duty.
func (n *Node) engineOptions() engine.Options {
	opts := engine.Options{
		Meta: n.meta, Log: n.log, Groups: n.coord, WaitIndex: n.repl.WaitIndex, State: n.state, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger,
		NodeID: n.identity.NodeID, Release: n.cfg.Release, DefaultPartitions: n.cfg.Partitions, ErrorTopic: TopicErrors, NotifyTopic: TopicNotify,
		StateBytes: n.cfg.share(stateShare), SessionBytes: n.cfg.share(sessionsShare),
		DiskLow: n.logs.DiskLow, PartitionFailure: n.partitionFailure, ReplicaEnd: n.replicaEnd, RequirePassword: n.cfg.RequirePassword, Insecure: n.cfg.Insecure,
	}
	if n.port != nil {
		opts.Peers, opts.AwaitWrites = peers{n.meta, n}, n.awaitWrites
	}
	return opts
}

// partitionFailure tells why a partition takes no writes.
func (n *Node) partitionFailure(topic string, partition int32) error {
	p, err := n.repl.Partition(topic, partition)
	if err != nil {
		return err
	}
	return p.Failure()
}

// replicaEnd is the next offset of a replica here.
func (n *Node) replicaEnd(topic string, partition int32) (int64, error) {
	p, err := n.repl.Partition(topic, partition)
	if err != nil {
		return 0, err
	}
	return p.LogEnd(), nil
}

func (n *Node) listen(context.Context) error {
	if err := n.openListeners(false); err != nil {
		return err
	}
	if n.port == nil {
		pg := n.duty.Load().pg // Close takes the duty away, maybe before this is served
		n.serve("pg", func() error { return pg.Serve(n.listeners.pg) })
	}
	if err := n.listenHTTP(); err != nil {
		return err
	}
	return n.listenKafka()
}

func (n *Node) listenHTTP() error {
	if n.cfg.HTTP == Off {
		return nil
	}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.registry.MustRegister(n.clusterGauges()...)
	n.admin = admin.New(admin.Options{Ready: n.notReady, Cluster: n.writeCluster, Registry: n.registry, Release: n.cfg.Release})
	n.serve("http", func() error { return n.admin.Serve(n.listeners.http) })
	return nil
}

func (n *Node) listenKafka() error {
	if n.cfg.Kafka == Off {
		return nil
	}
	cluster := &kafkabackend.Cluster{
		Meta: n.meta, Identity: n.identity, WaitIndex: n.repl.WaitIndex, Unanswered: n.unanswered, DiskLow: n.logs.DiskLow, FS: n.cfg.FS, Dir: n.cfg.Dir, DefaultPartitions: n.cfg.Partitions,
	}
	var users kafka.Users
	var access kafka.Access
	if n.cfg.RequirePassword {
		users, access = kafkabackend.Users{Meta: n.meta}, kafkabackend.Access{Cluster: cluster}
	}
	var err error
	n.kafka, err = kafka.New(kafka.Config{
		Users: users, TLS: n.cfg.TLS, Rand: n.cfg.Rand, AutoCreateTopics: !n.cfg.NoAutoTopics,
		Broker: n.coord, Groups: &n.groups, Partitions: kafkabackend.Partitions{Manager: n.repl},
		Quotas: &kafkabackend.Quotas{Cluster: cluster}, Credentials: kafkabackend.Credentials{Cluster: cluster},
		Cluster: cluster, Access: access, Clock: n.cfg.Clock, Logger: n.cfg.Logger, Advertised: n.cfg.KafkaAdvertised, RequestBytes: n.cfg.share(requestShare),
	})
	if err != nil {
		return fmt.Errorf("--kafka: %w", err)
	}
	n.serve("kafka", func() error { return n.kafka.Serve(n.listeners.kafka) })
	return nil
}

func (n *Node) serve(name string, f func() error) {
	n.wg.Go(func() {
		if err := f(); err != nil && n.life.Err() == nil { // else Close has ended it
			n.cfg.Logger.Error("listener ended", "listener", name, "err", err)
		}
	})
}

var errNotReady = errors.New("starting or stopping")

func (n *Node) notReady() error {
	switch {
	case !n.ready.Load():
		return errNotReady
	case n.heart != nil && n.repl.IsCutOff():
		return errors.New(n.touch())
	}
	return nil
}

// KafkaAddr is where Kafka clients connect; nil if they cannot.
func (n *Node) KafkaAddr() net.Addr { return n.addrs.kafka }

// PGAddr, HTTPAddr and RaftAddr are where the node listens; nil where it does not.
func (n *Node) PGAddr() net.Addr { return n.addrs.pg }

// HTTPAddr is the address of health, metrics and profiler.
func (n *Node) HTTPAddr() net.Addr { return n.addrs.http }

// RaftAddr is the address of the node port.
func (n *Node) RaftAddr() net.Addr { return n.addrs.raft }

// Identity says whose data the node holds.
func (n *Node) Identity() metadata.Identity { return n.identity }

// drainTime is how long sessions and requests in progress have at a stop.
const drainTime = 5 * time.Second
