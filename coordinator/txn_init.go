package coordinator

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerID answers key 22: a fresh producer id without a transactional id; with one, the next epoch of its producer id, once
// everything that an older producer had open is aborted.
func (c *Transactions) InitProducerID(ctx context.Context, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = noProducerID, noProducerEpoch
	if req.TransactionalID == nil {
		id, err := c.ids.take(ctx)
		if err != nil {
			c.log.Warn("no producer ids", "err", err)
			resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
			return resp
		}
		resp.ProducerID, resp.ProducerEpoch = id, 0
		return resp
	}
	t, kerror := c.initTransactional(ctx, req)
	if kerror != nil {
		resp.ErrorCode = kerror.Code
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = t.producerID, t.epoch
	return resp
}

func (c *Transactions) initTransactional(ctx context.Context, req *kmsg.InitProducerIDRequest) (txn, *kerr.Error) {
	id := *req.TransactionalID
	if id == "" {
		return txn{}, kerr.InvalidRequest
	}
	timeout := time.Duration(req.TransactionTimeoutMillis) * time.Millisecond
	if timeout <= 0 || timeout > maxTransactionTimeout {
		return txn{}, kerr.InvalidTransactionTimeout
	}
	l, kerror := c.lease(id)
	if kerror != nil {
		return txn{}, kerror
	}
	e := l.find(id)
	if e == nil {
		producerID, err := c.ids.take(ctx)
		if err != nil {
			return txn{}, kerr.CoordinatorNotAvailable
		}
		if e, kerror = l.findOrAdd(id, producerID, c.nowMillis()); kerror != nil {
			return txn{}, kerror
		}
	}
	wantID, wantEpoch := req.ProducerID, req.ProducerEpoch
	for {
		if kerror := e.lock(ctx, l); kerror != nil {
			return txn{}, kerror
		}
		t := *e.value.Load()
		if t.state != stateOngoing && !t.deciding() {
			break
		}
		if kerror := t.initCheck(wantID, wantEpoch); kerror != nil {
			e.unlock()
			return txn{}, kerror
		}
		fenced := t
		if t.state == stateOngoing {
			fenced = t.fence(c.nowMillis())
		}
		x, kerror := c.decide(l, e, fenced)
		if kerror != nil {
			return txn{}, kerror
		}
		select {
		case <-x.done:
		case <-ctx.Done():
			return txn{}, kerr.ConcurrentTransactions
		}
		if wantID != noProducerID { // the fencing was done in this caller's name: it is the newest still, unless another came
			wantID, wantEpoch = fenced.producerID, fenced.epoch
		}
	}
	defer e.unlock()
	return c.raiseEpoch(ctx, l, e, wantID, wantEpoch, req.TransactionTimeoutMillis)
}

// raiseEpoch writes the new epoch of a producer that has nothing open. The caller has the turn.
func (c *Transactions) raiseEpoch(ctx context.Context, l *lease, e *txnEntry, wantID int64, wantEpoch int16, timeoutMillis int32) (txn, *kerr.Error) {
	t := *e.value.Load()
	fresh := noProducerID
	if t.epoch >= lastUsableEpoch {
		var err error
		if fresh, err = c.ids.take(ctx); err != nil {
			return txn{}, kerr.CoordinatorNotAvailable
		}
	}
	next, kerror := t.initProducer(wantID, wantEpoch, timeoutMillis, fresh, c.nowMillis())
	if kerror != nil {
		return txn{}, kerror
	}
	if kerror := c.installDurably(ctx, l, e, next); kerror != nil {
		return txn{}, kerror
	}
	return next, nil
}
