package log

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
)

// Origin says who wrote a batch, and so which rules it is held to.
type Origin uint8

const (
	// Client is a producer: one batch at a time, checked by every rule, offsets assigned here.
	Client Origin = iota
	// Coordinator is this cluster itself, on the leader: transaction markers and internal records, several batches at a time
	// but at most one of a producer.
	Coordinator
	// Replica is a follower copying its leader: offsets and epochs stay, nothing is refused but what would break the log.
	Replica
)

// AppendInfo goes with an append.
type AppendInfo struct {
	LeaderEpoch int32 // stamped into the batches, unless Origin is Replica
	Origin      Origin
	// RequireVerified refuses the first batch of a transaction whose Guard, from BeginVerification, does not hold.
	RequireVerified bool
	Guard           uint64
	// TransactionVersion of the transaction that a marker ends (KIP-1228); 0 if it is not known.
	TransactionVersion int16
	// NoSync leaves out the request for a sync: the caller makes it with RequestSync when it has appended to all its
	// partitions, as a transaction does.
	NoSync bool
}

// AppendResult tells where a batch is.
type AppendResult struct {
	BaseOffset int64
	LastOffset int64
	// Duplicate says that the batch was here before: the offsets are those of the first time, and nothing was written.
	Duplicate bool
	// LogAppendTime is the broker's timestamp in ms, or -1 if the batches keep their own.
	LogAppendTime int64
	LogStart      int64
}

// written is a batch that an append is about.
type written struct {
	h     record.Header
	frame []byte
}

// Append writes the batches in frames, whole ones one after the other, at the log's end. It changes frames in place (base
// offset, leader epoch, timestamp) and keeps nothing of it. When it returns the batches can be read, and under FsyncCommit
// a sync has been asked for: they are durable when DurableEnd is beyond LastOffset.
//
// A transaction that can only be one that its coordinator has lost (see producerTable.lost) is aborted first, by a marker of its own.
//
// Errors are Kafka's: CorruptMessage, InvalidRecord, MessageTooLarge, RecordListTooLarge, InvalidTimestamp,
// OutOfOrderSequenceNumber, InvalidProducerEpoch, InvalidTxnState, TransactionCoordinatorFenced, and KafkaStorageError together
// with ErrOffline, ErrDamaged, ErrDiskFull or ErrClosed. After any error nothing of frames is in the log.
func (l *Log) Append(frames []byte, info AppendInfo) (AppendResult, error) {
	l.appendMu.Lock()
	res, durable, queue, err := l.append(frames, &info)
	l.appendMu.Unlock()
	if queue {
		l.opts.Sync.enqueue(l)
	}
	if durable >= 0 {
		l.notifyDurable(durable)
	}
	return res, err
}

// append is Append under appendMu. It also returns the durable end if that has moved, else -1, and whether the log must be
// enqueued for a sync.
func (l *Log) append(frames []byte, info *AppendInfo) (res AppendResult, durable int64, queue bool, err error) {
	l.mu.Lock()
	config, leo, failure, closed := l.mu.config, l.mu.leo, l.failureLocked(), l.mu.closed
	res = AppendResult{BaseOffset: -1, LastOffset: -1, LogAppendTime: -1, LogStart: l.mu.logStart}
	l.mu.Unlock()
	switch {
	case closed:
		return res, -1, false, storageError(ErrClosed, nil)
	case failure != nil:
		return res, -1, false, failure
	}
	if info.Origin == Client && l.opts.MayWrite != nil {
		if err := l.opts.MayWrite(); err != nil {
			return res, -1, false, err
		}
	}
	batches, err := l.parse(frames, info, &config)
	if err != nil {
		return res, -1, false, err
	}
	if dup, err := l.checkProducers(batches, info); err != nil {
		return res, -1, false, err
	} else if dup != nil {
		res.BaseOffset, res.LastOffset, res.Duplicate = dup.lastOffset-int64(dup.delta), dup.lastOffset, true
		if config.LogAppendTime {
			res.LogAppendTime = dup.timestamp
		}
		return res, -1, false, nil
	}
	if lost := l.lostTransactions(batches, info); len(lost) > 0 {
		return l.appendAfter(lost, frames, info)
	}
	if err := l.assign(batches, info, &config, leo, &res); err != nil {
		return res, -1, false, err
	}
	if err := l.write(batches, frames, &config); err != nil {
		return AppendResult{BaseOffset: -1, LastOffset: -1, LogAppendTime: -1, LogStart: res.LogStart}, -1, false, err
	}
	durable, queue = l.publish(batches, info, &config)
	return res, durable, queue, nil
}

