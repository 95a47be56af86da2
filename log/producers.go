package log

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/record"
)

// keptBatches is how many of a producer's last batches are remembered to answer retries: the number of requests an
// idempotent producer may have in flight.
const keptBatches = 5

// keptBatch is a batch a producer wrote.
type keptBatch struct {
	firstSeq, lastSeq int32
	lastOffset        int64
	delta             int32 // lastOffset less the first offset
	timestamp         int64 // ms
}

// producer is what a partition knows of one producer.
type producer struct {
	id               int64
	epoch            int16
	coordinatorEpoch int32
	txnFirst         int64 // first offset of the open transaction, -1 if there is none
	lastTime         int64 // ms by the broker's clock: when it last wrote
	batches          [keptBatches]keptBatch
	n                int
	guard            uint64 // a verification that has begun, 0 if none
}

const noTxn int64 = -1

func (p *producer) lastSeq() int32 {
	if p.n == 0 {
		return record.NoSequence
	}
	return p.batches[p.n-1].lastSeq
}

func (p *producer) add(b keptBatch) {
	if p.n == keptBatches {
		copy(p.batches[:], p.batches[1:])
		p.n--
	}
	p.batches[p.n] = b
	p.n++
}

// endedTxn is a transaction whose marker is written. Until the high watermark has passed the marker, the transaction still
// holds back the last stable offset: the marker might be truncated.
type endedTxn struct {
	producerID  int64
	first, last int64 // last is the marker's offset
	commit      bool
}

// producerTable is the state of the producers of a partition (KIP-98, KIP-890), kept for idempotence and transactions. It is
// guarded by the log's mu.
type producerTable struct {
	byID      map[int64]*producer
	open      map[int64]int64 // producer id -> first offset of its open transaction
	ended     []endedTxn      // by marker offset
	lastGuard uint64
}

func newProducerTable() producerTable {
	return producerTable{byID: make(map[int64]*producer), open: make(map[int64]int64)}
}

// check decides about a batch of a client or coordinator that has a producer id. It returns the kept batch when the batch is
// a duplicate. The rules are those of KIP-98, with OUT_OF_ORDER_SEQUENCE for every sequence that does not fit.
func (t *producerTable) check(h *record.Header, frame []byte, info *AppendInfo) (dup *keptBatch, err error) {
	p := t.byID[h.ProducerID]
	if h.IsControl() {
		return nil, t.checkMarker(p, frame, info.TransactionVersion)
	}
	if p != nil {
		if dup, err := p.checkSequence(h); dup != nil || err != nil {
			return dup, err
		}
		if _, open := t.open[h.ProducerID]; open && !h.IsTransactional() && p.epoch == h.ProducerEpoch {
			return nil, fmt.Errorf("producer %d has a transaction open and sent a batch outside it: %w", h.ProducerID, kerr.InvalidTxnState)
		}
	}
	return nil, t.checkVerified(p, h, info)
}

func (p *producer) checkSequence(h *record.Header) (*keptBatch, error) {
	if h.ProducerEpoch < p.epoch {
		return nil, fmt.Errorf("producer %d has epoch %d, and %d is newer: %w", h.ProducerID, h.ProducerEpoch, p.epoch, kerr.InvalidProducerEpoch)
	}
	if h.BaseSequence == record.NoSequence { // offsets that a group coordinator writes inside a producer's transaction
		return nil, nil
	}
	first, last := h.BaseSequence, h.LastSequence()
	if h.ProducerEpoch > p.epoch {
		if first != 0 {
			return nil, fmt.Errorf("producer %d begins epoch %d with sequence %d: %w", h.ProducerID, h.ProducerEpoch, first, kerr.OutOfOrderSequenceNumber)
		}
		return nil, nil
	}
	for i := range p.batches[:p.n] {
		if b := &p.batches[i]; b.firstSeq == first && b.lastSeq == last {
			return b, nil
		}
	}
	if want := p.nextSeq(); first != want {
		return nil, fmt.Errorf("producer %d sent sequence %d, expected %d: %w", h.ProducerID, first, want, kerr.OutOfOrderSequenceNumber)
	}
	return nil, nil
}

// nextSeq returns the sequence that follows the last; it wraps from 2^31-1 to 0.
func (p *producer) nextSeq() int32 {
	if last := p.lastSeq(); last != math.MaxInt32 {
		return last + 1
	}
	return 0
}

