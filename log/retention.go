package log

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// DeleteRecordsBefore raises the log start to offset, at most the high watermark, and removes segments that lie wholly below
// it. A lower offset than the log start changes nothing. It returns the log start.
func (l *Log) DeleteRecordsBefore(offset int64) (int64, error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	if offset > l.mu.hw {
		defer l.mu.Unlock()
		return l.mu.logStart, fmt.Errorf("delete records before %d, beyond the high watermark %d: %w", offset, l.mu.hw, kerr.OffsetOutOfRange)
	}
	start, failure := l.mu.logStart, l.failureLocked()
	l.mu.Unlock()
	if failure != nil {
		return start, failure
	}
	_, err := l.raiseStart(offset)
	return l.LogStart(), err
}

// Retain applies the topic's retention by time and size, and forgets producers that have been silent for long. It returns the
// number of segments removed. Nothing at or above the high watermark goes.
func (l *Log) Retain() (int, error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	now := l.opts.Clock.Now()
	l.mu.Lock()
	config := l.mu.config
	if err := l.failureLocked(); err != nil || l.mu.closed {
		l.mu.Unlock()
		return 0, err
	}
	l.mu.producers.expire(now.Add(-config.ProducerExpiry).UnixMilli())
	start, roll := l.retentionStartLocked(&config, now)
	l.mu.Unlock()
	if roll {
		if err := l.roll(l.LEO()); err != nil {
			return 0, l.writeFailed(err)
		}
	}
	return l.raiseStart(start)
}

// retentionStartLocked returns the log start that the settings want, and whether the active segment must be rolled because it
// is to go as well.
func (l *Log) retentionStartLocked(config *Config, now time.Time) (start int64, roll bool) {
	start = l.mu.logStart
	if !config.Delete {
		return start, false
	}
	var total int64
	for _, s := range l.mu.segments {
		total += s.size
	}
	oldest := now.Add(-config.RetentionAge).UnixMilli()
	for _, s := range l.mu.segments {
		expired := config.RetentionAge > 0 && s.maxTime >= 0 && s.maxTime < oldest
		surplus := config.RetentionBytes > 0 && total-s.size >= config.RetentionBytes
		if (!expired && !surplus) || s.size == 0 || s.next > l.mu.hw {
			break
		}
		total -= s.size
		start = max(start, s.next)
		roll = s == l.active()
	}
	return start, roll
}

// raiseStart moves the log start and removes what lies below it, but for the active segment. The caller holds appendMu.
func (l *Log) raiseStart(start int64) (removed int, err error) {
	l.mu.Lock()
	l.mu.logStart = max(l.mu.logStart, start)
	start = l.mu.logStart
	n := 0
	for n < len(l.mu.segments)-1 && l.mu.segments[n+1].base <= start {
		n++
	}
	gone := l.mu.segments[:n:n]
	l.mu.segments = l.mu.segments[n:]
	l.mu.cleanPoint = max(l.mu.cleanPoint, l.mu.segments[0].base)
	l.mu.Unlock()
	if n > 0 && l.opts.BeforeCut != nil {
		if err := l.replace(l.opts.BeforeCut); err != nil {
			return 0, l.fail(err)
		}
	}
	if err := l.retire(gone); err != nil {
		return 0, l.fail(err)
	}
	for _, s := range gone {
		// Losing a snapshot that is not needed any more cannot hurt, nor can keeping it.
		_ = l.opts.FS.Remove(segmentFile(l.opts.FS, l.dir, s.base, snapshotSuffix))
	}
	return n, l.changeEpochs(func(c *epochCache) bool { return c.truncateFromStart(start) })
}
