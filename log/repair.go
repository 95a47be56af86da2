package log

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// Repair makes a damaged partition whole again by giving up what follows the damage: it checks every segment in dir from the
// first on, cuts at the first bad byte, keeps what it cuts in .torn files, and tells w what it does. The partition must not be
// open. It returns the offset at which the log now ends, and whether anything was cut; the caller must lower the recovery
// point to that offset (RepairPartition does both).
func Repair(w io.Writer, fs fsys.FS, dir string) (end int64, cut bool, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, false, err
	}
	var bases []int64
	for _, name := range names {
		if base, ok := parseSegmentFile(name, logSuffix); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	for i, base := range bases {
		path := segmentFile(fs, dir, base, logSuffix)
		next, pos, size, bad, err := checkSegment(fs, path, base)
		if err != nil {
			return end, false, err
		}
		end = next
		if bad == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: cut at byte %d of %d, offset %d: %s\n", path, pos, size, next, bad); err != nil {
			return end, false, err
		}
		return end, true, cutAt(w, fs, dir, path, pos, size, bases[i+1:])
	}
	return end, false, nil
}

// checkSegment reads a segment and returns the offset and position behind its last good batch, and what is wrong there.
func checkSegment(fs fsys.FS, path string, base int64) (next, pos, size int64, bad, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return base, 0, 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return base, 0, 0, nil, err
	}
	next, size = base, st.Size()
	sc := scanner{file: f, size: size, window: scanWindow}
	for ; ; sc.skip() {
		more, err := sc.header()
		if err == nil && !more {
			return next, sc.pos, size, nil, nil
		}
		var frame []byte
		if err == nil {
			frame, err = sc.frame()
		}
		if err == nil {
			err = record.Check(&sc.h, frame)
		}
		if err == nil && sc.h.BaseOffset < next {
			err = fmt.Errorf("batch at offset %d comes after %d: %w", sc.h.BaseOffset, next, kerr.CorruptMessage)
		}
		switch {
		case err == nil:
			next = sc.h.LastOffset() + 1
		case isBadBytes(err):
			return next, sc.pos, size, err, nil
		default:
			return next, sc.pos, size, nil, err
		}
	}
}

// cutAt cuts a segment, takes the later ones out, and removes what would be wrong now.
func cutAt(w io.Writer, fs fsys.FS, dir, path string, pos, size int64, later []int64) error {
	if err := cutFile(fs, path, pos, size); err != nil {
		return err
	}
	if err := syncPath(fs, path); err != nil {
		return err
	}
	for _, base := range later {
		old := segmentFile(fs, dir, base, logSuffix)
		if _, err := fmt.Fprintf(w, "%s: out of the log\n", old); err != nil {
			return err
		}
		if err := errors.Join(fs.Rename(old, old+tornSuffix), removeIndexes(fs, dir, base)); err != nil {
			return err
		}
	}
	base, _ := parseSegmentFile(fs.PathBase(path), logSuffix)
	if err := removeIndexes(fs, dir, base); err != nil {
		return err
	}
	return fsys.SyncDir(fs, dir)
}

// RepairPartition is Repair on a partition of a data directory that no node has open; it also lowers the recovery point.
func RepairPartition(w io.Writer, fs fsys.FS, dataDir string, tp TopicPartition) error {
	lock, err := fs.Lock(fs.PathJoin(dataDir, lockFile))
	if err != nil {
		return fmt.Errorf("data directory %s is in use: %w", dataDir, err)
	}
	defer func() { _ = lock.Close() }() // the process ends next
	dir := fs.PathJoin(dataDir, tp.String())
	end, _, err := Repair(w, fs, dir)
	if fsys.IsNotExist(err) {
		return fmt.Errorf("partition %s has no directory: %w", tp, err)
	}
	if err != nil {
		return err
	}
	path := fs.PathJoin(dataDir, recoveryPointFile)
	points, err := readOffsets(fs, path)
	if err != nil {
		return err
	}
	if points[tp] <= end {
		_, err = fmt.Fprintf(w, "%s: whole up to offset %d\n", dir, end)
		return err
	}
	points[tp] = end
	if err := writeOffsets(fs, path, points); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: ends at offset %d now\n", dir, end)
	return err
}
