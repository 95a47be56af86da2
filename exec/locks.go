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
// Most locks are taken by bulk loads and nobody waits for them, so such a lock is one entry of a map without a pointer to memory of its own: the hash of
// table and key, and who holds it. Two keys of one hash share a lock: they wait for each other where they need not, which is harmless.
type lockTable struct {
	mu struct {
		sync.Mutex
		holders map[lockKey]*WriteTx
		queues  map[lockKey][]*lockWait // first come first served; of locks that someone waits for
	}
}

// manyLocks is from how many locks of one transaction on their room is given back.
const manyLocks = 10_000

// lockKey is a hash of table and key.
type lockKey uint64

type lockWait struct {
	tx      *WriteTx
	granted chan struct{}
}

func (l *lockTable) init() {
	l.mu.holders = map[lockKey]*WriteTx{}
	l.mu.queues = map[lockKey][]*lockWait{}
}

// lockKeyOf spreads the tables over the hashes (splitmix64's increment).
func lockKeyOf(oid uint32, keyHash uint64) lockKey {
	return lockKey(keyHash ^ uint64(oid)*0x9e3779b97f4a7c15)
}

// acquire takes the locks of keys of a table for tx, waiting for each in turn. A wait that would never end is a 40P01. What was
// taken stays taken until release, also after an error.
func (l *lockTable) acquire(ctx context.Context, tx *WriteTx, oid uint32, keys *keyIndex) error {
	for n := 0; n < keys.len(); {
		wait, next, err := l.tryAll(tx, oid, keys, n)
		if err != nil {
			return err
		}
		n = next
		if wait == nil {
			continue
		}
		select {
		case <-wait.granted:
			n++
		case <-ctx.Done():
			l.giveUp(tx, lockKeyOf(oid, keys.hash(int32(n))), wait)
			return ctx.Err()
		}
	}
	return nil
}

// tryAll takes locks from number n on until one is held by another, for which it queues.
func (l *lockTable) tryAll(tx *WriteTx, oid uint32, keys *keyIndex, n int) (*lockWait, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; n < keys.len(); n++ {
		k := lockKeyOf(oid, keys.hash(int32(n)))
		holder := l.mu.holders[k]
		if holder == nil {
			l.mu.holders[k] = tx
			tx.held = append(tx.held, k)
			continue
		}
		if holder == tx {
			continue
		}
		if l.closesCycleLocked(tx, holder) {
			return nil, n, sqlerr.New(sqlerr.DeadlockDetected, "deadlock detected").
				WithDetail("Two transactions each wait for a row that the other has changed.").WithHint("Run the transaction again.")
		}
		w := &lockWait{tx: tx, granted: make(chan struct{})}
		l.mu.queues[k] = append(l.mu.queues[k], w)
		tx.waiting, tx.waits = k, true
		return w, n, nil
	}
	return nil, n, nil
}

// closesCycleLocked reports whether tx, if it waited for a lock of holder, would wait for itself. Each transaction waits for at most one lock,
// whose holder goes first; those queued before it wait for the same holder.
func (l *lockTable) closesCycleLocked(tx, holder *WriteTx) bool {
	for steps := 0; holder != nil && steps <= len(l.mu.queues); steps++ {
		if holder == tx {
			return true
		}
		if !holder.waits {
			return false
		}
		holder = l.mu.holders[holder.waiting]
	}
	return false
}

// giveUp takes a waiter out of the queue. If the lock was granted meanwhile it stays held until the transaction ends.
func (l *lockTable) giveUp(tx *WriteTx, k lockKey, wait *lockWait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.waits = false
	l.setQueueLocked(k, slices.DeleteFunc(l.mu.queues[k], func(w *lockWait) bool { return w == wait }))
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
	for _, k := range tx.held {
		var queue []*lockWait
		if len(l.mu.queues) > 0 {
			queue = l.mu.queues[k]
		}
		if len(queue) == 0 {
			delete(l.mu.holders, k)
			continue
		}
		next := queue[0]
		l.setQueueLocked(k, queue[1:])
		l.mu.holders[k] = next.tx
		next.tx.held = append(next.tx.held, k)
		next.tx.waits = false
		close(next.granted)
	}
	if len(tx.held) > manyLocks && len(l.mu.holders) == 0 {
		l.mu.holders = map[lockKey]*WriteTx{} // for a map keeps the room of its largest time
	}
	tx.held = nil
}
