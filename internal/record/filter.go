package record

// Verdict is what a filter wants done with a record.
type Verdict bool

// The verdicts.
const (
	Drop Verdict = false
	Keep Verdict = true
)

// Filter is a batch with some of its records taken out, for compaction. It holds buffers; the zero value is ready.
type Filter struct {
	it    Iterator
	build Builder
}

// Apply walks the records of frame, asks keep for each, and appends to dst the batch that is left. The batch keeps its base
// offset, last offset delta, sequence numbers and producer, so that offsets and idempotence hold; it keeps its compression.
// A horizon that is not negative is stamped into it (attribute bit 6), in ms. The number of records kept is returned:
// a batch may come out with none.
// When nothing is dropped and no horizon is stamped, frame is appended as it is.
func (f *Filter) Apply(dst, frame []byte, horizon int64, keep func(r *Record) Verdict) ([]byte, int, error) {
	if err := f.it.Reset(frame); err != nil {
		return dst, 0, err
	}
	h := f.it.header
	f.build.Reset(BatchOptions{})
	f.build.baseTime = h.BaseTimestamp
	if horizon >= 0 {
		f.build.baseTime = horizon
	}
	var pairs []Pair
	for f.it.Next() {
		r := &f.it.Record
		if keep(r) == Drop {
			continue
		}
		pairs = r.Headers(pairs[:0])
		if err := f.build.appendAt(int32(r.Offset-h.BaseOffset), r.Timestamp, r.Key, r.Value, pairs); err != nil {
			return dst, 0, err
		}
	}
	if err := f.it.Err(); err != nil {
		return dst, 0, err
	}
	kept := int(f.build.count)
	if kept == int(h.Count) && horizon < 0 {
		return append(dst, frame[:h.Size()]...), kept, nil
	}
	h.Count = int32(kept)
	h.BaseTimestamp = f.build.baseTime
	if horizon >= 0 {
		h.Attributes |= DeleteHorizon
	}
	if kept == 0 {
		h.Attributes &^= codecMask
	} else if !h.Attributes.Has(LogAppendTime) {
		h.MaxTimestamp = f.build.maxTime
	}
	dst, err := appendBatch(dst, h, f.build.body)
	return dst, kept, err
}

// AppendEmpty appends to dst the batch of frame with all records taken out: it keeps offsets and producer.
func AppendEmpty(dst, frame []byte) ([]byte, error) {
	h, _, _, err := Next(frame)
	if err != nil {
		return dst, err
	}
	h.Count = 0
	h.Attributes &^= codecMask
	return appendBatch(dst, h, nil)
}
