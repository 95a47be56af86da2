package exec

import (
	"context"
	"errors"

	"github.com/millracedb/millrace/exec/format"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// txStreams are a transaction's rows for streams and tables over topics: nothing is locked and nothing is unique, they are
// appended at Commit in the order they were written.
type txStreams struct {
	rels   []*streamWriter
	writes []streamWrite
	arena  []byte
}

// streamWriter encodes rows of one relation.
type streamWriter struct {
	rel    *planner.Relation
	keyEnc format.Encoder // nil: records have no key
	valEnc format.Encoder
	values []int
	target int32 // partition of rows without key, one per transaction
}

type streamWrite struct {
	tp       TopicPartition
	time     int64
	off      uint32
	key, val int32 // lengths, -1 for null
}

func (tx *WriteTx) stream(rel *planner.Relation) (*streamWriter, error) {
	for _, w := range tx.streams.rels {
		if w.rel.OID == rel.OID {
			return w, nil
		}
	}
	w := &streamWriter{rel: rel, values: valueOrdinals(rel), target: (tx.t.rotate.Add(1) & (1<<31 - 1)) % rel.Partitions}
	var err error
	if w.keyEnc, w.valEnc, err = relationEncoders(rel); err != nil {
		return nil, err
	}
	if len(rel.Key) == 0 && rel.Kind == planner.Stream {
		w.keyEnc = nil
	}
	tx.streams.rels = append(tx.streams.rels, w)
	return w, nil
}

// Append writes rows, a batch of all columns of rel with rowtimes, to a stream or a table over a topic. Rows with a key go where
// murmur2 puts them, the others of one transaction to one partition, which rotates.
func (tx *WriteTx) Append(rel *planner.Relation, rows *vec.Batch) error {
	w, err := tx.stream(rel)
	if err != nil {
		return err
	}
	s := &tx.streams
	keys, values := pick(nil, rows.Cols, rel.Key), pick(nil, rows.Cols, w.values)
	for i := range rows.Len() {
		at := streamWrite{tp: TopicPartition{rel.Topic, w.target}, time: rowtimeOf(rows, i), off: uint32(len(s.arena)), key: -1, val: -1}
		if rel.TimestampColumn >= 0 && !rows.Cols[rel.TimestampColumn].IsNull(i) && isTime(rel.Columns[rel.TimestampColumn].Type) {
			at.time = eventTime(rows.Cols[rel.TimestampColumn], i)
		}
		if w.keyEnc != nil {
			if s.arena, err = w.keyEnc.AppendRow(s.arena, keys, i); err != nil {
				return err
			}
			at.key = int32(len(s.arena) - int(at.off))
			at.tp.Partition = record.PartitionForKey(s.arena[at.off:], rel.Partitions)
		}
		if w.valEnc != nil {
			mark := len(s.arena)
			if s.arena, err = w.valEnc.AppendRow(s.arena, values, i); err != nil {
				return err
			}
			at.val = int32(len(s.arena) - mark)
		}
		s.writes = append(s.writes, at)
		tx.bytes += int64(len(s.arena)) - int64(at.off)
		if tx.bytes > tx.limit {
			return tx.tooMuch()
		}
	}
	return nil
}

// isTime reports whether a column of this type gives event time by itself, without a format.
func isTime(t types.Type) bool {
	switch t.Kind {
	case types.Timestamp, types.TimestampTZ, types.Date, types.Int8:
		return true
	default:
		return false
	}
}

func (s *txStreams) truncate(n int) {
	if n < len(s.writes) {
		s.arena = s.arena[:s.writes[n].off]
		s.writes = s.writes[:n]
	}
}

// encode makes record batches of the writes.
func (s *txStreams) encode() (batches []PartitionBatch, records []int64, err error) {
	var out roundOutput
	for _, w := range s.writes {
		var key, val []byte
		at := int(w.off)
		if w.key >= 0 {
			key = notNull(s.arena[at : at+int(w.key) : at+int(w.key)])
			at += int(w.key)
		}
		if w.val >= 0 {
			val = notNull(s.arena[at : at+int(w.val) : at+int(w.val)])
		}
		if err := out.add(w.tp, w.time, key, val); err != nil {
			return nil, nil, err
		}
	}
	if batches, err = out.take(); err != nil {
		return nil, nil, err
	}
	records, err = countRecords(batches)
	return batches, records, err
}

func countRecords(batches []PartitionBatch) ([]int64, error) {
	records := make([]int64, len(batches))
	for i, b := range batches {
		h, err := record.ParseHeader(b.Batch)
		if err != nil {
			return nil, err
		}
		records[i] = int64(h.Count)
	}
	return records, nil
}

// appendOne appends the only batch of a transaction that wrote to one partition of a stream.
func (tx *WriteTx) appendOne(ctx context.Context, batches []PartitionBatch, records []int64) (map[TopicPartition]int64, error) {
	placed, err := tx.t.cfg.Log.Append(ctx, batches)
	if err != nil {
		return nil, unknownOutcome(err)
	}
	if len(placed) != 1 {
		return nil, errors.New("the log answered for another number of batches")
	}
	return map[TopicPartition]int64{batches[0].TopicPartition: placed[0].BaseOffset + records[0]}, nil
}

// TableKey returns the bytes under which a table's row is kept: Pending gives the same.
func TableKey(rel *planner.Relation, key []types.Datum) []byte { return appendKeyDatums(nil, rel, key) }

// KeySchema is the schema of a relation's record keys, for encoders outside this package.
func KeySchema(rel *planner.Relation) format.Schema { return keySchema(rel) }
