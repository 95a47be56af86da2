package coordinator

import "github.com/millracedb/millrace/internal/clock"

// expireLoop aborts transactions that take too long, or that went down with a node, and forgets transactional ids that nobody uses.
func (c *Transactions) expireLoop() {
	for clock.Wait(c.ctx, c.clock, expireInterval) {
		c.sweepOrphans(c.ctx)
		for l := range c.leases.loaded() {
			c.expire(l)
		}
	}
}

func (c *Transactions) expire(l *lease) {
	now := c.clock.Now()
	for _, e := range l.snapshot() {
		t := e.value.Load()
		idle := t.state != stateOngoing && !t.deciding() && now.UnixMilli()-t.updateMillis > idleExpiration.Milliseconds()
		if !t.expired(now) && !(idle && c.settled(t)) {
			continue
		}
		select {
		case e.turn <- struct{}{}:
		default:
			continue // it is in use: look again next time
		}
		c.expireEntry(l, e, t)
	}
}

// expireEntry ends the entry's transaction, or the entry, if it is still in the state in which it was seen. It has the turn
// and gives it up.
func (c *Transactions) expireEntry(l *lease, e *txnEntry, seen *txn) {
	if e.value.Load() != seen {
		e.unlock()
		return
	}
	if seen.state == stateOngoing {
		c.log.Info("transaction timed out", "transactional_id", seen.id, "timeout_ms", seen.timeoutMillis)
		if _, kerror := c.decide(l, e, seen.fence(c.nowMillis())); kerror != nil {
			c.log.Warn("transaction cannot be aborted yet", "transactional_id", seen.id, "err", kerror)
		}
		return
	}
	defer e.unlock()
	if err := c.forget(l, e, seen.id); err != nil {
		c.log.Warn("transactional id cannot be expired yet", "transactional_id", seen.id, "err", err)
	}
}

// forget writes a tombstone for an idle transactional id. The caller has the turn.
func (c *Transactions) forget(l *lease, e *txnEntry, id string) error {
	if _, err := c.appendTombstone(l, id); err != nil {
		return err
	}
	e.gone = true
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.entries, id)
	return nil
}

// appendTombstone deletes a transactional id from the log of a lease, and returns the offset behind the record.
func (c *Transactions) appendTombstone(l *lease, id string) (next int64, err error) {
	batch, err := encodeTombstones([][]byte{encodeTxnKey(id)}, c.nowMillis())
	if err != nil {
		return 0, err
	}
	_, next, err = l.append(l.ctx, batch, coordinatorAppend)
	return next, err
}
