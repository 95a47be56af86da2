package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/pgwire"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// superuser is the role that exists from the start; database is the one database there is.
	superuser = "millrace"
	database  = "millrace"
)

// Groups is what the engine needs of the group coordinator: it makes persistent queries visible as consumer groups.
type Groups interface {
	Claim(ctx context.Context, claims []coordinator.GroupClaim) []coordinator.Claimed
	Group(groupID string) (generation int32, members []coordinator.GroupMember, ok bool, err error)
	DeleteGroup(ctx context.Context, groupID string, force bool) error
}

// Options are what Open needs. All but those with a default must be set.
type Options struct {
	Meta   *metadata.Store
	Log    exec.Log
	Groups Groups
	// WaitIndex waits until this node has acted on the metadata up to an index: topics made there can be written to.
	WaitIndex func(ctx context.Context, index uint64) error
	State     exec.StateStore
	Clock     clock.Clock
	Rand      io.Reader
	Logger    *slog.Logger
	NodeID    int32
	Release   string
	// DefaultPartitions of topics whose statement does not say.
	DefaultPartitions int32
	// ErrorTopic and NotifyTopic are the topics of millrace.errors and millrace.notify, of one partition each.
	ErrorTopic, NotifyTopic string
	// StateBytes and SessionBytes are shares of the node's memory.
	StateBytes, SessionBytes int64
	// DiskLow tells that the disk is nearly full, so that partitions take no writes. May be nil.
	DiskLow func() bool
	// PartitionFailure tells why a partition of this node takes no writes, damage for one; nil if nothing is wrong. May be nil.
	PartitionFailure func(topic string, partition int32) error
	// ReplicaEnd is the next offset of this node's replica of a partition.
	ReplicaEnd func(topic string, partition int32) (int64, error)
	// Peers are the engines of the other nodes; nil for a node that will never have any. A Worker runs its share of the tasks for another node, which has the sessions, tables and
	// groups: Groups is not needed.
	Peers  Peers
	Worker bool
	// AwaitWrites waits, for a short time at most, for what other sessions than except write now. It goes with Peers.
	AwaitWrites func(ctx context.Context, except int32)
	// TableStandby has a Worker keep the rows of the tables that it has replicas of, for when this node takes over.
	TableStandby bool
	// RequirePassword asks everybody for a password, also on loopback; without it Insecure admits everybody everywhere.
	RequirePassword, Insecure bool
}

// Engine runs SQL on a node. It is safe for concurrent use.
type Engine struct {
	opts   Options
	meta   *metadata.Store
	log    exec.Log
	clock  clock.Clock
	logger *slog.Logger
	runner *exec.Runner
	tables *tables
	cache  relationCache
	defs   *definitions
	super  *supervisor
	system systemStreams
	hub    *notifyHub

	feeders atomic.Pointer[feeders]

	sequences sequences
	temps     temporaries
	enums     enums

	started time.Time

	mu struct {
		sync.Mutex
		sessions map[*session]struct{}
	}
}

var _ pgwire.Backend = (*Engine)(nil)

// Open starts the engine and the tasks of everything in the catalog.
func Open(ctx context.Context, opts Options) (*Engine, error) {
	e := &Engine{opts: opts, meta: opts.Meta, log: opts.Log, clock: opts.Clock, logger: opts.Logger, started: opts.Clock.Now()}
	e.mu.sessions = map[*session]struct{}{}
	e.system = newSystemStreams(&opts)
	e.cache.mu.relations = map[relationKey]cachedRelation{}
	e.defs = newDefinitions()
	e.sequences.init()
	if !opts.Worker {
		if err := e.ensureSuperuser(ctx); err != nil {
			return nil, fmt.Errorf("making the first role: %w", err)
		}
	}
	e.super = newSupervisor(e)
	e.tables = newTables(e)
	var waitAll func(context.Context, uint64, uint32, []exec.PartitionOffset) error
	if opts.Peers != nil {
		waitAll = e.waitAll
	}
	e.runner = exec.NewRunner(exec.RunnerConfig{
		Log: e.log, State: opts.State, Clock: e.clock, LanePrefix: lanePrefix(opts.NodeID), Lanes: lanes,
		ErrorsTopic: opts.ErrorTopic, TaskMemory: exec.DefaultTaskMemory, OnFailed: e.super.failed, OnLost: e.super.lost, Logger: opts.Logger,
		Tables: e.tables.kept, Regain: opts.Worker, WaitAll: waitAll,
	})
	e.hub = newNotifyHub(e)
	if err := e.runner.Fence(ctx, e.laneIDs()); err != nil {
		return nil, errors.Join(err, e.giveUp())
	}
	e.dropForgotten()
	e.super.start()
	if opts.Worker {
		return e, nil
	}
	// Clients come next, and would be told that their tables are not kept here.
	if err := e.super.waitActed(ctx, e.meta.Image().Index()); err != nil {
		return nil, errors.Join(err, e.giveUp())
	}
	return e, nil
}

// dropForgotten deletes the local state of what was dropped while this node did not run, or had no part in it.
func (e *Engine) dropForgotten() {
	objects, err := e.opts.State.Objects()
	if err != nil {
		e.logger.Warn("local state of what was dropped stays on the disk", "err", err)
	}
	img := e.meta.Image()
	for _, o := range objects {
		oid := metadata.OID(o)
		if _, known := img.Object(oid); known || oid < metadata.FirstOID || uint64(oid) != o {
			continue
		}
		e.super.dropState(oid)
	}
}

