package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// producers write with Kafka's idempotent producer into a topic over which a query counts, and a consumer group reads it meanwhile.
type producers struct {
	w  *world
	mu struct {
		sync.Mutex
		names int
		sent  map[string]int   // by producer, how many records it has begun to write
		acked map[string]place // by value
		read  map[place]string // what the group has read
	}
}

// place is where a record is.
type place struct {
	partition int32
	offset    int64
}

const rawPartitions = 4

func newProducers(w *world) client {
	p := &producers{w: w}
	p.mu.sent, p.mu.acked, p.mu.read = map[string]int{}, map[string]place{}, map[place]string{}
	return p
}

func (p *producers) prepare(ctx context.Context) error {
	if err := p.w.makeTopics(ctx, rawPartitions, "raw"); err != nil {
		return err
	}
	return p.w.prepareSQL(
		ctx,
		`CREATE STREAM raw (producer TEXT, n BIGINT) WITH (topic = 'raw', value_format = 'json', timestamp = 'n')`, // the producers' clock may be hours ahead of a node's, whose tasks would take the rows for errors
		`CREATE TABLE raw_counts AS SELECT producer, count(*) AS n, sum(n) AS total FROM raw GROUP BY producer`,
	)
}

// makeTopics makes topics with three replicas.
func (w *world) makeTopics(ctx context.Context, partitions int32, names ...string) error {
	cl, err := w.kafka()
	if err != nil {
		return err
	}
	defer cl.Close()
	resp, err := kadm.NewClient(cl).CreateTopics(ctx, partitions, 3, nil, names...)
	if err != nil {
		return err
	}
	return resp.Error()
}

func (p *producers) run(ctx context.Context, rng *rand.Rand) {
	var wg sync.WaitGroup
	for i := range 2 {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() { p.produceAll(ctx, own) })
	}
	for i := range 2 {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() { p.consumeAll(ctx, own) })
	}
	wg.Wait()
}

// produceAll writes as one producer after the other: after an error whose outcome is unknown a new one begins, whose sequence says nothing of the old one's.
func (p *producers) produceAll(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		cl, err := p.w.kafka(kgo.DefaultProduceTopic("raw"), kgo.RecordDeliveryTimeout(opLimit), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))
		if err != nil {
			p.w.violate("making a producer: %v", err)
			return
		}
		p.mu.Lock()
		p.mu.names++
		name := fmt.Sprintf("p%d", p.mu.names)
		p.mu.Unlock()
		for pause(ctx, between(rng, 0, 200*time.Millisecond)) && p.produce(ctx, cl, name, 1+rng.IntN(6)) {
		}
		cl.Close()
	}
}

// produce writes some records at once, and waits for their outcome; false if one is unknown.
func (p *producers) produce(ctx context.Context, cl *kgo.Client, name string, records int) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*opLimit)
	defer cancel()
	var batch []*kgo.Record
	p.mu.Lock()
	for range records {
		p.mu.sent[name]++
		n := p.mu.sent[name]
		batch = append(batch, &kgo.Record{Key: []byte(strconv.Itoa(n)), Value: fmt.Appendf(nil, `{"producer": "%s", "n": %d}`, name, n)})
	}
	p.mu.Unlock()
	sound := true
	for _, r := range cl.ProduceSync(ctx, batch...) {
		p.w.trace.printf("produced %s at %d-%d: %v", r.Record.Value, r.Record.Partition, r.Record.Offset, r.Err)
		if r.Err != nil {
			sound = false
			continue
		}
		p.mu.Lock()
		p.mu.acked[string(r.Record.Value)] = place{r.Record.Partition, r.Record.Offset}
		p.mu.Unlock()
	}
	return sound
}

// consumeAll reads as one member of the group after the other.
func (p *producers) consumeAll(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		cl, err := p.w.kafka(kgo.ConsumeTopics("raw"), kgo.ConsumerGroup("readers"), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second), kgo.RebalanceTimeout(5*time.Second),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		if err != nil {
			p.w.violate("making a member: %v", err)
			return
		}
		member, cancel := context.WithTimeout(ctx, between(rng, 3*time.Second, 15*time.Second))
		for member.Err() == nil {
			p.w.checkReads(p.note(cl.PollFetches(member)))
			commit, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			if err := cl.CommitUncommittedOffsets(commit); err != nil {
				p.w.trace.printf("a member's commit: %v", err)
			}
			done()
		}
		cancel()
		p.leave(cl)
	}
}

// leave has a member leave the group.
func (p *producers) leave(cl *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), opLimit)
	defer cancel()
	_ = cl.LeaveGroupContext(ctx) // the group notices its absence too
	cl.Close()
}

