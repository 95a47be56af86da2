package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication/lifeline"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// Session is how long a broker may be silent before it is fenced. It serves for a little less after the last that was answered (tenureTime).
	Session = 2500 * time.Millisecond
	// HeartbeatEvery is how often it sends one.
	HeartbeatEvery = 500 * time.Millisecond
	// stepEvery is how often the controller looks at who is silent.
	stepEvery = 100 * time.Millisecond
	// reviewEvery is how often it looks at every partition though no broker changed.
	reviewEvery = time.Second
	// steadyTime is how long no broker must have come or gone before leaderships go back to the replicas that are to have them.
	steadyTime = 3 * time.Second
	// batchPartitions bounds the partitions that one entry changes, so that it stays below metadata.MaxEntryBytes.
	batchPartitions = 2048
)

// Options are what Open needs. All must be set.
type Options struct {
	Meta   *metadata.Store
	NodeID int32
	Clock  clock.Clock
	Logger *slog.Logger
	// Dial makes a connection to the node port at addr and hangs up.
	Dial func(ctx context.Context, addr string) error
}

// Controller is this node's part in the control of the cluster. While the node leads the metadata group it decides; otherwise it notes heartbeats, so that it could. It is safe
// for concurrent use.
type Controller struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // capacity one: something was heard that may change something
	lines  *lifeline.Witness
	died   chan struct{} // capacity one: a process was seen to die; for Heart

	// Of the loop alone.
	term     uint64          // in which it leads, 0 if it does not
	brokers  *metadata.Image // whose brokers and topics were looked at last
	reviewed time.Time
	settled  *metadata.Image // whose brokers are as they have been since steady
	steady   time.Time
	voters   voterReview
	admitted admission
	stood    uint64 // the term in which it stood for election in place of a leader that had died
	moved    uint64 // index of the newest entry that gave out leaderships, or of its first look
	handing  bool   // a broker is on its way out and holds something still

	mu struct {
		sync.Mutex
		heard map[int32]heard
		// condemned are the registrations, by node, that are about to be fenced: no heartbeat of theirs is answered as that of an active broker any more.
		condemned map[int32]uint64
		since     time.Time // when this node began to lead
		former    string    // the address of the node that led before, as far as this one knew
		begun     uint64    // the term in which it has seen to it that it knows all that was decided before
	}
}

// heard is a broker's newest heartbeat.
type heard struct {
	at       time.Time
	epoch    uint64
	index    uint64 // how far it had applied the metadata
	stopping bool
	full     bool // it takes no writes for want of room
	deaths   []lifeline.Death
}

// Open starts the controller of a node. Close ends it.
func Open(opts Options) *Controller {
	c := &Controller{opts: opts, kick: make(chan struct{}, 1), died: make(chan struct{}, 1)}
	c.lines = lifeline.NewWitness(lifeline.WitnessOptions{Dial: c.dial, Counts: c.counts, OnDeath: c.onDeath, Clock: opts.Clock, Logger: opts.Logger})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.heard, c.mu.condemned = map[int32]heard{}, map[int32]uint64{}
	c.wg.Go(c.loop)
	return c
}

// Close ends the loop and the life lines of other nodes, and waits.
func (c *Controller) Close() {
	c.cancel()
	c.wg.Wait()
	c.lines.Close()
}

// Heartbeat answers a broker's heartbeat. Every node notes it; only the one that controls answers it without an error.
func (c *Controller) Heartbeat(req *kmsg.BrokerHeartbeatRequest) *kmsg.BrokerHeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	h := heard{c.opts.Clock.Now(), uint64(req.BrokerEpoch), uint64(req.CurrentMetadataOffset), req.WantShutdown, len(req.CordonedLogDirs) > 0, toldDeaths(req)}
	c.lines.Alive(req.BrokerID)
	c.mu.Lock()
	before := c.mu.heard[req.BrokerID]
	c.mu.heard[req.BrokerID] = h
	begun, condemned := c.mu.begun, c.mu.condemned[req.BrokerID] == h.epoch
	c.mu.Unlock()
	if !c.opts.Meta.Leads() || c.opts.Meta.Term() != begun {
		resp.ErrorCode = kerr.NotController.Code
		if c.opts.Meta.Leads() {
			c.wake() // it has just come to control
		}
		return resp
	}
	img := c.opts.Meta.Image()
	k, ok := img.Broker(req.BrokerID)
	switch {
	case !ok:
		resp.ErrorCode = kerr.BrokerIDNotRegistered.Code
		return resp
	case k.Epoch != h.epoch:
		resp.ErrorCode = kerr.StaleBrokerEpoch.Code
		return resp
	}
	if k.Fenced || len(h.deaths) > len(before.deaths) || h.stopping != before.stopping || h.full != before.full || k.Draining && h.index != before.index {
		c.wake()
	}
	resp.IsFenced, resp.IsCaughtUp = k.Fenced || condemned, h.index >= k.Epoch
	resp.ShouldShutdown = h.stopping && (k.Draining || k.Fenced) && mayStop(img, k.ID)
	return resp
}

