package log

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// Intervals of the background work. They are Kafka's defaults, but for the tick.
const (
	tickInterval       = time.Second      // disk space, flush.ms
	checkpointInterval = 5 * time.Second  // log.flush.offset.checkpoint.interval.ms is 60 s there, the high watermark's 5 s
	cleanInterval      = 15 * time.Second // log.cleaner.backoff.ms
	retentionInterval  = 5 * time.Minute  // log.retention.check.interval.ms
)

// checkpointLoop looks at the disk, syncs the logs that have flush.ms, and writes the checkpoints.
func (m *Manager) checkpointLoop(ctx context.Context) {
	timer := m.clock.NewTimer(tickInterval)
	defer timer.Stop()
	last := m.clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		m.disk.check()
		m.flushDue()
		if m.clock.Since(last) >= checkpointInterval {
			last = m.clock.Now()
			if err := m.Checkpoint(); err != nil {
				m.logger.Error("checkpoints are not written", "error", err)
			}
		}
		timer.Reset(tickInterval)
	}
}

// flushDue asks for a sync of the logs under fsync=interval whose flush.ms has passed.
func (m *Manager) flushDue() {
	now := m.clock.Now()
	for _, l := range m.Logs() {
		if l.flushDue(now) {
			l.RequestSync()
		}
	}
}

// cleanLoop applies retention and compacts.
func (m *Manager) cleanLoop(ctx context.Context) {
	timer := m.clock.NewTimer(cleanInterval)
	defer timer.Stop()
	last := m.clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		if m.clock.Since(last) >= retentionInterval || m.disk.isLow() {
			last = m.clock.Now()
			m.RetainAll()
		}
		m.CompactAll(ctx)
		timer.Reset(cleanInterval)
	}
}

// RetainAll applies retention to all logs now.
func (m *Manager) RetainAll() {
	for _, l := range m.Logs() {
		if n, err := l.Retain(); err != nil && !errors.Is(err, ErrClosed) {
			m.logger.Warn("retention failed", "dir", l.dir, "error", err)
		} else if n > 0 {
			m.logger.Info("segments are past their retention", "dir", l.dir, "segments", n)
		}
	}
}

// CompactAll compacts the logs that are due, the dirtiest first.
func (m *Manager) CompactAll(ctx context.Context) {
	type due struct {
		log   *Log
		ratio float64
	}
	var work []due
	for _, l := range m.Logs() {
		if ratio, ok := l.CompactionDue(); ok {
			work = append(work, due{l, ratio})
		}
	}
	slices.SortFunc(work, func(a, b due) int { return cmp.Compare(b.ratio, a.ratio) })
	for _, w := range work {
		if ctx.Err() != nil {
			return
		}
		if _, err := w.log.Compact(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
			m.logger.Warn("compaction failed", "dir", w.log.dir, "error", err)
		}
	}
}
