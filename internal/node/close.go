package node

import (
	"context"
	"errors"
)

// Close stops the node: clients first, then what serves them, the files last. It returns what went wrong, leaks among it.
func (n *Node) Close() error {
	n.closeOnce.Do(func() { n.closeErr = n.close() })
	return n.closeErr
}

func (n *Node) close() error {
	n.ready.Store(false)
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	n.leave()
	n.endLife()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if n.dutyDone != nil {
		<-n.dutyDone
	}
	if n.followersDone != nil {
		<-n.followersDone
	}
	if n.kafka != nil {
		// Requests in progress are answered.
		if err := n.kafka.Shutdown(ctx); err != nil && ctx.Err() == nil {
			try(err)
		}
	}
	if n.admin != nil {
		try(n.admin.Close(ctx))
	}
	try(n.closeListeners())
	front := n.front.Load()
	if front != nil {
		front.Drain()
	}
	if d := n.duty.Swap(nil); d != nil {
		epochs, mine := n.dutyEpochs()
		try(d.end(drainTime, !mine || !epochs.equal(d.epochs)))
	}
	if front != nil {
		ctx, cancel := context.WithTimeout(ctx, dutyDrain)
		if err := front.Shutdown(ctx); err != nil && ctx.Err() == nil {
			try(err)
		}
		cancel()
	}
	if n.sessions != nil {
		n.sessions.close()
	}
	n.wg.Wait()
	if n.state != nil {
		try(n.state.Close())
	}
	n.groups.close()
	if n.log != nil {
		n.log.Close()
	}
	if n.coord != nil {
		try(n.coord.Close())
	}
	n.served.Store(nil)
	if n.heart != nil {
		n.heart.Close()
	}
	if n.ctrl != nil {
		n.ctrl.Close()
	}
	if n.repl != nil {
		try(n.repl.Close())
	}
	if n.meta != nil {
		try(n.meta.Close())
	}
	if n.port != nil {
		n.caller.Close()
		try(n.port.Close())
	}
	if n.logs != nil {
		// Last, for it writes the mark of an orderly stop and gives up the directory's lock.
		try(n.logs.Close())
	}
	return errors.Join(errs...)
}

// others reports whether another node is active.
func (n *Node) others() bool {
	for k := range n.meta.Image().Brokers() {
		if k.ID != n.identity.NodeID && !k.Fenced {
			return true
		}
	}
	return false
}