func (c *Controller) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *Controller) loop() {
	timer := c.opts.Clock.NewTimer(stepEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C():
			timer.Reset(stepEvery)
		case <-c.kick:
		case <-c.ctx.Done():
			return
		}
		if err := c.step(c.ctx); err != nil && c.ctx.Err() == nil {
			c.opts.Logger.Warn("controller: a change was not made; it is tried again", "err", err)
		}
	}
}

// step does what is due, if this node leads.
func (c *Controller) step(ctx context.Context) error {
	if !c.opts.Meta.Leads() {
		c.term = 0
		return c.follow()
	}
	if term := c.opts.Meta.Term(); term != c.term {
		bctx, cancel := context.WithTimeout(ctx, Session)
		err := c.opts.Meta.Barrier(bctx)
		cancel()
		if err != nil || !c.opts.Meta.Leads() {
			return err
		}
		c.begin(term)
	}
	if err := c.seeBrokers(ctx); err != nil {
		return err
	}
	if err := c.review(ctx); err != nil {
		return err
	}
	if err := c.raiseLevel(ctx); err != nil {
		return err
	}
	if err := c.forget(ctx); err != nil {
		return err
	}
	return c.reviewVoters(ctx)
}

// begin is called when this node has come to lead.
func (c *Controller) begin(term uint64) {
	c.term, c.brokers, c.settled, c.admitted, c.voters = term, nil, nil, admission{}, voterReview{}
	c.moved = c.opts.Meta.Image().Index()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.since, c.mu.begun = c.opts.Clock.Now(), term
	clear(c.mu.condemned)
}

// lastHeard is the newest heartbeat of a broker, how long it counts as silent, and whether that heartbeat is of the registration k and of this session.
func (c *Controller) lastHeard(k *metadata.Broker) (h heard, silent time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok = c.mu.heard[k.ID]
	ok = ok && h.epoch == k.Epoch && c.opts.Clock.Since(h.at) <= Session
	at := c.mu.since // until then the controller before may have answered whoever this one did not hear
	if c.mu.former != "" && k.PeerAddr() == c.mu.former {
		at = at.Add(-metadata.LeaderSilence) // but it could not answer itself any more
	}
	if ok && h.at.After(at) {
		at = h.at
	}
	return h, c.opts.Clock.Since(at), ok
}

// seeBrokers fences who is silent and lets in who is heard, after what they held before was given up.
func (c *Controller) seeBrokers(ctx context.Context) error {
	img := c.opts.Meta.Image()
	b := c.opts.Meta.NewBatch()
	alone := true
	for k := range img.Brokers() {
		alone = alone && k.ID == c.opts.NodeID
	}
	for k := range img.Brokers() {
		h, silent, ok := c.lastHeard(k)
		fenced, draining, why := k.Fenced, k.Draining, ""
		admits := k.Fenced && c.admitted.admits(img, k, h.index)
		died := !k.Fenced && c.hasDied(k)
		switch {
		case alone:
			fenced, why = false, "it is alone"
		case !k.Fenced && c.condemn(k, h, silent > Session || died):
			fenced, why = true, whyFenced(died, h.epoch == k.Epoch && h.stopping)
		case silent > Session:
		case ok && admits && !h.stopping:
			fenced, draining, why = false, false, "heard"
		case ok && h.stopping:
			draining, why = true, "it is about to stop"
		}
		if k.Fenced {
			c.acquit(k.ID)
		} else {
			delete(c.admitted, k.ID)
		}
		if ok && !alone && h.full != img.Full(k.ID) {
			c.opts.Logger.Info("controller: broker", "node", k.ID, "disk full", h.full)
			b.SetFull(k.ID, h.full)
			c.brokers, c.settled = nil, nil // it gives up what it leads, or may lead again once nothing has changed for a while
		}
		if fenced == k.Fenced && draining == k.Draining {
			continue
		}
		c.opts.Logger.Info("controller: broker", "node", k.ID, "epoch", k.Epoch, "fenced", fenced, "draining", draining, "why", why, "heard", c.heardAgo(k, h))
		b.SetBrokerState(k.ID, k.Epoch, fenced, draining)
	}
	return c.apply(ctx, b)
}

