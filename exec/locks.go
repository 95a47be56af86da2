package exec

import (
	"context"
	"slices"
	"sync"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// lockTable holds the key locks of the ordinary tables that this node owns. A lock is exclusive and belongs to a transaction
// until that ends. A transaction waits for one lock at a time, and a cycle of waits is found when it would close.
//
// A lock is no object: it is the hash of table and key, and who holds it. Two keys of one hash share a lock: they wait for each other where they need
// not, which is harmless. The first locks of a transaction are entries of one map. Most locks are taken by loads, and nobody waits for them: beyond
// those a transaction locks a key by no more than counting it (txTable.locked), and who looks for a lock's holder also looks into the keys of loads.
type lockTable struct {
	mu struct {
		sync.Mutex
		holders map[lockKey]*WriteTx
		loads   []*txTable              // with locks that are not in the map
		queues  map[lockKey][]*lockWait // first come first served; of locks that someone waits for
	}
}

// manyLocks is how many locks of one transaction are in the map.
const manyLocks = 4096

// lockKey is a hash of table and key.
type lockKey uint64

type lockWait struct {
	x       *txTable
	granted chan struct{}
}

// txLocks are the locks of one transaction. All is guarded by the lock table.
type txLocks struct {
	held    []lockKey // in the map
	waiting lockKey   // while waits
	waits   bool
}

func (l *lockTable) init() {
	l.mu.holders = map[lockKey]*WriteTx{}
	l.mu.queues = map[lockKey][]*lockWait{}
}

// lockKeyOf spreads the tables over the hashes (splitmix64's increment). Done twice it gives the hash of the key again.
func lockKeyOf(oid uint32, keyHash uint64) lockKey {
	return lockKey(keyHash ^ uint64(oid)*0x9e3779b97f4a7c15)
}

// acquire takes the locks of the keys that x has met and its transaction has not locked, waiting for each in turn. A wait that would never end is a
// 40P01. What was taken stays taken until release, also after an error.
func (l *lockTable) acquire(ctx context.Context, x *txTable) error {
	for {
		wait, err := l.tryAll(x)
		if wait == nil || err != nil {
			return err
		}
		select {
		case <-wait.granted:
		case <-ctx.Done():
			l.giveUp(wait)
			return ctx.Err()
		}
	}
}

// tryAll takes locks until one is held by another, for which it queues.
func (l *lockTable) tryAll(x *txTable) (*lockWait, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx := x.tx
	for x.locked < x.index.len() {
		k := lockKeyOf(x.rel.OID, x.index.hash(int32(x.locked)))
		holder := l.otherHolderLocked(x, k)
		if holder == nil {
			l.takeLocked(x, k)
			continue
		}
		if l.closesCycleLocked(tx, holder) {
			return nil, sqlerr.New(sqlerr.DeadlockDetected, "deadlock detected").
				WithDetail("Two transactions each wait for a row that the other has changed.").WithHint("Run the transaction again.")
		}
		w := &lockWait{x: x, granted: make(chan struct{})}
		l.mu.queues[k] = append(l.mu.queues[k], w)
		tx.locks.waiting, tx.locks.waits = k, true
		return w, nil
	}
	return nil, nil
}

// takeFree takes the locks of the keys that x has met and its transaction has not locked, up to the first that another holds, and reports whether
// that is all of them.
func (l *lockTable) takeFree(x *txTable) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x.locked < x.index.len() {
		k := lockKeyOf(x.rel.OID, x.index.hash(int32(x.locked)))
		if l.otherHolderLocked(x, k) != nil {
			return false
		}
		l.takeLocked(x, k)
	}
	return true
}

// otherHolderLocked returns who but x's transaction holds a lock, nil for nobody. It looks only where others have locks.
func (l *lockTable) otherHolderLocked(x *txTable, k lockKey) *WriteTx {
	if len(l.mu.holders) == len(x.tx.locks.held) && (len(l.mu.loads) == 0 || len(l.mu.loads) == 1 && x.load) {
		return nil
	}
	if holder := l.holderLocked(k); holder != x.tx {
		return holder
	}
	return nil
}

// holderLocked returns who holds a lock, nil for nobody.
func (l *lockTable) holderLocked(k lockKey) *WriteTx {
	if tx := l.mu.holders[k]; tx != nil {
		return tx
	}
	for _, x := range l.mu.loads {
		if x.holds(k) {
			return x.tx
		}
	}
	return nil
}

// holds tells whether k is the lock of a key of x that is locked. The caller has the lock table's lock.
func (x *txTable) holds(k lockKey) bool {
	x.met.Lock()
	defer x.met.Unlock()
	n := int(x.index.findHash(uint64(lockKeyOf(x.rel.OID, uint64(k)))))
	return n >= 0 && n < x.locked
}

// takeLocked gives x's transaction the lock of its next key, which nobody else holds.
func (l *lockTable) takeLocked(x *txTable, k lockKey) {
	x.locked++
	tx := x.tx
	switch {
	case len(tx.locks.held) < manyLocks:
		if l.mu.holders[k] == nil { // else it is that of another key with the same hash
			l.mu.holders[k] = tx
			tx.locks.held = append(tx.locks.held, k)
		}
	case !x.load:
		x.load = true
		l.mu.loads = append(l.mu.loads, x)
	}
}

// closesCycleLocked reports whether tx, if it waited for a lock of holder, would wait for itself. Each transaction waits for at most one lock,
// whose holder goes first; those queued before it wait for the same holder.
func (l *lockTable) closesCycleLocked(tx, holder *WriteTx) bool {
	for steps := 0; holder != nil && steps <= len(l.mu.queues); steps++ {
		if holder == tx {
			return true
		}
		if !holder.locks.waits {
			return false
		}
		holder = l.holderLocked(holder.locks.waiting)
	}
	return false
}

// giveUp takes a waiter out of the queue. If the lock was granted meanwhile it stays held until the transaction ends.
func (l *lockTable) giveUp(wait *lockWait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	locks := &wait.x.tx.locks
	locks.waits = false
	l.setQueueLocked(locks.waiting, slices.DeleteFunc(l.mu.queues[locks.waiting], func(w *lockWait) bool { return w == wait }))
}

func (l *lockTable) setQueueLocked(k lockKey, queue []*lockWait) {
	if len(queue) == 0 {
		delete(l.mu.queues, k)
		return
	}
	l.mu.queues[k] = queue
}

// release gives all locks of tx to those who wait.
func (l *lockTable) release(tx *WriteTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range tx.locks.held {
		delete(l.mu.holders, k)
		if len(l.mu.queues) > 0 {
			l.passOnLocked(k)
		}
	}
	if len(tx.locks.held) == manyLocks && len(l.mu.holders) == 0 {
		l.mu.holders = map[lockKey]*WriteTx{} // for a map keeps the room of its largest time
	}
	tx.locks.held = nil
	loads := len(l.mu.loads)
	l.mu.loads = slices.DeleteFunc(l.mu.loads, func(x *txTable) bool { return x.tx == tx })
	if len(l.mu.loads) == loads {
		return
	}
	for k := range l.mu.queues {
		if l.holderLocked(k) == nil {
			l.passOnLocked(k)
		}
	}
}

// passOnLocked gives a free lock to the first who waits for it, if someone does.
func (l *lockTable) passOnLocked(k lockKey) {
	queue := l.mu.queues[k]
	if len(queue) == 0 {
		return
	}
	next := queue[0]
	l.setQueueLocked(k, queue[1:])
	l.takeLocked(next.x, k)
	next.x.tx.locks.waits = false
	close(next.granted)
}