// note notes what was read, and says where something else was read before.
func (p *producers) note(f kgo.Fetches) (wrong []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.EachRecord(func(r *kgo.Record) {
		at := place{r.Partition, r.Offset}
		if was, ok := p.mu.read[at]; ok && was != string(r.Value) {
			wrong = append(wrong, fmt.Sprintf("at %d-%d is %s, and was %s", at.partition, at.offset, r.Value, was))
		}
		p.mu.read[at] = string(r.Value)
	})
	return wrong
}

func (w *world) checkReads(wrong []string) { w.violateAll("what a consumer has read changed", wrong) }

func (p *producers) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.acked)
}

func (p *producers) check(ctx context.Context) error {
	records, err := p.w.readTopic(ctx, "raw")
	if err != nil {
		return err
	}
	if err := p.drainGroup(ctx, records); err != nil {
		return err
	}
	counts, err := p.w.cells(ctx, "SELECT producer, n, total FROM raw_counts", func(rows pgx.Rows, c *cell) (name string, err error) {
		return name, rows.Scan(&name, &c.n, &c.total)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	want, wrong := compareRecords(records, p.mu.acked)
	p.w.violateAll("raw", wrong)
	p.w.violateAll("raw_counts", differCells(want, counts))
	for at, value := range p.mu.read {
		if records[at] != value {
			p.w.violate("a consumer has read %s at %d-%d, where %q is", value, at.partition, at.offset, records[at])
		}
	}
	return nil
}

// drainGroup has a last member read what the group has not read; nothing may be left out.
func (p *producers) drainGroup(ctx context.Context, records map[place]string) error {
	cl, err := p.w.kafka(kgo.ConsumeTopics("raw"), kgo.ConsumerGroup("readers"), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	defer p.leave(cl)
	for {
		p.mu.Lock()
		left := ""
		for at, value := range records {
			if _, ok := p.mu.read[at]; !ok {
				left = fmt.Sprintf("%s at %d-%d", value, at.partition, at.offset)
			}
		}
		p.mu.Unlock()
		if left == "" {
			return nil
		}
		p.w.checkReads(p.note(cl.PollFetches(ctx)))
		if ctx.Err() != nil {
			p.w.stuck("the group does not come to read %s", left)
			return nil
		}
	}
}

// readTopic reads all records of a topic that are committed, to the ends of its partitions.
func (w *world) readTopic(ctx context.Context, topic string) (map[place]string, error) {
	cl, err := w.kafka(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := endsOf(ctx, cl, topic)
	if err != nil {
		return nil, fmt.Errorf("the ends of %s: %w", topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	records := map[place]string{}
	for len(left) > 0 {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records[place{r.Partition, r.Offset}] = string(r.Value)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading %s: partitions whose end is not reached: %v: %w", topic, left, context.Cause(ctx))
		}
	}
	return records, nil
}

// endsOf asks where the partitions of a topic end, until all leaders know: one that has just been elected may not know yet (KIP-207).
func endsOf(ctx context.Context, cl *kgo.Client, topic string) (kadm.ListedOffsets, error) {
	for {
		ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err == nil || !pause(ctx, 100*time.Millisecond) {
			return ends, err
		}
	}
}

// compareRecords says what is wrong with the records of idempotent producers, given what was acknowledged: each where it was acknowledged, none twice, those of a producer in the order in which it wrote them in
// each partition. It returns what a count of the records by producer gives.
func compareRecords(records map[place]string, acked map[string]place) (counts map[string]cell, wrong []string) {
	counts = map[string]cell{}
	seen := map[string]place{}
	for at, value := range records {
		if was, ok := seen[value]; ok {
			wrong = append(wrong, fmt.Sprintf("%s is there twice: at %v and %v", value, was, at))
		}
		seen[value] = at
		name, n := parseRaw(value)
		counts[name] = counts[name].add(n)
	}
	wrong = append(wrong, misplaced(records, acked)...)
	last := map[string]int64{}
	for _, at := range inOrder(records) {
		name, n := parseRaw(records[at])
		k := fmt.Sprintf("%s in %d", name, at.partition)
		if n < last[k] {
			wrong = append(wrong, fmt.Sprintf("%s: %d comes after %d", k, n, last[k]))
		}
		last[k] = n
	}
	return counts, wrong
}

// misplaced says which records are not where they were acknowledged.
func misplaced(records map[place]string, acked map[string]place) (wrong []string) {
	for value, at := range acked {
		if records[at] != value {
			wrong = append(wrong, fmt.Sprintf("%s was acknowledged at %v, where %q is", value, at, records[at]))
		}
	}
	return wrong
}

// parseRaw reads the value of a record of the topic raw.
func parseRaw(value string) (name string, n int64) {
	fields := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(`{}":, `, r) })
	if len(fields) == 4 {
		n, _ = strconv.ParseInt(fields[3], 10, 64) // what is not a number is a wrong record, and found as one
		name = fields[1]
	}
	return name, n
}
