package log

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/millracedb/millrace/internal/fsys"
)

const (
	// BallastBytes is the size of the ballast file: room that is given back when the disk is full all the same, enough to
	// stop in good order.
	BallastBytes = 64 << 20

	ballastFile      = ".ballast"
	diskFreeFloor    = 1 << 30 // disk.min_free is at least this,
	diskFreePercent  = 2       // or so much of the disk if that is more,
	diskFreeQuarters = 4       // but at most a quarter of it
)

// diskGuard meets the full disk before it happens: below disk.min_free writes are refused, while reads, deletion, retention
// and compaction go on.
type diskGuard struct {
	fs      fsys.FS
	dir     string
	freeMin int64 // 0: by the rule above; negative: no guard
	logger  *slog.Logger
	mu      struct {
		sync.Mutex
		low     bool
		ballast bool
	}
}

// minFree returns disk.min_free for a disk of total bytes.
func (g *diskGuard) minFree(total uint64) uint64 {
	if g.freeMin > 0 {
		return uint64(g.freeMin)
	}
	return min(max(diskFreeFloor, total/100*diskFreePercent), total/diskFreeQuarters)
}

// check looks at the disk, and takes or gives back the ballast. A disk that cannot be asked counts as it did before.
func (g *diskGuard) check() {
	if g.freeMin < 0 {
		return
	}
	usage, err := g.fs.GetDiskUsage(g.dir)
	if err != nil {
		g.logger.Warn("free disk space is not known", "error", err)
		return
	}
	free := g.minFree(usage.TotalBytes)
	low := usage.AvailBytes < free
	g.mu.Lock()
	changed := low != g.mu.low
	g.mu.low = low
	hasBallast := g.mu.ballast
	g.mu.Unlock()
	if changed {
		g.logger.Warn("disk space", "low", low, "available", usage.AvailBytes, "min_free", free)
	}
	if !hasBallast && usage.AvailBytes >= free+BallastBytes {
		g.take()
	}
}

// take makes the ballast file.
func (g *diskGuard) take() {
	f, err := g.fs.Create(g.fs.PathJoin(g.dir, ballastFile), fsys.Category)
	if err == nil {
		err = errors.Join(f.Preallocate(0, BallastBytes), f.Close())
	}
	if err != nil {
		g.logger.Warn("ballast file is not made", "error", err)
	}
	g.mu.Lock()
	g.mu.ballast = err == nil
	g.mu.Unlock()
}

// full gives the ballast back: the disk ran full in the middle of a write, or there is too little room at a start.
func (g *diskGuard) full() {
	g.mu.Lock()
	g.mu.low, g.mu.ballast = true, false
	g.mu.Unlock()
	if err := g.fs.Remove(g.fs.PathJoin(g.dir, ballastFile)); err != nil && !fsys.IsNotExist(err) {
		g.logger.Warn("ballast file is not removed", "error", err)
	}
}

func (g *diskGuard) isLow() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.low
}

func (g *diskGuard) mayWrite() error {
	if g.isLow() {
		return storageError(ErrDiskFull, nil)
	}
	return nil
}
