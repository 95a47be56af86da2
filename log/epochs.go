package log

import (
	"fmt"

	"github.com/millracedb/millrace/internal/fsys"
)

// epochStart is a leader epoch and the offset of its first record.
type epochStart struct {
	epoch int32
	start int64
}

// UndefinedEpoch and UndefinedOffset are the answer for an epoch that the log knows nothing about.
const (
	UndefinedEpoch  int32 = -1
	UndefinedOffset int64 = -1
)

// epochCache are the leader epochs of a log, ascending in epoch and in start offset (KIP-101, KIP-279). It is guarded by the
// log's mu; the slice is never changed in place, so that it can be written to the checkpoint without the lock.
type epochCache struct{ entries []epochStart }

// assign notes that epoch begins at start and reports whether that changed anything. Entries that contradict it go.
func (c *epochCache) assign(epoch int32, start int64) bool {
	if epoch < 0 {
		return false
	}
	if n := len(c.entries); n > 0 {
		if last := c.entries[n-1]; last.epoch == epoch && last.start <= start {
			return false
		}
	}
	keep := 0
	for _, e := range c.entries {
		if e.epoch >= epoch || e.start >= start {
			break
		}
		keep++
	}
	c.entries = append(c.entries[:keep:keep], epochStart{epoch, start})
	return true
}

// latest returns the newest epoch, or UndefinedEpoch.
func (c *epochCache) latest() int32 {
	if len(c.entries) == 0 {
		return UndefinedEpoch
	}
	return c.entries[len(c.entries)-1].epoch
}

// endOffset returns the largest epoch at most epoch, and where it ends; leo is the end of the newest.
func (c *epochCache) endOffset(epoch int32, leo int64) (int32, int64) {
	if epoch < 0 || len(c.entries) == 0 {
		return UndefinedEpoch, UndefinedOffset
	}
	if epoch == c.latest() {
		return epoch, leo
	}
	floor := epoch
	for _, e := range c.entries {
		if e.epoch > epoch {
			return floor, e.start
		}
		floor = e.epoch
	}
	return UndefinedEpoch, UndefinedOffset // newer than anything known here
}

// epochAt returns the epoch of the record at offset, or UndefinedEpoch.
func (c *epochCache) epochAt(offset int64) int32 {
	epoch := UndefinedEpoch
	for _, e := range c.entries {
		if e.start > offset {
			break
		}
		epoch = e.epoch
	}
	return epoch
}

// truncateFromEnd drops the epochs that begin at or after leo and reports whether there were any.
func (c *epochCache) truncateFromEnd(leo int64) bool {
	for i, e := range c.entries {
		if e.start >= leo {
			c.entries = c.entries[:i:i]
			return true
		}
	}
	return false
}

// truncateFromStart drops what lies below start; the epoch that covers start now begins there. It reports whether anything
// changed.
func (c *epochCache) truncateFromStart(start int64) bool {
	covering := -1
	for i, e := range c.entries {
		if e.start > start {
			break
		}
		covering = i
	}
	if covering < 0 || (covering == 0 && c.entries[0].start == start) {
		return false
	}
	entries := append([]epochStart(nil), c.entries[covering:]...)
	entries[0].start = start
	c.entries = entries
	return true
}

const epochFile = "leader-epoch-checkpoint"

// loadEpochs reads the checkpoint. A missing file is an empty cache.
func loadEpochs(fs fsys.FS, dir string) (epochCache, error) {
	var c epochCache
	path := fs.PathJoin(dir, epochFile)
	err := readCheckpoint(fs, path, func(line string) error {
		var e epochStart
		if _, err := fmt.Sscanf(line, "%d %d", &e.epoch, &e.start); err != nil {
			return err
		}
		if n := len(c.entries); n > 0 && (c.entries[n-1].epoch >= e.epoch || c.entries[n-1].start > e.start) {
			return fmt.Errorf("epoch %d at %d does not follow what is before it", e.epoch, e.start)
		}
		c.entries = append(c.entries, e)
		return nil
	})
	return c, err
}

func saveEpochs(fs fsys.FS, dir string, entries []epochStart) error {
	lines := make([]string, len(entries))
	for i, e := range entries {
		lines[i] = fmt.Sprintf("%d %d", e.epoch, e.start)
	}
	return writeCheckpoint(fs, fs.PathJoin(dir, epochFile), lines)
}

// AssignEpoch notes that epoch begins at the log's end, and makes that durable. A new leader does so before it serves.
func (l *Log) AssignEpoch(epoch int32) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	return l.assignEpoch(epoch, l.LEO())
}

// assignEpoch is AssignEpoch at any offset. The caller holds appendMu.
func (l *Log) assignEpoch(epoch int32, start int64) error {
	return l.changeEpochs(func(c *epochCache) bool { return c.assign(epoch, start) })
}

// LatestEpoch returns the newest leader epoch the log knows, or UndefinedEpoch.
func (l *Log) LatestEpoch() int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.latest()
}

// EndOffsetForEpoch returns the largest epoch at most epoch, and where it ends (KIP-279); UndefinedEpoch and UndefinedOffset if
// the log cannot say.
func (l *Log) EndOffsetForEpoch(epoch int32) (int32, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.endOffset(epoch, l.mu.leo)
}

// EpochAt returns the leader epoch of the record at offset, or UndefinedEpoch.
func (l *Log) EpochAt(offset int64) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.epochs.epochAt(offset)
}

// changeEpochs changes the epochs and makes that durable. If there is no room for it they stay as they were, and the log goes on. The caller holds appendMu, without which nobody
// changes them.
func (l *Log) changeEpochs(change func(*epochCache) bool) error {
	l.mu.Lock()
	next := l.mu.epochs
	l.mu.Unlock()
	if !change(&next) {
		return nil
	}
	if err := l.replace(func() error { return saveEpochs(l.opts.FS, l.dir, next.entries) }); err != nil {
		return l.writeFailed(err)
	}
	l.mu.Lock()
	l.mu.epochs = next
	l.mu.Unlock()
	return nil
}
