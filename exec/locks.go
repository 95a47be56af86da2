package exec

import (
	"context"
	"slices"
	"sync"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// lockTable holds the key locks of the ordinary tables that this node owns. A lock is exclusive and belongs to a transaction
// until that ends. A transaction waits for one lock at a time, and a cycle of waits is found when it would close.
type lockTable struct {
	mu struct {
		sync.Mutex
		locks map[lockKey]*keyLock
	}
}

type lockKey struct {
	oid uint32
	key string
}

type keyLock struct {
	holder *WriteTx
	queue  []*lockWait // first come first served
}

type lockWait struct {
	tx      *WriteTx
	granted chan struct{}
}

func (l *lockTable) init() { l.mu.locks = map[lockKey]*keyLock{} }

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
			l.giveUp(tx, lockKey{oid, string(keys.key(int32(n)))}, wait)
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
		k := lockKey{oid, string(keys.key(int32(n)))}
		lock := l.mu.locks[k]
		if lock == nil {
			l.mu.locks[k] = &keyLock{holder: tx}
			tx.held = append(tx.held, k)
			continue
		}
		if lock.holder == tx {
			continue
		}
		if l.closesCycleLocked(tx, lock) {
			return nil, n, sqlerr.New(sqlerr.DeadlockDetected, "deadlock detected").
				WithDetail("Two transactions each wait for a row that the other has changed.").WithHint("Run the transaction again.")
		}
		w := &lockWait{tx: tx, granted: make(chan struct{})}
		lock.queue = append(lock.queue, w)
		tx.waiting = lock
		return w, n, nil
	}
	return nil, n, nil
}

// closesCycleLocked reports whether tx, if it waited for lock, would wait for itself. Each transaction waits for at most one lock,
// whose holder goes first; those queued before it wait for the same holder.
func (l *lockTable) closesCycleLocked(tx *WriteTx, lock *keyLock) bool {
	for steps := 0; lock != nil && steps <= len(l.mu.locks); steps++ {
		if lock.holder == tx {
			return true
		}
		lock = lock.holder.waiting
	}
	return false
}

// giveUp takes a waiter out of the queue. If the lock was granted meanwhile it stays held until the transaction ends.
func (l *lockTable) giveUp(tx *WriteTx, k lockKey, wait *lockWait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tx.waiting = nil
	lock := l.mu.locks[k]
	if lock == nil {
		return
	}
	lock.queue = slices.DeleteFunc(lock.queue, func(w *lockWait) bool { return w == wait })
}

// release gives all locks of tx to those who wait.
func (l *lockTable) release(tx *WriteTx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range tx.held {
		lock := l.mu.locks[k]
		if len(lock.queue) == 0 {
			delete(l.mu.locks, k)
			continue
		}
		next := lock.queue[0]
		lock.queue = lock.queue[1:]
		lock.holder = next.tx
		next.tx.held = append(next.tx.held, k)
		next.tx.waiting = nil
		close(next.granted)
	}
	tx.held = nil
}
