package metadata

import (
	"fmt"
	"strconv"
)

// A feature level says what all nodes of a cluster understand. Each node registers the levels at which its release can work; when all that are registered, be they up or not, know a higher one than the cluster works at,
// the controller raises it, unless an operator holds it. It never goes down: what is written at a level is not read below it. So a cluster can be upgraded node by node, and back, as long as it
// has not been raised; and what would stop nodes of older releases is written only when there are none.
//
//	0  clusters begin here
//	1  what every release so far knows
//	2  levels are raised, by a version of that change which stops releases that know level 1 only

// The levels at which this release can work.
const (
	FeatureMin = 0
	FeatureMax = 2
)

// raisedFrom is the first level that a cluster is raised to: to lower ones there is nothing to raise.
const raisedFrom = 2

// Tolerates reports whether the broker can work at a level.
func (k *Broker) Tolerates(level uint32) bool { return k.FeatureMin <= level && level <= k.FeatureMax }

// RaisableTo is the highest level that every registered broker knows, and no operator forbids; the image's own if that is not lower.
func (img *Image) RaisableTo() uint32 {
	to, first := uint32(0), true
	for k := range img.Brokers() {
		if first || k.FeatureMax < to {
			to, first = k.FeatureMax, false
		}
	}
	if held, ok := img.HeldLevel(); ok {
		to = min(to, held)
	}
	for k := range img.Brokers() {
		if !k.Tolerates(to) {
			return img.featureLevel
		}
	}
	if to < raisedFrom {
		return img.featureLevel
	}
	return max(to, img.featureLevel)
}

// heldLevelKey is the setting above which the level is not raised.
var heldLevelKey = SettingKey{Scope: "cluster", Name: "feature.hold"}

// HeldLevel is the level above which an operator does not have the cluster raised; false if there is none.
func (img *Image) HeldLevel() (uint32, bool) {
	v, ok := img.Setting(heldLevelKey)
	n, err := strconv.ParseUint(v, 10, 32)
	return uint32(n), ok && err == nil
}

// HoldLevel has the cluster raised to no level above one; ReleaseLevel ends that.
func (b *Batch) HoldLevel(level uint32) {
	b.SetSetting(heldLevelKey, strconv.FormatUint(uint64(level), 10))
}

// ReleaseLevel has the cluster raised as far as all nodes know.
func (b *Batch) ReleaseLevel() {
	if _, ok := b.img.HeldLevel(); ok {
		b.UnsetSetting(heldLevelKey)
	}
}

// RaiseLevel raises the level as far as that is possible as of the batch's image.
func (b *Batch) RaiseLevel() {
	if to := b.img.RaisableTo(); to > b.img.featureLevel {
		b.add(setFeatureLevel{from: b.img.featureLevel, to: to})
	}
}

// since are the levels from which on versions of changes may be written, for those that not every release reads.
var since = map[changeKind]map[uint64]uint32{
	kindSetFeatureLevel: {2: raisedFrom},
}

// checkLevel refuses a change that would stop nodes of the cluster: some may be of releases that know no more than its level.
func (b *Batch) checkLevel(c change) {
	if _, raises := c.(setFeatureLevel); raises {
		return // which its Apply allows when all nodes know it
	}
	if level := since[c.kind()][versionOf(c)]; level > b.img.featureLevel {
		b.fail(fmt.Errorf("%w: it needs level %d, and the cluster works at %d", ErrFeatureLevel, level, b.img.featureLevel))
	}
}

// UnknownLevelError says that the cluster works at a level that this release does not know. The node must stop, as with UnknownEntryError.
type UnknownLevelError struct {
	Level, Known uint32
	Release      string // that knows it
}

func (e *UnknownLevelError) Error() string {
	return fmt.Sprintf("metadata: the cluster works at feature level %d, and this release knows %d at most; start release %s or newer", e.Level, e.Known, e.Release)
}

// setFeatureLevel raises the feature level. It never goes down: what was written under a higher level could not be read. Its first version was never written; releases that do not know the second do not refuse brokers that the level shuts
// out, and so must not see it.
type setFeatureLevel struct{ from, to uint32 }

func (setFeatureLevel) kind() changeKind { return kindSetFeatureLevel }

func (setFeatureLevel) version() uint64 { return 2 }

func (c setFeatureLevel) append(b []byte) []byte {
	return appendUint(appendUint(b, 1, uint64(c.from)), 2, uint64(c.to))
}

func decodeSetFeatureLevel(b []byte) (change, error) {
	var c setFeatureLevel
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			c.from = r.uint32()
		case 2:
			c.to = r.uint32()
		}
	}
	return c, r.done("feature level")
}

func (c setFeatureLevel) apply(tx *imageTx) (uint64, error) {
	if tx.featureLevel != c.from {
		return 0, &Error{ErrVersionConflict, "feature level", fmt.Sprint(tx.featureLevel), ""}
	}
	if c.to < c.from {
		return 0, &Error{ErrInvalid, "feature level", fmt.Sprint(c.to), "it never goes down"}
	}
	for k := range tx.brokers.base.values(nil) {
		if !k.Tolerates(c.to) {
			return 0, &Error{ErrInvalid, "feature level", fmt.Sprint(c.to), fmt.Sprintf("release %s of node %d works at levels %d to %d", k.Release, k.ID, k.FeatureMin, k.FeatureMax)}
		}
	}
	tx.featureLevel = c.to
	return uint64(c.to), nil
}

// admitsLevel refuses a broker that cannot work at the cluster's level. Below raisedFrom there are releases that do not ask.
func (tx *imageTx) admitsLevel(k *Broker) error {
	if tx.featureLevel < raisedFrom || k.Tolerates(tx.featureLevel) {
		return nil
	}
	return &Error{
		ErrInvalid, "broker", fmt.Sprint(k.ID),
		fmt.Sprintf("the cluster works at feature level %d, and release %s at %d to %d: start a release that knows the level", tx.featureLevel, k.Release, k.FeatureMin, k.FeatureMax),
	}
}
