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
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	if n.kafka != nil {
		// Requests in progress are answered.
		if err := n.kafka.Shutdown(ctx); err != nil && ctx.Err() == nil {
			try(err)
		}
	}
	if n.admin != nil {
		try(n.admin.Close(ctx))
	}
	if n.pg != nil {
		// Sessions in progress may finish their statement.
		if err := n.pg.Shutdown(ctx); err != nil && ctx.Err() == nil {
			try(err)
		}
	}
	n.wg.Wait()
	if n.engine != nil {
		// Tasks commit what they have; they need log and coordinators for that.
		try(n.engine.Close())
	}
	if n.state != nil {
		try(n.state.Close())
	}
	if n.groups != nil {
		try(n.groups.Close())
	}
	if n.coord != nil {
		try(n.coord.Close())
	}
	if n.repl != nil {
		try(n.repl.Close())
	}
	if n.meta != nil {
		try(n.meta.Close())
	}
	if n.port != nil {
		try(n.port.Close())
	}
	if n.logs != nil {
		// Last, for it writes the mark of an orderly stop and gives up the directory's lock.
		try(n.logs.Close())
	}
	return errors.Join(errs...)
}
