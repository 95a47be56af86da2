package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/internal/locallog"
)

// workDrain is how long tasks may take to finish what they are committing when the work ends.
const workDrain = 2 * time.Second

// work is a node's share of the persistent queries while another node has the duty.
type work struct {
	log    *locallog.Log
	engine *engine.Engine
	gauges []prometheus.Collector
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
	for _, c := range w.engine.Collectors() {
		if err := n.registry.Register(c); err != nil {
			n.endWork(w, true)
			return nil, err
		}
		w.gauges = append(w.gauges, c)
	}
	n.cfg.Logger.Info("a share of the queries runs here")
	return w, nil
}

// endWork stops it; w may be nil. When it is lost, nothing that is under way is waited for.
func (n *Node) endWork(w *work, lost bool) {
	if w == nil {
		return
	}
	n.engine.CompareAndSwap(w.engine, nil)
	for _, c := range w.gauges {
		n.registry.Unregister(c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), workDrain)
	defer cancel()
	if lost {
		w.engine.Abandon()
	}
	defer context.AfterFunc(ctx, w.engine.Abandon)()
	if err := w.engine.Close(); err != nil {
		n.cfg.Logger.Warn("this node's share of the queries ended with an error", "err", err)
	}
	w.log.Close()
}