func (t *producerTable) checkMarker(p *producer, frame []byte, version int16) error {
	m, ok, err := record.ParseControl(frame)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("control batch is no transaction marker: %w", kerr.InvalidRecord)
	}
	if p == nil {
		return nil
	}
	if m.ProducerEpoch < p.epoch {
		return fmt.Errorf("marker for producer %d has epoch %d, and %d is newer: %w", m.ProducerID, m.ProducerEpoch, p.epoch, kerr.InvalidProducerEpoch)
	}
	// The coordinator that has written the last marker here knows of what its producer has begun since; if it does not end that, its marker was sent twice, and one came late.
	if m.TransactionVersion = version; p.txnFirst != noTxn && m.ProducerEpoch == p.epoch && m.CoordinatorEpoch == p.coordinatorEpoch && !m.Ends(p.epoch) {
		return fmt.Errorf("marker for producer %d has epoch %d, with which it has begun the next transaction: %w", m.ProducerID, m.ProducerEpoch, kerr.InvalidProducerEpoch)
	}
	if m.CoordinatorEpoch < p.coordinatorEpoch {
		return fmt.Errorf("marker for producer %d is from coordinator epoch %d, and %d is newer: %w",
			m.ProducerID, m.CoordinatorEpoch, p.coordinatorEpoch, kerr.TransactionCoordinatorFenced)
	}
	return nil
}

// checkVerified holds back the first batch of a transaction that the coordinator was not asked about (KIP-890 part 1).
func (t *producerTable) checkVerified(p *producer, h *record.Header, info *AppendInfo) error {
	if !info.RequireVerified || !h.IsTransactional() {
		return nil
	}
	if _, open := t.open[h.ProducerID]; open && p.epoch == h.ProducerEpoch {
		return nil
	}
	if p == nil || p.guard == 0 || p.guard != info.Guard {
		return fmt.Errorf("transaction of producer %d is not verified: %w", h.ProducerID, kerr.InvalidTxnState)
	}
	return nil
}

// lost returns the marker that aborts the producer's open transaction if the batch h shows that its coordinator does not know of it: whoever ends a transaction or begins the next has made
// sure that the one before is over, so its record must have gone down with a leader of __transaction_state before enough replicas had it. Without the marker that transaction would
// become part of the next one. The marker has a higher epoch than the transaction, so that its producer hears of it if it is still there.
func (t *producerTable) lost(h *record.Header, frame []byte, version int16) (record.Marker, bool) {
	p := t.byID[h.ProducerID]
	if p == nil || p.txnFirst == noTxn {
		return record.Marker{}, false
	}
	if h.IsControl() {
		m, ok, err := record.ParseControl(frame)
		m.TransactionVersion = version
		if err != nil || !ok || m.Ends(p.epoch) {
			return record.Marker{}, false
		}
	} else if h.ProducerEpoch <= p.epoch {
		return record.Marker{}, false
	}
	return record.Marker{ProducerID: p.id, ProducerEpoch: NextEpoch(p.epoch), CoordinatorEpoch: p.coordinatorEpoch}, true
}

// NextEpoch is the epoch that fences a producer of the given one.
func NextEpoch(epoch int16) int16 {
	if epoch == math.MaxInt16 {
		return epoch
	}
	return epoch + 1
}

// apply notes a batch that has been written, also by a leader elsewhere: it never refuses. It returns the transaction that a
// marker has ended, if it is one and there was one. Producers expire by now, the broker's clock in ms, and not by the
// timestamps of their records as in Kafka: those are event times and may be years old.
func (t *producerTable) apply(h *record.Header, frame []byte, now int64) (endedTxn, bool, error) {
	if !h.HasProducer() {
		return endedTxn{}, false, nil
	}
	if h.IsControl() {
		return t.applyMarker(h, frame, now)
	}
	p := t.get(h.ProducerID, h.ProducerEpoch)
	p.lastTime = now
	if h.BaseSequence != record.NoSequence {
		p.add(keptBatch{h.BaseSequence, h.LastSequence(), h.LastOffset(), h.LastOffsetDelta, h.MaxTimestamp})
	}
	if h.IsTransactional() && p.txnFirst == noTxn {
		p.txnFirst, p.guard = h.BaseOffset, 0
		t.open[p.id] = h.BaseOffset
	}
	return endedTxn{}, false, nil
}

