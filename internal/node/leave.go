package node

import (
	"context"
	"errors"
	"time"

	"github.com/millracedb/millrace/internal/clock"
)

// A node that stops in order first hands over what other nodes can go on with, while it still serves: the control of the cluster, so that nothing of what follows waits for an election; then the
// duty and the leaderships of partitions, coordinators among them. When others have taken them up it goes on answering Kafka clients, which are told by each answer who leads now; a client that
// finds the port closed instead must ask for metadata, which many do only every few seconds.

const (
	// leaveTime bounds each step of handing over. writesTime is how long those that write are waited for while all go on, settleTime how long statements may take to come to their end, when no new ones are
	// begun, before the duty goes.
	leaveTime  = 3 * time.Second
	writesTime = 2 * time.Second
	settleTime = 250 * time.Millisecond
	// lingerTime bounds how long Kafka clients are answered after everything is handed over, quietTime is for how long none must have asked for anything for the node to believe that all know.
	lingerTime  = 3 * time.Second
	quietTime   = time.Second
	lingerPause = 20 * time.Millisecond
)

// leave hands over what other nodes can go on with, and tells how long each step took. It comes before anything is closed.
func (n *Node) leave() {
	if n.heart == nil || n.dutyDone == nil || n.failed.Load() || !n.others() {
		return
	}
	clk := n.cfg.Clock
	begun := clk.Now()
	var took []any
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"control", n.leaveControl}, {"statements", n.settle}, {"leaders", n.leaveLeaders}, {"clients", n.linger}} {
		at := clk.Now()
		ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
		err := step.do(ctx)
		cancel()
		took = append(took, step.name, clk.Since(at).Round(time.Millisecond))
		if err != nil {
			n.cfg.Logger.Info("nothing more is handed over", append(took, "err", err)...)
			return
		}
	}
	n.cfg.Logger.Info("handed over", append(took, "all", clk.Since(begun).Round(time.Millisecond))...)
}

// leaveControl has another node control the cluster, and waits until it does.
func (n *Node) leaveControl(ctx context.Context) error {
	err := n.meta.Resign(ctx)
	if !n.heart.Reach(ctx) {
		return errors.Join(errors.New("no controller answers"), err)
	}
	return nil
}

// settle has the statements come to their end that run here, if this node has the duty.
func (n *Node) settle(ctx context.Context) error {
	if d := n.duty.Load(); d != nil {
		n.awaitWrites(ctx, 0)
		d.settle(ctx)
	}
	return nil
}

// awaitWrites waits for the statements that write now, but for that of the session except; others are begun and answered meanwhile. What cannot end in time loses to the others, who would wait for it.
func (n *Node) awaitWrites(ctx context.Context, except int32) {
	ctx, cancel := context.WithTimeout(ctx, writesTime)
	defer cancel()
	if d := n.duty.Load(); d != nil {
		d.pg.AwaitWrites(ctx, except)
	}
}

// leaveLeaders has others lead what this node leads, and take the duty.
func (n *Node) leaveLeaders(ctx context.Context) error {
	n.heart.Drain(ctx)
	return ctx.Err()
}

// linger answers Kafka clients until they have heard who leads now what this node led.
func (n *Node) linger(ctx context.Context) error {
	if n.kafka == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lingerTime)
	defer cancel()
	for n.kafka.Quiet(quietTime) < quietTime && clock.Wait(ctx, n.cfg.Clock, lingerPause) {
	}
	return nil
}
