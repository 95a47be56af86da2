package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pipeline reads a topic as a group, writes each record to another topic, and commits both in one transaction (KIP-447), as members that come and go: whatever was written to the first is in the second, once.
type pipeline struct {
	w  *world
	mu struct {
		sync.Mutex
		sent  int
		acked map[string]place
		moved int // records of transactions whose commit was answered
	}
}

func newPipeline(w *world) client {
	p := &pipeline{w: w}
	p.mu.acked = map[string]place{}
	return p
}

const (
	pipeMembers    = 2
	pipePartitions = 3
)

func (p *pipeline) prepare(ctx context.Context) error {
	return p.w.makeTopics(ctx, pipePartitions, "pipe-in", "pipe-out")
}

func (p *pipeline) run(ctx context.Context, rng *rand.Rand) {
	var wg sync.WaitGroup
	feed := rand.New(rand.NewPCG(rng.Uint64(), 0))
	wg.Go(func() { p.feed(ctx, feed) })
	for i := range pipeMembers {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() {
			for ctx.Err() == nil {
				member, cancel := context.WithTimeout(ctx, between(own, 4*time.Second, 20*time.Second))
				p.move(member, fmt.Sprintf("pipe-%d", i), func() bool { return false })
				cancel()
			}
		})
	}
	wg.Wait()
}

// feed writes into the first topic; after an outcome that is unknown as another producer.
func (p *pipeline) feed(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		cl, err := p.w.kafka(kgo.DefaultProduceTopic("pipe-in"), kgo.RecordDeliveryTimeout(opLimit), kgo.ProducerLinger(0))
		if err != nil {
			p.w.violate("making a producer: %v", err)
			return
		}
		for sound := true; sound && pause(ctx, between(rng, 0, 400*time.Millisecond)); {
			sound = p.feedOne(ctx, cl)
		}
		cl.Close()
	}
}

func (p *pipeline) feedOne(ctx context.Context, cl *kgo.Client) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*opLimit)
	defer cancel()
	p.mu.Lock()
	p.mu.sent++
	value := fmt.Sprint("item ", p.mu.sent)
	p.mu.Unlock()
	r, err := cl.ProduceSync(ctx, kgo.StringRecord(value)).First()
	p.w.trace.printf("fed %q: %v", value, err)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.acked[value] = place{r.Partition, r.Offset}
	return true
}

// move is a member of the group, until ctx ends, over says so, or it cannot go on.
func (p *pipeline) move(ctx context.Context, id string, over func() bool) {
	s, err := kgo.NewGroupTransactSession(append(p.w.kafkaOpts(),
		kgo.ConsumeTopics("pipe-in"), kgo.ConsumerGroup("pipe"), kgo.TransactionalID(id), kgo.TransactionTimeout(20*time.Second), kgo.SessionTimeout(6*time.Second), kgo.RebalanceTimeout(5*time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DefaultProduceTopic("pipe-out"), kgo.RecordDeliveryTimeout(opLimit), kgo.ProducerLinger(0))...)
	if err != nil {
		p.w.violate("making a member of the pipeline: %v", err)
		return
	}
	defer s.Close()
	for ctx.Err() == nil && !over() {
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fetches := s.PollFetches(poll)
		cancel()
		if fetches.IsClientClosed() || !p.transact(ctx, s, fetches.Records()) {
			return
		}
	}
}

// transact writes what was read in one transaction with its offsets; false if the member cannot go on.
func (p *pipeline) transact(ctx context.Context, s *kgo.GroupTransactSession, records []*kgo.Record) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*opLimit)
	defer cancel()
	if err := s.Begin(); err != nil {
		p.w.trace.printf("pipeline begins: %v", err)
		return false
	}
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		out[i] = kgo.SliceRecord(r.Value)
	}
	written := s.ProduceSync(ctx, out...).FirstErr()
	committed, err := s.End(ctx, kgo.TransactionEndTry(written == nil))
	if len(records) > 0 || err != nil {
		p.w.trace.printf("pipeline moved %d: %v, committed %v, %v", len(records), written, committed, err)
	}
	if committed {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.moved += len(records)
	}
	return err == nil
}

func (p *pipeline) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.moved
}

// check moves what is left, and compares the topics.
func (p *pipeline) check(ctx context.Context) error {
	in, err := p.w.readTopic(ctx, "pipe-in")
	if err != nil {
		return err
	}
	var out map[place]string
	for {
		if out, err = p.w.readTopic(ctx, "pipe-out"); err != nil {
			return err
		}
		if len(out) >= len(in) {
			break
		}
		if ctx.Err() != nil {
			p.w.stuck("the pipeline moves nothing more: %d of %d", len(out), len(in))
			break
		}
		moved := p.acknowledged()
		member, cancel := context.WithTimeout(ctx, 20*time.Second)
		p.move(member, "pipe-0", func() bool { return p.acknowledged()-moved >= len(in)-len(out) })
		cancel()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.w.violateAll("pipe-in", misplaced(in, p.mu.acked))
	p.w.violateAll("pipe-out", moved(in, out))
	return nil
}

// moved says which records of the first topic are not in the second just once, and which of the second are not in the first.
func moved(in, out map[place]string) (wrong []string) {
	times := map[string]int{}
	for _, v := range out {
		times[v]++
	}
	for _, at := range inOrder(in) {
		if n := times[in[at]]; n != 1 {
			wrong = append(wrong, fmt.Sprintf("%q is there %d times", in[at], n))
		}
		delete(times, in[at])
	}
	for v := range times {
		wrong = append(wrong, fmt.Sprintf("%q is there, and was never there to be moved", v))
	}
	return wrong
}
