package exec

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millracedb/millrace/internal/record"
)

// Limits of ReplaceRows.
const (
	// replaceKeys is how many records are compared at a time: their hashes are in memory, some 100 bytes each.
	replaceKeys = 1 << 20
	// replaceBytes is what one transaction writes at most, beyond the last batch.
	replaceBytes = 16 << 20
)

// ReplaceRows makes the rows of topic to those of topic from, which has as many partitions and holds the same keys in the same ones: it writes what
// differs and deletes what is not there. Nobody else may write either of them meanwhile. A difference of at most replaceBytes is one transaction; of a
// larger one readers may see parts. After an error it may be called again: it writes what is left.
func (t *Tables) ReplaceRows(ctx context.Context, to, from string) error {
	partitions, err := t.cfg.Log.PartitionCount(ctx, to)
	if err != nil {
		return err
	}
	if n, err := t.cfg.Log.PartitionCount(ctx, from); err != nil || n != partitions {
		return errors.Join(err, fmt.Errorf("topic %s has %d partitions, %s has %d", from, n, to, partitions))
	}
	r := &rowReplacer{t: t}
	for p := range partitions {
		if err := r.partition(ctx, TopicPartition{to, p}, TopicPartition{from, p}); err != nil {
			return err
		}
	}
	return r.commit(ctx)
}

type rowReplacer struct {
	t   *Tables
	out roundOutput
}

// keyHash and rowHash stand for a key, and for a value with its timestamp.
type (
	keyHash [16]byte
	rowHash [16]byte
)

// latestRow is the last record of a key.
type latestRow struct {
	offset int64
	row    rowHash
}

// partition takes the keys in as many parts as their hashes need to fit in memory.
func (r *rowReplacer) partition(ctx context.Context, to, from TopicPartition) error {
	toEnd, toSize, err := r.size(ctx, to)
	if err != nil {
		return err
	}
	fromEnd, fromSize, err := r.size(ctx, from)
	if err != nil {
		return err
	}
	parts := uint32(1 + (toSize+fromSize)/replaceKeys)
	for part := range parts {
		if err := r.compare(ctx, to, toEnd, from, fromEnd, func(k keyHash) bool { return binary.BigEndian.Uint32(k[:])%parts == part }); err != nil {
			return err
		}
	}
	return nil
}

// size is the end of a partition in which no transaction is open, and how many records there may be before it.
func (r *rowReplacer) size(ctx context.Context, tp TopicPartition) (end, size int64, err error) {
	bounds, err := Settled(ctx, r.t.cfg.Log, tp)
	return bounds.LastStable, bounds.LastStable - bounds.LogStart, err
}

// compare writes what differs of the keys that mine tells.
func (r *rowReplacer) compare(ctx context.Context, to TopicPartition, toEnd int64, from TopicPartition, fromEnd int64, mine func(keyHash) bool) error {
	old, err := r.latest(ctx, to, toEnd, mine)
	if err != nil {
		return err
	}
	next, err := r.latest(ctx, from, fromEnd, mine)
	if err != nil {
		return err
	}
	err = r.read(ctx, from, fromEnd, func(k keyHash, x *record.Record) error {
		now, there := next[k]
		if !there || now.offset != x.Offset {
			return nil
		}
		if was, had := old[k]; had && was.row == now.row {
			return nil
		}
		return r.write(ctx, to, x.Timestamp, x.Key, x.Value)
	})
	if err != nil {
		return err
	}
	return r.read(ctx, to, toEnd, func(k keyHash, x *record.Record) error {
		was, had := old[k]
		if _, stays := next[k]; stays || !had || was.offset != x.Offset {
			return nil
		}
		return r.write(ctx, to, x.Timestamp, x.Key, nil)
	})
}

// latest finds the last record of each key that has a value.
func (r *rowReplacer) latest(ctx context.Context, tp TopicPartition, end int64, mine func(keyHash) bool) (map[keyHash]latestRow, error) {
	rows := map[keyHash]latestRow{}
	err := r.read(ctx, tp, end, func(k keyHash, x *record.Record) error {
		if !mine(k) {
			return nil
		}
		if x.Value == nil {
			delete(rows, k)
			return nil
		}
		rows[k] = latestRow{x.Offset, hashRow(x)}
		return nil
	})
	return rows, err
}

func hashRow(x *record.Record) (h rowHash) {
	d := sha256.New()
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(x.Timestamp))
	_, _ = d.Write(at[:]) // it never fails
	_, _ = d.Write(x.Value)
	copy(h[:], d.Sum(nil))
	return h
}

// read calls f with all records of a partition before end that have a key.
func (r *rowReplacer) read(ctx context.Context, tp TopicPartition, end int64, f func(keyHash, *record.Record) error) error {
	bounds, err := r.t.cfg.Log.Offsets(ctx, tp)
	if err != nil {
		return err
	}
	reader := logReader{log: r.t.cfg.Log, timer: r.t.cfg.Clock, tp: tp, offset: bounds.LogStart}
	for reader.offset < end {
		more, err := reader.read(ctx, func(x *record.Record) error {
			if x.Key == nil || x.Offset >= end {
				return nil
			}
			sum := sha256.Sum256(x.Key)
			return f(keyHash(sum[:16]), x)
		})
		if err != nil {
			return err
		}
		if !more && reader.end < end {
			if err := awaitLeader(ctx, r.t.cfg.Clock); err != nil {
				return err
			}
		} else if !more {
			return nil
		}
	}
	return nil
}

func (r *rowReplacer) write(ctx context.Context, tp TopicPartition, timestamp int64, key, value []byte) error {
	if err := r.out.add(tp, timestamp, key, value); err != nil || r.out.bytes < replaceBytes {
		return err
	}
	return r.commit(ctx)
}

func (r *rowReplacer) commit(ctx context.Context) error {
	batches, err := r.out.take()
	if err != nil || len(batches) == 0 {
		return err
	}
	result, err := r.t.lane.submit(ctx, TaskCommit{Batches: batches})
	return errors.Join(err, result.Err)
}
