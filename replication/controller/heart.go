package controller

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/replication/lifeline"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// checkEvery is how often a node looks whether it has been cut off.
	checkEvery = 100 * time.Millisecond
	// reachEvery is how often it sends a heartbeat while it waits for one to be answered.
	reachEvery = 10 * time.Millisecond
	// cordonVersion is the first version of BrokerHeartbeat that names cordoned directories.
	cordonVersion = 2
)

// HeartOptions are what OpenHeart needs. All must be set.
type HeartOptions struct {
	Meta  *metadata.Store
	Clock clock.Clock
	// Local answers heartbeats on this node.
	Local  *Controller
	NodeID int32
	Epoch  uint64 // of this node's registration
	// Directory is the id of its data directory.
	Directory metadata.UUID
	// Send sends a request to the node port at addr.
	Send func(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error)
	// LifeLine opens a stream of life lines to it.
	LifeLine func(ctx context.Context, addr string) (net.Conn, error)
	// Acted is the index of the metadata up to which the node has acted: it leads nothing any more that others lead as of there.
	Acted func() uint64
	// DiskLow reports that the node takes no writes for want of room on its disk: it should lead nothing.
	DiskLow func() bool
	// OnCutOff is told when the node must serve nothing as leader any more, and when it may again. It must return soon.
	OnCutOff func(bool)
	// OnAnswered is told until when the node may serve as leader, each time the controller has answered. It must return soon.
	OnAnswered func(until time.Time)
	// OnReplaced is told that another process has registered with this node's id.
	OnReplaced func(error)
	Logger     *slog.Logger
}

// Heart sends a node's heartbeats to every voter, and keeps its life lines to them.
type Heart struct {
	opts   HeartOptions
	lines  *lifeline.Holder
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		busy     map[string]bool // a heartbeat to that address is on its way
		tenure   tenure
		cutOff   bool
		leaving  bool // it is about to stop
		stopping bool
		mayStop  chan struct{} // closed when the controller says so
		stop     bool
	}
}

// OpenHeart starts to send. Close ends it.
func OpenHeart(opts HeartOptions) *Heart {
	h := &Heart{opts: opts}
	h.lines = lifeline.Hold(lifeline.HolderOptions{Epoch: opts.Epoch, Dial: opts.LifeLine, OnLost: h.onLost, Clock: opts.Clock})
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.mu.busy = map[string]bool{}
	h.mu.mayStop = make(chan struct{})
	h.mu.tenure = tenure{answered: opts.Clock.Now()}
	h.wg.Go(h.loop)
	return h
}

// Close stops sending, ends the life lines in order, and waits.
func (h *Heart) Close() {
	h.cancel()
	h.wg.Wait()
	h.lines.Close()
}

// Drain asks the controller to move away what this node leads, and returns when it has or ctx ends.
func (h *Heart) Drain(ctx context.Context) {
	h.mu.Lock()
	h.mu.stopping = true
	done := h.mu.mayStop
	h.mu.Unlock()
	h.beat(h.opts.Local.Deaths())
	select {
	case <-done:
	case <-ctx.Done():
	case <-h.ctx.Done():
	}
}

// Reach reports whether the controller has answered a heartbeat that was sent since, before ctx ends: another node may have come to control just now. It is for a node that is about to stop: if nobody
// answers, it is not alone in that.
func (h *Heart) Reach(ctx context.Context) bool {
	begun := h.opts.Clock.Now()
	for {
		h.mu.Lock()
		h.mu.leaving = true
		answered := h.mu.tenure.answered.After(begun)
		h.mu.Unlock()
		if answered {
			return true
		}
		h.beat(h.opts.Local.Deaths())
		if !clock.Wait(ctx, h.opts.Clock, reachEvery) {
			return false
		}
	}
}

func (h *Heart) loop() {
	timer := h.opts.Clock.NewTimer(0)
	defer timer.Stop()
	var sent time.Time
	for {
		select {
		case <-timer.C():
		case <-h.opts.Local.died:
		case <-h.ctx.Done():
			return
		}
		timer.Reset(checkEvery)
		deaths := h.opts.Local.Deaths()
		if now := h.opts.Clock.Now(); len(deaths) > 0 || now.Sub(sent) >= h.every() {
			sent = now
			h.beat(deaths)
		}
		h.check()
	}
}

