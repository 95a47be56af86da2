package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/internal/locallog"
	"github.com/millracedb/millrace/pgwire"
)

// workDrain is how long tasks may take to finish what they are committing when the work ends.
const workDrain = 2 * time.Second

// work is a node's share of the persistent queries while another node has the duty.
type work struct {
	log    *locallog.Log
	engine *engine.Engine
	pg     *pgwire.Server // of sessions that only read
	gauges []prometheus.Collector
}

// endReads ends the sessions that read here; they go on elsewhere.
func (n *Node) endReads(pg *pgwire.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), dutyDrain)
	defer cancel()
	if err := pg.Shutdown(ctx); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("sessions that read here ended with an error", "err", err)
	}
}

// mayWork reports whether this node is to run queries for another that has the duty.
func (n *Node) mayWork() bool {
	img, _ := n.repl.Watch()
	queries, ok := img.QueryNode()
	k, known := img.Broker(n.identity.NodeID)
	return ok && queries != n.identity.NodeID && known && !k.Fenced && !k.Draining && !n.repl.IsCutOff() && n.life.Err() == nil
}

func (n *Node) beginWork() (*work, error) {
	ctx, stop := n.aslongas(func() bool {
		_, mine := n.dutyEpochs()
		return !mine && n.mayWork()
	})
	defer stop()
	w := &work{log: locallog.NewWorker(n.repl, n.coord, n.cfg.Clock, peers{n.meta, n})}
	opts := n.engineOptions()
	opts.Log, opts.Groups, opts.Worker, opts.TableStandby = w.log, nil, true, !n.cfg.NoTableStandby
	var err error
	if w.engine, err = engine.Open(ctx, opts); err != nil {
		w.log.Close()
		return nil, err
	}
	n.engine.Store(w.engine)
	w.pg, err = pgwire.New(pgwire.Config{Backend: w.engine, Clock: n.cfg.Clock, Rand: n.cfg.Rand, Logger: n.cfg.Logger, TLS: n.cfg.TLS})
	if err != nil {
		n.endWork(w, true)
		return nil, err
	}
	for _, c := range w.engine.Collectors() {
		if err := n.registry.Register(c); err != nil {
			n.endWork(w, true)
			return nil, err
		}
		w.gauges = append(w.gauges, c)
	}
	n.work.Store(w)
	n.cfg.Logger.Info("a share of the queries runs here")
	return w, nil
}

// endWork stops it; w may be nil. When it is lost, nothing that is under way is waited for.
func (n *Node) endWork(w *work, lost bool) {
	if w == nil {
		return
	}
	n.work.CompareAndSwap(w, nil)
	n.engine.CompareAndSwap(w.engine, nil)
	if w.pg != nil {
		w.pg.Drain() // before anything fails for the lack of what is lost: no session hears of that
	}
	for _, c := range w.gauges {
		n.registry.Unregister(c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), workDrain)
	defer cancel()
	if lost {
		w.engine.Abandon()
	}
	defer context.AfterFunc(ctx, w.engine.Abandon)()
	if w.pg != nil {
		n.endReads(w.pg)
	}
	if err := w.engine.Close(); err != nil {
		n.cfg.Logger.Warn("this node's share of the queries ended with an error", "err", err)
	}
	w.log.Close()
}
