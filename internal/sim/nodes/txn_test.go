package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transactions writes Kafka transactions over the partitions of a topic, and commits or aborts them.
type transactions struct {
	w  *world
	mu struct {
		sync.Mutex
		log *rowLog // a transaction is a statement, whose rows are its records
	}
}

func newTransactions(w *world) client {
	x := &transactions{w: w}
	x.mu.log = newRowLog()
	return x
}

func (x *transactions) prepare(ctx context.Context) error {
	return x.w.makeTopics(ctx, rawPartitions, "whole")
}

// run writes as one producer of the same transactional id after the other: a new one ends what the one before has left open.
func (x *transactions) run(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		cl, err := x.w.kafka(kgo.DefaultProduceTopic("whole"), kgo.TransactionalID("whole"), kgo.TransactionTimeout(20*time.Second), kgo.RecordDeliveryTimeout(opLimit),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
		if err != nil {
			x.w.violate("making a transactional producer: %v", err)
			return
		}
		for pause(ctx, between(rng, 0, 400*time.Millisecond)) && x.transact(ctx, cl, rng) {
		}
		cl.Close()
	}
}

// transact writes one transaction; false if the producer cannot go on.
func (x *transactions) transact(ctx context.Context, cl *kgo.Client, rng *rand.Rand) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*opLimit)
	defer cancel()
	x.mu.Lock()
	ids := x.mu.log.take(1 + rng.IntN(8))
	x.mu.Unlock()
	err := cl.BeginTransaction()
	var batch []*kgo.Record
	for _, id := range ids {
		batch = append(batch, &kgo.Record{Partition: int32(rng.IntN(rawPartitions)), Value: fmt.Appendf(nil, "%d of %d", id, ids[0])})
	}
	if err == nil {
		err = cl.ProduceSync(ctx, batch...).FirstErr()
	}
	commit := err == nil && rng.IntN(4) > 0
	if err != nil {
		_ = cl.AbortBufferedRecords(ctx) // what was sent is aborted with the transaction
	}
	end := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit))
	x.w.trace.printf("transaction %v: written %v, commit %v: %v", ids, err, commit, end)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case !commit: // nobody asked for it to be committed: none of it may be there
	case end == nil:
		x.mu.log.told(ids, nil)
	default:
		x.mu.log.told(ids, errUnknown)
	}
	return err == nil && end == nil
}

func (x *transactions) acknowledged() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.mu.log.acked)
}

func (x *transactions) check(ctx context.Context) error {
	records, err := x.w.readTopic(ctx, "whole")
	if err != nil {
		return err
	}
	have := map[int64]int{}
	for _, value := range records {
		number, _, _ := strings.Cut(value, " ")
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			x.w.violate("a record that nobody wrote: %q", value)
			continue
		}
		have[id]++
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	_, wrong := x.mu.log.compare(have)
	x.w.violateAll("transactions", wrong)
	return nil
}
