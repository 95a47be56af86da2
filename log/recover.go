package log

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// loader is the state of Open. It runs alone, so it takes no locks.
type loader struct {
	*Log
	fs      fsys.FS
	bases   []int64
	rebuilt map[*segment]bool // segments that were scanned and whose indexes are new
	scanAll bool              // the epoch checkpoint is lost, or a segment that was not scanned is bad
	// epochsRead says that the segments had epochs which the checkpoint had not, or that it was lost.
	epochsRead bool
}

// load brings the directory into order and opens what is in it, with scan after a look at every batch.
func (l *Log) load(scan bool) error {
	ld := &loader{Log: l, fs: l.opts.FS, rebuilt: make(map[*segment]bool), scanAll: scan}
	l.mu.producers = newProducerTable()
	for _, step := range []func() error{ld.prepareDir, ld.loadEpochs, ld.openSegments, ld.finishOffsets, ld.loadProducers, ld.settle} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// prepareDir removes what unfinished work has left, puts finished compactions into place, and finds the segments.
func (ld *loader) prepareDir() error {
	if err := fsys.MkdirAllSync(ld.fs, ld.dir); err != nil {
		return err
	}
	if err := finishSwap(ld.fs, ld.dir); err != nil {
		return err
	}
	names, err := ld.fs.List(ld.dir)
	if err != nil {
		return err
	}
	have := make(map[int64]bool)
	for _, name := range names {
		if base, ok := parseSegmentFile(name, logSuffix); ok {
			ld.bases = append(ld.bases, base)
			have[base] = true
		}
	}
	slices.Sort(ld.bases)
	if err := ld.dropExpired(have); err != nil {
		return err
	}
	for _, name := range names {
		if stale(name, have) {
			if err := ld.fs.Remove(ld.fs.PathJoin(ld.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropExpired removes segments that lie wholly below the log start: retention was cut short, or a crash undid a part of it.
func (ld *loader) dropExpired(have map[int64]bool) error {
	for len(ld.bases) > 1 && ld.bases[1] <= ld.opts.LogStart {
		if err := ld.fs.Remove(segmentFile(ld.fs, ld.dir, ld.bases[0], logSuffix)); err != nil {
			return err
		}
		delete(have, ld.bases[0])
		ld.bases = ld.bases[1:]
	}
	return nil
}

// stale reports whether a file is of no use: left-overs, and indexes without a segment.
func stale(name string, have map[int64]bool) bool {
	for _, suffix := range []string{deletedSuffix, cleanedSuffix, ".tmp", ".truncate"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	for _, suffix := range []string{offsetSuffix, timeSuffix, txnSuffix} {
		if base, ok := parseSegmentFile(name, suffix); ok {
			return !have[base]
		}
	}
	return false
}

func (ld *loader) loadEpochs() error {
	cache, err := loadEpochs(ld.fs, ld.dir)
	if err != nil {
		ld.logger.Warn("leader epochs are read from the segments: their checkpoint is lost", "error", err)
		cache, ld.scanAll, ld.epochsRead = epochCache{}, true, true
	}
	ld.mu.epochs = cache
	return nil
}

// openSegments opens the segments in order, and scans those of which the last sync did not take all.
func (ld *loader) openSegments() error {
	for i, base := range ld.bases {
		s, err := newSegment(ld.fs, ld.dir, base)
		if err != nil {
			return err
		}
		ld.mu.segments = append(ld.mu.segments, s)
		end := int64(math.MaxInt64)
		if i+1 < len(ld.bases) {
			end = ld.bases[i+1]
		}
		// The indexes are synced with the first sync after the roll, so one that got beyond the segment has taken them too.
		if (ld.opts.Clean || end < ld.opts.RecoveryPoint) && !ld.scanAll {
			if err = s.trust(end); err == nil {
				continue
			}
			ld.logger.Info("segment is scanned: its indexes do not fit", "file", s.path, "error", err)
		}
		whole, err := ld.scan(s, end)
		if err != nil {
			return err
		}
		if !whole {
			return ld.dropAfter(i)
		}
	}
	return nil
}

// trust opens a segment without reading it all. end is where the next one begins, or MaxInt64 for the active one.
func (s *segment) trust(end int64) error {
	st, err := s.file.Stat()
	if err != nil {
		return err
	}
	s.size = st.Size()
	active := end == math.MaxInt64
	for _, x := range []*index{&s.offset, &s.time, &s.txn} {
		if active || x == &s.txn {
			err = x.load()
		} else {
			err = x.open()
		}
		if err != nil {
			return err
		}
	}
	s.sealed, s.indexSynced, s.next = !active, !active, end
	pos, err := s.checkIndexes()
	if err != nil {
		return err
	}
	if err := s.readFirstTime(); err != nil {
		return err
	}
	if err := s.walkEnd(pos); err != nil || active || s.next == end {
		return err
	}
	return fmt.Errorf("it ends at offset %d, and the next segment begins at %d", s.next, end)
}

// checkIndexes looks at the last entries, takes the highest time from them, and returns the last indexed position.
func (s *segment) checkIndexes() (pos int64, err error) {
	r, err := s.offset.reader()
	if err != nil {
		return 0, err
	}
	if r.n > 0 {
		_, pos = offsetEntry(r.at(r.n - 1))
	}
	if err := r.close(); err != nil {
		return 0, err
	}
	if s.size > 0 && s.time.n == 0 || pos > 0 && pos >= s.size {
		return 0, fmt.Errorf("indexes of %s are cut off", s.path)
	}
	if r, err = s.time.reader(); err != nil {
		return 0, err
	}
	if r.n > 0 {
		ms, rel := timeEntry(r.at(r.n - 1))
		s.maxTime, s.maxTimeAt = ms, s.base+rel
	}
	return pos, r.close()
}

func (s *segment) readFirstTime() error {
	sc := scanner{file: s.file, size: s.size, window: record.HeaderSize}
	more, err := sc.header()
	if more {
		s.firstTime = sc.h.MaxTimestamp
	}
	return err
}

// walkEnd checks the batches from pos, finds where the segment ends, and goes on counting for the indexes of the active one.
func (s *segment) walkEnd(pos int64) error {
	s.next = s.base
	sc := scanner{file: s.file, pos: pos, size: s.size}
	for ; ; sc.skip() {
		more, err := sc.header()
		if err != nil || !more {
			return err
		}
		frame, err := sc.frame()
		if err != nil {
			return err
		}
		if _, _, err := checkBatches(frame, s.next, math.MaxInt64); err != nil {
			return err
		}
		s.next = sc.h.LastOffset() + 1
		s.sinceIndex += int64(sc.h.Size())
	}
}

// scan reads a segment from its beginning, checks every batch and builds the indexes anew. At the first bad byte it cuts, or
// reports damage, and answers whole false.
func (ld *loader) scan(s *segment, end int64) (whole bool, err error) {
	st, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	s.resetIndexes(ld.fs, ld.dir)
	ld.rebuilt[s] = true
	bad, err := ld.scanBatches(s, st.Size())
	if err != nil {
		return false, err // if the disk cannot be read, say so rather than cut
	}
	if bad == nil && (end == math.MaxInt64 || end == s.next) {
		return true, nil
	}
	if bad == nil {
		bad = fmt.Errorf("it ends at offset %d, and the next segment begins at %d", s.next, end)
	}
	return false, ld.meetBadBytes(s, st.Size(), bad)
}

// scanBatches goes through the batches of a segment. It returns what is wrong with the first bad one, and apart from that why
// the file cannot be read.
func (ld *loader) scanBatches(s *segment, size int64) (bad, err error) {
	sc := scanner{file: s.file, size: size, window: scanWindow}
	for ; ; sc.skip() {
		more, err := sc.header()
		if err == nil && more {
			err = ld.scanBatch(s, &sc)
		}
		switch {
		case isBadBytes(err):
			return err, nil
		case err != nil || !more:
			return nil, err
		}
	}
}

// meetBadBytes cuts what no sync has promised, and leaves alone what one has.
func (ld *loader) meetBadBytes(s *segment, size int64, cause error) error {
	if s.next >= ld.opts.RecoveryPoint {
		return ld.cutTorn(s, size, cause)
	}
	ld.mu.damage = &Damage{File: s.path, Pos: s.size, Offset: s.next, Cause: cause}
	return nil
}

func isBadBytes(err error) bool {
	return errors.Is(err, kerr.CorruptMessage) || errors.Is(err, kerr.InvalidRecord)
}

func (ld *loader) scanBatch(s *segment, sc *scanner) error {
	frame, err := sc.frame()
	if err != nil {
		return err
	}
	if err := record.Check(&sc.h, frame); err != nil {
		return err
	}
	if sc.h.BaseOffset < s.next {
		return fmt.Errorf("batch at offset %d comes after %d: %w", sc.h.BaseOffset, s.next, kerr.CorruptMessage)
	}
	s.add(&sc.h, ld.mu.config.IndexIntervalBytes)
	ld.epochsRead = ld.mu.epochs.assign(sc.h.LeaderEpoch, sc.h.BaseOffset) || ld.epochsRead
	return nil
}

// cutTorn moves what follows the last good batch into a .torn file.
func (ld *loader) cutTorn(s *segment, size int64, cause error) error {
	ld.logger.Warn("torn tail is cut off", "file", s.path, "at", s.size, "bytes", size-s.size, "offset", s.next, "cause", cause)
	if err := cutFile(ld.fs, s.path, s.size, size); err != nil {
		return err
	}
	return ld.reopen(s)
}

// cutFile truncates the segment file at path to size and keeps the rest, up to end, in a .torn file beside it.
func cutFile(fs fsys.FS, path string, size, end int64) error {
	from, err := fs.Open(path)
	if err != nil {
		return err
	}
	to, err := fs.Create(path+tornSuffix, fsys.Category)
	if err != nil {
		return errors.Join(err, from.Close())
	}
	_, err = io.Copy(to, io.NewSectionReader(from, size, end-size))
	if err = errors.Join(err, to.Sync(), to.Close(), from.Close()); err != nil {
		return err
	}
	return fs.Truncate(path, size)
}

// dropAfter takes the segments after i out of the log. Behind a torn tail they are kept as .torn files; behind damage they
// stay as they are, for Repair or a copy from the leader.
func (ld *loader) dropAfter(i int) error {
	rest := ld.bases[i+1:]
	ld.bases = ld.bases[:i+1]
	if damaged := ld.mu.damage != nil; damaged {
		rest = nil
	}
	for _, base := range rest {
		path := segmentFile(ld.fs, ld.dir, base, logSuffix)
		if err := ld.fs.Rename(path, path+tornSuffix); err != nil {
			return err
		}
		if err := removeIndexes(ld.fs, ld.dir, base); err != nil {
			return err
		}
	}
	return nil
}

// removeIndexes removes a segment's index files, as far as they exist.
func removeIndexes(fs fsys.FS, dir string, base int64) error {
	var errs []error
	for _, suffix := range []string{offsetSuffix, timeSuffix, txnSuffix} {
		if err := fs.Remove(segmentFile(fs, dir, base, suffix)); !fsys.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// finishOffsets finds where the log begins and ends. An end below the recovery point is damage: synced bytes are missing.
func (ld *loader) finishOffsets() error {
	l, start := ld.Log, ld.opts.LogStart
	if len(l.mu.segments) == 0 {
		s, err := newSegment(ld.fs, ld.dir, start)
		if err != nil {
			return err
		}
		l.mu.segments = append(l.mu.segments, s)
		ld.rebuilt[s] = true
	}
	l.mu.leo = l.active().next
	if l.mu.damage == nil && l.mu.leo < ld.opts.RecoveryPoint {
		l.mu.damage = &Damage{
			File: l.active().path, Pos: l.active().size, Offset: l.mu.leo,
			Cause: fmt.Errorf("log ends at offset %d, and was synced up to %d", l.mu.leo, ld.opts.RecoveryPoint),
		}
	}
	first := l.mu.segments[0]
	l.mu.logStart = max(start, first.base)
	if l.mu.damage == nil && min(first.base, ld.opts.RecoveryPoint) > start {
		l.mu.damage = &Damage{File: first.path, Offset: start, Cause: fmt.Errorf("it is the first segment, and the log began at offset %d", start), Within: true}
		l.mu.logStart = start
	}
	if l.mu.damage != nil {
		l.logDamage(l.mu.damage)
	}
	if l.mu.logStart > l.mu.leo {
		if l.mu.damage == nil {
			return ld.restartAt(l.mu.logStart)
		}
		l.mu.logStart = l.mu.leo
	}
	return nil
}

// restartAt empties a log whose records all lie below its log start.
func (ld *loader) restartAt(offset int64) error {
	for _, s := range ld.mu.segments {
		if err := errors.Join(s.file.release(), ld.fs.Remove(s.path), removeIndexes(ld.fs, ld.dir, s.base)); err != nil {
			return err
		}
	}
	s, err := newSegment(ld.fs, ld.dir, offset)
	if err != nil {
		return err
	}
	ld.mu.segments = []*segment{s}
	ld.mu.leo, ld.mu.logStart = offset, offset
	ld.rebuilt = map[*segment]bool{s: true}
	return nil
}

// loadProducers takes the newest snapshot that will do and replays the batches after it. Segments that were scanned also get
// their transaction index by the replay, so it must begin before them.
func (ld *loader) loadProducers() error {
	limit := ld.mu.leo
	for _, s := range ld.mu.segments {
		if ld.rebuilt[s] {
			limit = min(limit, s.base)
		}
	}
	table, from, err := newestSnapshot(ld.fs, ld.dir, limit, ld.mu.segments)
	if err != nil {
		return err
	}
	ld.mu.producers = table
	return ld.replay(&ld.mu.producers, ld.mu.segments, from, ld.rebuilt)
}

// replay applies the batches of segments from offset from on to t. Aborted transactions go into the transaction index of the
// segments in rebuilt, which nobody else sees yet.
func (l *Log) replay(t *producerTable, segments []*segment, from int64, rebuilt map[*segment]bool) error {
	discard, now := &segment{}, l.opts.Clock.Now().UnixMilli()
	for i, s := range segments {
		if s.next <= from && i < len(segments)-1 {
			continue
		}
		into := discard
		if rebuilt[s] {
			into = s
		}
		sc := scanner{file: s.file, size: s.size, window: scanWindow}
		for ; ; sc.skip() {
			more, err := sc.header()
			if err != nil {
				return err
			}
			if !more {
				break
			}
			if sc.h.BaseOffset < from || !sc.h.HasProducer() {
				continue
			}
			b := written{h: sc.h}
			if sc.h.IsControl() {
				if b.frame, err = sc.frame(); err != nil {
					return err
				}
			}
			l.applyProducer(t, into, &b, now)
		}
	}
	return nil
}

// settle writes what the recovery has found, and syncs it: bytes that survived in the page cache are not durable yet.
func (ld *loader) settle() error {
	l := ld.Log
	for _, s := range l.mu.segments {
		if ld.rebuilt[s] && s != l.active() {
			if err := s.sealDurable(); err != nil {
				return err
			}
		}
	}
	if l.mu.damage == nil {
		if err := ld.makeDurable(); err != nil {
			return err
		}
	}
	l.mu.touched = !ld.opts.Clean || len(ld.rebuilt) > 0
	l.mu.synced, l.mu.durable = l.mu.leo, l.mu.leo
	l.mu.cleanPoint = min(ld.opts.CleanPoint, l.mu.leo)
	return nil
}

// makeDurable syncs the segments that were scanned, and the epochs if they have changed. A log that is empty has nothing to
// lose yet; its name goes with the first sync.
func (ld *loader) makeDurable() error {
	l := ld.Log
	before := l.mu.epochs.entries
	l.mu.epochs.truncateFromEnd(l.mu.leo)
	l.mu.epochs.truncateFromStart(l.mu.logStart)
	if ld.epochsRead || !slices.Equal(before, l.mu.epochs.entries) {
		if err := saveEpochs(ld.fs, ld.dir, l.mu.epochs.entries); err != nil {
			return err
		}
	}
	synced := false
	for s := range ld.rebuilt {
		if s.size == 0 {
			continue
		}
		synced = true
		if err := s.file.SyncData(); err != nil {
			return err
		}
	}
	l.mu.dirDirty = !synced && len(ld.rebuilt) > 0
	if !synced {
		return nil
	}
	return l.syncDir()
}
