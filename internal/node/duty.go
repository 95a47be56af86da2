package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/pgwire"
)

const (
	// dutyRetry is the wait before the duty is taken up again after that failed.
	dutyRetry = 100 * time.Millisecond
	// dutyDrain is how long sessions may go on when the duty goes to another node.
	dutyDrain = 250 * time.Millisecond
)

// duty is what one node of the cluster does at a time: it leads the coordinators of queries, runs the queries, owns the tables, and serves the sessions of all nodes. It lasts
// as long as the leader epochs of those coordinators' partitions are what they were at its beginning.
type duty struct {
	n       *Node
	leaving atomic.Bool // it takes no more sessions: another node is about to
	epochs  dutyEpochs
	groups  *coordinator.Groups // of the partitions among those that keep groups
	engine  *engine.Engine
	pg      *pgwire.Server
	gauges  []prometheus.Collector
}

// dutyEpochs are the partitions of coordinators that go with the duty, and their leader epochs.
type dutyEpochs struct {
	partitions []coordinator.TopicPartition
	epochs     []int32
}

func (e dutyEpochs) equal(o dutyEpochs) bool {
	return slices.Equal(e.partitions, o.partitions) && slices.Equal(e.epochs, o.epochs)
}

// dutyEpochs are those of now, if this node has the duty.
func (n *Node) dutyEpochs() (e dutyEpochs, ok bool) {
	img, _ := n.repl.Watch()
	if q, ok := img.QueryNode(); !ok || q != n.identity.NodeID {
		return e, false
	}
	e.partitions = n.coordinatorPartitions(img, false)
	for _, tp := range e.partitions {
		p, err := n.repl.Partition(tp.Topic, tp.Partition)
		if err != nil || !p.Leads() {
			return e, false
		}
		e.epochs = append(e.epochs, p.LeaderEpoch())
	}
	return e, len(e.partitions) > 0
}

// openDuty takes up the duty if it is this node's, and follows from then on whose it is.
func (n *Node) openDuty(ctx context.Context) error {
	var d *duty
	if epochs, ok := n.dutyEpochs(); ok {
		var err error
		if d, err = n.beginDuty(ctx, epochs); err != nil && n.port == nil {
			return err
		} else if err != nil {
			n.dutyFailed(epochs, err)
		}
	} else if n.port == nil {
		return errors.New("the node does not lead its own partitions")
	}
	if n.port == nil {
		n.duty.Store(d)
		return nil
	}
	n.sessions.start()
	n.setDuty(d)
	n.dutyDone = make(chan struct{})
	go func() {
		defer close(n.dutyDone)
		n.followDuty(d)
	}()
	return nil
}

// followDuty begins and ends the duty as the metadata and the controller's answers say, until the node stops.
func (n *Node) followDuty(d *duty) {
	var w *work
	defer func() { n.endWork(w, false) }()
	for {
		_, acted := n.repl.Watch()
		epochs, mine := n.dutyEpochs()
		if d != nil && (!mine || !epochs.equal(d.epochs)) {
			n.cfg.Logger.Info("queries end here")
			n.setDuty(nil)
			if err := d.end(dutyDrain, true); err != nil {
				n.cfg.Logger.Warn("queries ended with an error", "err", err)
			}
			d = nil
			continue
		}
		retry := false
		if w != nil && (mine || !n.mayWork()) {
			n.endWork(w, mine || n.repl.IsCutOff())
			w = nil
		}
		if d == nil && !mine && w == nil && n.mayWork() {
			var err error
			if w, err = n.beginWork(); err != nil {
				n.cfg.Logger.Warn("this node's share of the queries cannot be run yet", "err", err)
				retry = true
			}
		}
		if d == nil && mine {
			var err error
			begun := n.cfg.Clock.Now()
			ctx, stop := n.aslongas(func() bool {
				now, mine := n.dutyEpochs()
				return mine && now.equal(epochs)
			})
			d, err = n.beginDuty(ctx, epochs)
			stop()
			if err != nil {
				n.dutyFailed(epochs, err)
				retry = true
			} else {
				n.cfg.Logger.Info("queries run here", "took", n.cfg.Clock.Since(begun).Round(time.Millisecond))
			}
			n.setDuty(d)
		}
		if d == nil && !mine {
			img, _ := n.repl.Watch()
			id, ok := img.QueryNode()
			// The leases of its partitions say with the time whether it leads them: nothing tells of that.
			retry = retry || ok && id == n.identity.NodeID
		}
		if !n.awaitNews(acted, n.cutOff, retry) {
			return
		}
	}
}

// dutyFailed tells why the duty could not be taken up; that it went to another node meanwhile is nothing to complain of.
func (n *Node) dutyFailed(epochs dutyEpochs, err error) {
	level := slog.LevelWarn
	if now, mine := n.dutyEpochs(); !mine || !now.equal(epochs) {
		level = slog.LevelInfo
	}
	n.cfg.Logger.Log(context.Background(), level, "queries cannot be started yet", "err", err)
}

