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
	return errors.Join(n.closeClients(ctx), n.closeParts())
}

// closeClients ends the connections of clients, and the duty between those of PostgreSQL and their sessions.
func (n *Node) closeClients(ctx context.Context) error {
	var errs []error
	if n.kafka != nil {
		// Requests in progress are answered.
		if err := n.kafka.Shutdown(ctx); err != nil && ctx.Err() == nil {
			errs = append(errs, err)
		}
	}
	if n.admin != nil {
		errs = append(errs, n.admin.Close(ctx))
	}
	errs = append(errs, n.closeListeners())
	front := n.front.Load()
	if front != nil {
		front.Drain()
	}
	if d := n.duty.Swap(nil); d != nil {
		epochs, mine := n.dutyEpochs()
		errs = append(errs, d.end(drainTime, !mine || !epochs.equal(d.epochs)))
	}
	if front != nil {
		ctx, cancel := context.WithTimeout(ctx, dutyDrain)
		defer cancel()
		if err := front.Shutdown(ctx); err != nil && ctx.Err() == nil {
			errs = append(errs, err)
		}
	}
	if n.sessions != nil {
		n.sessions.close()
	}
	n.wg.Wait()
	return errors.Join(errs...)
}

// closeParts ends what serves clients, in the opposite order of its opening.
func (n *Node) closeParts() error {
	var errs []error
	try := func(err error) { errs = append(errs, err) }
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