// parse takes frames apart and applies the rules that need no state.
func (l *Log) parse(frames []byte, info *AppendInfo, config *Config) ([]written, error) {
	batches := l.scratch[:0]
	for rest := frames; len(rest) > 0; {
		h, frame, after, err := record.Next(rest)
		if err == nil {
			err = record.Check(&h, frame)
		}
		if err == nil && info.Origin != Replica {
			err = l.checkBatch(&h, frame, info, config)
		}
		if err != nil {
			return nil, err
		}
		batches = append(batches, written{h, frame})
		rest = after
	}
	l.scratch = batches
	switch {
	case len(batches) == 0:
		return nil, fmt.Errorf("nothing to append: %w", kerr.InvalidRecord)
	case info.Origin == Client && len(batches) > 1:
		return nil, fmt.Errorf("%d batches in one produce request for a partition: %w", len(batches), kerr.InvalidRecord)
	case int64(len(frames)) > config.SegmentBytes && info.Origin != Replica:
		return nil, fmt.Errorf("%d bytes do not fit into a segment of %d: %w", len(frames), config.SegmentBytes, kerr.RecordListTooLarge)
	}
	return batches, nil
}

// checkBatch holds a batch to the rules of the topic. The records are looked into only where keys are required.
func (l *Log) checkBatch(h *record.Header, frame []byte, info *AppendInfo, config *Config) error {
	if info.Origin != Client {
		return nil // a coordinator's batches in a transaction have a producer and no sequence, as Kafka's
	}
	if err := record.CheckProduced(h); err != nil {
		return err
	}
	switch {
	case h.IsControl():
		return fmt.Errorf("a client sent a control batch: %w", kerr.InvalidRecord)
	case len(frame) > config.BatchBytesMax:
		return fmt.Errorf("batch of %d bytes, at most %d are allowed: %w", len(frame), config.BatchBytesMax, kerr.MessageTooLarge)
	}
	if config.TimestampAhead > 0 && !config.LogAppendTime {
		if latest := l.opts.Clock.Now().Add(config.TimestampAhead).UnixMilli(); h.MaxTimestamp > latest {
			return fmt.Errorf("timestamp %d is later than %d: %w", h.MaxTimestamp, latest, kerr.InvalidTimestamp)
		}
	}
	if config.Compact {
		return checkKeys(frame)
	}
	return nil
}

// checkKeys refuses records that compaction could not tell apart.
func checkKeys(frame []byte) error {
	var it record.Iterator
	if err := it.Reset(frame); err != nil {
		return err
	}
	for it.Next() {
		if it.Record.Key == nil {
			return fmt.Errorf("record without a key in a compacted topic: %w", kerr.InvalidRecord)
		}
	}
	return it.Err()
}