func (t *producerTable) applyMarker(h *record.Header, frame []byte, now int64) (endedTxn, bool, error) {
	m, ok, err := record.ParseControl(frame)
	if err != nil || !ok {
		return endedTxn{}, false, err
	}
	p := t.get(h.ProducerID, h.ProducerEpoch)
	p.coordinatorEpoch, p.lastTime, p.guard = m.CoordinatorEpoch, now, 0
	first := p.txnFirst
	if first == noTxn {
		return endedTxn{}, false, nil
	}
	p.txnFirst = noTxn
	delete(t.open, p.id)
	e := endedTxn{p.id, first, h.LastOffset(), m.Commit}
	t.ended = append(t.ended, e)
	return e, true, nil
}

// get returns the producer, new or with its epoch raised. A new epoch forgets the batches of the one before.
func (t *producerTable) get(id int64, epoch int16) *producer {
	p := t.byID[id]
	if p == nil {
		p = &producer{id: id, epoch: epoch, coordinatorEpoch: -1, txnFirst: noTxn}
		t.byID[id] = p
	}
	if epoch != p.epoch {
		p.epoch, p.n = epoch, 0
	}
	return p
}

// beginVerification returns a guard for the first batch of a transaction, or 0 if the producer has one open in this epoch and needs none.
func (t *producerTable) beginVerification(id int64, epoch int16) uint64 {
	p := t.byID[id]
	if p == nil {
		p = t.get(id, epoch)
	}
	if _, open := t.open[id]; open && p.epoch == epoch {
		return 0
	}
	if p.guard == 0 {
		t.lastGuard++
		p.guard = t.lastGuard
	}
	return p.guard
}

// firstUnstable returns the first offset of the earliest transaction that is open, or ended with its marker at or above hw;
// limit if there is none below it.
func (t *producerTable) firstUnstable(hw, limit int64) int64 {
	for _, first := range t.open {
		limit = min(limit, first)
	}
	for i := range t.ended {
		if t.ended[i].last >= hw {
			limit = min(limit, t.ended[i].first)
		}
	}
	return limit
}

// settle forgets ended transactions whose markers the high watermark has passed.
func (t *producerTable) settle(hw int64) {
	t.ended = slices.DeleteFunc(t.ended, func(e endedTxn) bool { return e.last < hw })
}

// expire forgets producers without an open transaction whose last write is older than before (ms).
func (t *producerTable) expire(before int64) {
	for id, p := range t.byID {
		if p.txnFirst == noTxn && p.lastTime < before {
			delete(t.byID, id)
		}
	}
}

// sorted returns the producers by id, for snapshots.
func (t *producerTable) sorted() []*producer {
	all := make([]*producer, 0, len(t.byID))
	for _, p := range t.byID {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *producer) int { return cmp.Compare(a.id, b.id) })
	return all
}

// BeginVerification returns a guard for AppendInfo: it marks that the transaction coordinator is being asked whether the
// producer may begin a transaction here (KIP-890). It is 0 when the producer's transaction is open already.
func (l *Log) BeginVerification(producerID int64, epoch int16) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.beginVerification(producerID, epoch)
}

// ProducerState is what the log knows of a producer, for DescribeProducers.
type ProducerState struct {
	ProducerID       int64
	Epoch            int16
	LastSequence     int32
	LastTimestamp    time.Time
	CoordinatorEpoch int32
	TxnStart         int64 // first offset of the open transaction, -1 if there is none
}

// Producers returns the state of all producers, by id.
func (l *Log) Producers() []ProducerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	var states []ProducerState
	for _, p := range l.mu.producers.sorted() {
		states = append(states, p.state())
	}
	return states
}

// OpenTransactions returns the state of the producers that have a transaction open, in no order.
func (l *Log) OpenTransactions() []ProducerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	var states []ProducerState
	for id := range l.mu.producers.open {
		states = append(states, l.mu.producers.byID[id].state())
	}
	return states
}

func (p *producer) state() ProducerState {
	return ProducerState{p.id, p.epoch, p.lastSeq(), time.UnixMilli(p.lastTime), p.coordinatorEpoch, p.txnFirst}
}