// setDuty makes d the duty, which may be nil, and tells who waits for one.
func (n *Node) setDuty(d *duty) {
	n.dutyNews.Lock()
	defer n.dutyNews.Unlock()
	n.duty.Store(d)
	close(n.dutyNews.changed)
	n.dutyNews.changed = make(chan struct{})
}

// awaitDuty returns the duty, if this node is the one that is to have it: it may be about to take it up, or to hand it over. It returns nil when another node is named, or ctx ends.
func (n *Node) awaitDuty(ctx context.Context) *duty {
	for {
		n.dutyNews.Lock()
		d, set := n.duty.Load(), n.dutyNews.changed
		n.dutyNews.Unlock()
		if d != nil && !d.leaving.Load() {
			return d
		}
		img, changed := n.meta.Watch()
		if id, ok := img.QueryNode(); !ok || id != n.identity.NodeID {
			return nil
		}
		select {
		case <-set:
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-n.stopping:
			return nil
		}
	}
}

// settle has statements come to their end before another node takes the duty: from then on none could be sure of what has become of it. Those that take too long, and blocks, are left to that.
func (d *duty) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	d.leaving.Store(true)
	d.pg.Settle(ctx)
}

// aslongas returns a context that ends when the node stops or holds does not hold any more: what begins a part that has become another node's may be waiting for just that node. stop
// releases it.
func (n *Node) aslongas(holds func() bool) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(n.life)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for holds() && n.pause(ctx, lookPause) == nil {
		}
		cancel()
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// awaitNews waits until something may have changed, with retry a short time at most; false when the node stops. cutOff may be nil.
func (n *Node) awaitNews(acted, cutOff <-chan struct{}, retry bool) bool {
	var again <-chan time.Time
	if retry {
		timer := n.cfg.Clock.NewTimer(dutyRetry)
		defer timer.Stop()
		again = timer.C()
	}
	select {
	case <-acted:
	case <-cutOff:
	case <-again:
	case <-n.life.Done():
		return false
	}
	return true
}

// beginDuty loads the coordinators and opens the engine.
func (n *Node) beginDuty(ctx context.Context, epochs dutyEpochs) (*duty, error) {
	d := &duty{n: n, epochs: epochs}
	if err := d.begin(ctx); err != nil {
		return nil, errors.Join(err, d.end(0, true))
	}
	return d, nil
}

func (d *duty) begin(ctx context.Context) error {
	n := d.n
	n.groups.set(d.epochs.partitions, n.groups.loading)
	if err := n.coord.Lead(ctx, d.epochs.partitions); err != nil {
		return fmt.Errorf("loading the coordinators: %w", err)
	}
	d.groups = n.newGroups(d.epochs.partitions, nil)
	n.groups.set(d.epochs.partitions, d.groups)
	var err error
	if d.engine, err = engine.Open(ctx, n.engineOptions()); err != nil {
		return err
	}
	n.engine.Store(d.engine)
	d.pg, err = pgwire.New(pgwire.Config{Backend: d.engine, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger, TLS: n.cfg.TLS})
	if err != nil {
		return err
	}
	for _, c := range d.engine.Collectors() {
		if err := n.registry.Register(c); err != nil {
			return err
		}
		d.gauges = append(d.gauges, c)
	}
	return nil
}

// end stops what begin has started, sessions first; they have the given time to finish their statements. When the duty is lost, nothing that is under way can be committed any more.
func (d *duty) end(drain time.Duration, lost bool) error {
	n := d.n
	var errs []error
	if lost && d.pg != nil {
		d.pg.Drain() // before anything fails for the lack of what is lost: no session hears of that
	}
	n.groups.set(d.epochs.partitions, nil)
	if d.groups != nil { // first: their members wait for answers, and look for the next coordinator when they have them
		d.groups.Close()
	}
	n.engine.CompareAndSwap(d.engine, nil)
	if lost && d.engine != nil {
		d.engine.Abandon()
	}
	if d.pg != nil {
		errs = append(errs, d.within(drain, func(ctx context.Context) error {
			err := d.pg.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				err = nil // the sessions were cut off
			}
			return err
		}))
	}
	for _, c := range d.gauges {
		n.registry.Unregister(c)
	}
	if lost {
		n.coord.Resign(d.epochs.partitions) // who waits for a commit hears of it
	}
	if d.engine != nil {
		errs = append(errs, d.endEngine(drain))
	}
	n.coord.Resign(d.epochs.partitions)
	return errors.Join(errs...)
}

// endEngine has the tasks commit what they have, for which they need log and coordinators.
func (d *duty) endEngine(drain time.Duration) error {
	return d.within(drain, func(context.Context) error { return d.engine.Close() })
}

// within ends something that may wait for a commit. Where the other replicas have stopped before this node, or another leads by now, nothing commits any more: after drain what is under way is left
// as it is, and settled by who leads next.
func (d *duty) within(drain time.Duration, end func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if d.engine != nil {
			d.engine.Abandon()
		}
		d.n.coord.Resign(d.epochs.partitions)
	})()
	return end(ctx)
}
