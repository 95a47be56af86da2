package replication

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/log"
)

// Acks says what an append waits for, as in Kafka's Produce.
type Acks int16

// The values of Acks.
const (
	AcksAll    Acks = -1 // on every in-sync replica
	AcksNone   Acks = 0  // for nothing; as AcksLeader here, the listener sends no answer
	AcksLeader Acks = 1  // in the leader's log
)

// AppendOptions go with an append. The zero value is a client's batch that waits for nothing.
type AppendOptions struct {
	Acks   Acks
	Origin log.Origin
	// Fence refuses the append unless Epoch is the present leader epoch.
	Fence bool
	Epoch int32
	// RequireVerified and Guard are for the first batch of a transaction: see BeginVerification.
	RequireVerified bool
	Guard           uint64
	// TransactionVersion goes with a transaction marker: see log.AppendInfo.
	TransactionVersion int16
	// NoSync asks for no sync: the caller does so with Flush, for all partitions of a transaction in one round.
	NoSync bool
}

// AppendResult tells where the batches are.
type AppendResult struct {
	log.AppendResult
	LeaderEpoch int32
}

// Append appends whole batches v2, one after the other (a client's: just one), and waits for what o.Acks asks. It changes frames in place (base offset, leader epoch,
// timestamp) and keeps nothing of it.
//
// Errors: those of log.Log.Append and of WaitCommitted; NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH and UNKNOWN_LEADER_EPOCH; NOT_ENOUGH_REPLICAS when
// acks=all finds the ISR below min.insync.replicas. After an error of WaitCommitted the result is filled in, for the records are written.
func (p *Partition) Append(ctx context.Context, frames []byte, o AppendOptions) (AppendResult, error) {
	r, err := p.AppendAsync(frames, o)
	if err != nil || o.Acks != AcksAll {
		return r, err
	}
	if o.NoSync {
		p.Flush(r.LastOffset + 1)
	}
	return r, p.WaitCommitted(ctx, r)
}

// AppendAsync is Append that does not wait; WaitCommitted does. o.Acks matters for the check of the ISR only.
func (p *Partition) AppendAsync(frames []byte, o AppendOptions) (AppendResult, error) {
	p.lead.RLock()
	defer p.lead.RUnlock()
	epoch, err := p.admit(&o)
	if err != nil {
		return AppendResult{}, err
	}
	r, err := p.log.Append(frames, log.AppendInfo{
		LeaderEpoch: epoch, Origin: o.Origin, RequireVerified: o.RequireVerified, Guard: o.Guard, NoSync: o.NoSync, TransactionVersion: o.TransactionVersion,
	})
	if err != nil {
		return AppendResult{}, err
	}
	p.mu.Lock()
	if p.mu.leader != nil {
		p.mu.leader.Appended(r.LastOffset + 1)
	}
	p.wakeFollowersLocked()
	p.mu.Unlock()
	return AppendResult{r, epoch}, nil
}

// admit checks what can be checked before the append and returns the leader epoch it is made in.
func (p *Partition) admit(o *AppendOptions) (int32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	epoch := p.mu.epoch
	if o.Fence {
		epoch = o.Epoch
	}
	if err := p.servesLocked(epoch); err != nil {
		return 0, err
	}
	if o.Acks == AcksAll && !p.mu.leader.EnoughISR() {
		return 0, kerr.NotEnoughReplicas
	}
	return epoch, nil
}

// BeginVerification returns the guard for AppendOptions: the caller then asks the transaction coordinator whether the producer may write here (KIP-890), and
// appends with RequireVerified. It is 0 when the producer's transaction is open here already.
func (p *Partition) BeginVerification(producerID int64, epoch int16) uint64 {
	return p.log.BeginVerification(producerID, epoch)
}

// OpenTransactions are the producers that have a transaction open here.
func (p *Partition) OpenTransactions() []log.ProducerState { return p.log.OpenTransactions() }

// Producers is what the log knows of each producer, by id.
func (p *Partition) Producers() []log.ProducerState { return p.log.Producers() }