func whyFenced(died, stopping bool) string {
	switch {
	case died:
		return "its process has died"
	case stopping:
		return "silent since it was about to stop"
	default:
		return "silent"
	}
}

// heardAgo says when the newest heartbeat of a registration came, if it is h. For how long the broker counts as silent is another matter: see lastHeard.
func (c *Controller) heardAgo(k *metadata.Broker, h heard) string {
	if h.epoch != k.Epoch {
		return "never by this node"
	}
	return c.opts.Clock.Since(h.at).Round(time.Millisecond).String() + " ago"
}

// review writes what the partitions should be, if a broker has changed or it is time.
func (c *Controller) review(ctx context.Context) error {
	img := c.opts.Meta.Image()
	if c.brokers != nil && img.SameBrokers(c.brokers) && !c.handing && c.opts.Clock.Since(c.reviewed) < reviewEvery {
		return nil
	}
	if c.settled == nil || !img.SameBrokers(c.settled) {
		c.settled, c.steady = img, c.opts.Clock.Now()
	}
	batches, moved := Review(img, c.opts.Meta.NewBatch, c.opts.Clock.Since(c.steady) >= steadyTime, c.informed)
	for _, b := range batches {
		if err := c.apply(ctx, b); err != nil {
			return err
		}
	}
	if moved > 0 {
		c.moved = c.opts.Meta.Image().Index()
	}
	c.handing = handing(c.opts.Meta.Image())
	if now, _ := img.QueryNode(); now != newView(img).queries {
		c.opts.Logger.Info("controller: queries move", "from", now, "to", newView(img).queries)
	}
	if moved > 0 {
		c.opts.Logger.Info("controller: leaders elected", "partitions", moved)
	}
	c.brokers, c.reviewed = img, c.opts.Clock.Now()
	return nil
}

// raiseLevel raises the feature level when all nodes know a higher one, are up, and have been for a while.
func (c *Controller) raiseLevel(ctx context.Context) error {
	img := c.opts.Meta.Image()
	to := img.RaisableTo()
	if to == img.FeatureLevel() || c.opts.Clock.Since(c.steady) < steadyTime {
		return nil
	}
	for k := range img.Brokers() {
		if k.Fenced {
			return nil
		}
	}
	b := c.opts.Meta.NewBatch()
	b.RaiseLevel()
	err := c.apply(ctx, b)
	if errors.Is(err, metadata.ErrInvalid) || errors.Is(err, metadata.ErrVersionConflict) {
		return nil // a node has come meanwhile that does not know it
	}
	if err == nil {
		c.opts.Logger.Info("controller: feature level raised", "from", img.FeatureLevel(), "to", to)
	}
	return err
}

// informed reports whether a broker has acted on the newest entry that gave out leaderships.
func (c *Controller) informed(id int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.heard[id].index >= c.moved
}

// apply writes a batch unless it is empty. What was changed by others meanwhile is looked at again at the next step.
func (c *Controller) apply(ctx context.Context, b *metadata.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	_, err := c.opts.Meta.ApplyAsLeader(ctx, b)
	if errors.Is(err, metadata.ErrStaleEpoch) || errors.Is(err, metadata.ErrNotFound) {
		c.brokers = nil
		c.wake()
		return nil
	}
	return err
}

// Join takes a node into the metadata group, at its address; it is called on the node that controls. It refuses an id that belongs to another data directory, or
// that a new broker cannot have.
func (c *Controller) Join(ctx context.Context, id int32, directory metadata.UUID, addr string) error {
	if !c.opts.Meta.Leads() {
		return metadata.ErrNotLeader
	}
	k, ok := c.opts.Meta.Image().Broker(id)
	if err := c.opts.Meta.Image().CheckID(id); err != nil && !ok {
		return fmt.Errorf("%w: %w", kerr.InvalidRequest, err)
	}
	if ok && k.Directory != directory {
		return fmt.Errorf("%w: node id %d belongs to data directory %s: a node with another or a wiped directory needs an id that was never used, or ALTER NODE ... REMOVE first",
			kerr.DuplicateBrokerRegistration, id, k.Directory)
	}
	return c.opts.Meta.AddMember(ctx, directory, addr)
}
