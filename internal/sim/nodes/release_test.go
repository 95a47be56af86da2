package nodes

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/millracedb/millrace/replication/metadata"
)

// Nodes of two releases: this one, and one before it that knows a feature level less.

// releaseOf is what a program says of itself.
func releaseOf(old bool) (name string, level uint32) {
	if old {
		return "older", metadata.FeatureMax - 1
	}
	return "newer", metadata.FeatureMax
}

// upgrades reports whether a cluster begins with the older release: one in three does, where releases change at all.
func upgrades(p plan) bool {
	return p.seed%3 == 1 && slices.ContainsFunc(p.faults, func(f fault) bool { return f.name == "release" })
}

func (m *machine) isOld() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.old
}

// become stops the node in order and gives it another program. It does not start it.
func (m *machine) become(old bool) {
	m.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.old = old
}

// level is the feature level of the cluster, as far as a node that serves knows.
func (w *world) level() uint32 {
	level := uint32(0)
	for _, m := range w.machines() {
		if r := m.current(); r != nil {
			if n := r.node.Load(); n != nil {
				level = max(level, n.FeatureLevel())
			}
		}
	}
	return level
}

// dueLevel is the feature level that the cluster comes to when nothing breaks.
func (w *world) dueLevel() uint32 {
	if slices.ContainsFunc(w.machines(), (*machine).isOld) {
		return 0
	}
	return metadata.FeatureMax
}

// changeRelease gives a node the other release. One that goes back is let in only as long as the level has not been raised, and then nothing stops it.
func changeRelease(ctx context.Context, w *world, rng *rand.Rand) {
	m := w.some(rng)
	old, raised := m.isOld(), w.level() == metadata.FeatureMax
	if !old && !raised && rng.IntN(4) > 0 {
		return // or the cluster would hardly ever be upgraded
	}
	w.trace.printf("the release of %s: older %v, the level is raised: %v", m.ip, !old, raised)
	m.become(!old)
	pause(ctx, between(rng, 0, time.Second))
	m.start()
	if old || !raised {
		return
	}
	pause(ctx, between(rng, time.Second, maxFault))
	if r := m.current(); r != nil && r.old && r.node.Load() != nil {
		w.violate("%s serves with a release that does not know the cluster's feature level", m.ip)
	}
	m.become(false)
	m.start()
}
