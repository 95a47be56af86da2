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
	"github.com/millracedb/millrace/replication/metadata"
)

var ctxBackground = context.Background()

// Directories below the data directory.
const (
	metaDir  = "meta"
	stateDir = "state"
)

// featureLevel is the range of cluster feature levels that this release can work at.
const (
	featureMin = 0
	featureMax = 1
)

// Node is a running node. Close stops it.
type Node struct {
	cfg      Config
	identity metadata.Identity
	epoch    uint64

	logs   *log.Manager
	port   *peer.Port
	meta   *metadata.Store
	repl   *replication.Manager
	coord  *coordinator.Broker
	groups *coordinator.Groups
	log    *locallog.Log
	state  *pebblestore.Store
	engine *engine.Engine
	pg     *pgwire.Server
	kafka  *kafka.Server
	admin  *admin.Server

	addrs struct{ pg, kafka, http, raft net.Addr }
	ready atomic.Bool
	wg    sync.WaitGroup // of the listeners
	fatal chan error     // the first reason to stop, buffered

	closeOnce sync.Once
	closeErr  error
}

// Open starts a node and returns when it serves.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	cfg.EnsureDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, fatal: make(chan error, 1)}
	for _, step := range []func(context.Context) error{
		n.openFiles,      // who we are, and the lock on the directory
		n.openMetadata,   // what exists: topics, catalog, users
		n.openPartitions, // the log, led by this node
		n.openCoordinators,
		n.openEngine, // tasks start here, for they need the coordinators
		n.listen,     // clients last, when everything can answer them
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	n.ready.Store(true)
	return n, nil
}

// stop is told why the node cannot go on.
func (n *Node) stop(err error) {
	select {
	case n.fatal <- err:
	default:
	}
	n.ready.Store(false)
	n.cfg.OnFatal(err)
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
		Dir: n.cfg.Dir, FS: n.cfg.FS, Clock: n.cfg.Clock, Logger: n.cfg.Logger, TailCacheBytes: n.cfg.share(tailShare),
		OnOffline: func(err error) {
			if n.repl != nil {
				n.repl.GoOffline(err)
			}
			n.stop(fmt.Errorf("a sync of the data directory failed: %w", err))
		},
	})
	if err != nil {
		return err
	}
	n.identity, _, err = metadata.FormatOrCheck(n.cfg.FS, n.cfg.Dir, metadata.Identity{NodeID: n.cfg.NodeID}, n.cfg.Rand)
	return err
}

func (n *Node) openMetadata(ctx context.Context) error {
	opts := metadata.Options{
		FS: n.cfg.FS, Dir: n.path(metaDir), Identity: n.identity, Release: n.cfg.Release, Clock: n.cfg.Clock, Rand: n.cfg.Rand,
		Logger: n.cfg.Logger, OnFatal: n.stop, HasData: len(n.logs.Found()) > 0,
	}
	if n.cfg.Raft != Off {
		l, err := n.cfg.Listen(n.cfg.Raft)
		if err != nil {
			return fmt.Errorf("--raft: %w", err)
		}
		n.addrs.raft = l.Addr()
		n.port = peer.New(peer.Options{
			Hello: peer.Hello{
				ClusterID: n.identity.ClusterID, NodeID: n.identity.NodeID, DirectoryID: n.identity.Directory.String(), Release: n.cfg.Release,
				FeatureMin: featureMin, FeatureMax: featureMax,
			},
			Listener: l, Clock: n.cfg.Clock, Logger: n.cfg.Logger,
			Dial: func(ctx context.Context, addr string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", addr)
			},
		})
		opts.Stream = n.port.Raft()
		n.port.Start()
	}
	var err error
	if n.meta, err = metadata.Open(ctx, opts); err != nil {
		return err
	}
	incarnation, err := metadata.NewUUID(n.cfg.Rand)
	if err != nil {
		return err
	}
	n.epoch, err = n.meta.Register(ctx, metadata.Broker{
		ID: n.identity.NodeID, Incarnation: incarnation, Directory: n.identity.Directory, Release: n.cfg.Release,
		FeatureMin: featureMin, FeatureMax: featureMax, Endpoints: n.endpoints(),
	})
	if err != nil {
		return fmt.Errorf("registering as a broker: %w", err)
	}
	if err := formTopics(ctx, n.meta); err != nil {
		return fmt.Errorf("making the internal topics: %w", err)
	}
	n.logs.SetBrokerEpoch(int64(n.epoch))
	return nil
}

// endpoints are the addresses that the configuration gives. A port that the machine is to choose is not known yet, and 0.
func (n *Node) endpoints() []metadata.Endpoint {
	var out []metadata.Endpoint
	for _, a := range []struct{ name, addr string }{{"pg", n.cfg.PG}, {"http", n.cfg.HTTP}, {"peer", n.cfg.Raft}} {
		host, port, err := net.SplitHostPort(a.addr)
		if err != nil {
			continue // off
		}
		number, err := net.LookupPort("tcp", port)
		if err != nil {
			continue
		}
		out = append(out, metadata.Endpoint{Name: a.name, Host: host, Port: uint16(number)})
	}
	return out
}

func (n *Node) openPartitions(ctx context.Context) error {
	var err error
	n.repl, err = replication.Open(replication.Options{
		Logs: n.logs, Metadata: n.meta, NodeID: n.identity.NodeID, Clock: n.cfg.Clock, Logger: n.cfg.Logger,
	})
	if err != nil {
		return err
	}
	return n.repl.WaitIndex(ctx, n.meta.Image().Index())
}

