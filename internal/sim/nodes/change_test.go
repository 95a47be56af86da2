package nodes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millracedb/millrace/internal/fsys"
)

// What an operator does to a cluster that runs: nodes are drained, join, leave, and are replaced when their disk is gone.

// machines are those that are in the cluster, or are to be.
func (w *world) machines() []*machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.mu.machines)
}

// add puts up a machine with a node id that was never used. It joins by the node port at join, or is one of those that form the cluster.
func (w *world) add(join string) *machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.used++
	m := &machine{w: w, id: w.mu.used, ip: fmt.Sprintf("127.0.0.%d", w.mu.used), join: join, turn: make(chan struct{}, 1)}
	w.newClock(m)
	m.mu.fs = fsys.NewMem()
	w.prepareDisk(m.mu.fs)
	m.mu.old = w.older && join == ""
	w.mu.machines = append(w.mu.machines, m)
	return m
}

// forget takes a machine away that is in the cluster no more.
func (w *world) forget(m *machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.machines = slices.DeleteFunc(w.mu.machines, func(o *machine) bool { return o == m })
}

// first reports whether a change of that kind has not been made before, and no other is under way: an operator does one thing at a time, and each once. The returned function ends it.
func (w *world) first(kind string) (end func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.changes[kind] || w.mu.changing {
		return nil, false
	}
	if w.mu.changes == nil {
		w.mu.changes = map[string]bool{}
	}
	w.mu.changes[kind], w.mu.changing = true, true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mu.changing = false
	}, true
}

// voters are how many nodes of n vote on the metadata.
func voters(n int) int {
	if n >= 5 {
		return 5
	}
	return min(n, 3)
}

// operate gives a statement, through any node, until it is done. Before each attempt is looked whether it was done by one whose outcome was not told; a node that is not known any more was removed. An
// operator does not give up because a client's time is over.
func (w *world) operate(rng *rand.Rand, sql string, was func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	s := &session{w: w, rng: rng}
	defer s.close()
	for !was() {
		err := s.exec(ctx, sql)
		w.trace.printf("%s: %v", sql, err)
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if err == nil || ok && pg.Code == "42704" {
			break
		}
		s.close() // the next one may be another node's
		if !pause(ctx, 300*time.Millisecond) {
			w.stuck("%s is not done: %v", sql, err)
			return false
		}
	}
	return true
}

func notYet() bool { return false }

// serves reports whether the machine's node serves.
func (m *machine) serves() bool {
	r := m.current()
	return r != nil && r.node.Load() != nil
}

// drain has a node give up what it leads, and takes it back into service.
func drain(ctx context.Context, w *world, rng *rand.Rand) {
	end, ok := w.first("drain")
	if !ok {
		return
	}
	defer end()
	m := w.some(rng)
	if w.operate(rng, fmt.Sprintf("ALTER NODE %d DRAIN", m.id), notYet) {
		pause(ctx, between(rng, time.Second, maxFault))
		w.operate(rng, fmt.Sprintf("ALTER NODE %d UNDRAIN", m.id), notYet)
	}
}

// replace loses a node with its disk. The machine that takes its place under its id is refused until the cluster was told to forget the old one. It happens once: what was lost must be on other disks before
// the next one goes.
func replace(ctx context.Context, w *world, rng *rand.Rand) {
	end, ok := w.first("replace")
	if !ok {
		return
	}
	defer end()
	m := w.some(rng)
	m.wipe()
	early := rng.IntN(2) == 0
	if early {
		m.start()
	}
	pause(ctx, between(rng, 0, maxFault/2))
	if m.serves() {
		w.violate("%s serves on an empty disk under an id that the cluster knows with another", m.ip)
	}
	if w.operate(rng, fmt.Sprintf("ALTER NODE %d REMOVE", m.id), m.serves) { // an attempt of unknown outcome may have removed it
		m.start()
	}
}

// join has another node join.
func join(ctx context.Context, w *world, rng *rand.Rand) {
	end, ok := w.first("join")
	if !ok {
		return
	}
	end() // it needs nobody
	m := w.add(w.some(rng).addr(raftPort))
	m.start()
	pause(ctx, between(rng, 0, maxFault)) // it takes a place among those that last
}

// retire drains a node, stops it and takes it out of the cluster, if there are enough others.
func retire(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	if len(w.machines()) < 4 {
		return
	}
	end, ok := w.first("retire")
	if !ok {
		return
	}
	defer end()
	if !w.operate(rng, fmt.Sprintf("ALTER NODE %d DRAIN", m.id), notYet) {
		return
	}
	pause(ctx, between(rng, 0, maxFault))
	stopped := func() bool {
		m.stop() // another fault may have started it again
		return false
	}
	if w.operate(rng, fmt.Sprintf("ALTER NODE %d REMOVE", m.id), stopped) {
		w.forget(m)
	}
}
