package exec

import (
	"fmt"

	"github.com/millracedb/millrace/internal/record"
)

// outputBatchBytes is the size at which a batch of output is closed and the next begun. A record larger than that gets
// a batch of its own.
const outputBatchBytes = 768 << 10

// roundOutput gathers the records that a task writes in one round, as one or more batches for each partition.
type roundOutput struct {
	parts map[TopicPartition]*partOutput
	order []*partOutput // those with records in this round, in the order they got the first
	bytes int
}

type partOutput struct {
	tp      TopicPartition
	builder record.Builder
	done    [][]byte
	records int64 // of this round
	listed  bool
}

// add appends a record. Timestamp is in ms; a nil key or value is null. Nothing is kept of the slices.
func (o *roundOutput) add(tp TopicPartition, timestamp int64, key, value []byte, headers ...record.Pair) error {
	p := o.parts[tp]
	if p == nil {
		if o.parts == nil {
			o.parts = map[TopicPartition]*partOutput{}
		}
		p = &partOutput{tp: tp}
		p.builder.Reset(record.BatchOptions{})
		o.parts[tp] = p
	}
	if !p.listed {
		p.listed = true
		o.order = append(o.order, p)
	}
	o.bytes += recordBytes(key, value, headers)
	p.records++
	if err := p.add(timestamp, key, value, headers...); err != nil {
		return fmt.Errorf("record for %s-%d: %w", tp.Topic, tp.Partition, err)
	}
	return nil
}

// add appends a record; its batch may be closed and the next begun.
func (p *partOutput) add(timestamp int64, key, value []byte, headers ...record.Pair) error {
	if p.builder.Len() > 0 && p.builder.Size()+recordBytes(key, value, headers) > outputBatchBytes {
		if err := p.finish(); err != nil {
			return err
		}
	}
	return p.builder.Append(max(timestamp, 0), key, value, headers...)
}

// recordBytes is about what a record takes.
func recordBytes(key, value []byte, headers []record.Pair) int {
	n := len(key) + len(value)
	for i := range headers {
		n += len(headers[i].Key) + len(headers[i].Value)
	}
	return n
}

// take closes the last batch, and returns all, which are the caller's.
func (p *partOutput) take() ([][]byte, error) {
	if p.builder.Len() > 0 {
		if err := p.finish(); err != nil {
			return nil, err
		}
	}
	done := p.done
	p.done = nil
	return done, nil
}

func (p *partOutput) finish() error {
	batch, err := p.builder.Finish(nil)
	if err != nil {
		return err
	}
	p.done = append(p.done, batch)
	p.builder.Reset(record.BatchOptions{})
	return nil
}

// take returns the round's batches, which are the caller's, and begins the next round.
func (o *roundOutput) take() ([]PartitionBatch, error) {
	var all []PartitionBatch
	for _, p := range o.order {
		done, err := p.take()
		if err != nil {
			return nil, err
		}
		for _, b := range done {
			all = append(all, PartitionBatch{TopicPartition: p.tp, Batch: b})
		}
		p.listed, p.records = false, 0
	}
	o.order, o.bytes = o.order[:0], 0
	return all, nil
}

// notNull is b as a key or value that may be empty but is not null.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