func (n *Node) openCoordinators(ctx context.Context) error {
	n.coord = coordinator.New(coordinator.Config{
		Partitions: coordinator.Replicated(n.repl), Clock: n.cfg.Clock, Logger: n.cfg.Logger, InternalPartitions: internalPartitions,
		AllocateIDs: func(ctx context.Context) (first, count int64, err error) {
			b := n.meta.NewBatch()
			ref := b.TakeProducerIDs(n.identity.NodeID, n.epoch)
			res, err := n.meta.Apply(ctx, b)
			if err != nil {
				return 0, 0, err
			}
			block := res.ProducerIDs(ref)
			return block.First, block.Len, nil
		},
	})
	all := make([]int32, internalPartitions)
	for i := range all {
		all[i] = int32(i)
	}
	if err := n.coord.Lead(ctx, all, all); err != nil {
		return fmt.Errorf("loading the coordinators: %w", err)
	}
	n.groups = coordinator.NewGroups(coordinator.GroupsConfig{Offsets: n.coord.Offsets, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger})
	n.log = locallog.New(n.repl, n.coord, n.cfg.Clock)
	return nil
}

func (n *Node) openEngine(ctx context.Context) error {
	var err error
	n.state, err = pebblestore.Open(pebblestore.Options{
		FS: n.cfg.FS, Dir: n.path(stateDir), CacheBytes: n.cfg.share(pebbleShare) / 2, MemTableBytes: uint64(n.cfg.share(pebbleShare) / 8),
		Logger: n.cfg.Logger, OnFatal: n.stop,
	})
	if err != nil {
		return fmt.Errorf("state store: %w", err)
	}
	n.engine, err = engine.Open(ctx, engine.Options{
		Meta: n.meta, Log: n.log, Groups: n.coord, WaitIndex: n.repl.WaitIndex, State: n.state, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger,
		NodeID: n.identity.NodeID, Release: n.cfg.Release, DefaultPartitions: n.cfg.Partitions, ErrorTopic: TopicErrors,
		StateBytes: n.cfg.share(stateShare), SessionBytes: n.cfg.share(sessionsShare),
		DiskLow: n.logs.DiskLow, PartitionFailure: n.partitionFailure, RequirePassword: n.cfg.RequirePassword, Insecure: n.cfg.Insecure,
	})
	return err
}

// partitionFailure tells why a partition takes no writes.
func (n *Node) partitionFailure(topic string, partition int32) error {
	p, err := n.repl.Partition(topic, partition)
	if err != nil {
		return err
	}
	return p.Failure()
}

func (n *Node) listen(context.Context) error {
	l, err := n.cfg.Listen(n.cfg.PG)
	if err != nil {
		return fmt.Errorf("--pg: %w", err)
	}
	n.addrs.pg = l.Addr()
	n.pg, err = pgwire.New(pgwire.Config{Backend: n.engine, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger, TLS: n.cfg.TLS})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	n.serve("pg", func() error { return n.pg.Serve(l) })
	if err := n.listenHTTP(); err != nil {
		return err
	}
	return n.listenKafka()
}

func (n *Node) listenHTTP() error {
	if n.cfg.HTTP == Off {
		return nil
	}
	h, err := n.cfg.Listen(n.cfg.HTTP)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	n.addrs.http = h.Addr()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(n.engine.Collectors()...)
	n.admin = admin.New(admin.Options{Ready: n.notReady, Registry: registry, Release: n.cfg.Release})
	n.serve("http", func() error { return n.admin.Serve(h) })
	return nil
}

func (n *Node) listenKafka() error {
	if n.cfg.Kafka == Off {
		return nil
	}
	l, err := n.cfg.Listen(n.cfg.Kafka)
	if err != nil {
		return fmt.Errorf("--kafka: %w", err)
	}
	n.addrs.kafka = l.Addr()
	var users kafka.Users
	if n.cfg.RequirePassword && !n.cfg.Insecure {
		users = kafkabackend.Users{Meta: n.meta}
	}
	n.kafka, err = kafka.New(kafka.Config{
		Users: users, Rand: n.cfg.Rand, AutoCreateTopics: !n.cfg.NoAutoTopics,
		Broker: n.coord, Groups: n.groups, Partitions: kafkabackend.Partitions{Manager: n.repl},
		Cluster: &kafkabackend.Cluster{
			Meta: n.meta, Identity: n.identity, WaitIndex: n.repl.WaitIndex, DiskLow: n.logs.DiskLow, DefaultPartitions: n.cfg.Partitions,
		},
		Clock: n.cfg.Clock, Logger: n.cfg.Logger, Advertised: n.cfg.KafkaAdvertised, RequestBytes: n.cfg.share(requestShare),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("--kafka: %w", err), l.Close())
	}
	n.serve("kafka", func() error { return n.kafka.Serve(l) })
	return nil
}

func (n *Node) serve(name string, f func() error) {
	n.wg.Go(func() {
		if err := f(); err != nil && !errors.Is(err, pgwire.ErrServerClosed) && !errors.Is(err, kafka.ErrServerClosed) {
			n.cfg.Logger.Error("listener ended", "listener", name, "err", err)
		}
	})
}

var errNotReady = errors.New("starting or stopping")

func (n *Node) notReady() error {
	if n.ready.Load() {
		return nil
	}
	return errNotReady
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
