package coordinator

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Short names for the states of Kafka's transaction log.
const (
	stateEmpty          = kmsg.TransactionStateEmpty
	stateOngoing        = kmsg.TransactionStateOngoing
	statePrepareCommit  = kmsg.TransactionStatePrepareCommit
	statePrepareAbort   = kmsg.TransactionStatePrepareAbort
	stateCompleteCommit = kmsg.TransactionStateCompleteCommit
	stateCompleteAbort  = kmsg.TransactionStateCompleteAbort
)

const (
	noProducerID    int64 = -1
	noProducerEpoch int16 = -1

	// lastUsableEpoch is the highest epoch that is handed to a producer. One more is kept for fencing its last transaction;
	// then the transactional id gets a new producer id.
	lastUsableEpoch = math.MaxInt16 - 1

	// epochBumpVersion is the transaction version (KIP-890 part 2) whose clients take a new epoch with every transaction.
	epochBumpVersion int16 = 2
)

// txn is what is known of one transactional id. Values are immutable: each transition returns a new one, which takes effect
// once it has been written to the log. There is no I/O and no clock in here; now is in milliseconds but where it is a time.
type txn struct {
	id             string
	producerID     int64
	epoch          int16
	lastEpoch      int16 // the epoch before the last bump by its owner, so that a repeated request is known; not in the log
	prevProducerID int64 // the producer id before the last change of it
	nextProducerID int64 // in PREPARE_*: the producer id to go on with, for epochs have run out
	timeoutMillis  int32
	state          kmsg.TransactionState
	version        int16 // transaction version of the client
	parts          []TopicPartition
	startMillis    int64     // -1 unless a transaction is open
	opened         time.Time // when it was opened, loaded from the log or, with nothing open, changed: the time of day, which startMillis is, may jump; not in the log
	updateMillis   int64
}

// newTxn is the state of a transactional id that was never seen before.
func newTxn(id string, producerID, now int64) txn {
	return txn{
		id: id, producerID: producerID, epoch: noProducerEpoch, lastEpoch: noProducerEpoch,
		prevProducerID: noProducerID, nextProducerID: noProducerID, startMillis: -1, updateMillis: now,
	}
}

// deciding reports whether the outcome is written and the markers may not all be.
func (t txn) deciding() bool {
	return t.state == statePrepareCommit || t.state == statePrepareAbort
}

// expired reports whether the open transaction has taken longer than its producer allowed, as far as this coordinator has seen.
func (t txn) expired(now time.Time) bool {
	return t.state == stateOngoing && now.Sub(t.opened) > time.Duration(t.timeoutMillis)*time.Millisecond
}