// checkProducers asks the producer table about each batch. Only a batch that comes alone can be a duplicate.
func (l *Log) checkProducers(batches []written, info *AppendInfo) (*keptBatch, error) {
	if info.Origin == Replica {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batches {
		b := &batches[i]
		if !b.h.HasProducer() {
			continue
		}
		dup, err := l.mu.producers.check(&b.h, b.frame, info)
		if err != nil {
			return nil, err
		}
		if dup == nil {
			continue
		}
		if len(batches) > 1 {
			return nil, fmt.Errorf("batch %d of several is a duplicate: %w", i, kerr.DuplicateSequenceNumber)
		}
		kept := *dup
		return &kept, nil
	}
	return nil, nil
}

// lostTransactions returns the markers of the transactions that have to be aborted before batches.
func (l *Log) lostTransactions(batches []written, info *AppendInfo) (aborts []record.Marker) {
	if info.Origin == Replica {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batches {
		if b := &batches[i]; b.h.HasProducer() {
			if m, ok := l.mu.producers.lost(&b.h, b.frame, info.TransactionVersion); ok {
				aborts = append(aborts, m)
			}
		}
	}
	return aborts
}

// appendAfter appends frames behind the given markers. The caller holds appendMu.
func (l *Log) appendAfter(aborts []record.Marker, frames []byte, info *AppendInfo) (res AppendResult, durable int64, queue bool, err error) {
	queued, moved := false, int64(-1)
	for _, m := range aborts {
		l.logger.Warn("aborting a transaction that its coordinator has lost", "producer_id", m.ProducerID, "producer_epoch", m.ProducerEpoch-1)
		marker := AppendInfo{LeaderEpoch: info.LeaderEpoch, Origin: Coordinator, NoSync: info.NoSync}
		res, durable, queue, err = l.append(record.AppendControl(nil, m, l.opts.Clock.Now().UnixMilli()), &marker)
		queued, moved = queued || queue, max(moved, durable)
		if err != nil {
			return res, moved, queued, err
		}
	}
	res, durable, queue, err = l.append(frames, info)
	return res, max(moved, durable), queued || queue, err
}

// assign gives the batches their offsets, or checks those a leader gave them, and notes new leader epochs.
func (l *Log) assign(batches []written, info *AppendInfo, config *Config, leo int64, res *AppendResult) error {
	stamp := config.LogAppendTime && info.Origin != Replica
	if stamp {
		res.LogAppendTime = l.opts.Clock.Now().UnixMilli()
	}
	res.BaseOffset = leo
	for i := range batches {
		b := &batches[i]
		if info.Origin == Replica {
			if b.h.BaseOffset < leo {
				return fmt.Errorf("batch at offset %d comes after %d: %w", b.h.BaseOffset, leo, kerr.CorruptMessage)
			}
			if i == 0 {
				res.BaseOffset = b.h.BaseOffset
			}
		} else {
			if leo > math.MaxInt64-1-int64(b.h.LastOffsetDelta) {
				return fmt.Errorf("no offset is left after %d: %w", leo, kerr.InvalidRecord)
			}
			record.SetBaseOffset(b.frame, leo)
			record.SetLeaderEpoch(b.frame, info.LeaderEpoch)
			b.h.BaseOffset, b.h.LeaderEpoch = leo, info.LeaderEpoch
			if stamp && !b.h.IsControl() {
				record.SetLogAppendTime(b.frame, res.LogAppendTime)
				b.h.MaxTimestamp = res.LogAppendTime
			}
		}
		if err := l.assignEpoch(b.h.LeaderEpoch, b.h.BaseOffset); err != nil {
			return err
		}
		leo = b.h.LastOffset() + 1
	}
	res.LastOffset = leo - 1
	return nil
}

// write rolls the segment if it must and writes the batches with one call. A failure for want of space leaves the log as it
// was; any other takes it offline.
func (l *Log) write(batches []written, frames []byte, config *Config) error {
	if l.rollDue(batches, len(frames), config) {
		if err := l.roll(l.nextBase(batches)); err != nil {
			return l.writeFailed(err)
		}
	}
	s := l.active()
	if _, err := s.file.WriteAt(frames, s.size); err != nil {
		return l.writeFailed(err)
	}
	return nil
}

func (l *Log) writeFailed(err error) error {
	if noRoom(err) {
		l.diskFull()
		return storageError(ErrDiskFull, err)
	}
	return l.fail(err)
}

func noRoom(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func (l *Log) diskFull() {
	if l.opts.OnDiskFull != nil {
		l.opts.OnDiskFull()
	}
}

// replace calls write, which replaces a file whole or leaves it as it was, and once more when the disk was full: the ballast has made room then.
func (l *Log) replace(write func() error) error {
	err := write()
	if noRoom(err) {
		l.diskFull()
		err = write()
	}
	return err
}

// publish moves the log end and everything that hangs on it.
func (l *Log) publish(batches []written, info *AppendInfo, config *Config) (durable int64, queue bool) {
	for i := range batches {
		l.tail.append(batches[i].frame, batches[i].h.BaseOffset, batches[i].h.LastOffset())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.touched = true
	s := l.active()
	for i := range batches {
		b := &batches[i]
		s.add(&b.h, config.IndexIntervalBytes)
		l.mu.leo = b.h.LastOffset() + 1
		if b.h.HasProducer() {
			l.applyProducer(&l.mu.producers, s, b, l.opts.Clock.Now().UnixMilli())
		}
	}
	durable = -1
	if config.Fsync == FsyncInterval {
		if l.moveDurableLocked() {
			durable = l.mu.durable
		}
		return durable, false
	}
	if !info.NoSync {
		queue = l.requestSyncLocked()
	}
	return durable, queue
}

// applyProducer notes a written batch in the producer table t, and an aborted transaction in the transaction index of s. A marker
// from a leader that cannot be read has been written all the same: the checksum was right.
func (l *Log) applyProducer(t *producerTable, s *segment, b *written, now int64) {
	ended, ok, err := t.apply(&b.h, b.frame, now)
	if err != nil {
		l.logger.Warn("control batch is not understood", "offset", b.h.BaseOffset, "error", err)
		return
	}
	if ok && !ended.commit {
		stable := t.firstUnstable(ended.last+1, ended.last+1)
		s.txn.append(appendTxnEntry(nil, abortedTxn{ended.producerID, ended.first, ended.last, stable}))
	}
}

// rollDue reports whether the batches must go into a new segment.
func (l *Log) rollDue(batches []written, size int, config *Config) bool {
	s := l.active()
	if s.size == 0 {
		return false
	}
	first, last := &batches[0].h, &batches[len(batches)-1].h
	return s.size+int64(size) > config.SegmentBytes ||
		last.LastOffset()-s.base > math.MaxInt32 ||
		(s.firstTime >= 0 && first.MaxTimestamp-s.firstTime > config.SegmentAge.Milliseconds())
}

// nextBase returns where a new segment begins: at the log's end, so that a start can tell a lost tail from a gap that the
// leader's compaction has left; beyond the gap only if relative offsets would not reach over it.
func (l *Log) nextBase(batches []written) int64 {
	if leo := l.LEO(); batches[len(batches)-1].h.LastOffset()-leo <= math.MaxInt32 {
		return leo
	}
	return batches[0].h.BaseOffset
}

// roll seals the active segment and begins one at base. The caller holds appendMu.
func (l *Log) roll(base int64) error {
	old := l.active()
	if err := l.trimActive(old); err != nil {
		return err
	}
	if err := l.snapshotProducers(); err != nil {
		return err
	}
	if err := l.seal(old); err != nil {
		return err
	}
	s, err := newSegment(l.opts.FS, l.dir, base)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.segments = append(l.mu.segments[:len(l.mu.segments):len(l.mu.segments)], s)
	l.namesChangedLocked()
	queue := l.requestSyncLocked()
	l.mu.Unlock()
	if queue {
		l.opts.Sync.enqueue(l)
	}
	return nil
}

// seal writes the indexes of a segment that will not grow any more. The caller holds appendMu.
func (l *Log) seal(s *segment) error {
	l.mu.Lock()
	s.addTimeEntry()
	l.mu.Unlock()
	if err := s.writeIndexes(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.seal()
	return nil
}

// Roll begins a new segment if the active one holds anything.
func (l *Log) Roll() error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if err := l.Failure(); err != nil {
		return err
	}
	if l.active().size == 0 {
		return nil
	}
	if err := l.roll(l.LEO()); err != nil {
		return l.writeFailed(err)
	}
	return nil
}