// every is how often to send: more often while something is waited for.
func (h *Heart) every() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.opts.Meta.Image().Broker(h.opts.NodeID)
	if h.mu.stopping || h.mu.cutOff || !ok || k.Fenced || h.lines.Broken() {
		return checkEvery
	}
	return HeartbeatEvery
}

// voters are the members that vote, and sees that there are life lines to them.
func (h *Heart) voters() (voters []raft.Server) {
	members, err := h.opts.Meta.Members()
	if err != nil {
		return nil // raft is being reopened
	}
	var lines []lifeline.Voter
	for _, m := range members {
		if m.Suffrage == raft.Voter {
			voters = append(voters, m)
			lines = append(lines, lifeline.Voter{ID: string(m.ID), Addr: string(m.Address), Self: m.ID == h.opts.Meta.Self()})
		}
	}
	h.lines.Update(lines)
	return voters
}

// beat sends a heartbeat to every voter that has answered the one before. It tells whose processes this node has seen die.
func (h *Heart) beat(deaths []lifeline.Death) {
	for _, m := range h.voters() {
		addr := string(m.Address)
		h.mu.Lock()
		busy, stopping := h.mu.busy[addr], h.mu.stopping
		h.mu.busy[addr] = true
		h.mu.Unlock()
		if busy || h.ctx.Err() != nil {
			continue
		}
		req := kmsg.NewPtrBrokerHeartbeatRequest()
		req.BrokerID, req.BrokerEpoch, req.WantShutdown = h.opts.NodeID, int64(h.opts.Epoch), stopping
		req.CurrentMetadataOffset = int64(h.opts.Acted())
		if h.opts.DiskLow() { // such a directory takes nothing new (KIP-1066)
			req.Version, req.CordonedLogDirs = cordonVersion, [][16]byte{h.opts.Directory}
		}
		tellDeaths(req, deaths)
		h.wg.Go(func() { h.send(m, req) })
	}
}

func (h *Heart) send(m raft.Server, req *kmsg.BrokerHeartbeatRequest) {
	begin := h.opts.Clock.Now()
	resp, err := h.ask(m, req)
	if err == nil {
		h.lines.Answered(string(m.ID))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.busy[string(m.Address)] = false
	if err != nil {
		return
	}
	switch resp.ErrorCode {
	case 0:
		if h.mu.tenure.renew(begin, resp.IsFenced) {
			h.opts.OnAnswered(begin.Add(tenureTime))
		}
	case kerr.StaleBrokerEpoch.Code:
		h.opts.OnReplaced(kerr.StaleBrokerEpoch)
	}
	if resp.ErrorCode == 0 && resp.ShouldShutdown && !h.mu.stop {
		h.mu.stop = true
		close(h.mu.mayStop)
	}
}

func (h *Heart) ask(m raft.Server, req *kmsg.BrokerHeartbeatRequest) (*kmsg.BrokerHeartbeatResponse, error) {
	ctx, cancel := context.WithTimeout(h.ctx, Session/2)
	defer cancel()
	if m.ID == h.opts.Meta.Self() {
		resp := h.opts.Local.Heartbeat(req)
		if resp.ErrorCode != 0 {
			return resp, nil
		}
		return resp, h.opts.Meta.VerifyLeads(ctx) // a node that was frozen may have been deposed since
	}
	resp, err := h.opts.Send(ctx, string(m.Address), req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.BrokerHeartbeatResponse), nil
}

// onLost is told that the voters may take this process for dead: whoever takes its place does not wait for the end of its tenure.
func (h *Heart) onLost() {
	h.mu.Lock()
	h.mu.tenure.giveUp(h.opts.Clock.Now(), "the voters have ended their connections and refuse others")
	h.mu.Unlock()
	h.check()
}

// check tells when the node is cut off and when it is not any more.
func (h *Heart) check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	why, cut := h.mu.tenure.over(h.opts.Clock.Now())
	if cut == h.mu.cutOff {
		return
	}
	h.mu.cutOff = cut
	level := slog.LevelWarn
	if h.mu.leaving {
		level = slog.LevelInfo
	}
	if cut {
		h.opts.Logger.Log(h.ctx, level, "serving nothing as leader", "why", why)
	} else {
		h.opts.Logger.Info("the controller has let this node in again")
	}
	h.opts.OnCutOff(cut)
}