func comparePartitions(a, b TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

func (t txn) contains(tp TopicPartition) bool {
	_, ok := slices.BinarySearchFunc(t.parts, tp, comparePartitions)
	return ok
}

// checkProducer is the common start of every request of a producer.
func (t txn) checkProducer(producerID int64, epoch int16) *kerr.Error {
	switch {
	case producerID != t.producerID:
		return kerr.InvalidProducerIDMapping
	case epoch != t.epoch, epoch > lastUsableEpoch: // the last one is for fencing only
		return kerr.ProducerFenced
	}
	return nil
}

// initCheck says whether the caller of InitProducerID may go on: one that names its producer id and epoch (KIP-360) must be
// the newest, or repeat the request that made it so.
func (t txn) initCheck(producerID int64, epoch int16) *kerr.Error {
	if producerID == noProducerID || t.epoch == noProducerEpoch {
		return nil
	}
	if producerID == t.producerID && (epoch == t.epoch || t.lastEpoch != noProducerEpoch && epoch == t.lastEpoch) {
		return nil
	}
	if producerID == t.prevProducerID && epoch >= lastUsableEpoch {
		return nil
	}
	return kerr.ProducerFenced
}

// initProducer gives the producer its next epoch. Nothing is open (see fence). newProducerID is used if the epochs of the present
// one have run out.
func (t txn) initProducer(producerID int64, epoch int16, timeoutMillis int32, newProducerID int64, now int64) (txn, *kerr.Error) {
	if err := t.initCheck(producerID, epoch); err != nil {
		return t, err
	}
	switch {
	case t.state == stateOngoing || t.deciding():
		return t, kerr.ConcurrentTransactions
	case producerID == t.producerID && epoch != t.epoch && t.epoch != noProducerEpoch:
		// The request is a repetition: its first run raised lastEpoch to the present one.
	case t.epoch >= lastUsableEpoch:
		t.prevProducerID, t.producerID = t.producerID, newProducerID
		t.epoch, t.lastEpoch = 0, noProducerEpoch
	default:
		t.lastEpoch = noProducerEpoch
		if producerID != noProducerID {
			t.lastEpoch = t.epoch
		}
		t.epoch++
	}
	t.timeoutMillis = timeoutMillis
	t.state = stateEmpty
	t.parts = nil
	t.startMillis = -1
	t.updateMillis = now
	return t, nil
}

// fence decides to abort the open transaction with an epoch above its owner's: for a newer producer, or because it took too
// long. The owner hears PRODUCER_FENCED.
func (t txn) fence(now int64) txn {
	t.epoch++
	t.lastEpoch = noProducerEpoch
	t.state = statePrepareAbort
	t.updateMillis = now
	return t
}

// addPartitions puts parts into the transaction and opens it if none is open. changed tells whether there is anything to write.
func (t txn) addPartitions(producerID int64, epoch int16, parts []TopicPartition, version int16, now int64) (_ txn, changed bool, _ *kerr.Error) {
	if err := t.checkProducer(producerID, epoch); err != nil {
		return t, false, err
	}
	if t.deciding() {
		return t, false, kerr.ConcurrentTransactions
	}
	if t.state == stateOngoing && !slices.ContainsFunc(parts, func(tp TopicPartition) bool { return !t.contains(tp) }) {
		return t, false, nil
	}
	all := make([]TopicPartition, 0, len(t.parts)+len(parts))
	if t.state == stateOngoing {
		all = append(all, t.parts...)
	} else {
		t.startMillis = now
	}
	all = append(all, parts...)
	slices.SortFunc(all, comparePartitions)
	t.parts = slices.Compact(all)
	t.state = stateOngoing
	t.version = version
	t.updateMillis = now
	return t, true, nil
}

// verifyPartition says whether a batch of that producer for tp belongs to the open transaction (KIP-890 part 1).
func (t txn) verifyPartition(producerID int64, epoch int16, tp TopicPartition) *kerr.Error {
	if err := t.checkProducer(producerID, epoch); err != nil {
		return err
	}
	if t.deciding() {
		return kerr.ConcurrentTransactions
	}
	if t.state != stateOngoing || !t.contains(tp) {
		return kerr.InvalidTxnState
	}
	return nil
}

// endStep is what EndTxn has to do.
type endStep uint8

const (
	endAnswer endStep = iota // nothing: it was done before, answer with the present epoch
	endWrite                 // write the new state, which is complete, and answer
	endDecide                // write the decision, markers, completion
)

// prepareEnd decides the transaction. From version 2 on every end raises the epoch, and the markers carry the new one, so that a
// delayed request of this transaction can never touch the next (KIP-890).
func (t txn) prepareEnd(producerID int64, epoch int16, commit bool, version int16, newProducerID int64, now int64) (txn, endStep, *kerr.Error) {
	bumps := version >= epochBumpVersion
	if bumps && t.repeatsEnd(producerID, epoch) {
		if commit == (t.state == stateCompleteCommit) {
			return t, endAnswer, nil
		}
		return t, endAnswer, kerr.InvalidTxnState
	}
	if err := t.checkProducer(producerID, epoch); err != nil {
		return t, endAnswer, err
	}
	switch t.state {
	case stateOngoing:
		t.state = statePrepareAbort
		if commit {
			t.state = statePrepareCommit
		}
		if bumps {
			t = t.bumpForEnd(newProducerID)
		}
		t.version, t.updateMillis = version, now
		return t, endDecide, nil
	case statePrepareCommit, statePrepareAbort:
		return t, endAnswer, kerr.ConcurrentTransactions
	}
	if bumps && !commit { // an empty transaction aborts, so that a client in doubt gets a fresh epoch
		t = t.bumpForEnd(newProducerID)
		t.state, t.version, t.updateMillis = statePrepareAbort, version, now
		return t.complete(now), endWrite, nil
	}
	if !bumps && (commit && t.state == stateCompleteCommit || !commit && t.state == stateCompleteAbort) {
		return t, endAnswer, nil
	}
	return t, endAnswer, kerr.InvalidTxnState
}

// repeatsEnd reports whether the request is an EndTxn that has been carried out already and raised the epoch.
func (t txn) repeatsEnd(producerID int64, epoch int16) bool {
	if t.version < epochBumpVersion || t.state != stateCompleteCommit && t.state != stateCompleteAbort {
		return false
	}
	if producerID == t.producerID {
		return epoch == t.epoch-1
	}
	return producerID == t.prevProducerID && epoch == lastUsableEpoch && t.epoch == 0
}

func (t txn) bumpForEnd(newProducerID int64) txn {
	if t.epoch >= lastUsableEpoch {
		t.nextProducerID = newProducerID
	}
	t.lastEpoch = t.epoch
	t.epoch++
	return t
}

// complete ends a decided transaction, its markers being written.
func (t txn) complete(now int64) txn {
	if t.state == statePrepareCommit {
		t.state = stateCompleteCommit
	} else {
		t.state = stateCompleteAbort
	}
	if t.nextProducerID != noProducerID {
		t.prevProducerID, t.producerID = t.producerID, t.nextProducerID
		t.nextProducerID = noProducerID
		t.epoch, t.lastEpoch = 0, noProducerEpoch
	}
	t.parts = nil
	t.startMillis = -1
	t.updateMillis = now
	return t
}