// giveBackTimeout bounds how long a stop waits for the metadata to take back values of sequences.
const giveBackTimeout = 5 * time.Second

// lanes is the number of committers of a node.
const lanes = 2

func lanePrefix(node int32) string { return fmt.Sprintf("_millrace-lane-%d", node) }

// laneIDs are the transactional ids of the lanes whose transactions must end before this engine begins: its own, those that wrote to tables on any node, since they are this one's now, and
// those of nodes that are gone. The others run queries of their own.
func (e *Engine) laneIDs() []string {
	ids := e.runner.LaneIDs()
	if e.opts.Worker {
		return ids
	}
	ids = append(ids, e.tables.kept.LaneIDs()...)
	for k := range e.meta.Image().Brokers() {
		if k.ID == e.opts.NodeID {
			continue
		}
		ids = append(ids, exec.TableLanes(lanePrefix(k.ID))...)
		if k.Fenced || k.Draining || e.opts.Peers == nil {
			ids = append(ids, exec.RunnerLanes(lanePrefix(k.ID), lanes)...)
		}
	}
	return ids
}

// ensureSuperuser makes the role that everything begins with.
func (e *Engine) ensureSuperuser(ctx context.Context) error {
	b := e.meta.NewBatch()
	if _, ok := b.Image().User(superuser); ok {
		return nil
	}
	b.PutUser(metadata.User{Name: superuser, Login: true, Superuser: true, CreateRole: true, CreateDB: true, ConnLimit: -1})
	_, err := e.apply(ctx, b)
	return err
}

// Abandon is for a node whose work another has taken over: what is under way is given up instead of finished. Close comes after it.
func (e *Engine) Abandon() {
	e.runner.Abandon()
	e.tables.kept.Abandon()
}

// giveUp is Close of an engine that nobody has asked anything yet. What its tasks have under way may never be committed: often it is that another node leads.
func (e *Engine) giveUp() error {
	e.Abandon()
	return e.Close()
}

// Close stops the tasks and waits for them. Sessions must have ended.
func (e *Engine) Close() error {
	e.hub.close()
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTimeout)
	e.giveBack(ctx)
	cancel()
	e.super.close()
	err := e.runner.Close()
	e.tables.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.mu.sessions); n > 0 {
		return fmt.Errorf("engine: %d sessions were still open at Close", n)
	}
	return err
}

// NewSession implements pgwire.Backend.
func (e *Engine) NewSession(ctx context.Context, info *pgwire.SessionInfo, client pgwire.Client) (pgwire.Session, error) {
	if info.Database != database {
		return nil, sqlerr.New(sqlerr.InvalidCatalogName, "database %q does not exist", info.Database).WithHint("The database is %q.", database)
	}
	s := &session{
		e: e, info: info, client: client, stmts: newStatements(info.Relayed), portals: map[string]*portal{},
		set: newSettings(map[string]string{"session_authorization": info.User, "millrace_version": e.opts.Release}),
	}
	for _, p := range info.Settings {
		if err := s.startup(p.Name, p.Value); err != nil {
			return nil, err
		}
	}
	if info.Resumed != nil {
		s.takeUp(info.Resumed)
	}
	s.set.base["is_superuser"] = s.superuserSetting()
	if e.opts.Worker {
		s.set.base["in_hot_standby"] = "on"
	}
	if err := e.admit(s); err != nil {
		return nil, err
	}
	if info.Resumed != nil {
		if err := e.hub.resume(ctx, s, info.Resumed.State); err != nil {
			s.Close()
			return nil, fmt.Errorf("what was notified while no node served the session cannot be read: %w", err)
		}
	}
	return s, nil
}

// admit notes a session, unless its role has as many as its CONNECTION LIMIT allows. The limit does not hold for superusers.
func (e *Engine) admit(s *session) error {
	u, known := e.meta.Image().User(s.info.User)
	e.mu.Lock()
	defer e.mu.Unlock()
	if known && u.ConnLimit >= 0 && !u.Superuser {
		n := int32(0)
		for other := range e.mu.sessions {
			if other.info.User == s.info.User {
				n++
			}
		}
		if n >= u.ConnLimit {
			return sqlerr.New(sqlerr.TooManyConnections, "too many connections for role %q", s.info.User)
		}
	}
	e.mu.sessions[s] = struct{}{}
	return nil
}

// startup applies a parameter of the start-up packet, which RESET goes back to.
func (s *session) startup(name, value string) error {
	if _, err := s.setTo(name, value, false); err != nil {
		return err
	}
	key := strings.ToLower(name)
	s.set.base[key] = s.set.values[key]
	delete(s.set.values, key)
	return nil
}

// random returns a number in [0, 1) for random().
func (e *Engine) random() float64 {
	var b [8]byte
	if _, err := io.ReadFull(e.opts.Rand, b[:]); err != nil {
		return 0
	}
	return float64(binary.LittleEndian.Uint64(b[:])>>11) / (1 << 53)
}

func (e *Engine) sessionClosed(s *session) {
	e.hub.unlisten(s, "")
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.mu.sessions, s)
}

// topicPartitions lists the partitions of a relation's topic.
func topicPartitions(r *planner.Relation) []exec.TopicPartition {
	out := make([]exec.TopicPartition, r.Partitions)
	for i := range out {
		out[i] = exec.TopicPartition{Topic: r.Topic, Partition: int32(i)}
	}
	return out
}
